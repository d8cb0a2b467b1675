// The maps of an object in libbpf's order (bpf_object__init_maps), so that their places are the map indices
// which loaders put into instructions. What a loader only decides at run time (CPU counts, pins) is not here.
import type { Btf } from '../btf/decode.ts';
import type { ElfFile, ElfSection, ElfSymbol } from '../elf/file.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { STT } from '../elf/names.ts';
import { readDefinedMaps } from './defined-maps.ts';
import type { BpfExtern } from './externs.ts';
import { readDataMaps, readKconfigMap, readStructOpsMaps } from './internal-maps.ts';
import { readLegacyMaps } from './legacy-maps.ts';

/** What a map is made of. Absent where the object does not say. */
export interface MapDefinition {
  /** BPF_MAP_TYPE_* as bpftool prints it; the number when it has no name. */
  readonly type?: string | number;
  /** Bytes. */
  readonly keySize?: number;
  readonly valueSize?: number;
  /** As declared: 0 lets the loader choose. */
  readonly maxEntries?: number;
  /** BPF_F_* of BPF_MAP_CREATE. */
  readonly flags?: number;
  readonly numaNode?: number;
  readonly mapExtra?: bigint;
  /** LIBBPF_PIN_*. */
  readonly pinning?: 'none' | 'by_name' | number;
  /** BTF ids. */
  readonly keyType?: number;
  readonly valueType?: number;
  /** What the maps in this map of maps look like. */
  readonly inner?: MapDefinition;
}

/** An element that the object fills in: a map for maps of maps, a program for program arrays. */
export interface InitialValue {
  readonly slot: number;
  /** Name of the symbol. */
  readonly name: string;
}

export interface BpfMap extends MapDefinition {
  /** Place in `BpfObject.maps`: libbpf's map index. */
  readonly index: number;
  /** Of the variable; of the section for global data, which the kernel knows under a name that libbpf makes. */
  readonly name: string;
  readonly origin: 'legacy' | 'defined' | 'data' | 'kconfig' | 'struct_ops';
  /** Where the map's variable or its data lies. Absent for `.kconfig`, which is only in the BTF. */
  readonly sectionIndex?: number;
  /** Bytes from the start of that section. */
  readonly offset: number;
  readonly initialValues: readonly InitialValue[];
}

/** A map before it has its place among the others. */
export type UnplacedMap = Omit<BpfMap, 'index'>;

export interface MapInput {
  readonly elf: ElfFile;
  readonly btf?: Btf;
  readonly externs: readonly BpfExtern[];
  readonly log: DiagnosticLog;
}

export function readMaps(input: MapInput): BpfMap[] {
  return [
    ...readLegacyMaps(input),
    ...readDefinedMaps(input),
    ...readDataMaps(input),
    ...readKconfigMap(input),
    ...readStructOpsMaps(input),
  ].map((map, index) => ({ index, ...map }));
}

/** The variables that the symbol table puts into a section, by offset. */
export function variablesOf(elf: ElfFile, section: ElfSection): ElfSymbol[] {
  const isVariable = ({ type }: ElfSymbol) => type === STT.OBJECT || type === STT.NOTYPE;
  return elf
    .symbolsIn(section)
    .filter((symbol) => symbol.name !== '' && isVariable(symbol))
    .sort((a, b) => a.value - b.value || a.index - b.index);
}
