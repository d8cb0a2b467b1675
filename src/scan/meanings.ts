// What carved bytes mean and what the kernel will call them, worked out once for bytes that lie in many places.
import { attempt, type Diagnostic } from '../diagnostics.ts';
import { type ProgramTags, predictTags } from '../link/predict.ts';
import { type BpfObject, openObject } from '../object/open.ts';
import { summarize } from '../object/summarize.ts';
import type { CarvedObject, CarvedProgram } from './events.ts';
import type { TargetKernel } from './target-kernel.ts';

export type Meaning = Pick<CarvedObject, 'license' | 'programs' | 'maps' | 'btf' | 'diagnostics'>;

/** Larger objects are carved and hashed, not opened. The largest public ones have 4.2 MB. */
const OPENED = 64 * 1024 * 1024;
const REMEMBERED = 256;

export class Meanings {
  private readonly known = new Map<string, Meaning>();
  private readonly kernel: TargetKernel | undefined;

  /** `kernel`: the one to predict tags for; without it none are predicted. */
  constructor(kernel: TargetKernel | undefined) {
    this.kernel = kernel;
  }

  /** The meaning of `content`, whose digest is `sha256`. */
  of(sha256: string, content: Uint8Array): Meaning {
    const known = this.known.get(sha256);
    if (known) return known;
    const meaning = understand(content, this.kernel);
    if (this.known.size >= REMEMBERED) this.known.clear();
    this.known.set(sha256, meaning);
    return meaning;
  }
}

function understand(content: Uint8Array, kernel: TargetKernel | undefined): Meaning {
  if (content.length > OPENED) {
    const message = `${content.length} bytes, more than the ${OPENED} that are opened`;
    return meaningless([{ severity: 'warning', code: 'too-large', where: 'object', message }]);
  }
  const diagnostics: Diagnostic[] = [];
  const object = attempt(diagnostics, 'object', () => openObject(content));
  if (object === undefined) return meaningless(diagnostics);
  return { ...(kernel ? taggedSummary(object, kernel) : summarize(object)), diagnostics: object.diagnostics };
}

function meaningless(diagnostics: readonly Diagnostic[]): Meaning {
  return { programs: [], maps: [], diagnostics };
}

/** The object in the words of reports, every program with its tags. */
function taggedSummary(object: BpfObject, kernel: TargetKernel): Omit<Meaning, 'diagnostics'> {
  const { programs, ...summary } = summarize(object);
  const predicted = new Map(
    predictTags(object, kernel.targetFor(object.elf.littleEndian)).map((tags) => [tags.function, tags]),
  );
  return {
    ...summary,
    programs: programs.map((program, place) => withTags(program, predicted.get(object.programs[place]?.index ?? -1))),
  };
}

function withTags(program: CarvedProgram, predicted: ProgramTags | undefined): CarvedProgram {
  if (predicted === undefined) return program;
  const tags = [...predicted.tags, ...predicted.variants];
  if (tags.length > 0) return { ...program, tags };
  const { state, reason } = predicted;
  return { ...program, tagState: state, ...(reason !== undefined && { tagReason: reason }) };
}
