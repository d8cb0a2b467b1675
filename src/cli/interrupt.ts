// Ctrl-C ends the work in order; a second one at once.
import { EXIT } from './exit.ts';

export interface Interrupt {
  readonly signal: AbortSignal;
  /** Whether it was the user who ended it. */
  readonly isInterrupted: boolean;
  /** Ends the work for another reason. */
  abort(): void;
  release(): void;
}

const INTERRUPTED = 'interrupted';

/** Listens until `release`. */
export function interruptible(): Interrupt {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort(INTERRUPTED);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    signal: controller.signal,
    get isInterrupted() {
      return controller.signal.reason === INTERRUPTED;
    },
    abort: () => controller.abort('reader gone'),
    release: () => {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
