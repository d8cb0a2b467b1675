import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { derivedNames, objectNames, reduceName } from '../../src/evidence/names.ts';
import { objectOf, recordOf } from './build.ts';

const SAFE = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/;

describe('reduceName', () => {
  test.each([
    ['opensnoop', 'opensnoop'],
    ['libbpf.so.1', 'libbpf.so.1'],
    ['größe', 'gr__e'],
    ['a b\nc', 'a_b_c'],
    ['\u001b]0;owned\u0007', '__0_owned_'],
    ['-rf', '_rf'],
    ['.hidden', '_hidden'],
    ['..', '__'],
    ['.-.x', '___x'],
    ['a\\xff', 'a_xff'],
    ['', 'unnamed'],
    ['😀', '_'],
    ['x'.repeat(255), 'x'.repeat(100)],
  ])('reduces %j to %j', (name, reduced) => {
    expect(reduceName(name)).toBe(reduced);
  });

  test('makes any name safe', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => SAFE.test(reduceName(name))),
      { numRuns: 2000 },
    );
  });

  test('leaves safe names as they are', () => {
    fc.assert(fc.property(fc.stringMatching(SAFE), (name) => reduceName(name) === name));
  });
});

describe('objectNames', () => {
  test('says host, offset and digest', () => {
    const [preferred] = objectNames({
      ...objectOf('x', '/usr/sbin/opensnoop', 230584),
      sha256: '5d2c0f1be6a7'.padEnd(64, '9'),
    });
    expect(preferred).toBe('opensnoop-0x384b8-5d2c0f1be6a7.bpf.o');
  });

  test.each([
    ['light-skeleton', 'lskel'],
    ['instructions', 'insns'],
    ['classic-filter', 'sock_filter'],
    ['btf', 'btf'],
  ] as const)('says that a %s is one', (kind, suffix) => {
    const record = { ...recordOf(kind, 'x', '/usr/sbin/strace', 0x1f40), sha256: '5d2c0f1be6a7'.padEnd(64, '9') };
    expect(objectNames(record)[0]).toBe(`strace-0x1f40-5d2c0f1be6a7.${suffix}`);
    expect(derivedNames(record, 'e80f2afc3a13'.padEnd(64, '0'))[0]).toBe('strace-0x1f40-e80f2afc3a13.bpf.o');
  });

  test('says stdin for standard input', () => {
    const object = { ...objectOf('x'), source: { kind: 'stdin', size: 5 }, offset: 0 } as const;
    expect(objectNames(object)[0]).toMatch(/^stdin-0x0-[0-9a-f]{12}\.bpf\.o$/);
  });

  test('is one safe path component of at most 255 bytes for any path and offset', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.maxSafeNat(), (path, offset) => {
        for (const name of objectNames(objectOf('x', path, offset))) {
          expect(name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]*-0x[0-9a-f]+-[0-9a-f]{12,64}\.bpf\.o$/);
          expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        }
      }),
    );
  });
});
