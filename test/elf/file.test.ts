import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/diagnostics.ts';
import { ElfFile } from '../../src/elf/file.ts';
import { SHN, STT } from '../../src/elf/names.ts';
import { ElfBuilder, type Endianness } from '../support/elf-builder.ts';
import { OBJECT_PACKAGES, packageObjects } from '../support/objects.ts';
import { type Dump, READELF, readelf } from './readelf.ts';

const BOTH: readonly Endianness[] = ['little', 'big'];
const text = (value: string) => new TextEncoder().encode(value);
const filler = (size: number) => new Uint8Array(size).fill(0x5a);

describe.each(BOTH)('%s endian', (endianness) => {
  test('sections have names, extents and contents', () => {
    const elf = ElfFile.parse(new ElfBuilder(endianness).section('one', { content: text('abc') }).build());
    const one = elf.section('one');
    expect(one).toMatchObject({ index: 1, name: 'one', type: 1, flags: 3n, size: 3 });
    expect(one && elf.content(one)).toEqual(text('abc'));
    expect(elf.diagnostics).toEqual([]);
  });

  test('symbols come with their section, binding and visibility', () => {
    const elf = ElfFile.parse(
      new ElfBuilder(endianness)
        .function('main', { section: 'xdp', content: filler(16), visibility: 'hidden' })
        .symbol('missing', { binding: 'weak' })
        .build(),
    );
    expect(elf.symbols.slice(1)).toEqual([
      { index: 1, name: 'main', type: STT.FUNC, binding: 1, visibility: 2, section: 1, shndx: 1, value: 0, size: 16 },
      { index: 2, name: 'missing', type: STT.NOTYPE, binding: 2, visibility: 0, shndx: SHN.UNDEF, value: 0, size: 0 },
    ]);
  });

  test('relocations are found by the section they patch', () => {
    const elf = ElfFile.parse(
      new ElfBuilder(endianness)
        .function('main', { section: 'xdp', content: filler(32) })
        .symbol('other')
        .relocation('xdp', 8, 'other', 10)
        .relocation('xdp', 24, 'main')
        .build(),
    );
    const xdp = elf.sections[1];
    const [from] = xdp ? elf.relocationSections(xdp) : [];
    expect(from?.name).toBe('.relxdp');
    expect(from && elf.relocations(from)).toEqual([
      { offset: 8, type: 10, symbol: 2 },
      { offset: 24, type: 1, symbol: 1 },
    ]);
  });

  test('70,000 sections are numbered through section 0 and .symtab_shndx', () => {
    const builder = new ElfBuilder(endianness);
    for (let index = 0; index < 70_000; index++) builder.section('many', { content: new Uint8Array(0) });
    builder.function('last', { section: 'xdp', content: filler(8) });
    const elf = ElfFile.parse(builder.build());
    expect(elf.sections.length).toBe(70_005);
    expect(elf.symbols.find(({ name }) => name === 'last')).toMatchObject({ section: 70_001, shndx: SHN.XINDEX });
    expect(elf.sections[70_001]?.name).toBe('xdp');
    expect(elf.diagnostics).toEqual([]);
  });

  test('an object cut anywhere keeps what lies before the cut, and says what is missing', () => {
    const whole = new ElfBuilder(endianness)
      .section('one', { content: filler(100) })
      .function('main', { section: 'xdp', content: filler(40) })
      .relocation('xdp', 0, 'main')
      .build();
    for (let size = 64; size < whole.length; size++) {
      const elf = ElfFile.parse(whole.subarray(0, size));
      const present = Math.max(0, Math.floor((size - Number(elf.header.e_shoff)) / 64));
      expect(elf.sections.length).toBe(present);
      expect(elf.diagnostics.map(({ code }) => code)).toContain(
        present === 0 ? 'out-of-bounds' : 'section-table-truncated',
      );
      readAll(elf);
    }
  });
});

describe('broken tables', () => {
  test('a section that ends past the file is read as far as it goes', () => {
    const bytes = new ElfBuilder().section('far', { content: text('abcd'), fields: { sh_size: 1n << 40n } }).build();
    const elf = ElfFile.parse(bytes);
    const far = elf.section('far');
    expect(far && elf.content(far).length).toBe(bytes.length - 64);
    expect(elf.diagnostics).toEqual([
      {
        severity: 'warning',
        code: 'section-truncated',
        where: 'section 1 "far"',
        message: `ends at 0x10000000040, object ends at 0x${bytes.length.toString(16)}`,
      },
    ]);
  });

  test('an offset beyond 2^53 is no offset at all', () => {
    const bytes = new ElfBuilder().section('far', { content: text('abcd'), fields: { sh_offset: (1n << 64n) - 2n } });
    const elf = ElfFile.parse(bytes.build());
    const far = elf.section('far');
    expect(far && elf.content(far).length).toBe(0);
    expect(elf.diagnostics[0]).toMatchObject({ code: 'section-truncated' });
  });

  test('names outside the string table are empty and told of', () => {
    const elf = ElfFile.parse(
      new ElfBuilder()
        .section('a', { content: text('a'), fields: { sh_name: 0xffff_fff0 } })
        .symbol('b', { fields: { st_name: 0x8000_0000 } })
        .build(),
    );
    expect([elf.sections[1]?.name, elf.symbols[1]?.name]).toEqual(['', '']);
    expect(elf.diagnostics.map(({ code, where }) => [code, where])).toEqual([
      ['string-offset', 'section 1'],
      ['string-offset', 'symbol 1'],
    ]);
  });

  test('a symbol of a section that does not exist has none', () => {
    const elf = ElfFile.parse(new ElfBuilder().symbol('lost', { fields: { st_shndx: 99 } }).build());
    expect(elf.symbols[1]).not.toHaveProperty('section');
    expect(elf.diagnostics).toMatchObject([{ code: 'symbol-section', message: 'is in section 99, the last one is 2' }]);
  });

  test('without a section table there is a diagnostic and nothing else', () => {
    const elf = ElfFile.parse(
      new ElfBuilder()
        .section('a', { content: text('a') })
        .withoutSectionTable()
        .build(),
    );
    expect(elf.sections).toEqual([]);
    expect(elf.symbols).toEqual([]);
    expect(elf.diagnostics).toMatchObject([{ code: 'no-section-table' }]);
  });

  test('e_shnum may claim more sections than there are', () => {
    const elf = ElfFile.parse(
      new ElfBuilder('little', { e_shnum: 60_000 }).section('a', { content: text('a') }).build(),
    );
    expect(elf.section('a')?.index).toBe(1);
    expect(elf.diagnostics).toMatchObject([{ message: '60000 sections declared, the file ends after 4' }]);
  });

  test('what is no ELF-64 header is refused with the reason', () => {
    const refuse = (change: (bytes: Uint8Array) => void) => {
      const bytes = new ElfBuilder().build();
      change(bytes);
      return () => ElfFile.parse(bytes);
    };
    expect(refuse((bytes) => bytes.set([0x7e]))).toThrow(/ELF magic/);
    expect(refuse((bytes) => bytes.set([1], 4))).toThrow(/class 1/);
    expect(refuse((bytes) => bytes.set([3], 5))).toThrow(/byte order 3/);
    expect(() => ElfFile.parse(new ElfBuilder().build().subarray(0, 63))).toThrow(FormatError);
  });
});

describe('work stays linear', () => {
  test('60,000 relocation sections over the same megabyte are read once', () => {
    const builder = new ElfBuilder().section('data', { content: filler(1 << 20) });
    for (let index = 0; index < 60_000; index++) {
      const fields = { sh_offset: 64n, sh_size: 1n << 20n, sh_entsize: 16n };
      builder.section('rel', { type: 9, content: new Uint8Array(0), fields });
    }
    const bytes = builder.build();
    const elf = ElfFile.parse(bytes);
    const total = elf.sections.reduce((sum, section) => sum + elf.relocations(section).length, 0);
    expect(total).toBeLessThanOrEqual(bytes.length / 16);
    expect(elf.diagnostics.length).toBeLessThanOrEqual(101);
    expect(elf.diagnostics.at(-1)).toMatchObject({ code: 'diagnostics-capped' });
  });

  test('200,000 symbols into one string without end do not square it', () => {
    const builder = new ElfBuilder().section('.long', { type: 3, content: new Uint8Array(1 << 20).fill(0x61) });
    for (let index = 0; index < 200_000; index++) builder.symbol('', { fields: { st_name: 1 + index } });
    const bytes = builder.build();
    new DataView(bytes.buffer).setUint32(Number(ElfFile.parse(bytes).header.e_shoff) + 64 * 2 + 40, 1, true);
    const { symbols, diagnostics } = ElfFile.parse(bytes);
    const characters = symbols.reduce((sum, { name }) => sum + name.length, 0);
    expect(characters).toBeLessThan(17 * (1 << 20));
    expect(symbols.length).toBe(200_001);
    expect(diagnostics.length).toBeLessThanOrEqual(101);
  });
});

describe('any bytes', () => {
  const sample = new ElfBuilder()
    .section('one', { content: filler(64) })
    .function('main', { section: 'xdp', content: filler(64) })
    .relocation('xdp', 8, 'main')
    .build();

  test('parse, or throw FormatError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 512 }), fc.constantFrom(1, 2), (tail, order) => {
        parseOrRefuse(new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, order, ...tail]));
      }),
      { numRuns: 2000 },
    );
  });

  test('an object with any bytes changed is still read', () => {
    const flip = fc.record({ at: fc.nat(sample.length - 1), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(flip, { minLength: 1, maxLength: 8 }), (flips) => {
        const bytes = sample.slice();
        for (const { at, value } of flips) bytes[at] = value;
        parseOrRefuse(bytes);
      }),
      { numRuns: 3000 },
    );
  });
});

describe.each(OBJECT_PACKAGES)('objects of %s', (name) => {
  const objects = packageObjects(name);
  const reason =
    objects.length === 0 ? ` (skipped: ${name} is not installed)` : READELF ? '' : ' (skipped: no llvm-readelf)';

  test.skipIf(reason !== '')(`say what llvm-readelf says of them${reason}`, () => {
    const expected = readelf(objects.map(({ bytes }) => bytes));
    objects.forEach((object, index) => {
      expect(dumpOf(ElfFile.parse(object.bytes)), object.name).toEqual(expected[index]);
    });
  });
});

/** In the form of the reference, which names section symbols by their section. */
function dumpOf(elf: ElfFile): Dump {
  return {
    sections: elf.sections.map((section) => [
      section.name,
      section.type,
      Number(section.flags),
      Number(section.address),
      section.offset,
      section.size,
      section.link,
      section.info,
      Number(section.alignment),
      section.entrySize,
    ]),
    symbols: elf.symbols.map((symbol) => [
      symbol.type === STT.SECTION ? (elf.sections[symbol.shndx]?.name ?? '') : symbol.name,
      symbol.value,
      symbol.size,
      symbol.binding,
      symbol.type,
      symbol.visibility,
      symbol.shndx,
    ]),
    relocations: elf.sections.flatMap((section) =>
      elf.relocations(section).map(({ offset, type, symbol }) => [section.index, offset, type, symbol]),
    ),
  };
}

function readAll(elf: ElfFile): void {
  for (const section of elf.sections) {
    elf.content(section);
    elf.relocations(section);
    elf.symbolsIn(section);
  }
}

function parseOrRefuse(bytes: Uint8Array): void {
  try {
    readAll(ElfFile.parse(bytes));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
}
