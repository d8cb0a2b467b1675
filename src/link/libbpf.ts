// libbpf since 0.2: what bpf_object__load makes of an object, for programs and for light skeletons.
import type { Btf } from '../btf/decode.ts';
import { BTF_KIND } from '../btf/layouts.ts';
import { STB, STT } from '../elf/names.ts';
import { OPCODE, POISON, PSEUDO } from '../insn/opcodes.ts';
import { type InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { FunctionIndex } from '../object/function-index.ts';
import type { BpfObject } from '../object/open.ts';
import type { BpfFunction } from '../object/programs.ts';
import type { BpfRelocation } from '../object/relocations.ts';
import { ObjectCore } from './core.ts';
import { type ExternAnswer, Externs } from './externs.ts';
import type { Kernel } from './kernel.ts';
import { isSubprogramCall, layOut, type Reference } from './layout.ts';
import { findProblem } from './libbpf-problems.ts';
import type { LibbpfRelease } from './libbpf-releases.ts';
import { LIBBPF_RELEASES } from './libbpf-releases.ts';
import { Evidence, type LinkedCode, type Loader, refuse, Unlinkable } from './loader.ts';
import { type CodeForm, relocateData } from './relocate.ts';
import { sanitise } from './sanitise.ts';

export const LIBBPF: readonly Loader[] = LIBBPF_RELEASES.map((release) => ({
  name: 'libbpf',
  since: release.since,
  ...(release.until !== undefined && { until: release.until }),
  poisonsMaps: release.poisonsMaps,
  distinction: (object, kernel) => distinguish(release, object, kernel),
  open: (object, kernel) => {
    const opened = new LibbpfObject(object, kernel, release, 'direct');
    return (program) => opened.link(program);
  },
}));

const TEXT = '.text';
const CALLBACK_TAG = 'exception_callback:';

/** What of a release matters to an object: see `Loader.distinction`. */
export function distinguish(release: LibbpfRelease, object: BpfObject, kernel: Kernel): string {
  const { maps, btf, functions, externs } = object;
  const hasExterns = externs.length > 0;
  const matters: Record<keyof Omit<LibbpfRelease, 'since' | 'until' | 'poisonsMaps'>, boolean | string> = {
    core: `${ObjectCore.of(object, kernel).effectOf(release.core)} ${hasExterns && release.core.mixEnums}`,
    functionAddresses: release.functionAddresses && hasStaticProgramsOrAddresses(object),
    legacyMaps: release.legacyMaps && maps.some(({ origin }) => origin === 'legacy'),
    poisonsKfuncs: release.poisonsKfuncs && hasExterns,
    exceptionCallbacks: release.exceptionCallbacks && btf !== undefined && declarationTags(btf).length > 0,
    kfuncFlavors: release.kfuncFlavors && hasExterns,
    arena: release.arena && maps.some(({ type }) => type === 'arena'),
    lightKfuncAddresses: release.lightKfuncAddresses && hasExterns,
    loneTextProgram: release.loneTextProgram && functions.length === 1,
  };
  return JSON.stringify(matters);
}

function hasStaticProgramsOrAddresses({ elf, relocations }: BpfObject): boolean {
  return (
    elf.symbols.some(
      ({ type, binding, section }) =>
        type === STT.FUNC && binding === STB.LOCAL && elf.sections[section ?? 0]?.name !== TEXT,
    ) || relocations.some((own) => own.some(({ target }) => target.kind === 'function'))
  );
}

export class LibbpfObject {
  readonly #object: BpfObject;
  readonly #kernel: Kernel;
  readonly #release: LibbpfRelease;
  readonly #form: CodeForm;
  readonly #core: ObjectCore;
  readonly #externs: Externs;
  readonly #index: FunctionIndex;
  readonly #text: number | undefined;
  readonly #problem: Unlinkable | undefined;
  readonly #relocations = new Map<number, ReadonlyMap<number, BpfRelocation>>();

  constructor(object: BpfObject, kernel: Kernel, release: LibbpfRelease, form: CodeForm) {
    this.#object = object;
    this.#kernel = kernel;
    this.#release = release;
    this.#form = form;
    this.#core = ObjectCore.of(object, kernel);
    const { core, kfuncFlavors } = release;
    // The loader program of a light skeleton asks the kernel by name alone.
    this.#externs = new Externs(object, kernel, { kfuncFlavors, ...(form === 'direct' && { core }) });
    this.#index = new FunctionIndex(object.functions);
    this.#text = object.elf.section(TEXT)?.index;
    this.#problem = findProblem(object, release);
  }

  /** @throws Unlinkable, FormatError */
  link(program: BpfFunction): LinkedCode {
    if (this.#problem) throw this.#problem;
    this.#checkIsProgram(program);
    const evidence = new Evidence();
    const { littleEndian: little } = this.#object.elf;
    this.#checkSubprograms(evidence);
    const stream = layOut(
      program,
      {
        little,
        codeOf: (each) => this.#core.codeOf(each, this.#release.core, evidence),
        referenceAt: (home, slots, slot) => this.#referenceAt(home, slots, slot),
      },
      this.#exceptionCallbacks(program),
    );
    const firstUses = new Map<number, 'call' | 'load'>();
    const firstUse = (place: number, via: 'call' | 'load') => {
      const first = firstUses.get(place) ?? via;
      firstUses.set(place, first);
      return first;
    };
    const maps = relocateData(stream, {
      form: this.#form,
      maps: this.#object.maps,
      relocationsOf: (index) => this.#object.relocations[index] ?? [],
      externAt: (place, via) => this.#answer(place, firstUse(place, via), evidence),
      ...(this.#release.poisonsKfuncs && this.#form === 'direct' && { poisonOf: (place) => POISON.KFUNC + place }),
    });
    this.#checkOtherExterns(evidence);
    if (this.#form === 'direct') sanitise(stream.slots, this.#kernel);
    return { code: stream.slots.bytes, little, evidence, maps };
  }

  #checkIsProgram({ section }: BpfFunction): void {
    if (section === TEXT && !(this.#release.loneTextProgram && this.#object.functions.length === 1)) {
      throw refuse('a function in .text is no program');
    }
  }

  /** The subprograms are relocated whether this program calls them or not, and one that cannot be costs the whole object. */
  #checkSubprograms(evidence: Evidence): void {
    const own = new Evidence();
    for (const each of this.#object.subprograms) {
      try {
        this.#core.codeOf(each, this.#release.core, own);
      } catch (error) {
        // Without the kernel's types a program that needs none of them is known all the same.
        if (!(error instanceof Unlinkable) || error.obstacle === 'refused') throw error;
        evidence.assumptions.add('its other functions can be relocated');
        return;
      }
    }
  }

  /** Every extern is resolved, used here or not, and one that is missing and not weak costs the whole object. */
  #checkOtherExterns(evidence: Evidence): void {
    const own = new Evidence();
    for (const extern of this.#object.externs) {
      if (extern.kind === 'undeclared') throw refuse(`${JSON.stringify(extern.name)} is defined nowhere`);
      try {
        this.#externs.resolve(extern, own);
      } catch (error) {
        if (!(error instanceof Unlinkable) || error.obstacle === 'refused') throw error;
        evidence.assumptions.add(
          `the kernel has ${JSON.stringify(extern.name)}, which another program of the object needs`,
        );
      }
    }
  }

  #referenceAt(home: BpfFunction, slots: InstructionSlots, slot: number): Reference | undefined {
    const relocation = this.#relocationsOf(home).get(slot);
    if (isSubprogramCall(slots, slot)) {
      if (relocation?.target.kind === 'extern') return undefined;
      // Without a relocation the call stays in its section, which libbpf takes for .text whatever it is.
      const target = relocation
        ? this.#relocatedCallee(relocation, slots, slot)
        : home.offset / SLOT_SIZE + slot + slots.imm(slot) + 1;
      return { callee: this.#subprogram(target), via: 'call' };
    }
    if (relocation?.target.kind !== 'function') {
      if (slots.opcode(slot) === OPCODE.LD_IMM64 && slots.src(slot) === PSEUDO.FUNC) {
        throw refuse(`slot ${slot} of ${JSON.stringify(home.name)} has the address of a function, but no relocation`);
      }
      return undefined;
    }
    const offset = this.#symbolOf(relocation).value + slots.imm(slot);
    return { callee: this.#subprogram(offset / SLOT_SIZE), via: 'address' };
  }

  #relocatedCallee(relocation: BpfRelocation, slots: InstructionSlots, slot: number): number {
    return this.#symbolOf(relocation).value / SLOT_SIZE + slots.imm(slot) + 1;
  }

  #symbolOf(relocation: BpfRelocation) {
    const symbol = this.#object.elf.symbols[relocation.symbol];
    if (symbol === undefined) throw refuse(`there is no symbol ${relocation.symbol}`);
    return symbol;
  }

  #subprogram(target: number): BpfFunction {
    const callee = this.#text === undefined ? undefined : this.#index.containing(this.#text, target * SLOT_SIZE);
    if (callee === undefined) throw refuse(`it calls instruction ${target} of .text, which belongs to no function`);
    return callee;
  }

  #relocationsOf({ index }: BpfFunction): ReadonlyMap<number, BpfRelocation> {
    const known = this.#relocations.get(index);
    if (known) return known;
    const bySlot = new Map((this.#object.relocations[index] ?? []).map((each) => [each.instruction, each]));
    this.#relocations.set(index, bySlot);
    return bySlot;
  }

  #answer(place: number, via: 'call' | 'load', evidence: Evidence): ExternAnswer {
    const extern = this.#object.externs[place];
    if (extern === undefined) throw refuse(`there is no extern ${place}`);
    // Loader programs of before 1.2 looked for it among the variables when its address was asked for before it was called.
    if (this.#form === 'light' && via === 'load' && extern.kind === 'kfunc' && !this.#release.lightKfuncAddresses) {
      return this.#externs.resolve({ ...extern, kind: 'ksym' }, evidence);
    }
    return this.#externs.resolve(extern, evidence);
  }

  /** bpf_prog_assign_exc_cb: two tags for one program cancel each other. */
  #exceptionCallbacks(program: BpfFunction): BpfFunction[] {
    if (!this.#release.exceptionCallbacks || this.#object.btf === undefined) return [];
    const names = exceptionCallbacks(this.#object.btf).get(program.name) ?? [];
    if (names.length !== 1) return [];
    const callback = this.#object.subprograms.find(({ name }) => name === names[0]);
    if (callback === undefined) throw refuse(`its exception callback ${JSON.stringify(names[0])} is not there`);
    if (callback.hidden || callback.binding === 'local') {
      throw refuse(`its exception callback ${JSON.stringify(names[0])} is not global`);
    }
    return [callback];
  }
}

const DECLARATION_TAGS = new WeakMap<Btf, readonly number[]>();

function declarationTags(btf: Btf): readonly number[] {
  const known = DECLARATION_TAGS.get(btf);
  if (known) return known;
  const tags: number[] = [];
  for (let id = btf.firstId; id <= btf.count; id++) if (btf.kindNumber(id) === BTF_KIND.DECL_TAG) tags.push(id);
  DECLARATION_TAGS.set(btf, tags);
  return tags;
}

const KNOWN_CALLBACKS = new WeakMap<Btf, ReadonlyMap<string, readonly string[]>>();

/** Callbacks by the name of the function that is tagged with them. */
function exceptionCallbacks(btf: Btf): ReadonlyMap<string, readonly string[]> {
  const known = KNOWN_CALLBACKS.get(btf);
  if (known) return known;
  const callbacks = new Map<string, string[]>();
  for (const id of declarationTags(btf)) {
    const tag = btf.type(id);
    if (tag.kind !== 'decl_tag' || tag.component !== -1 || !tag.name.startsWith(CALLBACK_TAG)) continue;
    const tagged = btf.type(tag.type);
    if (tagged.kind !== 'func') throw refuse(`${JSON.stringify(tag.name)} is on no function`);
    const names = callbacks.get(tagged.name) ?? [];
    callbacks.set(tagged.name, [...names, tag.name.slice(CALLBACK_TAG.length)]);
  }
  KNOWN_CALLBACKS.set(btf, callbacks);
  return callbacks;
}
