// The maps of an object in libbpf's order (bpf_object__init_maps), so that their places are the map indices
// which loaders put into instructions. What a loader only decides at run time (CPU counts, pins) is not here.
import type { Btf } from '../btf/decode.ts';
import type { ElfFile } from '../elf/file.ts';
import type { DiagnosticLog } from '../elf/log.ts';
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

/** What the object itself puts into a map: maps into maps of maps, programs into program arrays and struct_ops. */
export interface InitialValue {
  /** Bytes from the start of the map's variable. */
  readonly offset: number;
  /** Key of the element; absent for struct_ops, where `offset` leads to a member. */
  readonly slot?: number;
  /** Name of the map or program. */
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
