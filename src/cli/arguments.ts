// The words of the command line, with the exact bytes of those that are not UTF-8.
import { readFileSync } from 'node:fs';
import type { FilePath } from '../index.ts';

/** A lone `-`, which yargs drops from positionals, on its way through it; no argument can hold a NUL. */
const DASH = '\0-';

export function protectDashes(argv: readonly string[]): string[] {
  return argv.map((argument) => (argument === '-' ? DASH : argument));
}

/** Whether an argument is `-`: standard input, or output. */
export function isDash(argument: string | undefined): boolean {
  return argument === '-' || argument === DASH;
}

const REPLACEMENT = '\ufffd';

/** Node decodes arguments loosely: a path that lost bytes on the way is looked up in what the kernel kept. */
export function exactPaths(given: readonly string[]): FilePath[] {
  const targets = given.map((target) => (isDash(target) ? '-' : target));
  return targets.some((target) => target.includes(REPLACEMENT)) ? restoreBytes(targets) : targets;
}

function restoreBytes(targets: readonly string[]): FilePath[] {
  const words = readFileSync('/proc/self/cmdline')
    .toString('latin1')
    .split('\0')
    .map((argument) => Buffer.from(argument, 'latin1'));
  return targets.map((target) => {
    const bytes = words.find((argument) => argument.toString('utf8') === target);
    return bytes === undefined || !target.includes(REPLACEMENT) ? target : new Uint8Array(bytes);
  });
}
