// Examines standard input as it comes. On the caller's thread, which must not wait for it: a signal has to get through.
import { fstatSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { ByteRange } from '../bytes/range.ts';
import { EXTENT_CEILING } from '../elf/extent.ts';
import { type HostElf, readHostElf } from '../elf/host.ts';
import { ehdr64 } from '../elf/layouts.ts';
import { StreamReader } from '../source/stream.ts';
import type { Examination, Subject } from './examination.ts';
import { SEGMENT } from './segments.ts';
import { withinOf } from './within.ts';

const WHERE = 'standard input';
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
  for (let from = 0; ; from += SEGMENT) {
    await input.fetch(from + SEGMENT + ehdr64.size);
    const part = examination.look(input, { from, to: from + SEGMENT }, raw);
    // With this much more in hand nothing that an object declares can lie beyond it.
    if (part.offsets.length > 0) await input.fetch(from + SEGMENT + 2 * EXTENT_CEILING);
    else if (part.anchors) await input.fetch(from + SEGMENT + AROUND);
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
    input.release(from + SEGMENT - AROUND);
    if (part.end !== undefined) break;
  }
  examination.tally.bytes += input.length;
  if (input.failure && !examination.cancelled()) examination.reportFailure(input.failure);
}

/** Node gives a stream without any bytes for it. */
function isDirectory(): boolean {
  return fstatSync(0).isDirectory();
}
