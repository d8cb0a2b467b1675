import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { measureExtent } from '../../src/elf/extent.ts';
import { ElfFile } from '../../src/elf/file.ts';
import { EM, SHF, SHT, STB, STT } from '../../src/elf/names.ts';
import { type NewSection, type NewSymbol, writeElf } from '../../src/elf/write.ts';
import { READELF, readelf } from './readelf.ts';

const SECTIONS: readonly NewSection[] = [
  { name: 'xdp', flags: SHF.ALLOC | SHF.EXECINSTR, bytes: new Uint8Array(24).fill(0x95), align: 8 },
  { name: 'license', flags: SHF.ALLOC | SHF.WRITE, bytes: Uint8Array.of(71, 80, 76, 0) },
];
const SYMBOLS: readonly NewSymbol[] = [
  { name: 'drop', section: 0, value: 0, size: 16, binding: STB.GLOBAL, type: STT.FUNC },
  { name: 'pass', section: 0, value: 16, size: 8, binding: STB.LOCAL, type: STT.FUNC },
  { name: '_license', section: 1, value: 0, size: 4, binding: STB.GLOBAL, type: STT.OBJECT },
];

describe.skipIf(READELF === undefined)('what llvm-readelf reads [llvm-readelf is needed]', () => {
  test.each([true, false])('is what was written, little endian: %s', (littleEndian) => {
    const bytes = writeElf({ littleEndian, machine: EM.BPF, sections: SECTIONS, symbols: SYMBOLS });
    const [dump] = readelf([bytes]);
    expect(dump?.sections).toEqual([
      ['', SHT.NULL, 0, 0, 0, 0, 0, 0, 0, 0],
      ['xdp', SHT.PROGBITS, 6, 0, 64, 24, 0, 0, 8, 0],
      ['license', SHT.PROGBITS, 3, 0, 88, 4, 0, 0, 1, 0],
      ['.symtab', SHT.SYMTAB, 0, 0, 96, 96, 4, 2, 8, 24],
      ['.strtab', SHT.STRTAB, 0, 0, 192, 48, 0, 0, 1, 0],
    ]);
    expect(dump?.symbols).toEqual([
      ['', 0, 0, 0, 0, 0, 0],
      ['pass', 16, 8, STB.LOCAL, STT.FUNC, 0, 1],
      ['drop', 0, 16, STB.GLOBAL, STT.FUNC, 0, 1],
      ['_license', 0, 4, STB.GLOBAL, STT.OBJECT, 0, 2],
    ]);
  });

  test('is whole when the sections need more than 16 bits', () => {
    const [dump] = readelf([manySections(true)]);
    expect(dump?.sections).toHaveLength(70_004);
    expect(dump?.sections.at(70_000)?.[0]).toBe('s69999');
    expect(dump?.symbols.slice(1).map(([name, , , , , , section]) => [name, section])).toEqual([
      ['near', 1],
      ['far', 70_000],
    ]);
  });
});

test.each([true, false])('more sections than 16 bits count are read back, little endian: %s', (littleEndian) => {
  const elf = ElfFile.parse(manySections(littleEndian));
  expect(elf.sections).toHaveLength(70_004);
  expect(elf.symbols.map(({ name, section }) => [name, section])).toEqual([
    ['', undefined],
    ['near', 1],
    ['far', 70_000],
  ]);
  expect(elf.diagnostics).toEqual([]);
});

test('an object is as large as its tables declare', () => {
  const bytes = writeElf({ littleEndian: true, machine: EM.BPF, sections: SECTIONS, symbols: SYMBOLS });
  expect(measureExtent(memoryReader(bytes), 0, bytes.length)).toMatchObject({ end: bytes.length, sections: 5 });
});

test('any sections and symbols are read back as they were given', () => {
  const name = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''));
  const section = fc.record({
    name,
    type: fc.constantFrom(SHT.PROGBITS, SHT.NOTE),
    flags: fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
    bytes: fc.uint8Array({ maxLength: 64 }),
    align: fc.constantFrom(1, 2, 8, 4096),
  });
  const symbol = fc.record({
    name,
    section: fc.nat(),
    value: fc.nat(),
    size: fc.nat(),
    binding: fc.constantFrom(STB.LOCAL, STB.GLOBAL, STB.WEAK),
    type: fc.constantFrom(STT.FUNC, STT.OBJECT),
  });
  const parts = fc.record({
    littleEndian: fc.boolean(),
    machine: fc.nat(0xffff),
    sections: fc.array(section, { minLength: 1, maxLength: 8 }),
    symbols: fc.array(symbol, { maxLength: 8 }),
  });
  fc.assert(
    fc.property(parts, (given) => {
      const symbols = given.symbols.map((each) => ({ ...each, section: each.section % given.sections.length }));
      const elf = ElfFile.parse(writeElf({ ...given, symbols }));
      expect(elf.diagnostics).toEqual([]);
      expect(elf.littleEndian).toBe(given.littleEndian);
      expect(elf.header.e_machine).toBe(given.machine);
      const sections = elf.sections.slice(1, -2);
      expect(sections.map((each) => [each.name, each.type, each.flags, Number(each.alignment)])).toEqual(
        given.sections.map((each) => [each.name, each.type, each.flags, each.align]),
      );
      expect(sections.map((each) => [...elf.content(each)])).toEqual(given.sections.map(({ bytes }) => [...bytes]));
      expect(sections.every(({ offset, alignment }) => offset % Number(alignment) === 0)).toBe(true);
      const locals = symbols.filter(({ binding }) => binding === STB.LOCAL);
      const others = symbols.filter(({ binding }) => binding !== STB.LOCAL);
      expect(elf.symbols.slice(1)).toMatchObject(
        [...locals, ...others].map((each) => ({ ...each, section: each.section + 1 })),
      );
      expect(elf.symbolTable?.info).toBe(1 + locals.length);
    }),
  );
});

function manySections(littleEndian: boolean): Uint8Array {
  const sections = Array.from({ length: 70_000 }, (_, index) => ({ name: `s${index}`, bytes: new Uint8Array(0) }));
  const symbol = { value: 0, size: 0, binding: STB.GLOBAL, type: STT.OBJECT };
  const symbols = [
    { ...symbol, name: 'near', section: 0 },
    { ...symbol, name: 'far', section: 69_999 },
  ];
  return writeElf({ littleEndian, machine: EM.BPF, sections, symbols });
}
