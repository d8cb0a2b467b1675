// Groups walked files into tasks worth a message: small at first so that all threads start at once, then larger.

import type { Diagnostic } from '../diagnostics.ts';
import { type FileBatch, isBatch, type WalkItem } from '../source/walk.ts';

const FULL = 256;
const FIRST = 32;
const FIRST_COUNT = 8;

/** Batches of at most 256 files that are opened alike, and the walk's diagnostics between them. */
export async function* batches(walked: AsyncIterable<WalkItem>): AsyncGenerator<FileBatch | Diagnostic> {
  let open: FileBatch | undefined;
  let given = 0;
  for await (const item of walked) {
    if (!isBatch(item)) {
      yield item;
      continue;
    }
    if (open && (open.named !== item.named || open.shortReads !== item.shortReads)) {
      yield open;
      open = undefined;
    }
    let paths = open ? [...open.paths, ...item.paths] : item.paths;
    for (
      let full = given < FIRST_COUNT ? FIRST : FULL;
      paths.length >= full;
      full = given < FIRST_COUNT ? FIRST : FULL
    ) {
      yield { ...item, paths: paths.slice(0, full) };
      given++;
      paths = paths.slice(full);
    }
    open = { ...item, paths };
  }
  if (open && open.paths.length > 0) yield open;
}
