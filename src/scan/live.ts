// The programs of the running kernel, each with the place its code comes from: the host's views, a search of whoever holds
// the programs, and the join of both.
import { hostname, release } from 'node:os';
import type { Explanation } from '../correlate/correlate.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { readCapture } from '../host/capture.ts';
import { groupPrograms } from '../host/groups.ts';
import { readHost, readInstructions } from '../host/host.ts';
import type { HostSnapshot, LiveProgram, View } from '../host/records.ts';
import { type ExplainedProgram, explained, type LiveReport } from './live-report.ts';
import { type OriginOptions, OriginSearch } from './origin-search.ts';
import { startEvent } from './scan.ts';
import { whyUnexplained } from './why-unexplained.ts';

export interface LiveOptions extends OriginOptions {
  /** Given the instructions of every program as the kernel rewrote them, where it shows them. */
  readonly onInstructions?: (program: LiveProgram, xlated: Uint8Array) => void;
}

/**
 * Never throws for what the system refuses: views have a status, and diagnostics say what is missing.
 * @throws FormatError when `capture` holds no live programs.
 */
export async function live(options: LiveOptions = {}): Promise<LiveReport> {
  const began = Date.now();
  const start = startEvent('live', began);
  options.onProgress?.({ stage: 'kernel', sources: 0, bytes: 0 });
  const snapshot = options.capture === undefined ? await readHost() : captured(options.capture);
  const refused = options.capture === undefined ? giveInstructions(snapshot.programs, options.onInstructions) : [];
  const search = new OriginSearch(options);
  const explanations = await search.explain(snapshot.programs);
  const places = { ...search.searched, seesHolders: snapshot.views.fdinfo.status === 'ok' };
  const programs = snapshot.programs.map((program, index) => {
    const record = explained(program, explanations[index] as Explanation);
    const why = record.origin || !search.isWanted(program) ? undefined : whyUnexplained(program, places);
    return { ...record, ...(why !== undefined && { whyUnexplained: why }) };
  });
  const explainedCount = programs.filter(({ origin }) => origin !== undefined).length;
  return {
    ...pickSnapshot(snapshot),
    schemaVersion: start.schemaVersion,
    tool: start.tool,
    command: 'live',
    startedAt: start.startedAt,
    finishedAt: new Date().toISOString(),
    host: { hostname: hostname(), kernelRelease: release(), arch: process.arch },
    programs: unexplainedFirst(programs),
    diagnostics: [...snapshot.diagnostics, ...refused, ...search.diagnostics],
    summary: {
      programs: programs.length,
      explained: explainedCount,
      unexplained: programs.length - explainedCount,
      sources: search.sources,
      elapsedMs: Date.now() - began,
      ...(options.signal?.aborted && { interrupted: true as const }),
    },
  };
}

function pickSnapshot({ views, scope, maps, links, pins, groups, inconsistencies }: HostSnapshot) {
  return { views, scope, maps, links, pins, groups, inconsistencies };
}

/** Another time or machine: of this one nothing is read. */
function captured(text: string): HostSnapshot {
  const capture = readCapture(text);
  const view: View = { status: 'unsupported', reason: 'the programs come from a file' };
  return {
    ...capture,
    views: { bpf: view, fdinfo: view, kallsyms: view, cgroup: view, net: view, bpffs: view },
    scope: {},
    pins: [],
    symbols: [],
    groups: groupPrograms(capture.programs, capture.maps),
    inconsistencies: [],
  };
}

/** At once, for a program may be gone a moment later. */
function giveInstructions(programs: readonly LiveProgram[], give: LiveOptions['onInstructions']): Diagnostic[] {
  if (give === undefined) return [];
  return programs.flatMap((program) => {
    const xlated = program.id === undefined ? 'only its name and tag are known' : readInstructions(program.id);
    if (typeof xlated !== 'string') {
      give(program, xlated);
      return [];
    }
    const where = `program ${program.id ?? program.tag}`;
    return [
      {
        severity: 'warning' as const,
        code: 'no-instructions',
        where,
        message: `its instructions are not kept: ${xlated}`,
      },
    ];
  });
}

/** What is not explained is what an investigator works on. */
function unexplainedFirst(programs: readonly ExplainedProgram[]): ExplainedProgram[] {
  return [...programs.filter(({ origin }) => !origin), ...programs.filter(({ origin }) => origin)];
}
