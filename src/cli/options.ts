// Options that several verbs share, and what their words mean.
import type { Argv } from 'yargs';
import type { Style } from '../report/style.ts';
import { UsageError } from './exit.ts';

const FORMATS = ['text', 'json', 'ndjson'] as const;
export type Format = (typeof FORMATS)[number];
const COLORS = ['auto', 'always', 'never'] as const;

export interface OutputArguments {
  readonly format: Format;
  readonly output?: string | undefined;
  readonly color: (typeof COLORS)[number];
  readonly verbose: number;
  readonly quiet: boolean;
}

/** `-f -j -o -q -v --color`: how a verb reports. */
export function outputOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('format', {
      alias: 'f',
      choices: FORMATS,
      default: 'text' as Format,
      describe: 'Form of the report',
      requiresArg: true,
    })
    .option('json', { alias: 'j', type: 'boolean', describe: 'Short for --format json' })
    .option('output', { alias: 'o', type: 'string', describe: 'Write the report to this file', requiresArg: true })
    .option('quiet', { alias: 'q', type: 'boolean', default: false, describe: 'Only what was found' })
    .option('verbose', { alias: 'v', type: 'count', describe: 'Every detail' })
    .option('color', { choices: COLORS, default: 'auto' as const, describe: 'Colour the text', requiresArg: true });
}

export function formatOf(args: { readonly format: Format; readonly json?: boolean | undefined }): Format {
  return args.json ? 'json' : args.format;
}

/** How text is to look, for the terminal or file that it goes to. */
export function styleOf(args: OutputArguments): Style {
  const terminal = args.output === undefined && process.stdout.isTTY === true;
  const plain = (process.env.NO_COLOR ?? '') !== '' || process.env.TERM === 'dumb';
  return {
    color: args.color === 'always' || (args.color === 'auto' && terminal && !plain),
    width: terminal ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY,
    verbose: args.verbose,
    quiet: args.quiet,
  };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** A number of bytes: `65536`, `64K`, `1M`, `2G`. */
export function byteCount(option: string, text: string): number {
  const [, digits, unit] = /^(\d+)([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  const value = Number(digits) * (UNITS[unit?.toLowerCase() ?? ''] ?? Number.NaN);
  if (!Number.isSafeInteger(value))
    throw new UsageError(`${option}: expected a number of bytes such as 65536 or 64M, not "${text}"`);
  return value;
}

/** A whole number from 1 to `most`. */
export function positiveInteger(option: string, text: string, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 1 && value <= most))
    throw new UsageError(`${option}: expected a whole number from 1 to ${most}, not "${text}"`);
  return value;
}

/** A release as `uname -r` has it: what follows the first two numbers is the distribution's. */
export function kernelRelease(text: string): string {
  if (/^\d+\.\d+/.test(text)) return text;
  throw new UsageError(`--kernel: expected a release such as 6.1 or 6.1.0-28-amd64, not "${text}"`);
}
