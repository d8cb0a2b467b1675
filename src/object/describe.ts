// Everything an object says, as records with names instead of places in tables: what `inspect` shows and hands to programs.
// Adds to the summary that scans carry; decides nothing of how it is shown.
import type { Btf } from '../btf/decode.ts';
import { formatC } from '../btf/format-c.ts';
import { formatRaw } from '../btf/format-raw.ts';
import type { BtfType } from '../btf/types.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { DiagnosticLog } from '../elf/log.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { type CoreRelocationRecord, listCoreRelocations } from './core-relocations.ts';
import { MapDescriber, type MapDetails } from './describe-maps.ts';
import type { BpfExtern } from './externs.ts';
import { type CodeLine, Listing } from './listing.ts';
import type { BpfObject } from './open.ts';
import type { BpfFunction } from './programs.ts';
import { EVERYTHING, type Scope, scopeOf } from './scope.ts';
import type { ObjectSummary, ProgramSummary } from './summarize.ts';
import {
  listRelocations,
  listSections,
  listSymbols,
  type RelocationRecord,
  type SectionRecord,
  type SymbolRecord,
} from './tables.ts';
import { TextAllowance } from './text-allowance.ts';
import { wide } from './wide.ts';

export interface DescribeOptions {
  /** BTF of the kernel that CO-RE relocations are resolved against. */
  readonly kernel?: Btf;
  /** Only the functions of this name, and what they reach. */
  readonly program?: string;
  /** With the code of every function. */
  readonly disassemble?: boolean;
  /** With every BTF type: as records, as C or as bpftool's raw listing. */
  readonly types?: TypesForm;
}

export type TypesForm = 'records' | 'c' | 'raw';

/** What code refers to, its subprograms included for a program. */
interface FunctionUses {
  readonly maps: readonly string[];
  readonly externs: readonly string[];
}

export interface ProgramDetails extends ProgramSummary, FunctionUses {
  /** Bytes from the start of its section. */
  readonly offset: number;
  readonly binding: BpfFunction['binding'];
  readonly attachType?: string;
  readonly sleepable?: true;
  readonly frags?: true;
  /** False for `SEC("?...")`, which loads only on request. */
  readonly autoload?: false;
  /** Program arrays that its tail calls go through. */
  readonly tailCallMaps: readonly string[];
  readonly code?: readonly CodeLine[];
}

export interface SubprogramDetails extends FunctionUses {
  readonly name: string;
  readonly section: string;
  readonly offset: number;
  readonly binding: BpfFunction['binding'];
  /** Instruction slots of 8 bytes. */
  readonly instructions: number;
  readonly sourceFile?: string;
  readonly code?: readonly CodeLine[];
}

export type ExternRecord = Pick<BpfExtern, 'name' | 'kind' | 'weak' | 'size' | 'offset'>;

/** A function that calls others. */
export interface Caller {
  readonly name: string;
  readonly section: string;
  readonly calls: readonly Callee[];
}
export interface Callee {
  /** Slot number in the caller. */
  readonly instruction: number;
  readonly name: string;
  readonly section: string;
  /** Called here, or its address taken for a helper that calls back. */
  readonly via: 'call' | 'address';
}

/** A BTF type, with 64-bit values as records hold them. */
export type BtfTypeRecord =
  | Exclude<BtfType, { kind: 'enum64' }>
  | (Omit<Extract<BtfType, { kind: 'enum64' }>, 'values'> & {
      readonly values: readonly { readonly name: string; readonly value: number | string }[];
    });

export interface BtfDetails {
  /** How many types there are; the types themselves when they were asked for. */
  readonly types: number | readonly BtfTypeRecord[];
  readonly coreRelocations: number;
  /** All types as text in the form that was asked for, in pieces. */
  readonly listing?: { readonly form: 'c' | 'raw'; readonly text: readonly string[] };
}

export interface ObjectDetails extends Omit<ObjectSummary, 'programs' | 'maps' | 'btf'> {
  readonly programs: readonly ProgramDetails[];
  readonly subprograms: readonly SubprogramDetails[];
  readonly maps: readonly MapDetails[];
  readonly externs: readonly ExternRecord[];
  readonly callGraph: readonly Caller[];
  readonly sections: readonly SectionRecord[];
  readonly symbols: readonly SymbolRecord[];
  readonly relocations: readonly RelocationRecord[];
  readonly btf?: BtfDetails;
  readonly coreRelocations: readonly CoreRelocationRecord[];
  /** What was wrong inside the object, and what went wrong describing it. */
  readonly diagnostics: readonly Diagnostic[];
}

/** `summary` is that of the same object: what is known of a program beyond its bytes (tags, live ids) is kept. */
export function describeObject(object: BpfObject, summary: ObjectSummary, options: DescribeOptions = {}): ObjectDetails {
  const log = new DiagnosticLog();
  const text = new TextAllowance(object.elf.bytes.length, log);
  const scope = options.program === undefined ? EVERYTHING : scopeOf(object, options.program);
  const all = listCoreRelocations(object, { text, log, ...(options.kernel && { kernel: options.kernel }) });
  const coreRelocations = narrow(object, scope, all);
  const listing = options.disassemble ? new Listing(object, coreRelocations, text, log) : undefined;
  const maps = new MapDescriber(object, text, log);
  const functions = object.functions.filter(({ index }) => scope.hasFunction(index));
  const btf = describeBtf(object, options.types, log);
  const details = {
    ...summary,
    programs: describePrograms(object, summary, scope, listing),
    subprograms: object.subprograms
      .filter(({ index }) => scope.hasFunction(index))
      .map((each) => describeSubprogram(object, each, listing)),
    maps: object.maps.flatMap((map, place) => {
      const known = summary.maps[place];
      return known && scope.hasMap(map.index) ? [maps.describe(map, known)] : [];
    }),
    externs: object.externs.filter(({ index }) => scope.hasExtern(index)).map(describeExtern),
    callGraph: functions.flatMap((each) => describeCalls(object, each)),
    sections: listSections(object, text),
    symbols: listSymbols(object, text),
    relocations: narrow(object, scope, listRelocations(object, text)),
    coreRelocations,
  };
  const { btf: _counts, ...rest } = details;
  return { ...rest, ...(btf && { btf }), diagnostics: [...object.diagnostics, ...log.diagnostics] };
}

function describePrograms(
  object: BpfObject,
  summary: ObjectSummary,
  scope: Scope,
  listing: Listing | undefined,
): ProgramDetails[] {
  return object.programs.flatMap((program, place) => {
    const known = summary.programs[place];
    if (known === undefined || !scope.hasFunction(program.index)) return [];
    const uses = object.reach.get(program.index) ?? object.uses[program.index];
    const { offset, binding, attachType, sleepable, frags, autoload } = program;
    return {
      ...known,
      ...(attachType !== undefined && { attachType }),
      ...(sleepable && { sleepable }),
      ...(frags && { frags }),
      ...(!autoload && { autoload }),
      offset,
      binding,
      ...namesOf(object, uses),
      tailCallMaps: (uses?.tailCallMaps ?? []).map((map) => object.maps[map]?.name ?? ''),
      ...(listing && { code: listing.of(program) }),
    };
  });
}

function describeSubprogram(object: BpfObject, each: BpfFunction, listing: Listing | undefined): SubprogramDetails {
  const { name, section, offset, binding, sourceFile, code, index } = each;
  return {
    name,
    section,
    offset,
    binding,
    instructions: Math.floor(code.length / SLOT_SIZE),
    ...(sourceFile !== undefined && { sourceFile }),
    ...namesOf(object, object.uses[index]),
    ...(listing && { code: listing.of(each) }),
  };
}

interface Places {
  readonly maps: readonly number[];
  readonly externs: readonly number[];
}

function namesOf(object: BpfObject, uses: Places | undefined): FunctionUses {
  return {
    maps: (uses?.maps ?? []).map((map) => object.maps[map]?.name ?? ''),
    externs: (uses?.externs ?? []).map((extern) => object.externs[extern]?.name ?? ''),
  };
}

function describeExtern({ name, kind, weak, size, offset }: BpfExtern): ExternRecord {
  return { name, kind, weak, ...(size !== undefined && { size }), ...(offset !== undefined && { offset }) };
}

function describeCalls({ functions, uses }: BpfObject, { index, name, section }: BpfFunction): Caller[] {
  const calls = (uses[index]?.calls ?? []).map(({ instruction, function: callee, via }): Callee => {
    const { name = '', section = '' } = functions[callee] ?? {};
    return { instruction, name, section, via };
  });
  return calls.length > 0 ? [{ name, section, calls }] : [];
}

/** Records of the functions in scope; of everything, also those that belong to no function. */
function narrow<T extends { readonly section: string; readonly function?: string }>(
  { functions }: BpfObject,
  scope: Scope,
  records: readonly T[],
): readonly T[] {
  if (scope === EVERYTHING) return records;
  const wanted = functions.filter(({ index }) => scope.hasFunction(index));
  const keys = new Set(wanted.map(({ section, name }) => `${section}\0${name}`));
  return records.filter(({ section, function: home }) => home !== undefined && keys.has(`${section}\0${home}`));
}

function describeBtf({ btf, btfExt }: BpfObject, form: TypesForm | undefined, log: DiagnosticLog): BtfDetails | undefined {
  if (btf === undefined) return undefined;
  const coreRelocations = (btfExt?.coreRelocations ?? []).reduce((count, { records }) => count + records.length, 0);
  if (form === undefined) return { types: btf.count, coreRelocations };
  if (form === 'records') return { types: listTypes(btf, log), coreRelocations };
  const diagnostics: Diagnostic[] = [];
  const text = [...(form === 'c' ? formatC(btf, diagnostics) : formatRaw(btf, diagnostics))];
  log.addAll(diagnostics);
  return { types: btf.count, coreRelocations, listing: { form, text } };
}

function listTypes(btf: Btf, log: DiagnosticLog): BtfTypeRecord[] {
  const types: BtfTypeRecord[] = [];
  for (let id = btf.firstId; id <= btf.count; id++) {
    const type = log.attempt(`BTF type ${id}`, () => btf.type(id));
    if (type) types.push(typeRecord(type));
  }
  return types;
}

function typeRecord(type: BtfType): BtfTypeRecord {
  if (type.kind !== 'enum64') return type;
  return { ...type, values: type.values.map(({ name, value }) => ({ name, value: wide(value) })) };
}
