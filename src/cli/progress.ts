// Long work shows that it lives: one line on standard error, on a terminal only.
import type { ScanEvent } from '../scan/events.ts';

export interface Progress {
  update(event: ScanEvent): void;
  stop(): void;
}

const silent: Progress = { update: () => {}, stop: () => {} };

/** ora is loaded only when there is a terminal to draw on. */
export async function startProgress(wanted: boolean): Promise<Progress> {
  if (!wanted || process.stderr.isTTY !== true) return silent;
  const { default: ora } = await import('ora');
  const began = Date.now();
  const spinner = ora({ text: 'scanning', stream: process.stderr, discardStdin: false }).start();
  return {
    update(event) {
      if (event.event !== 'progress') return;
      const { sources, bytes, objects } = event;
      const rate = bytes / Math.max(1, Date.now() - began) / 1e6;
      spinner.text = `${count(sources, 'file')}, ${(bytes / 1e9).toFixed(2)} GB at ${rate.toFixed(2)} GB/s, ${count(objects, 'object')} found`;
    },
    stop: () => void spinner.stop(),
  };
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}
