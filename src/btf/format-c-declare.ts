// Declarations and definitions in C syntax: what a type looks like where it is used and where it is defined.
import { FormatError } from '../diagnostics.ts';
import type { Btf } from './decode.ts';
import { type CNames, checkName } from './format-c-names.ts';
import { padding } from './format-c-padding.ts';
import { suffix } from './format-raw.ts';
import type { BtfComposite, BtfEnum, BtfEnum64, BtfFuncProto, BtfType } from './types.ts';

/** Declarators and anonymous structs inside each other. */
const MAX_DEPTH = 64;
/** Bytes of padding that are worth a line each; beyond, the layout is not one a compiler made. */
const MAX_HOLE = 1 << 20;

export class CDeclarations {
  readonly #btf: Btf;
  readonly #names: CNames;
  /** Declarators still allowed: anonymous structs are repeated wherever they are used, which can multiply. */
  #budget: number;
  #depth = 0;

  constructor(btf: Btf, names: CNames, budget: number) {
    this.#btf = btf;
    this.#names = names;
    this.#budget = budget;
  }

  /**
   * `name` as a variable, member or parameter of the type, which may be empty. Anonymous structs and enums are
   * written out at this indentation.
   * @throws FormatError `btf-depth`, `btf-name`, `btf-type-id`, `string-offset`
   */
  declare(id: number, name: string, indent = 0): string {
    checkName(name);
    if (this.#depth >= MAX_DEPTH) throw tooDeep(id);
    if (--this.#budget < 0)
      throw new FormatError('btf-depth', 0, 'the types repeat each other too often to be printed');
    this.#depth++;
    try {
      return this.#chain(this.#links(id), name, indent);
    } finally {
      this.#depth--;
    }
  }

  /** `struct sock`, as declared forward. */
  tag(type: BtfType): string {
    if (type.kind === 'fwd') return `${type.declares} ${this.#names.of(type)}`;
    const keyword = type.kind === 'enum64' ? 'enum' : type.kind;
    return type.name === '' ? keyword : `${keyword} ${this.#names.of(type)}`;
  }

  defineComposite(type: BtfComposite, indent = 0): string {
    const isPacked = this.#isPacked(type);
    const head = `${this.tag(type)} {`;
    const lines: string[] = [];
    let end = 0;
    let afterBitfield = false;
    const pad = (to: number, alignment: number, insideBitfields: boolean) => {
      if (type.kind === 'union') return;
      if (to - end > MAX_HOLE * 8)
        throw new FormatError('btf-layout', 0, `a hole of ${to - end} bits in type ${type.id}`);
      const hole = { from: end, to, alignment, insideBitfields, longSize: this.#btf.pointerSize };
      for (const line of padding(hole)) lines.push(line);
    };
    for (const { name, type: member, bitOffset, bitSize } of type.members) {
      pad(bitOffset, isPacked ? 1 : this.#btf.alignOf(member), afterBitfield && bitSize > 0);
      const declaration = this.declare(member, name, indent + 1);
      lines.push(bitSize > 0 ? `${declaration}: ${bitSize};` : `${declaration};`);
      end = bitOffset + (bitSize > 0 ? bitSize : (this.#btf.sizeOf(member) ?? 0) * 8);
      afterBitfield = bitSize > 0;
    }
    pad(type.size * 8, this.#btf.alignOf(type.id), false);
    const body = lines.map((line) => `\n${'\t'.repeat(indent + 1)}${line}`).join('');
    const close = type.members.length > 0 || type.size > 0 ? `\n${'\t'.repeat(indent)}}` : '}';
    return `${head}${body}${close}${this.#attributes(type, isPacked)}`;
  }

  defineEnum(type: BtfEnum | BtfEnum64, indent = 0): string {
    const head = this.tag(type);
    if (type.values.length === 0) return head;
    const inner = '\t'.repeat(indent + 1);
    const values = type.values.map(({ name, value }) => {
      return `\n${inner}${this.#names.enumerator(name)} = ${value}${suffix(type)},`;
    });
    return `${head} {${values.join('')}\n${'\t'.repeat(indent)}}${enumMode(type)}`;
  }

  /** From the type itself down to the one that has a name of its own, or a body. */
  #links(id: number): BtfType[] {
    const links: BtfType[] = [];
    for (let current = id; links.length < MAX_DEPTH; ) {
      const type = this.#btf.type(current);
      links.push(type);
      switch (type.kind) {
        case 'ptr':
        case 'volatile':
        case 'const':
        case 'restrict':
        case 'type_tag':
          current = type.type;
          break;
        case 'func_proto':
          current = type.returns;
          break;
        case 'array':
          current = type.element;
          break;
        default:
          return links;
      }
    }
    throw tooDeep(id);
  }

  /** Consumes the links from the innermost type outwards, which is how C reads from left to right. */
  #chain(links: BtfType[], name: string, indent: number): string {
    let text = '';
    let afterPointer = true;
    const named = () => (name !== '' && !afterPointer ? ` ${name}` : name);
    for (let type = links.pop(); type !== undefined; type = links.pop()) {
      switch (type.kind) {
        case 'ptr':
          text += afterPointer ? '*' : ' *';
          break;
        case 'volatile':
        case 'const':
        case 'restrict':
          text += ` ${type.kind}`;
          break;
        case 'type_tag': {
          const attribute = type.attribute ? type.name : `btf_type_tag("${type.name}")`;
          text += `${takeQualifiers(links)} __attribute__((${attribute}))`;
          break;
        }
        case 'array':
          return `${text}${this.#arrayOf(links, name, named(), indent)}[${type.length}]`;
        case 'func_proto': {
          // GCC marks pointers to functions that do not return as volatile, which C has no place for.
          dropQualifiers(links);
          const declarator = links.length > 0 ? ` (${this.#chain(links, name, indent)})` : named();
          return `${text}${declarator}(${this.#parameters(type, indent)})`;
        }
        default:
          text += `${takeQualifiers(links)}${this.#terminal(type, indent)}`;
          break;
      }
      afterPointer = type.kind === 'ptr';
    }
    return text + named();
  }

  #arrayOf(links: BtfType[], name: string, named: string, indent: number): string {
    // GCC repeats an element's qualifiers on the array, where they mean nothing.
    dropQualifiers(links);
    const next = links.at(-1);
    if (next === undefined) return named;
    const space = named.startsWith(' ') ? ' ' : '';
    const rest = this.#chain(links, name, indent);
    return next.kind === 'array' ? `${space}${rest}` : `${space}(${rest})`;
  }

  #parameters({ params }: BtfFuncProto, indent: number): string {
    if (params.length === 0 || (params.length === 1 && params[0]?.type === 0)) return 'void';
    const last = params.length - 1;
    return params
      .map(({ name, type }, index) => (index === last && type === 0 ? '...' : this.declare(type, name, indent)))
      .join(', ');
  }

  #terminal(type: BtfType, indent: number): string {
    switch (type.kind) {
      case 'void':
        return 'void';
      case 'struct':
      case 'union':
        return type.name === '' ? this.defineComposite(type, indent) : this.tag(type);
      case 'enum':
      case 'enum64':
        return type.name === '' ? this.defineEnum(type, indent) : this.tag(type);
      case 'fwd':
        return this.tag(type);
      case 'int':
      case 'float':
        return type.name;
      case 'typedef':
        return this.#names.of(type);
      default:
        throw new FormatError('btf-kind', 0, `type ${type.id} is used as a C type but is ${type.kind}`);
    }
  }

  /** No compiler puts members off their alignment, or ends a struct off it, unless told to. */
  #isPacked(type: BtfComposite): boolean {
    let strictest = 1;
    for (const { type: member, bitOffset, bitSize } of type.members) {
      const alignment = this.#btf.alignOf(member);
      if (bitSize === 0 && bitOffset % (8 * alignment) !== 0) return true;
      strictest = Math.max(strictest, alignment);
    }
    return type.size % strictest !== 0;
  }

  #attributes(type: BtfComposite, isPacked: boolean): string {
    const packed = isPacked ? ' __attribute__((packed))' : '';
    if (type.kind === 'struct' || type.members.length === 0) return packed;
    // A union larger than its members was aligned to its size; padding cannot say so.
    const sizes = type.members.map(({ type: member, bitSize }) =>
      bitSize > 0 ? Math.ceil(bitSize / 8) : (this.#btf.sizeOf(member) ?? 0),
    );
    const alignment = isPacked ? 1 : this.#btf.alignOf(type.id);
    const natural = Math.ceil(Math.max(0, ...sizes) / alignment) * alignment;
    const wanted = type.size & -type.size;
    return natural < type.size && wanted > alignment ? `${packed} __attribute__((aligned(${wanted})))` : packed;
  }
}

/** An enum takes 4 bytes unless a value needs more or a mode says otherwise. */
function enumMode(type: BtfEnum | BtfEnum64): string {
  if (type.size === 1) return ' __attribute__((mode(byte)))';
  if (type.size === 2) return ' __attribute__((mode(HI)))';
  if (type.size !== 8) return '';
  const isWide = type.kind === 'enum64' && type.values.some(({ value }) => BigInt.asUintN(64, value) >> 32n !== 0n);
  return isWide ? '' : ' __attribute__((mode(word)))';
}

function isQualifier(type: BtfType | undefined): boolean {
  return type?.kind === 'const' || type?.kind === 'volatile' || type?.kind === 'restrict';
}

/** Qualifiers of a type that is not a pointer stand before it. */
function takeQualifiers(links: BtfType[]): string {
  let text = '';
  while (isQualifier(links.at(-1))) text += `${links.pop()?.kind} `;
  return text;
}

function dropQualifiers(links: BtfType[]): void {
  while (isQualifier(links.at(-1)) || links.at(-1)?.kind === 'type_tag') links.pop();
}

function tooDeep(id: number): FormatError {
  return new FormatError('btf-depth', 0, `type ${id} nests deeper than ${MAX_DEPTH}`);
}
