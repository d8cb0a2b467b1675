// Maps as `.maps` defines them: variables of anonymous structs whose member types carry the numbers (parse_btf_map_def).
import type { Btf } from '../btf/decode.ts';
import type { BtfMember } from '../btf/types.ts';
import { FormatError } from '../diagnostics.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { mapTypeName } from './map-types.ts';
import type { MapDefinition, MapInput, UnplacedMap } from './maps.ts';
import { filledIn, variablesOf } from './variables.ts';

/** Variables in `.maps` by offset: with their definition where the BTF has one, by name alone otherwise. */
export function* readDefinedMaps({ elf, btf, log }: MapInput): Generator<UnplacedMap> {
  const section = elf.section('.maps');
  if (section === undefined) return;
  const variables = variablesOf(elf, section);
  const structs = btf === undefined ? new Map<string, number>() : structsOf(btf, log);
  const definitions = new Map<number, Definition>();
  const filled = filledIn(elf, section, variables);
  for (const symbol of variables) {
    const struct = structs.get(symbol.name);
    const { definition, valuesAt } = btf === undefined ? EMPTY : define(btf, struct, definitions, symbol.name, log);
    yield {
      name: symbol.name,
      origin: 'defined',
      sectionIndex: section.index,
      offset: symbol.value,
      initialValues: (filled.get(symbol.index) ?? []).map((value) => ({
        ...value,
        slot: Math.floor((value.offset - (valuesAt ?? 0)) / POINTER_SIZE),
      })),
      ...definition,
    };
  }
}

const POINTER_SIZE = 8;

interface Definition {
  readonly definition: MapDefinition;
  /** Byte offset of `values` in the struct. */
  readonly valuesAt?: number;
}
const EMPTY: Definition = { definition: {} };

/** Name of every variable in the DATASEC to its type id. */
function structsOf(btf: Btf, log: DiagnosticLog): Map<string, number> {
  const structs = new Map<string, number>();
  log.attempt('BTF: .maps', () => {
    const id = btf.byName('.maps', ['datasec']);
    const datasec = id === undefined ? undefined : btf.type(id);
    if (datasec?.kind !== 'datasec') return;
    for (const variable of datasec.variables) {
      const type = btf.type(variable.type);
      if (type.kind === 'var') structs.set(type.name, type.type);
    }
  });
  return structs;
}

/** Any number of variables may share a struct, which is read once. */
function define(
  btf: Btf,
  struct: number | undefined,
  known: Map<number, Definition>,
  name: string,
  log: DiagnosticLog,
): Definition {
  const where = `map ${JSON.stringify(name)}`;
  if (struct === undefined) {
    log.warn('map-definition', where, 'no variable of this name in the BTF of .maps');
    return EMPTY;
  }
  const definition = known.get(struct) ?? readStruct(btf, struct, where, log, false);
  known.set(struct, definition);
  return definition;
}

type Draft = { -readonly [K in keyof MapDefinition]: MapDefinition[K] };

function readStruct(btf: Btf, id: number, where: string, log: DiagnosticLog, isInner: boolean): Definition {
  const definition: Draft = {};
  let valuesAt: number | undefined;
  log.attempt(where, () => {
    const struct = btf.type(btf.resolve(id));
    if (struct.kind !== 'struct') {
      throw new FormatError('map-definition', 0, `type ${id} is of kind ${struct.kind}, not struct`);
    }
    for (const member of struct.members) {
      if (member.name === 'values') {
        valuesAt = member.bitOffset / 8;
        log.attempt(`${where}: values`, () => readValues(btf, member, definition, where, log, isInner));
      } else {
        log.attempt(`${where}: ${member.name}`, () => readMember(btf, member, definition));
      }
    }
  });
  return { definition, ...(valuesAt !== undefined && { valuesAt }) };
}

function readMember(btf: Btf, member: BtfMember, draft: Draft): void {
  switch (member.name) {
    case 'type':
      draft.type = mapTypeName(encodedNumber(btf, member));
      return;
    case 'max_entries':
      draft.maxEntries = encodedNumber(btf, member);
      return;
    case 'map_flags':
      draft.flags = encodedNumber(btf, member);
      return;
    case 'numa_node':
      draft.numaNode = encodedNumber(btf, member);
      return;
    case 'key_size':
      draft.keySize = encodedNumber(btf, member);
      return;
    case 'value_size':
      draft.valueSize = encodedNumber(btf, member);
      return;
    case 'map_extra':
      draft.mapExtra = encodedWideNumber(btf, member);
      return;
    case 'pinning':
      draft.pinning = PINNINGS[encodedNumber(btf, member)] ?? encodedNumber(btf, member);
      return;
    case 'key':
      draft.keyType = pointee(btf, member.type);
      draft.keySize = sizeOf(btf, draft.keyType);
      return;
    case 'value':
      draft.valueType = pointee(btf, member.type);
      draft.valueSize = sizeOf(btf, draft.valueType);
      return;
    default:
      throw new FormatError('map-member', 0, 'a member that libbpf does not know');
  }
}

const PINNINGS = ['none', 'by_name'] as const;

/** `__uint(name, 42)` is a pointer to an array of 42. */
function encodedNumber(btf: Btf, member: BtfMember): number {
  const array = btf.type(pointee(btf, member.type));
  if (array.kind === 'array') return array.length;
  throw new FormatError('map-member', 0, `a pointer to ${array.kind}, not to an array`);
}

/** `__ulong(name, 42)` is a pointer to an enum of one value: arrays end at 32 bits. */
function encodedWideNumber(btf: Btf, member: BtfMember): bigint {
  const type = btf.type(pointee(btf, member.type));
  if (type.kind !== 'enum' && type.kind !== 'enum64') return BigInt(encodedNumber(btf, member));
  const value = type.values[0]?.value;
  if (value === undefined) throw new FormatError('map-member', 0, 'an enum without values');
  return BigInt.asUintN(64, BigInt(value));
}

/**
 * `__array(values, struct {...})`: what the inner maps are like, or, for functions, that programs go in.
 * libbpf sets the value size to that of a file descriptor in both cases.
 */
function readValues(btf: Btf, member: BtfMember, draft: Draft, where: string, log: DiagnosticLog, isInner: boolean) {
  const array = btf.type(btf.resolve(member.type));
  if (array.kind !== 'array') throw new FormatError('map-member', 0, `of kind ${array.kind}, not array`);
  const value = btf.resolve(pointee(btf, array.element));
  draft.valueSize = FD_SIZE;
  if (btf.kind(value) === 'func_proto') return;
  if (isInner) throw new FormatError('map-member', 0, 'a map of maps of maps');
  draft.inner = readStruct(btf, value, `${where}: inner map`, log, true).definition;
}

const FD_SIZE = 4;

function pointee(btf: Btf, id: number): number {
  const pointer = btf.type(btf.resolve(id));
  if (pointer.kind === 'ptr') return pointer.type;
  throw new FormatError('map-member', 0, `of kind ${pointer.kind}, not a pointer`);
}

function sizeOf(btf: Btf, id: number): number {
  const size = btf.sizeOf(id);
  if (size === undefined) throw new FormatError('map-member', 0, `type ${id} has no size`);
  return size;
}
