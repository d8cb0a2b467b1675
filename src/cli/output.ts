// Where a report goes: standard output or a file, at the reader's pace. A reader who leaves is not an error.
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { isDash } from './arguments.ts';
import { UsageError } from './exit.ts';

export interface Output {
  /** False once nobody reads any more. */
  write(text: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Text gathered before it is written: renderers yield small pieces. */
const GATHERED = 64 * 1024;

/** `gather` is false for output that must be seen as it is made. */
export async function openOutput(path: string | undefined, gather = true): Promise<Output> {
  const output = path === undefined || isDash(path) ? streamOutput(process.stdout) : await fileOutput(path);
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
    if (error.code !== 'EPIPE') failure = new UsageError(`cannot write the report: ${error.message}`);
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

async function fileOutput(path: string): Promise<Output> {
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
