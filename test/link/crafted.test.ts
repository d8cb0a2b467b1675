// Objects that no compiler made. Each ends soon, with an answer or a reason; where libbpf is here it is asked as well.
import { describe, expect, test } from 'vitest';
import { predictTags } from '../../src/link/predict.ts';
import { tagCode } from '../../src/link/tag.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { BtfBuilder } from '../btf/build.ts';
import { code, ElfBuilder, type Instruction } from '../support/elf-builder.ts';
import { call, coreObject, EXIT, KIND, kernelWith, load, move, type RecordSpec } from './build.ts';
import { loadEach, UNABLE } from './load.ts';

const bytes = (instructions: readonly Instruction[]) => code('little', instructions);
const sha256 = (instructions: readonly Instruction[]) => tagCode(bytes(instructions), true).sha256;
const predict = (object: BpfObject | Uint8Array, kernel = new BtfBuilder()) =>
  predictTags(object instanceof Uint8Array ? openObject(object) : object, kernelWith(kernel));

/** What the installed libbpf, which is 1.1, makes of it must be what we say of it. */
function agreesWithLibbpf(object: Uint8Array): void {
  if (UNABLE !== undefined) return;
  const predicted = predict(object);
  for (const { name = '', phase, tag } of loadEach([object])[0] ?? []) {
    const tags = predicted.find((each) => each.name === name)?.tags ?? [];
    if (tag !== undefined) expect(tags.map((each) => each.tag)).toContain(tag);
    const told = tags.filter(({ loaders }) => loaders.some((words) => /^libbpf( 0\.\d and later|$)/.test(words)));
    if (phase !== 'load') expect(told, `${name} is refused by libbpf`).toEqual([]);
  }
}

describe('functions', () => {
  test('that call each other are placed once', () => {
    const object = new ElfBuilder()
      .function('a', { section: '.text', content: bytes([call(1), EXIT]) })
      .function('b', { section: '.text', content: bytes([call(-3), EXIT]) })
      .function('main', { section: 'socket', content: bytes([call(-1), EXIT]) })
      .license()
      .relocation('socket', 0, 'a')
      .build();
    expect(predict(object)[0]?.tags[0]?.tag).toBe(sha256([call(1), EXIT, call(1), EXIT, call(-3), EXIT]));
    agreesWithLibbpf(object);
  });

  test('that lie over each other are told apart by where they begin', () => {
    const object = new ElfBuilder()
      .function('outer', { section: '.text', content: bytes([move(1), move(2), EXIT]) })
      .symbol('inner', { section: '.text', type: 'func', value: 8, size: 16 })
      .function('main', { section: 'socket', content: bytes([call(-1), call(-1), EXIT]) })
      .license()
      .relocation('socket', 0, 'inner')
      .relocation('socket', 8, 'outer')
      .build();
    const [main] = predict(object);
    expect(main?.tags[0]?.tag).toBe(sha256([call(2), call(3), EXIT, move(2), EXIT, move(1), move(2), EXIT]));
    agreesWithLibbpf(object);
  });

  test.each([
    ['far behind the code', 800],
    ['in front of the code', -8],
    ['in the middle of an instruction', 4],
  ])('whose address is %s are nowhere', (_where, imm) => {
    const object = new ElfBuilder()
      .function('callback', { section: '.text', content: bytes([move(1), EXIT]) })
      .symbol('', { section: '.text', type: 'section', binding: 'local' })
      .function('main', { section: 'socket', content: bytes([{ code: 0x18, dst: 2, imm }, { code: 0 }, EXIT]) })
      .license()
      .relocation('socket', 0, '')
      .build();
    const [main] = predict(object);
    expect(main).toMatchObject({ state: 'refused', tags: [] });
    expect(main?.reason).toBeDefined();
    agreesWithLibbpf(object);
  });

  test('in a chain of a thousand are more than a kernel takes', () => {
    const links = Array.from({ length: 1000 }, () => [call(1), EXIT]);
    const builder = new ElfBuilder();
    links.forEach((link, index) => {
      builder.function(`f${index}`, { section: '.text', content: bytes(index < 999 ? link : [move(1), EXIT]) });
    });
    const object = builder
      .function('main', { section: 'socket', content: bytes([call(-1), EXIT]) })
      .license()
      .relocation('socket', 0, 'f0')
      .build();
    expect(predict(object)[0]).toMatchObject({ state: 'refused', reason: expect.stringContaining('256 functions') });
  });

  test('that thousands of programs share cost what they must', () => {
    const builder = new ElfBuilder().function('shared', {
      section: '.text',
      content: bytes([...Array.from({ length: 5000 }, () => move(1)), EXIT]),
    });
    for (let index = 0; index < 2000; index++) {
      builder.function(`p${index}`, { section: 'socket', content: bytes([call(-1), EXIT]) });
      builder.relocation('socket', 16 * index, 'shared');
    }
    const predicted = predict(builder.license().build());
    expect(predicted).toHaveLength(2000);
    expect(predicted[0]?.tags.length).toBeGreaterThan(0);
    expect(predicted.at(-1)).toMatchObject({ state: 'refused', tags: [] });
  });
});

describe('relocations', () => {
  const withRelocation = (instruction: readonly Instruction[], times = 1) => {
    const builder = new ElfBuilder()
      .function('sub', { section: '.text', content: bytes([move(1), EXIT]) })
      .function('main', { section: 'socket', content: bytes([...instruction, EXIT]) })
      .license();
    for (let time = 0; time < times; time++) builder.relocation('socket', 0, 'sub');
    return builder.build();
  };

  test.each([
    ['two at one place', withRelocation([call(-1)], 2)],
    ['one of an instruction without an operand for it', withRelocation([move(0)])],
    ['one of a helper call', withRelocation([{ code: 0x85, imm: 5 }])],
    ['one of half a constant', withRelocation([])],
  ])('%s: nothing is predicted', (_what, object) => {
    expect(predict(object)[0]?.tags.filter(({ loader }) => loader === 'libbpf')).toEqual([]);
  });

  test('of something undefined without a type are for the application to fill in', () => {
    const object = new ElfBuilder()
      .function('main', { section: 'socket', content: bytes([{ code: 0x18, dst: 1 }, { code: 0 }, move(0), EXIT]) })
      .license()
      .symbol('some_constant')
      .relocation('socket', 0, 'some_constant')
      .build();
    expect(predict(object)[0]).toMatchObject({ state: 'runtime-edited' });
    agreesWithLibbpf(object);
  });
});

describe('CO-RE', () => {
  const withTask = () => {
    const btf = new BtfBuilder();
    const int = btf.int('int', 4, 1);
    const task = btf.struct('task', 4, [{ name: 'pid', type: int, at: 0 }]);
    return { btf, task };
  };
  const relocated = (btf: BtfBuilder, record: Omit<RecordSpec, 'slot'>, kernel = btf) =>
    predict(coreObject([load(0), move(0), EXIT], btf, [{ slot: 0, ...record }]), kernel)[0];

  test.each([
    '',
    ':',
    '0:',
    '0:1',
    '0:-1',
    '-1',
    'x',
    '0:0x0',
    '99999999999',
    '0:4294967296',
    `0${':0'.repeat(100)}`,
    ' 0:0',
  ])('access %j leads nowhere', (access) => {
    const { btf, task } = withTask();
    expect(relocated(btf, { type: task, access, kind: KIND.offset })).toMatchObject({ state: 'refused', tags: [] });
  });

  test.each([13, 255, 0xffff_ffff])('kind %i does not exist', (kind) => {
    const { btf, task } = withTask();
    expect(relocated(btf, { type: task, access: '0:0', kind })).toMatchObject({ state: 'refused', tags: [] });
  });

  test('a type that does not exist is no type', () => {
    const { btf } = withTask();
    expect(relocated(btf, { type: 9999, access: '0', kind: KIND.offset })).toMatchObject({
      state: 'refused',
      tags: [],
    });
  });

  test('types that lead back to themselves end', () => {
    const btf = new BtfBuilder();
    btf.typedef('self', 1);
    btf.const(3);
    btf.volatile(2);
    btf.array(4, 2);
    btf.struct('inside', 8, [{ type: 5, at: 0 }]);
    btf.ptr(6);
    for (const [type, access] of [
      [1, '0:0'],
      [2, '0:0'],
      [4, '0:1'],
    ] as const) {
      const result = relocated(btf, { type, access, kind: KIND.offset });
      expect(result?.tags, `type ${type}`).toEqual([]);
      expect(result?.reason).toBeDefined();
    }
  });

  test('prototypes with two ways to each next one are not all walked', () => {
    const tower = () => {
      const btf = new BtfBuilder();
      let below = btf.int('int');
      for (let level = 0; level < 31; level++) {
        const pointer = btf.ptr(below);
        below = btf.funcProto(pointer, [
          ['a', pointer],
          ['b', pointer],
        ]);
      }
      return { btf, top: btf.typedef('tower', below) };
    };
    const { btf, top } = tower();
    const object = coreObject([move(1), EXIT], btf, [{ slot: 0, type: top, access: '0', kind: KIND.typeExists }]);
    expect(predict(object, tower().btf)[0]?.reason ?? 'an answer').toMatch(/comparisons|nest|deep|an answer/);
  });

  test('structs that match each other in two ways to each next one are not all walked', () => {
    const tower = () => {
      const btf = new BtfBuilder();
      let below = btf.int('int');
      for (let level = 0; level < 31; level++) {
        below = btf.struct(`s${level}`, 8, [
          { name: 'a', type: below, at: 0 },
          { name: 'b', type: below, at: 32 },
        ]);
      }
      return { btf, top: below };
    };
    const { btf, top } = tower();
    const object = coreObject([move(1), EXIT], btf, [{ slot: 0, type: top, access: '0', kind: KIND.matches }]);
    expect(predict(object, tower().btf)[0]).toMatchObject({ state: 'refused', tags: [] });
  });

  test('anonymous unions inside each other in two ways are not all searched', () => {
    const tower = (member: string) => {
      const btf = new BtfBuilder();
      const int = btf.int('int', 4, 1);
      let below = btf.union('', 4, [{ name: member, type: int, at: 0 }]);
      for (let level = 0; level < 40; level++) {
        below = btf.union('', 4, [
          { type: below, at: 0 },
          { type: below, at: 0 },
        ]);
      }
      return {
        btf,
        top: btf.struct('tower', 4, [
          { type: below, at: 0 },
          { name: 'x', type: int, at: 0 },
        ]),
      };
    };
    const { btf, top } = tower('a');
    const result = relocated(btf, { type: top, access: '0:1', kind: KIND.offset }, tower('b').btf);
    expect(result).toBeDefined();
  });

  test('a thousand candidates that disagree are no answer', () => {
    const { btf, task } = withTask();
    const kernel = new BtfBuilder();
    const int = kernel.int('int', 4, 1);
    for (let index = 0; index < 1000; index++) {
      kernel.struct(`task___${index}x`, 4000, [{ name: 'pid', type: int, at: 32 * index }]);
    }
    expect(relocated(btf, { type: task, access: '0:0', kind: KIND.offset }, kernel)).toMatchObject({ tags: [] });
  });

  test('records that lie in no instruction do not end the others', () => {
    const { btf, task } = withTask();
    const object = coreObject([load(0), EXIT], btf, [
      { slot: 0, type: task, access: '0:0', kind: KIND.offset },
      { slot: 5000, type: task, access: '0:0', kind: KIND.offset },
    ]);
    expect(predict(object, withTask().btf)[0]?.tags[0]?.tag).toBe(sha256([load(0), EXIT]));
  });
});
