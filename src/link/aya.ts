// aya: libbpf's way of putting code together, with rules of its own for what may be called and for what it relocates.
import { AYA_RULES } from '../btf/core-rules.ts';
import { describeSection } from '../elf/file.ts';
import { STT } from '../elf/names.ts';
import { OPCODE, POISON, PSEUDO } from '../insn/opcodes.ts';
import { type InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { FunctionIndex } from '../object/function-index.ts';
import type { BpfMap } from '../object/maps.ts';
import type { BpfObject } from '../object/open.ts';
import type { BpfFunction } from '../object/programs.ts';
import { checkBtfExt, ObjectCore } from './core.ts';
import { Externs } from './externs.ts';
import { checkIntact } from './intact.ts';
import type { Kernel } from './kernel.ts';
import { isSubprogramCall, layOut, type Reference } from './layout.ts';
import { Evidence, type LinkedCode, type Loader, problemOf, refuse, type Unlinkable } from './loader.ts';
import { relocateData } from './relocate.ts';
import { sanitise } from './sanitise.ts';

interface AyaRelease {
  readonly since: string;
  readonly until?: string;
  /** References to `.bss` look like references to a map (aya-obj before 0.2.1). */
  readonly bssIsMap: boolean;
  /** Variables and functions of the kernel; before, such references stay as the compiler left them. */
  readonly resolvesKsyms: boolean;
}

const RELEASES: readonly AyaRelease[] = [
  { since: '0.14', bssIsMap: false, resolvesKsyms: true },
  { since: '0.13.1', until: '0.13.1', bssIsMap: false, resolvesKsyms: false },
  { since: '0', until: '0.13.0', bssIsMap: true, resolvesKsyms: false },
];

export const AYA: readonly Loader[] = RELEASES.map((release) => ({
  name: 'aya',
  since: release.since,
  ...(release.until !== undefined && { until: release.until }),
  poisonsMaps: false,
  distinction: (object) => distinguish(release, object),
  open: (object, kernel) => {
    const opened = new AyaObject(object, kernel, release);
    return (program) => opened.link(program);
  },
}));

const TEXT = '.text';

/** What of a release matters to an object: see `Loader.distinction`. */
function distinguish({ bssIsMap, resolvesKsyms }: AyaRelease, { maps, externs }: BpfObject): string {
  return JSON.stringify([bssIsMap && maps.some(({ name }) => isBss(name)), resolvesKsyms && externs.length > 0]);
}

class AyaObject {
  readonly #object: BpfObject;
  readonly #kernel: Kernel;
  readonly #release: AyaRelease;
  readonly #core: ObjectCore;
  readonly #index: FunctionIndex;
  readonly #problem: Unlinkable | undefined;
  #bySlot: readonly ReadonlyMap<number, number>[] | undefined;

  constructor(object: BpfObject, kernel: Kernel, release: AyaRelease) {
    this.#object = object;
    this.#kernel = kernel;
    this.#release = release;
    this.#core = ObjectCore.of(object, kernel);
    this.#index = new FunctionIndex(object.functions);
    this.#problem = problemOf(() => {
      checkIntact(object);
      checkObject(object);
      checkBtfExt(object);
    });
  }

  link(program: BpfFunction): LinkedCode {
    const { elf, maps, relocations } = this.#object;
    const { littleEndian: little } = elf;
    if (program.section === TEXT) throw refuse('a function in .text is no program');
    if (this.#problem) throw this.#problem;
    const evidence = new Evidence();
    this.#bySlot ??= placesBySlot(relocations);
    const bySlot = this.#bySlot;
    const stream = layOut(program, {
      little,
      codeOf: (each) => this.#core.codeOf(each, AYA_RULES, evidence),
      referenceAt: (home, slots, slot) => this.#referenceAt(home, slots, slot, bySlot[home.index]?.get(slot)),
    });
    const references = relocateData(stream, {
      form: 'direct',
      maps,
      relocationsOf: (index) =>
        (relocations[index] ?? []).filter(({ target }) => target.kind !== 'extern' || this.#release.resolvesKsyms),
      externAt: (place) => this.#answer(place, evidence),
      poisonOf: (place) => POISON.KFUNC + (this.#object.externs[place]?.symbol ?? 0),
      pseudoOf: (map) => this.#pseudoOf(map),
    });
    sanitise(stream.slots, this.#kernel);
    return { code: stream.slots.bytes, little, evidence, maps: references };
  }

  #referenceAt(
    home: BpfFunction,
    slots: InstructionSlots,
    slot: number,
    place: number | undefined,
  ): Reference | undefined {
    const target = place === undefined ? undefined : this.#object.relocations[home.index]?.[place]?.target;
    if (isSubprogramCall(slots, slot)) {
      if (target?.kind === 'call') return { callee: this.#function(home, slots, slot, place), via: 'call' };
      if (target?.kind === 'extern' && this.#release.resolvesKsyms) return undefined;
      if (target !== undefined)
        throw refuse(`slot ${slot} of ${JSON.stringify(home.name)} calls no function of the object`);
      const offset = home.offset + (slot + slots.imm(slot) + 1) * SLOT_SIZE;
      const callee = this.#index.containing(home.sectionIndex, offset);
      if (callee?.offset !== offset) throw refuse(`slot ${slot} of ${JSON.stringify(home.name)} calls no function`);
      return { callee, via: 'call' };
    }
    return target?.kind === 'function' && slots.opcode(slot) === OPCODE.LD_IMM64
      ? { callee: this.#function(home, slots, slot, place), via: 'address' }
      : undefined;
  }

  /** Functions are known by the address where they begin. */
  #function(home: BpfFunction, slots: InstructionSlots, slot: number, place = 0): BpfFunction {
    const relocation = this.#object.relocations[home.index]?.[place];
    const symbol = this.#object.elf.symbols[relocation?.symbol ?? 0];
    const imm = slots.imm(slot);
    const offset = (symbol?.value ?? 0) + (relocation?.target.kind === 'call' ? (imm + 1) * SLOT_SIZE : imm);
    const found = this.#index.containing(symbol?.section ?? 0, offset);
    if (found?.offset !== offset) throw refuse(`slot ${slot} of ${JSON.stringify(home.name)} refers to no function`);
    return found;
  }

  #answer(place: number, evidence: Evidence) {
    const extern = this.#object.externs[place];
    if (extern === undefined) throw refuse(`there is no extern ${place}`);
    if (extern.kind === 'kconfig') throw refuse(`what becomes of ${JSON.stringify(extern.name)} is not known`);
    return new Externs(this.#object, this.#kernel, { kfuncFlavors: false, core: AYA_RULES }).resolve(extern, evidence);
  }

  #pseudoOf({ origin, name }: BpfMap): number {
    if (origin !== 'data') return PSEUDO.MAP_FD;
    return isBss(name) && this.#release.bssIsMap ? PSEUDO.MAP_FD : PSEUDO.MAP_VALUE;
  }
}

function isBss(name: string): boolean {
  return name === '.bss' || name.startsWith('.bss.');
}

/** For each function, the place of the last relocation of an instruction among its own. */
function placesBySlot(relocations: BpfObject['relocations']): Map<number, number>[] {
  return relocations.map((own) => new Map(own.map(({ instruction }, place) => [instruction, place])));
}

function checkObject({ elf, functions, relocations }: BpfObject): void {
  const covered = new Map<number, number>();
  for (const each of functions) {
    if (elf.symbols[each.symbol]?.type !== STT.FUNC)
      throw refuse(`${JSON.stringify(each.name)} is not marked as a function`);
    covered.set(each.sectionIndex, (covered.get(each.sectionIndex) ?? 0) + each.code.length);
  }
  const text = elf.section(TEXT);
  if (text && text.size !== (covered.get(text.index) ?? 0)) {
    throw refuse(`${describeSection(text)} has code that belongs to no function`);
  }
  if (relocations.some((own) => own.some(({ target }) => target.kind === 'unknown'))) {
    throw refuse('a relocation refers to nothing that is known');
  }
}
