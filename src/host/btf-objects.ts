// The BTF that the kernel holds, by id: names of functions and targets, source lines. Read when asked for, each object once.
import { Btf } from '../btf/decode.ts';
import { FormatError } from '../diagnostics.ts';
import { type Bpf, untilNul } from './bpf.ts';
import { btfInfo } from './bpf-layouts.ts';
import { allocate } from './syscall.ts';

/** Larger than any kernel's; what claims more is not read. */
const MAX_BTF = 64 << 20;
const MAX_ROOM = 1 << 18;
const NAME_SIZE = 64;
/** Objects kept: programs of one loader share theirs, and come one after the other. */
const KEPT = 16;

export class BtfObjects {
  readonly #bpf: Bpf;
  readonly #readVmlinux: () => Uint8Array | undefined;
  readonly #objects = new Map<number, Btf | undefined>();
  #vmlinux: Btf | undefined | null = null;
  /** As large as the largest so far, for the next to be read along with its size. */
  #room = allocate(0);

  /** `readVmlinux`: the BTF of the kernel from a file, which is cheaper than from the system call. */
  constructor(bpf: Bpf, readVmlinux: () => Uint8Array | undefined) {
    this.#bpf = bpf;
    this.#readVmlinux = readVmlinux;
  }

  /** The BTF with this id; `undefined` when it vanished, may not be read or is malformed. */
  get(id: number): Btf | undefined {
    if (this.#objects.has(id)) return this.#objects.get(id);
    const found = this.#bpf.withObject('btf', id, (descriptor) => this.#read(descriptor));
    const btf = typeof found === 'number' ? undefined : found;
    const oldest = this.#objects.keys().next().value;
    if (this.#objects.size >= KEPT && oldest !== undefined) this.#objects.delete(oldest);
    this.#objects.set(id, btf);
    return btf;
  }

  vmlinux(): Btf | undefined {
    if (this.#vmlinux === null) {
      const bytes = this.#readVmlinux();
      this.#vmlinux = bytes && parse(bytes);
    }
    return this.#vmlinux;
  }

  #read(descriptor: number): Btf | undefined {
    const name = allocate(NAME_SIZE);
    const { offsets } = btfInfo;
    const little = this.#bpf.little;
    const room = this.#room;
    const info = this.#bpf.info(descriptor, btfInfo, (view) => {
      view.setBigUint64(offsets.name, this.#bpf.sys.address(name), little);
      view.setUint32(offsets.name_len, NAME_SIZE, little);
      if (room.length === 0) return;
      view.setBigUint64(offsets.btf, this.#bpf.sys.address(room), little);
      view.setUint32(offsets.btf_size, room.length, little);
    });
    if (typeof info === 'number') return undefined;
    const { btf_size, kernel_btf } = info.row;
    const isKernel = kernel_btf !== 0;
    if (isKernel && untilNul(name) === 'vmlinux') {
      const vmlinux = this.vmlinux();
      if (vmlinux) return vmlinux;
    }
    if (btf_size > MAX_BTF) return undefined;
    const base = isKernel && untilNul(name) !== 'vmlinux' ? this.vmlinux() : undefined;
    if (btf_size <= room.length) return parse(room.slice(0, btf_size), base);
    const bytes = allocate(btf_size);
    const again = this.#bpf.info(descriptor, btfInfo, (view) => {
      view.setBigUint64(offsets.btf, this.#bpf.sys.address(bytes), little);
      view.setUint32(offsets.btf_size, btf_size, little);
    });
    if (typeof again === 'number') return undefined;
    if (btf_size <= MAX_ROOM) this.#room = allocate(btf_size);
    return parse(bytes, base);
  }
}

function parse(bytes: Uint8Array, base?: Btf): Btf | undefined {
  return tolerate(() => Btf.parse(bytes, base && { base }));
}

/** What malformed BTF says is not known: the kernel checked it once, the reader does not depend on that. */
export function tolerate<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return undefined;
  }
}
