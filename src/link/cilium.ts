// cilium/ebpf: functions are names, callees follow breadth first in the order of their names, and CO-RE comes last, over the
// whole stream. Checked against 0.9.1; what later releases changed is from their sources.
import { CORE_KINDS, type CoreKind } from '../btf/core-spec.ts';
import { STB, STT } from '../elf/names.ts';
import { CALL, OPCODE, PSEUDO } from '../insn/opcodes.ts';
import { type InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { FunctionIndex } from '../object/function-index.ts';
import type { BpfMap } from '../object/maps.ts';
import type { BpfObject } from '../object/open.ts';
import { type BpfFunction, isCode } from '../object/programs.ts';
import type { BpfRelocation } from '../object/relocations.ts';
import { CiliumCore, type CiliumSides } from './cilium-core.ts';
import { patchCilium } from './cilium-patch.ts';
import { CILIUM_RELEASES, type CiliumRelease } from './cilium-releases.ts';
import { checkBtfExt, ObjectCore } from './core.ts';
import type { PlacedRecord } from './core-code.ts';
import { Externs } from './externs.ts';
import { checkIntact } from './intact.ts';
import type { Kernel } from './kernel.ts';
import { assemble, checkLimits, checkWide, type Placed, type Stream } from './layout.ts';
import { Evidence, type LinkedCode, type Loader, type MapReference, problemOf, refuse, Unlinkable } from './loader.ts';
import { sanitise } from './sanitise.ts';

export const CILIUM: readonly Loader[] = CILIUM_RELEASES.map((release) => ({
  name: 'cilium',
  since: release.since,
  ...(release.until !== undefined && { until: release.until }),
  poisonsMaps: false,
  distinction: (object, kernel) => distinguish(release, object, kernel),
  open: (object, kernel) => {
    const opened = new CiliumObject(object, kernel, release);
    return (program) => opened.link(program);
  },
}));

const TEXT = '.text';

/** A call that cannot succeed, in place of a weak kernel function that is missing. */
const MISSING_KFUNC = 0x0dedc0de;

/** What of a release matters to an object: see `Loader.distinction`. */
function distinguish(release: CiliumRelease, object: BpfObject, kernel: Kernel): string {
  const records = [...ObjectCore.of(object, kernel).recordsOf.values()].flat();
  const hasRecord = (kind: CoreKind) => records.some(({ record }) => CORE_KINDS[record.kind] === kind);
  const hasExterns = object.externs.length > 0;
  const matters: Record<keyof Omit<CiliumRelease, 'since' | 'until'>, boolean> = {
    enum64: release.enum64 && records.length > 0,
    kconfig: release.kconfig && (hasExterns || hasWeakFunctions(object) || object.maps.some(hasUnusualName)),
    localIdsKept: release.localIdsKept && hasRecord('local_type_id'),
    poisonsWide: release.poisonsWide && records.some(isOfWide),
    weakKfuncs: release.weakKfuncs && hasExterns,
    typeMatches: release.typeMatches && hasRecord('type_matches'),
    ksyms: release.ksyms && hasExterns,
    modules: release.modules && records.length > 0 && kernel.modules.length > 0,
  };
  return JSON.stringify(matters);
}

function hasWeakFunctions({ elf }: BpfObject): boolean {
  return elf.symbols.some(({ binding, section }) => binding === STB.WEAK && section !== undefined);
}

/** Whether its instruction has two slots. */
function isOfWide({ function: { code }, slot }: PlacedRecord): boolean {
  return code[slot * SLOT_SIZE] === OPCODE.LD_IMM64;
}

/** Data in a section of another name than the compiler's own. */
function hasUnusualName({ origin, name }: BpfMap): boolean {
  return origin === 'data' && name !== '.bss' && name !== '.data' && !name.startsWith('.rodata');
}
/** A slot that refers to a function, by the slot's place in its own function. */
interface FunctionReference {
  readonly slot: number;
  readonly callee: BpfFunction;
  readonly via: 'call' | 'address';
}

class CiliumObject {
  readonly #object: BpfObject;
  readonly #kernel: Kernel;
  readonly #release: CiliumRelease;
  readonly #index: FunctionIndex;
  readonly #problem: Unlinkable | undefined;
  readonly #references = new Map<number, readonly FunctionReference[]>();

  constructor(object: BpfObject, kernel: Kernel, release: CiliumRelease) {
    this.#object = object;
    this.#kernel = kernel;
    this.#release = release;
    this.#index = new FunctionIndex(object.functions);
    this.#problem = problemOf(() => {
      checkIntact(object);
      checkFunctions(object);
      checkBtfExt(object);
    });
  }

  link(program: BpfFunction): LinkedCode {
    if (program.section === TEXT) throw refuse('a function in .text is no program');
    if (this.#problem) throw this.#problem;
    const evidence = new Evidence();
    const { littleEndian: little } = this.#object.elf;
    const stream = this.#layOut(program);
    this.#encodeReferences(stream);
    const maps = this.#relocate(stream, evidence);
    this.#relocateTypes(stream, evidence);
    sanitise(stream.slots, this.#kernel);
    return { code: stream.slots.bytes, little, evidence, maps };
  }

  #layOut(program: BpfFunction): Stream {
    const placed: Placed[] = [];
    let end = 0;
    const append = (each: BpfFunction): void => {
      placed.push({ function: each, start: end });
      end += each.code.length / SLOT_SIZE;
      checkLimits(placed.length, end);
    };
    append(program);
    const linked = new Set<BpfFunction>();
    const pending = [...this.#callees(program)];
    for (const callee of pending) {
      if (linked.has(callee)) continue;
      if (callee === program) throw refuse(`${JSON.stringify(callee.name)} calls itself`);
      linked.add(callee);
      append(callee);
      pending.push(...this.#callees(callee));
    }
    return {
      slots: assemble(placed, end, { little: this.#object.elf.littleEndian, codeOf: (each) => each.code }),
      placed,
    };
  }

  /** Each once, in bytewise order of the names. */
  #callees(home: BpfFunction): BpfFunction[] {
    const callees = new Set(this.#referencesOf(home).map(({ callee }) => callee));
    return [...callees].sort((a, b) => compareBytes(a.name, b.name));
  }

  #referencesOf(home: BpfFunction): readonly FunctionReference[] {
    const known = this.#references.get(home.index);
    if (known) return known;
    const relocated = new Map((this.#object.relocations[home.index] ?? []).map((each) => [each.instruction, each]));
    const found: FunctionReference[] = [];
    const slots = assemble([{ function: home, start: 0 }], home.code.length / SLOT_SIZE, {
      little: this.#object.elf.littleEndian,
      codeOf: (each) => each.code,
    });
    for (let slot = 0; slot < slots.count; slot += slots.width(slot)) {
      const reference = this.#referenceAt(home, slots, slot, relocated.get(slot));
      if (reference) found.push(reference);
    }
    this.#references.set(home.index, found);
    return found;
  }

  #referenceAt(
    home: BpfFunction,
    slots: InstructionSlots,
    slot: number,
    relocation: BpfRelocation | undefined,
  ): FunctionReference | undefined {
    const isCall = slots.opcode(slot) === OPCODE.CALL && slots.src(slot) === CALL.SUBPROGRAM;
    if (relocation === undefined) {
      if (!isCall || slots.imm(slot) === -1) return undefined;
      const offset = home.offset + (slot + slots.imm(slot) + 1) * SLOT_SIZE;
      return { slot, callee: this.#functionAt(home.sectionIndex, offset), via: 'call' };
    }
    const { kind } = relocation.target;
    if (kind !== 'call' && kind !== 'function') return undefined;
    const symbol = this.#object.elf.symbols[relocation.symbol];
    const section = symbol?.section;
    if (symbol === undefined || section === undefined) throw refuse(`there is no symbol ${relocation.symbol}`);
    if (symbol.binding === STB.WEAK && !this.#release.kconfig) throw refuse(`${JSON.stringify(symbol.name)} is weak`);
    if (kind === 'function') {
      checkWide(slots, slot);
      // The place of the symbol is not looked at: global functions are found only at the start of their section.
      return { slot, callee: this.#functionAt(section, slots.imm(slot)), via: 'address' };
    }
    if (!isCall) throw refuse(`slot ${slot} of ${JSON.stringify(home.name)} calls a subprogram as if it were a helper`);
    const offset = symbol.type === STT.SECTION ? (slots.imm(slot) + 1) * SLOT_SIZE : symbol.value;
    return { slot, callee: this.#functionAt(section, offset), via: 'call' };
  }

  #functionAt(section: number, offset: number): BpfFunction {
    const found = this.#index.containing(section, offset);
    if (found?.offset !== offset) throw refuse(`no function begins at byte ${offset} of section ${section}`);
    return found;
  }

  #encodeReferences({ slots, placed }: Stream): void {
    const starts = new Map(placed.map((each) => [each.function, each.start]));
    for (const { function: home, start } of placed) {
      for (const { slot, callee, via } of this.#referencesOf(home)) {
        const imm = (starts.get(callee) ?? 0) - (start + slot) - 1;
        slots.write(start + slot, via === 'address' ? { src: PSEUDO.FUNC, imm } : { imm });
        // The distance has 64 bits there.
        if (via === 'address') slots.write(start + slot + 1, { imm: imm < 0 ? -1 : 0 });
      }
    }
  }

  #relocate({ slots, placed }: Stream, evidence: Evidence): MapReference[] {
    const references: MapReference[] = [];
    for (const { function: home, start } of placed) {
      for (const { instruction, target, symbol } of this.#object.relocations[home.index] ?? []) {
        const slot = start + instruction;
        if (target.kind === 'map' || target.kind === 'data') {
          checkWide(slots, slot);
          const map = this.#object.maps[target.map];
          this.#checkMap(map, symbol);
          slots.write(slot, { src: target.kind === 'map' ? PSEUDO.MAP_FD : PSEUDO.MAP_VALUE });
          references.push({ slot, map: target.map });
        } else if (target.kind === 'extern') {
          this.#pointAtExtern(slots, slot, target.extern, evidence);
        } else if (target.kind === 'unknown') {
          throw refuse(`slot ${instruction} of ${JSON.stringify(home.name)} refers to nothing that is known`);
        }
      }
    }
    return references;
  }

  #checkMap(map: BpfMap | undefined, symbol: number): void {
    if (map?.origin === 'defined' && this.#object.elf.symbols[symbol]?.binding !== STB.GLOBAL) {
      throw refuse(`map ${JSON.stringify(map.name)} is static`);
    }
    if (map === undefined || !hasUnusualName(map) || this.#release.kconfig) return;
    throw refuse(`section ${JSON.stringify(map.name)} is no section of data`);
  }

  #pointAtExtern(slots: InstructionSlots, slot: number, place: number, evidence: Evidence): void {
    const extern = this.#object.externs[place];
    if (extern === undefined) throw refuse(`there is no extern ${place}`);
    const { kconfig, weakKfuncs, ksyms } = this.#release;
    const name = JSON.stringify(extern.name);
    const isCall = slots.opcode(slot) === OPCODE.CALL;
    if (!isCall) checkWide(slots, slot);
    if (extern.kind === 'undeclared') {
      throw new Unlinkable('runtime-edited', `the application writes ${name} into the code, if anything does`);
    }
    if (extern.kind === 'kconfig') {
      if (extern.weak) throw refuse(`${name} is weak`);
      // Before, such a reference was left to the application, and without one stays 0.
      if (kconfig) slots.write(slot, { src: PSEUDO.MAP_VALUE });
      return;
    }
    if (extern.kind === 'kfunc' && kconfig) {
      if (extern.weak && !weakKfuncs) throw refuse(`${name} is weak`);
      this.#pointAtKfunc(slots, slot, place, evidence);
      return;
    }
    if (isCall || extern.weak || ksyms) throw refuse(`what becomes of ${name} is not known`);
  }

  #pointAtKfunc(slots: InstructionSlots, slot: number, place: number, evidence: Evidence): void {
    const extern = this.#object.externs[place];
    if (extern === undefined) throw refuse(`there is no extern ${place}`);
    const answer = new Externs(this.#object, this.#kernel, { kfuncFlavors: false }).resolve(extern, evidence);
    const isCall = slots.opcode(slot) === OPCODE.CALL;
    if (answer.kind === 'missing') {
      if (isCall) slots.write(slot, { src: CALL.HELPER, offset: 0, imm: MISSING_KFUNC });
      return;
    }
    if (answer.kind !== 'type') throw refuse(`${JSON.stringify(extern.name)} is no function`);
    if (answer.module > 0) throw new Unlinkable('module-dependent', `${JSON.stringify(extern.name)} is of a module`);
    if (isCall) slots.write(slot, { src: CALL.KFUNC, offset: 0, imm: answer.id });
    else slots.write(slot, { src: PSEUDO.BTF_ID, imm: answer.id });
  }

  #relocateTypes({ slots, placed }: Stream, evidence: Evidence): void {
    const { btf: local } = this.#object;
    const { recordsOf } = ObjectCore.of(this.#object, this.#kernel);
    const wanted = placed.flatMap(({ function: home, start }) =>
      (recordsOf.get(home.index) ?? []).map(({ record, slot }) => ({ record, slot: start + slot })),
    );
    if (local === undefined || wanted.length === 0) return;
    const kernel = this.#kernel.btf(evidence);
    if (!this.#release.enum64 && this.#kernel.hasEnum64(evidence)) {
      throw refuse('the BTF of the kernel has 64-bit enums, which this loader cannot read');
    }
    const { modules } = this.#release;
    const core = coreOf(this.#kernel, {
      local,
      kernel,
      modules: modules ? this.#kernel.modules.map(({ btf }) => btf) : [],
      narrowEnums: !this.#release.enum64,
      spend: () => this.#kernel.spend(),
    });
    const records = wanted.map(({ record }) => record);
    const fixups = core.relocate(records, this.#release);
    for (const [index, { slot }] of wanted.entries()) {
      const fixup = fixups[index];
      if (fixup) patchCilium(slots, slot, fixup, this.#release.poisonsWide);
    }
  }
}

const CORES = new WeakMap<Kernel, Map<string, CiliumCore>>();

/** One for all releases that see the same types. A kernel is asked about one object only. */
function coreOf(kernel: Kernel, sides: CiliumSides): CiliumCore {
  const cores = CORES.get(kernel) ?? new Map<string, CiliumCore>();
  CORES.set(kernel, cores);
  const key = `${sides.modules.length} ${sides.narrowEnums}`;
  const core = cores.get(key) ?? new CiliumCore(sides);
  cores.set(key, core);
  return core;
}

/** Names must be unique, and every byte of code belongs to the symbol before it. */
function checkFunctions({ elf, functions }: BpfObject): void {
  const names = new Set<string>();
  const covered = new Map<number, number>();
  for (const each of functions) {
    if (names.has(each.name)) throw refuse(`there are two functions ${JSON.stringify(each.name)}`);
    names.add(each.name);
    covered.set(each.sectionIndex, (covered.get(each.sectionIndex) ?? 0) + each.code.length);
  }
  for (const section of elf.sections) {
    if (isCode(section) && section.size !== (covered.get(section.index) ?? 0)) {
      throw refuse(`section ${JSON.stringify(section.name)} has code that belongs to no function`);
    }
  }
}

const encoder = new TextEncoder();

function compareBytes(a: string, b: string): number {
  const [left, right] = [encoder.encode(a), encoder.encode(b)];
  const at = left.findIndex((byte, place) => byte !== right[place]);
  return at < 0 ? left.length - right.length : (left[at] ?? 0) - (right[at] ?? -1);
}
