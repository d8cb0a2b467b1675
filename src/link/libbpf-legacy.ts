// libbpf before 0.2, as bpftool of kernels up to 5.9 carries it: a section is a program, and a program that calls anything
// gets the whole of `.text` behind it (bpf_program__reloc_text).
import { libbpfRules } from '../btf/core-rules.ts';
import { describeSection, type ElfSection } from '../elf/file.ts';
import { STB } from '../elf/names.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { BpfObject } from '../object/open.ts';
import type { BpfFunction } from '../object/programs.ts';
import { ObjectCore } from './core.ts';
import { type ExternAnswer, Externs } from './externs.ts';
import type { Kernel } from './kernel.ts';
import { assemble, checkLimits, type Placed, type Stream } from './layout.ts';
import { findProblem } from './libbpf-problems.ts';
import { LIBBPF_RELEASES } from './libbpf-releases.ts';
import { Evidence, type LinkedCode, type Loader, refuse, type Unlinkable } from './loader.ts';
import { relocateData } from './relocate.ts';

export const LIBBPF_LEGACY: Loader = {
  name: 'libbpf',
  since: '0',
  until: '0.1',
  poisonsMaps: false,
  distinction: () => 'sections are programs',
  open: (object, kernel) => {
    const opened = new LegacyObject(object, kernel);
    return (program) => opened.link(program);
  },
};

const TEXT = '.text';
const RULES = libbpfRules([0, 1]);

class LegacyObject {
  readonly #object: BpfObject;
  readonly #core: ObjectCore;
  readonly #externs: Externs;
  readonly #problem: Unlinkable | undefined;

  constructor(object: BpfObject, kernel: Kernel) {
    this.#object = object;
    this.#core = ObjectCore.of(object, kernel);
    this.#externs = new Externs(object, kernel, { kfuncFlavors: false, core: RULES });
    // What 0.2 refuses was no better before.
    const next = LIBBPF_RELEASES.at(-1);
    this.#problem = next && findProblem(object, next);
  }

  link(program: BpfFunction): LinkedCode {
    if (this.#problem) throw this.#problem;
    if (program.section === TEXT) throw refuse('a function in .text is no program');
    const evidence = new Evidence();
    const { elf, maps, relocations } = this.#object;
    const section = elf.sections[program.sectionIndex];
    if (section === undefined) throw refuse(`there is no section ${program.sectionIndex}`);
    if (elf.symbolsIn(section).find(({ binding }) => binding === STB.GLOBAL)?.index !== program.symbol) {
      throw refuse('libbpf before 0.2 makes one program of a section, called after another of its functions');
    }
    const stream = this.#layOut(section, evidence);
    const references = relocateData(stream, {
      form: 'direct',
      maps,
      relocationsOf: (index) => relocations[index] ?? [],
      externAt: (place) => this.#answer(place, evidence),
    });
    return { code: stream.slots.bytes, little: elf.littleEndian, evidence, maps: references };
  }

  #layOut(section: ElfSection, evidence: Evidence): Stream {
    const { elf } = this.#object;
    const own = this.#place(section, 0);
    const length = section.size / SLOT_SIZE;
    const text = this.#callsOf(own).length > 0 ? elf.section(TEXT) : undefined;
    const placed = text === undefined ? own : [...own, ...this.#place(text, length)];
    const count = length + (text?.size ?? 0) / SLOT_SIZE;
    checkLimits(placed.length, count);
    const codeOf = (each: BpfFunction) => this.#core.codeOf(each, RULES, evidence);
    const slots = assemble(placed, count, { little: elf.littleEndian, codeOf });
    for (const { slot, target } of this.#callsOf(placed)) {
      // `target` counts in .text, which begins behind the section.
      slots.write(slot, { imm: length + target + slots.imm(slot) - slot });
    }
    return { slots, placed };
  }

  /** The functions of a section where they lie in it; nothing may lie between them, for nothing is known of that. */
  #place(section: ElfSection, start: number): Placed[] {
    const functions = this.#object.functions.filter(({ sectionIndex }) => sectionIndex === section.index);
    let end = 0;
    for (const { offset, code } of functions) {
      if (offset !== end) throw refuse(`${describeSection(section)} has code that belongs to no function`);
      end += code.length;
    }
    if (end !== section.size) throw refuse(`${describeSection(section)} has code that belongs to no function`);
    return functions.map((each) => ({ function: each, start: start + each.offset / SLOT_SIZE }));
  }

  /** Relocated calls; others stay inside their section and need no change. */
  #callsOf(placed: readonly Placed[]): { readonly slot: number; readonly target: number }[] {
    const { elf, relocations } = this.#object;
    return placed.flatMap(({ function: home, start }) =>
      (relocations[home.index] ?? [])
        .filter(({ target }) => target.kind === 'call')
        .map(({ instruction, symbol }) => ({
          slot: start + instruction,
          target: (elf.symbols[symbol]?.value ?? 0) / SLOT_SIZE,
        })),
    );
  }

  #answer(place: number, evidence: Evidence): ExternAnswer {
    const extern = this.#object.externs[place];
    if (extern === undefined) throw refuse(`there is no extern ${place}`);
    if (extern.kind === 'ksym' || extern.kind === 'kfunc') {
      throw refuse(`${JSON.stringify(extern.name)} is an extern of a kind that libbpf learned later`);
    }
    return this.#externs.resolve(extern, evidence);
  }
}
