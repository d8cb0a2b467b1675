// Marks carved programs that are loaded now: those one of whose tags a live program has.
import type { Diagnostic } from '../diagnostics.ts';
import { readCapture } from '../host/capture.ts';
import { type LiveTags, liveTags } from '../host/host.ts';
import type { CarvedObject, CarvedProgram } from './events.ts';

/** The running kernel, or the text of captured `bpftool -j prog show` or of a live document. */
export type LiveSource = 'kernel' | { readonly capture: string };

export class LiveMarks {
  readonly diagnostics: readonly Diagnostic[];
  readonly #tags: LiveTags['tags'];

  /** @throws FormatError when a capture holds no live programs. */
  constructor(source: LiveSource) {
    const { tags, diagnostics } = source === 'kernel' ? liveTags() : tagsIn(source.capture);
    this.#tags = tags;
    this.diagnostics = diagnostics;
  }

  mark(object: CarvedObject): CarvedObject {
    const programs = object.programs.map((program) => this.#markProgram(program));
    // Arrays have four instructions at least: fewer, which many programs share, would prove nothing.
    const isProved = object.kind === 'instructions' && programs.some(({ live }) => live !== undefined);
    return { ...object, programs, ...(isProved && { trust: 'proved' }) };
  }

  #markProgram(program: CarvedProgram): CarvedProgram {
    const ids = new Set((program.tags ?? []).flatMap(({ tag }) => this.#tags.get(tag) ?? []));
    return ids.size === 0 ? program : { ...program, live: [...ids].sort((a, b) => a - b) };
  }
}

function tagsIn(capture: string): LiveTags {
  const { programs, diagnostics } = readCapture(capture);
  const tags = new Map<string, number[]>();
  for (const { tag, id } of programs) {
    if (id === undefined) continue;
    const ids = tags.get(tag);
    if (ids) ids.push(id);
    else tags.set(tag, [id]);
  }
  return { tags, diagnostics };
}
