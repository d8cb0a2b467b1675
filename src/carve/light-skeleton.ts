// Light skeletons: programs and maps that a small loader program creates, carried as one blob beside it and no ELF around them.
// Finds them and reads the records in the blob; numbers stay numbers, and nothing is hashed here.
import { cstring } from '../bytes/cstring.ts';
import { type Field, layout, type Row, u32, u64, viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { attempt, type Diagnostic, FormatError, hex } from '../diagnostics.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { newRunBudget, type RunBudget } from './runs.ts';
import { readBlobString } from './skeleton-blob.ts';
import { type FoundLoader, LoaderFinder, type ScriptedLoader } from './skeleton-finder.ts';
import {
  BPF_COMMAND,
  readSkeletonScript,
  type SkeletonCommand,
  type SkeletonFilling,
  type SkeletonScript,
} from './skeleton-loader.ts';
import { pairWithData } from './skeleton-pairs.ts';
import { newSkeletonWork, type SkeletonWork } from './skeleton-work.ts';

/** What the loader looks up in the running kernel and writes into an instruction. */
export interface LightReference {
  /** Slot of the program. */
  readonly slot: number;
  readonly kind: SkeletonFilling['kind'];
  readonly name: string;
}

/** struct bpf_core_relo as the kernel gets it: `type` and `access` count in the skeleton's BTF. */
export interface LightCoreRecord {
  /** Bytes from the start of the program. */
  readonly insnOffset: number;
  readonly type: number;
  readonly access: number;
  readonly kind: number;
}

export interface LightProgram {
  /** Up to 15 bytes. */
  readonly name: string;
  /** BPF_PROG_TYPE_*. */
  readonly type: number;
  /** BPF_* of enum bpf_attach_type; 0 for most types. */
  readonly attachType: number;
  readonly flags: number;
  readonly license: string;
  /** `bpf_lsm_file_open` and the like, when the loader looks it up. */
  readonly attachTo?: string;
  /** Bytes from the start of the source. */
  readonly offset: number;
  /** As it lies in the blob, references to maps as indices into `maps`. */
  readonly code: Uint8Array;
  /** What the kernel relocates before it hashes. */
  readonly coreRelocations: readonly LightCoreRecord[];
  /** What the loader fills in before. */
  readonly references: readonly LightReference[];
}

export interface LightMap {
  readonly name: string;
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** The first value, for global data. */
  readonly content?: Uint8Array;
  readonly frozen: boolean;
}

export interface LightSkeleton {
  readonly loader: { readonly offset: number; readonly slots: number; readonly code: Uint8Array };
  readonly endianness: 'little' | 'big';
  /** The blob: bytes from the start of the source, and as many as anything in it needs. Absent when it was not found. */
  readonly data?: { readonly offset: number; readonly size: number };
  /** In the order in which they are loaded; none without `data`, as with `maps`. */
  readonly programs: readonly LightProgram[];
  readonly maps: readonly LightMap[];
  /** Raw BTF, whole. */
  readonly btf?: { readonly offset: number; readonly bytes: Uint8Array };
  /** The loader goes on only when the SHA-256 of `data` is this one, as in signed skeletons; whether it is, is not asked here. */
  readonly digest?: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface SkeletonCarving {
  readonly skeletons: readonly LightSkeleton[];
  /** Something was left out because it would have cost too much. */
  readonly limited: boolean;
}

/**
 * The light skeletons whose loaders begin at `prologues`: ascending offsets, at every alignment, at which the first two
 * instructions of a loader stand in either byte order. Most need not be loaders.
 */
export function carveLightSkeletons(
  reader: Reader,
  prologues: readonly number[],
  budget: RunBudget = newRunBudget(),
): SkeletonCarving {
  const work = newSkeletonWork();
  const finder = new LoaderFinder(reader, budget, work);
  const loaders = prologues
    .flatMap((prologue) => finder.loadersFrom(prologue))
    .sort((a, b) => a.offset - b.offset)
    .map((loader) => readLoader(loader, work));
  const offsets = pairWithData(reader, loaders, work);
  const skeletons = loaders.map((each, index) => readSkeleton(reader, each, offsets[index], work));
  return { skeletons, limited: budget.limited || work.limited };
}

function readLoader(loader: FoundLoader, work: SkeletonWork): ScriptedLoader {
  const script = readSkeletonScript(loader.slots);
  work.records -= script.commands.length;
  return { loader, script };
}

function readSkeleton(
  reader: Reader,
  { loader, script }: ScriptedLoader,
  offset: number | undefined,
  work: SkeletonWork,
): LightSkeleton {
  const where = `light skeleton at ${hex(loader.offset)}`;
  const common = {
    loader: { offset: loader.offset, slots: loader.slots.count, code: loader.slots.bytes },
    endianness: loader.slots.little ? 'little' : 'big',
    ...(script.digest !== undefined && { digest: script.digest }),
  } as const;
  if (offset !== undefined) {
    const blob = { offset, little: loader.slots.little, bytes: readAt(reader, offset, script.size) };
    return { ...common, ...new SkeletonData(blob, script, where).read() };
  }
  const message = work.limited
    ? 'its data, which holds programs and maps, was not looked for: there are too many skeletons, or they are too large'
    : 'its data, which holds programs and maps, lies nowhere near it, or belongs to another loader';
  return {
    ...common,
    programs: [],
    maps: [],
    diagnostics: [{ severity: 'warning', code: 'skeleton-data', where, message }],
  };
}

interface Blob {
  /** Bytes from the start of the source. */
  readonly offset: number;
  readonly little: boolean;
  /** From `offset` on, as many as the script refers to. */
  readonly bytes: Uint8Array;
}

/** union bpf_attr for PROG_LOAD, as far as loaders fill it; an older one is shorter. */
const progAttributes = layout({
  prog_type: u32,
  insn_cnt: u32,
  insns: u64,
  license: u64,
  log_level: u32,
  log_size: u32,
  log_buf: u64,
  kern_version: u32,
  prog_flags: u32,
  prog_name_low: u64,
  prog_name_high: u64,
  prog_ifindex: u32,
  expected_attach_type: u32,
  prog_btf_fd: u32,
  func_info_rec_size: u32,
  func_info: u64,
  func_info_cnt: u32,
  line_info_rec_size: u32,
  line_info: u64,
  line_info_cnt: u32,
  attach_btf_id: u32,
  attach_btf_obj_fd: u32,
  core_relo_cnt: u32,
  fd_array: u64,
  core_relos: u64,
  core_relo_rec_size: u32,
});
const mapAttributes = layout({
  map_type: u32,
  key_size: u32,
  value_size: u32,
  max_entries: u32,
  map_flags: u32,
  inner_map_fd: u32,
  numa_node: u32,
});
const btfAttributes = layout({ btf: u64, btf_log_buf: u64, btf_size: u32 });
const updateAttributes = layout({ map_fd: u64, key: u64, value: u64, flags: u64 });
const coreRelo = layout({ insn_off: u32, type_id: u32, access_str_off: u32, kind: u32 });
const NAME_SIZE = 16;
const BPF_MAP_TYPE_ARRAY = 2;

/** Reads the records of one blob, which was found to hold the programs and maps of `script`. */
class SkeletonData {
  readonly #blob: Blob;
  readonly #script: SkeletonScript;
  readonly #where: string;
  readonly #diagnostics: Diagnostic[] = [];
  /** Bytes in the pieces so far. */
  #copied = 0;

  constructor(blob: Blob, script: SkeletonScript, where: string) {
    this.#blob = blob;
    this.#script = script;
    this.#where = where;
  }

  read(): Omit<LightSkeleton, 'loader' | 'endianness' | 'digest'> {
    const diagnostics = this.#diagnostics;
    const programs = attempt(diagnostics, this.#where, () =>
      this.#all(BPF_COMMAND.PROG_LOAD).map((command) => this.#program(command)),
    );
    const maps = attempt(diagnostics, this.#where, () => this.#maps());
    const [load] = this.#all(BPF_COMMAND.BTF_LOAD);
    const btf = load && attempt(diagnostics, this.#where, () => this.#btf(load));
    return {
      data: { offset: this.#blob.offset, size: this.#script.size },
      programs: programs ?? [],
      maps: maps ?? [],
      ...(btf && { btf }),
      diagnostics,
    };
  }

  #all(command: number): SkeletonCommand[] {
    return this.#script.commands.filter((each) => each.command === command);
  }

  #program(command: SkeletonCommand): LightProgram {
    const attributes = this.#row(progAttributes, command);
    const start = this.#pointer(command, progAttributes.offsets.insns) ?? 0;
    return {
      name: this.#name(command.attributes + progAttributes.offsets.prog_name_low),
      type: attributes.prog_type,
      attachType: attributes.expected_attach_type,
      flags: attributes.prog_flags,
      license: this.#string(this.#pointer(command, progAttributes.offsets.license)),
      ...(command.attachTo !== undefined && { attachTo: this.#string(command.attachTo) }),
      offset: this.#blob.offset + start,
      code: this.#piece(start, attributes.insn_cnt * SLOT_SIZE, 'the instructions of a program'),
      coreRelocations: this.#coreRelocations(command, attributes),
      references: command.fillings.map(({ at, kind, name }) => ({
        slot: (at - start) / SLOT_SIZE,
        kind,
        name: this.#string(name),
      })),
    };
  }

  #coreRelocations(command: SkeletonCommand, attributes: Row<typeof progAttributes.fields>): LightCoreRecord[] {
    const start = this.#pointer(command, progAttributes.offsets.core_relos);
    const { core_relo_cnt: count, core_relo_rec_size: size } = attributes;
    if (start === undefined || size < coreRelo.size) return [];
    const records = this.#piece(start, count * size, 'CO-RE relocations');
    const view = viewOf(records);
    return Array.from({ length: Math.floor(records.length / size) }, (_, index) => {
      const row = coreRelo.read(view, index * size, this.#blob.little);
      return { insnOffset: row.insn_off, type: row.type_id, access: row.access_str_off, kind: row.kind };
    });
  }

  /** libbpf fills and freezes each map right after it has made it (bpf_object__create_maps). */
  #maps(): LightMap[] {
    const maps: LightMap[] = [];
    for (const command of this.#script.commands) {
      const last = maps.at(-1);
      if (command.command === BPF_COMMAND.MAP_CREATE) {
        if (!command.inner) maps.push(this.#map(command));
      } else if (last === undefined) continue;
      else if (command.command === BPF_COMMAND.MAP_FREEZE) maps[maps.length - 1] = { ...last, frozen: true };
      else if (command.command === BPF_COMMAND.MAP_UPDATE_ELEM && last.type === BPF_MAP_TYPE_ARRAY) {
        const value = this.#pointer(command, updateAttributes.offsets.value);
        if (value === undefined) continue;
        maps[maps.length - 1] = { ...last, content: this.#piece(value, last.valueSize, 'the content of a map') };
      }
    }
    return maps;
  }

  #map(command: SkeletonCommand): LightMap {
    const row = this.#row(mapAttributes, command);
    return {
      name: this.#name(command.attributes + mapAttributes.size),
      type: row.map_type,
      keySize: row.key_size,
      valueSize: row.value_size,
      maxEntries: row.max_entries,
      flags: row.map_flags,
      frozen: false,
    };
  }

  #btf(command: SkeletonCommand): LightSkeleton['btf'] {
    const start = this.#pointer(command, btfAttributes.offsets.btf);
    const { btf_size } = this.#row(btfAttributes, command);
    if (start === undefined) return undefined;
    return { offset: this.#blob.offset + start, bytes: this.#piece(start, btf_size, 'BTF') };
  }

  /** What an older loader leaves out reads as zero, as the kernel has it. */
  #row<T>(attributesLayout: Field<T>, { attributes, size }: SkeletonCommand): T {
    const padded = new Uint8Array(attributesLayout.size);
    padded.set(this.#blob.bytes.subarray(attributes, attributes + Math.min(size, padded.length)));
    return attributesLayout.read(viewOf(padded), 0, this.#blob.little);
  }

  #pointer({ attributes }: SkeletonCommand, field: number): number | undefined {
    return this.#script.pointers.get(attributes + field);
  }

  /**
   * A copy. No two pieces share bytes, so that all of them together are no longer than the blob (add_data of libbpf's gen_loader).
   * @throws FormatError
   */
  #piece(start: number, size: number, what: string): Uint8Array {
    const { size: whole } = this.#script;
    if (start + size > whole) {
      throw new FormatError('skeleton-data', start, `${what}: ends at ${hex(start + size)}, the data at ${hex(whole)}`);
    }
    this.#copied += size;
    if (this.#copied > whole) {
      throw new FormatError(
        'skeleton-data',
        start,
        `${what}: with it, pieces of ${this.#copied} bytes lie in ${whole}`,
      );
    }
    return this.#blob.bytes.slice(start, start + size);
  }

  #string(at: number | undefined): string {
    return at === undefined ? '' : readBlobString(this.#blob.bytes, at);
  }

  #name(at: number): string {
    return cstring(this.#blob.bytes.subarray(at, at + NAME_SIZE), 0);
  }
}
