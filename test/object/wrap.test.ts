import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { wrapCode } from '../../src/object/wrap.ts';
import { READELF } from '../elf/readelf.ts';
import { findLlvm, LLVM_MISSING, objdump } from '../insn/objdump.ts';

const BUILT = join(import.meta.dirname, '../../samples/built');
const SAMPLES = ['bpfel', 'bpfeb'].flatMap((target) =>
  readdirSync(join(BUILT, target)).map((name) => [`${target}/${name}`] as const),
);
const LLVM = findLlvm();

describe.each(SAMPLES)('the programs of %s, wrapped', (name) => {
  const path = join(BUILT, name);
  const object = openObject(new Uint8Array(readFileSync(path)));
  const btf = btfOf(object);
  const wrapped = wrapCode({
    littleEndian: object.elf.littleEndian,
    ...(object.license !== undefined && { license: object.license }),
    ...(btf && { btf }),
    programs: object.programs,
  });

  test('are the same programs of the same kinds', () => {
    const again = openObject(wrapped);
    const facts = ({ programs, license, elf }: typeof object) => ({
      little: elf.littleEndian,
      license,
      programs: programs.map((program) => [program.name, program.section, program.type, [...program.code]]),
    });
    expect(facts(again)).toEqual(facts(object));
    expect(btfOf(again)).toEqual(btf);
    expect(again.elf.diagnostics).toEqual([]);
  });

  test.skipIf(LLVM === undefined)(`are disassembled alike by llvm-objdump [${LLVM_MISSING}]`, () => {
    if (LLVM === undefined) return;
    const llvm = LLVM;
    inTemporary(wrapped, (copy) => {
      const original = objdump(llvm, path)?.filter((section) => section.name !== '.text');
      const lines = (sections: typeof original) =>
        sections?.flatMap((section) => section.lines.map(({ bytes, text }) => ({ bytes, text })));
      expect(lines(objdump(llvm, copy))).toEqual(lines(original));
    });
  });

  test.skipIf(READELF === undefined)('are read by llvm-readelf without a warning [llvm-readelf is needed]', () => {
    inTemporary(wrapped, (copy) => {
      const run = spawnSync(READELF ?? '', ['-a', copy], { encoding: 'utf8' });
      expect(run.stderr).toBe('');
      expect(run.status).toBe(0);
    });
  });
});

const code = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

test('programs without a name get one', () => {
  const names = open([{ code }, { code }, { code, name: 'code1' }, { code, name: '' }]).programs.map(
    ({ name }) => name,
  );
  expect(names).toEqual(['code', 'code1', 'code11', 'code2']);
});

test('programs of one name are told apart', () => {
  const names = open([
    { code, name: 'x' },
    { code, name: 'x1' },
    { code, name: 'x' },
  ]).programs.map(({ name }) => name);
  expect(names).toEqual(['x', 'x1', 'x2']);
});

test.each(['.text', 'license', 'version', 'maps', '.maps', '.BTF', '.rodata', ''])(
  'a program whose section is called %j is a program all the same',
  (section) => {
    const { programs, license, btf, maps } = open([{ code, name: 'f', section }]);
    expect(programs.map((program) => [program.name, program.section])).toEqual([['f', 'bpf/f']]);
    expect({ license, btf, maps }).toEqual({ license: 'GPL', btf: undefined, maps: [] });
  },
);

test('the names of sections that libbpf knows stay', () => {
  const sections = ['?xdp', 'kprobe.multi/tcp_*', 'uprobe//usr/bin/a-b:main+0x10', 'tp/sched/sched_switch'];
  expect(open(sections.map((section) => ({ code, section }))).programs.map(({ section }) => section)).toEqual(sections);
});

test('any names, code and BTF come back', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('.text', 'license', 'code', 'code1'),
  );
  const program = fc.record(
    { name: text, section: text, code: fc.uint8Array({ maxLength: 80 }).map(toSlots) },
    { requiredKeys: ['code'] },
  );
  const wrapped = fc.record({
    littleEndian: fc.boolean(),
    license: fc.string({ maxLength: 60 }).map((given) => given.replaceAll('\0', '')),
    btf: fc.uint8Array({ maxLength: 60 }),
    programs: fc.array(program, { maxLength: 12 }),
  });
  fc.assert(
    fc.property(wrapped, (given) => {
      const object = openObject(wrapCode(given));
      expect(object.programs.map((each) => [...each.code])).toEqual(given.programs.map((each) => [...each.code]));
      expect(object.subprograms).toEqual([]);
      expect(new Set(object.programs.map(({ name }) => name)).size).toBe(given.programs.length);
      for (const { name, section } of object.programs) {
        expect(name).toMatch(/^\w{1,140}$/);
        expect(section).toMatch(/^[\w./:+?*-]{1,140}$/);
      }
      expect(object.license).toBe(given.license);
      expect(btfOf(object)).toEqual(given.btf);
      expect(object.elf.littleEndian).toBe(given.littleEndian);
    }),
  );
});

function btfOf({ elf }: BpfObject): Uint8Array | undefined {
  const section = elf.section('.BTF');
  return section && elf.content(section).slice();
}

function toSlots(bytes: Uint8Array): Uint8Array {
  return bytes.slice(0, bytes.length - (bytes.length % 8));
}

function open(programs: Parameters<typeof wrapCode>[0]['programs']) {
  return openObject(wrapCode({ littleEndian: true, license: 'GPL', programs }));
}

function inTemporary(bytes: Uint8Array, use: (path: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'wrap-'));
  try {
    const path = join(directory, 'wrapped.bpf.o');
    writeFileSync(path, bytes);
    use(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
