// What the process says at its end; the numbers are a promise to scripts.

export const EXIT = {
  done: 0,
  /** Usage, a named target that cannot be read at all, a report or dump that cannot be written. */
  failed: 1,
  /** `--fail-on found`, and something was. */
  found: 2,
  /** `--strict`, and something could not be read. */
  unreadable: 3,
  /** `verify` found a difference. */
  different: 4,
  /** A bug: EX_SOFTWARE of <sysexits.h>. */
  bug: 70,
  /** 128 + SIGINT. */
  interrupted: 130,
} as const;
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** A call that cannot be carried out as it was made. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Outcome {
  readonly failed: boolean;
  readonly interrupted: boolean;
  readonly found: boolean;
  readonly unreadable: boolean;
}

export interface Demands {
  readonly strict: boolean;
  readonly failOnFound: boolean;
}

/** The status of a scan: the worst that is true of it. */
export function statusOf(outcome: Outcome, demands: Demands): ExitStatus {
  if (outcome.interrupted) return EXIT.interrupted;
  if (outcome.failed) return EXIT.failed;
  if (demands.strict && outcome.unreadable) return EXIT.unreadable;
  if (demands.failOnFound && outcome.found) return EXIT.found;
  return EXIT.done;
}
