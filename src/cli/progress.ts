// Long work shows that it lives: one line on standard error, on a terminal only.
import type { ScanEvent } from '../index.ts';

export interface Spinner {
  say(text: string): void;
  stop(): void;
}

export interface Progress {
  update(event: ScanEvent): void;
  stop(): void;
}

const silent: Spinner = { say: () => {}, stop: () => {} };

/** ora is loaded only when there is a terminal to draw on. One without a width, as on a serial line, it would fill for ever. */
export async function startSpinner(wanted: boolean, text: string): Promise<Spinner> {
  if (!wanted || process.stderr.isTTY !== true || !process.stderr.columns) return silent;
  const { default: ora } = await import('ora');
  const spinner = ora({ text, stream: process.stderr, discardStdin: false }).start();
  return {
    say: (said) => {
      spinner.text = said;
    },
    stop: () => void spinner.stop(),
  };
}

export async function startProgress(wanted: boolean): Promise<Progress> {
  const spinner = await startSpinner(wanted, 'scanning');
  const began = Date.now();
  return {
    update(event) {
      if (event.event !== 'progress') return;
      const { sources, bytes, objects } = event;
      const rate = bytes / Math.max(1, Date.now() - began) / 1e6;
      spinner.say(
        `${count(sources, 'file')}, ${(bytes / 1e9).toFixed(2)} GB at ${rate.toFixed(2)} GB/s, ${objects.toLocaleString('en-US')} found`,
      );
    },
    stop: () => spinner.stop(),
  };
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}
