// BTF out of raw bytes: types, strings and names by id, decoded when asked for. Split BTF stands on its base.
// Knows nothing of ELF, instructions or loaders.
import { cstring } from '../bytes/cstring.ts';
import { viewOf } from '../bytes/layout.ts';
import { type Diagnostic, FormatError, hex } from '../diagnostics.ts';
import { decodeType } from './decode-type.ts';
import {
  BTF_KIND,
  BTF_MAGIC,
  BTF_VERSION,
  btfHeader,
  btfHeaderLayout,
  btfLayout,
  btfType,
  KIND_SHAPES,
} from './layouts.ts';
import { measureAlignment, measureSize } from './measure.ts';
import { hashStem, NameIndex } from './names.ts';
import { type BtfKind, type BtfType, KIND_NAMES } from './types.ts';

/** Modifiers and typedefs in a row; the kernel and compilers stay far below. */
const MAX_RESOLVE_STEPS = 64;
/** Strings are cut here: identifiers end at 512 bytes and paths at 4096, but any number of types may share a huge string. */
const MAX_STRING = 4096;
const RECENT = 1024;

export interface BtfOptions {
  /** The BTF whose ids and strings this one continues: vmlinux for a kernel module. */
  readonly base?: Btf;
}

/**
 * Types by id: 0 is void, `firstId` .. `count` are stored here, what lies between belongs to `base`.
 * Malformed parts are in `diagnostics`; everything before them is usable.
 */
export class Btf {
  readonly bytes: Uint8Array;
  readonly littleEndian: boolean;
  readonly base?: Btf;
  readonly firstId: number;
  /** The highest type id, which is the number of types without void, those of the base included. */
  readonly count: number;
  readonly diagnostics: readonly Diagnostic[];
  readonly #view: DataView;
  /** Byte offset of every own type in `bytes`. */
  readonly #offsets: Uint32Array;
  readonly #strings: Uint8Array;
  readonly #firstString: number;
  readonly #alignments = new Map<number, number>();
  /** The last type decoded for each `id % RECENT`: relocating and printing ask for the same ones again and again. */
  #recent: (BtfType | undefined)[] | undefined;
  #names: NameIndex | undefined;
  #pointerSize: number | undefined;

  /**
   * Reads the header and finds where every type starts. The magic number decides the byte order.
   * @throws FormatError when the header is not one of BTF.
   */
  static parse(bytes: Uint8Array, options: BtfOptions = {}): Btf {
    return new Btf(bytes, options.base);
  }

  private constructor(bytes: Uint8Array, base: Btf | undefined) {
    const diagnostics: Diagnostic[] = [];
    const parts = readParts(bytes, diagnostics);
    this.bytes = bytes;
    this.littleEndian = parts.little;
    this.#view = viewOf(bytes);
    this.#strings = bytes.subarray(parts.strings.start, parts.strings.end);
    this.#firstString = base ? base.stringsEnd : 0;
    this.#offsets = indexTypes(this.#view, parts, diagnostics);
    this.firstId = base ? base.count + 1 : 1;
    this.count = this.firstId - 1 + this.#offsets.length;
    this.diagnostics = diagnostics;
    if (base) this.base = base;
  }

  /** The string offset after the last one: where strings of a split BTF begin. */
  get stringsEnd(): number {
    return this.#firstString + this.#strings.length;
  }

  /**
   * The type with this id.
   * @throws FormatError `btf-type-id` when there is none, `string-offset` when a name lies outside the strings.
   */
  type(id: number): BtfType {
    if (id === 0) return { kind: 'void', id: 0, name: '' };
    if (id < this.firstId && this.base && id > 0) return this.base.type(id);
    this.#recent ??= new Array(RECENT);
    const recent = this.#recent[id % RECENT];
    if (recent?.id === id) return recent;
    const type = decodeType(this.#view, this.#ownOffset(id), this.littleEndian, id, (offset) => this.string(offset));
    this.#recent[id % RECENT] = type;
    return type;
  }

  has(id: number): boolean {
    return id >= 0 && id <= this.count;
  }

  /** @throws FormatError `btf-type-id` */
  kind(id: number): BtfKind {
    return KIND_NAMES[this.kindNumber(id)] ?? 'unknown';
  }

  /** @throws FormatError `btf-type-id` */
  kindNumber(id: number): number {
    return id === 0 ? BTF_KIND.UNKN : (this.word(id, 1) >>> 24) & 0x7f;
  }

  /** @throws FormatError `btf-type-id`, `string-offset` */
  name(id: number): string {
    return id === 0 ? '' : this.string(this.word(id, 0));
  }

  /**
   * The `index`th 32-bit word of a type: 0 name_off, 1 info, 2 size or type, then what the kind adds.
   * For loops over many types: `type` allocates, this does not.
   * @throws FormatError `btf-type-id`
   */
  word(id: number, index: number): number {
    if (id < this.firstId && this.base && id > 0) return this.base.word(id, index);
    return this.#view.getUint32(this.#ownOffset(id) + 4 * index, this.littleEndian);
  }

  /** @throws FormatError `string-offset` */
  string(offset: number): string {
    if (offset === 0) return '';
    if (offset < this.#firstString && this.base) return this.base.string(offset);
    return readString(this.#strings, offset - this.#firstString);
  }

  /** The lowest id with this name, of these kinds when given. */
  byName(name: string, kinds?: readonly BtfKind[]): number | undefined {
    return this.typesNamed(name).find((id) => kinds === undefined || kinds.includes(this.kind(id)));
  }

  /** Every id with this name, ascending. */
  typesNamed(name: string): readonly number[] {
    return this.typesOfStem(name).filter((id) => this.name(id) === name);
  }

  /**
   * A superset, ascending, of the ids whose names begin like `name` up to a flavor suffix (`task_struct___old`).
   * Loaders differ in what is a flavor, so the caller compares.
   */
  typesOfStem(name: string): readonly number[] {
    const own = this.#nameIndex().candidates(name);
    return this.base ? [...this.base.typesOfStem(name), ...own] : own;
  }

  /** Bytes; `undefined` for what has no size (void, functions, forward declarations) or nests too deeply. */
  sizeOf(id: number): number | undefined {
    return measureSize(this, id);
  }

  /** Bytes, at least 1; natural alignment as libbpf's btf__align_of reckons it. */
  alignOf(id: number): number {
    return measureAlignment(this, id, this.#alignments);
  }

  /**
   * Follows typedefs, qualifiers and type tags.
   * @throws FormatError `btf-type-id`, `btf-cycle`
   */
  resolve(id: number): number {
    let current = id;
    for (let step = 0; step < MAX_RESOLVE_STEPS; step++) {
      if (!isModifier(this.kindNumber(current))) return current;
      current = this.word(current, 2);
    }
    throw new FormatError('btf-cycle', 0, `type ${id} leads through more than ${MAX_RESOLVE_STEPS} modifiers`);
  }

  /** 4 or 8: the size of C's `long` when the BTF knows it (libbpf: determine_ptr_size), else that of BPF. */
  get pointerSize(): number {
    this.#pointerSize ??= this.base?.pointerSize ?? this.#sizeOfLong() ?? 8;
    return this.#pointerSize;
  }

  #sizeOfLong(): number | undefined {
    for (const name of LONG_NAMES) {
      const id = this.byName(name, ['int']);
      const size = id === undefined ? undefined : this.word(id, 2);
      if (size === 4 || size === 8) return size;
    }
    return undefined;
  }

  #nameIndex(): NameIndex {
    this.#names ??= new NameIndex(this.firstId, this.#offsets.length, (id) => this.#hashString(this.word(id, 0)));
    return this.#names;
  }

  /** 0 for the empty string and for an offset outside the strings. */
  #hashString(offset: number): number {
    if (offset < this.#firstString && this.base) return this.base.#hashString(offset);
    return hashStem(this.#strings, offset - this.#firstString);
  }

  #ownOffset(id: number): number {
    const at = this.#offsets[id - this.firstId];
    if (at === undefined) {
      throw new FormatError('btf-type-id', 0, `type ${id} does not exist, the last one is ${this.count}`);
    }
    return at;
  }
}

interface Parts {
  readonly little: boolean;
  readonly types: { readonly start: number; readonly end: number };
  readonly strings: { readonly start: number; readonly end: number };
  readonly shapes: typeof KIND_SHAPES;
}

function readParts(bytes: Uint8Array, diagnostics: Diagnostic[]): Parts {
  const view = viewOf(bytes);
  if (bytes.length < btfHeader.size) {
    throw new FormatError('btf-header', 0, `BTF of ${bytes.length} bytes, its header needs ${btfHeader.size}`);
  }
  const little = view.getUint16(0, true) === BTF_MAGIC;
  const header = btfHeader.read(view, 0, little);
  if (header.magic !== BTF_MAGIC) {
    throw new FormatError('btf-magic', 0, `BTF begins with ${hex(header.magic)}, not ${hex(BTF_MAGIC)}`);
  }
  if (header.hdr_len < btfHeader.size) {
    throw new FormatError('btf-header', 4, `BTF header of ${header.hdr_len} bytes, at least ${btfHeader.size} needed`);
  }
  if (header.version !== BTF_VERSION) {
    diagnostics.push(warning('btf-version', `BTF version ${header.version}, read as version ${BTF_VERSION}`));
  }
  const within = (what: string, offset: number, length: number) => {
    const start = Math.min(header.hdr_len + offset, bytes.length);
    const wanted = header.hdr_len + offset + length;
    if (wanted > bytes.length) {
      const message = `BTF ${what} end at ${hex(wanted)}, the data at ${hex(bytes.length)}`;
      diagnostics.push(warning('btf-truncated', message));
    }
    return { start, end: Math.min(wanted, bytes.length) };
  };
  const types = within('types', header.type_off, header.type_len);
  const strings = within('strings', header.str_off, header.str_len);
  let shapes = KIND_SHAPES;
  if (header.hdr_len >= btfHeader.size + btfHeaderLayout.size && bytes.length >= header.hdr_len) {
    const { layout_off, layout_len } = btfHeaderLayout.read(view, btfHeader.size, little);
    const { start, end } = within('layouts', layout_off, layout_len);
    shapes = describedShapes(view, start, end, little);
  }
  return { little, types, strings, shapes };
}

/** Kinds we know keep their own shape: a description can only add to them. */
function describedShapes(view: DataView, start: number, end: number, little: boolean): typeof KIND_SHAPES {
  const shapes = [...KIND_SHAPES];
  for (let kind = 0, at = start; at + btfLayout.size <= end && kind <= 0x7f; kind++, at += btfLayout.size) {
    if (kind < KIND_SHAPES.length) continue;
    const { info_sz, elem_sz } = btfLayout.read(view, at, little);
    shapes.push({ info: info_sz, element: elem_sz });
  }
  return shapes;
}

/** Where each type starts; stops, with a diagnostic, at the first one whose extent cannot be told. */
function indexTypes(view: DataView, parts: Parts, diagnostics: Diagnostic[]): Uint32Array {
  const { little, shapes } = parts;
  const { start, end } = parts.types;
  const offsets = new Uint32Array(Math.floor((end - start) / btfType.size));
  let count = 0;
  let at = start;
  while (at + btfType.size <= end) {
    const info = view.getUint32(at + btfType.offsets.info, little);
    const kind = (info >>> 24) & 0x7f;
    const shape = shapes[kind];
    if (kind === BTF_KIND.UNKN || shape === undefined) {
      const message = `type ${count + 1} of this BTF, at ${hex(at)}, has the unknown kind ${kind}; the rest is lost`;
      diagnostics.push(warning('btf-kind', message));
      return offsets.slice(0, count);
    }
    const next = at + btfType.size + shape.info + (info & 0xff_ffff) * shape.element;
    if (next > end) break;
    offsets[count++] = at;
    at = next;
  }
  if (at < end) {
    const message = `type ${count + 1} of this BTF, at ${hex(at)}, does not fit before ${hex(end)}`;
    diagnostics.push(warning('btf-truncated', message));
  }
  return offsets.slice(0, count);
}

function warning(code: string, message: string): Diagnostic {
  return { severity: 'warning', code, where: 'BTF', message };
}

/** The spellings of compilers, the usual ones first. */
const LONG_NAMES = [
  'long unsigned int',
  'long int',
  'unsigned long',
  'long',
  'int long',
  'long unsigned',
  'unsigned long int',
  'unsigned int long',
  'long int unsigned',
  'int unsigned long',
  'int long unsigned',
];

function isModifier(kind: number): boolean {
  return (kind >= BTF_KIND.TYPEDEF && kind <= BTF_KIND.RESTRICT) || kind === BTF_KIND.TYPE_TAG;
}

/** Most names are short and ASCII, for which a decoder call costs more than the characters. */
function readString(table: Uint8Array, at: number): string {
  let text = '';
  for (let position = at; position < at + 64; position++) {
    const byte = table[position];
    if (byte === 0) return text;
    if (byte === undefined || byte >= 0x80) break;
    text += String.fromCharCode(byte);
  }
  return cstring(at < table.length ? table.subarray(0, at + MAX_STRING) : table, at);
}
