// A C header of all types, as `bpftool btf dump file X format c` prints it: it compiles, and programs that include it are CO-RE.
// Values are not printed, only types.
import { attempt, type Diagnostic, FormatError } from '../diagnostics.ts';
import type { Btf } from './decode.ts';
import { CDeclarations } from './format-c-declare.ts';
import { CNames, checkName } from './format-c-names.ts';
import { DefinitionOrder } from './format-c-order.ts';
import type { BtfComposite, BtfInt, BtfReference } from './types.ts';

const HEAD = `#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

`;
const TAIL = `#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
`;
/** Visits and declarators that a BTF may unfold to; a kernel takes about three for each of its types. */
const WORK_PER_TYPE = 64;
const MIN_WORK = 1_000_000;
/** Prototypes and anonymous structs inside each other. */
const MAX_DEPTH = 64;

/** Failures after which the types are taken for no C at all. */
const MAX_FAILURES = 1000;

/** Pieces of text, one definition or declaration each. A type that C cannot express is left out, with a diagnostic. */
export function* formatC(btf: Btf, diagnostics: Diagnostic[] = []): Generator<string> {
  yield HEAD;
  const order = new DefinitionOrder(btf);
  const writer = new DefinitionWriter(btf);
  const failures: Diagnostic[] = [];
  for (let id = btf.firstId; id <= btf.count && failures.length < MAX_FAILURES; id++) {
    for (const definition of order.definitionsFor(id, failures)) {
      yield* attempt(failures, `BTF type ${definition}`, () => writer.define(definition)) ?? [];
    }
  }
  if (failures.length >= MAX_FAILURES) {
    const message = `${failures.length} types cannot be written in C, the rest is left out`;
    failures.push({ severity: 'warning', code: 'btf-c', where: 'BTF', message });
  }
  diagnostics.push(...failures);
  yield TAIL;
}

/** Follows the order, and puts forward declarations before what needs them. */
class DefinitionWriter {
  readonly #btf: Btf;
  readonly #names = new CNames();
  readonly #declarations: CDeclarations;
  readonly #written = new Set<number>();
  readonly #declared = new Set<number>();
  readonly #open = new Set<number>();
  #pieces: string[] = [];
  #visits: number;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#visits = Math.max(MIN_WORK, WORK_PER_TYPE * btf.count);
    this.#declarations = new CDeclarations(btf, this.#names, this.#visits);
  }

  define(id: number): readonly string[] {
    this.#pieces = [];
    this.#open.clear();
    this.#visit(id, undefined, 0);
    return this.#pieces;
  }

  /** `inside` is the definition that mentions the type; without it the type is to be defined here. */
  #visit(id: number, inside: number | undefined, depth: number): void {
    if (id === 0 || this.#written.has(id)) return;
    if (--this.#visits < 0)
      throw new FormatError('btf-depth', 0, 'the types repeat each other too often to be printed');
    if (depth > MAX_DEPTH) throw new FormatError('btf-depth', 0, `type ${id} nests deeper than ${MAX_DEPTH}`);
    const type = this.#btf.type(id);
    checkName(type.name);
    switch (type.kind) {
      case 'int':
        this.#written.add(id);
        this.#emit(aliasOf(type));
        break;
      case 'enum':
      case 'enum64':
        if (inside === undefined) this.#emit(this.#declarations.defineEnum(type));
        this.#written.add(id);
        break;
      case 'fwd':
        this.#emit(this.#declarations.tag(type));
        this.#written.add(id);
        break;
      case 'ptr':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'type_tag':
        this.#visit(type.type, inside, depth + 1);
        break;
      case 'array':
        this.#visit(type.element, inside, depth + 1);
        break;
      case 'func_proto':
        this.#visit(type.returns, inside, depth + 1);
        for (const param of type.params) this.#visit(param.type, inside, depth + 1);
        break;
      case 'typedef':
        this.#visitTypedef(type, depth);
        break;
      case 'struct':
      case 'union':
        this.#visitComposite(type, inside, depth);
        break;
      default:
        break;
    }
  }

  #visitTypedef(type: BtfReference, depth: number): void {
    const isOpen = this.#open.has(type.id);
    if (!isOpen) {
      this.#open.add(type.id);
      this.#visit(type.type, type.id, depth + 1);
      this.#open.delete(type.id);
      this.#written.add(type.id);
    }
    // Reached from inside itself, it serves as a declaration before what it names is complete.
    if (this.#declared.has(type.id)) return;
    this.#declared.add(type.id);
    // The compiler brings its own.
    if (type.name !== '__builtin_va_list') this.#emit(this.#typedef(type));
  }

  #typedef(type: BtfReference): string {
    // Old GCC has it that this one is void.
    if (type.type === 0 && type.name === '__gnuc_va_list') return 'typedef __builtin_va_list __gnuc_va_list';
    return `typedef ${this.#declarations.declare(type.type, this.#names.of(type))}`;
  }

  #visitComposite(type: BtfComposite, inside: number | undefined, depth: number): void {
    const isDefinition = inside === undefined;
    const isOpen = this.#open.has(type.id);
    const mustDeclare = type.name !== '' && type.id !== inside && !this.#declared.has(type.id);
    if ((isOpen || !isDefinition) && mustDeclare) {
      this.#declared.add(type.id);
      this.#emit(this.#declarations.tag(type));
    }
    if (isOpen || (!isDefinition && type.name !== '')) return;
    this.#open.add(type.id);
    const definition = type.name === '' ? inside : type.id;
    for (const member of type.members) this.#visit(member.type, definition, depth + 1);
    this.#open.delete(type.id);
    if (!isDefinition) return;
    this.#emit(this.#declarations.defineComposite(type));
    this.#written.add(type.id);
  }

  #emit(declaration: string): void {
    if (declaration !== '') this.#pieces.push(`${declaration};\n\n`);
  }
}

const C_WORDS = new Set([
  'char',
  'short',
  'int',
  'long',
  'signed',
  'unsigned',
  '_Bool',
  '__int128',
  '__ARRAY_SIZE_TYPE__',
]);
const BASES: ReadonlyMap<number, string> = new Map([
  [1, 'char'],
  [2, 'short'],
  [4, 'int'],
  [8, 'long long'],
  [16, '__int128'],
]);

/** Compilers of other languages, and GCC for ARM vectors, have integers that C does not know by name. */
function aliasOf({ name, size, encoding }: BtfInt): string {
  const base = BASES.get(size);
  if (name === '' || base === undefined || name.split(' ').every((word) => C_WORDS.has(word))) return '';
  return `typedef ${encoding & 1 ? 'signed' : 'unsigned'} ${base} ${name}`;
}
