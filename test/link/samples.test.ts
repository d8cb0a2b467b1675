// The tags that were recorded when the samples were loaded: proof that needs neither root nor the kernel of then.
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { attempt } from '../../src/diagnostics.ts';
import type { Target } from '../../src/link/kernel.ts';
import { type ProgramTags, predictTags } from '../../src/link/predict.ts';
import { openObject } from '../../src/object/open.ts';
import { NO_BTF, thisMachine } from './host.ts';

interface Recorded {
  readonly kernel: string;
  readonly programs: readonly { readonly object: string; readonly name: string; readonly tag: string }[];
  readonly refused: readonly { readonly object: string; readonly reason: string }[];
}

const SAMPLES = new URL('../../samples/', import.meta.url).pathname;
const recorded: Recorded = JSON.parse(readFileSync(join(SAMPLES, 'loaded.json'), 'utf8'));

function predict(path: string, target: Target): ProgramTags[] {
  const bytes = new Uint8Array(readFileSync(join(SAMPLES, path)));
  const object = attempt([], path, () => openObject(bytes));
  return object ? predictTags(object, target) : [];
}

function tagsOf(predicted: readonly ProgramTags[], name: string): string[] {
  return predicted.find((each) => each.name === name)?.tags.map(({ tag }) => tag) ?? [];
}

describe('of the recorded tags', () => {
  const bare: Target = { release: recorded.kernel };
  const isKnown = ({ object, name }: Recorded['programs'][number]) =>
    predict(object, bare).find((each) => each.name === name)?.state === 'exact';
  const alone = recorded.programs.filter(isKnown);

  test('most follow from the object alone', () => {
    expect(alone.length).toBeGreaterThan(50);
  });

  test.each(alone)('$object $name has the recorded one', ({ object, name, tag }) => {
    expect(tagsOf(predict(object, bare), name)).toContain(tag);
  });

  const reason =
    NO_BTF ?? (release().startsWith(recorded.kernel) ? undefined : `another kernel than ${recorded.kernel}`);
  // The address of a function of that boot is in it.
  const ofBoot = new Set(['ask_ksyms']);
  const ofKernel = recorded.programs.filter((each) => !alone.includes(each) && !ofBoot.has(each.name));

  test.skipIf(reason !== undefined)(
    `the others follow from the types of the kernel${reason ? ` (skipped: ${reason})` : ''}`,
    () => {
      const target = thisMachine();
      for (const { object, name, tag } of ofKernel) expect(tagsOf(predict(object, target), name), name).toContain(tag);
    },
  );
});

test.each(recorded.refused.filter(({ reason }) => !reason.includes('BPF program load')))(
  'nothing is predicted for $object, which libbpf refused',
  ({ object }) => {
    expect(predict(object, { release: recorded.kernel }).flatMap(({ tags }) => tags)).toEqual([]);
  },
);

test('the uprobe of the founding story has the tags it had on Linux 5.16', () => {
  const predicted = predict('built/bpfel/uprobe.bpf.o', { release: '5.16.0' });
  expect(predicted.map(({ state, tags }) => [state, tags[0]?.tag, tags[0]?.algorithm, tags[1]?.tag])).toEqual([
    ['exact', '2a8c45c2f0e905b1', 'sha1', '85923c6f4a966709'],
    ['exact', '10e060f1f65ee396', 'sha1', 'bf868778ac898c80'],
  ]);
});
