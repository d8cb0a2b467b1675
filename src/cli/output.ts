// Where a report goes: standard output or a file, at the reader's pace. A reader who leaves is not an error.
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { UsageError } from './exit.ts';

export interface Output {
  /** False once nobody reads any more. */
  write(text: string): Promise<boolean>;
  close(): Promise<void>;
}

export async function openOutput(path: string | undefined): Promise<Output> {
  return path === undefined || path === '-' ? standardOutput() : fileOutput(path);
}

function standardOutput(): Output {
  let open = true;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    open = false;
  });
  return {
    async write(text) {
      if (!open) return false;
      if (!process.stdout.write(text))
        await Promise.race([once(process.stdout, 'drain'), once(process.stdout, 'close')]);
      return open;
    },
    close: async () => {},
  };
}

async function fileOutput(path: string): Promise<Output> {
  const stream: WriteStream = createWriteStream(path);
  await settle(stream, 'open', path);
  let failure: Error | undefined;
  stream.on('error', (error) => {
    failure = error;
  });
  const check = () => {
    if (failure) throw new UsageError(`cannot write ${path}: ${failure.message}`);
  };
  return {
    async write(text) {
      if (!stream.write(text)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
      check();
      return true;
    },
    async close() {
      stream.end();
      if (!stream.closed) await once(stream, 'close');
      check();
    },
  };
}

async function settle(stream: WriteStream, event: string, path: string): Promise<void> {
  try {
    await once(stream, event);
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
