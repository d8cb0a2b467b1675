// Everything an object says, as records with names instead of places in tables: what `inspect` shows and hands to programs.
// Adds to the summary that scans carry; decides nothing of how it is shown.
import type { Btf } from '../btf/decode.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { DiagnosticLog } from '../elf/log.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { CodeUses } from './code.ts';
import { type CoreRelocationRecord, listCoreRelocations } from './core-relocations.ts';
import { type BtfDetails, describeBtf, type TypesForm } from './describe-btf.ts';
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

export interface DescribeOptions {
  /** BTF of the kernel that CO-RE relocations are resolved against. */
  readonly kernel?: Btf;
  /** Only the functions of this name, and what they reach. */
  readonly program?: string;
  /** With the code of every function. */
  readonly disassemble?: boolean;
  /** With every BTF type. */
  readonly types?: TypesForm;
}

/** What code refers to, its subprograms included for a program. */
interface FunctionUses {
  readonly maps: readonly string[];
  readonly externs: readonly string[];
}

/** Where there is no ELF, programs may have no name and no section. */
export type KnownProgram = Omit<ProgramSummary, 'name' | 'section'> & Partial<Pick<ProgramSummary, 'name' | 'section'>>;

/** A program as the summary has it, and the rest. */
export type ProgramDetails<P extends KnownProgram = ProgramSummary> = P & ProgramFacts;

export interface ProgramFacts extends FunctionUses {
  /** Bytes from the start of its section. Absent, like the binding, where there is no ELF. */
  readonly offset?: number;
  readonly binding?: BpfFunction['binding'];
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

export interface ObjectDetails<P extends KnownProgram = ProgramSummary>
  extends Omit<ObjectSummary, 'programs' | 'maps' | 'btf'> {
  readonly programs: readonly ProgramDetails<P>[];
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

/** What is known of the object already, in its order; its programs may say more than their bytes do. */
export type Known<P extends KnownProgram> = Omit<ObjectSummary, 'programs'> & { readonly programs: readonly P[] };

/** `known` is that of the same object: what it says of programs (tags, live ids) stays. */
export function describeObject<P extends KnownProgram>(
  object: BpfObject,
  known: Known<P>,
  options: DescribeOptions = {},
): ObjectDetails<P> {
  return new Describer(object, known, options).describe();
}

class Describer<P extends KnownProgram> {
  readonly #object: BpfObject;
  readonly #known: Known<P>;
  readonly #options: DescribeOptions;
  readonly #scope: Scope;
  readonly #log = new DiagnosticLog();
  readonly #text: TextAllowance;

  constructor(object: BpfObject, known: Known<P>, options: DescribeOptions) {
    this.#object = object;
    this.#known = known;
    this.#options = options;
    this.#scope = options.program === undefined ? EVERYTHING : scopeOf(object, options.program);
    this.#text = new TextAllowance(object.elf.bytes.length, this.#log);
  }

  describe(): ObjectDetails<P> {
    const { kernel, disassemble, types } = this.#options;
    const object = this.#object;
    const input = { text: this.#text, log: this.#log };
    const coreRelocations = this.#narrow(listCoreRelocations(object, { ...input, ...(kernel && { kernel }) }));
    const listing = disassemble ? new Listing(object, coreRelocations, this.#text, this.#log) : undefined;
    const btf = describeBtf(object, types, this.#text, this.#log);
    const { license } = this.#known;
    return {
      ...(license !== undefined && { license }),
      programs: this.#programs(listing),
      subprograms: this.#subprograms(listing),
      maps: this.#maps(),
      externs: object.externs.filter(({ index }) => this.#scope.hasExtern(index)).map(describeExtern),
      callGraph: this.#callGraph(),
      sections: listSections(object, this.#text),
      symbols: listSymbols(object, this.#text),
      relocations: this.#narrow(listRelocations(object, this.#text)),
      ...(btf && { btf }),
      coreRelocations,
      diagnostics: [...object.diagnostics, ...this.#log.diagnostics],
    };
  }

  #programs(listing: Listing | undefined): ProgramDetails<P>[] {
    const { programs, reach, uses } = this.#object;
    return programs.flatMap((program, place) => {
      const known = this.#known.programs[place];
      if (known === undefined || !this.#scope.hasFunction(program.index)) return [];
      const used = reach.get(program.index) ?? uses[program.index];
      const { offset, binding, attachType, sleepable, frags, autoload } = program;
      return {
        ...known,
        ...(attachType !== undefined && { attachType }),
        ...(sleepable && { sleepable }),
        ...(frags && { frags }),
        ...(!autoload && { autoload }),
        offset,
        binding,
        ...this.#names(used),
        tailCallMaps: this.#mapNames(used?.tailCallMaps),
        ...(listing && { code: listing.of(program) }),
      };
    });
  }

  #subprograms(listing: Listing | undefined): SubprogramDetails[] {
    const { subprograms, uses } = this.#object;
    const wanted = subprograms.filter(({ index }) => this.#scope.hasFunction(index));
    return wanted.map((each) => ({
      name: each.name,
      section: each.section,
      offset: each.offset,
      binding: each.binding,
      instructions: Math.floor(each.code.length / SLOT_SIZE),
      ...(each.sourceFile !== undefined && { sourceFile: each.sourceFile }),
      ...this.#names(uses[each.index]),
      ...(listing && { code: listing.of(each) }),
    }));
  }

  #maps(): MapDetails[] {
    const describer = new MapDescriber(this.#object, this.#text, this.#log);
    return this.#object.maps.flatMap((map, place) => {
      const known = this.#known.maps[place];
      return known && this.#scope.hasMap(map.index) ? [describer.describe(map, known)] : [];
    });
  }

  #callGraph(): Caller[] {
    const { functions, uses } = this.#object;
    const callers = functions.filter(({ index }) => this.#scope.hasFunction(index) && uses[index]?.calls.length);
    return callers.map(({ index, name, section }) => ({
      name,
      section,
      calls: (uses[index]?.calls ?? []).map(({ instruction, function: callee, via }) => ({
        instruction,
        name: this.#text.take(functions[callee]?.name ?? ''),
        section: functions[callee]?.section ?? '',
        via,
      })),
    }));
  }

  /** Of everything, also the records that belong to no function. */
  #narrow<T extends { readonly section: string; readonly function?: string }>(records: readonly T[]): readonly T[] {
    if (this.#scope === EVERYTHING) return records;
    const wanted = this.#object.functions.filter(({ index }) => this.#scope.hasFunction(index));
    const keys = new Set(wanted.map(({ section, name }) => `${section}\0${name}`));
    return records.filter(({ section, function: home }) => home !== undefined && keys.has(`${section}\0${home}`));
  }

  #names(uses: Uses | undefined): FunctionUses {
    const { externs } = this.#object;
    return {
      maps: this.#mapNames(uses?.maps),
      externs: (uses?.externs ?? []).map((extern) => this.#text.take(externs[extern]?.name ?? '')),
    };
  }

  #mapNames(maps: readonly number[] = []): string[] {
    return maps.map((map) => this.#text.take(this.#object.maps[map]?.name ?? ''));
  }
}

type Uses = Pick<CodeUses, 'maps' | 'externs' | 'tailCallMaps'>;

function describeExtern({ name, kind, weak, size, offset }: BpfExtern): ExternRecord {
  return { name, kind, weak, ...(size !== undefined && { size }), ...(offset !== undefined && { offset }) };
}
