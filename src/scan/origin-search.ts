// Looks for the code of live programs: in files of who holds them, then in memory, as objects and as bare instructions.
// Finds and joins; what a live program is, and what a report says of it, is said elsewhere.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { correlate, type Explanation } from '../correlate/correlate.ts';
import type { FreedProgram } from '../correlate/freed.ts';
import type { CodeSource } from '../correlate/origin.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { counted } from '../host/count.ts';
import { readInstructions } from '../host/host.ts';
import type { LiveProgram } from '../host/records.ts';
import { type FilePath, nameOf } from '../source/path.ts';
import { listProcesses } from '../source/process.ts';
import type { CarvedObject } from './events.ts';
import { holderFiles } from './holder-files.ts';
import { MemoryCodeSearch } from './memory-code.ts';
import { type ScanOptions, scan } from './scan.ts';
import type { SearchedPlaces } from './why-unexplained.ts';

/** Where to look for the code of live programs. */
export interface OriginOptions {
  /** Live programs of another time or machine: the text of `bpftool -j prog show`, or of a live document. */
  readonly capture?: string;
  /** Files, directories and patterns to look for origins in, besides what holds the programs. */
  readonly match?: readonly FilePath[];
  /** Default true: look for origins at all. */
  readonly searchOrigins?: boolean;
  /** Default true: look for origins in the memory of processes too. */
  readonly searchMemory?: boolean;
  /** Look for the origin of these programs only. */
  readonly only?: { readonly ids: ReadonlySet<number>; readonly tags: ReadonlySet<string> };
  readonly btf?: FilePath;
  readonly kernel?: string;
  readonly jobs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LiveProgress) => void;
  /** Given every object found, with its bytes the first time they are seen, and those of `ObjectEvent.elf`. */
  readonly onCarved?: (object: CarvedObject, content: Uint8Array | undefined, elf: Uint8Array | undefined) => void;
}

export interface LiveProgress {
  readonly stage: 'kernel' | 'files' | 'memory';
  readonly sources: number;
  readonly bytes: number;
}

/** Looks for the code of live programs, in as little as explains them: files first, memory for what is left. */
export class OriginSearch {
  readonly diagnostics: Diagnostic[] = [];
  sources = 0;
  private readonly options: OriginOptions;
  private readonly found: CodeSource[] = [];
  private readonly processes = new Set<number>();
  private isOutOfTime = false;

  constructor(options: OriginOptions) {
    this.options = options;
  }

  isWanted({ id, tag, subprogramTags }: LiveProgram): boolean {
    const { only } = this.options;
    if (only === undefined || (id !== undefined && only.ids.has(id))) return true;
    return [tag, ...subprogramTags].some((each) => only.tags.has(each));
  }

  get searched(): Omit<SearchedPlaces, 'seesHolders'> {
    const { searchOrigins = true, searchMemory = true, capture } = this.options;
    return {
      origins: searchOrigins,
      memory: searchMemory,
      capture: capture !== undefined,
      sources: this.sources,
      processes: this.processes,
      ...(this.isOutOfTime && { cutShort: 'time' }),
      ...(this.aborted && { cutShort: 'interrupted' }),
    };
  }

  async explain(programs: readonly LiveProgram[]): Promise<Explanation[]> {
    await this.searchFor(
      programs.filter((program) => this.isWanted(program)),
      programs,
    );
    return correlate(programs, this.found, this.options.capture === undefined ? shownCode : undefined);
  }

  private async searchFor(programs: readonly LiveProgram[], all: readonly LiveProgram[]): Promise<void> {
    const { searchOrigins = true, searchMemory = true, match = [], capture } = this.options;
    if (!searchOrigins || programs.length === 0) return;
    await this.search('files', [...match, ...holderFiles(holdersOf(programs))], {});
    const left = this.unexplained(programs);
    if (!searchMemory || left.length === 0 || this.aborted) return;
    await this.search('memory', [], { pids: holdersOf(left) });
    if (capture === undefined) await this.searchInstructions(this.unexplained(left), all);
  }

  private unexplained(programs: readonly LiveProgram[]): LiveProgram[] {
    const explanations = correlate(programs, this.found);
    return programs.filter((_, index) => explanations[index]?.origin === undefined);
  }

  private get aborted(): boolean {
    return this.options.signal?.aborted ?? false;
  }

  /** Code that is in no object: instruction arrays, in the memory of whoever holds the programs, then in all there is. */
  private async searchInstructions(programs: readonly LiveProgram[], all: readonly LiveProgram[]): Promise<void> {
    if (programs.length === 0) return;
    const search = new MemoryCodeSearch();
    const missing = new Set(programs.map(({ tag }) => tag));
    const held = heldBy(programs);
    const others = listProcesses().filter((pid) => pid !== process.pid && !held.has(pid));
    const pids = [...held.keys(), ...others];
    const began = Date.now();
    for (const [done, pid] of pids.entries()) {
      // Copies of one program may be held by several processes, each with instructions of its own.
      const own = held.get(pid) ?? new Map<string, LiveProgram>();
      const tags = new Set([...missing, ...own.keys()]);
      if (tags.size === 0 || this.aborted) return;
      if (Date.now() - began > (held.has(pid) ? HOLDERS_SEARCH_MS : INSTRUCTION_SEARCH_MS)) {
        this.diagnostics.push(outOfTime(pids.length - done, tags.size));
        this.isOutOfTime = true;
        return;
      }
      // Start repair tries many first instructions: worth it where the program was loaded, not everywhere.
      const freed = [...own.values()].flatMap(freedProgram);
      const loaded = freed.length > 0 ? all.filter((program) => mayHaveLoaded(pid, program)).flatMap(freedProgram) : [];
      const wanted = { tags, freed, loaded, constants: held.has(pid) };
      const { places, limited, unreachable } = search.search(pid, wanted);
      if (limited) this.diagnostics.push(limitReached(pid));
      if (!unreachable) this.processes.add(pid);
      this.found.push(...places);
      for (const tag of places.flatMap(tagsOf)) missing.delete(tag);
      this.sources++;
      this.options.onProgress?.({ stage: 'memory', sources: this.sources, bytes: 0 });
      await nextTurn();
    }
  }

  private isNamed({ where }: Diagnostic): boolean {
    const { match = [], btf = 'none' } = this.options;
    return [...match, btf].some((path) => nameOf(path).path === where);
  }

  /** Files and memory are searched one after the other: what is wrong with both is said once. */
  private note(diagnostic: Diagnostic): void {
    const key = JSON.stringify(diagnostic);
    if (!this.diagnostics.some((known) => JSON.stringify(known) === key)) this.diagnostics.push(diagnostic);
  }

  private async search(stage: LiveProgress['stage'], targets: readonly FilePath[], where: ScanOptions): Promise<void> {
    const { btf, kernel, jobs, signal, onProgress, onCarved } = this.options;
    if (targets.length === 0 && (where.pids ?? []).length === 0) return;
    const events = scan(targets, {
      ...where,
      // Instructions are looked for by tag, which proves more.
      raw: false,
      content: onCarved !== undefined,
      ...(btf !== undefined && { btf }),
      ...(kernel !== undefined && { kernel }),
      ...(jobs !== undefined && { jobs }),
      ...(signal && { signal }),
    });
    for await (const event of events) {
      switch (event.event) {
        case 'object':
          this.found.push(event.object);
          onCarved?.(event.object, event.content, event.elf);
          break;
        case 'diagnostic':
          this.note(this.isNamed(event.diagnostic) ? event.diagnostic : softened(event.diagnostic));
          break;
        case 'progress':
          onProgress?.({ stage, sources: this.sources + event.sources, bytes: event.bytes });
          break;
        case 'summary':
          this.sources += event.summary.sources;
          break;
        default:
          break;
      }
    }
  }
}

/** Milliseconds that the search for instruction arrays may take, of which nearly all are in holders. */
const INSTRUCTION_SEARCH_MS = 10_000;
/** On a busy machine they are still searched when the time for all is over. */
const HOLDERS_SEARCH_MS = 60_000;

function shownCode({ id }: LiveProgram): Uint8Array | undefined {
  const xlated = id === undefined ? 'no id' : readInstructions(id);
  return typeof xlated === 'string' ? undefined : xlated;
}

function freedProgram(program: LiveProgram): FreedProgram[] {
  const xlated = shownCode(program);
  return xlated === undefined ? [] : [{ tag: program.tag, xlated }];
}

/** What nobody holds may be anybody's. */
function mayHaveLoaded(pid: number, { holders }: LiveProgram): boolean {
  return holders.length === 0 || holders.some((holder) => holder.pid === pid);
}

/** A few instructions that many share explain nothing: the search for the program's own goes on. */
function tagsOf({ programs }: CodeSource): string[] {
  return programs.flatMap(({ tags = [], instructions }) => (instructions > 3 ? tags.map(({ tag }) => tag) : []));
}

function outOfTime(processes: number, programs: number): Diagnostic {
  const missed = counted(processes, 'process was', 'processes were');
  const message = `${missed} not searched for the instructions of ${counted(programs, 'program')}: out of time`;
  return { severity: 'warning', code: 'time-limit', where: 'process memory', message };
}

function limitReached(pid: number): Diagnostic {
  const message = 'its memory is full of what looks like instructions: not all of it was examined';
  return { severity: 'warning', code: 'work-limit', where: `pid:${pid}`, message };
}

/** A holder may be gone by now, and what it mapped with it: that ends nothing. */
function softened(diagnostic: Diagnostic): Diagnostic {
  return diagnostic.severity === 'error' ? { ...diagnostic, severity: 'warning' } : diagnostic;
}

/** What of these programs each of their holders holds, one for each tag. */
function heldBy(programs: readonly LiveProgram[]): ReadonlyMap<number, ReadonlyMap<string, LiveProgram>> {
  const held = new Map<number, Map<string, LiveProgram>>();
  for (const program of programs) {
    for (const { pid } of program.holders) {
      const own = held.get(pid) ?? new Map<string, LiveProgram>();
      held.set(pid, own.set(program.tag, program));
    }
  }
  return held;
}

/** Who holds these programs, each once. */
function holdersOf(programs: readonly LiveProgram[]): number[] {
  return [...new Set(programs.flatMap(({ holders }) => holders.map(({ pid }) => pid)))];
}
