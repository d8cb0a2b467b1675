// The maps that no variable in `.maps` declares: global data, kernel configuration, struct_ops (libbpf:
// bpf_object__init_global_data_maps, __init_kconfig_map, __init_struct_ops_maps).
import type { Btf } from '../btf/decode.ts';
import type { ElfSection } from '../elf/file.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { SHT } from '../elf/names.ts';
import type { MapDefinition, MapInput, UnplacedMap } from './maps.ts';
import { filledIn, variablesOf } from './variables.ts';

const BPF_F_RDONLY_PROG = 0x80;
const BPF_F_MMAPABLE = 0x400;
const BPF_F_LINK = 0x2000;

type DataKind = 'data' | 'rodata' | 'bss';

/** Whether global data lies in this section, and of which kind; an empty section makes no map. */
function dataKind({ name, type, size }: ElfSection): DataKind | undefined {
  if (size === 0) return undefined;
  if (type === SHT.NOBITS) return isNamed(name, '.bss') ? 'bss' : undefined;
  if (type !== SHT.PROGBITS) return undefined;
  return isNamed(name, '.data') ? 'data' : isNamed(name, '.rodata') ? 'rodata' : undefined;
}

function isNamed(name: string, stem: string): boolean {
  return name === stem || name.startsWith(`${stem}.`);
}

/** One array of one element for each data section, in section order. */
export function* readDataMaps({ elf, btf, log }: MapInput): Generator<UnplacedMap> {
  const shapes = new Map<string, DataType>();
  for (const section of elf.sections) {
    const kind = dataKind(section);
    if (kind === undefined) continue;
    const readOnly = kind === 'rodata' ? BPF_F_RDONLY_PROG : 0;
    const type = shapes.get(section.name) ?? readDataType(btf, section.name, log);
    shapes.set(section.name, type);
    yield {
      name: section.name,
      origin: 'data',
      sectionIndex: section.index,
      offset: 0,
      initialValues: [],
      ...dataArray(section.size, readOnly, type),
    };
  }
}

export function* readKconfigMap({ btf, externs, log }: MapInput): Generator<UnplacedMap> {
  const last = externs.findLast(({ kind }) => kind === 'kconfig');
  if (btf === undefined || last?.offset === undefined) return;
  const size = last.offset + (last.size ?? 0);
  const shape = dataArray(size, BPF_F_RDONLY_PROG, readDataType(btf, '.kconfig', log));
  yield { name: '.kconfig', origin: 'kconfig', offset: 0, initialValues: [], ...shape };
}

/** What the BTF says of a data section. */
interface DataType {
  /** Id of the DATASEC. */
  readonly valueType?: number;
  /** Since libbpf 1.1 data is mapped into the process only if some variable is not static (map_is_mmapable). */
  readonly isMapped: boolean;
}

function dataArray(valueSize: number, flags: number, { valueType, isMapped }: DataType): MapDefinition {
  return {
    type: 'array',
    keySize: 4,
    ...sizedValue(valueSize),
    maxEntries: 1,
    flags: flags | (isMapped ? BPF_F_MMAPABLE : 0),
    ...(valueType !== undefined && { valueType }),
  };
}

/** Absent when the object claims more than any number can say. */
function sizedValue(size: number): Pick<MapDefinition, 'valueSize'> {
  return Number.isFinite(size) ? { valueSize: size } : {};
}

function readDataType(btf: Btf | undefined, section: string, log: DiagnosticLog): DataType {
  const read = () => btf && describeDatasec(btf, section);
  return log.attempt(`BTF: ${section}`, read) ?? { isMapped: false };
}

function describeDatasec(btf: Btf, section: string): DataType | undefined {
  const valueType = btf.byName(section, ['datasec']);
  const datasec = valueType === undefined ? undefined : btf.type(valueType);
  if (valueType === undefined || datasec?.kind !== 'datasec') return undefined;
  const isMapped = datasec.variables.some(({ type }) => {
    const variable = btf.type(type);
    return variable.kind === 'var' && variable.linkage !== 'static';
  });
  return { valueType, isMapped };
}

/** One map for each variable in `.struct_ops`, and in `.struct_ops.link`, whose maps are attached by links. */
export function* readStructOpsMaps({ elf, btf, log }: MapInput): Generator<UnplacedMap> {
  for (const section of elf.sections) {
    const flags = STRUCT_OPS_SECTIONS.get(section.name.replace('?', ''));
    if (section.type !== SHT.PROGBITS || flags === undefined) continue;
    const variables = variablesOf(elf, section);
    const filled = filledIn(elf, section, variables);
    for (const symbol of variables) {
      const where = `struct_ops ${JSON.stringify(symbol.name)}`;
      const valueType = btf && log.attempt(where, () => typeOfVariable(btf, symbol.name));
      yield {
        name: symbol.name,
        origin: 'struct_ops',
        sectionIndex: section.index,
        offset: symbol.value,
        initialValues: filled.get(symbol.index) ?? [],
        type: 'struct_ops',
        keySize: 4,
        ...sizedValue(symbol.size),
        maxEntries: 1,
        flags,
        ...(valueType !== undefined && { valueType }),
      };
    }
  }
}

const STRUCT_OPS_SECTIONS: ReadonlyMap<string, number> = new Map([
  ['.struct_ops', 0],
  ['.struct_ops.link', BPF_F_LINK],
]);

function typeOfVariable(btf: Btf, name: string): number | undefined {
  const id = btf.byName(name, ['var']);
  const variable = id === undefined ? undefined : btf.type(id);
  return variable?.kind === 'var' ? variable.type : undefined;
}
