// Ctrl-C and the end of the session end the work in order; a second Ctrl-C at once.
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
/** SIGHUP: the terminal or the connection that it was started from is gone. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Listens until `release`. */
export function interruptible(): Interrupt {
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    // The end of a session is told more than once: by the kernel, and by the shell to its jobs.
    if (controller.signal.aborted && signal !== 'SIGHUP') process.exit(EXIT.interrupted);
    controller.abort(INTERRUPTED);
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  return {
    signal: controller.signal,
    get isInterrupted() {
      return controller.signal.reason === INTERRUPTED;
    },
    abort: () => controller.abort('reader gone'),
    release: () => {
      for (const signal of SIGNALS) process.off(signal, stop);
    },
  };
}
