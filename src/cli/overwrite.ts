// A report never takes the place of what it is about.
// Looks at names and identities of files; opens none.
import { type BigIntStats, realpathSync } from 'node:fs';
import { posix } from 'node:path';
import type { FilePath } from '../index.ts';
import { UsageError } from './exit.ts';
import { isSame, statusOf } from './identity.ts';

/**
 * @param inputs What is going to be read: files, directories with all that is in them, patterns, `-` for standard input.
 * @throws UsageError when `output` exists and is one of them, under whatever name, or lies in one that is a directory.
 */
export function refuseOverwriting(output: string, inputs: readonly FilePath[]): void {
  const existing = statusOf(output);
  // What is written to a terminal, a pipe or /dev/null replaces nothing.
  if (!existing?.isFile() && !existing?.isBlockDevice()) return;
  const places = [{ status: existing, below: [] }, ...directoriesAbove(output)];
  if (inputs.some((input) => isAmong(places, input)))
    throw new UsageError(`--output: ${output} is part of what is examined and would be overwritten; choose a new file`);
}

/** The output or a directory above it, and the names from there down to the output. */
interface Place {
  readonly status: BigIntStats;
  readonly below: readonly string[];
}

/** Along the path as it was given, and along the one that its last symbolic link leads to. */
function directoriesAbove(output: string): Place[] {
  const given = posix.resolve(output);
  const paths = [
    posix.join(realpathSync.native(posix.dirname(given)), posix.basename(given)),
    realpathSync.native(given),
  ];
  return paths.flatMap((path) => {
    const names = path.split('/').slice(1);
    return names.flatMap((_, depth) => {
      const status = statusOf(`/${names.slice(0, depth).join('/')}`);
      return status === undefined ? [] : [{ status, below: names.slice(depth) }];
    });
  });
}

function isAmong(places: readonly Place[], input: FilePath): boolean {
  const status = statusOf(input === '-' ? '/dev/stdin' : input);
  if (status !== undefined) return places.some((place) => isSame(place.status, status));
  return typeof input === 'string' && isAmongMatches(places, input);
}

/**
 * Whether a pattern may stand for the output or a directory above it. What a pattern means exactly the scan alone knows: here a
 * name with a special character stands for every name, and what may reach across several for all that follows.
 */
function isAmongMatches(places: readonly Place[], pattern: string): boolean {
  const words = pattern.split('/');
  const special = words.findIndex((word) => SPECIAL.test(word));
  if (special < 0) return false;
  const base = statusOf(words.slice(0, special).join('/') || (pattern.startsWith('/') ? '/' : '.'));
  const rest = words.slice(special).filter((word) => word !== '');
  return base !== undefined && places.some(({ status, below }) => isSame(status, base) && mayMatch(rest, below));
}

function mayMatch(words: readonly string[], names: readonly string[]): boolean {
  for (const [index, word] of words.entries()) {
    const name = names[index];
    if (name === undefined) return false;
    if (ACROSS.test(word)) return true;
    if (!SPECIAL.test(word) && word !== name) return false;
  }
  return true;
}

const SPECIAL = /[*?[\]{}()!+@|\\]/;
const ACROSS = /\*\*|[{(]/;
