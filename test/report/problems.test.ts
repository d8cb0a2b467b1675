import { expect, test } from 'vitest';
import { renderProblems } from '../../src/report/problems.ts';
import { PIPED } from './render.ts';

test('a path that is not UTF-8 is shown by its bytes, and a backslash in its name stays apart from them', () => {
  const where = '/tmp/\\xff\\xff';
  const pathBase64 = Buffer.from('/tmp/\xff\\xff', 'latin1').toString('base64');
  const diagnostic = { severity: 'warning', code: 'EACCES', message: 'cannot open', where } as const;
  expect(renderProblems([{ ...diagnostic, pathBase64 }], PIPED)).toBe(
    'warning  /tmp/\\xff\\\\xff: cannot open (EACCES)\n',
  );
  expect(renderProblems([diagnostic], PIPED)).toBe('warning  /tmp/\\\\xff\\\\xff: cannot open (EACCES)\n');
});
