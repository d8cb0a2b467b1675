// Maps whose values are programs or maps. No other map is read: its contents are the user's.

import type { Btf } from '../btf/decode.ts';
import { isComposite } from '../btf/types.ts';
import { type Row, viewOf } from '../bytes/layout.ts';
import type { Bpf } from './bpf.ts';
import type { mapInfo } from './bpf-layouts.ts';
import { type BtfObjects, tolerate } from './btf-objects.ts';
import type { Attachment } from './records.ts';
import { allocate } from './syscall.ts';

export interface MapContents {
  readonly innerMapIds: readonly number[];
  readonly attached: readonly AttachedProgram[];
  /** More entries than are looked at. */
  readonly truncated: boolean;
}
/** A program, and where it runs. */
export interface AttachedProgram {
  readonly programId: number;
  readonly attachment: Attachment;
}

type MapRow = Row<typeof mapInfo.fields>;

const BPF_MAP_TYPE = {
  PROG_ARRAY: 3,
  ARRAY_OF_MAPS: 12,
  HASH_OF_MAPS: 13,
  DEVMAP: 14,
  CPUMAP: 16,
  DEVMAP_HASH: 25,
  STRUCT_OPS: 26,
} as const;

/** struct bpf_devmap_val and bpf_cpumap_val: eight bytes, the program in the second half. */
const VALUE_WITH_PROGRAM = 8;
const MAX_ENTRIES = 1 << 16;
const MAX_VALUE = 1 << 20;

const NOTHING: MapContents = { innerMapIds: [], attached: [], truncated: false };

export function readContents(bpf: Bpf, btfs: BtfObjects, descriptor: number, row: MapRow): MapContents {
  switch (row.type) {
    case BPF_MAP_TYPE.ARRAY_OF_MAPS:
    case BPF_MAP_TYPE.HASH_OF_MAPS: {
      const innerMapIds = new Set<number>();
      const truncated = eachEntry(bpf, descriptor, row, (_, value) => innerMapIds.add(value.getUint32(0, bpf.little)));
      return { ...NOTHING, innerMapIds: [...innerMapIds], truncated };
    }
    case BPF_MAP_TYPE.PROG_ARRAY:
      return programs(bpf, descriptor, row, 'prog_array', 0);
    case BPF_MAP_TYPE.DEVMAP:
    case BPF_MAP_TYPE.DEVMAP_HASH:
      return row.value_size === VALUE_WITH_PROGRAM ? programs(bpf, descriptor, row, 'devmap', 4) : NOTHING;
    case BPF_MAP_TYPE.CPUMAP:
      return row.value_size === VALUE_WITH_PROGRAM ? programs(bpf, descriptor, row, 'cpumap', 4) : NOTHING;
    case BPF_MAP_TYPE.STRUCT_OPS:
      return { ...NOTHING, attached: structOps(bpf, btfs.vmlinux(), descriptor, row) };
    default:
      return NOTHING;
  }
}

function programs(
  bpf: Bpf,
  descriptor: number,
  row: MapRow,
  kind: 'prog_array' | 'devmap' | 'cpumap',
  at: number,
): MapContents {
  const attached: AttachedProgram[] = [];
  const truncated = eachEntry(bpf, descriptor, row, (key, value) => {
    const programId = value.getUint32(at, bpf.little);
    const index = key.byteLength === 4 ? key.getUint32(0, bpf.little) : undefined;
    if (programId === 0) return;
    const target = `map ${row.id}${index === undefined ? '' : ` [${index}]`}`;
    attached.push({
      programId,
      attachment: { kind, target, mapId: row.id, ...(index !== undefined && { key: index }) },
    });
  });
  return { ...NOTHING, attached, truncated };
}

/** Calls `use` for every entry that has a value. Returns whether entries were left out. */
function eachEntry(bpf: Bpf, descriptor: number, row: MapRow, use: (key: DataView, value: DataView) => void): boolean {
  if (row.key_size > MAX_VALUE || row.value_size > MAX_VALUE || row.value_size < 4) return true;
  let key = allocate(row.key_size);
  let next = allocate(row.key_size);
  const value = allocate(row.value_size);
  for (let count = 0; bpf.nextKey(descriptor, count === 0 ? undefined : key, next) >= 0; count++) {
    if (count >= Math.min(row.max_entries, MAX_ENTRIES)) return true;
    [key, next] = [next, key];
    if (bpf.lookup(descriptor, key, value) >= 0) use(viewOf(key), viewOf(value));
  }
  return false;
}

/**
 * The value of a struct_ops map is the kernel's struct with a program's id where a function pointer would be
 * (bpf_struct_ops_map_update_elem).
 */
function structOps(bpf: Bpf, vmlinux: Btf | undefined, descriptor: number, row: MapRow): AttachedProgram[] {
  const valueType = row.btf_vmlinux_value_type_id;
  if (vmlinux === undefined || valueType === 0 || row.value_size > MAX_VALUE) return [];
  const value = allocate(row.value_size);
  if (bpf.lookup(descriptor, allocate(4), value) < 0) return [];
  const view = viewOf(value);
  return (tolerate(() => functionMembers(vmlinux, valueType)) ?? []).flatMap(({ name, offset }) => {
    const programId = offset + 8 <= value.length ? Number(view.getBigUint64(offset, bpf.little)) : 0;
    if (programId === 0 || programId > 0x7fff_ffff) return [];
    return [{ programId, attachment: { kind: 'struct_ops', target: name, mapId: row.id } as const }];
  });
}

/** `struct bpf_struct_ops_X { common; struct X data }`: the members of X that point to functions. */
function functionMembers(btf: Btf, valueType: number): { name: string; offset: number }[] {
  const wrapper = btf.type(btf.resolve(valueType));
  const data = isComposite(wrapper) ? wrapper.members.find(({ name }) => name === 'data') : undefined;
  const operations = data && btf.type(btf.resolve(data.type));
  if (data === undefined || operations === undefined || !isComposite(operations)) return [];
  return operations.members
    .filter(({ type }) => isFunctionPointer(btf, type))
    .map(({ name, bitOffset }) => ({
      name: `${operations.name}.${name}`,
      offset: (data.bitOffset + bitOffset) / 8,
    }));
}

function isFunctionPointer(btf: Btf, id: number): boolean {
  const pointer = btf.type(btf.resolve(id));
  return pointer.kind === 'ptr' && btf.kind(btf.resolve(pointer.type)) === 'func_proto';
}
