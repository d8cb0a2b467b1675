// Programs, maps and links as far as /proc alone knows them: descriptors that this user may see, and the symbols of kallsyms.
import { mapTypeName } from '../object/map-types.ts';
import { numberOf } from './fdinfo.ts';
import type { Held } from './holders.ts';
import type { Observations } from './merge.ts';
import { attachTypeName, namespaceName, programTypeName } from './names.ts';
import type { Attachment, KernelSymbol, LiveLink, LiveMap, LiveProgram } from './records.ts';

const UNKNOWN = { holders: [], attachments: [], pins: [] } as const;

/** The same observations, with the objects that they imply. */
export function withoutCalls(seen: Observations, symbols: readonly KernelSymbol[]): Observations {
  const held = heldPrograms(seen.held);
  const listed = new Set(held.map(({ tag }) => tag));
  return {
    ...seen,
    programs: [
      ...held.map((program) => withName(program, symbols)),
      ...symbols.filter(({ tag }) => !listed.has(tag)).map(fromSymbol),
    ],
    maps: unique(seen.held.filter(({ mapId }) => mapId !== undefined).map(heldMap)),
    links: unique(seen.held.filter(({ linkId }) => linkId !== undefined).map(heldLink)),
  };
}

/** A link names its program and the tag; the program's own descriptor says more. */
function heldPrograms(held: readonly Held[]): LiveProgram[] {
  const programs = new Map<number, LiveProgram>();
  for (const { programId, via, fdinfo } of held) {
    const tag = fdinfo.get('prog_tag');
    if (programId === undefined || tag === undefined || !/^[0-9a-f]{16}$/.test(tag)) continue;
    if (programs.has(programId) && via !== 'prog-fd') continue;
    const type = numberOf(fdinfo, 'prog_type');
    const memlock = numberOf(fdinfo, 'memlock');
    const verified = numberOf(fdinfo, 'verified_insns');
    programs.set(programId, {
      id: programId,
      ...(type !== undefined && { type: programTypeName(type) }),
      tag,
      subprogramTags: [],
      ...(memlock !== undefined && { memlock }),
      ...(verified !== undefined && { verifiedInstructions: verified }),
      mapIds: [],
      ...UNKNOWN,
      knownFrom: 'fdinfo',
    });
  }
  return [...programs.values()].sort((a, b) => (a.id ?? 0) - (b.id ?? 0));
}

/** Only where every symbol with this tag has the same name. */
function withName(program: LiveProgram, symbols: readonly KernelSymbol[]): LiveProgram {
  const names = new Set(symbols.filter(({ tag }) => tag === program.tag).map(({ name }) => name));
  const [name] = names;
  return names.size === 1 && name ? { ...program, name } : program;
}

/** Subprograms have symbols of the same kind: which belong together is not to be told from here. */
function fromSymbol({ tag, name, address }: KernelSymbol): LiveProgram {
  return {
    ...(name !== '' && { name }),
    tag,
    subprogramTags: [],
    ...(address !== undefined && { address }),
    mapIds: [],
    ...UNKNOWN,
    knownFrom: 'kallsyms',
  };
}

function heldMap({ mapId, fdinfo }: Held): LiveMap {
  const type = numberOf(fdinfo, 'map_type');
  const flags = fdinfo.get('map_flags');
  const keySize = numberOf(fdinfo, 'key_size');
  const valueSize = numberOf(fdinfo, 'value_size');
  const maxEntries = numberOf(fdinfo, 'max_entries');
  const memlock = numberOf(fdinfo, 'memlock');
  const frozen = numberOf(fdinfo, 'frozen');
  return {
    id: mapId ?? 0,
    type: mapTypeName(type ?? 0),
    ...(keySize !== undefined && { keySize }),
    ...(valueSize !== undefined && { valueSize }),
    ...(maxEntries !== undefined && { maxEntries }),
    ...(flags !== undefined && /^0x[0-9a-f]{1,8}$/.test(flags) && { flags: Number(flags) }),
    ...(memlock !== undefined && { memlock }),
    ...(frozen !== undefined && { frozen: frozen !== 0 }),
    holders: [],
    pins: [],
    knownFrom: 'fdinfo',
  };
}

function heldLink({ linkId, programId, fdinfo }: Held): LiveLink {
  const type = fdinfo.get('link_type') ?? 'unspec';
  const attachment = linkPlace(type, fdinfo);
  const mapId = numberOf(fdinfo, 'map_id');
  return {
    id: linkId ?? 0,
    // Where bpftool says perf_event, fdinfo says perf.
    type: type === 'perf' ? 'perf_event' : type,
    ...(programId !== undefined && { programId }),
    ...(mapId !== undefined && { mapId }),
    ...(attachment && { attachment: { ...attachment, ...(linkId !== undefined && { linkId }) } }),
    holders: [],
    pins: [],
    knownFrom: 'fdinfo',
  };
}

/** The places that fdinfo spells out; others are seen by the views they belong to. */
function linkPlace(type: string, fdinfo: ReadonlyMap<string, string>): Attachment | undefined {
  const ifindex = numberOf(fdinfo, 'ifindex');
  const cgroupId = numberOf(fdinfo, 'cgroup_id');
  const netns = numberOf(fdinfo, 'netns_ino');
  const number = /^\d{1,9}/.exec(fdinfo.get('attach_type') ?? '')?.[0];
  const attachType = number === undefined ? {} : { attachType: attachTypeName(Number(number)) };
  const tracepoint = fdinfo.get('tp_name');
  if (type === 'cgroup' && cgroupId) return { kind: 'cgroup', target: `cgroup ${cgroupId}`, cgroupId, ...attachType };
  if (type === 'netns' && netns) return { kind: 'netns', target: namespaceName(netns), netns, ...attachType };
  if (type === 'xdp' && ifindex) return { kind: 'xdp', target: `interface ${ifindex}`, ifindex };
  if (type === 'tcx' && ifindex) return { kind: 'tcx', target: `interface ${ifindex}`, ifindex, ...attachType };
  if (type === 'raw_tracepoint' && tracepoint) return { kind: 'raw_tracepoint', target: tracepoint };
  if (type === 'perf') return perfPlace(fdinfo);
  return undefined;
}

function perfPlace(fdinfo: ReadonlyMap<string, string>): Attachment | undefined {
  const name = fdinfo.get('tp_name') ?? fdinfo.get('name');
  const kind = fdinfo.get('event_type');
  if (name === undefined) return undefined;
  if (kind === 'tracepoint') return { kind, target: name };
  if (kind === 'uprobe' || kind === 'uretprobe') return { kind, target: `${name}:${fdinfo.get('offset') ?? ''}` };
  if (kind === 'kprobe' || kind === 'kretprobe') return { kind, target: name };
  return undefined;
}

function unique<T extends { readonly id: number }>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [item.id, item])).values()].sort((a, b) => a.id - b.id);
}
