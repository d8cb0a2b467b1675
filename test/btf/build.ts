// A BTF writer for tests: each method appends a type and returns its id; both byte orders.
import { BTF_KIND, BTF_MAGIC } from '../../src/btf/layouts.ts';

export interface MemberSpec {
  readonly name?: string;
  readonly type: number;
  readonly at: number;
  readonly bits?: number;
}

export interface BuildOptions {
  readonly little?: boolean;
  /** Extra header bytes, after the known 24. */
  readonly header?: readonly number[];
  /** Continue the ids and strings of a base BTF. */
  readonly after?: { readonly count: number; readonly stringsEnd: number };
}

export class BtfBuilder {
  readonly #words: number[] = [];
  #strings: number[] = [];
  readonly #known = new Map<string, number>();
  readonly #options: BuildOptions;
  #count = 0;

  constructor(options: BuildOptions = {}) {
    this.#options = options;
    if (!options.after) this.#strings.push(0);
  }

  string(text: string): number {
    if (text === '') return 0;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const offset = (this.#options.after?.stringsEnd ?? 0) + this.#strings.length;
    this.#strings = this.#strings.concat([...new TextEncoder().encode(text)], 0);
    this.#known.set(text, offset);
    return offset;
  }

  /** Any kind at all: `flag` is bit 31 of info. */
  raw(kind: number, name: string | number, sizeOrType: number, words: readonly number[] = [], vlen = 0, flag = false) {
    const info = ((flag ? 0x8000_0000 : 0) | (kind << 24) | vlen) >>> 0;
    this.#words.push(typeof name === 'number' ? name : this.string(name), info, sizeOrType, ...words);
    this.#count++;
    return (this.#options.after?.count ?? 0) + this.#count;
  }

  int(name: string, size = 4, encoding = 0, bits = size * 8, bitOffset = 0) {
    return this.raw(BTF_KIND.INT, name, size, [(encoding << 24) | (bitOffset << 16) | bits]);
  }
  ptr(type: number) {
    return this.raw(BTF_KIND.PTR, '', type);
  }
  array(element: number, length: number, index = element) {
    return this.raw(BTF_KIND.ARRAY, '', 0, [element, index, length]);
  }
  struct(name: string, size: number, members: readonly MemberSpec[]) {
    return this.#composite(BTF_KIND.STRUCT, name, size, members);
  }
  union(name: string, size: number, members: readonly MemberSpec[]) {
    return this.#composite(BTF_KIND.UNION, name, size, members);
  }
  enum(name: string, values: Readonly<Record<string, number>>, { size = 4, signed = false } = {}) {
    const entries = Object.entries(values);
    const words = entries.flatMap(([key, value]) => [this.string(key), value >>> 0]);
    return this.raw(BTF_KIND.ENUM, name, size, words, entries.length, signed);
  }
  enum64(name: string, values: Readonly<Record<string, bigint>>, { size = 8, signed = false } = {}) {
    const entries = Object.entries(values);
    const words = entries.flatMap(([key, value]) => {
      const bits = BigInt.asUintN(64, value);
      return [this.string(key), Number(bits & 0xffff_ffffn), Number(bits >> 32n)];
    });
    return this.raw(BTF_KIND.ENUM64, name, size, words, entries.length, signed);
  }
  fwd(name: string, declares: 'struct' | 'union' = 'struct') {
    return this.raw(BTF_KIND.FWD, name, 0, [], 0, declares === 'union');
  }
  typedef(name: string, type: number) {
    return this.raw(BTF_KIND.TYPEDEF, name, type);
  }
  volatile(type: number) {
    return this.raw(BTF_KIND.VOLATILE, '', type);
  }
  const(type: number) {
    return this.raw(BTF_KIND.CONST, '', type);
  }
  restrict(type: number) {
    return this.raw(BTF_KIND.RESTRICT, '', type);
  }
  func(name: string, type: number, linkage = 1) {
    return this.raw(BTF_KIND.FUNC, name, type, [], linkage);
  }
  funcProto(returns: number, params: readonly (readonly [name: string, type: number])[]) {
    const words = params.flatMap(([name, type]) => [this.string(name), type]);
    return this.raw(BTF_KIND.FUNC_PROTO, '', returns, words, params.length);
  }
  var(name: string, type: number, linkage = 1) {
    return this.raw(BTF_KIND.VAR, name, type, [linkage]);
  }
  datasec(name: string, size: number, variables: readonly (readonly [type: number, offset: number, size: number])[]) {
    return this.raw(BTF_KIND.DATASEC, name, size, variables.flat(), variables.length);
  }
  float(name: string, size: number) {
    return this.raw(BTF_KIND.FLOAT, name, size);
  }
  declTag(text: string, type: number, component = -1) {
    return this.raw(BTF_KIND.DECL_TAG, text, type, [component >>> 0]);
  }
  typeTag(text: string, type: number) {
    return this.raw(BTF_KIND.TYPE_TAG, text, type);
  }

  #composite(kind: number, name: string, size: number, members: readonly MemberSpec[]) {
    const flag = members.some((member) => member.bits !== undefined);
    const words = members.flatMap(({ name = '', type, at, bits = 0 }) => [
      this.string(name),
      type,
      flag ? ((bits << 24) | at) >>> 0 : at,
    ]);
    return this.raw(kind, name, size, words, members.length, flag);
  }

  bytes(): Uint8Array {
    const { little = true, header = [] } = this.#options;
    const hdrLen = 24 + header.length;
    const typeLen = this.#words.length * 4;
    const bytes = new Uint8Array(hdrLen + typeLen + this.#strings.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, BTF_MAGIC, little);
    bytes[2] = 1;
    [hdrLen, 0, typeLen, typeLen, this.#strings.length].forEach((word, index) => {
      view.setUint32(4 + 4 * index, word, little);
    });
    bytes.set(header, 24);
    this.#words.forEach((word, index) => {
      view.setUint32(hdrLen + 4 * index, word, little);
    });
    bytes.set(this.#strings, hdrLen + typeLen);
    return bytes;
  }
}

/** `words` after the .BTF.ext magic, version and flags; the header length is the first of them. */
export function extBytes(words: readonly number[], little = true): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * words.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, BTF_MAGIC, little);
  bytes[2] = 1;
  words.forEach((word, index) => {
    view.setUint32(4 + 4 * index, word, little);
  });
  return bytes;
}
