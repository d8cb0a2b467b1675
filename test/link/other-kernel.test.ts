// The same object on kernels with other types: only what has moved changes the tag.
import { expect, test } from 'vitest';
import { predictTags } from '../../src/link/predict.ts';
import { tagCode } from '../../src/link/tag.ts';
import { BtfBuilder } from '../btf/build.ts';
import { code, type Instruction } from '../support/elf-builder.ts';
import { coreObject, EXIT, KIND, kernelWith, load, move } from './build.ts';

/** struct task { int pid; int flags; } as the object knows it, wherever the kernel has them. */
function task(pidAt: number, flagsAt: number, flagsSize = 4): BtfBuilder {
  const btf = new BtfBuilder();
  const int = btf.int('int', 4, 1);
  const flags = btf.int('flags_t', flagsSize);
  btf.struct('task', 64, [
    { name: 'pid', type: int, at: 8 * pidAt },
    { name: 'flags', type: flags, at: 8 * flagsAt },
  ]);
  return btf;
}
const TASK = 3;

const reader = () =>
  coreObject([load(0), load(4), move(1), EXIT], task(0, 4), [
    { slot: 0, type: TASK, access: '0:0', kind: KIND.offset },
    { slot: 1, type: TASK, access: '0:1', kind: KIND.offset },
    { slot: 2, type: TASK, access: '0:1', kind: KIND.exists },
  ]);

const sha256 = (instructions: readonly Instruction[]) => tagCode(code('little', instructions), true).sha256;
const predicted = (kernel: BtfBuilder) => predictTags(reader(), kernelWith(kernel))[0];

test('the tag is that of the code with the offsets of that kernel', () => {
  expect(predicted(task(16, 32))?.tags[0]).toMatchObject({
    tag: sha256([load(16), load(32), move(1), EXIT]),
    algorithm: 'sha256',
    loader: 'libbpf',
    state: 'exact@btf',
    exact: true,
    assumptions: ['kernel BTF made by hand'],
  });
});

test('a field that has not moved changes nothing', () => {
  const [here, there] = [predicted(task(0, 4)), predicted(task(0, 8))];
  expect(here?.tags[0]?.tag).toBe(sha256([load(0), load(4), move(1), EXIT]));
  expect(there?.tags[0]?.tag).toBe(sha256([load(0), load(8), move(1), EXIT]));
});

test('the same kernel gives the same answer', () => {
  expect(predicted(task(8, 40))).toEqual(predicted(task(8, 40)));
});

test('a wider field is read with a wider load by libbpf, and with the old one by cilium/ebpf', () => {
  const tags = predicted(task(0, 8, 8))?.tags ?? [];
  const wide = sha256([load(0), { code: 0x79, src: 1, off: 8 }, move(1), EXIT]);
  const narrow = sha256([load(0), load(8), move(1), EXIT]);
  const loadersOf = (tag: string) => tags.find((each) => each.tag === tag)?.loaders;
  expect(loadersOf(wide)).toContain('libbpf 0.2 and later');
  expect(loadersOf(narrow)).toContain('cilium/ebpf');
});

test('a kernel without the type gets poison', () => {
  const poison = { code: 0x85, imm: 0xbad2310 };
  expect(predicted(new BtfBuilder())?.tags[0]?.tag).toBe(sha256([poison, poison, move(0), EXIT]));
});

test('a type that the kernel proper lacks may be that of a module', () => {
  const { modules: _, ...unknown } = kernelWith(new BtfBuilder());
  expect(predictTags(reader(), unknown)[0]?.tags[0]).toMatchObject({
    exact: false,
    assumptions: ['no loaded module has a type "task"', 'kernel BTF made by hand'],
  });
});

test('without the types of the kernel there is no tag', () => {
  expect(predictTags(reader(), { release: '6.18.0' })[0]).toMatchObject({ state: 'needs-btf', tags: [] });
});

test('the types of the kernel are not asked for when the code does not need them', () => {
  const object = coreObject([move(1), EXIT], task(0, 4), []);
  const target = {
    release: '6.18.0',
    get kernelBtf(): never {
      throw new Error('asked');
    },
  };
  expect(predictTags(object, target)[0]).toMatchObject({ state: 'exact', tags: [{ tag: 'b11459a0e11ca14c' }, {}] });
});

test('types of a kernel of the other byte order are of no use', () => {
  const big = new BtfBuilder({ little: false });
  big.int('int');
  expect(predictTags(reader(), kernelWith(big))[0]).toMatchObject({ state: 'needs-btf', tags: [] });
});

test('an object of the other byte order is nothing for this machine', () => {
  const [only] = predictTags(reader(), { ...kernelWith(task(0, 4)), littleEndian: false });
  expect(only).toMatchObject({ state: 'refused', tags: [] });
});
