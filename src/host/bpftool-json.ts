// What bpftool prints with -j, version 5 to 7, as our own records. Every key may be missing.
import { count, counts, flag, isObject, nameOrNumber, objects, text } from './json.ts';
import type { AttachedProgram } from './map-contents.ts';
import { namespaceName } from './names.ts';
import { isoTime } from './programs.ts';
import type { Attachment, AttachmentKind, Backend, Holder, LiveLink, LiveMap, LiveProgram } from './records.ts';

type Json = Readonly<Record<string, unknown>>;

const TAG = /^[0-9a-f]{16}$/;

/** `undefined` for what is not a program: it has no tag. */
export function programOf(json: Json, knownFrom: Backend): LiveProgram | undefined {
  const tag = text(json.tag);
  if (tag === undefined || !TAG.test(tag)) return undefined;
  const facts = {
    id: count(json.id),
    type: nameOrNumber(json.type),
    name: text(json.name),
    loadedAt: loadTime(json.loaded_at),
    uid: count(json.uid),
    gplCompatible: flag(json.gpl_compatible),
    xlatedLength: count(json.bytes_xlated),
    jitedLength: flag(json.jited) === false ? 0 : count(json.bytes_jited),
    memlock: count(json.bytes_memlock),
    runTimeNs: count(json.run_time_ns),
    runCount: count(json.run_cnt),
    btfId: count(json.btf_id),
    ifindex: isObject(json.dev) ? count(json.dev.ifindex) : undefined,
  };
  return {
    ...withoutAbsent(facts),
    tag,
    subprogramTags: [],
    mapIds: counts(json.map_ids),
    holders: holdersOf(json, 'prog-fd'),
    attachments: [],
    pins: paths(json.pinned),
    knownFrom,
  };
}

export function mapOf(json: Json, knownFrom: Backend): LiveMap | undefined {
  const id = count(json.id);
  const type = nameOrNumber(json.type);
  if (id === undefined || type === undefined) return undefined;
  const facts = {
    name: text(json.name),
    keySize: count(json.bytes_key),
    valueSize: count(json.bytes_value),
    maxEntries: count(json.max_entries),
    flags: count(json.flags),
    memlock: count(json.bytes_memlock),
    frozen: flag(json.frozen),
    ownerProgramType: nameOrNumber(json.owner_prog_type),
    ownerJited: flag(json.owner_jited),
  };
  // Lists of 7.x carry the btf_id of the map before where a map has none: it is left out rather than believed.
  return {
    id,
    type,
    ...withoutAbsent(facts),
    holders: holdersOf(json, 'map-fd'),
    pins: paths(json.pinned),
    knownFrom,
  };
}

export function linkOf(json: Json, knownFrom: Backend): LiveLink | undefined {
  const id = count(json.id);
  const type = nameOrNumber(json.type);
  if (id === undefined || type === undefined) return undefined;
  const attachment = linkPlace(json, type);
  return {
    id,
    type,
    ...withoutAbsent({ programId: count(json.prog_id) || undefined, mapId: count(json.map_id) }),
    ...(attachment && { attachment: { ...attachment, linkId: id } }),
    holders: holdersOf(json, 'link-fd'),
    pins: paths(json.pinned),
    knownFrom,
  };
}

function linkPlace(json: Json, type: string | number): Attachment | undefined {
  const attachType = nameOrNumber(json.attach_type);
  const cgroupId = count(json.cgroup_id);
  const netns = count(json.netns_ino);
  const ifindex = count(json.ifindex);
  const more = withoutAbsent({
    attachType,
    cgroupId: cgroupId || undefined,
    netns,
    ifindex,
    cookie: text(json.cookie),
  });
  const at = (kind: AttachmentKind, target: string | number | undefined): Attachment | undefined =>
    target === undefined ? undefined : { kind, target: String(target), ...more };
  switch (type) {
    case 'raw_tracepoint':
      return at(type, text(json.tp_name));
    case 'cgroup':
      return at(type, cgroupId ? `cgroup ${cgroupId}` : undefined);
    case 'netns':
      return at(type, netns === undefined ? undefined : namespaceName(netns));
    case 'iter':
      return at(type, text(json.target_name));
    case 'xdp':
    case 'tcx':
    case 'netkit':
      return at(type, text(json.devname) ?? ifindex);
    case 'tracing':
      return at(type, nameOrNumber(json.target_name) ?? nameOrNumber(json.target_btf_id) ?? attachType);
    case 'perf_event':
      return perfPlace(json, at);
    default:
      return undefined;
  }
}

type At = (kind: AttachmentKind, target: string | undefined) => Attachment | undefined;

function perfPlace(json: Json, at: At): Attachment | undefined {
  const returns = flag(json.retprobe) === true;
  if (text(json.tracepoint)) return at('tracepoint', text(json.tracepoint));
  if (text(json.func)) return at(returns ? 'kretprobe' : 'kprobe', text(json.func));
  if (text(json.file))
    return at(returns ? 'uretprobe' : 'uprobe', `${text(json.file)}:0x${(count(json.offset) ?? 0).toString(16)}`);
  return at('perf_event', text(json.event_type));
}

/** `cgroup tree` has a list of programs a cgroup; `cgroup show` is such a list alone, and says no path. */
export function cgroupPlaces(json: unknown): AttachedProgram[] {
  return objects(json).flatMap(({ cgroup, programs }) =>
    objects(programs).flatMap(({ id, attach_type, attach_flags }) => {
      const programId = count(id);
      const target = text(cgroup);
      if (programId === undefined || target === undefined) return [];
      const attachType = nameOrNumber(attach_type);
      const attachment: Attachment = {
        kind: 'cgroup',
        target,
        ...withoutAbsent({ attachType }),
        ...sharing(attach_flags),
      };
      return [{ programId, attachment }];
    }),
  );
}

function sharing(flags: unknown): Pick<Attachment, 'sharing'> {
  if (flags === 'multi' || flags === 'override') return { sharing: flags };
  return flags === '' ? { sharing: 'exclusive' } : {};
}

/** `net show`: kinds are `clsact/ingress`, `tcx/egress`, `driver`. tcx and netkit say prog_id, the others id. */
export function netPlaces(json: unknown, netns?: number): AttachedProgram[] {
  const more = withoutAbsent({ netns });
  return objects(json).flatMap((net) => [
    ...objects(net.xdp).flatMap((entry) =>
      place(entry, {
        kind: 'xdp',
        target: device(entry),
        ...more,
        ...withoutAbsent({ ifindex: count(entry.ifindex) }),
        ...xdpMode(entry.mode),
      }),
    ),
    ...objects(net.tc).flatMap((entry) => {
      const kind = text(entry.kind) ?? '';
      const family = kind.startsWith('tcx') ? 'tcx' : kind.startsWith('netkit') ? 'netkit' : 'tc';
      const linkId = count(entry.link_id) || undefined;
      const attachType = family === 'tc' ? kind.replace('clsact/', '') : kind.replace('/', '_');
      return place(entry, {
        kind: family,
        target: device(entry),
        ...more,
        ...withoutAbsent({ ifindex: count(entry.ifindex), linkId, attachType }),
      });
    }),
    ...objects(net.flow_dissector).flatMap((entry) =>
      place(entry, {
        kind: 'netns',
        target: netns === undefined ? 'unknown' : namespaceName(netns),
        attachType: 'flow_dissector',
        ...more,
      }),
    ),
  ]);
}

function place(entry: Json, attachment: Attachment): AttachedProgram[] {
  const programId = count(entry.prog_id) ?? count(entry.id);
  return programId === undefined ? [] : [{ programId, attachment }];
}

function device(entry: Json): string {
  return text(entry.devname) ?? `interface ${count(entry.ifindex) ?? '?'}`;
}

const XDP_MODES: Readonly<Record<string, 'native' | 'generic' | 'offload'>> = {
  driver: 'native',
  generic: 'generic',
  offload: 'offload',
};

function xdpMode(mode: unknown): Pick<Attachment, 'mode'> {
  const known = typeof mode === 'string' ? XDP_MODES[mode] : undefined;
  return known === undefined ? {} : { mode: known };
}

/** Seconds since 1970; 4.x printed a date without a time zone, which is no fact. */
function loadTime(value: unknown): string | undefined {
  const seconds = count(value);
  return seconds === undefined ? undefined : isoTime(seconds * 1000);
}

function holdersOf({ pids }: Json, via: 'prog-fd' | 'map-fd' | 'link-fd'): Holder[] {
  return objects(pids).flatMap(({ pid, comm }) => {
    const number = count(pid);
    return number === undefined ? [] : [{ pid: number, comm: text(comm) ?? '', via: [via] }];
  });
}

function paths(value: unknown): string[] {
  return Array.isArray(value) ? value.flatMap((path) => text(path) ?? []) : [];
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** Absent facts are absent keys. */
function withoutAbsent<T extends object>(facts: T): Present<T>;
function withoutAbsent(facts: object): object {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}
