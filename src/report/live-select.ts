// A report on some of its programs: those that were asked for, and what belongs to them.
// What is inconsistent or went wrong stays: it may concern them too.
import type { ExplainedProgram, LiveReport } from '../scan/live-report.ts';

/** Programs by id and by tag, that of a function among them; either is enough. */
export interface LiveSelection {
  readonly ids: ReadonlySet<number>;
  readonly tags: ReadonlySet<string>;
}

export function selectPrograms(report: LiveReport, selection: LiveSelection): LiveReport {
  const programs = report.programs.filter((program) => isSelected(program, selection));
  const ids = new Set(programs.flatMap(({ id }) => id ?? []));
  const mapIds = new Set(programs.flatMap((program) => program.mapIds));
  const explained = programs.filter(({ origin }) => origin !== undefined).length;
  const counts = { programs: programs.length, explained, unexplained: programs.length - explained };
  const links = report.links.filter(({ programId }) => ids.has(programId ?? -1));
  const linkIds = new Set(links.map(({ id }) => id));
  const kept = { program: ids, map: mapIds, link: linkIds };
  return {
    ...report,
    programs,
    maps: report.maps.filter(({ id }) => mapIds.has(id)),
    links,
    pins: report.pins.filter(({ kind, id }) => kind !== undefined && kept[kind].has(id ?? -1)),
    groups: report.groups.filter((group) => group.ids.some((id) => ids.has(id))),
    summary: { ...report.summary, ...counts },
  };
}

export function isSelected({ id, tag, subprogramTags }: ExplainedProgram, { ids, tags }: LiveSelection): boolean {
  return (id !== undefined && ids.has(id)) || tags.has(tag) || subprogramTags.some((each) => tags.has(each));
}
