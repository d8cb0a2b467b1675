import { describe, expect, test } from 'vitest';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { REACH_BUDGET } from '../../src/object/reach.ts';
import { summarize } from '../../src/object/summarize.ts';
import { code, ElfBuilder, type Endianness, type Instruction, words } from '../support/elf-builder.ts';
import { CLANG, compile } from './compile.ts';
import { sample } from './groups.ts';

const MOV0: Instruction = { code: 0xb7 };
const EXIT: Instruction = { code: 0x95 };
const CALL = (imm = -1): Instruction => ({ code: 0x85, src: 1, imm });
const HELPER = (imm: number): Instruction => ({ code: 0x85, imm });
const LOAD = (imm = 0): readonly Instruction[] => [{ code: 0x18, dst: 1, imm }, { code: 0 }];
const RETURN = [MOV0, EXIT];

const codes = ({ diagnostics }: BpfObject) => diagnostics.map(({ code }) => code);
const named = (object: BpfObject, name: string) => object.functions.findIndex((each) => each.name === name);

describe.each<Endianness>(['little', 'big'])('functions of %s endian objects', (endianness) => {
  const rows = (instructions: readonly Instruction[]) => code(endianness, instructions);

  test('are programs in sections of their own and subprograms in .text', () => {
    const object = openObject(
      new ElfBuilder(endianness)
        .function('helper', { section: '.text', content: rows(RETURN), binding: 'local' })
        .function('second', { section: 'xdp', content: rows(RETURN) })
        .function('third', { section: 'xdp', content: rows([MOV0, MOV0, EXIT]), binding: 'weak', visibility: 'hidden' })
        .license()
        .build(),
    );
    expect(object.programs).toMatchObject([
      { name: 'second', section: 'xdp', offset: 0, type: 'xdp', attachType: 'xdp', binding: 'global', hidden: false },
      { name: 'third', section: 'xdp', offset: 16, binding: 'weak', hidden: true },
    ]);
    expect(object.programs[1]?.code).toEqual(rows([MOV0, MOV0, EXIT]));
    expect(object.subprograms).toMatchObject([{ name: 'helper', binding: 'local' }]);
    expect(object.license).toBe('GPL');
    expect(object.diagnostics).toEqual([]);
  });

  test('reach their callees in the order of first calls, depth first', () => {
    const object = openObject(
      new ElfBuilder(endianness)
        .function('b', { section: '.text', content: rows([HELPER(5), CALL(4), ...RETURN, MOV0, EXIT]) }) // calls a, pc-relative
        .function('a', { section: '.text', content: rows([HELPER(6), ...RETURN]) })
        .function('main', { section: 'socket', content: rows([CALL(), HELPER(7), CALL(), ...RETURN]) })
        .relocation('socket', 0, 'b', 10)
        .relocation('socket', 16, 'a', 10)
        .build(),
    );
    expect(summarize(object).programs[0]).toMatchObject({
      instructions: 5,
      subprograms: ['b', 'a'],
      helpers: ['get_prandom_u32', 'ktime_get_ns', 'trace_printk'],
    });
  });

  test('name static callees through the section symbol and the immediate', () => {
    const object = openObject(
      new ElfBuilder(endianness)
        .function('first', { section: '.text', content: rows(RETURN), binding: 'local' })
        .function('other', { section: '.text', content: rows(RETURN), binding: 'local' })
        .function('main', { section: 'socket', content: rows([CALL(1), ...LOAD(16), ...RETURN]) })
        .symbol('', { section: '.text', type: 'section', binding: 'local' })
        .relocation('socket', 0, '', 10)
        .relocation('socket', 8, '')
        .build(),
    );
    const other = named(object, 'other');
    expect(object.relocations[named(object, 'main')]).toMatchObject([
      { instruction: 0, name: '.text', target: { kind: 'call', function: other } },
      { instruction: 1, target: { kind: 'function', function: other } },
    ]);
  });

  test('refer to legacy maps, whose structs come one after another', () => {
    const definition = (values: readonly number[]) => words(endianness, values);
    const object = openObject(
      new ElfBuilder(endianness)
        .variable('second', { section: 'maps', content: definition([2, 4, 8, 100, 0]) })
        .variable('first', { section: 'maps', content: definition([1, 4, 16, 10, 1]) })
        .function('main', { section: 'socket', content: rows([...LOAD(), ...RETURN]) })
        .relocation('socket', 0, 'first')
        .build(),
    );
    expect(object.maps).toMatchObject([
      {
        index: 0,
        name: 'second',
        origin: 'legacy',
        type: 'array',
        keySize: 4,
        valueSize: 8,
        maxEntries: 100,
        flags: 0,
      },
      { index: 1, name: 'first', type: 'hash', keySize: 4, valueSize: 16, maxEntries: 10, flags: 1 },
    ]);
    expect(object.relocations[0]).toMatchObject([{ name: 'first', target: { kind: 'map', map: 1 } }]);
  });

  test('refer to global data by map and offset', () => {
    const object = openObject(
      new ElfBuilder(endianness)
        .section('.bss', { size: 64, type: 8 })
        .variable('a', { section: '.data', content: words(endianness, [1, 2]) })
        .variable('b', { section: '.data', content: words(endianness, [3]) })
        .function('main', { section: 'socket', content: rows([...LOAD(4), ...LOAD(24), ...RETURN]) })
        .symbol('bss', { section: '.bss', type: 'section', binding: 'local' })
        .relocation('socket', 0, 'b')
        .relocation('socket', 16, 'bss')
        .build(),
    );
    expect(object.maps).toMatchObject([
      { name: '.bss', type: 'array', keySize: 4, valueSize: 64, maxEntries: 1, flags: 0 },
      { name: '.data', type: 'array', keySize: 4, valueSize: 12, maxEntries: 1, flags: 0 },
    ]);
    expect(object.relocations[0]?.map(({ target }) => target)).toEqual([
      { kind: 'data', map: 1, offset: 12 },
      { kind: 'data', map: 0, offset: 24 },
    ]);
  });
});

describe('oddities', () => {
  const rows = (instructions: readonly Instruction[]) => code('little', instructions);

  test('code that no function covers belongs to nothing', () => {
    const object = openObject(
      new ElfBuilder()
        .section('xdp', { flags: 6, content: rows([HELPER(1), ...RETURN, ...RETURN]) })
        .symbol('kept', { section: 'xdp', type: 'func', value: 24, size: 16 })
        .symbol('gone')
        .relocation('xdp', 0, 'gone', 10)
        .build(),
    );
    expect(object.functions).toMatchObject([{ name: 'kept', offset: 24 }]);
    expect(object.relocations).toEqual([[]]);
  });

  test('a lone function in .text is noted, for libbpf changed its mind about it', () => {
    const object = openObject(new ElfBuilder().function('f', { section: '.text', content: rows(RETURN) }).build());
    expect(object.programs).toEqual([]);
    expect(object.diagnostics).toMatchObject([{ severity: 'info', code: 'lone-text-function' }]);
  });

  test('a static program makes libbpf refuse the object', () => {
    const object = openObject(
      new ElfBuilder().function('f', { section: 'xdp', content: rows(RETURN), binding: 'local' }).build(),
    );
    expect(object.programs).toMatchObject([{ name: 'f', binding: 'local' }]);
    expect(codes(object)).toEqual(['static-program']);
  });

  test('symbols without a type are functions where no symbol has one', () => {
    const object = openObject(
      new ElfBuilder()
        .section('socket', { flags: 6, content: rows([...RETURN, ...RETURN, EXIT]) })
        .symbol('one', { section: 'socket' })
        .symbol('two', { section: 'socket', value: 16 })
        .symbol('LBB0_1', { section: 'socket', value: 24, binding: 'local' })
        .build(),
    );
    expect(object.programs.map(({ name, code: { length } }) => [name, length])).toEqual([
      ['one', 16],
      ['two', 24],
    ]);
    expect(codes(object)).toEqual(['untyped-functions']);
  });

  test('a function that reaches past its section, or cuts instructions in half, is left out', () => {
    const object = openObject(
      new ElfBuilder()
        .section('xdp', { flags: 6, content: rows(RETURN) })
        .symbol('long', { section: 'xdp', type: 'func', size: 24 })
        .symbol('odd', { section: 'xdp', type: 'func', size: 12 })
        .symbol('good', { section: 'xdp', type: 'func', size: 16 })
        .build(),
    );
    expect(object.programs.map(({ name }) => name)).toEqual(['good']);
    expect(object.diagnostics).toMatchObject([
      { code: 'function-range', where: 'function "long"', message: 'ends at 0x18, section 1 "xdp" at 0x10' },
      { code: 'function-alignment', where: 'function "odd"' },
    ]);
  });

  test('maps without BTF have names', () => {
    const object = openObject(new ElfBuilder().variable('events', { section: '.maps', content: rows(RETURN) }).build());
    expect(object.maps).toEqual([
      { index: 0, name: 'events', origin: 'defined', sectionIndex: 1, offset: 0, initialValues: [] },
    ]);
  });

  test('an undefined symbol that no BTF declares may be a constant for the loader to edit', () => {
    const object = openObject(
      new ElfBuilder()
        .function('main', { section: 'socket', content: rows([...LOAD(), ...RETURN]) })
        .symbol('port')
        .relocation('socket', 0, 'port')
        .build(),
    );
    expect(object.externs).toMatchObject([{ index: 0, name: 'port', kind: 'undeclared', weak: false }]);
    expect(object.relocations[0]).toMatchObject([{ target: { kind: 'extern', extern: 0 } }]);
  });

  test('relocations that make no sense are told of and do not count', () => {
    const object = openObject(
      new ElfBuilder()
        .function('main', { section: 'socket', content: rows([MOV0, CALL(), EXIT]) })
        .symbol('nowhere', { section: 'socket', value: 4096 })
        .relocation('socket', 0, 'main')
        .relocation('socket', 4, 'main')
        .relocation('socket', 8, 'nowhere', 10)
        .relocation('socket', 16, 777)
        .build(),
    );
    expect(codes(object).sort()).toEqual([
      'relocation-offset',
      'relocation-symbol',
      'relocation-target',
      'relocation-target',
    ]);
    expect(object.relocations[0]?.map(({ target }) => target.kind)).toEqual(['unknown', 'unknown']);
  });

  test('a version section holds four bytes', () => {
    const withVersion = (content: Uint8Array) =>
      openObject(new ElfBuilder('big').section('version', { content }).build());
    expect(withVersion(words('big', [0x040a00])).version).toBe(0x040a00);
    expect(codes(withVersion(words('big', [1, 2])))).toEqual(['version']);
  });
});

describe('hostile objects', () => {
  const rows = (instructions: readonly Instruction[]) => code('little', instructions);

  test('100,000 functions over the same megabyte are not all read', () => {
    const builder = new ElfBuilder().section('xdp', { flags: 6, content: new Uint8Array(1 << 20) });
    for (let index = 0; index < 100_000; index++) {
      builder.symbol(`f${index}`, { section: 'xdp', type: 'func', size: 1 << 20 });
    }
    const object = openObject(builder.build());
    expect(codes(object)).toContain('functions-overlap');
    expect(object.functions.length).toBeLessThan(100);
  });

  test('thousands of programs that share thousands of subprograms end with what the budget allows', () => {
    const count = 4000;
    const chain = Array.from({ length: count }, (_, index) => (index === count - 1 ? RETURN : [CALL(1), EXIT]));
    const builder = new ElfBuilder().section('.text', { flags: 6, content: rows(chain.flat()) });
    chain.forEach((_, index) => {
      builder.symbol(`s${index}`, { section: '.text', type: 'func', value: 16 * index, size: 16 });
    });
    builder.section('xdp', { flags: 6, content: rows(chain.flatMap(() => [CALL(), EXIT])) });
    chain.forEach((_, index) => {
      builder.symbol(`p${index}`, { section: 'xdp', type: 'func', value: 16 * index, size: 16 });
      builder.relocation('xdp', 16 * index, 's0', 10);
    });
    const object = openObject(builder.build());
    const { programs } = summarize(object);
    const reached = programs.reduce((sum, { subprograms }) => sum + subprograms.length, 0);
    expect(programs[0]?.subprograms.length).toBe(count);
    expect(reached).toBeLessThan(REACH_BUDGET);
    expect(programs.length).toBe(count);
    expect(codes(object)).toContain('reach-budget');
  });

  test('what a relocation puts past every variable of .maps is nowhere', () => {
    const object = openObject(
      new ElfBuilder()
        .variable('outer', { section: '.maps', content: rows(RETURN) })
        .relocation('.maps', 2 ** 60, 'outer')
        .relocation('.maps', 16, 'outer')
        .build(),
    );
    expect(object.maps).toMatchObject([{ name: 'outer', initialValues: [] }]);
  });

  test('recursion ends', () => {
    const object = openObject(
      new ElfBuilder()
        .function('f', { section: '.text', content: rows([CALL(1), EXIT]) })
        .function('g', { section: '.text', content: rows([CALL(-3), CALL(-2), EXIT]) })
        .function('main', { section: 'xdp', content: rows([CALL(), EXIT]) })
        .relocation('xdp', 0, 'g', 10)
        .build(),
    );
    const reach = object.reach.get(named(object, 'main'));
    expect(reach?.subprograms.map((index) => object.functions[index]?.name)).toEqual(['g', 'f']);
  });
});

test.each(['filter', 'globals', 'externs', 'cgroup', 'kinds'])(
  'sample %s says the same in both byte orders',
  (name) => {
    const [little, big] = [sample(name, 'bpfel'), sample(name, 'bpfeb')].map((bytes) => openObject(bytes));
    expect(big && summarize(big)).toEqual(little && summarize(little));
    expect(big?.externs).toEqual(little?.externs);
    expect(big?.maps).toEqual(little?.maps);
    expect(big?.relocations).toEqual(little?.relocations);
  },
);

describe.skipIf(CLANG === undefined)(
  `compiled${CLANG ? '' : ' (skipped: no clang for BPF with libbpf headers)'}`,
  () => {
    const object = CLANG === undefined ? undefined : openObject(compile('shapes.bpf.c'));
    const map = (name: string) => object?.maps.find((each) => each.name === name);
    const places = (indices: readonly number[] | undefined) => indices?.map((index) => object?.maps[index]?.name);

    test('maps know what the object puts into them', () => {
      expect(map('outer')?.initialValues).toEqual([
        { offset: 24, slot: 0, name: 'first' },
        { offset: 40, slot: 2, name: 'second' },
      ]);
      expect(map('jumps')?.initialValues).toMatchObject([{ slot: 3, name: 'target' }]);
      expect(map('plain_ops')?.initialValues).toEqual([{ offset: 0, name: 'start' }]);
      expect(map('linked_ops')).toMatchObject({ type: 'struct_ops', flags: 0x2000 });
      expect(map('pinned')?.pinning).toBe('by_name');
    });

    test('a program reaches its subprograms with all they use', () => {
      const reach = object?.reach.get(named(object, 'calls'));
      expect(reach?.subprograms.map((index) => object?.functions[index]?.name)).toEqual([
        'weak_one',
        'middle',
        'leaf',
        'hidden_one',
        'callback',
      ]);
      expect(places(reach?.tailCallMaps)).toEqual(['jumps']);
      expect(places(reach?.maps)).toEqual(
        expect.arrayContaining(['.rodata', '.data.shown', '.data.own', '.bss', 'jumps']),
      );
    });

    test('externs are of their kind', () => {
      expect(object?.externs.map(({ name, kind, weak }) => [name, kind, weak])).toEqual([
        ['CONFIG_BIG', 'kconfig', true],
        ['CONFIG_SMALL', 'kconfig', true],
        ['CONFIG_BPF', 'kconfig', false],
        ['kernel_function', 'kfunc', false],
        ['maybe_function', 'kfunc', true],
        ['typed_symbol', 'ksym', false],
        ['typeless_symbol', 'typeless-ksym', true],
      ]);
    });

    test('programs come with their source file, license and version', () => {
      expect(object?.programs.every(({ sourceFile }) => sourceFile?.endsWith('/shapes.bpf.c'))).toBe(true);
      expect(object).toMatchObject({ license: 'Dual MIT/GPL', version: 0x060c01 });
    });

    test('both byte orders say the same', () => {
      const big = openObject(compile('shapes.bpf.c', 'bpfeb'));
      expect(summarize(big)).toEqual(object && summarize(object));
      expect(big.relocations).toEqual(object?.relocations);
    });

    test('variables of the arena lie in the arena map', () => {
      const arena = openObject(
        compile(`
        #include <linux/bpf.h>
        #include <bpf/bpf_helpers.h>
        struct { __uint(type, 33); __uint(map_flags, 1 << 10); __uint(max_entries, 8); } arena SEC(".maps");
        int __attribute__((address_space(1))) shared SEC(".addr_space.1") = 5;
        SEC("syscall") int use(void *ctx) { return shared; }
      `),
      );
      expect(arena.maps).toMatchObject([{ name: 'arena', type: 'arena', maxEntries: 8, flags: 0x400 }]);
      expect(arena.relocations[0]).toMatchObject([{ name: 'shared', target: { kind: 'data', map: 0, offset: 0 } }]);
    });
  },
);
