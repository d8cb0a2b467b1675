// Runs tasks on the caller's own thread: all of them with --jobs 1, and those that no other thread can or need do.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExamineOptions } from './examination.ts';
import { examineStdin } from './examine-stdin.ts';
import { CONTENT_IN_FLIGHT, type Deliver, type Executor, newShared, nothing } from './executor.ts';
import { addTally, newTally } from './tally.ts';
import { type Answer, type Examiners, newExaminers, perform, type Task } from './tasks.ts';

export class Inline implements Executor {
  private readonly options: ExamineOptions;
  private readonly deliver: Deliver;
  private readonly shared: Int32Array;
  private made: Examiners | undefined;
  private wake: (() => void) | undefined;
  private closed = false;
  private readsStdin = false;

  constructor(options: ExamineOptions, deliver: Deliver, shared = newShared()) {
    this.options = options;
    this.deliver = deliver;
    this.shared = shared;
  }

  async run(task: Task): Promise<Answer> {
    const answers: Answer[] = [];
    for (const part of partsOf(task)) {
      await this.room();
      if (this.closed) return nothing();
      answers.push(perform(part, this.examiners(), this.isCancelled));
    }
    return together(answers);
  }

  async runStdin(): Promise<Answer> {
    await this.room();
    if (this.closed || this.isCancelled()) return nothing();
    const { examination } = this.examiners();
    this.readsStdin = true;
    await examineStdin(examination, process.stdin);
    this.readsStdin = false;
    return { ...nothing(), tally: examination.takeTally() };
  }

  taken(size: number): void {
    Atomics.sub(this.shared, 1, size);
    Atomics.notify(this.shared, 1);
    this.wake?.();
  }

  cancel(): void {
    Atomics.store(this.shared, 0, 1);
    Atomics.notify(this.shared, 1);
    this.wake?.();
    if (this.readsStdin) process.stdin.destroy();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancel();
  }

  private examiners(): Examiners {
    this.made ??= newExaminers(
      this.options,
      (finding) => {
        if ('content' in finding && finding.content) Atomics.add(this.shared, 1, finding.content.length);
        this.deliver(finding);
      },
      this.isCancelled,
    );
    return this.made;
  }

  private readonly isCancelled = () => Atomics.load(this.shared, 0) !== 0;

  /** Lets the event loop turn, and the reader of content catch up. */
  private async room(): Promise<void> {
    await nextTurn();
    while (Atomics.load(this.shared, 1) >= CONTENT_IN_FLIGHT && !this.isCancelled()) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

/** A file at a time, so that its content can be taken, and a signal be heard, before the next one. */
function* partsOf(task: Task): Generator<Task> {
  if (task.kind !== 'files') yield task;
  else for (const path of task.batch.paths) yield { kind: 'files', batch: { ...task.batch, paths: [path] } };
}

function together(answers: readonly Answer[]): Answer {
  const [first] = answers;
  if (answers.length === 1 && first) return first;
  const tally = newTally();
  for (const answer of answers) addTally(tally, answer.tally);
  return { tally, large: answers.flatMap(({ large }) => large), parts: answers.flatMap(({ parts }) => parts) };
}
