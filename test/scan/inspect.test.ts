// What `inspect` says of the objects of installed packages and of our samples, against the tools that people used before.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type InspectedObject, inspect } from '../../src/index.ts';
import { SLOT_SIZE } from '../../src/insn/slots.ts';
import { findLlvm, inTemporaryDirectory, type Line, LLVM_MISSING, type Llvm, objdump } from '../insn/objdump.ts';
import { GROUPS } from '../object/groups.ts';
import type { FoundObject } from '../support/objects.ts';

const llvm = findLlvm();
const SAMPLES = new URL('../../samples/built/', import.meta.url).pathname;

describe.each(GROUPS)('every object of $group', ({ group, objects }) => {
  const missing = objects.length === 0 ? `${group} is not installed` : llvm ? '' : LLVM_MISSING;

  test.skipIf(missing !== '')(`is disassembled as llvm-objdump does it${missing && ` [${missing}]`}`, async () => {
    let compared = 0;
    for (const object of objects) {
      const found = await inspectFound(object);
      const rows = referenceLines(object);
      for (const { section = '', offset = 0, code = [], name } of [...found.programs, ...found.subprograms]) {
        const start = offset / SLOT_SIZE;
        const theirs = code.map(({ index }) => show(rows.get(section)?.get(start + index)));
        const ours = code.map(({ bytes, text, data }) => show({ bytes, ...(!data && { text }) }));
        expect(ours, `${object.name} ${name}`).toEqual(theirs);
        compared += code.length;
      }
    }
    expect(compared).toBeGreaterThan(0);
  });
});

async function inspectFound({ path, offset, name }: FoundObject): Promise<InspectedObject> {
  const { objects } = await inspect(path, { at: offset, disassemble: true, btf: 'none', jobs: 1 });
  const [found] = objects;
  if (found === undefined || objects.length > 1) throw new Error(`${name}: ${objects.length} objects there`);
  return found;
}

/** By section, then by slot. */
function referenceLines({ bytes }: FoundObject): Map<string, Map<number, Line>> {
  return inTemporaryDirectory((directory) => {
    const path = join(directory, 'object.o');
    writeFileSync(path, bytes);
    const sections = objdump(llvm as Llvm, path) ?? [];
    rmSync(path);
    return new Map(sections.map(({ name, lines }) => [name, new Map(lines.map((line) => [line.index, line]))]));
  });
}

function show(line: Pick<Line, 'bytes' | 'text'> | undefined): string {
  return line === undefined ? 'nothing' : `${line.bytes} ${line.text ?? '<unknown>'}`;
}

describe('inspect', () => {
  test('describes every object of a file, in their order, and counts them', async () => {
    const { objects, summary, command, diagnostics } = await inspect(join(SAMPLES, 'hosts/two-skeletons'));
    expect(command).toBe('inspect');
    expect(objects.map(({ programs }) => programs.map(({ name }) => name))).toEqual([
      ['do_exit'],
      ['enter_openat', 'exit_openat'],
    ]);
    expect(summary.objects).toBe(2);
    expect(diagnostics).toEqual([]);
  });

  test('leaves out what was not asked for, and counts it', async () => {
    const path = join(SAMPLES, 'hosts/two-skeletons');
    const byProgram = await inspect(path, { program: 'exit_openat' });
    expect(byProgram.objects.map(({ offset }) => offset)).toEqual([0x397f]);
    expect(byProgram.summary.objects).toBe(2);
    expect((await inspect(path, { at: 7 })).objects).toEqual([]);
  });

  test('hands on the bytes of the objects in the report', async () => {
    const sizes: number[] = [];
    const onCarved = (_: unknown, content: Uint8Array) => void sizes.push(content.length);
    await inspect(join(SAMPLES, 'hosts/two-skeletons'), { at: 0x397f, onCarved });
    expect(sizes).toEqual([5960]);
  });

  test.each([
    ['/nonexistent', 'ENOENT'],
    [SAMPLES, 'EISDIR'],
  ])('a target that is no file is an error: %s', async (path, code) => {
    const { diagnostics, objects } = await inspect(path);
    expect(diagnostics.map((diagnostic) => [diagnostic.severity, diagnostic.code])).toEqual([['error', code]]);
    expect(objects).toEqual([]);
  });

  test('a kernel that was named and cannot be read is an error, and costs only what depends on it', async () => {
    const { objects, diagnostics } = await inspect(join(SAMPLES, 'bpfel/core.bpf.o'), { btf: '/nonexistent' });
    expect(diagnostics).toMatchObject([{ severity: 'error', code: 'ENOENT' }]);
    expect(objects[0]?.coreRelocations).toHaveLength(49);
    expect(objects[0]?.coreRelocations.filter((record) => 'target' in record)).toEqual([]);
  });

  test('without a kernel nothing is said of one', async () => {
    const report = await inspect(join(SAMPLES, 'bpfel/core.bpf.o'), { btf: 'none' });
    expect(report.kernelBtf).toBeUndefined();
    expect(report.objects[0]?.coreRelocations.filter((record) => 'target' in record)).toEqual([]);
  });

  test.each([
    ['5.15.0', 'sha1'],
    ['6.18.0', 'sha256'],
  ])('the tags of kernel %s come first: %s', async (kernelRelease, algorithm) => {
    const { objects } = await inspect(join(SAMPLES, 'bpfel/cgroup.bpf.o'), { kernelRelease });
    expect(objects[0]?.programs[0]?.tags?.[0]?.algorithm).toBe(algorithm);
  });

  test('BTF types are records when they are asked for', async () => {
    const { objects } = await inspect(join(SAMPLES, 'bpfel/xdp.bpf.o'), { types: 'records' });
    expect(objects[0]?.btf?.types).toHaveLength(58);
  });
});
