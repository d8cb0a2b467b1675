// libbpf since 0.2: what bpf_object__load makes of an object, for programs and for light skeletons.
import type { Btf } from '../btf/decode.ts';
import { describeSection } from '../elf/file.ts';
import { SHT, STB, STT } from '../elf/names.ts';
import { CALL, OPCODE, POISON, PSEUDO } from '../insn/opcodes.ts';
import { type InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { FunctionIndex } from '../object/function-index.ts';
import type { BpfObject } from '../object/open.ts';
import { type BpfFunction, isCode } from '../object/programs.ts';
import type { BpfRelocation } from '../object/relocations.ts';
import { CoreCode, checkBtfExt } from './core.ts';
import { type ExternAnswer, Externs } from './externs.ts';
import type { Kernel } from './kernel.ts';
import { isSubprogramCall, layOut, type Reference } from './layout.ts';
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
  open: (object, kernel) => {
    const opened = new LibbpfObject(object, kernel, release, 'direct');
    return (program) => opened.link(program);
  },
}));

const TEXT = '.text';

export class LibbpfObject {
  readonly #object: BpfObject;
  readonly #kernel: Kernel;
  readonly #release: LibbpfRelease;
  readonly #form: CodeForm;
  readonly #core: CoreCode;
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
    this.#core = new CoreCode(object, kernel, release.core);
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
        codeOf: (each) => this.#core.of(each, evidence),
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
        this.#core.of(each, own);
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

const CALLBACK_TAG = 'exception_callback:';
const KNOWN_CALLBACKS = new WeakMap<Btf, ReadonlyMap<string, readonly string[]>>();

/** Callbacks by the name of the function that is tagged with them. */
function exceptionCallbacks(btf: Btf): ReadonlyMap<string, readonly string[]> {
  const known = KNOWN_CALLBACKS.get(btf);
  if (known) return known;
  const callbacks = new Map<string, string[]>();
  for (let id = btf.firstId; id <= btf.count; id++) {
    if (btf.kind(id) !== 'decl_tag') continue;
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

/** What makes libbpf refuse the object as a whole, or what we know to be missing from it. */
function findProblem(object: BpfObject, release: LibbpfRelease): Unlinkable | undefined {
  try {
    checkSections(object, release);
    checkFunctions(object, release);
    checkRelocations(object, release);
    checkBtfExt(object);
    return undefined;
  } catch (error) {
    if (error instanceof Unlinkable) return error;
    throw error;
  }
}

function checkSections({ elf, maps }: BpfObject, release: LibbpfRelease): void {
  if (elf.symbolTable === undefined) throw refuse('it has no symbol table');
  for (const section of elf.sections) {
    if (section.type === SHT.NOBITS || section.type === SHT.NULL) continue;
    if (elf.content(section).length < section.size) throw refuse(`${describeSection(section)} is cut`);
  }
  const legacy = maps.find(({ origin }) => origin === 'legacy');
  if (legacy === undefined) return;
  if (!release.legacyMaps) throw refuse('it defines maps in the way of before libbpf 1.0');
  const name = elf.sections[legacy.sectionIndex ?? 0]?.name ?? '';
  if (name !== 'maps') throw refuse(`its maps are in section ${JSON.stringify(name)}, where libbpf has none`);
}

function checkFunctions({ elf, functions }: BpfObject, release: LibbpfRelease): void {
  let count = 0;
  for (const section of elf.sections) {
    if (!isCode(section)) continue;
    for (const { name, type, binding, size, value } of elf.symbolsIn(section)) {
      if (type !== STT.FUNC) continue;
      count++;
      if (size === 0 || size % SLOT_SIZE !== 0 || value % SLOT_SIZE !== 0 || value + size > section.size) {
        throw refuse(`function ${JSON.stringify(name)} is not made of whole instructions of its section`);
      }
      if (binding === STB.LOCAL && section.name !== TEXT && release.functionAddresses) {
        throw refuse(`program ${JSON.stringify(name)} is static`);
      }
    }
  }
  if (count === 0) throw refuse('no symbol is marked as a function');
  if (count !== functions.length) throw refuse(`only ${functions.length} of its ${count} functions were read`);
}

function checkRelocations({ elf, functions, relocations }: BpfObject, release: LibbpfRelease): void {
  for (const [index, own] of relocations.entries()) {
    const name = JSON.stringify(functions[index]?.name ?? '');
    let last = -1;
    for (const { instruction, target, symbol, name: symbolName } of own) {
      const where = `slot ${instruction} of ${name}`;
      if (instruction === last) throw refuse(`${where} has two relocations`);
      last = instruction;
      if (target.kind === 'unknown')
        throw refuse(`${where} refers to ${JSON.stringify(symbolName)}, which is nothing libbpf knows`);
      const code = functions[index]?.code ?? new Uint8Array(0);
      checkOpcode(code, elf.littleEndian, instruction, target.kind, where);
      const definition = elf.symbols[symbol];
      if (target.kind === 'function' || target.kind === 'call') {
        if (elf.sections[definition?.section ?? 0]?.name !== TEXT)
          throw refuse(`${where} refers to code outside .text`);
        if ((definition?.value ?? 0) % SLOT_SIZE !== 0) throw refuse(`${where} refers to the middle of an instruction`);
      }
      if (target.kind !== 'function') continue;
      if (!release.functionAddresses) throw refuse('libbpf before 0.4 knows no function addresses');
      const isSection = definition?.type === STT.SECTION && definition.binding === STB.LOCAL;
      const isGlobal = definition?.type === STT.FUNC && definition.binding === STB.GLOBAL;
      if (!isSection && !isGlobal)
        throw refuse(`${where} has the address of ${JSON.stringify(symbolName)}, which is not global`);
    }
  }
}

function checkOpcode(code: Uint8Array, little: boolean, slot: number, kind: string, where: string): void {
  const opcode = code[slot * SLOT_SIZE];
  const registers = code[slot * SLOT_SIZE + 1] ?? 0;
  if (opcode !== OPCODE.CALL && opcode !== OPCODE.LD_IMM64)
    throw refuse(`${where} has a relocation, but no place for one`);
  if (opcode === OPCODE.LD_IMM64 && (slot + 2) * SLOT_SIZE > code.length) throw refuse(`${where} is cut in half`);
  const src = little ? registers >> 4 : registers & 0x0f;
  if (kind === 'call' && src !== CALL.SUBPROGRAM) throw refuse(`${where} calls a subprogram as if it were a helper`);
}
