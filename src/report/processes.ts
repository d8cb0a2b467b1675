// Processes in a report: alike ones as one group, where each holds an object, and what of it is on disk.
// Sorts nothing: groups come in the order of the report.
import type { CarvedObject } from '../scan/events.ts';
import type { ProcessSource } from '../source/source.ts';
import type { Palette } from './colors.ts';
import { type Cell, flow, flowList } from './columns.ts';
import { escapeName, escapePath, escapePhrase } from './escape.ts';
import type { Style } from './style.ts';
import { plural } from './units.ts';

/** The objects of one source. */
export type Group = readonly [CarvedObject, ...CarvedObject[]];

/** Sources that are shown as one: a single one, or processes that hold the same objects. */
export type Groups = readonly [Group, ...Group[]];

/** Lines that a list of places may take on a terminal before it is folded. */
const LINES_OF_PLACES = 2;

/** Processes that hold the same objects in the same order, together at the place of the first. */
export function joinAlike(groups: readonly Group[]): readonly Groups[] {
  const joined: [Group, ...Group[]][] = [];
  const byContents = new Map<string, [Group, ...Group[]]>();
  for (const group of groups) {
    const contents = group.map(({ sha256 }) => sha256).join(' ');
    const alike = group[0].source.kind === 'process' ? byContents.get(contents) : undefined;
    if (alike) alike.push(group);
    else {
      const first: [Group, ...Group[]] = [group];
      joined.push(first);
      if (group[0].source.kind === 'process') byContents.set(contents, first);
    }
  }
  return joined;
}

/** The line above the objects of processes that are alike. */
export function renderProcesses(groups: Groups, { width, verbose }: Style, { bold, dim }: Palette): string {
  const [first, ...others] = groups.map(([object]) => object.source).filter((source) => source.kind === 'process');
  if (first === undefined) return '';
  const cells: Cell[] = [{ text: `pid ${first.pid}`, paint: bold }];
  cells.push({ text: escapeName(first.comm), paint: bold });
  if (first.exe !== undefined) cells.push({ text: exePath(first), paint: dim });
  if (first.namespacePid !== undefined) {
    cells.push({ text: `pid ${first.namespacePid} in its namespace`, paint: dim });
  }
  if (first.container !== undefined) {
    const id = verbose > 0 ? first.container : first.container.slice(0, SHORT_CONTAINER);
    cells.push({ text: `container ${id}`, paint: dim });
  }
  if (verbose > 0) cells.push({ text: `started ${first.startTime}`, paint: dim });
  if (verbose > 0 && first.cgroup !== undefined)
    cells.push({ text: `cgroup ${escapePhrase(first.cgroup)}`, paint: dim });
  if (others.length > 0) cells.push({ text: `and ${plural(others.length, 'process', 'processes')} like it` });
  return `${flow(cells, { used: 0, indent: 2, gap: 2, width })}\n`;
}

/** As container runtimes abbreviate. */
const SHORT_CONTAINER = 12;

/** The other processes of a group, below the object that they hold too. */
export function renderAlso(objects: readonly CarvedObject[], indent: number, style: Style, { dim }: Palette): string {
  if (objects.length === 0) return '';
  const places = objects.map(({ source, address }) =>
    source.kind === 'process' ? `${nameOf(source)} ${address}` : '',
  );
  const label = 'also in';
  const where = { used: indent + label.length, indent: indent + label.length + 1, gap: 1, width: style.width };
  const lines = style.verbose > 0 ? Number.POSITIVE_INFINITY : LINES_OF_PLACES;
  return `${' '.repeat(indent)}${dim(label)} ${flowList(places, lines, where)}\n`;
}

/** Which objects are in process memory and in files: what one place says of the others. */
export class Places {
  private readonly processes = new Map<string, Map<number, ProcessSource>>();
  private readonly files = new Map<string, CarvedObject>();

  constructor(objects: readonly CarvedObject[]) {
    for (const object of objects) {
      const { sha256, source } = object;
      if (source.kind === 'process') {
        const known = this.processes.get(sha256) ?? new Map<number, ProcessSource>();
        this.processes.set(sha256, known.set(source.pid, source));
        // A core file says where it was in memory, not where it came from.
      } else if (source.kind === 'file' && object.region === undefined && !this.files.has(sha256)) {
        this.files.set(sha256, object);
      }
    }
  }

  /** The processes that hold the same bytes as an object in a file, on a line below it. */
  renderHolders(object: CarvedObject, indent: number, style: Style, { dim }: Palette): string {
    const processes = [...(this.processes.get(object.sha256)?.values() ?? [])];
    if (object.source.kind === 'process' || processes.length === 0) return '';
    const label = `in ${plural(processes.length, 'process', 'processes')}`;
    const where = { used: indent + label.length, indent: indent + label.length + 1, gap: 1, width: style.width };
    const lines = style.verbose > 0 ? Number.POSITIVE_INFINITY : LINES_OF_PLACES;
    return `${' '.repeat(indent)}${dim(label)} ${flowList(processes.map(nameOf), lines, where)}\n`;
  }

  /** `on disk as /usr/sbin/opensnoop 0x384b8`, for an object in memory whose bytes a scanned file has too. */
  onDisk({ sha256, source }: CarvedObject): string | undefined {
    const file = source.kind === 'process' ? this.files.get(sha256) : undefined;
    if (file === undefined || file.source.kind !== 'file') return undefined;
    return `on disk as ${escapePath(file.source)} 0x${(file.offset ?? 0).toString(16)}`;
  }
}

function nameOf({ pid, comm }: ProcessSource): string {
  return `${escapeName(comm)} (${pid})`;
}

function exePath({ exe = '', exeBase64 }: ProcessSource): string {
  return escapePath({ path: exe, ...(exeBase64 !== undefined && { pathBase64: exeBase64 }) });
}
