// What an object expects of the kernel it is loaded into: configuration, variables and functions, in libbpf's order
// (bpf_object__collect_externs), so that their places are the extern indices which libbpf puts into poisoned calls.
import type { Btf } from '../btf/decode.ts';
import type { BtfVar } from '../btf/types.ts';
import type { ElfFile, ElfSymbol } from '../elf/file.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { SHN, STB, STT } from '../elf/names.ts';

export interface BpfExtern {
  /** Place in `BpfObject.externs`: libbpf's extern index. */
  readonly index: number;
  readonly name: string;
  /** Index into `ElfFile.symbols`. */
  readonly symbol: number;
  /** May be missing in the kernel. */
  readonly weak: boolean;
  /**
   * `typeless-ksym` is an address without a type, from kallsyms. `undeclared` has no place in the BTF's `.kconfig` or `.ksyms`:
   * libbpf refuses the object; loaders that edit constants at run time leave such symbols.
   */
  readonly kind: 'kconfig' | 'ksym' | 'typeless-ksym' | 'kfunc' | 'undeclared';
  /** BTF id of the var or func. */
  readonly type?: number;
  /** kconfig only: bytes, and offset in the `.kconfig` map. */
  readonly size?: number;
  readonly offset?: number;
}

type Unplaced = Omit<BpfExtern, 'index' | 'offset'> & { readonly alignment: number };

export function readExterns(elf: ElfFile, btf: Btf | undefined, log: DiagnosticLog): BpfExtern[] {
  const homes = btf === undefined ? NOWHERE : (log.attempt('BTF: externs', () => declarations(btf)) ?? NOWHERE);
  const externs = elf.symbols.filter(isExtern).map((symbol) => {
    const found = btf && log.attempt(`extern ${JSON.stringify(symbol.name)}`, () => declare(btf, symbol, homes));
    return found ?? { ...identify(symbol), kind: 'undeclared' as const, alignment: 1 };
  });
  return place(externs.sort(inLibbpfOrder));
}

/** libbpf: sym_is_extern. */
export function isExtern({ shndx, type, binding, name }: ElfSymbol): boolean {
  return shndx === SHN.UNDEF && type === STT.NOTYPE && name !== '' && binding !== STB.LOCAL;
}

function identify(symbol: ElfSymbol): Pick<BpfExtern, 'name' | 'symbol' | 'weak'> {
  return { name: symbol.name, symbol: symbol.index, weak: symbol.binding === STB.WEAK };
}

/** Ids of vars and funcs by the DATASEC that declares them. */
interface Declarations {
  readonly kconfig: ReadonlyMap<string, number>;
  readonly ksyms: ReadonlyMap<string, number>;
}
const NOWHERE: Declarations = { kconfig: new Map(), ksyms: new Map() };

function declarations(btf: Btf): Declarations {
  return { kconfig: membersOf(btf, '.kconfig'), ksyms: membersOf(btf, '.ksyms') };
}

function membersOf(btf: Btf, section: string): Map<string, number> {
  const id = btf.byName(section, ['datasec']);
  const datasec = id === undefined ? undefined : btf.type(id);
  if (datasec?.kind !== 'datasec') return new Map();
  return new Map(datasec.variables.map(({ type }) => [btf.name(type), type]));
}

function declare(btf: Btf, symbol: ElfSymbol, homes: Declarations): Unplaced | undefined {
  const configuration = homes.kconfig.get(symbol.name);
  if (configuration !== undefined) return declareConfiguration(btf, symbol, configuration);
  const id = homes.ksyms.get(symbol.name);
  if (id === undefined) return undefined;
  const type = btf.type(id);
  if (type.kind === 'func') return { ...identify(symbol), kind: 'kfunc', type: id, alignment: 1 };
  if (type.kind !== 'var') return undefined;
  const kind = isVoid(btf, type) ? 'typeless-ksym' : 'ksym';
  return { ...identify(symbol), kind, type: id, alignment: 1 };
}

function isVoid(btf: Btf, { type }: BtfVar): boolean {
  return btf.resolve(type) === 0;
}

function declareConfiguration(btf: Btf, symbol: ElfSymbol, id: number): Unplaced | undefined {
  const type = btf.type(id);
  if (type.kind !== 'var') return undefined;
  const alignment = btf.alignOf(type.type);
  return { ...identify(symbol), kind: 'kconfig', type: id, size: btf.sizeOf(type.type) ?? 0, alignment };
}

/** libbpf: cmp_externs. What it would refuse comes last and so disturbs no index. */
function inLibbpfOrder(a: Unplaced, b: Unplaced): number {
  const byKind = rank(a) - rank(b);
  if (byKind !== 0) return byKind;
  if (a.kind === 'kconfig') {
    const byLayout = b.alignment - a.alignment || (a.size ?? 0) - (b.size ?? 0);
    if (byLayout !== 0) return byLayout;
  }
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function rank({ kind }: Unplaced): number {
  return kind === 'kconfig' ? 0 : kind === 'undeclared' ? 2 : 1;
}

function place(externs: readonly Unplaced[]): BpfExtern[] {
  let end = 0;
  return externs.map(({ alignment, ...extern }, index) => {
    if (extern.kind !== 'kconfig') return { index, ...extern };
    const offset = Math.ceil(end / alignment) * alignment;
    end = offset + (extern.size ?? 0);
    return { index, ...extern, offset };
  });
}
