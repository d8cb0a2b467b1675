// An object in the few words that reports carry.
import { helperName } from '../insn/helpers.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { BpfMap } from './maps.ts';
import type { BpfObject } from './open.ts';
import type { BpfProgram } from './programs.ts';

/** What an object says of one program. */
export interface ProgramSummary {
  readonly name: string;
  readonly section: string;
  readonly type?: string | number;
  readonly attachTo?: string;
  /** Instruction slots of 8 bytes of the program itself. */
  readonly instructions: number;
  readonly subprograms: readonly string[];
  readonly helpers: readonly string[];
  readonly sourceFile?: string;
}

export interface MapSummary {
  readonly name: string;
  readonly type?: string | number;
  readonly keySize?: number;
  readonly valueSize?: number;
  readonly maxEntries?: number;
  readonly flags?: number;
}

/** The meaning of an object, as far as it could be read. */
export interface ObjectSummary {
  readonly license?: string;
  readonly programs: readonly ProgramSummary[];
  readonly maps: readonly MapSummary[];
  readonly btf?: { readonly types: number; readonly coreRelocations: number };
}

export function summarize(object: BpfObject): ObjectSummary {
  return {
    ...(object.license !== undefined && { license: object.license }),
    programs: object.programs.map((program) => summarizeProgram(object, program)),
    maps: object.maps.map(summarizeMap),
    ...(object.btf && { btf: { types: object.btf.count, coreRelocations: countCoreRelocations(object) } }),
  };
}

function summarizeProgram(object: BpfObject, program: BpfProgram): ProgramSummary {
  const reach = object.reach.get(program.index);
  const { name, section, type, attachTo, sourceFile } = program;
  return {
    name,
    section,
    ...(type !== undefined && { type }),
    ...(attachTo !== undefined && { attachTo }),
    instructions: Math.floor(program.code.length / SLOT_SIZE),
    subprograms: (reach?.subprograms ?? []).map((index) => object.functions[index]?.name ?? ''),
    helpers: (reach?.helpers ?? object.uses[program.index]?.helpers ?? []).map(helperName),
    ...(sourceFile !== undefined && { sourceFile }),
  };
}

function summarizeMap({ name, type, keySize, valueSize, maxEntries, flags }: BpfMap): MapSummary {
  return {
    name,
    ...(type !== undefined && { type }),
    ...(keySize !== undefined && { keySize }),
    ...(valueSize !== undefined && { valueSize }),
    ...(maxEntries !== undefined && { maxEntries }),
    ...(flags !== undefined && { flags }),
  };
}

function countCoreRelocations({ btfExt }: BpfObject): number {
  return (btfExt?.coreRelocations ?? []).reduce((count, { records }) => count + records.length, 0);
}
