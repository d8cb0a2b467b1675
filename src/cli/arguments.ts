// The words of the command line, with the exact bytes of those that are not UTF-8.
import { readFileSync } from 'node:fs';
import type { FilePath } from '../index.ts';

/**
 * Marks targets on their way through yargs, which drops a lone `-` and what follows `--`, and would take a file for an
 * option or a verb. No argument can hold a NUL.
 */
const MARK = '\0';

/** The arguments for yargs. What stands behind `--` is a target. */
export function protectTargets(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  const options = end < 0 ? argv : argv.slice(0, end);
  const targets = end < 0 ? [] : argv.slice(end + 1);
  return [
    ...options.map((argument) => (argument === '-' ? MARK + argument : argument)),
    ...targets.map((argument) => MARK + argument),
  ];
}

const VERBS = new Set(['scan', 'inspect', 'live', 'verify']);
/** Options without a value: yargs learns which they are only from the verb, and gives the one before it the verb as its value. */
const FLAG =
  /^(-[djqv]+|--(all-pids|core|disassemble|follow|json|maps|no-[a-z]+|one-file-system|quiet|raw|relocations|sections|strict|symbols|verbose))$/;

/** The same call with its verb in front, where that stands behind flags. */
export function verbFirst(argv: readonly string[]): readonly string[] {
  const place = argv.findIndex((word, index) => VERBS.has(word) && FLAG.test(argv[index - 1] ?? ''));
  const before = argv.slice(0, Math.max(0, place));
  const isOption = (word: string | undefined) => word?.startsWith('-') === true && word !== '-' && word !== '--';
  const hasTarget = before.some(
    (word, index) => !isOption(word) && (!isOption(before[index - 1]) || FLAG.test(before[index - 1] ?? '')),
  );
  if (place < 0 || hasTarget) return argv;
  return [...argv.slice(place, place + 1), ...before, ...argv.slice(place + 1)];
}

/** The first flag that was given a value, as in `--raw=all`, which yargs would take for a no; without the value. */
export function flagWithValue(argv: readonly string[]): string | undefined {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end))
    .map((word) => /^(--[a-z-]+)=(?!(?:true|false)$)/s.exec(word)?.[1])
    .find((name) => name !== undefined && FLAG.test(name));
}

/** An argument as it was given. */
export function asGiven(argument: string): string {
  return argument.startsWith(MARK) ? argument.slice(MARK.length) : argument;
}

/** Whether an argument is `-`: standard input, or output. */
export function isDash(argument: string | undefined): boolean {
  return argument !== undefined && asGiven(argument) === '-';
}

const REPLACEMENT = '\ufffd';

/** Node decodes arguments loosely: a path that lost bytes on the way is looked up in what the kernel kept. */
export function exactPaths(given: readonly string[]): FilePath[] {
  const targets = given.map(asGiven);
  return targets.some((target) => target.includes(REPLACEMENT)) ? restoreBytes(targets) : targets;
}

function restoreBytes(targets: readonly string[]): FilePath[] {
  const words = readFileSync('/proc/self/cmdline')
    .toString('latin1')
    .split('\0')
    .map((argument) => Buffer.from(argument, 'latin1'));
  return targets.map((target) => {
    if (!target.includes(REPLACEMENT)) return target;
    const place = words.findIndex((argument) => argument.toString('utf8') === target);
    // Different bytes may decode alike: each word serves one target, in their order.
    const [bytes] = place < 0 ? [] : words.splice(place, 1);
    return bytes === undefined ? target : new Uint8Array(bytes);
  });
}
