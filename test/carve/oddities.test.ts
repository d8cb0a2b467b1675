import { describe, expect, test } from 'vitest';
import { EXTENT_CEILING } from '../../src/elf/extent.ts';
import { ElfBuilder, type HeaderFields } from '../support/elf-builder.ts';
import { at, BOTH_ORDERS, concat, header, object, sectionTable } from './bytes.ts';
import { carve, places } from './carve.ts';

const NULL = { type: 0 };
const NAMES = { type: 3 };

describe.each(BOTH_ORDERS)('what a loader tolerates is carved whole, %s endian:', (order) => {
  const odd: Record<string, Partial<HeaderFields>> = {
    'e_version 0': { e_version: 0 },
    'e_version 9': { e_version: 9 },
    'e_ehsize 0': { e_ehsize: 0 },
    'e_ehsize 65535': { e_ehsize: 0xffff },
    'e_shentsize 0': { e_shentsize: 0 },
    'e_shentsize 40': { e_shentsize: 40 },
    'e_shentsize 65': { e_shentsize: 65 },
    'e_shentsize 65535': { e_shentsize: 0xffff },
    'EI_OSABI, EI_ABIVERSION and EI_PAD': {
      ident: [0x7f, 0x45, 0x4c, 0x46, 2, order === 'little' ? 1 : 2, 1, 0x61, 3, 1, 2, 3, 4, 5, 6, 7],
    },
    e_flags: { e_flags: 0xffff_ffff },
    e_entry: { e_entry: 2n ** 64n - 1n },
    'e_phnum nonsense in ET_REL': { e_phnum: 0xffff, e_phentsize: 0xffff },
    'e_phoff nonsense in ET_REL': { e_phoff: 2n ** 64n - 1n, e_phnum: 3 },
  };
  test.each(Object.entries(odd))('%s', (_, fields) => {
    const content = object(order, 'GPL', fields);
    expect(places(at(3, content, content.length + 100))).toEqual([`3+${content.length} whole`]);
  });

  test('section 0 not null', () => {
    const content = object(order);
    const view = new DataView(content.buffer);
    view.setUint32(tableOf(content, order) + 4, 1, order === 'little');
    expect(places(content)).toEqual([`0+${content.length} whole`]);
  });

  test('a section table at an odd offset', () => {
    const content = concat(header({ e_shoff: 77n }, order), new Uint8Array(13), sectionTable([NULL, NAMES], order));
    expect(places(concat(content, new Uint8Array(50)))).toEqual([`0+${content.length} whole`]);
  });

  test('a section table in front, contents behind', () => {
    const table = sectionTable([NULL, { type: 3, offset: 192n, size: 10n }], order);
    const content = concat(header({}, order), table, new Uint8Array(10));
    expect(places(concat(content, new Uint8Array(50)))).toEqual(['0+202 whole']);
  });

  test('a section table that begins inside the header', () => {
    const head = header({ e_shoff: 32n, e_shnum: 2, e_shstrndx: 1 }, order);
    const content = concat(head, new Uint8Array(96));
    new DataView(content.buffer).setUint32(32 + 64 + 4, 3, order === 'little');
    expect(carve(content).objects).toMatchObject([{ offset: 0, size: 160 }]);
  });

  test('sections that overlap the header, each other and the table', () => {
    const table = sectionTable(
      [NULL, NAMES, { type: 1, offset: 0n, size: 64n }, { type: 1, offset: 32n, size: 100n }],
      order,
    );
    const content = concat(header({ e_shnum: 4 }, order), table);
    expect(places(content)).toEqual([`0+${content.length} whole`]);
  });

  test('NOBITS, NULL and empty sections take no room, wherever they claim to be', () => {
    const far = { offset: 1n << 40n, size: 1n << 40n };
    const rows = [NULL, NAMES, { type: 8, ...far }, { type: 0, ...far }, { type: 1, offset: 1n << 62n, size: 0n }];
    const content = concat(header({ e_shnum: 5 }, order), sectionTable(rows, order));
    expect(places(content)).toEqual([`0+${content.length} whole`]);
  });

  test.each([
    ['ET_NONE', 0, 'NONE'],
    ['ET_EXEC', 2, 'EXEC'],
    ['ET_DYN', 3, 'DYN'],
    ['ET_CORE', 4, 'CORE'],
    ['an unknown type', 0xfe42, 0xfe42],
  ])('%s, shown as such', (_, e_type, shown) => {
    const content = object(order, 'GPL', { e_type });
    expect(carve(content).objects).toMatchObject([
      { size: content.length, completeness: 'whole', elf: { type: shown } },
    ]);
  });

  test('e_machine 0 of LLVM 3.7 in ET_REL', () => {
    const content = object(order, 'GPL', { e_machine: 0 });
    expect(places(at(1, content, content.length + 9))).toEqual([`1+${content.length} whole`]);
  });
});

describe('e_machine 0 proves little, so that nothing may be missing:', () => {
  const none: Partial<HeaderFields> = { e_machine: 0 };
  const wrong: Record<string, Uint8Array> = {
    'another type than ET_REL': object('little', 'GPL', { ...none, e_type: 2 }),
    'a cut section table': object('little', 'GPL', none).subarray(0, -1),
    ELFCLASS32: object('little', 'GPL', { ...none, ident: [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1] }),
    'no section table': object('little', 'GPL', { ...none, e_shoff: 0n }),
    'no name section': object('little', 'GPL', { ...none, e_shstrndx: 1 }),
    'a section past the end': withSection({ e_machine: 0 }, { type: 1, offset: 250n, size: 10n }),
    'a section past the ceiling': withSection({ e_machine: 0 }, { type: 1, offset: 1n << 40n, size: 10n }),
  };
  test.each(Object.entries(wrong))('%s is neither carved nor counted', (_, content) => {
    expect(carve(content)).toMatchObject({ objects: [], rejected: {} });
  });
});

describe.each(BOTH_ORDERS)('segments count in ET_EXEC and ET_DYN only, %s endian:', (order) => {
  const segment = new ElfBuilder(order).build().slice(0, 56).fill(0);
  const view = new DataView(segment.buffer);
  view.setBigUint64(8, 1000n, order === 'little');
  view.setBigUint64(32, 24n, order === 'little');
  const head = { e_shoff: 120n, e_phoff: 64n, e_phnum: 1 };
  const table = sectionTable([NULL, NAMES], order);

  test.each([
    [1, 248],
    [2, 1024],
    [3, 1024],
  ])('e_type %d ends at %d', (e_type, end) => {
    const content = concat(header({ ...head, e_type }, order), segment, table);
    expect(places(at(0, content, 2000))).toEqual([`0+${end} whole`]);
  });

  test('a segment past the end of the source truncates', () => {
    const content = concat(header({ ...head, e_type: 2 }, order), segment, table);
    expect(places(at(0, content, 1001))).toEqual(['0+1001 truncated']);
    expect(places(at(0, content, 1000))).toEqual(['0+248 truncated']);
  });

  test('a segment past the ceiling is left out', () => {
    const huge = segment.slice();
    new DataView(huge.buffer).setBigUint64(32, 1n << 40n, order === 'little');
    const { objects } = carve(at(0, concat(header({ ...head, e_type: 3 }, order), huge, table), 2000));
    expect(objects).toMatchObject([{ size: 248, completeness: 'salvaged' }]);
    expect(objects[0]?.impossible).toEqual(['segment 0: 0x10000000000 at 0x3e8 end past 0x10000000']);
  });

  test('e_phnum 0xffff takes the count from sh_info of section 0', () => {
    const rows = sectionTable([NULL, NAMES], order);
    new DataView(rows.buffer).setUint32(44, 2, order === 'little');
    const fields = { e_type: 2, e_phoff: 64n, e_phnum: 0xffff, e_shoff: 64n + 112n };
    const content = concat(header(fields, order), new Uint8Array(56), segment, rows);
    expect(places(at(0, content, 2000))).toEqual(['0+1024 whole']);
  });
});

describe.each(BOTH_ORDERS)('extended numbering, %s endian:', (order) => {
  test('e_shnum 0 takes the count from sh_size of section 0', () => {
    const table = sectionTable([{ type: 0, size: 3n }, NAMES, { type: 1, offset: 256n, size: 4n }], order);
    const content = concat(header({ e_shnum: 0 }, order), table, new Uint8Array(4));
    expect(places(concat(content, new Uint8Array(9)))).toEqual([`0+${content.length} whole`]);
  });

  test('e_shstrndx 0xffff takes the index from sh_link of section 0', () => {
    const table = sectionTable([{ type: 0, link: 2 }, { type: 1 }, NAMES], order);
    expect(places(concat(header({ e_shnum: 3, e_shstrndx: 0xffff }, order), table))).toEqual(['0+256 whole']);
    const wrong = sectionTable([{ type: 0, link: 1 }, { type: 1 }, NAMES], order);
    expect(carve(concat(header({ e_shnum: 3, e_shstrndx: 0xffff }, order), wrong)).rejected).toEqual({
      'section-names-type': 1,
    });
  });

  test('66,000 sections are counted and sized', () => {
    const builder = new ElfBuilder(order);
    for (let index = 0; index < 66_000; index++) builder.section(`s${index}`, { content: new Uint8Array(1) });
    const content = builder.build();
    const { objects } = carve(content);
    expect(objects).toMatchObject([{ size: content.length, completeness: 'whole', elf: { sections: 66_004 } }]);
  });

  test('e_shnum 0 and sh_size 0 is no table', () => {
    const content = concat(header({ e_shnum: 0 }, order), sectionTable([NULL, NAMES], order));
    expect(carve(content)).toMatchObject({ objects: [], rejected: { 'no-section-table': 1 } });
  });

  test.each([2n ** 20n + 1n, 2n ** 53n, 2n ** 64n - 1n])('%d sections are too many', (size) => {
    const content = concat(header({ e_shnum: 0 }, order), sectionTable([{ type: 0, size }, NAMES], order));
    expect(carve(content)).toMatchObject({ objects: [], rejected: { 'too-many-sections': 1 } });
  });

  test('a count in a section 0 that is cut off leaves a truncated object', () => {
    expect(places(concat(header({ e_shnum: 0, e_shoff: 100n }, order), new Uint8Array(50)))).toEqual([
      '0+114 truncated',
    ]);
  });
});

describe.each(BOTH_ORDERS)('no size can be had, %s endian:', (order) => {
  const little = order === 'little' ? 1 : 2;
  const table = sectionTable([NULL, NAMES], order);
  const ident = (...bytes: number[]) => ({ ident: [0x7f, 0x45, 0x4c, 0x46, ...bytes] });
  const refused: [string, Partial<HeaderFields>, string][] = [
    ['ELFCLASS32', ident(1, little, 1), 'unsupported-class'],
    ['EI_CLASS 3', ident(3, little, 1), 'unsupported-class'],
    ['EI_VERSION 0', ident(2, little, 0), 'unknown-version'],
    ['EI_VERSION 2', ident(2, little, 2), 'unknown-version'],
    ['EI_DATA 0', ident(2, 0, 1), 'unknown-byte-order'],
    ['EI_DATA 3', ident(2, 3, 1), 'unknown-byte-order'],
    ['e_shoff 0', { e_shoff: 0n }, 'no-section-table'],
    ['e_shoff at the ceiling', { e_shoff: BigInt(EXTENT_CEILING) }, 'section-table-range'],
    ['e_shoff 2^63', { e_shoff: 2n ** 63n }, 'section-table-range'],
    ['e_shoff 2^64 - 128, so that the sum wraps', { e_shoff: 2n ** 64n - 128n }, 'section-table-range'],
    ['e_shstrndx = e_shnum', { e_shstrndx: 2 }, 'section-names-range'],
    ['e_shstrndx 0xfffe', { e_shstrndx: 0xfffe }, 'section-names-range'],
    ['e_shstrndx of another type', { e_shstrndx: 0 }, 'section-names-type'],
  ];
  test.each(refused)('%s', (_, fields, code) => {
    expect(carve(concat(new Uint8Array(5), header(fields, order), table))).toMatchObject({
      objects: [],
      rejected: { [code]: 1 },
      listed: [`5 ${code}`],
    });
  });

  test('the same when the name section lies beyond the window', () => {
    const far = header({ e_shoff: 600_000n }, order);
    const rows = sectionTable([NULL, { type: 1 }], order);
    expect(carve(concat(at(0, far, 600_000), rows)).rejected).toEqual({ 'section-names-type': 1 });
  });
});

describe.each(BOTH_ORDERS)('impossible claims of a section, %s endian:', (order) => {
  const claims: [string, bigint, bigint][] = [
    ['ends one past the ceiling', BigInt(EXTENT_CEILING), 1n],
    ['begins past the ceiling', 2n ** 40n, 1n],
    ['is larger than the ceiling', 64n, 2n ** 40n],
    ['wraps 2^64', 2n ** 64n - 4n, 8n],
    ['wraps to 0', 2n ** 64n - 1n, 1n],
    ['is above 2^53', 2n ** 53n, 2n ** 53n],
    ['is everything', 2n ** 64n - 1n, 2n ** 64n - 1n],
  ];
  test.each(claims)('one that %s is left out and named', (_, offset, size) => {
    const content = withSection({}, { type: 1, offset, size }, order);
    const { objects } = carve(concat(content, new Uint8Array(100)));
    expect(objects).toMatchObject([{ offset: 0, size: content.length, completeness: 'salvaged' }]);
    expect(objects[0]?.impossible).toHaveLength(1);
    expect(objects[0]?.impossible[0]).toMatch(/^section 2: .* end past 0x10000000$/);
  });

  test('one that ends at the ceiling is only truncated', () => {
    const content = withSection({}, { type: 1, offset: BigInt(EXTENT_CEILING) - 1n, size: 1n }, order);
    expect(places(content)).toEqual([`0+${content.length} truncated`]);
  });
});

/** A header and a table of three sections: null, names, and the one given. */
function withSection(
  fields: Partial<HeaderFields>,
  section: { readonly type: number; readonly offset: bigint; readonly size: bigint },
  order: 'little' | 'big' = 'little',
): Uint8Array {
  return concat(header({ e_shnum: 3, ...fields }, order), sectionTable([NULL, NAMES, section], order));
}

function tableOf(content: Uint8Array, order: 'little' | 'big'): number {
  return Number(new DataView(content.buffer, content.byteOffset).getBigUint64(40, order === 'little'));
}
