// What the relocations of code stand for: which map, data, extern or function an instruction refers to
// (libbpf: bpf_program__record_reloc; cilium/ebpf also lets calls leave for other sections than .text).
import type { ElfFile, ElfRelocation, ElfSymbol } from '../elf/file.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { STT } from '../elf/names.ts';
import { OPCODE } from '../insn/opcodes.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { type BpfExtern, isExtern } from './externs.ts';
import { FunctionIndex } from './function-index.ts';
import type { BpfMap } from './maps.ts';
import { type BpfFunction, isCode } from './programs.ts';

export type RelocationTarget =
  /** A map itself; `map` is a place in `BpfObject.maps`. */
  | { readonly kind: 'map'; readonly map: number }
  /** Global data: `offset` bytes into the only element of a data map, or into an arena. */
  | { readonly kind: 'data'; readonly map: number; readonly offset: number }
  /** A place in `BpfObject.externs`. */
  | { readonly kind: 'extern'; readonly extern: number }
  /** Places in `BpfObject.functions`: called, or its address taken. */
  | { readonly kind: 'call'; readonly function: number }
  | { readonly kind: 'function'; readonly function: number }
  /** What libbpf has no use for. */
  | { readonly kind: 'unknown' };

export interface BpfRelocation {
  /** Slot number in the function. */
  readonly instruction: number;
  /** Index into `ElfFile.symbols`, and the name found there. */
  readonly symbol: number;
  readonly name: string;
  readonly target: RelocationTarget;
}

export interface RelocationInput {
  readonly elf: ElfFile;
  readonly functions: readonly BpfFunction[];
  readonly maps: readonly BpfMap[];
  readonly externs: readonly BpfExtern[];
  readonly log: DiagnosticLog;
}

/** The relocations of every function, at its place in `functions`, by instruction. Those outside any function are left out. */
export function readRelocations(input: RelocationInput): BpfRelocation[][] {
  const { elf, functions } = input;
  const relocations: BpfRelocation[][] = functions.map(() => []);
  const resolver = new Resolver(input);
  for (const section of elf.sections) {
    if (!isCode(section)) continue;
    for (const from of elf.relocationSections(section)) {
      for (const relocation of elf.relocations(from)) {
        const home = resolver.functions.containing(section.index, relocation.offset);
        const resolved = home && resolver.resolve(home, relocation);
        if (resolved) relocations[home.index]?.push(resolved);
      }
    }
  }
  for (const each of relocations) each.sort((a, b) => a.instruction - b.instruction);
  return relocations;
}

const UNKNOWN: RelocationTarget = { kind: 'unknown' };

class Resolver {
  readonly functions: FunctionIndex;
  readonly #elf: ElfFile;
  readonly #log: DiagnosticLog;
  readonly #maps = new Map<string, number>();
  readonly #data = new Map<number, number>();
  readonly #externs: ReadonlyMap<number, number>;
  readonly #slots = new Map<number, InstructionSlots>();

  constructor({ elf, functions, maps, externs, log }: RelocationInput) {
    this.#elf = elf;
    this.#log = log;
    this.functions = new FunctionIndex(functions);
    for (const map of maps) {
      if (map.sectionIndex === undefined) continue;
      if (map.origin === 'data') this.#data.set(map.sectionIndex, map.index);
      else this.#maps.set(`${map.sectionIndex}:${map.offset}`, map.index);
    }
    this.#externs = new Map(externs.map(({ symbol, index }) => [symbol, index]));
    const arena = maps.find(({ type }) => type === 'arena');
    const arenaData = elf.section(ARENA_SECTION);
    if (arena && arenaData) this.#data.set(arenaData.index, arena.index);
  }

  resolve(home: BpfFunction, { offset, symbol: index }: ElfRelocation): BpfRelocation | undefined {
    const at = offset - home.offset;
    const where = `function ${JSON.stringify(home.name)}: relocation at ${at}`;
    const symbol = this.#elf.symbols[index];
    if (symbol === undefined) {
      this.#log.warn('relocation-symbol', where, `of symbol ${index}, the last one is ${this.#elf.symbols.length - 1}`);
      return undefined;
    }
    if (at % SLOT_SIZE !== 0 || at + SLOT_SIZE > home.code.length) {
      this.#log.warn('relocation-offset', where, `no instruction there, the code has ${home.code.length} bytes`);
      return undefined;
    }
    const instruction = at / SLOT_SIZE;
    const target = this.#target(home, instruction, symbol);
    const name = this.#nameOf(symbol);
    if (target === UNKNOWN)
      this.#log.warn('relocation-target', where, `of ${JSON.stringify(name)}: nothing libbpf knows`);
    return { instruction, symbol: index, name, target };
  }

  /** Section symbols have no name of their own. */
  #nameOf(symbol: ElfSymbol): string {
    if (symbol.name !== '' || symbol.section === undefined) return symbol.name;
    return this.#elf.sections[symbol.section]?.name ?? '';
  }

  #target(home: BpfFunction, instruction: number, symbol: ElfSymbol): RelocationTarget {
    if (isExtern(symbol)) {
      const extern = this.#externs.get(symbol.index);
      return extern === undefined ? UNKNOWN : { kind: 'extern', extern };
    }
    if (symbol.section === undefined) return UNKNOWN;
    const slots = this.#slotsOf(home);
    const imm = slots.imm(instruction);
    switch (slots.opcode(instruction)) {
      case OPCODE.CALL: // the immediate counts instructions from the one after the call
        return this.#code('call', symbol.section, symbol.value + (imm + 1) * SLOT_SIZE);
      case OPCODE.LD_IMM64:
        return this.#address(symbol, symbol.section, symbol.value + imm);
      default:
        return UNKNOWN;
    }
  }

  #address(symbol: ElfSymbol, section: number, offset: number): RelocationTarget {
    const data = this.#data.get(section);
    if (data !== undefined) return { kind: 'data', map: data, offset };
    const place = symbol.type === STT.SECTION ? offset : symbol.value;
    const map = this.#maps.get(`${section}:${place}`);
    if (map !== undefined) return { kind: 'map', map };
    return this.#code('function', section, offset);
  }

  #code(kind: 'call' | 'function', section: number, offset: number): RelocationTarget {
    const found = this.functions.containing(section, offset);
    return found === undefined ? UNKNOWN : { kind, function: found.index };
  }

  #slotsOf(home: BpfFunction): InstructionSlots {
    const known = this.#slots.get(home.index);
    if (known !== undefined) return known;
    const slots = new InstructionSlots(home.code, this.#elf.littleEndian);
    this.#slots.set(home.index, slots);
    return slots;
  }
}

/** Variables in the arena's address space: libbpf 1.4 places them at the start of the one arena map. */
const ARENA_SECTION = '.addr_space.1';
