import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { type HostElf, readHostElf, sectionAt } from '../../src/elf/host.ts';
import { ElfBuilder, type Endianness } from '../support/elf-builder.ts';

const BOTH_ORDERS: readonly Endianness[] = ['little', 'big'];
const readelf = spawnSync('readelf', ['--version']).status === 0;
const hosts = [
  ...readdirSync(samples()).map((name) => join(samples(), name)),
  ...['/usr/bin/ls', '/usr/sbin/bpftool', process.execPath].filter((path) => existsSync(path)),
];

describe.runIf(readelf)('what readelf says of', () => {
  test.each(hosts.filter(isElf))('%s', (path) => {
    const host = read(readFileSync(path));
    const sections = host?.sections.map(({ name, offset, size }) => ({ name, offset, size }));
    expect(sections).toEqual(sectionsByReadelf(path));
    expect(host?.buildId).toBe(buildIdByReadelf(path));
  });
});
test.skipIf(readelf)('comparison with readelf (binutils is not installed)', () => {});

describe.each(BOTH_ORDERS)('a %s-endian host', (order) => {
  const host = new ElfBuilder(order, { e_machine: 62 })
    .section('.text', { content: new Uint8Array(32) })
    .section('.note.gnu.build-id', { type: 7, content: note(order, 'GNU', 3, [0xab, 0xcd, 0x01]) })
    .section('.bss', { size: 5000 })
    .build();

  test('tells its sections and build id', () => {
    expect(read(host)).toMatchObject({ buildId: 'abcd01' });
    expect(read(host)?.sections.map(({ name }) => name)).toEqual(['.text', '.note.gnu.build-id', '.symtab', '.strtab']);
  });

  test('names the section of a byte, up to its last', () => {
    const known = read(host);
    const text = known?.sections.find(({ name }) => name === '.text');
    expect([63, 64, 95, 96].map((at) => known && sectionAt(known, at))).toEqual([
      undefined,
      '.text',
      '.text',
      '.note.gnu.build-id',
    ]);
    expect(text).toEqual({ name: '.text', offset: 64, size: 32 });
  });

  test('finds the build id behind other notes', () => {
    const notes = [
      ...note(order, 'stapsdt', 3, [1, 2, 3]),
      ...note(order, 'GNU', 1, [4]),
      ...note(order, 'GNU', 3, [5]),
    ];
    const builder = new ElfBuilder(order).section('.note', { type: 7, content: Uint8Array.from(notes) });
    expect(read(builder.build())?.buildId).toBe('05');
  });

  test('with a note that claims too much has no build id', () => {
    const content = note(order, 'GNU', 3, [1, 2, 3, 4]);
    new DataView(content.buffer).setUint32(4, 0xffff_fff0, order === 'little');
    expect(read(new ElfBuilder(order).section('.note', { type: 7, content }).build())?.buildId).toBeUndefined();
  });

  test('of 32 bits is read too', () => {
    expect(read(host32(order))?.sections[0]).toEqual({ name: '.data', offset: 16, size: 8 });
  });

  test('without a section table has none', () => {
    expect(read(new ElfBuilder(order).withoutSectionTable().build())).toEqual({ sections: [] });
  });

  test('with names beyond the end is said nothing of but its sections', () => {
    const cut = new ElfBuilder(order, { e_shstrndx: 77 }).section('.a', { content: new Uint8Array(4) }).build();
    expect(read(cut)?.sections[0]).toEqual({ name: '', offset: 64, size: 4 });
  });
});

test('4,000 sections that share one endless name cost no 4 GB', () => {
  const name = new Uint8Array(1 << 20).fill(0x61);
  const builder = new ElfBuilder();
  for (let index = 0; index < 4000; index++) {
    builder.section(`s${index}`, { content: Uint8Array.of(1), fields: { sh_name: index } });
  }
  const content = builder.build();
  const view = new DataView(content.buffer);
  const names = Number(view.getBigUint64(40, true)) + 64 * view.getUint16(62, true);
  const host = new Uint8Array(content.length + name.length);
  host.set(content);
  host.set(name, content.length);
  new DataView(host.buffer).setBigUint64(names + 24, BigInt(content.length), true);
  new DataView(host.buffer).setBigUint64(names + 32, BigInt(name.length), true);
  const known = read(host);
  const characters = known?.sections.reduce((sum, section) => sum + section.name.length, 0) ?? 0;
  expect(known?.sections[0]?.name).toMatch(/^a{100}/);
  expect(characters).toBeLessThan(4_000_000);
});

test('what is no ELF file, or ends too soon, is no host', () => {
  expect(read(new Uint8Array(0))).toBeUndefined();
  expect(read(Buffer.from('#!/bin/sh\n'.padEnd(200)))).toBeUndefined();
  expect(read(new ElfBuilder().build().subarray(0, 51))).toBeUndefined();
});

test('any bytes behind the magic give a host or none, never an error', () => {
  const built = new ElfBuilder().section('.note', { type: 7, content: note('little', 'GNU', 3, [1, 2]) }).build();
  const damage = fc.array(fc.tuple(fc.nat(built.length - 1), fc.nat(255)), { maxLength: 12 });
  fc.assert(
    fc.property(damage, fc.nat(built.length), (changes, length) => {
      const content = built.slice(0, length);
      for (const [place, value] of changes) if (place > 3 && place < length) content[place] = value;
      expect(Array.isArray(read(content)?.sections ?? [])).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

function read(content: Uint8Array): HostElf | undefined {
  return readHostElf(memoryReader(content));
}

function samples(): string {
  return join(import.meta.dirname, '../../samples/built/hosts');
}

function isElf(path: string): boolean {
  return readFileSync(path).toString('latin1', 0, 4) === '\x7fELF';
}

function note(order: Endianness, owner: string, type: number, descriptor: readonly number[]): Uint8Array {
  const name = Math.ceil((owner.length + 1) / 4) * 4;
  const content = new Uint8Array(12 + name + Math.ceil(descriptor.length / 4) * 4);
  const view = new DataView(content.buffer);
  [owner.length + 1, descriptor.length, type].forEach((value, index) => {
    view.setUint32(4 * index, value, order === 'little');
  });
  content.set(Buffer.from(owner), 12);
  content.set(descriptor, 12 + name);
  return content;
}

/** An ELFCLASS32 file with a section `.data` at 16 and its section names behind the table. */
function host32(order: Endianness): Uint8Array {
  const content = new Uint8Array(52 + 3 * 40 + 32);
  const view = new DataView(content.buffer);
  const little = order === 'little';
  content.set([0x7f, 0x45, 0x4c, 0x46, 1, little ? 1 : 2, 1]);
  view.setUint32(32, 52, little);
  view.setUint16(48, 3, little);
  view.setUint16(50, 2, little);
  const row = (index: number, values: readonly number[]) => {
    values.forEach((value, column) => {
      view.setUint32(52 + 40 * index + 4 * column, value, little);
    });
  };
  row(1, [1, 1, 0, 0, 16, 8]);
  row(2, [0, 3, 0, 0, 172, 0]);
  content.set(Buffer.from('\0.data\0'), 172);
  view.setUint32(52 + 40 * 2 + 20, 7, little);
  return new Uint8Array(content.buffer);
}

function sectionsByReadelf(path: string): unknown[] {
  const { stdout } = spawnSync('readelf', ['-SW', path], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return [...stdout.matchAll(/^ +\[ *\d+\] (\S*) +(\w+) +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) /gm)]
    .map(([, name, type, offset, size]) => ({ name, type, offset: hexadecimal(offset), size: hexadecimal(size) }))
    .filter(({ type, size }) => type !== 'NULL' && type !== 'NOBITS' && size > 0)
    .map(({ name, offset, size }) => ({ name, offset, size }));
}

function buildIdByReadelf(path: string): string | undefined {
  const { stdout } = spawnSync('readelf', ['-nW', path], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return /Build ID: ([0-9a-f]+)/.exec(stdout)?.[1];
}

function hexadecimal(digits = ''): number {
  return Number.parseInt(digits, 16);
}
