// What makes one item of the report: a program, or the copies of one whose code comes from the same place.
// Sorts nothing: an item stands where its first program does.
import type { ProgramGroup } from '../host/records.ts';
import type { ExplainedProgram, LiveReport } from '../scan/live-report.ts';

/** Several programs are copies of one another. */
export type Entry = readonly [ExplainedProgram, ...ExplainedProgram[]];

export function foldCopies({ programs, groups }: Pick<LiveReport, 'programs' | 'groups'>): Entry[] {
  const groupOf = new Map(groups.flatMap((group, at) => group.ids.map((id) => [id, at] as const)));
  const entries = new Map<string, [ExplainedProgram, ...ExplainedProgram[]]>();
  for (const [at, program] of programs.entries()) {
    const group = program.id === undefined ? undefined : groupOf.get(program.id);
    const key = group === undefined ? `program ${at}` : `group ${group} ${originKey(program)}`;
    const entry = entries.get(key);
    if (entry === undefined) entries.set(key, [program]);
    else entry.push(program);
  }
  return [...entries.values()];
}

/** The copies that are known of each program, by id. */
export function groupsById(groups: readonly ProgramGroup[]): ReadonlyMap<number, ProgramGroup> {
  return new Map(groups.flatMap((group) => group.ids.map((id) => [id, group] as const)));
}

export function isExplained([first]: Entry): boolean {
  return first.origin !== undefined;
}

/** Runs of neighbours that are named one by one; more of them are told by their ends. */
const RUNS = 4;

/** `id 7`, `ids 5-9, 12`, `ids 5 to 423` where there are gaps between. Empty without any. */
export function idWords(ids: readonly number[]): string {
  const [first] = ids;
  const last = ids.at(-1);
  if (first === undefined || last === undefined) return '';
  if (ids.length === 1) return `id ${first}`;
  const runs = runsOf(ids);
  return runs.length > RUNS
    ? `ids ${first} to ${last}`
    : `ids ${runs.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(', ')}`;
}

/** Ascending. */
export function idsOf(entry: readonly ExplainedProgram[]): number[] {
  return entry.flatMap(({ id }) => id ?? []).sort((a, b) => a - b);
}

function runsOf(ids: readonly number[]): [from: number, to: number][] {
  const runs: [number, number][] = [];
  for (const id of ids) {
    const run = runs.at(-1);
    if (run && run[1] === id - 1) run[1] = id;
    else runs.push([id, id]);
  }
  return runs;
}

/** Copies may come from different files that hold the same code. */
function originKey({ origin }: ExplainedProgram): string {
  if (origin === undefined) return '';
  const { object, program, section } = origin;
  return JSON.stringify([object.source, object.offset, object.address, program, section]);
}
