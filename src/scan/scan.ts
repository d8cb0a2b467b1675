// Scans targets concurrently and yields what is found as it is found.
// The walk and the bookkeeping are here; sources are examined by workers.
import { availableParallelism, hostname, release } from 'node:os';
import pLimit from 'p-limit';
import type { Candidates } from '../carve/search.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { FilePath } from '../source/path.ts';
import { walk } from '../source/walk.ts';
import { AnchorLimit } from './anchor-limit.ts';
import { batches } from './batches.ts';
import type { Host, ScanEvent, ScanSummary, StartEvent } from './events.ts';
import type { LargeFile } from './examine.ts';
import type { Executor } from './executor.ts';
import { LiveMarks, type LiveSource } from './live-marks.ts';
import { newExecutor } from './pool.ts';
import { Processes, type ProcessHost } from './processes.ts';
import { EventQueue } from './queue.ts';
import { groupRanges } from './segments.ts';
import { addTally, newTally } from './tally.ts';
import { TargetKernel } from './target-kernel.ts';
import type { Answer, Finding, Task } from './tasks.ts';
import { VERSION } from './version.ts';

export interface ScanOptions {
  /** Threads; default the number of available cores. 1 starts none. */
  readonly jobs?: number;
  /** fast-glob patterns, relative to each directory target. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** Larger files are passed over, bytes. */
  readonly maxSize?: number;
  readonly oneFileSystem?: boolean;
  /** Follow symbolic links met in directories. */
  readonly follow?: boolean;
  /** Default true: predict the tags of programs, which takes longer than finding them. */
  readonly tags?: boolean;
  /** BTF of the kernel that tags are predicted for: a file, or `none`. Default: the running kernel's. */
  readonly btf?: FilePath;
  /** Release of that kernel, as `uname -r` has it. Default: the running kernel's. */
  readonly kernel?: string;
  /** Mark programs that are loaded now, in this kernel or in one that a capture tells of. */
  readonly live?: LiveSource;
  /** Processes whose memory is scanned too. */
  readonly pids?: readonly number[];
  /** And the memory of every process but this one, as far as it may be read. */
  readonly allPids?: boolean;
  /** Directories to stay out of, absolute and real: where this scan itself writes. */
  readonly avoid?: readonly string[];
  /** Give the bytes of every distinct object with its first event. */
  readonly content?: boolean;
  /** Look for instruction arrays, classic filters and BTF outside objects too. Default: in process memory only. */
  readonly raw?: boolean;
  /** Ends the scan early; the summary then says so. */
  readonly signal?: AbortSignal;
}

const PROGRESS_MS = 100;
/** Processes in flight; more than threads, because one waits while another's files are searched. */
const PROCESSES_PER_THREAD = 4;

/**
 * Carves the eBPF objects out of `targets`: paths, directories, patterns, `-` for standard input; and out of processes.
 * Bad input is never thrown: it comes as diagnostic events, and the last event is always the summary.
 * @throws FormatError when `options.live` is a capture without live programs.
 */
export async function* scan(targets: readonly FilePath[], options: ScanOptions = {}): AsyncGenerator<ScanEvent> {
  const began = Date.now();
  yield startEvent('scan', began);
  const run = new Run(targets, options);
  try {
    for await (const event of run.events) {
      yield event;
      if (event.event === 'object' && event.content) run.executor.taken(event.content.length);
    }
  } finally {
    await run.stop();
  }
  yield { event: 'summary', finishedAt: new Date().toISOString(), summary: run.summary(Date.now() - began) };
}

export function startEvent(command: string, began: number): StartEvent {
  return {
    event: 'start',
    schemaVersion: 1,
    tool: { name: 'bpfcarve', version: VERSION },
    command,
    startedAt: new Date(began).toISOString(),
    host: thisHost(),
  };
}

function thisHost(): Host {
  return { hostname: hostname(), kernelRelease: release(), arch: process.arch };
}

/** One scan under way. */
class Run {
  readonly events = new EventQueue<ScanEvent>();
  readonly executor: Executor;
  private readonly options: ScanOptions;
  private readonly width: number;
  private readonly limit: <T>(task: () => Promise<T>) => Promise<T>;
  private readonly inFlight = new Set<Promise<void>>();
  private readonly total = newTally();
  private readonly hashes = new Set<string>();
  private readonly timer: NodeJS.Timeout;
  private readonly onAbort = () => this.executor.cancel();
  private readonly marks: LiveMarks | undefined;
  private readonly production: Promise<void>;
  private objects = 0;
  private stopped = false;

  constructor(targets: readonly FilePath[], options: ScanOptions) {
    this.options = options;
    this.width = Math.max(1, options.jobs ?? availableParallelism());
    this.limit = pLimit(2 * this.width);
    const kernel = {
      ...(options.btf !== undefined && { btf: options.btf }),
      ...(options.kernel !== undefined && { release: options.kernel }),
    };
    for (const diagnostic of new TargetKernel(kernel).diagnostics) this.receive({ diagnostic });
    this.marks = options.live && new LiveMarks(options.live);
    for (const diagnostic of this.marks?.diagnostics ?? []) this.receive({ diagnostic });
    const examine = {
      ...((options.tags ?? true) && { kernel }),
      follow: options.follow ?? false,
      content: options.content ?? false,
      raw: { files: options.raw ?? false, processes: options.raw ?? true },
      ...(options.maxSize !== undefined && { maxSize: options.maxSize }),
    };
    this.executor = newExecutor(this.width, examine, (finding) => this.receive(finding));
    this.timer = setInterval(() => this.reportProgress(), PROGRESS_MS);
    options.signal?.addEventListener('abort', this.onAbort);
    this.production = this.produce(targets).then(
      () => this.events.end(),
      (error: unknown) => this.events.end(error),
    );
  }

  /** Ends the work, finished or not; nothing goes on after it. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    this.options.signal?.removeEventListener('abort', this.onAbort);
    this.executor.cancel();
    await this.executor.close();
    await this.production;
  }

  summary(elapsedMs: number): ScanSummary {
    const { sources, bytes, candidates, rejected, unreadable } = this.total;
    const counts = {
      sources,
      bytes,
      candidates,
      objects: this.objects,
      distinct: this.hashes.size,
      rejected,
      unreadable,
      elapsedMs,
    };
    return this.options.signal?.aborted ? { ...counts, interrupted: true } : counts;
  }

  private get aborted(): boolean {
    return this.stopped || (this.options.signal?.aborted ?? false);
  }

  private async produce(targets: readonly FilePath[]): Promise<void> {
    const { include = [], exclude = [], follow = false, oneFileSystem = false, avoid = [] } = this.options;
    this.examineProcesses(targets.length === 0);
    const paths = targets.filter((target) => target !== '-');
    if (paths.length < targets.length) this.track(this.examineStdin());
    let alone = this.inFlight.size === 0;
    let held: Task | undefined;
    for await (const item of batches(walk(paths, { include, exclude }, { follow, oneFileSystem, avoid }))) {
      if (this.aborted) break;
      if ('severity' in item) {
        this.receiveUnreachable(item);
        continue;
      }
      if (held) this.submit(held, false);
      alone &&= held === undefined;
      held = { kind: 'files', batch: item };
      // The walk is faster than the search: it waits rather than fill memory with names.
      while (this.inFlight.size >= 2 * this.width) await Promise.race(this.inFlight);
    }
    if (held && !this.aborted) this.submit(held, alone);
    while (this.inFlight.size > 0) await Promise.race(this.inFlight);
  }

  private examineProcesses(alone: boolean): void {
    const { pids = [], allPids: all = false } = this.options;
    if (pids.length === 0 && !all) return;
    const host: ProcessHost = {
      perform: (task, alone) => this.answer(task, alone),
      limit: pLimit(PROCESSES_PER_THREAD * this.width),
      diagnostic: (diagnostic) => this.receive({ diagnostic }),
      unreadable: (count) => {
        this.total.unreadable += count;
      },
      aborted: () => this.aborted,
    };
    this.track(new Processes(host, { pids: [...new Set(pids)], all, alone }).examine());
  }

  /** `alone`: no other task is under way or will come. */
  private submit(task: Task, alone: boolean): void {
    this.track(
      this.perform(task, alone).then((large) => {
        for (const file of large) this.track(this.searchLarge(file));
      }),
    );
  }

  private track(work: Promise<void>): void {
    const tracked = work.then(
      () => void this.inFlight.delete(tracked),
      (error: unknown) => {
        this.inFlight.delete(tracked);
        this.events.end(error);
      },
    );
    this.inFlight.add(tracked);
  }

  private async perform(task: Task, alone: boolean): Promise<readonly LargeFile[]> {
    return (await this.answer(task, alone)).large;
  }

  /** Beside the other tasks: how long it takes is not ours to say. */
  private async examineStdin(): Promise<void> {
    const answer = await this.executor.runStdin();
    addTally(this.total, answer.tally);
  }

  private async answer(task: Task, alone: boolean): Promise<Answer> {
    const answer = await this.limit(() => this.executor.run(task, alone));
    addTally(this.total, answer.tally);
    return answer;
  }

  /** Searches a large file in pieces, side by side, then carves it in one. */
  private async searchLarge(large: LargeFile): Promise<void> {
    const limit = new AnchorLimit();
    const pieces = await Promise.all(
      groupRanges(large.ranges).map(async (ranges) => {
        const { parts, failure } = await this.answer({ kind: 'segments', large, ranges }, false);
        return { parts: limit.keep(parts), failure };
      }),
    );
    const parts: Candidates[] = [large.head, ...pieces.flatMap((piece) => piece.parts)];
    // Also when the scan was ended meanwhile: what was found is reported.
    const failure = pieces.find((piece) => piece.failure)?.failure;
    await this.perform({ kind: 'carve', large, parts, ...(failure && { failure }) }, false);
  }

  private receive(finding: Finding): void {
    if ('diagnostic' in finding) {
      this.events.push({ event: 'diagnostic', diagnostic: finding.diagnostic });
      return;
    }
    const { content, elf } = finding;
    const object = this.marks?.mark(finding.object) ?? finding.object;
    const known = this.hashes.has(object.sha256);
    this.hashes.add(object.sha256);
    this.objects++;
    if (content && known) this.executor.taken(content.length);
    this.events.push({ event: 'object', object, ...(content && !known && { content, ...(elf && { elf }) }) });
  }

  private receiveUnreachable(diagnostic: Diagnostic): void {
    if (diagnostic.severity !== 'info') this.total.unreadable++;
    this.events.push({ event: 'diagnostic', diagnostic });
  }

  private reportProgress(): void {
    this.events.push({
      event: 'progress',
      sources: this.total.sources,
      bytes: this.total.bytes,
      objects: this.objects,
    });
  }
}
