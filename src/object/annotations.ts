// What one instruction refers to, in words: each begins with what kind of thing it is, then its name as the object has it.
import type { DiagnosticLog } from '../elf/log.ts';
import type { DisassembledInstruction } from '../insn/disassemble.ts';
import type { Call, WideConstant } from '../insn/references.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { CoreRelocationRecord } from './core-relocations.ts';
import { type DataVariable, dataVariables, initialData, stringAt } from './data.ts';
import type { BpfExtern } from './externs.ts';
import { FunctionIndex } from './function-index.ts';
import type { BpfObject } from './open.ts';
import type { BpfFunction } from './programs.ts';
import type { BpfRelocation } from './relocations.ts';
import type { TextAllowance } from './text-allowance.ts';

export class Annotator {
  readonly #object: BpfObject;
  readonly #text: TextAllowance;
  readonly #log: DiagnosticLog;
  readonly #index: FunctionIndex;
  /** By section and function, then by instruction. */
  readonly #core = new Map<string, Map<number, CoreRelocationRecord[]>>();
  readonly #coreByFunction = new Map<number, ReadonlyMap<number, readonly CoreRelocationRecord[]>>();
  readonly #relocations = new Map<number, ReadonlyMap<number, BpfRelocation>>();
  readonly #variables = new Map<number, readonly DataVariable[]>();

  constructor(
    object: BpfObject,
    coreRelocations: readonly CoreRelocationRecord[],
    text: TextAllowance,
    log: DiagnosticLog,
  ) {
    this.#object = object;
    this.#text = text;
    this.#log = log;
    this.#index = new FunctionIndex(object.functions);
    for (const record of coreRelocations) {
      const key = functionKey(record.section, record.function);
      const places = this.#core.get(key) ?? new Map<number, CoreRelocationRecord[]>();
      this.#core.set(key, places);
      const here = places.get(record.instruction);
      if (here === undefined) places.set(record.instruction, [record]);
      else here.push(record);
    }
  }

  annotate(home: BpfFunction, instruction: DisassembledInstruction): string[] {
    const { index, call, constant } = instruction;
    const relocation = this.#relocationsOf(home).get(index);
    const words: string[] = [];
    if (relocation) words.push(this.#refersTo(relocation));
    else if (call) words.push(...this.#calls(home, call));
    else if (constant) words.push(...loads(constant));
    for (const record of this.#coreOf(home).get(index) ?? []) {
      words.push(`CO-RE ${this.#text.take(record.text)}${outcome(record)}`);
    }
    return words;
  }

  #coreOf(home: BpfFunction): ReadonlyMap<number, readonly CoreRelocationRecord[]> {
    const known = this.#coreByFunction.get(home.index);
    if (known !== undefined) return known;
    const placed = this.#core.get(functionKey(home.section, home.name)) ?? new Map();
    this.#coreByFunction.set(home.index, placed);
    return placed;
  }

  #relocationsOf({ index }: BpfFunction): ReadonlyMap<number, BpfRelocation> {
    const known = this.#relocations.get(index);
    if (known !== undefined) return known;
    const placed = new Map((this.#object.relocations[index] ?? []).map((each) => [each.instruction, each]));
    this.#relocations.set(index, placed);
    return placed;
  }

  #refersTo({ name, target }: BpfRelocation): string {
    const { maps, functions, externs } = this.#object;
    switch (target.kind) {
      case 'map':
        return `map ${this.#named(maps[target.map])}`;
      case 'data':
        return this.#data(target.map, target.offset);
      case 'extern':
        return this.#extern(externs[target.extern], name);
      case 'call':
        return `calls ${this.#named(functions[target.function])}`;
      case 'function':
        return `address of ${this.#named(functions[target.function])}`;
      case 'unknown':
        return `relocation to ${this.#text.take(name)}`;
      default:
        return target satisfies never;
    }
  }

  /** `data .rodata+0x10 fmt "open %s"`: the place, the variable there, the string that stands there. */
  #data(place: number, offset: number): string {
    const map = this.#object.maps[place];
    if (map === undefined) return 'data';
    const variable = variableAt(this.#variablesOf(place), offset);
    const inside = variable && offset > variable.offset ? `+0x${(offset - variable.offset).toString(16)}` : '';
    const text =
      offset < 0 || !this.#mayBeText(variable) ? undefined : stringAt(initialData(this.#object, map), offset);
    const sign = offset < 0 ? '-' : '+';
    return [
      `data ${this.#named(map)}${sign}0x${Math.abs(offset).toString(16)}`,
      ...(variable ? [`${this.#named(variable)}${inside}`] : []),
      ...(text === undefined ? [] : [`"${this.#text.take(text)}"`]),
    ].join(' ');
  }

  #extern(extern: BpfExtern | undefined, name: string): string {
    if (extern === undefined) return `extern ${this.#text.take(name)}`;
    const kind = extern.kind === 'typeless-ksym' ? 'ksym' : extern.kind === 'undeclared' ? 'extern' : extern.kind;
    return `${kind} ${this.#named(extern)}${extern.weak ? ' (weak)' : ''}`;
  }

  #named(part: { readonly name: string } | undefined): string {
    return this.#text.take(part?.name ?? '');
  }

  #variablesOf(place: number): readonly DataVariable[] {
    const known = this.#variables.get(place);
    if (known !== undefined) return known;
    const map = this.#object.maps[place];
    const variables = map === undefined ? [] : dataVariables(this.#object, map);
    this.#variables.set(place, variables);
    return variables;
  }

  /** String literals have no variable; of the variables, arrays of characters may hold text. */
  #mayBeText(variable: DataVariable | undefined): boolean {
    const { btf } = this.#object;
    if (variable?.type === undefined || btf === undefined) return true;
    const { type } = variable;
    const isCharacters = () => {
      let id = btf.resolve(type);
      for (let depth = 0; depth < ARRAYS_IN_ARRAYS; depth++) {
        const found = btf.type(id);
        if (found.kind !== 'array') return found.kind === 'int' && found.size === 1 && depth > 0;
        id = btf.resolve(found.element);
      }
      return false;
    };
    return this.#log.attempt(`variable ${JSON.stringify(variable.name)}`, isCharacters) ?? false;
  }

  #calls(home: BpfFunction, call: Call): string[] {
    switch (call.kind) {
      case 'helper':
        return [`helper ${call.name}`];
      case 'subprogram': {
        // The compiler resolves calls inside a section itself.
        const callee = this.#index.containing(home.sectionIndex, home.offset + call.target * SLOT_SIZE);
        // Loaders append subprograms to the program: in code that was linked already they have no symbols.
        if (callee === home && call.target > 0) return [`calls instruction ${call.target}`];
        return [callee ? `calls ${this.#named(callee)}` : `calls instruction ${call.target}, which no function covers`];
      }
      case 'kfunc':
        return [`kfunc ${call.btf}${call.module === 0 ? '' : ` of module ${call.module}`} in the kernel's BTF`];
      case 'poison':
        return [describePoison(call.poison)];
      case 'register':
      case 'unknown':
        return [];
      default:
        return call satisfies never;
    }
  }
}

const ARRAYS_IN_ARRAYS = 8;

function functionKey(section: string, name: string | undefined): string {
  return `${section}\0${name ?? ''}`;
}

function outcome({ target }: CoreRelocationRecord): string {
  if (target === undefined) return '';
  if ('poison' in target) return ' -> poisoned';
  if ('refused' in target) return ` -> refused: ${target.refused}`;
  return ` -> ${target.value ?? '?'}`;
}

function describePoison(poison: Extract<Call, { kind: 'poison' }>['poison']): string {
  switch (poison.what) {
    case 'core-relocation':
      return 'poisoned: a CO-RE relocation that libbpf could not resolve';
    case 'map':
      return `poisoned: map ${poison.index} was not created`;
    case 'kfunc':
      return `poisoned: extern ${poison.index}, a kfunc that was not found`;
    default:
      return poison satisfies never;
  }
}

function loads(constant: WideConstant): string[] {
  switch (constant.kind) {
    case 'map-fd':
      return [`map of descriptor ${constant.fd}`];
    case 'map-value':
      return [`data of descriptor ${constant.fd}, +0x${constant.offset.toString(16)}`];
    case 'map-index':
      return [`map ${constant.index} of the loader's list`];
    case 'map-index-value':
      return [`data of map ${constant.index} of the loader's list, +0x${constant.offset.toString(16)}`];
    case 'btf-id':
      return [`kernel variable ${constant.btf} in the kernel's BTF`];
    case 'function':
      return [`address of instruction ${constant.target}`];
    case 'constant':
    case 'unknown':
      return [];
    default:
      return constant satisfies never;
  }
}

/** The last variable that begins at or before `offset`, when it reaches that far. */
function variableAt(variables: readonly DataVariable[], offset: number): DataVariable | undefined {
  let low = 0;
  let high = variables.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((variables[middle]?.offset ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  const found = variables[low - 1];
  return found && offset < found.offset + Math.max(1, found.size) ? found : undefined;
}
