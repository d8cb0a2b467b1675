// In which order definitions must stand so that C accepts them.
import { attempt, type Diagnostic, FormatError } from '../diagnostics.ts';
import type { Btf } from './decode.ts';
import { type BtfType, isComposite } from './types.ts';

const ORDERING = 1;
const ORDERED = 2;
/** Types inside each other; anonymous structs and prototypes count, what is behind a pointer and named does not. */
const MAX_DEPTH = 64;
/** Steps over the whole BTF; a kernel takes about four for each of its types. */
const STEPS_PER_TYPE = 64;
const MIN_STEPS = 1_000_000;

/**
 * Orders definitions by what they embed. What stands behind a pointer and has a name may come later, as C lets it be
 * declared forward; an anonymous struct is written where it is used, so what it embeds must come before.
 */
export class DefinitionOrder {
  readonly #btf: Btf;
  readonly #states: Uint8Array;
  readonly #referenced: Uint8Array;
  #queue: number[] = [];
  #steps: number;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#states = new Uint8Array(btf.count + 1);
    this.#referenced = markReferenced(btf);
    this.#steps = Math.max(MIN_STEPS, STEPS_PER_TYPE * btf.count);
  }

  /** The definitions that `id` still needs, itself last, each once over the life of this object. */
  definitionsFor(id: number, diagnostics: Diagnostic[]): readonly number[] {
    this.#queue = [];
    attempt(diagnostics, `BTF type ${id}`, () => this.#visit(id, false, 0));
    return this.#queue;
  }

  /** Whether whatever refers to `id` needs its definition, rather than a declaration. */
  #visit(id: number, behindPointer: boolean, depth: number): boolean {
    if (id === 0) return false;
    if (this.#states[id] === ORDERED) return true;
    if (depth > MAX_DEPTH) throw new FormatError('btf-depth', 0, `type ${id} nests deeper than ${MAX_DEPTH}`);
    if (--this.#steps < 0)
      throw new FormatError('btf-depth', 0, 'the types refer to each other too often to be ordered');
    const type = this.#btf.type(id);
    if (this.#states[id] === ORDERING) {
      if (isComposite(type) && behindPointer && type.name !== '') return false;
      throw new FormatError('btf-cycle', 0, `type ${id} contains itself`);
    }
    return this.#visitKind(type, behindPointer, depth + 1);
  }

  #visitKind(type: BtfType, behindPointer: boolean, depth: number): boolean {
    switch (type.kind) {
      case 'ptr': {
        const needed = this.#visit(type.type, true, depth);
        this.#states[type.id] = ORDERED;
        return needed;
      }
      case 'array':
        return this.#visit(type.element, false, depth);
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
        return this.#visit(type.type, behindPointer, depth);
      case 'struct':
      case 'union':
        if (behindPointer && type.name !== '') return false;
        this.#states[type.id] = ORDERING;
        for (const member of type.members) this.#visit(member.type, false, depth);
        return this.#define(type.id, type.name !== '');
      case 'enum':
      case 'enum64':
      case 'fwd':
        // The enumerators of an anonymous enum are a definition of their own if nothing else brings them in.
        return this.#define(type.id, type.name !== '' || this.#referenced[type.id] === 0);
      case 'typedef': {
        // A typedef of what is declared forward is itself as good as a declaration.
        const needed = this.#visit(type.type, behindPointer, depth);
        return needed || !behindPointer ? this.#define(type.id, true) : false;
      }
      case 'func_proto': {
        let needed = this.#visit(type.returns, behindPointer, depth);
        for (const param of type.params) needed = this.#visit(param.type, behindPointer, depth) || needed;
        return needed;
      }
      default:
        this.#states[type.id] = ORDERED;
        return false;
    }
  }

  #define(id: number, standsAlone: boolean): true {
    if (standsAlone) this.#queue.push(id);
    this.#states[id] = ORDERED;
    return true;
  }
}

function markReferenced(btf: Btf): Uint8Array {
  const referenced = new Uint8Array(btf.count + 1);
  const mark = (id: number) => {
    if (id < referenced.length) referenced[id] = 1;
  };
  for (let id = 1; id <= btf.count; id++) {
    const vlen = btf.word(id, 1) & 0xff_ffff;
    switch (btf.kind(id)) {
      case 'ptr':
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
      case 'decl_tag':
      case 'func':
      case 'var':
        mark(btf.word(id, 2));
        break;
      case 'array':
        mark(btf.word(id, 3));
        mark(btf.word(id, 4));
        break;
      case 'struct':
      case 'union':
        for (let index = 0; index < vlen; index++) mark(btf.word(id, 4 + 3 * index));
        break;
      case 'func_proto':
        for (let index = 0; index < vlen; index++) mark(btf.word(id, 4 + 2 * index));
        break;
      default:
        break;
    }
  }
  return referenced;
}
