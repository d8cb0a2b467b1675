import { describe, expect, test } from 'vitest';
import { formatBytes, formatDuration, plural } from '../../src/report/units.ts';

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [656, '656 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [3304, '3.2 KiB'],
    [114_808, '112.1 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [4_400_000_000, '4.1 GiB'],
    [2 ** 60, '1.0 EiB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('formatDuration', () => {
  test.each([
    [0, '0 ms'],
    [12, '12 ms'],
    [999.7, '1.0 s'],
    [1900, '1.9 s'],
    [59_960, '1 min 0 s'],
    [125_000, '2 min 5 s'],
    [3_720_000, '1 h 2 min'],
  ])('%d ms are %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

test('one is singular, large counts are grouped', () => {
  expect(plural(1, 'object')).toBe('1 object');
  expect(plural(0, 'object')).toBe('0 objects');
  expect(plural(5120, 'source')).toBe('5,120 sources');
});
