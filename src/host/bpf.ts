// Questions to bpf(2): one method a command. Answers are numbers, or the errno as a negative one.
// Knows how to ask; what an answer means is for others.
import { type Field, type Layout, type Row, viewOf } from '../bytes/layout.ts';
import { attrs } from './bpf-layouts.ts';
import { allocate, BPF, type BpfCommand, ERRNO, type Sys } from './syscall.ts';

export type ObjectKind = 'program' | 'map' | 'link' | 'btf';

/** An info struct and how much of it this kernel filled in. */
export interface Info<F extends Fields> {
  readonly row: Row<F>;
  /** Whether the kernel knows this member. */
  has(member: keyof F): boolean;
  readonly bytes: Uint8Array;
}
type Fields = Readonly<Record<string, Field<unknown>>>;

export interface QueryAnswer {
  readonly programIds: readonly number[];
  /** Parallel to `programIds`; 0 where a program has no link, absent where the kernel does not say. */
  readonly linkIds?: readonly number[];
  readonly flags: number;
}
export interface PerfAnswer {
  readonly programId: number;
  readonly type: number;
  readonly name: string;
  readonly offset: bigint;
  readonly address: bigint;
}

const COMMANDS: Readonly<Record<ObjectKind, { next: BpfCommand; open: BpfCommand }>> = {
  program: { next: BPF.PROG_GET_NEXT_ID, open: BPF.PROG_GET_FD_BY_ID },
  map: { next: BPF.MAP_GET_NEXT_ID, open: BPF.MAP_GET_FD_BY_ID },
  link: { next: BPF.LINK_GET_NEXT_ID, open: BPF.LINK_GET_FD_BY_ID },
  btf: { next: BPF.BTF_GET_NEXT_ID, open: BPF.BTF_GET_FD_BY_ID },
};

/** The kernel writes what it has to say even past a `size` that is too small: every attribute has room for all of the union. */
const ATTR_SIZE = 168;
const BPF_F_RDONLY = 8;
const MAX_IDS = 1 << 20;
const PATH_SIZE = 4096;
const FIRST_QUERY = 64;
/** The kernel runs at most 64 programs at one place of a cgroup, and mprog as many at a device. */
const MAX_QUERY = 4096;

export class Bpf {
  readonly sys: Sys;
  readonly #attr = allocate(ATTR_SIZE);
  readonly #view = viewOf(this.#attr);
  /** `#attr` cut to each struct that was ever asked with. */
  readonly #windows = new Map<number, Uint8Array>();
  readonly #text = allocate(PATH_SIZE);
  readonly #probe = allocate(ATTR_SIZE).subarray(0, attrs.id.size);
  readonly #probeView = viewOf(this.#probe);
  #programIds: Numbers;
  #linkIds: Numbers;

  constructor(sys: Sys) {
    this.sys = sys;
    this.#programIds = this.#numbers(FIRST_QUERY);
    this.#linkIds = this.#numbers(FIRST_QUERY);
  }

  get little(): boolean {
    return this.sys.littleEndian;
  }

  /** Every id that the kernel lists, ascending; `errno` is 0 when the list came to its end. */
  ids(kind: ObjectKind): { readonly ids: readonly number[]; readonly errno: number } {
    const { next } = COMMANDS[kind];
    const { next_id } = attrs.id.offsets;
    const ids: number[] = [];
    for (let id = 0; ids.length < MAX_IDS; ) {
      const result = this.#call(next, attrs.id, { id });
      if (result < 0) return { ids, errno: result === -ERRNO.ENOENT ? 0 : -result };
      const following = this.#view.getUint32(next_id, this.little);
      if (following <= id) break;
      id = following;
      ids.push(id);
    }
    return { ids, errno: 0 };
  }

  /** A descriptor, which the caller closes. */
  open(kind: ObjectKind, id: number): number {
    return this.#call(COMMANDS[kind].open, attrs.id, { id, open_flags: kind === 'map' ? BPF_F_RDONLY : 0 });
  }

  /** Whether the kernel opens an id. Asked of tens of thousands: nothing is made anew for each. */
  exists(kind: ObjectKind, id: number): boolean {
    this.#probeView.setUint32(attrs.id.offsets.id, id, this.little);
    this.#probeView.setUint32(attrs.id.offsets.open_flags, kind === 'map' ? BPF_F_RDONLY : 0, this.little);
    const descriptor = this.sys.bpf(COMMANDS[kind].open, this.#probe);
    if (descriptor >= 0) this.sys.close(descriptor);
    return descriptor >= 0;
  }

  /** What `use` makes of the object, or the errno of opening it as a negative number. The descriptor is closed again. */
  withObject<T>(kind: ObjectKind, id: number, use: (descriptor: number) => T): T | number {
    const descriptor = this.open(kind, id);
    if (descriptor < 0) return descriptor;
    try {
      return use(descriptor);
    } finally {
      this.sys.close(descriptor);
    }
  }

  /** Fills `buffer` with what the kernel knows; `buffer` may carry pointers and counts. Returns how many bytes that was. */
  fillInfo(descriptor: number, buffer: Uint8Array): number {
    const result = this.#call(BPF.OBJ_GET_INFO_BY_FD, attrs.info, {
      bpf_fd: descriptor,
      info_len: buffer.length,
      info: this.sys.address(buffer),
    });
    return result < 0 ? result : this.#view.getUint32(attrs.info.offsets.info_len, this.little);
  }

  /** The info struct of an open object, with the inputs that `prepare` writes into it. */
  info<F extends Fields>(descriptor: number, struct: Layout<F>, prepare?: (view: DataView) => void): Info<F> | number {
    const buffer = allocate(struct.size);
    prepare?.(viewOf(buffer));
    const length = this.fillInfo(descriptor, buffer);
    if (length < 0) return length;
    return {
      row: struct.read(viewOf(buffer), 0, this.little),
      has: (member) => (struct.offsets[member] ?? length) + (struct.fields[member]?.size ?? 0) <= length,
      bytes: buffer.subarray(0, length),
    };
  }

  /**
   * The programs attached to a cgroup, network namespace or map (a descriptor) or device (an ifindex). `extra` asks for
   * link ids as well, which kernels before 6.6 and other targets than devices refuse; or for flags of each program,
   * without which 6.0 and later do not answer for LSM hooks of cgroups.
   */
  query(target: number, attachType: number, extra?: 'links' | 'flags'): QueryAnswer | number {
    for (let room = this.#programIds.room; ; room *= 2) {
      if (room > this.#programIds.room) {
        this.#programIds = this.#numbers(room);
        this.#linkIds = this.#numbers(room);
      }
      const result = this.#call(BPF.PROG_QUERY, attrs.query, {
        target_fd: target,
        attach_type: attachType,
        prog_ids: this.#programIds.address,
        prog_cnt: room,
        prog_attach_flags: extra === 'flags' ? this.#linkIds.address : 0n,
        link_ids: extra === 'links' ? this.#linkIds.address : 0n,
      });
      if (result === -ERRNO.ENOSPC && room < MAX_QUERY) continue;
      if (result < 0) return result;
      const { attach_flags, prog_cnt } = attrs.query.offsets;
      const count = Math.min(this.#view.getUint32(prog_cnt, this.little), room);
      const answer = {
        programIds: this.#read(this.#programIds, count),
        flags: this.#view.getUint32(attach_flags, this.little),
      };
      return extra === 'links' ? { ...answer, linkIds: this.#read(this.#linkIds, count) } : answer;
    }
  }

  /** The program behind a perf event of another process. */
  perfEvent(pid: number, descriptor: number): PerfAnswer | number {
    this.#text.fill(0);
    const result = this.#call(BPF.TASK_FD_QUERY, attrs.taskFd, {
      pid,
      fd: descriptor,
      buf_len: this.#text.length,
      buf: this.sys.address(this.#text),
    });
    if (result < 0) return result;
    const row = attrs.taskFd.read(this.#view, 0, this.little);
    return {
      programId: row.prog_id,
      type: row.fd_type,
      name: untilNul(this.#text),
      offset: row.probe_offset,
      address: row.probe_addr,
    };
  }

  /** Opens what is pinned at `path`, without opening the file: reading an iterator's pin would run its program. */
  openPin(path: Uint8Array): number {
    if (path.length >= PATH_SIZE) return -ERRNO.ENAMETOOLONG;
    this.#text.fill(0);
    this.#text.set(path);
    const pathname = this.sys.address(this.#text);
    const result = this.#call(BPF.OBJ_GET, attrs.objectGet, { pathname, file_flags: BPF_F_RDONLY });
    // Links are only given out for reading and writing (bpf_obj_get_user).
    return result === -ERRNO.EINVAL ? this.#call(BPF.OBJ_GET, attrs.objectGet, { pathname }) : result;
  }

  /** The key after `key`, into `next`; after `undefined` comes the first. */
  nextKey(map: number, key: Uint8Array | undefined, next: Uint8Array): number {
    return this.#call(BPF.MAP_GET_NEXT_KEY, attrs.element, {
      map_fd: map,
      ...(key && { key: this.sys.address(key) }),
      value: this.sys.address(next),
    });
  }

  lookup(map: number, key: Uint8Array, value: Uint8Array): number {
    return this.#call(BPF.MAP_LOOKUP_ELEM, attrs.element, {
      map_fd: map,
      key: this.sys.address(key),
      value: this.sys.address(value),
    });
  }

  #numbers(room: number): Numbers {
    const buffer = allocate(4 * room);
    return { room, view: viewOf(buffer), address: this.sys.address(buffer) };
  }

  #read({ view }: Numbers, count: number): number[] {
    return Array.from({ length: count }, (_, index) => view.getUint32(4 * index, this.little));
  }

  /** The kernel takes a shorter or longer attribute than its own, as long as what it does not know is zero. */
  #call<F extends Fields>(
    command: BpfCommand,
    struct: Layout<F>,
    values: { readonly [K in keyof F]?: number | bigint },
  ): number {
    const window = this.#windows.get(struct.size) ?? this.#attr.subarray(0, struct.size);
    this.#windows.set(struct.size, window);
    window.fill(0);
    for (const member in values) {
      const at = struct.offsets[member];
      const value = values[member];
      if (at === undefined || value === undefined) continue;
      if (typeof value === 'bigint') this.#view.setBigUint64(at, value, this.little);
      else this.#view.setUint32(at, value, this.little);
    }
    return this.sys.bpf(command, window);
  }
}

/** 32-bit numbers where the kernel can write them. */
interface Numbers {
  readonly room: number;
  readonly view: DataView;
  readonly address: bigint;
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** A string in a buffer of fixed size. */
export function untilNul(buffer: Uint8Array): string {
  const end = buffer.indexOf(0);
  return utf8.decode(end < 0 ? buffer : buffer.subarray(0, end));
}

/** The same, `undefined` when it is empty. */
export function nameOf(buffer: Uint8Array): string | undefined {
  return untilNul(buffer) || undefined;
}
