// Runs tasks on worker threads, or inline when there is to be none; survives the death of a worker.
// Knows nothing of what a task means beyond its files.
import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Diagnostic } from '../diagnostics.ts';
import { nameOf } from '../source/path.ts';
import type { ExamineOptions } from './examination.ts';
import { newTally } from './tally.ts';
import { type Answer, type Examiners, type Finding, newExaminers, perform, type Task } from './tasks.ts';
import type { NumberedTask, Shared, WorkerSetup } from './worker.ts';

export interface Executor {
  /**
   * Performs one task; never rejects for bad input. Findings go to the executor's `deliver`.
   * A task that is `alone` is not worth a thread.
   */
  run(task: Task, alone: boolean): Promise<Answer>;
  /** Says that `size` bytes of content were taken, so that more may come. */
  taken(size: number): void;
  /** Makes running tasks end early. */
  cancel(): void;
  close(): Promise<void>;
}

export type Deliver = (finding: Finding) => void;

/** With `width` 1 no thread is started: the caller's own does the work, a task a turn of the event loop. */
export function newExecutor(width: number, options: Omit<ExamineOptions, 'split'>, deliver: Deliver): Executor {
  return width === 1
    ? inline({ ...options, split: true }, deliver)
    : new Pool(width, { ...options, split: true }, deliver);
}

function inline(options: ExamineOptions, deliver: Deliver): Executor {
  let stopped = false;
  const cancelled = () => stopped;
  let examiners: Examiners | undefined;
  return {
    async run(task) {
      await nextTurn();
      examiners ??= newExaminers(options, deliver, cancelled);
      return perform(task, examiners, cancelled, () => {});
    },
    taken: () => {},
    cancel: () => {
      stopped = true;
    },
    close: async () => {},
  };
}

interface Pending {
  readonly task: Task;
  readonly resolve: (answer: Answer) => void;
}

interface Member {
  readonly worker: Worker;
  readonly progress: Int32Array;
  readonly pending: Map<number, Pending>;
}

type WorkerMessage = { readonly finding: Finding } | { readonly id: number; readonly answer: Answer };

class Pool implements Executor {
  private readonly members: Member[] = [];
  private readonly width: number;
  private readonly options: ExamineOptions;
  private readonly deliver: Deliver;
  private readonly scan = new Int32Array(new SharedArrayBuffer(8));
  private readonly entry = createRequire(import.meta.url).resolve('#worker');
  private readonly own: Executor;
  private tasks = 0;
  private closing = false;

  constructor(width: number, options: ExamineOptions, deliver: Deliver) {
    this.width = width;
    this.options = options;
    this.deliver = deliver;
    this.own = inline(options, (finding) => {
      if ('content' in finding && finding.content) Atomics.add(this.scan, 1, finding.content.length);
      deliver(finding);
    });
  }

  run(task: Task, alone: boolean): Promise<Answer> {
    if (alone) return this.own.run(task, alone);
    return new Promise((resolve) => this.give(this.leastBusy(), { task, resolve }));
  }

  taken(size: number): void {
    Atomics.sub(this.scan, 1, size);
    Atomics.notify(this.scan, 1);
  }

  cancel(): void {
    this.own.cancel();
    Atomics.store(this.scan, 0, 1);
    Atomics.notify(this.scan, 1);
  }

  async close(): Promise<void> {
    this.closing = true;
    await Promise.all(this.members.map(({ worker }) => worker.terminate()));
  }

  /** Threads start as there is work for them: a scan of one file costs one. */
  private leastBusy(): Member {
    const idle = this.members.find((member) => member.pending.size === 0);
    if (idle) return idle;
    if (this.members.length < this.width) return this.start();
    return this.members.reduce((best, member) => (member.pending.size < best.pending.size ? member : best));
  }

  private start(): Member {
    const progress = new Int32Array(new SharedArrayBuffer(8));
    const shared: Shared = { scan: this.scan, progress };
    const worker = new Worker(this.entry, { workerData: { options: this.options, shared } satisfies WorkerSetup });
    const member: Member = { worker, progress, pending: new Map() };
    worker.on('message', (message: WorkerMessage) => this.receive(member, message));
    worker.on('error', (error) => this.replace(member, error));
    this.members.push(member);
    return member;
  }

  private give(member: Member, pending: Pending): void {
    const id = ++this.tasks;
    member.pending.set(id, pending);
    member.worker.postMessage({ id, task: pending.task } satisfies NumberedTask);
  }

  private receive(member: Member, message: WorkerMessage): void {
    if ('finding' in message) {
      this.deliver(message.finding);
      return;
    }
    const pending = member.pending.get(message.id);
    member.pending.delete(message.id);
    pending?.resolve(message.answer);
  }

  /** A worker died, of memory as a rule: its file is reported, and others do the rest of its work. */
  private replace(member: Member, error: Error): void {
    this.members.splice(this.members.indexOf(member), 1);
    if (this.closing) return;
    for (const [id, pending] of member.pending) {
      const atWork = id === Atomics.load(member.progress, 0);
      const rest = atWork ? this.giveUp(pending.task, Atomics.load(member.progress, 1), error) : pending.task;
      if (rest) this.give(this.leastBusy(), { task: rest, resolve: pending.resolve });
      else pending.resolve({ tally: { ...newTally(), unreadable: 1 }, large: [], parts: [] });
    }
  }

  /** Reports what the dead worker was busy with; returns what is left of its task. */
  private giveUp(task: Task, index: number, error: Error): Task | undefined {
    this.deliver({ diagnostic: deathOf(task, index, error) });
    if (task.kind !== 'files') return undefined;
    const paths = task.batch.paths.slice(index + 1);
    return paths.length === 0 ? undefined : { kind: 'files', batch: { ...task.batch, paths } };
  }
}

function deathOf(task: Task, index: number, error: Error): Diagnostic {
  return {
    severity: task.kind === 'files' && !task.batch.named ? 'warning' : 'error',
    code: 'worker-died',
    where: placeOf(task, index),
    message: `the thread that examined it died: ${error.message}`,
  };
}

function placeOf(task: Task, index: number): string {
  switch (task.kind) {
    case 'files': {
      const path = task.batch.paths[index];
      return path === undefined ? '' : nameOf(path).path;
    }
    case 'segments':
    case 'carve':
      return nameOf(task.large.path).path;
    case 'stdin':
      return 'standard input';
    case 'mapped-file':
      return task.file.name;
    case 'survey':
    case 'process':
    case 'process-ranges':
      return `pid:${task.pid}`;
    default:
      return task satisfies never;
  }
}
