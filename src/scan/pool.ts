// Runs tasks on worker threads, or inline when there is to be none; survives the death of a worker.
// Knows nothing of what a task means beyond its files.
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { Diagnostic } from '../diagnostics.ts';
import { type PathPlace, placeOf } from '../source/path.ts';
import type { ExamineOptions } from './examination.ts';
import type { LargeFile } from './examine.ts';
import { type Deliver, type Executor, newShared, nothing } from './executor.ts';
import { Inline } from './inline.ts';
import { addTally, newTally } from './tally.ts';
import type { Answer, Task } from './tasks.ts';
import type { NumberedTask, WorkerMessage, WorkerSetup } from './worker.ts';

/** With `width` 1 no thread is started: the caller's own does the work, a file a turn of the event loop. */
export function newExecutor(width: number, options: Omit<ExamineOptions, 'split'>, deliver: Deliver): Executor {
  return width === 1
    ? new Inline({ ...options, split: true }, deliver)
    : new Pool(width, { ...options, split: true }, deliver);
}

interface Pending {
  readonly task: Task;
  /** Large files of the batch that are known already: they outlive the thread that found them. */
  readonly large: LargeFile[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  readonly worker: Worker;
  readonly progress: Int32Array;
  readonly pending: Map<number, Pending>;
}

class Pool implements Executor {
  private readonly members: Member[] = [];
  private readonly width: number;
  private readonly options: ExamineOptions;
  private readonly deliver: Deliver;
  private readonly shared = newShared();
  private readonly entry = createRequire(import.meta.url).resolve('#worker');
  private readonly own: Inline;
  private tasks = 0;
  private closing = false;

  constructor(width: number, options: ExamineOptions, deliver: Deliver) {
    this.width = width;
    this.options = options;
    this.deliver = deliver;
    this.own = new Inline(options, deliver, this.shared);
  }

  run(task: Task, alone: boolean): Promise<Answer> {
    if (alone) return this.own.run(task);
    if (this.closing) return Promise.resolve(nothing());
    return new Promise((resolve, reject) => this.give({ task, large: [], resolve, reject }));
  }

  runStdin(): Promise<Answer> {
    return this.own.runStdin();
  }

  taken(size: number): void {
    this.own.taken(size);
  }

  cancel(): void {
    this.own.cancel();
  }

  async close(): Promise<void> {
    this.closing = true;
    await this.own.close();
    await Promise.all(this.members.map(({ worker }) => worker.terminate()));
    for (const { pending } of this.members) for (const { resolve } of pending.values()) resolve(nothing());
  }

  /** Threads start as there is work for them: a scan of one file costs one. */
  private leastBusy(): Member {
    const idle = this.members.find((member) => member.pending.size === 0);
    if (idle) return idle;
    if (this.members.length < this.width) return this.start();
    return this.members.reduce((best, member) => (member.pending.size < best.pending.size ? member : best));
  }

  private start(): Member {
    const progress = newShared();
    const setup: WorkerSetup = { options: this.options, shared: { scan: this.shared, progress } };
    // The options of the program that uses us, `--input-type` or a loader, are not meant for our code.
    const worker = new Worker(this.entry, { workerData: setup, execArgv: [] });
    const member: Member = { worker, progress, pending: new Map() };
    worker.on('message', (message: WorkerMessage) => this.receive(member, message));
    worker.on('error', (error) => this.replace(member, error));
    this.members.push(member);
    return member;
  }

  private give(pending: Pending): void {
    const id = ++this.tasks;
    const member = this.leastBusy();
    member.pending.set(id, pending);
    member.worker.postMessage({ id, task: pending.task } satisfies NumberedTask);
  }

  private receive(member: Member, message: WorkerMessage): void {
    if ('finding' in message) {
      this.deliver(message.finding);
      return;
    }
    const pending = member.pending.get(message.id);
    if ('large' in message) {
      pending?.large.push(message.large);
      return;
    }
    member.pending.delete(message.id);
    pending?.resolve({ ...message.answer, large: pending.large });
  }

  /** A worker died, of memory as a rule: its file is reported, and others do the rest of its work. */
  private replace(member: Member, error: Error): void {
    this.members.splice(this.members.indexOf(member), 1);
    const began = Atomics.load(member.progress, 0);
    for (const [id, pending] of member.pending) {
      if (this.closing) pending.resolve(nothing());
      // One that never began its work would only be followed by others like it.
      else if (began === 0) pending.reject(error);
      else if (id !== began) this.give(pending);
      else this.giveUp(pending, Atomics.load(member.progress, 1), error);
    }
  }

  /** Reports what the dead worker was busy with, and has the rest of its task done. */
  private giveUp(pending: Pending, index: number, error: Error): void {
    const { task, large, resolve } = pending;
    this.deliver({ diagnostic: deathOf(task, index, error) });
    const unread = { ...nothing(), tally: { ...newTally(), unreadable: 1 }, large };
    const paths = task.kind === 'files' ? task.batch.paths.slice(index + 1) : [];
    if (task.kind !== 'files' || paths.length === 0) {
      resolve(unread);
      return;
    }
    this.give({
      ...pending,
      task: { kind: 'files', batch: { ...task.batch, paths } },
      resolve: (answer) => {
        addTally(answer.tally, unread.tally);
        resolve(answer);
      },
    });
  }
}

function deathOf(task: Task, index: number, error: Error): Diagnostic {
  return {
    severity: task.kind === 'files' && !task.batch.named ? 'warning' : 'error',
    code: 'worker-died',
    ...whereIn(task, index),
    message: `the thread that examined it died: ${error.message}`,
  };
}

function whereIn(task: Task, index: number): PathPlace {
  switch (task.kind) {
    case 'files':
      return placeOf(task.batch.paths[index] ?? '');
    case 'segments':
    case 'carve':
      return placeOf(task.large.path);
    case 'mapped-file':
      return { where: task.file.name };
    case 'survey':
    case 'process':
    case 'process-ranges':
      return { where: `pid:${task.pid}` };
    default:
      return task satisfies never;
  }
}
