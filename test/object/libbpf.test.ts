import { describe, expect, test } from 'vitest';
import type { BpfExtern } from '../../src/object/externs.ts';
import type { MapDefinition } from '../../src/object/maps.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { CLANG, compile } from './compile.ts';
import { LITTLE_GROUPS } from './groups.ts';
import { type Log, NO_LIBBPF, type Opened, type OpenedMap, open } from './libbpf.ts';

describe.each(LITTLE_GROUPS)('objects of $group', ({ group, objects }) => {
  const reason = NO_LIBBPF ?? (objects.length === 0 ? `${group} is not installed` : undefined);
  const note = reason === undefined ? '' : ` (skipped: ${reason})`;

  test.skipIf(reason !== undefined)(`are what libbpf sees in them${note}`, (ctx) => {
    const opened = open(objects.map(({ bytes }) => bytes));
    let compared = 0;
    objects.forEach((each, index) => {
      const expected = opened[index];
      if (!expected) return;
      expect(viewOf(openObject(each.bytes), expected), each.name).toEqual(expected);
      compared++;
    });
    if (compared === 0) ctx.skip('libbpf refuses all of them');
  });
});

test.skipIf(NO_LIBBPF !== undefined || CLANG === undefined)(
  `every shape of map, data and extern is what libbpf sees${CLANG ? '' : ' (skipped: no clang for BPF)'}`,
  () => {
    const bytes = compile('shapes.bpf.c');
    const [expected] = open([bytes]);
    const actual = expected && viewOf(openObject(bytes), expected);
    // libbpf 1.1 knows no .struct_ops.link
    expect({ ...actual, maps: actual?.maps.filter(({ name }) => name !== 'linked_ops') }).toEqual(expected);
  },
);

/** In libbpf's words, and with its 0 for what we leave out. */
function viewOf(object: BpfObject, expected: Opened): Opened & Log {
  return {
    references: referencesOf(object),
    externs: object.externs.map(externLine).sort(),
    maps: object.maps.map((map, index) => viewOfMap(map.name, map, expected.maps[index])),
    programs: object.programs.map((program) => ({
      name: program.name,
      section: program.autoload ? program.section : program.section.slice(1),
      type: program.type ?? 'unspec',
      attachType: program.attachType ?? 'cgroup_inet_ingress',
      instructions: program.code.length / 8,
      autoload: program.autoload,
    })),
  };
}

function referencesOf({ functions, relocations }: BpfObject): string[] {
  return functions
    .flatMap(({ name, index }) =>
      (relocations[index] ?? []).flatMap(({ instruction, target }) => {
        if (target.kind === 'map' || target.kind === 'data')
          return [`${name} ${instruction} ${target.kind} ${target.map}`];
        return target.kind === 'extern' ? [`${name} ${instruction} extern ${target.extern}`] : [];
      }),
    )
    .sort();
}

function externLine({ kind, index, name, offset }: BpfExtern): string {
  return kind === 'kconfig' ? `kcfg ${index} ${name} ${offset}` : `ksym ${index} ${name}`;
}

function viewOfMap(name: string, map: MapDefinition, expected: OpenedMap | undefined): OpenedMap {
  return {
    name: expected?.name.endsWith(name) ? expected.name : name, // libbpf puts the file's name before some
    type: String(map.type),
    keySize: map.keySize ?? 0,
    valueSize: map.valueSize ?? 0,
    maxEntries: map.maxEntries ?? 0,
    flags: map.flags ?? 0,
    numaNode: map.numaNode ?? 0,
    mapExtra: String(map.mapExtra ?? 0n),
    keyType: map.keyType ?? 0,
    valueType: map.type === 'struct_ops' ? 0 : (map.valueType ?? 0), // libbpf has the kernel's type there, later
    ...(map.inner && { inner: viewOfMap(`${name}.inner`, map.inner, expected?.inner) }),
  };
}
