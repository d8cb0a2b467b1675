// What `inspect` says of code that is in no ELF object, found by real scans and compared with the samples it was taken from.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CarvedObject, type InspectedObject, type InspectOptions, inspect } from '../../src/index.ts';
import { openObject } from '../../src/object/open.ts';
import { findLlvm, LLVM_MISSING, type Llvm, objdump } from '../insn/objdump.ts';
import { codeOf, FILTER, hostOfCode, NO_LIGHT_SKELETON, sampleBytes, skeletonHost } from '../support/every-kind.ts';

const work = mkdtempSync(join(tmpdir(), 'inspect-kinds-'));
afterAll(() => rmSync(work, { recursive: true }));

const { bytes, at } = hostOfCode();
const HOST = fileOf('host', bytes);
const RAW = { raw: true, btf: 'none', jobs: 1 } as const;

describe('what is looked for', () => {
  test('without raw, what says by itself what it is', async () => {
    const { objects } = await inspect(HOST, { btf: 'none', jobs: 1 });
    expect(objects.map(({ kind, offset }) => [kind, offset])).toEqual([['object', at.headerless]]);
  });

  test('with raw, every kind', async () => {
    const { objects, summary } = await inspect(HOST, RAW);
    expect(objects.filter(({ offset = 0 }) => offset < at.tableless).map(({ kind, offset }) => [kind, offset])).toEqual(
      [
        ['instructions', at.instructions],
        ['instructions', at.bigEndian],
        ['classic-filter', at.filter],
        ['object', at.headerless],
      ],
    );
    expect(objects.map(({ kind }) => kind)).toContain('btf');
    expect(summary.objects).toBe(objects.length);
  });

  test.each(['instructions', 'bigEndian', 'filter', 'headerless'] as const)(
    'at an offset, whatever is there: %s',
    async (piece) => {
      const { objects } = await inspect(HOST, { at: at[piece], btf: 'none', jobs: 1 });
      expect(objects.map(({ offset }) => offset)).toEqual([at[piece]]);
      expect((await inspect(HOST, { at: at[piece], raw: false, btf: 'none', jobs: 1 })).objects).toHaveLength(
        piece === 'headerless' ? 1 : 0,
      );
    },
  );
});

describe('an instruction array', () => {
  test.each([
    ['instructions', 'bpfel/exits', 'do_exit'],
    ['bigEndian', 'bpfeb/openat', 'exit_openat'],
  ] as const)('is listed as in the object that it comes from: %s', async (piece, sample, program) => {
    const array = await one(HOST, { at: at[piece], disassemble: true });
    const object = await one(fileOf('sample.o', sampleBytes(sample)), { program, disassemble: true });
    const lines = ({ programs }: InspectedObject) =>
      programs[0]?.code?.map(({ index, bytes: code, text }) => [index, code, text]);
    expect(lines(array)?.length).toBeGreaterThan(10);
    expect(lines(array)).toEqual(lines(object));
  });

  test('is one program without name and section, its tags beside what its code says', async () => {
    const { programs, ...array } = await one(HOST, { at: at.instructions });
    expect(programs).toHaveLength(1);
    for (const absent of ['name', 'section', 'offset', 'binding', 'code'])
      expect(programs[0]).not.toHaveProperty(absent);
    const object = await one(fileOf('exits.o', sampleBytes('bpfel/exits')), { program: 'do_exit' });
    expect(programs[0]).toMatchObject({ instructions: 118, helpers: object.programs[0]?.helpers });
    expect(programs[0]?.helpers.length).toBeGreaterThan(3);
    expect(array).toMatchObject({ kind: 'instructions', sections: [], symbols: [], relocations: [], diagnostics: [] });
  });

  test('alone in a file is found', async () => {
    const path = fileOf('alone.insns', codeOf('bpfel/exits', 'do_exit'));
    for (const options of [{ raw: true }, { at: 0 }]) {
      const { objects } = await inspect(path, { ...options, btf: 'none', jobs: 1 });
      expect(objects.map(({ kind, offset, size }) => [kind, offset, size])).toEqual([['instructions', 0, 118 * 8]]);
    }
  });

  test('is handed on with an object that holds it, and that is inspected as any', async () => {
    const { record, content, elf } = await carvedAt(at.instructions);
    expect(Buffer.from(content).equals(codeOf('bpfel/exits', 'do_exit'))).toBe(true);
    const derived = await one(fileOf('derived.bpf.o', elf ?? expect.fail()), {});
    expect(derived).toMatchObject({
      kind: 'object',
      programs: [{ name: 'code', section: 'bpf/code', instructions: 118 }],
    });
    expect(derived.programs[0]?.helpers).toEqual(record.programs[0]?.helpers);
  });
});

test('a classic filter is its text, and has no object beside it', async () => {
  const filter = await one(HOST, { at: at.filter, disassemble: true });
  if (filter.kind !== 'classic-filter') expect.fail();
  expect(filter.filter).toHaveLength(6);
  expect(filter.programs).toEqual([]);
  const { content, elf } = await carvedAt(at.filter);
  expect({ content: [...content], elf }).toEqual({ content: [...FILTER], elf: undefined });
});

test('an object without its header is described as the whole one', async () => {
  const rebuilt = await one(HOST, { at: at.headerless, disassemble: true });
  const {
    rebuilt: mark,
    source: _,
    offset: __,
    sha256: ___,
    elf: ____,
    ...said
  } = rebuilt as Extract<InspectedObject, { kind: 'object' }>;
  expect(mark).toBe(true);
  const { programs, maps, btf, symbols } = await one(fileOf('xdp.o', sampleBytes('bpfel/xdp')), { disassemble: true });
  expect(said).toMatchObject({ programs: programs.map(({ tags: _tags, ...program }) => program), maps, btf, symbols });
});

test('BTF without its object shows its types', async () => {
  const { objects } = await inspect(HOST, { ...RAW, types: 'raw' });
  const found = objects.find(({ kind }) => kind === 'btf');
  const original = await one(fileOf('uprobe.o', sampleBytes('bpfel/uprobe')), { types: 'raw' });
  expect(found?.btf?.listing?.text.length).toBeGreaterThan(10);
  expect(found?.btf?.listing).toEqual(original.btf?.listing);
});

test('a program that is named leaves out what has no names', async () => {
  expect((await inspect(HOST, { ...RAW, program: 'code' })).objects).toEqual([]);
  const { objects } = await inspect(HOST, { ...RAW, program: 'xdp_count' });
  expect(objects.map(({ kind }) => kind)).toEqual(['object']);
});

describe.skipIf(NO_LIGHT_SKELETON)(`a light skeleton${NO_LIGHT_SKELETON ? ` [${NO_LIGHT_SKELETON}]` : ''}`, () => {
  let path: string;
  beforeAll(() => {
    path = fileOf('skeleton', skeletonHost());
  });

  test('is found without raw, with the names of its programs and maps', async () => {
    const { objects } = await inspect(path, { btf: 'none', jobs: 1 });
    expect(objects).toMatchObject([
      {
        kind: 'light-skeleton',
        license: 'GPL',
        programs: [
          { name: 'enter_openat', type: 'tracepoint', maps: ['sample.rodata', 'calls'] },
          { name: 'exit_openat', type: 'tracepoint', maps: ['calls', 'events', 'sample.bss'] },
        ],
        maps: [{ name: 'calls' }, { name: 'events' }, { name: 'sample.rodata' }, { name: 'sample.bss' }],
        sections: [],
        symbols: [],
        relocations: [],
      },
    ]);
  });

  test('is one thing: neither its loader nor its BTF is listed again with raw', async () => {
    const { objects } = await inspect(path, RAW);
    expect(objects.map(({ kind }) => kind)).toEqual(['light-skeleton']);
  });

  test('narrows to one program and the maps it uses', async () => {
    const skeleton = await one(path, { program: 'exit_openat' });
    expect(skeleton.programs.map(({ name }) => name)).toEqual(['exit_openat']);
    expect(skeleton.maps.map(({ name }) => name)).toEqual(['calls', 'events', 'sample.bss']);
    expect((await inspect(path, { program: 'nope', btf: 'none', jobs: 1 })).objects).toEqual([]);
  });

  test('is listed with its maps beside the code', async () => {
    const { programs } = await one(path, { program: 'enter_openat', disassemble: true });
    const said = programs[0]?.code?.flatMap(({ annotations }) => annotations);
    expect(said).toEqual([
      'helper get_current_pid_tgid',
      'data sample.rodata+0x0',
      'map calls',
      'helper map_update_elem',
    ]);
  });

  const llvm = findLlvm();
  test.skipIf(llvm === undefined)(
    `is handed on with an object that llvm-objdump reads alike [${LLVM_MISSING}]`,
    async () => {
      let elf: Uint8Array | undefined;
      const options: InspectOptions = {
        disassemble: true,
        btf: 'none',
        jobs: 1,
        onCarved: (_object, _content, made) => {
          elf = made;
        },
      };
      const [skeleton] = (await inspect(path, options)).objects;
      const copy = fileOf('skeleton.bpf.o', elf ?? expect.fail());
      const theirs = objdump(llvm as Llvm, copy);
      expect(theirs?.map(({ name }) => name)).toEqual(['tracepoint', 'tracepoint']);
      const ours = skeleton?.programs.map(({ code = [] }) =>
        code.map(({ index, bytes: code, text }) => ({ index, bytes: code, text })),
      );
      expect(theirs?.map(({ lines }) => lines)).toEqual(ours);
      expect(openObject(elf ?? expect.fail()).btf?.count).toBe(skeleton?.btf?.types);
    },
  );
});

async function one(path: string, options: InspectOptions): Promise<InspectedObject> {
  const { objects } = await inspect(path, { btf: 'none', jobs: 1, ...options });
  const [found] = objects;
  if (found === undefined || objects.length > 1) throw new Error(`${objects.length} records in ${path}`);
  return found;
}

async function carvedAt(offset: number): Promise<{ record: CarvedObject; content: Uint8Array; elf?: Uint8Array }> {
  const carved: { record: CarvedObject; content: Uint8Array; elf?: Uint8Array }[] = [];
  const onCarved: InspectOptions['onCarved'] = (record, content, elf) => {
    carved.push({ record, content, ...(elf && { elf }) });
  };
  await inspect(HOST, { at: offset, onCarved, btf: 'none', jobs: 1 });
  return carved[0] ?? expect.fail(`nothing at ${offset}`);
}

function fileOf(name: string, content: Uint8Array): string {
  const path = join(work, name);
  writeFileSync(path, content);
  return path;
}
