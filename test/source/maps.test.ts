import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseMaps, regionOf } from '../../src/source/maps.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const LINE = '55b2ab451000-55b2ab457000 r-xp 00002000 fe:00 260386                     /usr/bin/head\n';

describe('parseMaps', () => {
  test('takes a line apart', () => {
    expect(parseMaps(bytes(LINE)).mappings).toEqual([
      {
        start: 0x55b2ab451000,
        end: 0x55b2ab457000,
        permissions: 'r-xp',
        offset: 0x2000,
        device: 'fe:00',
        inode: 260386,
        path: '/usr/bin/head',
      },
    ]);
  });

  test('a mapping of nothing has no path', () => {
    const [mapping] = parseMaps(bytes('7ffff7d8b000-7ffff7d8e000 rw-p 00000000 00:00 0 \n')).mappings;
    expect(mapping).not.toHaveProperty('path');
  });

  test.each([
    ['spaces', '/tmp/a  b (deleted)', '/tmp/a  b (deleted)'],
    ['an escaped newline', '/tmp/a\\0127f00-7f01 r-xp', '/tmp/a\n7f00-7f01 r-xp'],
    ['a backslash', '/tmp/a\\b', '/tmp/a\\b'],
    ['UTF-8', '/tmp/\xc3\xa9', '/tmp/é'],
  ])('a path may hold %s', (_, written, path) => {
    expect(parseMaps(bytes(LINE.replace('/usr/bin/head', written))).mappings.map((found) => found.path)).toEqual([
      path,
    ]);
  });

  test('a path that is not UTF-8 keeps its bytes', () => {
    const [mapping] = parseMaps(bytes(LINE.replace('/usr/bin/head', '/tmp/\xff'))).mappings;
    expect(mapping?.path).toEqual(Uint8Array.from(bytes('/tmp/\xff')));
    expect(mapping && regionOf(mapping)).toMatchObject({ path: '/tmp/\\xff', pathBase64: 'L3RtcC//' });
  });

  test.each([
    ['7ffe3d1f0000-7ffe3d1f4000 r--p 00000000 00:00 0                          [vvar]', '[vvar]'],
    ['7ffe3d1f4000-7ffe3d1f6000 r--p 00000000 00:00 0                          [vvar_vclock]', '[vvar_vclock]'],
    ['ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]', '[vsyscall]'],
    ['ff00000000000000-ff00000000001000 rw-p 00000000 00:00 0', 'addresses beyond 2^53'],
    [
      '7f0000000000-7f0000001000 rw-s 00000000 00:0f 1036                       anon_inode:[io_uring]',
      'anon_inode:[io_uring]',
    ],
    ['7f0000000000-7f0000001000 rw-s 00000000 00:08 4711                       socket:[4711]', 'socket'],
  ])('%s is skipped', (line, rule) => {
    expect(parseMaps(bytes(`${line}\n`))).toEqual({ mappings: [], skipped: [rule] });
  });

  test('a file called like a mapping of the kernel is read', () => {
    expect(parseMaps(bytes(LINE.replace('/usr/bin/head', '/tmp/[vvar]'))).mappings).toHaveLength(1);
  });

  test('numbers beyond 2^53 stay exact', () => {
    const [mapping] = parseMaps(
      bytes('7f0000000000-7f0000001000 r--s 7ffffffffffff000 00:2d 18446744073709551615 /x\n'),
    ).mappings;
    expect(mapping).toMatchObject({ offset: '0x7ffffffffffff000', inode: '0xffffffffffffffff' });
  });

  test('a region leaves out what is not known', () => {
    const [mapping] = parseMaps(bytes('7ffff7d8b000-7ffff7d8e000 rw-p 00000000 00:00 0    [heap]\n')).mappings;
    expect(mapping && regionOf(mapping)).toEqual({
      start: '0x7ffff7d8b000',
      end: '0x7ffff7d8e000',
      permissions: 'rw-p',
      path: '[heap]',
    });
  });

  test('any bytes parse to something', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (text) => {
        parseMaps(text);
      }),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.nat(LINE.length), (text, at) => {
        parseMaps(bytes(LINE.slice(0, at) + text + LINE.slice(at)));
      }),
    );
  });
});
