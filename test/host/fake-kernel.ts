// A kernel for tests that answers bpf(2) out of records, in either byte order and of any age. Offsets are those of
// include/uapi/linux/bpf.h, written down here a second time on purpose.
import type { BpfCommand, Native, Net, Sys } from '../../src/host/syscall.ts';

const ENOENT = 2;
const E2BIG = 7;
const EINVAL = 22;
const ENOSYS = 38;

export interface FakeObject {
  /** The info struct as the kernel would return it without arrays. */
  readonly info: Uint8Array;
  /** Arrays by the offset of their pointer: what is there, the offset of their count, and bytes an element. */
  readonly arrays?: Readonly<
    Record<number, { readonly content: Uint8Array; readonly count: number; readonly size: number }>
  >;
  readonly fdinfo?: string;
}

export type FakeKind = 'program' | 'map' | 'link' | 'btf';

export interface FakeOptions {
  readonly little?: boolean;
  /** Bytes of the info structs that this kernel knows. */
  readonly infoSize?: number;
  /** errno by command number, instead of an answer. */
  readonly refuse?: Readonly<Record<number, number>>;
}

const NEXT: Readonly<Record<number, FakeKind>> = { 11: 'program', 12: 'map', 23: 'btf', 31: 'link' };
const OPEN: Readonly<Record<number, FakeKind>> = { 13: 'program', 14: 'map', 19: 'btf', 30: 'link' };
const LINKS = {
  program: 'anon_inode:bpf-prog',
  map: 'anon_inode:bpf-map',
  link: 'anon_inode:bpf_link',
  btf: 'anon_inode:btf',
};

export class FakeKernel implements Sys {
  readonly littleEndian: boolean;
  readonly objects: Readonly<Record<FakeKind, Map<number, FakeObject>>> = {
    program: new Map(),
    map: new Map(),
    link: new Map(),
    btf: new Map(),
  };
  /** Ids that are not listed, though they open. */
  readonly hidden = new Set<number>();
  /** Listed, and gone when they are opened. */
  readonly vanishing = new Set<number>();
  readonly commands: number[] = [];
  readonly open = new Map<number, { kind: FakeKind; object: FakeObject }>();
  readonly #infoSize: number;
  readonly #refuse: Readonly<Record<number, number>>;
  readonly #memory = new Map<bigint, Uint8Array>();
  #nextDescriptor = 100;
  #nextAddress = 0x1_0000n;

  constructor({ little = true, infoSize = 4096, refuse = {} }: FakeOptions = {}) {
    this.littleEndian = little;
    this.#infoSize = infoSize;
    this.#refuse = refuse;
  }

  address(buffer: Uint8Array): bigint {
    const address = this.#nextAddress;
    this.#nextAddress += 0x1_0000n;
    this.#memory.set(address, buffer);
    return address;
  }

  link(descriptor: number): string {
    return LINKS[this.open.get(descriptor)?.kind ?? 'btf'];
  }

  fdinfo(descriptor: number): string {
    return this.open.get(descriptor)?.object.fdinfo ?? 'pos:\t0\nflags:\t02000002\n';
  }

  compareTables(): number {
    return -ENOSYS;
  }

  close(descriptor: number): void {
    if (!this.open.delete(descriptor)) throw new Error(`descriptor ${descriptor} is not open`);
  }

  bpf(command: BpfCommand, attr: Uint8Array): number {
    this.commands.push(command);
    const refusal = this.#refuse[command];
    if (refusal !== undefined) return -refusal;
    const view = new DataView(attr.buffer, attr.byteOffset, attr.byteLength);
    const listed = NEXT[command];
    if (listed) return this.#next(listed, view);
    const opened = OPEN[command];
    if (opened) return this.#open(opened, view.getUint32(0, this.littleEndian));
    return command === 15 ? this.#info(view) : -EINVAL;
  }

  #next(kind: FakeKind, view: DataView): number {
    const start = view.getUint32(0, this.littleEndian);
    const following = [...this.objects[kind].keys(), ...(kind === 'program' ? this.vanishing : [])]
      .filter((id) => id > start && !this.hidden.has(id))
      .sort((a, b) => a - b)[0];
    if (following === undefined) return -ENOENT;
    view.setUint32(4, following, this.littleEndian);
    return 0;
  }

  #open(kind: FakeKind, id: number): number {
    const object = this.objects[kind].get(id);
    if (object === undefined) return -ENOENT;
    this.open.set(this.#nextDescriptor, { kind, object });
    return this.#nextDescriptor++;
  }

  #info(view: DataView): number {
    const little = this.littleEndian;
    const object = this.open.get(view.getUint32(0, little))?.object;
    const target = this.#memory.get(view.getBigUint64(8, little));
    if (object === undefined || target === undefined) return -EINVAL;
    const asked = target.slice(0, view.getUint32(4, little));
    if (asked.subarray(this.#infoSize).some((byte) => byte !== 0)) return -E2BIG;
    const length = Math.min(asked.length, this.#infoSize, object.info.length);
    target.set(object.info.subarray(0, length));
    const out = new DataView(target.buffer, target.byteOffset, target.byteLength);
    const inputs = new DataView(asked.buffer);
    for (const [key, { content, count, size }] of Object.entries(object.arrays ?? {})) {
      const pointer = Number(key);
      if (pointer + 8 > length || count + 4 > length) continue;
      const destination = this.#memory.get(inputs.getBigUint64(pointer, little));
      destination?.set(content.subarray(0, inputs.getUint32(count, little) * size));
      out.setBigUint64(pointer, destination === undefined ? 0n : inputs.getBigUint64(pointer, little), little);
    }
    view.setUint32(4, length, little);
    return 0;
  }
}

/** Netlink that is not there. */
const NO_NET: Net = {
  setns: () => -1,
  socket: () => -1,
  send: () => -1,
  recv: () => -1,
  close: () => {},
};

export function nativeOf(sys: Sys): Native {
  return { sys, net: NO_NET };
}

/** A struct of `size` bytes, field by field. */
export class Struct {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;

  constructor(size: number, little = true) {
    this.bytes = new Uint8Array(new ArrayBuffer(size));
    this.#view = new DataView(this.bytes.buffer);
    this.#little = little;
  }

  u32(at: number, ...values: number[]): this {
    for (const [index, value] of values.entries()) this.#view.setUint32(at + 4 * index, value, this.#little);
    return this;
  }

  u64(at: number, ...values: bigint[]): this {
    for (const [index, value] of values.entries()) this.#view.setBigUint64(at + 8 * index, value, this.#little);
    return this;
  }

  raw(at: number, content: Uint8Array | string): this {
    this.bytes.set(typeof content === 'string' ? new TextEncoder().encode(content) : content, at);
    return this;
  }
}

export function hexToBytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}
