// A worker thread: takes tasks in order, sends findings as they are made and an answer at the end of each.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ExamineOptions } from './examination.ts';
import type { LargeFile } from './examine.ts';
import { CONTENT_IN_FLIGHT } from './executor.ts';
import { type Answer, type Finding, newExaminers, perform, type Task } from './tasks.ts';

/** Memory shared with the scan: numbers that must be seen without a message. */
export interface Shared {
  /** [0]: not 0 once the scan is cancelled. [1]: bytes of content sent and not yet taken. */
  readonly scan: Int32Array;
  /** [0]: number of the task at work. [1]: index of its file at work. */
  readonly progress: Int32Array;
}

export interface WorkerSetup {
  readonly options: ExamineOptions;
  readonly shared: Shared;
}

export interface NumberedTask {
  readonly id: number;
  readonly task: Task;
}

export type WorkerMessage =
  | { readonly finding: Finding }
  /** A large file of the batch that task `id` is. */
  | { readonly id: number; readonly large: LargeFile }
  /** The end of task `id`; large files were sent before. */
  | { readonly id: number; readonly answer: Answer };

function serve(port: MessagePort, { options, shared }: WorkerSetup): void {
  const cancelled = () => Atomics.load(shared.scan, 0) !== 0;
  const examiners = newExaminers(options, deliver, cancelled);
  port.on('message', ({ id, task }: NumberedTask) => {
    Atomics.store(shared.progress, 1, 0);
    Atomics.store(shared.progress, 0, id);
    const answer = perform(task, examiners, cancelled, {
      begin: (index) => void Atomics.store(shared.progress, 1, index),
      large: (large) => send({ id, large }),
    });
    send({ id, answer: { ...answer, large: [] } });
  });

  function send(message: WorkerMessage, transfer: readonly ArrayBuffer[] = []): void {
    port.postMessage(message, transfer);
  }

  function deliver(finding: Finding): void {
    if (!('content' in finding) || finding.content === undefined) {
      send({ finding });
      return;
    }
    const { content } = finding;
    waitForRoom();
    Atomics.add(shared.scan, 1, content.length);
    const isAll = content.byteLength === content.buffer.byteLength;
    send({ finding }, isAll ? [content.buffer as ArrayBuffer] : []);
  }

  function waitForRoom(): void {
    for (;;) {
      const waiting = Atomics.load(shared.scan, 1);
      if (waiting < CONTENT_IN_FLIGHT || cancelled()) return;
      Atomics.wait(shared.scan, 1, waiting, 1000);
    }
  }
}

if (parentPort) serve(parentPort, workerData as WorkerSetup);
