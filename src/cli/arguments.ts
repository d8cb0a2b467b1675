// The words of the command line, with the exact bytes of those that are not UTF-8.
import { readFileSync } from 'node:fs';
import type { FilePath } from '../index.ts';

const REPLACEMENT = '\ufffd';

/** Node decodes arguments loosely: a path that lost bytes on the way is looked up in what the kernel kept. */
export function exactPaths(targets: readonly string[]): FilePath[] {
  if (!targets.some((target) => target.includes(REPLACEMENT))) return [...targets];
  const given = readFileSync('/proc/self/cmdline')
    .toString('latin1')
    .split('\0')
    .map((argument) => Buffer.from(argument, 'latin1'));
  return targets.map((target) => {
    const bytes = given.find((argument) => argument.toString('utf8') === target);
    return bytes === undefined || !target.includes(REPLACEMENT) ? target : new Uint8Array(bytes);
  });
}
