// What is named on the command line, each place once.
import { posix } from 'node:path';
import type { FilePath } from '../index.ts';
import { isSame, statusOf } from './identity.ts';

/** Of targets that are spelled differently and are the same, `a` and `./a`, the first. A link and what it leads to are two. */
export function distinctTargets(targets: readonly FilePath[]): readonly FilePath[] {
  const first = new Map<string, FilePath>();
  return targets.filter((target) => {
    const place = placeOf(target);
    const known = first.get(place);
    if (known === undefined) first.set(place, target);
    // Behind a symbolic link `..` leads elsewhere than the text says.
    return known === undefined || !isSame(statusOf(known), statusOf(target));
  });
}

function placeOf(target: FilePath): string {
  return target === '-' ? target : posix.resolve(bytesOf(process.cwd()), bytesOf(target));
}

/** As text with a character for every byte. */
function bytesOf(path: FilePath): string {
  return Buffer.from(path).toString('latin1');
}
