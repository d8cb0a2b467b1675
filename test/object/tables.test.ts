import { describe, expect, test } from 'vitest';
import { DiagnosticLog } from '../../src/elf/log.ts';
import { SHN, SHT, STB, STT, STV } from '../../src/elf/names.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { listRelocations, listSections, listSymbols } from '../../src/object/tables.ts';
import { TextAllowance } from '../../src/object/text-allowance.ts';
import { type Dump, READELF, readelf } from '../elf/readelf.ts';
import { code, ElfBuilder } from '../support/elf-builder.ts';
import { GROUPS } from './groups.ts';

const R_BPF: Readonly<Record<string, number>> = {
  NONE: 0,
  '64_64': 1,
  '64_ABS64': 2,
  '64_ABS32': 3,
  '64_NODYLD32': 4,
  '64_32': 10,
};

describe.each(GROUPS)('the tables of every object of $group', ({ group, objects }) => {
  const reason =
    objects.length === 0 ? ` (skipped: ${group} is not installed)` : READELF ? '' : ' (skipped: no llvm-readelf)';

  test.skipIf(reason !== '')(`say what llvm-readelf says${reason}`, () => {
    const expected = readelf(objects.map(({ bytes }) => bytes));
    for (const [at, { name, bytes }] of objects.entries()) {
      expect(asReadelf(openObject(bytes)), name).toEqual(expected[at]);
    }
  });
});

/** Our records in the numbers of readelf. */
function asReadelf(object: BpfObject): Dump {
  const text = new TextAllowance(object.elf.bytes.length, new DiagnosticLog());
  const sections = listSections(object, text);
  return {
    sections: sections.map((section) => [
      section.name,
      numberOf(SHT, section.type),
      Number(section.flags),
      Number(section.address),
      Number(section.offset),
      Number(section.size),
      section.link,
      section.info,
      Number(section.alignment),
      Number(section.entrySize),
    ]),
    symbols: listSymbols(object, text).map((symbol) => [
      // readelf names a section symbol after its section.
      symbol.type === 'SECTION' && symbol.name === '' ? String(symbol.section) : symbol.name,
      Number(symbol.value),
      Number(symbol.size),
      numberOf(STB, symbol.binding),
      numberOf(STT, symbol.type),
      numberOf(STV, symbol.visibility),
      symbol.sectionIndex ?? numberOf(SHN, symbol.section),
    ]),
    relocations: sections.flatMap((from) =>
      listRelocations(object, text)
        .filter(({ sectionIndex }) => from.type === 'REL' && sectionIndex === from.info)
        .map(({ offset, type, symbolIndex }) => [from.index, Number(offset), numberOf(R_BPF, type), symbolIndex]),
    ),
  };
}

function numberOf(table: Readonly<Record<string, number>>, word: string | number): number {
  return typeof word === 'number' ? word : (table[word] ?? -1);
}

test('a relocation in code says what it stands for', () => {
  const bytes = new ElfBuilder()
    .function('first', { section: 'xdp', content: code('little', [{ code: 0x95 }]) })
    .function('second', { section: 'xdp', content: code('little', [{ code: 0xb7 }, { code: 0x18 }, { code: 0 }]) })
    .section('maps', { content: new Uint8Array(20) })
    .symbol('counts', { section: 'maps', type: 'object', size: 20 })
    .relocation('xdp', 16, 'counts', 1)
    .build();
  expect(listRelocations(openObject(bytes), new TextAllowance(1 << 20, new DiagnosticLog()))).toEqual([
    {
      section: 'xdp',
      sectionIndex: 1,
      offset: 16,
      type: '64_64',
      symbolIndex: 3,
      symbol: 'counts',
      function: 'second',
      instruction: 1,
      target: { kind: 'map', name: 'counts' },
    },
  ]);
});

test('a size beyond 2^53 keeps its digits', () => {
  const bytes = new ElfBuilder('big').section('huge', { size: 1, fields: { sh_size: 2n ** 60n + 1n } }).build();
  const object = openObject(bytes);
  const found = listSections(object, new TextAllowance(1, new DiagnosticLog())).find(({ name }) => name === 'huge');
  expect(found?.size).toBe('0x1000000000000001');
});
