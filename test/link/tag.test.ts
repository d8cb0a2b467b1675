import { describe, expect, test } from 'vitest';
import { isBefore, normaliseCode, tagAlgorithms, tagCode } from '../../src/link/tag.ts';
import { code, type Instruction } from '../support/elf-builder.ts';

const EXIT: Instruction = { code: 0x95 };
const SECOND: Instruction = { code: 0 };

/** Two maps and a type, each by a constant of 64 bits. */
const REFERENCES: readonly Instruction[] = [
  { code: 0x18, dst: 1, src: 1, imm: 7 },
  SECOND,
  { code: 0x18, dst: 2, src: 2, imm: 9 },
  { code: 0, imm: 16 },
  { code: 0x18, dst: 3, src: 3, imm: 5 },
  SECOND,
  { code: 0xb7 },
  EXIT,
];

test('numbers of maps and offsets into them do not count, types do', () => {
  expect(Buffer.from(normaliseCode(code('little', REFERENCES), true)).toString('hex')).toBe(
    '18110000000000000000000000000000182200000000000000000000000000001803000005000000'.replace('1803', '1833') +
      '0000000000000000b7000000000000009500000000000000',
  );
});

test('references are found in the byte order of the code', () => {
  const normal = Buffer.from(normaliseCode(code('big', REFERENCES), false)).toString('hex');
  expect(normal).toBe(
    '18110000000000000000000000000000182200000000000000000000000000001833000000000005' +
      '0000000000000000b7000000000000009500000000000000',
  );
});

test('a tag has the first eight bytes of the digest', () => {
  expect(tagCode(code('little', REFERENCES.with(4, { code: 0x18, dst: 3, imm: 5 })), true)).toEqual({
    sha1: '6d14cca5ac7e7095',
    sha256: 'b6f14c5a3d230fbc',
  });
});

describe('the kernel zeroes', () => {
  const normal = (instructions: readonly Instruction[]) =>
    Buffer.from(normaliseCode(code('little', instructions), true)).toString('hex');

  test('only what follows a reference directly', () => {
    const lone = [SECOND, { code: 0, imm: 5 }];
    expect(normal(lone)).toBe('00000000000000000000000005000000'.padEnd(32, '0'));
  });

  test('nothing in a second slot that is more than an immediate', () => {
    expect(
      normal([
        { code: 0x18, dst: 1, src: 1, imm: 7 },
        { code: 0, dst: 1, imm: 5 },
      ]),
    ).toBe('18110000000000000001000005000000');
  });

  test('no reference in place of the second slot of another', () => {
    const twice = { code: 0x18, dst: 1, src: 1, imm: 7 };
    expect(normal([twice, twice])).toBe('18110000000000001811000007000000');
  });

  test('the immediate of a reference at the very end', () => {
    expect(normal([{ code: 0x18, dst: 1, src: 1, imm: 7 }])).toBe('1811000000000000');
  });
});

test('bytes after the last whole slot are not part of the code', () => {
  const whole = code('little', [{ code: 0xb7 }, EXIT]);
  expect(tagCode(new Uint8Array([...whole, 1, 2, 3]), true)).toEqual(tagCode(whole, true));
});

describe('programs that loaders write themselves', () => {
  test('a program that returns 1 or 0', () => {
    expect(tagCode(code('little', [{ code: 0xb7, imm: 1 }, EXIT]), true)).toEqual({
      sha1: '57cd311f2e27366b',
      sha256: 'b11459a0e11ca14c',
    });
    expect(tagCode(code('little', [{ code: 0xb7 }, EXIT]), true)).toEqual({
      sha1: 'a04f5eef06a7f555',
      sha256: '59f4a931744dcdc6',
    });
  });

  test("systemd's IP accounting", () => {
    expect(tagCode(code('little', accounting()), true)).toEqual({
      sha1: '7dc8126e8768ea37',
      sha256: '6144bc3db46d80b4',
    });
  });
});

/** What systemd 252 writes for IPAccounting=yes: a verdict from r8, then packets and bytes counted in an array. */
function accounting(): Instruction[] {
  const [r0, r1, r2, skb, protocol, verdict, frame] = [0, 1, 2, 6, 7, 8, 10];
  const add = (key: number, amount: Instruction): Instruction[] => [
    { code: 0xb7, dst: r0, imm: key },
    { code: 0x63, dst: frame, src: r0, off: -4 },
    { code: 0xbf, dst: r2, src: frame },
    { code: 0x07, dst: r2, imm: -4 },
    { code: 0x18, dst: r1, src: 1, imm: 12 },
    SECOND,
    { code: 0x85, imm: 1 },
    { code: 0x15, dst: r0, off: 2 },
    amount,
    { code: 0xdb, dst: r0, src: r1 },
  ];
  return [
    { code: 0xbf, dst: skb, src: r1 },
    { code: 0x61, dst: protocol, src: skb, off: 16 },
    { code: 0xb4, dst: verdict },
    { code: 0xb7, dst: r0, imm: 1 },
    { code: 0x55, dst: verdict, off: 1, imm: 2 },
    { code: 0xb7, dst: r0 },
    { code: 0x15, dst: r0, off: 21 },
    ...add(0, { code: 0xb7, dst: r1, imm: 1 }),
    ...add(1, { code: 0x61, dst: r1, src: skb }),
    { code: 0xb7, dst: r0, imm: 1 },
    EXIT,
  ];
}

test('kernels hash with SHA-256 from 6.18 on', () => {
  expect(tagAlgorithms('6.17.9')).toEqual(['sha1', 'sha256']);
  expect(tagAlgorithms('6.18.44-amd64')).toEqual(['sha256', 'sha1']);
  expect(tagAlgorithms('7.0-rc1')).toEqual(['sha256', 'sha1']);
  expect(tagAlgorithms('5.16.0')).toEqual(['sha1', 'sha256']);
});

test('releases compare by number', () => {
  expect(isBefore('5.4.0-150-generic', 5, 5)).toBe(true);
  expect(isBefore('5.10.0', 5, 5)).toBe(false);
  expect(isBefore('not a release', 5, 5)).toBe(false);
});
