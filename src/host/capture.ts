// Live programs out of a file: what `bpftool -j prog show` printed somewhere, versions 5 to 7, or our own live document.
// Hostile like any input: what is not understood is passed over and said.
import { type Diagnostic, FormatError } from '../diagnostics.ts';
import { linkOf, mapOf, programOf } from './bpftool-json.ts';
import { counted } from './count.ts';
import { count, counts, flag, isObject, nameOrNumber, objects, parseJson, text } from './json.ts';
import {
  ATTACHMENT_KINDS,
  type Attachment,
  type Holder,
  type LiveFunction,
  type LiveLink,
  type LiveMap,
  type LiveProgram,
} from './records.ts';

export interface Capture {
  readonly programs: readonly LiveProgram[];
  readonly maps: readonly LiveMap[];
  readonly links: readonly LiveLink[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Accepts an array, a single object (`show id N`), the same pretty-printed, and a live document.
 * @throws FormatError when the text is no JSON, is the error of a tool, or has nothing of the kind in it.
 */
export function readCapture(input: string): Capture {
  const json = parse(input);
  if (isObject(json) && text(json.error) !== undefined) {
    throw new FormatError('capture-error', 0, `the file holds an error instead of programs: ${text(json.error)}`);
  }
  if (isObject(json) && Array.isArray(json.programs) && json.schemaVersion !== undefined) return readDocument(json);
  if (isObject(json)) return readRows([json]);
  if (Array.isArray(json)) return readRows(json);
  throw new FormatError('capture-shape', 0, `${typeof json} instead of a list of programs`);
}

function parse(input: string): unknown {
  try {
    return parseJson(input.replace(/^\uFEFF/, ''));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new FormatError('capture-json', 0, `not JSON: ${error.message}`, { cause: error });
  }
}

/** Programs have tags, maps have keys; links have neither and name a program. */
function readRows(rows: readonly unknown[]): Capture {
  const programs: LiveProgram[] = [];
  const maps: LiveMap[] = [];
  const links: LiveLink[] = [];
  let lost = 0;
  for (const row of rows) {
    const program = isObject(row) ? programOf(row, 'capture') : undefined;
    const map = isObject(row) && row.bytes_key !== undefined ? mapOf(row, 'capture') : undefined;
    const link = isObject(row) && row.prog_id !== undefined ? linkOf(row, 'capture') : undefined;
    if (program) programs.push(program);
    else if (map) maps.push(map);
    else if (link) links.push(link);
    else lost++;
  }
  if (lost > 0 && lost === rows.length) {
    throw new FormatError(
      'capture-shape',
      0,
      `no program among ${counted(rows.length, 'entry', 'entries')}: no 16-digit "tag"`,
    );
  }
  return { programs, maps, links, diagnostics: lostEntries(lost, rows.length) };
}

function lostEntries(lost: number, all: number): Diagnostic[] {
  if (lost === 0) return [];
  const what = lost === 1 ? 'is no program, map or link' : 'are no programs, maps or links';
  const message = `${lost} of ${counted(all, 'entry', 'entries')} ${what}`;
  return [{ severity: 'warning', code: 'capture-entry', where: 'capture', message }];
}

/** Our own document. Origins are not taken over: they are for the reader of the programs to find. */
function readDocument(document: Readonly<Record<string, unknown>>): Capture {
  const rows = objects(document.programs);
  const programs = rows.flatMap((row) => ownProgram(row) ?? []);
  return { programs, maps: [], links: [], diagnostics: lostEntries(rows.length - programs.length, rows.length) };
}

function ownProgram(json: Readonly<Record<string, unknown>>): LiveProgram | undefined {
  const tag = tagOf(json.tag);
  if (tag === undefined) return undefined;
  return {
    ...present('id', count(json.id)),
    ...present('type', nameOrNumber(json.type)),
    ...present('name', text(json.name)),
    tag,
    subprogramTags: strings(json.subprogramTags).flatMap((each) => tagOf(each) ?? []),
    ...(Array.isArray(json.functions) && { functions: objects(json.functions).map(ownFunction) }),
    ...present('loadedAt', text(json.loadedAt)),
    ...present('uid', count(json.uid)),
    ...present('gplCompatible', flag(json.gplCompatible)),
    ...present('xlatedLength', count(json.xlatedLength)),
    ...present('jitedLength', count(json.jitedLength)),
    ...present('address', text(json.address)),
    ...present('memlock', count(json.memlock)),
    ...present('verifiedInstructions', count(json.verifiedInstructions)),
    ...present('runTimeNs', count(json.runTimeNs)),
    ...present('runCount', count(json.runCount)),
    mapIds: counts(json.mapIds),
    ...present('btfId', count(json.btfId)),
    ...present('sourceFile', text(json.sourceFile)),
    ...present('sourceLine', count(json.sourceLine)),
    ...ownTarget(json.attachTo),
    ...present('ifindex', count(json.ifindex)),
    holders: objects(json.holders).flatMap((row) => ownHolder(row) ?? []),
    attachments: objects(json.attachments).flatMap((row) => ownAttachment(row) ?? []),
    pins: strings(json.pins),
    knownFrom: 'capture',
  };
}

function ownFunction(json: Readonly<Record<string, unknown>>): LiveFunction {
  return {
    ...present('name', text(json.name)),
    ...present('tag', tagOf(json.tag)),
    ...present('offset', count(json.offset)),
    ...present('address', text(json.address)),
  };
}

function ownTarget(json: unknown): Pick<LiveProgram, 'attachTo'> {
  if (!isObject(json)) return {};
  const btfObject = count(json.btfObject);
  const btfType = count(json.btfType);
  if (btfObject === undefined || btfType === undefined) return {};
  return { attachTo: { btfObject, btfType, ...present('name', text(json.name)) } };
}

const VIA = ['prog-fd', 'link-fd', 'map-fd', 'perf-fd'] as const;

function ownHolder(json: Readonly<Record<string, unknown>>): Holder | undefined {
  const pid = count(json.pid);
  if (pid === undefined) return undefined;
  const via = strings(json.via);
  return {
    pid,
    ...present('tid', count(json.tid)),
    comm: text(json.comm) ?? '',
    ...present('exe', text(json.exe)),
    ...present('startTime', text(json.startTime)),
    via: VIA.filter((each) => via.includes(each)),
  };
}

const SHARING = ['exclusive', 'override', 'multi'] as const;
const MODES = ['native', 'generic', 'offload'] as const;

function ownAttachment(json: Readonly<Record<string, unknown>>): Attachment | undefined {
  const kind = ATTACHMENT_KINDS.find((each) => each === json.kind);
  if (kind === undefined) return undefined;
  return {
    kind,
    target: text(json.target) ?? '',
    ...present('attachType', nameOrNumber(json.attachType)),
    ...present('linkId', count(json.linkId)),
    ...present(
      'sharing',
      SHARING.find((each) => each === json.sharing),
    ),
    ...present('cgroupId', count(json.cgroupId)),
    ...present('netns', count(json.netns)),
    ...present('ifindex', count(json.ifindex)),
    ...present(
      'mode',
      MODES.find((each) => each === json.mode),
    ),
    ...present('cookie', text(json.cookie)),
    ...present('mapId', count(json.mapId)),
    ...present('key', count(json.key)),
    ...present('pid', count(json.pid)),
  };
}

function tagOf(value: unknown): string | undefined {
  const tag = text(value);
  return tag !== undefined && /^[0-9a-f]{16}$/.test(tag) ? tag : undefined;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.flatMap((each) => text(each) ?? []) : [];
}

/** One key, or none. */
function present<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T };
function present(key: string, value: unknown): object {
  return value === undefined ? {} : { [key]: value };
}
