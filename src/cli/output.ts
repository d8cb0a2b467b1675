// Where a report goes: standard output or a file, at the reader's pace. A reader who leaves is not an error.
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { FilePath } from '../index.ts';
import { isDash } from './arguments.ts';
import { UsageError } from './exit.ts';
import { refuseOverwriting } from './overwrite.ts';

export interface Output {
  /** False once nobody reads any more. */
  write(text: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Text gathered before it is written: renderers yield small pieces. */
const GATHERED = 64 * 1024;

/**
 * `gather` is false for output that must be seen as it is made.
 * @param inputs What is going to be read, of which nothing is overwritten.
 */
export async function openOutput(
  path: string | undefined,
  inputs: readonly FilePath[],
  gather = true,
): Promise<Output> {
  const output = path === undefined || isDash(path) ? streamOutput(process.stdout) : await fileOutput(path, inputs);
  return gather ? gathering(output) : output;
}

function gathering(output: Output): Output {
  let waiting = '';
  return {
    async write(text) {
      waiting += text;
      if (waiting.length < GATHERED) return true;
      const full = waiting;
      waiting = '';
      return output.write(full);
    },
    async close() {
      if (waiting !== '') await output.write(waiting);
      await output.close();
    },
  };
}

function streamOutput(stream: Writable): Output {
  let isOpen = true;
  let failure: Error | undefined;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    isOpen = false;
    if (!isReaderGone(error)) failure = new UsageError(`cannot write the report: ${error.message}`);
  });
  return {
    async write(text) {
      // The callback comes with or without an error, so that a reader who left is noticed and never waited for.
      if (isOpen) await new Promise<void>((resolve) => stream.write(text, () => resolve()));
      if (failure) throw failure;
      return isOpen;
    },
    close: async () => {},
  };
}

/** A terminal that is gone answers EIO. */
function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || (code === 'EIO' && process.stdout.isTTY === true);
}

async function fileOutput(path: string, inputs: readonly FilePath[]): Promise<Output> {
  refuseOverwriting(path, inputs);
  const failed = (error: unknown) =>
    new UsageError(`cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  const file = await open(path, 'w').catch((error: unknown) => Promise.reject(failed(error)));
  return {
    async write(text) {
      await file.writeFile(text).catch((error: unknown) => Promise.reject(failed(error)));
      return true;
    },
    close: () => file.close(),
  };
}
