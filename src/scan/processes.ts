// Brings processes through a scan: which files they map, those searched once for all, then each process with what was found.
// Runs nothing itself; it orders tasks and folds what many processes have in common into one diagnostic.
import { type ByteRange, coalesce, subtract } from '../bytes/range.ts';
import { gatherAnchors } from '../carve/anchors.ts';
import type { Candidates } from '../carve/search.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { errnoDiagnostic } from '../source/errno.ts';
import type { MappedFile } from '../source/mapped-file.ts';
import { adviceFor } from '../source/privilege.ts';
import { listProcesses, type Refusal } from '../source/process.ts';
import { libc, whyNoLibc } from '../sys/libc.ts';
import { AnchorLimit } from './anchor-limit.ts';
import type { FileUse, ProcessAnswer, SearchedFile } from './examine-process.ts';
import { groupRanges } from './segments.ts';
import type { Answer, Task } from './tasks.ts';

/** What processes need of the scan around them. */
export interface ProcessHost {
  /** Performs a task; one that is `alone` is not worth a thread. */
  perform(task: Task, alone: boolean): Promise<Answer>;
  /** Bounds the processes in flight. */
  limit<T>(task: () => Promise<T>): Promise<T>;
  diagnostic(diagnostic: Diagnostic): void;
  /** Counts sources that could not be read. */
  unreadable(count: number): void;
  aborted(): boolean;
}

/** Which processes: those named, or all but this one. */
export interface ProcessTargets {
  readonly pids: readonly number[];
  readonly all: boolean;
  /** Nothing else is scanned. */
  readonly alone: boolean;
}

/** Where diagnostics lie that are of no single process. */
const EVERYWHERE = 'process memory';

export class Processes {
  private readonly host: ProcessHost;
  private readonly targets: ProcessTargets;
  private readonly files = new Map<string, FileState>();
  private readonly skipped = new Map<string, number>();
  private readonly refused = new Map<Refusal['reason'], number[]>();

  private readonly alone: boolean;

  constructor(host: ProcessHost, targets: ProcessTargets) {
    this.host = host;
    this.targets = targets;
    this.alone = targets.alone && targets.pids.length === 1 && !targets.all;
  }

  async examine(): Promise<void> {
    const { pids, all } = this.targets;
    this.sayWhatIsMissing();
    const named = new Set(pids);
    const others = all ? this.list().filter((pid) => !named.has(pid) && pid !== process.pid) : [];
    await Promise.all([
      ...[...named].map((pid) => this.host.limit(() => this.examineOne(pid, true))),
      ...others.map((pid) => this.host.limit(() => this.examineOne(pid, false))),
    ]);
    this.reportFolded();
  }

  private list(): number[] {
    try {
      return listProcesses();
    } catch (error) {
      this.host.unreadable(1);
      this.host.diagnostic(errnoDiagnostic(error, '/proc', 'cannot list processes', 'error'));
      return [];
    }
  }

  private async examineOne(pid: number, named: boolean): Promise<void> {
    if (this.host.aborted()) return;
    if (pid === process.pid) return this.refuse(pid, THIS_SCAN, named);
    const { survey } = await this.host.perform({ kind: 'survey', pid }, this.alone);
    if (survey === undefined) return;
    if ('reason' in survey) return this.refuse(pid, survey, named);
    const searched = await Promise.all(survey.map((use) => this.searchedFile(use)));
    const answer = await this.searchProcess(
      pid,
      searched.filter((file) => file !== undefined),
    );
    for (const rule of answer.skipped) this.skipped.set(rule, (this.skipped.get(rule) ?? 0) + 1);
    if (answer.refusal) this.refuse(pid, answer.refusal, named);
  }

  private async searchProcess(pid: number, searched: readonly SearchedFile[]): Promise<ProcessAnswer> {
    const first = await this.host.perform({ kind: 'process', pid, searched }, this.alone);
    const large = first.process?.large;
    if (large === undefined || this.host.aborted()) return first.process ?? NOTHING;
    const limit = new AnchorLimit();
    const answers = await Promise.all(
      groupRanges(large.ranges).map(async (ranges) => {
        const { identity } = large;
        return limit.keep((await this.host.perform({ kind: 'process-ranges', pid, identity, ranges }, false)).parts);
      }),
    );
    const found = { identity: large.identity, parts: answers.flat() };
    return (await this.host.perform({ kind: 'process', pid, searched, found }, this.alone)).process ?? NOTHING;
  }

  /** The headers in what a process maps of a file, searched by whoever comes first; `undefined` when it cannot be read. */
  private async searchedFile(use: FileUse): Promise<SearchedFile | undefined> {
    const { file, ranges } = use;
    const state = this.files.get(file.key) ?? { requested: [], searches: [] };
    this.files.set(file.key, state);
    const missing = subtract(ranges, state.requested);
    if (missing.length > 0) {
      state.requested = coalesce([...state.requested, ...missing]);
      state.searches.push(this.searchFile(file, missing));
    }
    let searches = await Promise.all(state.searches);
    // The process by which the file was to be opened may have ended: this one still maps it.
    if (searches.includes(undefined)) searches = [await this.searchFile(file, ranges)];
    if (searches.includes(undefined)) return undefined;
    const parts = searches.flatMap((some) => some ?? []);
    const anchors = gatherAnchors(parts);
    return { key: file.key, ranges, headers: parts.flatMap(({ offsets }) => offsets), ...(anchors && { anchors }) };
  }

  private async searchFile(file: MappedFile, ranges: readonly ByteRange[]): Promise<Candidates[] | undefined> {
    const { mapped } = await this.host.perform({ kind: 'mapped-file', file, ranges, split: true }, this.alone);
    if (mapped === undefined || mapped.unread) return undefined;
    const rest = await Promise.all(
      groupRanges(mapped.rest).map((group) =>
        this.host.perform({ kind: 'mapped-file', file, ranges: group, split: false }, false),
      ),
    );
    if (rest.some((answer) => answer.mapped === undefined || answer.mapped.unread)) return undefined;
    return [mapped, ...rest.map((answer) => answer.mapped)].flatMap((search) => search?.parts ?? []);
  }

  private refuse(pid: number, refusal: Refusal, named: boolean): void {
    const { reason, code, message } = refusal;
    if (!named && (reason === 'kernel-thread' || reason === 'zombie' || reason === 'denied')) {
      this.refused.set(reason, [...(this.refused.get(reason) ?? []), pid]);
      return;
    }
    this.host.unreadable(1);
    const advice = reason === 'denied' ? `: ${adviceFor([pid])}` : '';
    this.host.diagnostic({
      severity: named ? 'error' : 'warning',
      code,
      where: `pid:${pid}`,
      message: `${message}${advice}`,
    });
  }

  private reportFolded(): void {
    const count = (reason: Refusal['reason']) => this.refused.get(reason)?.length ?? 0;
    if (count('kernel-thread') + count('zombie') > 0) {
      const message = `${plural(count('kernel-thread'), 'kernel thread')} and ${plural(count('zombie'), 'zombie')} have no memory`;
      this.host.diagnostic({ severity: 'info', code: 'no-memory', where: EVERYWHERE, message });
    }
    const denied = this.refused.get('denied') ?? [];
    if (denied.length > 0) {
      this.host.unreadable(denied.length);
      const message = `${plural(denied.length, 'process', 'processes')} out of reach: ${adviceFor(denied)}`;
      this.host.diagnostic({ severity: 'warning', code: 'EACCES', where: EVERYWHERE, message });
    }
    if (this.skipped.size > 0) {
      const rules = [...this.skipped].sort(([a], [b]) => (a < b ? -1 : 1)).map(([rule, times]) => `${times} ${rule}`);
      const total = [...this.skipped.values()].reduce((sum, times) => sum + times, 0);
      const message = `${plural(total, 'mapping')} skipped by rule: ${rules.join(', ')}`;
      this.host.diagnostic({ severity: 'info', code: 'skipped-mappings', where: EVERYWHERE, message });
    }
  }

  private sayWhatIsMissing(): void {
    if (libc() !== undefined) return;
    const message = `existing pages are looked up one by one, which is slow: koffi is not available (${whyNoLibc()})`;
    this.host.diagnostic({ severity: 'warning', code: 'no-koffi', where: EVERYWHERE, message });
  }
}

interface FileState {
  requested: ByteRange[];
  readonly searches: Promise<readonly Candidates[] | undefined>[];
}

const THIS_SCAN: Refusal = { reason: 'failed', code: 'self', message: 'is this scan itself, which is left out' };
const NOTHING: ProcessAnswer = { skipped: [] };

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
