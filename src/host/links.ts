// Links through bpf(2): what each type says of the place where its program runs.
import { type Field, type Layout, viewOf } from '../bytes/layout.ts';
import { hex } from '../diagnostics.ts';
import { type Bpf, untilNul } from './bpf.ts';
import { LINK_INFO_SIZE, linkInfo, linkParts, perfParts } from './bpf-layouts.ts';
import { type BtfObjects, tolerate } from './btf-objects.ts';
import { counted } from './count.ts';
import { attachTypeName, linkTypeName, namespaceName } from './names.ts';
import { hexBytes } from './program-arrays.ts';
import type { Attachment, AttachmentKind, LiveLink } from './records.ts';
import { allocate } from './syscall.ts';

/** One link by id, or the errno as a negative number. */
export function readLink(bpf: Bpf, btfs: BtfObjects, id: number): LiveLink | number {
  return bpf.withObject('link', id, (descriptor) => {
    const buffer = allocate(LINK_INFO_SIZE);
    const length = bpf.fillInfo(descriptor, buffer);
    if (length < 0) return length;
    return describe(new LinkReader(bpf, btfs, descriptor, buffer, length));
  });
}

/** Names are paths or symbols; the kernel ends them within. */
const NAME_SIZE = 4096;
const PART = linkInfo.size;
const PERF_PART = PART + 8;

/** The info of one link, and the further questions that its type calls for. */
class LinkReader {
  readonly btfs: BtfObjects;
  readonly length: number;
  readonly #bpf: Bpf;
  readonly #descriptor: number;
  readonly #buffer: Uint8Array;

  constructor(bpf: Bpf, btfs: BtfObjects, descriptor: number, buffer: Uint8Array, length: number) {
    this.#bpf = bpf;
    this.btfs = btfs;
    this.#descriptor = descriptor;
    this.#buffer = buffer;
    this.length = length;
  }

  /** What the kernel does not know reads as zero. */
  read<T>(struct: Field<T>, at: number): T {
    return struct.read(viewOf(this.#buffer), at, this.#bpf.little);
  }

  /** The part of its type as bytes. */
  get part(): Uint8Array {
    return this.#buffer.subarray(PART, Math.max(PART, this.length));
  }

  /** A string the kernel writes where the pointer at `pointer` leads, when its length stands at `size`. */
  text(pointer: number, size: number): string {
    const buffer = allocate(LINK_INFO_SIZE);
    const text = allocate(NAME_SIZE);
    const view = viewOf(buffer);
    view.setBigUint64(pointer, this.#bpf.sys.address(text), this.#bpf.little);
    view.setUint32(size, text.length, this.#bpf.little);
    return this.#bpf.fillInfo(this.#descriptor, buffer) < 0 ? '' : untilNul(text);
  }
}

function describe(link: LinkReader): LiveLink {
  const { type, id, prog_id } = link.read(linkInfo, 0);
  const name = linkTypeName(type);
  const place = describePlace(link, name);
  const { mapId, ...attachment } = place ?? {};
  const base = {
    id,
    type: name,
    ...(prog_id > 0 && { programId: prog_id }),
    ...(mapId !== undefined && mapId > 0 && { mapId }),
    holders: [],
    pins: [],
    knownFrom: 'bpf' as const,
  };
  if (place === undefined) return { ...base, raw: hexBytes(link.part) };
  return isPlace(attachment) ? { ...base, attachment: { ...attachment, linkId: id } } : base;
}

type Place = Partial<Attachment>;

function isPlace(place: Place): place is Attachment {
  return place.kind !== undefined && place.target !== undefined;
}

/** Where the link attaches its program; `undefined` for a type that is not known here. */
function describePlace(link: LinkReader, type: string | number): Place | undefined {
  switch (type) {
    case 'raw_tracepoint': {
      const { cookie } = link.read(linkParts.raw_tracepoint, PART);
      const target = link.text(...stringAt(linkParts.raw_tracepoint, 'tp_name', 'tp_name_len'));
      return { kind: 'raw_tracepoint', target, ...withCookie(cookie) };
    }
    case 'tracing':
      return describeTracing(link);
    case 'cgroup': {
      const { cgroup_id, attach_type } = link.read(linkParts.cgroup, PART);
      const attachType = attachTypeName(attach_type);
      // A link whose cgroup was removed stays, detached, and says 0.
      return cgroup_id === 0 ? {} : { kind: 'cgroup', target: `cgroup ${cgroup_id}`, cgroupId: cgroup_id, attachType };
    }
    case 'iter': {
      const { map_id } = link.read(linkParts.iter, PART);
      const target = link.text(...stringAt(linkParts.iter, 'target_name', 'target_name_len'));
      return { kind: 'iter', target, mapId: map_id };
    }
    case 'netns': {
      const { netns_ino, attach_type } = link.read(linkParts.netns, PART);
      if (netns_ino === 0) return {};
      return {
        kind: 'netns',
        target: namespaceName(netns_ino),
        netns: netns_ino,
        attachType: attachTypeName(attach_type),
      };
    }
    case 'xdp':
      return device('xdp', link.read(linkParts.xdp, PART).ifindex);
    case 'tcx':
    case 'netkit': {
      const { ifindex, attach_type } = link.read(linkParts.tcx, PART);
      return device(type, ifindex, attachTypeName(attach_type));
    }
    case 'perf_event':
      return describePerfEvent(link);
    case 'kprobe_multi': {
      const { count, flags } = link.read(linkParts.kprobe_multi, PART);
      return { kind: 'kprobe_multi', target: counted(count, flags & 1 ? 'function return' : 'function') };
    }
    case 'uprobe_multi': {
      const { count, pid } = link.read(linkParts.uprobe_multi, PART);
      const path = link.text(...stringAt(linkParts.uprobe_multi, 'path', 'path_size'));
      return { kind: 'uprobe_multi', target: `${path}: ${counted(count, 'place')}`, ...(pid > 0 && { pid }) };
    }
    case 'struct_ops':
      return { mapId: link.read(linkParts.struct_ops, PART).map_id };
    case 'sockmap': {
      const { map_id, attach_type } = link.read(linkParts.sockmap, PART);
      return { kind: 'sockmap', target: `map ${map_id}`, mapId: map_id, attachType: attachTypeName(attach_type) };
    }
    case 'netfilter': {
      const { pf, hooknum, priority } = link.read(linkParts.netfilter, PART);
      return { kind: 'netfilter', target: `protocol family ${pf}, hook ${hooknum}, priority ${priority | 0}` };
    }
    default:
      return undefined;
  }
}

/** Absolute places of a string's pointer and length in the info of a link. */
function stringAt<F extends Readonly<Record<string, Field<unknown>>>>(
  struct: Layout<F>,
  pointer: keyof F,
  size: keyof F,
  at = PART,
): [number, number] {
  return [at + struct.offsets[pointer], at + struct.offsets[size]];
}

function withCookie(cookie: bigint): { cookie?: string } {
  return cookie === 0n ? {} : { cookie: hex(cookie) };
}

/** A device that was removed leaves its link behind with ifindex 0. */
function device(kind: 'xdp' | 'tcx' | 'netkit', ifindex: number, attachType?: string | number): Place {
  if (ifindex === 0) return {};
  return { kind, target: `interface ${ifindex}`, ifindex, ...(attachType !== undefined && { attachType }) };
}

const TRACING_KINDS: Readonly<Partial<Record<string | number, AttachmentKind>>> = {
  trace_fentry: 'fentry',
  trace_fexit: 'fexit',
  modify_return: 'fmod_ret',
  lsm_mac: 'lsm',
  trace_raw_tp: 'raw_tracepoint',
};

function describeTracing(link: LinkReader): Place {
  const { attach_type, target_obj_id, target_btf_id, cookie } = link.read(linkParts.tracing, PART);
  const btf = target_obj_id > 0 ? link.btfs.get(target_obj_id) : undefined;
  const target = btf && tolerate(() => btf.name(target_btf_id));
  const attachType = attachTypeName(attach_type);
  return {
    // Extensions of other programs have no attach type of their own: 0.
    kind: TRACING_KINDS[attachType] ?? (attach_type === 0 ? 'ext' : 'tracing'),
    target: target || `type ${target_btf_id} of BTF ${target_obj_id}`,
    ...(attach_type > 0 && { attachType }),
    ...withCookie(cookie),
  };
}

/** enum bpf_perf_event_type, since 6.6; kernels before say nothing but that it is a perf event. */
const PERF_KINDS: readonly (AttachmentKind | undefined)[] = [
  undefined,
  'uprobe',
  'uretprobe',
  'kprobe',
  'kretprobe',
  'tracepoint',
  'perf_event',
];

function describePerfEvent(link: LinkReader): Place {
  const kind = PERF_KINDS[link.read(linkParts.perf_event, PART).type];
  switch (kind) {
    case 'uprobe':
    case 'uretprobe': {
      const { offset, cookie } = link.read(perfParts.uprobe, PERF_PART);
      const path = link.text(...stringAt(perfParts.uprobe, 'name', 'name_len', PERF_PART));
      return { kind, target: `${path}:${hex(offset)}`, ...withCookie(cookie) };
    }
    case 'kprobe':
    case 'kretprobe': {
      const { offset, addr, cookie } = link.read(perfParts.kprobe, PERF_PART);
      const name = link.text(...stringAt(perfParts.kprobe, 'name', 'name_len', PERF_PART));
      return { kind, target: kernelPlace(name, offset, addr), ...withCookie(cookie) };
    }
    case 'tracepoint': {
      const { cookie } = link.read(perfParts.tracepoint, PERF_PART);
      const target = link.text(...stringAt(perfParts.tracepoint, 'name', 'name_len', PERF_PART));
      return { kind, target, ...withCookie(cookie) };
    }
    case 'perf_event': {
      const { type, config, cookie } = link.read(perfParts.event, PERF_PART);
      return { kind, target: `type ${type}, config ${hex(config)}`, ...withCookie(cookie) };
    }
    default:
      return {};
  }
}

/** `do_unlinkat`, `do_unlinkat+0x4`, or the address of what has no name. */
export function kernelPlace(name: string, offset: number | bigint, address: bigint): string {
  if (name === '') return hex(address);
  return BigInt(offset) === 0n ? name : `${name}+${hex(offset)}`;
}
