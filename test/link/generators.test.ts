// Generated code against what the programs themselves were seen to load: the tags come from running kernels.
import { expect, test } from 'vitest';
import { isValidCode } from '../../src/insn/slot-rules.ts';
import { generatedCode, generatorsOf, generatorsOfCode } from '../../src/link/generators.ts';
import { deviceProgram, firewallProgram, readDeviceProgram, STATIC_DEVICES } from '../../src/link/systemd.ts';
import { tagCode } from '../../src/link/tag.ts';

const NULL = { type: 'char', major: 1, minor: 3, access: 'rw' } as const;

test('what systemd 252 loads for IP accounting', () => {
  const code = firewallProgram({ direction: 'ingress', accounting: true }, true);
  expect(code.length / 8).toBe(29);
  expect(tagCode(code, true)).toEqual({ sha1: '7dc8126e8768ea37', sha256: '6144bc3db46d80b4' });
});

test.each([
  ['egress', '45838e6308508c1f', '382499396e4288b0'],
  ['ingress', 'd246aedc957a78d9', 'dc4440985c3e9697'],
] as const)('what systemd 252 loads for an address filter with accounting, %s', (direction, sha1, sha256) => {
  const code = firewallProgram({ direction, accounting: true, allow4: true, deny4: true }, true);
  expect(code.length / 8).toBe(59);
  expect(tagCode(code, true)).toEqual({ sha1, sha256 });
});

test('what systemd 252 loads for a closed device policy and /dev/null, where there is no /dev/ptmx', () => {
  const rules = [...STATIC_DEVICES.filter(({ major, minor }) => major !== 5 || minor !== 2), NULL];
  const code = deviceProgram(rules, true);
  expect(code.length / 8).toBe(55);
  expect(tagCode(code, true)).toEqual({ sha1: '283d43910608f0b5', sha256: '0ac0c611c43126fa' });
});

const RULES =
  'char 1:3 rwm, char 1:5 rwm, char 1:7 rwm, char 1:8 rwm, char 1:9 rwm, char 5:0 rwm, char 0:0 rwm, block 0:0 rwm, char 136:* rw, char 1:3 rw';

test.each(['283d43910608f0b5', '0ac0c611c43126fa'])('its tag %s alone tells so, on any machine', (tag) => {
  expect(generatorsOf(tag).map(({ generator, what, slots }) => [generator, what, slots])).toEqual([
    ['systemd', `device filter: ${RULES}`, 55],
  ]);
});

test.each([
  ['57cd311f2e27366b', 'return 1'],
  ['b11459a0e11ca14c', 'return 1'],
  ['a04f5eef06a7f555', 'return 0'],
  ['59f4a931744dcdc6', 'return 0'],
])('%s is %s, which anybody writes', (tag, what) => {
  expect(generatorsOf(tag).map((each) => [each.generator, each.what.slice(0, 8)])).toEqual([['any', what]]);
});

test('an unexplained tag of a machine far away is answered from the tag alone', () => {
  expect(generatorsOf('7dc8126e8768ea37').map(({ generator, what, slots }) => [generator, what, slots])).toEqual([
    ['systemd', 'IP accounting', 29],
  ]);
  expect(generatorsOf('0000000000000000')).toEqual([]);
});

test('a device filter is read back into its rules', () => {
  const rules = [
    ...STATIC_DEVICES,
    NULL,
    { type: 'block', access: 'rm' },
    { type: 'char', major: 10, access: 'r' },
  ] as const;
  expect(readDeviceProgram(deviceProgram(rules, true), true)).toEqual(rules);
  expect(readDeviceProgram(deviceProgram(rules, false), false)).toEqual(rules);
});

test('a device filter of any rules is recognised by its instructions, if these are what was loaded', () => {
  const code = deviceProgram([NULL, { type: 'block', major: 8, access: 'r' }, { type: 'char', access: 'm' }], true);
  const { sha1, sha256 } = tagCode(code, true);
  for (const tag of [sha1, sha256]) {
    expect(generatorsOfCode(code, tag)).toMatchObject([
      { generator: 'systemd', what: 'device filter: char 1:3 rw, block 8:* r, char *:* m', slots: code.length / 8 },
    ]);
  }
  expect(generatorsOfCode(code, '0000000000000000')).toEqual([]);
  const other = code.slice(0, 80);
  expect(generatorsOfCode(other, tagCode(other, true).sha256)).toEqual([]);
});

test('a device filter with anything changed is none', () => {
  const code = deviceProgram([NULL], true);
  for (let at = 0; at < code.length; at++) {
    const changed = code.slice();
    changed[at] = (changed[at] ?? 0) ^ 0x40;
    const rules = readDeviceProgram(changed, true);
    if (rules !== undefined) expect(deviceProgram(rules, true)).toEqual(changed);
  }
  expect(readDeviceProgram(new Uint8Array(0), true)).toBeUndefined();
});

test('all of it is valid code in both byte orders', () => {
  for (const little of [true, false]) {
    for (const { what, code } of generatedCode(little)) expect([what, isValidCode(code, little)]).toEqual([what, true]);
  }
});
