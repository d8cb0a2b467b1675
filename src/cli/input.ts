// Files that options name.
import { readFileSync } from 'node:fs';
import type { FilePath } from '../index.ts';
import { exactPaths, isDash } from './arguments.ts';
import { UsageError } from './exit.ts';

/**
 * The text of the file that `option` names, `-` for standard input.
 * @throws UsageError when it cannot be read.
 */
export function readText(option: string, path: string): string {
  try {
    return readFileSync(isDash(path) ? 0 : path, 'utf8');
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** The file that an option names, if it does: `word` is what it may say instead. */
export function fileOf(value: string | undefined, word: 'kernel' | 'none'): readonly FilePath[] {
  return value === undefined || value === word ? [] : exactPaths([value]);
}
