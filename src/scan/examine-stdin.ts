// Examines standard input as it comes. On the caller's thread, which must not wait for it: a signal has to get through.
import { fstatSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { viewOf } from '../bytes/layout.ts';
import type { ByteRange } from '../bytes/range.ts';
import { readAt } from '../bytes/reader.ts';
import type { Candidates } from '../carve/search.ts';
import { sizeObject } from '../carve/size.ts';
import { attempt } from '../diagnostics.ts';
import { EXTENT_CEILING } from '../elf/extent.ts';
import { type HostElf, readHostElf } from '../elf/host.ts';
import { ehdr64, shdr64 } from '../elf/layouts.ts';
import { EI, ELFDATA } from '../elf/names.ts';
import { StreamReader } from '../source/stream.ts';
import type { Examination, Subject } from './examination.ts';
import { SEGMENT } from './segments.ts';
import { withinOf } from './within.ts';

const WHERE = 'standard input';
/** Milliseconds without new bytes after which those at hand are searched. */
const PAUSE_MS = 100;
/** Headers in one piece for which it is worth asking where each object ends. */
const FEW = 256;
/** Bytes on either side of an anchor that its code may take. */
const AROUND = 3 * SEGMENT;

/** Reads `stream` to its end, or until it is destroyed. */
export async function examineStdin(examination: Examination, stream: Readable): Promise<void> {
  if (isDirectory()) {
    const message = 'is a directory: there is nothing to read';
    examination.reportFailure({ severity: 'error', code: 'EISDIR', where: WHERE, message });
    return;
  }
  const input = new StreamReader(stream, WHERE);
  const { files: raw } = examination.options.raw;
  let host: HostElf | undefined | 'unread' = 'unread';
  const known: ByteRange[] = [];
  examination.tally.sources++;
  for (let from = 0; ; ) {
    // What came before a pause is not kept waiting for what comes after it.
    await input.fetchUntilPause(from + SEGMENT + ehdr64.size, from + ehdr64.size, PAUSE_MS);
    const to = input.hasEnded ? from + SEGMENT : Math.min(from + SEGMENT, input.length - ehdr64.size);
    const part = examination.look(input, { from, to }, raw);
    await fetchWhole(input, part, from + SEGMENT);
    const size = input.length;
    const subject: Subject = {
      where: WHERE,
      base: 0,
      place: (extent) => {
        // Known only when its tables are among what has come by now: no stream is kept for their sake.
        host = host === 'unread' ? readHostElf(input) : host;
        return { source: { kind: 'stdin' }, offset: extent.offset, ...withinOf(host, extent, size) };
      },
    };
    known.push(...examination.carve(input, [part], size, subject));
    const search = { known, raw, aligned: false };
    if (part.anchors) known.push(...examination.carveOutside(input, part.anchors, size, subject, search));
    input.release(to - AROUND);
    if (part.end !== undefined) break;
    from = to;
  }
  examination.tally.bytes += input.length;
  if (input.failure && !examination.cancelled()) examination.reportFailure(input.failure);
}

/** As much more as what begins in `part` may need. With that nothing that an object declares can lie beyond what is there. */
async function fetchWhole(input: StreamReader, { offsets, anchors }: Candidates, to: number): Promise<void> {
  if (offsets.length > FEW) return input.fetch(to + 2 * EXTENT_CEILING);
  const objects: ByteRange[] = [];
  for (const offset of offsets) objects.push({ from: offset, to: await fetchObject(input, offset) });
  const isInside = (at: number) => objects.some((object) => at >= object.from && at < object.to);
  const places = anchors ? [anchors.btf, anchors.loaders, anchors.exits, anchors.returns] : [];
  if (places.some((list) => list.some((at) => !isInside(at)))) await input.fetch(to + AROUND);
}

/** Fetches the section table, which says where the object ends, then to there; returns the end. */
async function fetchObject(input: StreamReader, offset: number): Promise<number> {
  const head = readAt(input, offset, ehdr64.size);
  if (head.length < ehdr64.size) return offset;
  const header = attempt([], WHERE, () => ehdr64.read(viewOf(head), 0, head[EI.DATA] === ELFDATA.LSB));
  if (header === undefined || header.e_shoff > EXTENT_CEILING) return offset;
  // Extended numbering keeps the count of rows in the first one.
  await input.fetch(offset + header.e_shoff + Math.max(1, header.e_shnum) * shdr64.size);
  if (header.e_shnum === 0) await input.fetch(offset + 2 * EXTENT_CEILING);
  const sized = sizeObject(input, offset, offset + EXTENT_CEILING);
  if (typeof sized !== 'object') return offset;
  await input.fetch(offset + sized.size);
  return offset + sized.size;
}

/** Node gives a stream without any bytes for it. */
function isDirectory(): boolean {
  return fstatSync(0).isDirectory();
}
