// Reaches paths longer than the kernel takes in one call, through descriptors of directories on the way.
import { closeSync, constants, openSync } from 'node:fs';
import { byteLength, type FilePath, simplify } from './path.ts';

/** PATH_MAX of <linux/limits.h> is 4096 with the NUL. */
const PATH_MAX = 4095;
const STEP = 3500;
const SLASH = 0x2f;

/**
 * Calls `use` with a path that the kernel accepts for the file that `path` names.
 * @throws what the system says of the directories on the way.
 */
export function reaching<T>(path: FilePath, use: (path: string | Buffer) => T): T {
  if (isShort(path)) return use(typeof path === 'string' ? path : Buffer.from(path));
  let rest = Buffer.from(path);
  let directory: number | undefined;
  try {
    while (rest.length > STEP) {
      const cut = rest.lastIndexOf(SLASH, STEP);
      if (cut <= 0) break;
      const next = openSync(below(directory, rest.subarray(0, cut)), constants.O_RDONLY | constants.O_DIRECTORY);
      if (directory !== undefined) closeSync(directory);
      directory = next;
      rest = rest.subarray(cut + 1);
    }
    return use(below(directory, rest));
  } finally {
    if (directory !== undefined) closeSync(directory);
  }
}

function isShort(path: FilePath): boolean {
  // No UTF-16 unit takes more than three bytes.
  return 3 * path.length <= PATH_MAX || byteLength(path) <= PATH_MAX;
}

function below(directory: number | undefined, rest: Buffer): string | Buffer {
  const path = directory === undefined ? rest : Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), rest]);
  const simple = simplify(path);
  return typeof simple === 'string' ? simple : Buffer.from(simple);
}
