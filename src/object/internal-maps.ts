// The maps that no variable in `.maps` declares: global data, kernel configuration, struct_ops (libbpf:
// bpf_object__init_global_data_maps, __init_kconfig_map, __init_struct_ops_maps).
import type { Btf } from '../btf/decode.ts';
import type { ElfSection } from '../elf/file.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { SHT } from '../elf/names.ts';
import { type MapInput, type UnplacedMap, variablesOf } from './maps.ts';

const BPF_F_RDONLY_PROG = 0x80;
const BPF_F_MMAPABLE = 0x400;
const BPF_F_LINK = 0x2000;

export type DataKind = 'data' | 'rodata' | 'bss';

/** Whether global data lies in this section, and of which kind; an empty section makes no map. */
export function dataKind({ name, type, size }: ElfSection): DataKind | undefined {
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
  const mmapable = new Map<string, number>();
  for (const section of elf.sections) {
    const kind = dataKind(section);
    if (kind === undefined) continue;
    const readOnly = kind === 'rodata' ? BPF_F_RDONLY_PROG : 0;
    const shared = mmapable.get(section.name) ?? mmapableFlag(btf, section.name, log);
    mmapable.set(section.name, shared);
    yield {
      name: section.name,
      origin: 'data',
      sectionIndex: section.index,
      offset: 0,
      initialValues: [],
      ...dataArray(section.size, readOnly | shared),
    };
  }
}

export function* readKconfigMap({ btf, externs, log }: MapInput): Generator<UnplacedMap> {
  const last = externs.findLast(({ kind }) => kind === 'kconfig');
  if (btf === undefined || last?.offset === undefined) return;
  const size = last.offset + (last.size ?? 0);
  const shape = dataArray(size, BPF_F_RDONLY_PROG | mmapableFlag(btf, '.kconfig', log));
  yield { name: '.kconfig', origin: 'kconfig', offset: 0, initialValues: [], ...shape };
}

function dataArray(valueSize: number, flags: number) {
  return { type: 'array', keySize: 4, valueSize, maxEntries: 1, flags };
}

/** Since libbpf 1.0 data is mapped into the process only if some variable is not static (map_is_mmapable). */
function mmapableFlag(btf: Btf | undefined, section: string, log: DiagnosticLog): number {
  const isShared = btf && log.attempt(`BTF: ${section}`, () => hasSharedVariable(btf, section));
  return isShared ? BPF_F_MMAPABLE : 0;
}

function hasSharedVariable(btf: Btf, section: string): boolean {
  const id = btf.byName(section, ['datasec']);
  const datasec = id === undefined ? undefined : btf.type(id);
  if (datasec?.kind !== 'datasec') return false;
  return datasec.variables.some(({ type }) => {
    const variable = btf.type(type);
    return variable.kind === 'var' && variable.linkage !== 'static';
  });
}

/** One map for each variable in `.struct_ops`, and in `.struct_ops.link`, whose maps are attached by links. */
export function* readStructOpsMaps({ elf, btf, log }: MapInput): Generator<UnplacedMap> {
  for (const section of elf.sections) {
    const flags = STRUCT_OPS_SECTIONS.get(section.name.replace('?', ''));
    if (section.type !== SHT.PROGBITS || flags === undefined) continue;
    for (const symbol of variablesOf(elf, section)) {
      const where = `struct_ops ${JSON.stringify(symbol.name)}`;
      const valueType = btf && log.attempt(where, () => typeOfVariable(btf, symbol.name));
      yield {
        name: symbol.name,
        origin: 'struct_ops',
        sectionIndex: section.index,
        offset: symbol.value,
        initialValues: [],
        type: 'struct_ops',
        keySize: 4,
        valueSize: symbol.size,
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
