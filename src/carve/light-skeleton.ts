// Light skeletons: programs and maps that a small loader program creates, carried as one blob beside it and no ELF around them.
// Finds them, works out where the blob lies, and reads its records; numbers stay numbers, and nothing is hashed here.
import { cstring } from '../bytes/cstring.ts';
import { layout, type Row, u32, u64, viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { hex } from '../diagnostics.ts';
import { Closure } from '../insn/closure.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { newRunBudget, type Run, type RunBudget, RunFinder } from './runs.ts';
import { type Blob, locateBlob, readBlobString } from './skeleton-blob.ts';
import {
  BPF_COMMAND,
  isSkeletonPrologue,
  PROLOGUE_SLOTS,
  readSkeletonScript,
  type SkeletonCommand,
  type SkeletonFilling,
  type SkeletonScript,
} from './skeleton-loader.ts';

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
  readonly programs: readonly LightProgram[];
  readonly maps: readonly LightMap[];
  /** Raw BTF, whole. */
  readonly btf?: { readonly offset: number; readonly bytes: Uint8Array };
  /** The loader checks the blob against this SHA-256, as signed skeletons do. */
  readonly digest?: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface SkeletonCarving {
  readonly skeletons: readonly LightSkeleton[];
  readonly limited: boolean;
}

/** Loaders that are examined in one source. */
const MOST = 4096;

/**
 * The light skeletons whose loaders begin at `prologues`: ascending offsets, at every alignment, at which the first two
 * instructions of a loader stand in either byte order. Most need not be loaders.
 */
export function carveLightSkeletons(
  reader: Reader,
  prologues: readonly number[],
  budget: RunBudget = newRunBudget(),
): SkeletonCarving {
  const finders = { little: new RunFinder(reader, true, budget), big: new RunFinder(reader, false, budget) };
  const work = { steps: 1 << 24 };
  const skeletons: LightSkeleton[] = [];
  for (const prologue of prologues) {
    const endianness = readPrologue(reader, prologue);
    const run = endianness && finders[endianness].runAt(prologue);
    if (run === undefined) continue;
    for (const loader of loadersIn(run, work)) {
      if (skeletons.length < MOST) skeletons.push(readSkeleton(reader, loader, work));
      else budget.limited = true;
    }
  }
  return { skeletons, limited: budget.limited || work.steps <= 0 };
}

/** Its byte order, when a whole prologue stands at `offset`. */
function readPrologue(reader: Reader, offset: number): LightSkeleton['endianness'] | undefined {
  const bytes = readAt(reader, offset, PROLOGUE_SLOTS * SLOT_SIZE);
  if (isSkeletonPrologue(new InstructionSlots(bytes, true), 0)) return 'little';
  return isSkeletonPrologue(new InstructionSlots(bytes, false), 0) ? 'big' : undefined;
}

interface FoundLoader {
  readonly offset: number;
  readonly slots: InstructionSlots;
}

/** Steps are taken from `work`. */
function loadersIn(run: Run, work: { steps: number }): FoundLoader[] {
  const loaders: FoundLoader[] = [];
  const closure = new Closure(run.slots, run.kinds);
  for (let slot = 0; slot < run.slots.count; slot++) {
    if (!isSkeletonPrologue(run.slots, slot)) continue;
    const count = closure.lengthFrom(slot, work);
    if (count === 0) continue;
    const code = run.slots.bytes.slice(slot * SLOT_SIZE, (slot + count) * SLOT_SIZE);
    loaders.push({ offset: run.offset + slot * SLOT_SIZE, slots: new InstructionSlots(code, run.slots.little) });
    slot += count - 1;
  }
  return loaders;
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
const { prog_name_low } = progAttributes.offsets;
const NAME_SIZE = 16;
type Attributes = Row<typeof progAttributes.fields>;

function readSkeleton(reader: Reader, loader: FoundLoader, work: { steps: number }): LightSkeleton {
  const script = readSkeletonScript(loader.slots);
  const common = {
    loader: { offset: loader.offset, slots: loader.slots.count, code: loader.slots.bytes },
    endianness: loader.slots.little ? 'little' : 'big',
    ...(script.digest !== undefined && { digest: script.digest }),
  } as const;
  const blob = locateBlob(reader, loader, script, work);
  if (blob === undefined) {
    const message = 'its data, which holds programs and maps, lies nowhere near it';
    const diagnostic: Diagnostic = {
      severity: 'warning',
      code: 'skeleton-data',
      where: `light skeleton at ${hex(loader.offset)}`,
      message,
    };
    return { ...common, programs: [], maps: [], diagnostics: [diagnostic] };
  }
  return { ...common, ...new SkeletonData(blob, script).read() };
}

class SkeletonData {
  readonly #blob: Blob;
  readonly #view: DataView;
  readonly #script: SkeletonScript;
  #reach: number;

  constructor(blob: Blob, script: SkeletonScript) {
    this.#blob = blob;
    this.#view = viewOf(blob.bytes);
    this.#script = script;
    this.#reach = script.reach;
  }

  read(): Omit<LightSkeleton, 'loader' | 'endianness' | 'digest'> {
    const programs = this.#all(BPF_COMMAND.PROG_LOAD).map((command) => this.#program(command));
    const btf = this.#all(BPF_COMMAND.BTF_LOAD)
      .map((command) => this.#btf(command))
      .at(0);
    const maps = this.#maps();
    return {
      data: { offset: this.#blob.offset, size: this.#reach },
      programs,
      maps,
      ...(btf && { btf }),
      diagnostics: [],
    };
  }

  #all(command: number): SkeletonCommand[] {
    return this.#script.commands.filter((each) => each.command === command);
  }

  #program(command: SkeletonCommand): LightProgram {
    const attributes = this.#attributes(command);
    const start = this.#pointer(command, progAttributes.offsets.insns) ?? 0;
    const code = this.#piece(start, attributes.insn_cnt * SLOT_SIZE);
    return {
      name: this.#name(command.attributes + prog_name_low),
      type: attributes.prog_type,
      attachType: attributes.expected_attach_type,
      flags: attributes.prog_flags,
      license: this.#string(this.#pointer(command, progAttributes.offsets.license)),
      ...(command.attachTo !== undefined && { attachTo: this.#string(command.attachTo) }),
      offset: this.#blob.offset + start,
      code,
      coreRelocations: this.#coreRelocations(command, attributes),
      references: command.fillings.map(({ at, kind, name }) => ({
        slot: (at - start) / SLOT_SIZE,
        kind,
        name: this.#string(name),
      })),
    };
  }

  /** What an older loader leaves out reads as zero, as the kernel has it. */
  #attributes({ attributes, size }: SkeletonCommand): Attributes {
    const padded = new Uint8Array(progAttributes.size);
    padded.set(this.#blob.bytes.subarray(attributes, attributes + Math.min(size, padded.length)));
    return progAttributes.read(viewOf(padded), 0, this.#blob.little);
  }

  #coreRelocations(command: SkeletonCommand, attributes: Attributes): LightCoreRecord[] {
    const start = this.#pointer(command, progAttributes.offsets.core_relos);
    const { core_relo_cnt: count, core_relo_rec_size: size } = attributes;
    if (start === undefined || size < coreRelo.size) return [];
    const records = this.#piece(start, count * size);
    const view = viewOf(records);
    return Array.from({ length: Math.floor(records.length / size) }, (_, index) => {
      const row = coreRelo.read(view, index * size, this.#blob.little);
      return { insnOffset: row.insn_off, type: row.type_id, access: row.access_str_off, kind: row.kind };
    });
  }

  #maps(): LightMap[] {
    const maps: { map: LightMap; index: number }[] = [];
    const contents: Uint8Array[] = [];
    const frozen = new Set<number>();
    for (const command of this.#script.commands) {
      if (command.command === BPF_COMMAND.MAP_CREATE && !command.inner) {
        maps.push({ map: this.#map(command), index: maps.length });
      } else if (command.command === BPF_COMMAND.MAP_UPDATE_ELEM) {
        const last = maps.at(-1);
        const value = this.#pointer(command, updateAttributes.offsets.value);
        if (last !== undefined && value !== undefined) contents[last.index] = this.#piece(value, last.map.valueSize);
      } else if (command.command === BPF_COMMAND.MAP_FREEZE && maps.length > 0) frozen.add(maps.length - 1);
    }
    return maps.map(({ map, index }) => {
      const content = contents[index];
      return { ...map, frozen: frozen.has(index), ...(content && { content }) };
    });
  }

  #map({ attributes }: SkeletonCommand): LightMap {
    const row = mapAttributes.read(this.#view, attributes, this.#blob.little);
    return {
      name: this.#name(attributes + mapAttributes.size),
      type: row.map_type,
      keySize: row.key_size,
      valueSize: row.value_size,
      maxEntries: row.max_entries,
      flags: row.map_flags,
      frozen: false,
    };
  }

  #btf(command: SkeletonCommand): { offset: number; bytes: Uint8Array } | undefined {
    const start = this.#pointer(command, btfAttributes.offsets.btf);
    const { btf_size } = btfAttributes.read(this.#view, command.attributes, this.#blob.little);
    return start === undefined ? undefined : { offset: this.#blob.offset + start, bytes: this.#piece(start, btf_size) };
  }

  #pointer({ attributes }: SkeletonCommand, field: number): number | undefined {
    return this.#script.pointers.get(attributes + field);
  }

  /** A copy, as far as it is there. */
  #piece(start: number, size: number): Uint8Array {
    const end = Math.min(start + size, this.#blob.bytes.length);
    this.#reach = Math.max(this.#reach, end);
    return this.#blob.bytes.slice(start, end);
  }

  #string(at: number | undefined): string {
    if (at === undefined) return '';
    const text = readBlobString(this.#blob.bytes, at);
    this.#reach = Math.max(this.#reach, at + text.length + 1);
    return text;
  }

  #name(at: number): string {
    return cstring(this.#blob.bytes.subarray(at, at + NAME_SIZE), 0);
  }
}
