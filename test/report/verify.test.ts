import { describe, expect, test } from 'vitest';
import type { VerifyReport } from '../../src/evidence/verify.ts';
import { renderVerify, renderVerifyJson } from '../../src/report/verify.ts';
import { PIPED } from './render.ts';

const CLEAN: VerifyReport = { directory: '/evidence', files: 12, bytes: 3_565_158, differences: [] };
const DAMAGED: VerifyReport = {
  ...CLEAN,
  differences: [
    { kind: 'changed', path: 'objects/a.bpf.o', message: 'it is 12 bytes, the manifest says 13' },
    { kind: 'extra', path: 'objects/\u001b[2J', message: 'the dump has no such regular file' },
  ],
};

describe('renderVerify', () => {
  test('says in one line that all is as it was', () => {
    expect(renderVerify(CLEAN, PIPED)).toBe('/evidence: 12 files, 3.4 MiB, all as the manifest says\n');
  });

  test('names every difference', () => {
    expect(renderVerify(DAMAGED, PIPED)).toBe(`\
changed     objects/a.bpf.o: it is 12 bytes, the manifest says 13
extra       objects/\\x1b[2J: the dump has no such regular file
/evidence: 2 differences in 12 files, 3.4 MiB
`);
  });

  test('counts the differences that are not listed', () => {
    expect(renderVerify({ ...DAMAGED, omitted: 3 }, PIPED)).toContain(
      'and 3 more differences\n/evidence: 5 differences',
    );
  });

  test('wraps on 60 columns', () => {
    expect(
      renderVerify(DAMAGED, { ...PIPED, width: 60 })
        .split('\n')
        .slice(0, 2),
    ).toEqual(['changed     objects/a.bpf.o: it is 12 bytes, the manifest', '            says 13']);
  });

  test('with -q only differences are printed', () => {
    expect(renderVerify(CLEAN, { ...PIPED, quiet: true })).toBe('');
  });
});

test('renderVerifyJson is the report with its schema', () => {
  expect(JSON.parse([...renderVerifyJson(DAMAGED)].join(''))).toEqual({
    schemaVersion: 1,
    command: 'verify',
    ...DAMAGED,
  });
});
