// Loaders that say an object cannot tell them apart are asked once, so each must make the same of every program alone.
import { describe, expect, test } from 'vitest';
import { Kernel, type Target } from '../../src/link/kernel.ts';
import { type Loader, link } from '../../src/link/loader.ts';
import { LOADERS } from '../../src/link/loaders.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { BtfBuilder } from '../btf/build.ts';
import { coreObject, EXIT, KIND, kernelWith, load } from './build.ts';
import { NO_BTF, thisMachine } from './host.ts';
import { GROUPS } from './objects.ts';

const open = (object: BpfObject, target: Target) => new Kernel(target, object.elf.littleEndian);

/** What the loader makes of all functions, with a kernel that nobody was asked about before. */
function madeAlone(loader: Loader, object: BpfObject, target: Target): unknown[] {
  const run = loader.open(object, open(object, target));
  return object.functions.map((each) => link(run, each));
}

function groupsFor(object: BpfObject, target: Target): Loader[][] {
  const groups = new Map<string, Loader[]>();
  const kernel = open(object, target);
  for (const loader of LOADERS) {
    const key = `${loader.name} ${loader.distinction(object, kernel)}`;
    groups.set(key, [...(groups.get(key) ?? []), loader]);
  }
  return [...groups.values()];
}

function expectAlike(object: BpfObject, target: Target): void {
  for (const [first, ...others] of groupsFor(object, target)) {
    const made = first && madeAlone(first, object, target);
    for (const other of others) expect(madeAlone(other, object, target)).toEqual(made);
  }
}

describe.each(GROUPS)('$group', ({ objects }) => {
  const opened = objects.map(({ bytes }) => openObject(bytes));

  test('without a kernel', () => {
    for (const object of opened) expectAlike(object, { release: '5.4.0' });
  });

  test.skipIf(NO_BTF !== undefined)(`on this machine${NO_BTF === undefined ? '' : `: ${NO_BTF}`}`, () => {
    const target = thisMachine();
    for (const object of opened) expectAlike(object, target);
  });
});

describe('releases are set apart by', () => {
  /** `pid[4]` at byte 8 of struct task, with so many bytes in each element. */
  const task = (bytes: number) => {
    const btf = new BtfBuilder();
    btf.struct('task', 64, [{ name: 'pid', type: btf.array(btf.int('int', bytes), 4), at: 64 }]);
    return btf;
  };
  const TASK = 3;
  const reading = (access: string) =>
    coreObject([load(8), EXIT], task(4), [{ slot: 0, type: TASK, access, kind: KIND.offset }]);
  const apart = (object: BpfObject, target: Target, name: Loader['name']) =>
    groupsFor(object, target)
      .filter(([first]) => first?.name === name)
      .map((group) => group.map(({ since }) => since));

  test('an array of which libbpf 1.6 looks at one element', () => {
    const groups = apart(reading('0:0'), kernelWith(task(2)), 'libbpf');
    expect(groups[0]).toEqual(['1.6']);
    expectAlike(reading('0:0'), kernelWith(task(2)));
  });

  test('and by no array that nothing reads', () => {
    const groups = apart(reading('0:0:0'), kernelWith(task(4)), 'libbpf');
    expect(groups[0]?.slice(0, 2)).toEqual(['1.6', '1.5']);
  });
});
