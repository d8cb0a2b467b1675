import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBtfExt } from '../../src/btf/ext.ts';
import { FormatError } from '../../src/diagnostics.ts';
import { extBytes } from './build.ts';

describe.each([
  ['little', true],
  ['big', false],
] as const)('%s endian', (_order, little) => {
  test('func info, line info and CO-RE relocations read back, sections in order', () => {
    const ext = parseBtfExt(
      extBytes(
        [
          ...[32, 0, 20, 20, 28, 48, 52],
          ...[8, 100, 1, 0, 7],
          ...[16, 100, 1, 8, 11, 22, (5 << 10) | 3],
          ...[16, 100, 1, 16, 9, 33, 2, 200, 1, 24, 9, 44, 0],
        ],
        little,
      ),
    );
    expect(ext).toEqual({
      littleEndian: little,
      funcInfo: [{ name: 100, records: [{ insnOffset: 0, type: 7 }] }],
      lineInfo: [{ name: 100, records: [{ insnOffset: 8, fileName: 11, text: 22, line: 5, column: 3 }] }],
      coreRelocations: [
        { name: 100, records: [{ insnOffset: 16, type: 9, access: 33, kind: 2 }] },
        { name: 200, records: [{ insnOffset: 24, type: 9, access: 44, kind: 0 }] },
      ],
      diagnostics: [],
    });
  });

  test('records larger than known are stepped through by their own size', () => {
    const ext = parseBtfExt(extBytes([24, 0, 36, 0, 0, 12, 1, 2, 0, 7, 99, 8, 8, 99], little));
    expect(ext.funcInfo).toEqual([
      {
        name: 1,
        records: [
          { insnOffset: 0, type: 7 },
          { insnOffset: 8, type: 8 },
        ],
      },
    ]);
  });

  test('a header longer than the known one is honoured', () => {
    const ext = parseBtfExt(extBytes([40, 0, 20, 0, 0, 0, 0, 55, 55, 8, 1, 1, 0, 7], little));
    expect(ext.funcInfo).toHaveLength(1);
  });
});

test('a header of 24 bytes has no CO-RE relocations', () => {
  expect(parseBtfExt(extBytes([24, 0, 0, 0, 0])).coreRelocations).toEqual([]);
});

test('a malformed part costs only that part, from its bad section on', () => {
  const ext = parseBtfExt(extBytes([24, 0, 28, 28, 16, 8, 1, 1, 0, 7, 2, 1000, 8, 1, 1, 0]));
  expect(ext.funcInfo).toEqual([{ name: 1, records: [{ insnOffset: 0, type: 7 }] }]);
  expect(ext.lineInfo).toEqual([]);
  expect(ext.diagnostics).toEqual([
    {
      severity: 'warning',
      code: 'out-of-bounds',
      where: '.BTF.ext func info',
      message: '1000 records of 8 bytes at 0x34 end past 0x34',
    },
    {
      severity: 'warning',
      code: 'btf-ext-record',
      where: '.BTF.ext line info',
      message: 'records of 8 bytes, at least 16 needed',
    },
  ]);
});

test('any bytes are .BTF.ext or a format error', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(fc.nat(64), { maxLength: 64 }), (little, words) => {
      try {
        parseBtfExt(extBytes(words, little));
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
  );
});
