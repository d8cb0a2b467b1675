import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DiagnosticLog } from '../../src/elf/log.ts';
import { listCoreRelocations } from '../../src/object/core-relocations.ts';
import { type CodeLine, Listing } from '../../src/object/listing.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { TextAllowance } from '../../src/object/text-allowance.ts';
import { code, ElfBuilder, type Endianness, type Instruction } from '../support/elf-builder.ts';
import { sample } from './groups.ts';

const EXIT: Instruction = { code: 0x95 };
const CALL = 0x85;
const LD_IMM64 = 0x18;
const JEQ = 0x15;

function list(bytes: Uint8Array, name: string): CodeLine[] {
  const object = openObject(bytes);
  const found = object.functions.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no function ${name}`);
  return listing(object).of(found);
}

function listing(object: BpfObject): Listing {
  const log = new DiagnosticLog();
  const text = new TextAllowance(object.elf.bytes.length, log);
  return new Listing(object, listCoreRelocations(object, { text, log }), text, log);
}

function program(order: Endianness, instructions: readonly Instruction[]): ElfBuilder {
  return new ElfBuilder(order).function('program', { section: 'xdp', content: code(order, instructions) });
}

describe.each(['little', 'big'] as const)('a listing of %s-endian code', (order) => {
  test('has labels where branches lead, and names them at the branches', () => {
    const lines = list(program(order, [{ code: JEQ, dst: 1, off: 1 }, { code: 0xb7 }, EXIT]).build(), 'program');
    expect(lines.map(({ label, branchTo }) => [label, branchTo])).toEqual([
      [undefined, 'L2'],
      [undefined, undefined],
      ['L2', undefined],
    ]);
  });

  test('says where a branch leaves the code or ends inside an instruction', () => {
    const wide: Instruction[] = [{ code: LD_IMM64, dst: 1 }, { code: 0 }];
    const bytes = program(order, [{ code: JEQ, off: 100 }, { code: JEQ, off: 1 }, ...wide, EXIT]).build();
    expect(list(bytes, 'program').flatMap(({ annotations }) => annotations)).toEqual([
      'leads to 101, where no instruction begins',
      'leads to 3, where no instruction begins',
    ]);
  });

  test('names helpers, functions, maps and what libbpf poisoned', () => {
    const bytes = program(order, [
      { code: CALL, imm: 6 },
      { code: CALL, src: 1, imm: -1 },
      { code: LD_IMM64, dst: 1 },
      { code: 0 },
      { code: CALL, imm: 195_896_080 },
      EXIT,
    ])
      .function('helped', { section: '.text', content: code(order, [EXIT]) })
      .section('maps', { content: new Uint8Array(20) })
      .symbol('counts', { section: 'maps', type: 'object', size: 20 })
      .relocation('xdp', 8, 'helped', 10)
      .relocation('xdp', 16, 'counts', 1)
      .build();
    expect(list(bytes, 'program').map(({ annotations }) => annotations)).toEqual([
      ['helper trace_printk'],
      ['calls helped'],
      ['map counts'],
      ['poisoned: a CO-RE relocation that libbpf could not resolve'],
      [],
    ]);
  });

  test('shows the string that a reference into read-only data leads to', () => {
    const data = new TextEncoder().encode('no\0pid %d\n\0');
    const bytes = program(order, [{ code: LD_IMM64, dst: 1, imm: 3 }, { code: 0 }, EXIT])
      .section('.rodata', { content: data, flags: 2 })
      .symbol('.rodata', { section: '.rodata', type: 'section', binding: 'local' })
      .relocation('xdp', 0, '.rodata', 1)
      .build();
    expect(list(bytes, 'program')[0]?.annotations).toEqual(['data .rodata+0x3 "pid %d\n"']);
  });
});

describe.each(['bpfel', 'bpfeb'] as const)('the samples for %s', (order) => {
  const sources = ['openat', 'core', 'xdp', 'globals', 'externs', 'exits'];

  test.each(sources)('%s: every source line stands in the source file at its number', (name) => {
    const file = readFileSync(new URL(`../../samples/bpf/${name}.bpf.c`, import.meta.url), 'utf8').split('\n');
    const object = openObject(sample(name, order));
    const lines = object.functions.flatMap((each) => listing(object).of(each)).filter(({ source }) => source);
    const own = lines.filter((line) => line.file?.endsWith(`${name}.bpf.c`));
    expect(own.length).toBeGreaterThan(10);
    for (const { line = 0, source } of own) expect(source).toBe(file[line - 1]);
  });

  test('CO-RE records stand at the instructions that they patch', () => {
    const object = openObject(sample('core', order));
    const noted = object.functions
      .flatMap((each) => listing(object).of(each))
      .flatMap(({ annotations }) => annotations)
      .filter((words) => words.startsWith('CO-RE '));
    const records = object.btfExt?.coreRelocations.flatMap((section) => section.records) ?? [];
    expect(noted).toHaveLength(records.length);
    expect(records.length).toBeGreaterThan(48);
    expect(noted).toContain('CO-RE byte_off struct dentry.d_name.len (0:1:0:0:1 @ 12)');
  });

  test('kernel functions and variables are named with what they are', () => {
    const object = openObject(sample('externs', order));
    const words = object.functions
      .flatMap((each) => listing(object).of(each))
      .flatMap(({ annotations }) => annotations.map((annotation) => annotation.split(' ')[0]));
    expect(new Set(words)).toEqual(new Set(['kconfig', 'kfunc', 'ksym', 'data']));
  });
});
