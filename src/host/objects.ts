// The bpf view: every program, map and link that the kernel lists. What vanishes while it is read is no error.
import type { Diagnostic } from '../diagnostics.ts';
import type { ObjectKind } from './bpf.ts';
import { counted } from './count.ts';
import { readLink } from './links.ts';
import type { AttachedProgram } from './map-contents.ts';
import { readMap } from './maps.ts';
import { type ProgramReader, readProgram } from './programs.ts';
import type { LiveLink, LiveMap, LiveProgram, View } from './records.ts';
import { ERRNO, errnoName } from './syscall.ts';

/** Ids by kind of object. */
export type Listed = Readonly<Record<Kind, ReadonlySet<number>>>;

export interface ObjectsView {
  readonly view: View;
  readonly programs: readonly LiveProgram[];
  readonly maps: readonly LiveMap[];
  readonly links: readonly LiveLink[];
  /** Programs that maps hold. */
  readonly attached: readonly AttachedProgram[];
  /** Every id that the kernel listed, also of what was gone a moment later. */
  readonly listed: Listed;
  /** Kinds whose list came to its end, and whose listed objects could all be read as long as they were there. */
  readonly ended: ReadonlySet<Kind>;
  readonly whole: ReadonlySet<Kind>;
  readonly diagnostics: readonly Diagnostic[];
}

export type Kind = Exclude<ObjectKind, 'btf'>;

/** Leaves out what `known` has. */
export function readObjects(reader: ProgramReader, known: Listed = NOTHING): ObjectsView {
  const { bpf, btfs } = reader;
  const log: Log = { diagnostics: [], reasons: [] };
  const programs = readAll(reader, 'program', known, log, (id) => readProgram(reader, id));
  if (programs.errno > 0 && programs.listed.size === 0) return refused(programs.errno);
  const maps = readAll(reader, 'map', known, log, (id) => readMap(bpf, btfs, id));
  const links = readAll(reader, 'link', known, log, (id) => readLink(bpf, btfs, id));
  for (const { map, truncated } of maps.objects) {
    if (!truncated) continue;
    const message = `map ${map.id} has more entries than are looked at: programs and maps in it may be missing`;
    log.diagnostics.push({ severity: 'info', code: 'map-truncated', where: `map ${map.id}`, message });
  }
  return {
    view: log.reasons.length === 0 ? { status: 'ok' } : { status: 'partial', reason: log.reasons.join('; ') },
    programs: programs.objects,
    maps: maps.objects.map(({ map }) => map),
    links: links.objects,
    attached: maps.objects.flatMap(({ attached }) => attached),
    listed: { program: programs.listed, map: maps.listed, link: links.listed },
    ended: kindsOf({ program: programs, map: maps, link: links }, ({ errno }) => errno === 0),
    whole: kindsOf({ program: programs, map: maps, link: links }, ({ errno, failed }) => errno === 0 && !failed),
    diagnostics: log.diagnostics,
  };
}

/** What was there at `first`, and what came since. */
export function readLaterObjects(reader: ProgramReader, first: ObjectsView): ObjectsView {
  const later = readObjects(reader, first.listed);
  const both = (kind: Kind) => new Set([...first.listed[kind], ...later.listed[kind]]);
  return {
    view: first.view,
    programs: [...first.programs, ...later.programs],
    maps: [...first.maps, ...later.maps],
    links: [...first.links, ...later.links],
    attached: [...first.attached, ...later.attached],
    listed: { program: both('program'), map: both('map'), link: both('link') },
    ended: intersection(first.ended, later.ended),
    whole: intersection(first.whole, later.whole),
    diagnostics: first.diagnostics,
  };
}

function kindsOf(answers: Readonly<Record<Kind, Answers<unknown>>>, holds: (answer: Answers<unknown>) => boolean) {
  return new Set(KINDS.filter((kind) => holds(answers[kind])));
}

function intersection(a: ReadonlySet<Kind>, b: ReadonlySet<Kind>): ReadonlySet<Kind> {
  return new Set(KINDS.filter((kind) => a.has(kind) && b.has(kind)));
}

const KINDS: readonly Kind[] = ['program', 'map', 'link'];
const NONE: ReadonlySet<Kind> = new Set();

export const NOTHING: Listed = { program: new Set(), map: new Set(), link: new Set() };

function refused(errno: number): ObjectsView {
  const name = errnoName(errno);
  const view: View =
    errno === ERRNO.EPERM || errno === ERRNO.EACCES
      ? { status: 'denied', reason: `${name}: listing programs takes CAP_SYS_ADMIN in the initial user namespace` }
      : { status: 'unsupported', reason: `${name}: this kernel does not list programs` };
  return {
    view,
    programs: [],
    maps: [],
    links: [],
    attached: [],
    listed: NOTHING,
    ended: NONE,
    whole: NONE,
    diagnostics: [],
  };
}

interface Log {
  readonly diagnostics: Diagnostic[];
  readonly reasons: string[];
}

interface Answers<T> {
  readonly objects: readonly T[];
  readonly listed: ReadonlySet<number>;
  readonly errno: number;
  readonly failed: boolean;
}

function readAll<T>(
  { bpf }: ProgramReader,
  kind: Kind,
  known: Listed,
  log: Log,
  read: (id: number) => T | number,
): Answers<T> {
  const { ids, errno } = bpf.ids(kind);
  if (errno > 0) log.reasons.push(`${kind}s: listing ended with ${errnoName(errno)}`);
  const objects: T[] = [];
  const failures = new Map<number, number[]>();
  for (const id of ids) {
    if (known[kind].has(id)) continue;
    const object = read(id);
    if (typeof object !== 'number') objects.push(object);
    // It was listed, and gone before it could be opened.
    else if (object !== -ERRNO.ENOENT) failures.set(-object, [...(failures.get(-object) ?? []), id]);
  }
  for (const [failure, failed] of failures) {
    const message = `${failed.length} of ${counted(ids.length, kind)} could not be read: ${errnoName(failure)}`;
    log.reasons.push(message);
    log.diagnostics.push({ severity: 'warning', code: errnoName(failure), where: `${kind} ${failed[0]}`, message });
  }
  return { objects, listed: new Set(ids), errno, failed: failures.size > 0 };
}
