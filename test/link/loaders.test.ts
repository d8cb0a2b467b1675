// Where loaders, and releases of loaders, differ: small objects with the code that each makes of them worked out by hand.
import { describe, expect, test } from 'vitest';
import { Btf } from '../../src/btf/decode.ts';
import type { Target } from '../../src/link/kernel.ts';
import type { Loader } from '../../src/link/loader.ts';
import { predictTags } from '../../src/link/predict.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { BtfBuilder } from '../btf/build.ts';
import { code, ElfBuilder, type Instruction } from '../support/elf-builder.ts';
import { call, EXIT, move } from './build.ts';
import { linkWith, loaderOf } from './one.ts';

const bytes = (instructions: readonly Instruction[]) => code('little', instructions);
const hex = (content: Uint8Array) => Buffer.from(content).toString('hex');
const KERNEL: Target = { release: '6.18.0', modules: [], kernelBtf: Btf.parse(withInt().bytes()) };

function withInt(): BtfBuilder {
  const btf = new BtfBuilder();
  btf.int('int', 4, 1);
  return btf;
}

type Named = readonly [name: Loader['name'], since: string];
const NEW: Named = ['libbpf', '1.6'];

function made(object: BpfObject, loader: Named, target = KERNEL): string {
  const linked = linkWith(loaderOf(...loader), object, target, 'main');
  return 'code' in linked ? hex(linked.code) : `${linked.obstacle}: ${linked.reason}`;
}

describe('subprograms', () => {
  // b calls a; main calls b, then a.
  const object = openObject(
    new ElfBuilder()
      .function('b', { section: '.text', content: bytes([move(1), move(2), move(3), call(2), move(4), EXIT]) })
      .function('a', { section: '.text', content: bytes([move(5), move(6), move(7), EXIT]) })
      .function('main', { section: 'socket', content: bytes([call(-1), move(0), move(0), call(-1), move(0), EXIT]) })
      .license()
      .relocation('socket', 0, 'b')
      .relocation('socket', 24, 'a')
      .build(),
  );
  const main = (first: number, second: number) => [call(first), move(0), move(0), call(second), move(0), EXIT];
  const a = [move(5), move(6), move(7), EXIT];
  const b = (distance: number) => [move(1), move(2), move(3), call(distance), move(4), EXIT];

  test.each([NEW, ['libbpf', '0.2'], ['aya', '0']] as const)(
    'are appended at their first call by %s %s',
    (...loader) => {
      expect(made(object, loader)).toBe(hex(bytes([...main(5, 8), ...b(2), ...a])));
    },
  );

  test('come with all of .text in libbpf before 0.2', () => {
    expect(made(object, ['libbpf', '0'])).toBe(hex(bytes([...main(5, 8), ...b(2), ...a])));
  });

  test('are appended in the order of their names by cilium/ebpf', () => {
    expect(made(object, ['cilium', '0'])).toBe(hex(bytes([...main(9, 2), ...a, ...b(-8)])));
  });
});

describe('two programs of one section', () => {
  // second calls the second function of .text only.
  const object = openObject(
    new ElfBuilder()
      .function('unused', { section: '.text', content: bytes([move(8), EXIT]) })
      .function('used', { section: '.text', content: bytes([call(-1), EXIT]) })
      .function('main', { section: 'tc', content: bytes([move(0), EXIT]) })
      .function('second', { section: 'tc', content: bytes([call(-1), EXIT]) })
      .license()
      .relocation('tc', 16, 'used')
      .relocation('.text', 16, 'unused')
      .build(),
  );

  test('were one program, with all of .text, before libbpf 0.2', () => {
    const text = [move(8), EXIT, call(-3), EXIT];
    expect(made(object, ['libbpf', '0'])).toBe(hex(bytes([move(0), EXIT, call(3), EXIT, ...text])));
    const [, second] = predictTags(object, KERNEL);
    expect(second?.refusals.find(({ loaders }) => loaders.includes('libbpf up to 0.1'))).toBeDefined();
  });

  test('are two since', () => {
    expect(made(object, NEW)).toBe(hex(bytes([move(0), EXIT])));
  });
});

describe('callbacks before their use', () => {
  // main takes the address of z, which takes that of y; y takes that of z.
  const address = (imm: number): Instruction[] => [{ code: 0x18, dst: 2, imm }, { code: 0 }];
  const object = openObject(
    new ElfBuilder()
      .function('z', { section: '.text', content: bytes([...address(24), EXIT]) })
      .function('y', { section: '.text', content: bytes([...address(0), EXIT]) })
      .symbol('', { section: '.text', type: 'section', binding: 'local' })
      .function('main', { section: 'socket', content: bytes([...address(0), EXIT]) })
      .license()
      .relocation('socket', 0, '')
      .relocation('.text', 0, '')
      .relocation('.text', 24, '')
      .build(),
  );
  const taken = (imm: number, high = 0): Instruction[] => [
    { code: 0x18, dst: 2, src: 4, imm },
    { code: 0, imm: high },
  ];

  test('have a distance of 32 bits in libbpf', () => {
    expect(made(object, NEW)).toBe(hex(bytes([...taken(2), EXIT, ...taken(2), EXIT, ...taken(-4), EXIT])));
  });

  test('have one of 64 bits in cilium/ebpf', () => {
    expect(made(object, ['cilium', '0'])).toBe(
      hex(bytes([...taken(2), EXIT, ...taken(2), EXIT, ...taken(-4, -1), EXIT])),
    );
  });

  test('were not known to libbpf before 0.4', () => {
    expect(made(object, ['libbpf', '0.2'])).toMatch(/^refused: .*0\.4/);
  });
});

describe('a weak kernel function that is missing', () => {
  const btf = withInt();
  const proto = btf.funcProto(0, []);
  const func = btf.func('bpf_a_missing', proto, 2);
  btf.datasec('.ksyms', 0, [[func, 0, 0]]);
  const object = openObject(
    new ElfBuilder()
      .function('main', { section: 'socket', content: bytes([call(-1), move(0), EXIT]) })
      .license()
      .symbol('bpf_a_missing', { binding: 'weak' })
      .relocation('socket', 0, 'bpf_a_missing')
      .section('.BTF', { content: btf.bytes() })
      .build(),
  );
  const rest = hex(bytes([move(0), EXIT]));

  test.each([
    ['names its place in libbpf since 1.2', NEW, '8500000080185477'],
    ['was call 0 before', ['libbpf', '1.0'], '8520000000000000'],
    ['is call 0 in light skeletons', ['libbpf-light', '1.3'], '8520000000000000'],
    ['is call 0xdedc0de in cilium/ebpf', ['cilium', '0.14'], '85000000dec0ed0d'],
    ['names its symbol in aya', ['aya', '0.14'], '8500000082185477'],
  ] as const)('%s', (_what, loader, first) => {
    expect(made(object, loader)).toBe(`${first}${rest}`);
  });

  test('is a matter of modules when these are not known', () => {
    const [main] = predictTags(object, { release: '6.18.0', kernelBtf: Btf.parse(withInt().bytes()) });
    expect(main?.tags[0]).toMatchObject({
      exact: false,
      assumptions: expect.arrayContaining([expect.stringContaining('module')]),
    });
  });
});

test('an exception callback is appended since libbpf 1.3', () => {
  const btf = withInt();
  const proto = btf.funcProto(1, []);
  const main = btf.func('main', proto);
  btf.declTag('exception_callback:on_exception', main);
  const object = openObject(
    new ElfBuilder()
      .function('on_exception', { section: '.text', content: bytes([move(7), EXIT]) })
      .function('main', { section: 'tc', content: bytes([move(0), EXIT]) })
      .license()
      .section('.BTF', { content: btf.bytes() })
      .build(),
  );
  expect(made(object, ['libbpf', '1.3'])).toBe(hex(bytes([move(0), EXIT, move(7), EXIT])));
  expect(made(object, ['libbpf', '1.2'])).toBe(hex(bytes([move(0), EXIT])));
});

describe('references to global data', () => {
  const wide = (src: number, imm = 0, high = 0): Instruction[] => [
    { code: 0x18, dst: 1, src, imm },
    { code: 0, imm: high },
  ];
  const object = openObject(
    new ElfBuilder()
      .function('main', { section: 'socket', content: bytes([...wide(0, 4), EXIT]) })
      .license()
      .section('.rodata', { content: new Uint8Array(8) })
      .section('.bss', { size: 16 })
      .symbol('', { section: '.bss', type: 'section', binding: 'local' })
      .relocation('socket', 0, '')
      .build(),
  );

  test.each([
    ['hold the number of the map and the offset in light skeletons', ['libbpf-light', '1.3'], wide(6, 1, 4)],
    ['look like references to a map in aya up to 0.13.0', ['aya', '0'], wide(1, 4)],
  ] as const)('%s', (_what, loader, reference) => {
    expect(made(object, loader).slice(0, 4)).toBe(hex(bytes(reference)).slice(0, 4));
    if (loader[0] === 'libbpf-light') expect(made(object, loader)).toBe(hex(bytes([...reference, EXIT])));
  });

  test.each([NEW, ['aya', '0.13.1'], ['cilium', '0']] as const)('have source register 2 in %s %s', (...loader) => {
    expect(made(object, loader).slice(0, 4)).toBe('1821');
  });
});

test('kernels before 5.5 get the helpers they have', () => {
  const helper = (imm: number): Instruction => ({ code: 0x85, imm });
  const object = openObject(
    new ElfBuilder()
      .function('main', { section: 'kprobe', content: bytes([112, 113, 114, 115, 6].map(helper).concat(EXIT)) })
      .license()
      .build(),
  );
  const old = bytes([4, 4, 45, 45, 6].map(helper).concat(EXIT));
  expect(made(object, NEW, { release: '5.4.0' })).toBe(hex(old));
  expect(made(object, ['libbpf-light', '1.3'], { release: '5.4.0' })).not.toBe(hex(old));
  expect(made(object, NEW, { release: '5.5.0' })).not.toBe(hex(old));
});

test('a lone function in .text was a program before libbpf 1.5', () => {
  const object = openObject(
    new ElfBuilder().function('main', { section: '.text', content: bytes([move(0), EXIT]) }).build(),
  );
  expect(made(object, ['libbpf', '1.4'])).toBe(hex(bytes([move(0), EXIT])));
  expect(made(object, ['libbpf', '1.5'])).toMatch(/^refused/);
  expect(predictTags(object, KERNEL)[0]?.tags[0]?.loaders).toContain('libbpf 0.2 to 1.4');
});

test('a static program is refused since libbpf 0.4', () => {
  const object = openObject(
    new ElfBuilder().function('main', { section: 'socket', content: bytes([move(0), EXIT]), binding: 'local' }).build(),
  );
  expect(made(object, NEW)).toMatch(/^refused: .*static/);
  expect(made(object, ['libbpf', '0.2'])).toBe(hex(bytes([move(0), EXIT])));
});

describe('maps that the application does not create', () => {
  const wide: readonly Instruction[] = [{ code: 0x18, dst: 1 }, { code: 0 }];
  const names = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];
  const builder = new ElfBuilder().function('main', {
    section: 'tc',
    content: bytes([...names.flatMap(() => wide), EXIT]),
  });
  names.forEach((name, index) => {
    builder.variable(name, { section: '.maps', content: new Uint8Array(32) }).relocation('tc', 16 * index, name);
  });
  const [main] = predictTags(openObject(builder.license().build()), KERNEL);

  test('are tried singly first, then in pairs, 64 sets in all', () => {
    const first = main?.variants.filter(({ algorithm }) => algorithm === 'sha256') ?? [];
    expect(first).toHaveLength(63);
    expect(first[0]?.assumptions).toEqual(['the application does not create map "eight"']);
    expect(first[8]?.assumptions).toEqual(['the application does not create maps "eight", "seven"']);
    expect(first.every(({ exact }) => !exact)).toBe(true);
    expect(new Set(first.map(({ tag }) => tag)).size).toBe(63);
  });

  test('are an affair of libbpf since 0.8', () => {
    expect(main?.variants[0]?.loaders).toEqual(['libbpf 0.8 and later']);
  });
});
