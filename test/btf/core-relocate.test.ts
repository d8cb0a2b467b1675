// Rules of CO-RE relocation on hand-made types; `core-oracle.test.ts` compares the engine with libbpf on real ones.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeCoreRelocation, describeCoreResult } from '../../src/btf/core.ts';
import { patchInstruction } from '../../src/btf/core-patch.ts';
import { CoreRelocator, type CoreResult } from '../../src/btf/core-relocate.ts';
import { AYA_RULES, type CoreRules, LIBBPF_RULES, libbpfEssentialName, libbpfRules } from '../../src/btf/core-rules.ts';
import { CORE_KINDS, type CoreKind, formatCoreSpec, parseCoreSpec } from '../../src/btf/core-spec.ts';
import { Btf } from '../../src/btf/decode.ts';
import type { CoreRecord } from '../../src/btf/ext.ts';
import { type Diagnostic, FormatError } from '../../src/diagnostics.ts';
import { BtfBuilder, type BuildOptions } from './build.ts';

type Fill = (build: BtfBuilder) => number;

/** A record about the type that `fill` returns. */
function ask(kind: CoreKind, access: string, fill: Fill, options: BuildOptions = {}) {
  const build = new BtfBuilder(options);
  const record: CoreRecord = {
    insnOffset: 0,
    type: fill(build),
    access: build.string(access),
    kind: CORE_KINDS.indexOf(kind),
  };
  return { btf: Btf.parse(build.bytes()), record };
}

function kernel(fill: (build: BtfBuilder) => unknown, options: BuildOptions = {}): Btf {
  const build = new BtfBuilder(options);
  fill(build);
  return Btf.parse(build.bytes());
}

function relocate(
  kind: CoreKind,
  access: string,
  local: Fill,
  target: Btf,
  rules: CoreRules = LIBBPF_RULES,
): CoreResult {
  const { btf, record } = ask(kind, access, local, { little: target.littleEndian });
  return new CoreRelocator(btf, { kernel: target }, rules).relocate(record);
}

const struct = (
  name: string,
  members: (int: number, build: BtfBuilder) => Parameters<BtfBuilder['struct']>[2],
): Fill => {
  return (build) => {
    const int = build.int('int', 4, 1);
    return build.struct(name, 8, members(int, build));
  };
};
const foo = struct('foo', (int) => [
  { name: 'a', type: int, at: 0 },
  { name: 'b', type: int, at: 32 },
]);

test.each([
  ['foo', 'foo'],
  ['foo___bar', 'foo'],
  ['foo___bar___baz', 'foo___bar'],
  ['x____y', 'x____y'],
  ['___x', '___x'],
  ['x___', 'x___'],
])('the essential name of %s is %s', (name, essential) => {
  expect(libbpfEssentialName(name)).toBe(essential);
});

describe('bitfields, from the description of the algorithm', () => {
  // Bit, width, size of the declared type; then byte_off, byte_sz, lshift in little endian and in big, rshift.
  test.each([
    [37, 6, 4, [4, 4, 53, 37, 58]],
    [30, 6, 4, [0, 8, 28, 30, 58]],
    [0, 1, 4, [0, 4, 63, 32, 63]],
    [8, 8, 1, [1, 1, 56, 56, 56]],
  ])('bit %i, %i wide, in %i bytes', (at, bits, size, [offset, bytes, little, big, right]) => {
    const fill: Fill = (build) => {
      const type = build.int('field', size);
      return build.struct('s', 16, [{ name: 'f', type, at, bits }]);
    };
    const values = (order: boolean) =>
      (['byte_off', 'byte_sz', 'lshift_u64', 'rshift_u64', 'signed'] as const).map((kind) => {
        const result = relocate(kind, '0:0', fill, kernel(fill, { little: order }));
        return result.outcome === 'value' ? Number(result.targetValue) : result.outcome;
      });
    expect(values(true)).toEqual([offset, bytes, little, right, 0]);
    expect(values(false)).toEqual([offset, bytes, big, right, 0]);
  });

  test('what the compiler wrote for one is not checked, but its sign and width are', () => {
    const fill = struct('s', (int) => [{ name: 'f', type: int, at: 3, bits: 5 }]);
    const checked = (kind: CoreKind) => relocate(kind, '0:0', fill, kernel(fill));
    expect([checked('byte_off'), checked('signed'), checked('rshift_u64')]).toMatchObject([
      { checked: false },
      { checked: true, targetValue: 1n },
      { checked: true },
    ]);
  });
});

test('a spec is written as libbpf logs it', () => {
  const { btf, record } = ask('byte_off', '1:1:2:0', (build) => {
    const int = build.int('int');
    const inner = build.struct('', 4, [{ name: 'x', type: int, at: 0 }]);
    return build.struct('outer', 16, [
      { name: 'first', type: int, at: 0 },
      { name: 'list', type: build.array(inner, 3), at: 32 },
    ]);
  });
  expect(formatCoreSpec(btf, parseCoreSpec(btf, record))).toBe(
    '<byte_off> [4] struct outer[1].list[2].x (1:1:2:0 @ offset 28)',
  );
});

test('anonymous members count in the accessor string but not in the path', () => {
  const fill: Fill = (build) => {
    const int = build.int('int');
    const union = build.union('', 4, [{ name: 'deep', type: int, at: 0 }]);
    return build.struct('s', 8, [{ type: union, at: 32 }]);
  };
  const { btf, record } = ask('byte_off', '0:0:0', fill);
  expect(describeCoreRelocation(btf, record, [])).toEqual({
    instruction: 0,
    kind: 'byte_off',
    type: 'struct s',
    path: 'deep',
    accessors: '0:0:0',
    local: { type: 3, offset: 4, value: 4 },
  });
});

test('a relocation is told with the answer of the kernel', () => {
  const target = kernel((build) => struct('foo', (int) => [{ name: 'b', type: int, at: 0 }])(build));
  const { btf, record } = ask('byte_off', '0:1', foo);
  const relocator = new CoreRelocator(btf, { kernel: target }, LIBBPF_RULES);
  expect(describeCoreRelocation(btf, record, [])).toMatchObject({ path: 'b', local: { type: 2, offset: 4, value: 4 } });
  expect(describeCoreResult(relocator.relocate(record))).toEqual({ type: 2, offset: 0, value: 0 });
});

test('a malformed record is described as far as it goes', () => {
  const { btf, record } = ask('byte_off', '0:7', foo);
  const diagnostics: Diagnostic[] = [];
  expect(describeCoreRelocation(btf, record, diagnostics)).toEqual({
    instruction: 0,
    kind: 'byte_off',
    type: 'struct foo',
    accessors: '0:7',
  });
  expect(diagnostics).toMatchObject([{ message: 'CO-RE access "0:7" of type 2: struct foo has no member 7' }]);
});

describe('candidates', () => {
  test('a field that moved is found by name, a missing one is poison or 0', () => {
    const target = kernel(struct('foo', (int) => [{ name: 'b', type: int, at: 0 }]));
    expect(relocate('byte_off', '0:1', foo, target)).toMatchObject({ localValue: 4n, targetValue: 0n });
    expect(relocate('byte_off', '0:0', foo, target)).toMatchObject({ outcome: 'poison' });
    expect(relocate('field_exists', '0:0', foo, target)).toMatchObject({ localValue: 1n, targetValue: 0n });
    expect(
      relocate(
        'type_size',
        '0',
        foo,
        kernel(() => {}),
      ),
    ).toMatchObject({ localValue: 8n, targetValue: 0n });
  });

  test('flavors on either side are the same type', () => {
    const local = struct('foo___mine', (int) => [{ name: 'b', type: int, at: 0 }]);
    const target = kernel(struct('foo___2', (int) => [{ name: 'b', type: int, at: 32 }]));
    expect(relocate('byte_off', '0:0', local, target)).toMatchObject({ targetValue: 4n });
  });

  test('candidates that disagree refuse the object, unless an earlier record ruled one out', () => {
    const target = kernel((build) => {
      struct('foo', (int) => [{ name: 'b', type: int, at: 0 }])(build);
      struct('foo', (int) => [
        { name: 'a', type: int, at: 0 },
        { name: 'b', type: int, at: 32 },
      ])(build);
    });
    expect(relocate('byte_off', '0:1', foo, target)).toMatchObject({ outcome: 'refused' });
    const build = new BtfBuilder();
    const type = foo(build);
    const record = (access: string) => ({ insnOffset: 0, type, access: build.string(access), kind: 0 });
    const records = [record('0:0'), record('0:1')];
    const relocator = new CoreRelocator(Btf.parse(build.bytes()), { kernel: target }, LIBBPF_RULES);
    expect(records.map((each) => relocator.relocate(each))).toMatchObject([
      { outcome: 'value', targetValue: 0n },
      { outcome: 'value', targetValue: 4n },
    ]);
  });

  test("a module's types count only when the kernel has none", () => {
    const vmlinux = kernel((build) => build.int('int', 4, 1));
    const split = new BtfBuilder({ after: vmlinux });
    split.struct('foo', 8, [{ name: 'b', type: 1, at: 32 }]);
    const module = Btf.parse(split.bytes(), { base: vmlinux });
    const { btf, record } = ask('byte_off', '0:1', foo);
    const within = (rules: CoreRules) =>
      new CoreRelocator(btf, { kernel: vmlinux, modules: [module] }, rules).relocate(record);
    expect(within(LIBBPF_RULES)).toMatchObject({ outcome: 'value', targetValue: 4n });
    expect(within(libbpfRules([0, 2]))).toMatchObject({ outcome: 'poison' });
  });

  test('an anonymous root has none', () => {
    const anonymous = struct('', (int) => [{ name: 'a', type: int, at: 0 }]);
    expect(relocate('byte_off', '0:0', anonymous, kernel(anonymous))).toMatchObject({ outcome: 'refused' });
  });
});

test('field_exists looks at the type of the field too', () => {
  const target = kernel(struct('foo', (_int, build) => [{ name: 'a', type: build.ptr(0), at: 0 }]));
  expect(relocate('field_exists', '0:0', foo, target)).toMatchObject({ targetValue: 0n });
});

describe('enumerators', () => {
  const local: Fill = (build) => build.enum('e', { BIG: 0x8000_0000, SMALL: 1 });
  test('an unsigned one from 2^31 is sign-extended by libbpf from 1.0, not by aya', () => {
    const value = (rules: CoreRules) => relocate('enumval_value', '0', local, kernel(local), rules);
    expect(value(LIBBPF_RULES)).toMatchObject({ targetValue: 0xffff_ffff_8000_0000n });
    expect(value(libbpfRules([0, 8]))).toMatchObject({ targetValue: 0x8000_0000n });
    expect(value(AYA_RULES)).toMatchObject({ targetValue: 0x8000_0000n });
  });

  test('enum and enum64 stand for each other since libbpf 1.0', () => {
    const target = kernel((build) => build.enum64('e', { SMALL: 7n }));
    expect(relocate('enumval_value', '1', local, target)).toMatchObject({ targetValue: 7n });
    expect(relocate('enumval_value', '1', local, target, libbpfRules([0, 8]))).toMatchObject({ outcome: 'poison' });
    expect(relocate('enumval_value', '1', local, target, AYA_RULES)).toMatchObject({ outcome: 'poison' });
  });
});

describe('patching', () => {
  const insn = (...bytes: number[]) => new Uint8Array(bytes);
  const load = insn(0x79, 0x21, 0, 0, 0, 0, 0, 0);
  const unsigned =
    (size: number): Fill =>
    (build) =>
      build.struct('s', 16, [{ name: 'f', type: build.int('u', size), at: 0 }]);
  const patch = (bytes: Uint8Array, local: Fill, target: Fill, rules = LIBBPF_RULES, little = true) => {
    const result = relocate('byte_off', '0:0', local, kernel(target, { little }), rules);
    if (result.outcome === 'refused') throw new FormatError('core-refused', 0, result.reason);
    return patchInstruction(bytes, little, result, rules);
  };
  const poison = insn(0x85, 0, 0, 0, 0x10, 0x23, 0xad, 0x0b);

  test('a load narrows to the size that the kernel has', () => {
    expect(patch(load, unsigned(8), unsigned(4))).toEqual(insn(0x61, 0x21, 0, 0, 0, 0, 0, 0));
  });

  test('a load of a signed field of another size is poisoned; aya refuses', () => {
    const signed: Fill = (build) => build.struct('s', 16, [{ name: 'f', type: build.int('i', 4, 1), at: 0 }]);
    expect(patch(load, unsigned(8), signed)).toEqual(poison);
    expect(() => patch(load, unsigned(8), signed, AYA_RULES)).toThrow('field of 8 bytes has 4 in the target');
  });

  test('an instruction that does not hold the local value refuses the object; aya does not look', () => {
    const stale = insn(0x79, 0x21, 5, 0, 0, 0, 0, 0);
    expect(() => patch(stale, unsigned(8), unsigned(8))).toThrow('instruction holds 5, its BTF says 0');
    expect(patch(stale, unsigned(8), unsigned(8), AYA_RULES)).toEqual(load);
  });

  const result = (targetValue: bigint): CoreResult & { outcome: 'value' } => {
    const found = relocate('byte_off', '0:0', unsigned(8), kernel(unsigned(8)));
    if (found.outcome !== 'value') throw new Error(found.outcome);
    return { ...found, targetValue };
  };
  const constant = insn(0x18, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

  test('a 64-bit constant gets both halves, before libbpf 1.0 only the lower', () => {
    const value = result(0x1122_3344_5566_7788n);
    expect(patchInstruction(constant, true, value, LIBBPF_RULES)).toEqual(
      insn(0x18, 1, 0, 0, 0x88, 0x77, 0x66, 0x55, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11),
    );
    expect(patchInstruction(constant, true, value, libbpfRules([0, 8])).subarray(8)).toEqual(new Uint8Array(8));
  });

  test('big-endian instructions are patched in their own order', () => {
    expect(patch(insn(0x79, 0x12, 0, 0, 0, 0, 0, 0), unsigned(8), unsigned(4), LIBBPF_RULES, false)[0]).toBe(0x61);
    expect(patchInstruction(insn(0x07, 0x10, 0, 0, 0, 0, 0, 0), false, result(0x102n), LIBBPF_RULES)).toEqual(
      insn(0x07, 0x10, 0, 0, 0, 0, 1, 2),
    );
  });

  test('a poisoned constant takes two slots', () => {
    const gone: CoreResult & { outcome: 'poison' } = { outcome: 'poison', local: result(0n).local };
    expect(patchInstruction(constant, true, gone, LIBBPF_RULES)).toEqual(insn(...poison, ...poison));
  });

  test.each([
    ['a jump', insn(0x05, 0, 0, 0, 0, 0, 0, 0), 0n, 'instruction 0x5 cannot be relocated'],
    ['a register operand', insn(0x0f, 0x21, 0, 0, 0, 0, 0, 0), 0n, 'instruction 0xf has no immediate'],
    ['an offset beyond 15 bits', load, 0x8000n, 'offset 32768 does not fit an instruction'],
    ['a constant cut short', constant.subarray(0, 8), 0n, 'instruction of 8 bytes, 16 needed'],
  ])('%s refuses the object', (_what, bytes, value, message) => {
    expect(() => patchInstruction(bytes, true, result(value), LIBBPF_RULES)).toThrow(message);
  });
});

describe('crafted types', () => {
  /** Two anonymous members in every one of `depth` unions, so 2^depth places to look for a name. */
  const maze =
    (depth: number): Fill =>
    (build) => {
      const int = build.int('int', 4, 1);
      for (let level = 0; level < depth; level++) {
        const type = level === 0 ? int : level + 1;
        const name = level === 0 ? 'leaf' : '';
        build.union('', 4, [
          { name, type, at: 0 },
          { name: level === 0 ? 'twin' : '', type, at: 0 },
        ]);
      }
      return build.struct('foo', 4, [
        { type: depth + 1, at: 0 },
        { name: 'b', type: int, at: 0 },
      ]);
    };

  test('a maze of anonymous members is refused', () => {
    expect(relocate('byte_off', '0:1', foo, kernel(maze(40)))).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('comparisons'),
    });
  });

  test('a struct that is its own anonymous member is refused', () => {
    const target = kernel((build) => build.struct('foo', 4, [{ type: 1, at: 0 }]));
    expect(relocate('byte_off', '0:1', foo, target)).toMatchObject({ outcome: 'refused' });
  });

  test.each(['', ':', '0:', ':0', '0::1', '-1', '0:1x', ' 0', '9999999999', '0:'.repeat(70).concat('0')])(
    'the access string "%s" is refused',
    (access) => {
      expect(relocate('byte_off', access, foo, kernel(foo))).toMatchObject({ outcome: 'refused' });
    },
  );

  test('any record over changed BTF gives a result, with any rules, in bounded time', () => {
    const kinds = fc.nat(14);
    const access = fc.constantFrom('0', '1', '0:0', '0:1', '0:1:2', '0:2:0:1', '7');
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 10 });
    const rules = fc.constantFrom(LIBBPF_RULES, libbpfRules([0, 1]), AYA_RULES);
    fc.assert(
      fc.property(fc.boolean(), kinds, access, changes, rules, fc.nat(8), (little, kind, text, edits, rule, type) => {
        const build = new BtfBuilder({ little });
        const root = struct('foo', (int, inner) => [
          { name: 'a', type: int, at: 0, bits: 3 },
          { name: 'list', type: inner.array(inner.union('u', 4, [{ name: 'x', type: int, at: 0 }]), 2), at: 32 },
        ])(build);
        build.enum('e', { ONE: 1 });
        build.typedef('t', build.ptr(build.funcProto(root, [['p', root]])));
        const record = { insnOffset: 8, type, access: build.string(text), kind };
        const original = build.bytes();
        const edited = original.slice();
        for (const [place, value] of edits) edited[24 + (place % (edited.length - 24))] = value;
        const [local, target] = [Btf.parse(edited), Btf.parse(original)];
        for (const [from, to] of [
          [local, target],
          [target, local],
          [local, local],
        ] as const) {
          expect(new CoreRelocator(from, { kernel: to }, rule).relocate(record)).toHaveProperty('outcome');
          describeCoreRelocation(from, record, []);
        }
      }),
      { numRuns: 300 },
    );
  });
});
