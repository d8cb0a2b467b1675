// Every instruction of real objects against llvm-objdump: installed packages, our samples, and one source built for each CPU version.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type FoundObject, OBJECT_PACKAGES, objectsIn, packageObjects } from '../support/objects.ts';
import { codeOf, differences, findLlvm, inTemporaryDirectory, LLVM_MISSING, objdump, ourLines } from './objdump.ts';

const llvm = findLlvm();
const FORMS = new URL('forms.bpf.c', import.meta.url).pathname;
const SAMPLES = new URL('../../samples', import.meta.url).pathname;

describe.skipIf(!llvm)(`disassembly equals llvm-objdump [${LLVM_MISSING}]`, () => {
  test.for(OBJECT_PACKAGES)('for every object of %s', (name, ctx) => {
    const objects = packageObjects(name);
    if (objects.length === 0) ctx.skip(`package ${name} is not installed`);
    expectEqual(objects);
  });

  // Some samples are damaged on purpose: what objdump refuses cannot be compared.
  test('for every object in samples that objdump reads', (ctx) => {
    const objects = sampleFiles().flatMap(objectsIn);
    if (objects.length === 0) ctx.skip('there are no samples');
    expect(compareObjects(objects).differences).toEqual([]);
  });

  const builds = ['v1', 'v2', 'v3', 'v4'].flatMap((cpu) => ['bpfel', 'bpfeb'].map((target) => ({ cpu, target })));
  test.each(builds)('for a source built for $cpu, $target', ({ cpu, target }) => {
    inTemporaryDirectory((directory) => {
      if (!llvm) return;
      const object = join(directory, 'forms.o');
      execFileSync(llvm.clang, ['-target', target, `-mcpu=${cpu}`, '-O2', '-g', '-c', FORMS, '-o', object]);
      expectEqual(objectsIn(object));
    });
  });
});

function expectEqual(objects: readonly FoundObject[]): void {
  const { instructions, refused, differences } = compareObjects(objects);
  expect({ refused, differences }).toEqual({ refused: [], differences: [] });
  expect(instructions).toBeGreaterThan(0);
}

/** Samples may lie in folders of their own; host binaries are searched like those of packages. */
function sampleFiles(): string[] {
  if (!existsSync(SAMPLES)) return [];
  return readdirSync(SAMPLES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

interface Comparison {
  readonly instructions: number;
  readonly refused: readonly string[];
  readonly differences: readonly string[];
}

function compareObjects(objects: readonly FoundObject[]): Comparison {
  let instructions = 0;
  const refused: string[] = [];
  const rows: string[] = [];
  inTemporaryDirectory((directory) => {
    for (const { name, little, bytes } of objects) {
      const path = join(directory, 'object.o');
      writeFileSync(path, bytes);
      const sections = llvm && objdump(llvm, path);
      if (sections === undefined) refused.push(name);
      for (const section of sections ?? []) {
        instructions += section.lines.length;
        const found = differences(section.lines, ourLines(codeOf(section), little));
        rows.push(...found.map((row) => `${name} ${section.name}: ${row}`));
      }
    }
  });
  return { instructions, refused, differences: rows };
}
