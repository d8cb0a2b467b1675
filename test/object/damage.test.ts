import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/diagnostics.ts';
import { ElfFile } from '../../src/elf/file.ts';
import { dataVariables, initialData, stringsIn } from '../../src/object/data.ts';
import { openObject } from '../../src/object/open.ts';
import { summarize } from '../../src/object/summarize.ts';
import type { FoundObject } from '../support/objects.ts';
import { GROUPS, sample } from './groups.ts';

const SAMPLES = ['globals', 'externs', 'filter', 'core'].flatMap((name) => [sample(name), sample(name, 'bpfeb')]);
/** By place: a counterexample should not print the object. */
const anySample = fc.nat(SAMPLES.length - 1);
const copyOf = (place: number) => SAMPLES[place]?.slice() ?? new Uint8Array(0);

/** Reads all there is to read, and checks what must hold for any bytes. */
function readEverything(bytes: Uint8Array): void {
  const object = openObject(bytes);
  const summary = summarize(object);
  expect(summary.programs.length).toBe(object.programs.length);
  expect(object.diagnostics.length).toBeLessThanOrEqual(101);
  for (const map of object.maps) {
    dataVariables(object, map);
    stringsIn(initialData(object, map));
  }
  for (const [index, relocations] of object.relocations.entries()) {
    const slots = (object.functions[index]?.code.length ?? 0) / 8;
    expect(relocations.every(({ instruction }) => instruction < slots)).toBe(true);
  }
  structuredClone(summary);
}

describe('random changes to samples', () => {
  test('of single bytes', () => {
    const change = fc.record({ at: fc.nat(), value: fc.nat(255) });
    fc.assert(
      fc.property(anySample, fc.array(change, { minLength: 1, maxLength: 16 }), (place, changes) => {
        const bytes = copyOf(place);
        for (const { at, value } of changes) bytes[at % bytes.length] = value;
        readOrRefuse(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  test('of the fields of section headers', () => {
    const extreme = fc.constantFrom(
      0n,
      1n,
      24n,
      0x7fff_ffffn,
      0xffff_ffffn,
      0x1f_ffff_ffff_ffffn,
      0xffff_ffff_ffff_ffffn,
    );
    const change = fc.record({ section: fc.nat(), word: fc.nat(7), value: extreme });
    fc.assert(
      fc.property(anySample, fc.array(change, { minLength: 1, maxLength: 4 }), (place, changes) => {
        const bytes = copyOf(place);
        const { header, littleEndian } = ElfFile.parse(bytes);
        const view = new DataView(bytes.buffer);
        for (const { section, word, value } of changes) {
          view.setBigUint64(header.e_shoff + 64 * (section % header.e_shnum) + 8 * word, value, littleEndian);
        }
        readOrRefuse(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});

test.each(GROUPS.filter(({ objects }) => objects.length > 0))(
  'objects of $group cut at every boundary of a section are still read',
  ({ objects }) => {
    for (const each of objects) for (const cut of boundaries(each)) readEverything(each.bytes.subarray(0, cut));
  },
);

test.each(['bpfel', 'bpfeb'] as const)('%s: damage to one part costs only that part', (order) => {
  const whole = openObject(sample('globals', order));
  const without = (name: string) => {
    const bytes = sample('globals', order).slice();
    const section = whole.elf.section(name);
    if (section) bytes.fill(0xee, section.offset, section.offset + section.size);
    return openObject(bytes);
  };
  expect(without('.BTF').programs.map(({ name }) => name)).toEqual(whole.programs.map(({ name }) => name));
  expect(without('.BTF').maps.map(({ name }) => name)).toEqual(whole.maps.map(({ name }) => name));
  expect(without('.BTF.ext').maps).toEqual(whole.maps);
  expect(without('.symtab').license).toBe('GPL');
  expect(without('.symtab').btf?.count).toBe(whole.btf?.count);
  expect(without('.BTF').diagnostics).toMatchObject([{ code: 'btf-magic' }]);
});

function boundaries({ bytes }: FoundObject): number[] {
  const { sections, header } = ElfFile.parse(bytes);
  const ends = sections.flatMap(({ offset, size }) => [offset, offset + size, offset + size - 1]);
  return [...new Set([...ends, header.e_shoff, header.e_shoff + 65])].filter((cut) => cut >= 64 && cut < bytes.length);
}

function readOrRefuse(bytes: Uint8Array): void {
  try {
    readEverything(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
}
