import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Btf } from '../../src/btf/decode.ts';
import { FormatError } from '../../src/diagnostics.ts';
import { BtfBuilder } from './build.ts';

describe.each([
  ['little', true],
  ['big', false],
] as const)('%s endian', (_order, little) => {
  test('the magic number decides the byte order', () => {
    const btf = Btf.parse(new BtfBuilder({ little }).bytes());
    expect(btf).toMatchObject({ littleEndian: little, count: 0, firstId: 1, diagnostics: [] });
  });

  test('every kind reads back as it was written', () => {
    const build = new BtfBuilder({ little });
    const int = build.int('int', 4, 1);
    const written = [
      { id: int, kind: 'int', name: 'int', size: 4, encoding: 1, bitOffset: 0, bits: 32 },
      { id: build.ptr(int), kind: 'ptr', name: '', type: int },
      { id: build.array(int, 7, 1), kind: 'array', name: '', element: int, index: 1, length: 7 },
      {
        id: build.struct('s', 8, [
          { name: 'a', type: int, at: 0, bits: 3 },
          { name: 'b', type: int, at: 32 },
        ]),
        kind: 'struct',
        name: 's',
        size: 8,
        members: [
          { name: 'a', type: int, bitOffset: 0, bitSize: 3 },
          { name: 'b', type: int, bitOffset: 32, bitSize: 0 },
        ],
      },
      {
        id: build.union('', 4, [{ name: 'a', type: int, at: 0 }]),
        kind: 'union',
        name: '',
        size: 4,
        members: [{ name: 'a', type: int, bitOffset: 0, bitSize: 0 }],
      },
      {
        id: build.enum('e', { LOW: -1, HIGH: 2 }, { signed: true }),
        kind: 'enum',
        name: 'e',
        size: 4,
        signed: true,
        values: [
          { name: 'LOW', value: -1 },
          { name: 'HIGH', value: 2 },
        ],
      },
      {
        id: build.enum('u', { ALL: 0xffffffff }),
        kind: 'enum',
        name: 'u',
        size: 4,
        signed: false,
        values: [{ name: 'ALL', value: 0xffffffff }],
      },
      {
        id: build.enum64('e64', { BIG: 0xffff_ffff_ffff_fffen }),
        kind: 'enum64',
        name: 'e64',
        size: 8,
        signed: false,
        values: [{ name: 'BIG', value: 0xffff_ffff_ffff_fffen }],
      },
      { id: build.fwd('f'), kind: 'fwd', name: 'f', declares: 'struct' },
      { id: build.fwd('g', 'union'), kind: 'fwd', name: 'g', declares: 'union' },
      { id: build.typedef('t', int), kind: 'typedef', name: 't', type: int },
      { id: build.volatile(int), kind: 'volatile', name: '', type: int },
      { id: build.const(int), kind: 'const', name: '', type: int },
      { id: build.restrict(int), kind: 'restrict', name: '', type: int },
      {
        id: build.funcProto(int, [
          ['x', int],
          ['', 0],
        ]),
        kind: 'func_proto',
        name: '',
        returns: int,
        params: [
          { name: 'x', type: int },
          { name: '', type: 0 },
        ],
      },
      { id: build.func('main', 15, 2), kind: 'func', name: 'main', type: 15, linkage: 'extern' },
      { id: build.var('v', int, 0), kind: 'var', name: 'v', type: int, linkage: 'static' },
      {
        id: build.datasec('.data', 4, [[17, 0, 4]]),
        kind: 'datasec',
        name: '.data',
        size: 4,
        variables: [{ type: 17, offset: 0, size: 4 }],
      },
      { id: build.float('double', 8), kind: 'float', name: 'double', size: 8 },
      {
        id: build.declTag('note', 4, 1),
        kind: 'decl_tag',
        name: 'note',
        type: 4,
        component: 1,
        attribute: false,
      },
      { id: build.typeTag('user', int), kind: 'type_tag', name: 'user', type: int, attribute: false },
    ];
    const btf = Btf.parse(build.bytes());
    expect(written.map(({ id }) => btf.type(id))).toEqual(written);
    expect(btf.type(0)).toEqual({ kind: 'void', id: 0, name: '' });
  });

  test('a header longer than the known one is honoured', () => {
    const build = new BtfBuilder({ little, header: [0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9] });
    build.int('int');
    expect(Btf.parse(build.bytes()).byName('int')).toBe(1);
  });

  test('split BTF continues the ids and strings of its base', () => {
    const base = new BtfBuilder({ little });
    const int = base.int('int');
    base.struct('shared', 4, [{ name: 'a', type: int, at: 0 }]);
    const parsed = Btf.parse(base.bytes());
    const split = new BtfBuilder({ little, after: { count: parsed.count, stringsEnd: parsed.stringsEnd } });
    const own = split.struct('own', 8, [{ name: 'b', type: 2, at: 0 }]);
    // A module's strings are deduplicated against the kernel's.
    split.raw(4, base.string('shared'), 4);
    const btf = Btf.parse(split.bytes(), { base: parsed });
    expect(own).toBe(3);
    expect(btf).toMatchObject({ firstId: 3, count: 4 });
    expect(btf.type(own)).toMatchObject({ name: 'own', members: [{ name: 'b', type: 2 }] });
    expect(btf.type(2).name).toBe('shared');
    expect(btf.typesNamed('shared')).toEqual([2, 4]);
    expect(btf.byName('own')).toBe(3);
  });

  test('sizes follow arrays, modifiers and typedefs', () => {
    const build = new BtfBuilder({ little });
    const int = build.int('int');
    const array = build.array(build.const(build.typedef('i', int)), 5);
    const btf = Btf.parse(build.bytes());
    expect([int, array, build.array(array, 3), 0].map((id) => btf.sizeOf(id))).toEqual([4, 20, undefined, undefined]);
  });
});

test('names give every id in ascending order, and flavors are found by stem', () => {
  const build = new BtfBuilder();
  const int = build.int('int');
  build.struct('sock', 4, []);
  build.typedef('sock', int);
  build.struct('sock___old', 8, []);
  build.struct('socket', 8, []);
  const btf = Btf.parse(build.bytes());
  expect(btf.typesNamed('sock')).toEqual([2, 3]);
  expect(btf.byName('sock', ['typedef'])).toBe(3);
  expect(btf.byName('absent')).toBeUndefined();
  expect(btf.typesOfStem('sock___mine').map((id) => btf.name(id))).toEqual(
    expect.arrayContaining(['sock', 'sock', 'sock___old']),
  );
});

test('a long in the BTF tells the size of pointers', () => {
  const build = new BtfBuilder();
  const ptr = build.ptr(build.int('long unsigned int', 4));
  const btf = Btf.parse(build.bytes());
  expect([btf.pointerSize, btf.sizeOf(ptr)]).toEqual([4, 4]);
  expect(Btf.parse(new BtfBuilder().bytes()).pointerSize).toBe(8);
});

test('alignment is that of the strictest member, or 1 when the layout contradicts it', () => {
  const build = new BtfBuilder();
  const char = build.int('char', 1);
  const int = build.int('int', 4);
  const members = (at: number) => [
    { name: 'c', type: char, at: 0 },
    { name: 'i', type: int, at },
  ];
  const natural = build.struct('natural', 8, members(32));
  const packed = build.struct('packed', 5, members(8));
  const btf = Btf.parse(build.bytes());
  expect([natural, packed].map((id) => btf.alignOf(id))).toEqual([4, 1]);
});

test('an unknown kind ends the types with a diagnostic and everything before it is usable', () => {
  const build = new BtfBuilder();
  build.int('int');
  build.raw(77, 'future', 0);
  build.int('lost');
  const btf = Btf.parse(build.bytes());
  expect(btf.count).toBe(1);
  expect(btf.diagnostics).toEqual([
    {
      severity: 'warning',
      code: 'btf-kind',
      where: 'BTF',
      message: 'type 2 of this BTF, at 0x28, has the unknown kind 77; the rest is lost',
    },
  ]);
});

test('an unknown kind that the header describes is stepped over', () => {
  // 21 kinds of 4 bytes; kind 20 has one info word and elements of 8 bytes.
  const shapes = new Array(84).fill(0);
  shapes.splice(80, 2, 4, 8);
  const build = new BtfBuilder({ header: [0, 0, 0, 0, 84, 0, 0, 0] });
  build.int('before');
  build.raw(20, 'future', 0, [1, 2, 3, 4, 5], 2);
  build.int('after');
  const plain = build.bytes();
  const bytes = new Uint8Array([...plain, ...shapes]);
  new DataView(bytes.buffer).setUint32(24, plain.length - 32, true);
  const btf = Btf.parse(bytes);
  expect(btf.diagnostics).toEqual([]);
  expect(btf.type(2)).toEqual({ kind: 'unknown', id: 2, name: 'future', number: 20 });
  expect(btf.byName('after')).toBe(3);
});

test('types cut off by the end of the data are missed, the others kept', () => {
  const build = new BtfBuilder();
  const int = build.int('int');
  build.ptr(int);
  const btf = Btf.parse(build.bytes().subarray(0, 24 + 16 + 8));
  expect(btf.count).toBe(1);
  expect(btf.diagnostics.map(({ message }) => message)).toEqual([
    'BTF types end at 0x34, the data at 0x30',
    'BTF strings end at 0x39, the data at 0x30',
    'type 2 of this BTF, at 0x28, does not fit before 0x30',
  ]);
});

test.each([
  ['no header', new Uint8Array(23), 'btf-header'],
  ['another magic number', new Uint8Array(24), 'btf-magic'],
])('%s is not BTF', (_what, bytes, code) => {
  expect(() => Btf.parse(bytes)).toThrow(expect.objectContaining({ name: 'FormatError', code }));
});

test('a reference to a type that does not exist is a format error', () => {
  const build = new BtfBuilder();
  build.ptr(9);
  const btf = Btf.parse(build.bytes());
  expect(() => btf.type(9)).toThrow('type 9 does not exist, the last one is 1');
  expect(btf.sizeOf(9)).toBeUndefined();
});

test('typedefs in a circle end', () => {
  const build = new BtfBuilder();
  build.typedef('a', 2);
  build.typedef('b', 1);
  const btf = Btf.parse(build.bytes());
  expect(btf.sizeOf(1)).toBeUndefined();
  expect(() => btf.resolve(1)).toThrow(FormatError);
});

test('structs that contain themselves, twice over, have an alignment at once', () => {
  const build = new BtfBuilder();
  for (let id = 1; id <= 60; id++) {
    build.struct(`s${id}`, 8, [
      { name: 'a', type: (id % 60) + 1, at: 0 },
      { name: 'b', type: (id % 60) + 1, at: 32 },
    ]);
  }
  expect(Btf.parse(build.bytes()).alignOf(1)).toBe(1);
});

const useEverything = (bytes: Uint8Array) => {
  const btf = Btf.parse(bytes);
  for (let id = 0; id <= btf.count; id++) {
    btf.sizeOf(id);
    btf.alignOf(id);
    try {
      const { name } = btf.type(id);
      if (name !== '' && !name.includes('\ufffd') && name.length < 100) expect(btf.typesNamed(name)).toContain(id);
      btf.resolve(id);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
  }
};

const orFormatError = (act: () => void) => {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
};

const header = fc.constantFrom([0x9f, 0xeb, 1, 0], [0xeb, 0x9f, 0, 1]);

test('any bytes are BTF or a format error', () => {
  fc.assert(
    fc.property(header, fc.uint8Array({ maxLength: 400 }), (magic, rest) => {
      orFormatError(() => useEverything(new Uint8Array([...magic, ...rest])));
    }),
  );
});

test('BTF with any byte changed is BTF or a format error', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), (little, changes) => {
      const build = new BtfBuilder({ little });
      const int = build.int('int');
      const proto = build.funcProto(int, [['p', build.ptr(int)]]);
      build.func('f', proto);
      build.struct('s', 8, [
        { name: 'a', type: build.array(int, 2), at: 0 },
        { type: build.union('', 4, [{ name: 'u', type: int, at: 0 }]), at: 32 },
      ]);
      build.enum('e', { A: 1, B: 2 });
      build.datasec('.data', 4, [[build.var('v', int), 0, 4]]);
      const bytes = build.bytes();
      for (const [place, value] of changes) bytes[place % bytes.length] = value;
      orFormatError(() => useEverything(bytes));
    }),
  );
});
