// What runs the tasks of a scan, whether on threads or not.
import { newTally } from './tally.ts';
import type { Answer, Finding, Task } from './tasks.ts';

export interface Executor {
  /**
   * Performs one task; never rejects for bad input. Findings go to the executor's `deliver`.
   * A task that is `alone` is not worth a thread.
   */
  run(task: Task, alone: boolean): Promise<Answer>;
  /** Examines standard input, on the caller's thread. */
  runStdin(): Promise<Answer>;
  /** Says that `size` bytes of content were taken, so that more may come. */
  taken(size: number): void;
  /** Makes running tasks end early. */
  cancel(): void;
  /** Ends the threads. What was not done yet, and what is asked for later, is answered with nothing. */
  close(): Promise<void>;
}

export type Deliver = (finding: Finding) => void;

/** Memory that all threads of a scan see: [0] is not 0 once it is cancelled, [1] counts bytes of content sent and not yet taken. */
export function newShared(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** Content that may wait in memory for its reader; one object, or without threads one file, may exceed it. */
export const CONTENT_IN_FLIGHT = 64 * 1024 * 1024;

export function nothing(): Answer {
  return { tally: newTally(), large: [], parts: [] };
}
