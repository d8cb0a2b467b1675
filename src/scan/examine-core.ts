// Carves a core file as the memory that it is an image of: objects get the addresses they had, and may lie across segments
// that are apart in the file.
import { lastAtOrBefore } from '../bytes/range.ts';
import { type Anchors, anchorsWithin, gatherAnchors } from '../carve/anchors.ts';
import type { Candidates } from '../carve/search.ts';
import { hex } from '../diagnostics.ts';
import { type CoreFile, CoreMemory, type CoreSegment } from '../elf/core.ts';
import { ehdr64 } from '../elf/layouts.ts';
import type { OpenFile } from '../source/file.ts';
import { nameOf, simplify } from '../source/path.ts';
import type { FileSource, Region } from '../source/source.ts';
import type { Examination, Subject } from './examination.ts';

/** What lies in no segment of a core file: it is carved like any file. */
export interface OutsideSegments {
  readonly offsets: readonly number[];
  readonly anchors?: Anchors;
}

/** `parts`: what a search of the file by offset gave. */
export function carveCore(
  examination: Examination,
  file: OpenFile,
  core: CoreFile,
  parts: readonly Candidates[],
  source: FileSource,
): OutsideSegments {
  const where = file.name.path;
  const inMemory = `${where} memory`;
  const memory = new CoreMemory(file, core);
  const searched = memory.seams.map((seam) => examination.search(memory, { from: seam - REACH, to: seam }, false));
  const outside: number[] = [];
  const headers = new Set(searched.flatMap((part) => part.offsets));
  for (const offset of parts.flatMap((part) => part.offsets)) {
    const address = memory.addressOf(offset);
    if (address === undefined) outside.push(offset);
    else headers.add(address);
  }
  const ascending = [...headers].sort((a, b) => a - b);
  const anchors = gatherAnchors(parts, (offset) => memory.addressOf(offset));
  let next = 0;
  for (const span of memory.spans) {
    const { from, to } = span;
    const offsets: number[] = [];
    for (; next < ascending.length && (ascending[next] as number) < to; next++) {
      offsets.push((ascending[next] as number) - from);
    }
    const around = anchors && anchorsWithin(anchors, span);
    if (offsets.length === 0 && around === undefined) continue;
    const reader = { readInto: (target: Uint8Array, at: number) => memory.readInto(target, from + at) };
    const subject: Subject = {
      where: inMemory,
      base: from,
      place: (extent) => {
        const address = from + extent.offset;
        const segment = memory.segmentAt(address);
        const offset = memory.offsetOf(address);
        if (segment === undefined || offset === undefined) return undefined;
        return { source, offset, address: hex(address), region: regionIn(core, segment) };
      },
    };
    const known = examination.carve(reader, [{ offsets, rejected: {}, listed: [] }], to - from, subject);
    const { files: raw } = examination.options.raw;
    if (around) examination.carveOutside(reader, around, to - from, subject, { known, raw, aligned: true });
  }
  examination.countRejected([...parts, ...searched], { where, base: 0 });
  const left = gatherAnchors(parts, (offset) => (memory.addressOf(offset) === undefined ? offset : undefined));
  return { offsets: outside, ...(left && { anchors: left }) };
}

/** Bytes before a seam in which a header may begin that reaches across it. */
const REACH = ehdr64.size - 1;

/** Whether it was shared and which inode it had, a core file does not tell. */
function regionIn({ mappings }: CoreFile, { start, end, flags }: CoreSegment): Region {
  const before = mappings[lastAtOrBefore(mappings, start, (found) => found.start)];
  const mapping = before !== undefined && start < before.end ? before : undefined;
  const permissions = `${flags & 4 ? 'r' : '-'}${flags & 2 ? 'w' : '-'}${flags & 1 ? 'x' : '-'}?`;
  return {
    start: hex(start),
    end: hex(end),
    permissions,
    ...(mapping && { offset: mapping.offset + start - mapping.start, ...nameOf(simplify(mapping.path)) }),
  };
}
