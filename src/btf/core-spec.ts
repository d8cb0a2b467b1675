// What a CO-RE record asks for: a kind, a root type and a path through it, as places in one BTF.
import { FormatError } from '../diagnostics.ts';
import type { Btf } from './decode.ts';
import type { CoreRecord } from './ext.ts';
import { type BtfArray, isComposite, isEnum } from './types.ts';

/** enum bpf_core_relo_kind by number, in libbpf's spelling (core_relo_kind_str). */
export const CORE_KINDS = [
  'byte_off',
  'byte_sz',
  'field_exists',
  'signed',
  'lshift_u64',
  'rshift_u64',
  'local_type_id',
  'target_type_id',
  'type_exists',
  'type_size',
  'enumval_exists',
  'enumval_value',
  'type_matches',
] as const;
export type CoreKind = (typeof CORE_KINDS)[number];

/** A step that means something in C: a named member, an enumerator (`name` present) or an array index. */
export interface CoreAccessor {
  /** The struct or enum that has the name, or the type of the array element. */
  readonly type: number;
  readonly index: number;
  readonly name?: string;
}

export interface CoreSpec {
  readonly kind: CoreKind;
  readonly root: number;
  readonly accessors: readonly CoreAccessor[];
  /** Every index, those through anonymous members included. */
  readonly indexes: readonly number[];
  /** Bits from the start of the root type. */
  readonly bitOffset: number;
}

/** BPF_CORE_SPEC_MAX_LEN. */
export const MAX_PATH = 64;
const MAX_BIT_OFFSET = 0xffff_ffff;

/**
 * The place a record means in the object's own BTF (libbpf: bpf_core_parse_spec).
 * @throws FormatError `core-kind`, `core-spec`, `btf-type-id`, `string-offset`, `btf-cycle`
 */
export function parseCoreSpec(btf: Btf, record: CoreRecord): CoreSpec {
  const kind = CORE_KINDS[record.kind];
  if (kind === undefined) throw new FormatError('core-kind', 0, `CO-RE relocation of the unknown kind ${record.kind}`);
  const text = btf.string(record.access);
  const place = new SpecBuilder(btf, kind, record.type);
  if (isTypeKind(kind)) {
    btf.type(record.type);
    if (text !== '0') throw malformed(record, text, 'a type has no path');
    return place.spec();
  }
  const indexes = parseIndexes(text);
  if (indexes === undefined) throw malformed(record, text, `not 1 to ${MAX_PATH} numbers`);
  const [first = 0, ...rest] = indexes;
  const root = btf.resolve(record.type);
  if (isEnumKind(kind)) {
    const type = btf.type(root);
    const name = isEnum(type) ? type.values[first]?.name : undefined;
    if (name === undefined || rest.length > 0) throw malformed(record, text, 'not an enumerator');
    place.enumerator(root, first, name);
    return place.spec();
  }
  if (!place.element(root, first)) throw malformed(record, text, 'beyond any size');
  let current = root;
  for (const index of rest) {
    const type = btf.type(btf.resolve(current));
    if (isComposite(type)) {
      const member = type.members[index];
      if (member === undefined) throw malformed(record, text, `${type.kind} ${type.name} has no member ${index}`);
      place.member(type.id, index, member.bitOffset, member.name);
      current = member.type;
    } else if (type.kind === 'array') {
      if (!place.canIndex(type, index))
        throw malformed(record, text, `array of ${type.length} has no element ${index}`);
      current = btf.resolve(type.element);
      if (!place.element(current, index)) throw malformed(record, text, 'beyond any size');
    } else {
      throw malformed(record, text, `leads into ${type.kind}`);
    }
  }
  return place.spec();
}

/** As libbpf's log has it: `<byte_off> [7] struct task_struct.tgid (0:77 @ offset 1420)`. */
export function formatCoreSpec(btf: Btf, spec: CoreSpec): string {
  const { kind, name } = btf.type(spec.root);
  const head = `<${spec.kind}> [${spec.root}] ${kind} ${name || '<anon>'}`;
  if (isTypeKind(spec.kind)) return head;
  const [first] = spec.accessors;
  if (isEnumKind(spec.kind)) return first ? `${head}::${first.name} = ${enumeratorValue(btf, first)}` : head;
  const { bitOffset } = spec;
  const bits = bitOffset % 8 === 0 ? '' : `.${bitOffset % 8}`;
  const path = formatPath(spec);
  const dot = path === '' || path.startsWith('[') ? '' : '.';
  return `${head}${dot}${path} (${spec.indexes.join(':')} @ offset ${Math.floor(bitOffset / 8)}${bits})`;
}

/** `tgid`, `a.b[3].c`, `[2].x`; an enumerator's name; empty for a type. */
export function formatPath(spec: CoreSpec): string {
  let path = '';
  for (const [position, { name, index }] of spec.accessors.entries()) {
    if (name !== undefined) path += path === '' ? name : `.${name}`;
    else if (position > 0 || index > 0) path += `[${index}]`;
  }
  return path;
}

export function isTypeKind(kind: CoreKind): boolean {
  return (
    kind === 'local_type_id' ||
    kind === 'target_type_id' ||
    kind === 'type_exists' ||
    kind === 'type_size' ||
    kind === 'type_matches'
  );
}

export function isEnumKind(kind: CoreKind): boolean {
  return kind === 'enumval_exists' || kind === 'enumval_value';
}

/** Grows a spec while a path is walked; shared by the local reading and the search in a target. */
export class SpecBuilder {
  readonly #btf: Btf;
  readonly #kind: CoreKind;
  readonly #root: number;
  #accessors: CoreAccessor[] = [];
  #indexes: number[] = [];
  #bitOffset = 0;

  constructor(btf: Btf, kind: CoreKind, root: number) {
    this.#btf = btf;
    this.#kind = kind;
    this.#root = root;
  }

  /** False when the element lies beyond what 32 bits can count, or has no size. */
  element(type: number, index: number): boolean {
    const size = this.#btf.sizeOf(type);
    if (size === undefined) return false;
    this.#accessors.push({ type, index });
    this.#indexes.push(index);
    this.#bitOffset += index * size * 8;
    return this.#bitOffset <= MAX_BIT_OFFSET;
  }

  /** An anonymous member is passed through: it counts in the indexes, not as a step. */
  member(type: number, index: number, bitOffset: number, name: string): void {
    this.#indexes.push(index);
    this.#bitOffset += bitOffset;
    if (name !== '') this.#accessors.push({ type, index, name });
  }

  /** Takes an anonymous member back. */
  leave(bitOffset: number): void {
    this.#indexes.pop();
    this.#bitOffset -= bitOffset;
  }

  enumerator(type: number, index: number, name: string): void {
    this.#accessors.push({ type, index, name });
    this.#indexes.push(index);
  }

  /** Inside the array, or any element of a flexible one: of length 0 and the last member of its struct (is_flex_arr). */
  canIndex(array: BtfArray, index: number): boolean {
    if (index < array.length) return true;
    const last = this.#accessors.at(-1);
    if (array.length > 0 || last?.name === undefined) return false;
    const parent = this.#btf.type(last.type);
    return isComposite(parent) && last.index === parent.members.length - 1;
  }

  get depth(): number {
    return this.#indexes.length;
  }

  spec(): CoreSpec {
    return {
      kind: this.#kind,
      root: this.#root,
      accessors: [...this.#accessors],
      indexes: [...this.#indexes],
      bitOffset: this.#bitOffset,
    };
  }
}

function enumeratorValue(btf: Btf, { type, index }: CoreAccessor): string {
  const found = btf.type(type);
  return isEnum(found) ? String(found.values[index]?.value) : '?';
}

/** The text comes from the object: digits and colons only, so that nothing is read as a number that libbpf would not. */
function parseIndexes(text: string): readonly number[] | undefined {
  const parts = text.split(':', MAX_PATH + 1);
  if (parts.length > MAX_PATH) return undefined;
  const indexes = parts.map((part) => ([...part].every((digit) => digit >= '0' && digit <= '9') ? Number(part) : -1));
  const valid = indexes.every((index, position) => index >= 0 && index <= 0x7fff_ffff && parts[position] !== '');
  return valid ? indexes : undefined;
}

function malformed(record: CoreRecord, text: string, why: string): FormatError {
  return new FormatError('core-spec', 0, `CO-RE access "${text}" of type ${record.type}: ${why}`);
}
