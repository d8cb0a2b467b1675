import { expect, test } from 'vitest';
import { renderLiveJson, renderLiveNdjson } from '../../src/report/live-json.ts';
import { liveProgram, liveReport, REPORT } from './live-sample.ts';
import { diagnostic } from './sample.ts';

const DIAGNOSTICS = [diagnostic('/b'), diagnostic('/a')];

test('the document is the report, its diagnostics in order', () => {
  const text = [...renderLiveJson({ ...REPORT, diagnostics: DIAGNOSTICS })].join('');
  expect(JSON.parse(text)).toEqual({ ...REPORT, diagnostics: [diagnostic('/a'), diagnostic('/b')] });
  expect(text).toMatch(/^\{\n {2}"schemaVersion": 1,\n {2}"tool": /);
});

test('every program of the document has a line', () => {
  const lines = [...renderLiveJson(REPORT)].join('').split('\n');
  expect(lines.filter((line) => line.startsWith('    {"id":') && line.includes('"xlatedLength"'))).toHaveLength(8);
});

test('ndjson: what the kernel looks like, programs, diagnostics, the summary', () => {
  const lines = [...renderLiveNdjson({ ...REPORT, diagnostics: DIAGNOSTICS })].map((line) => JSON.parse(line));
  expect(lines.map(({ event }) => event)).toEqual([
    'start',
    ...REPORT.programs.map(() => 'program'),
    'diagnostic',
    'diagnostic',
    'summary',
  ]);
  expect(lines[0]).toMatchObject({ command: 'live', inconsistencies: REPORT.inconsistencies, groups: REPORT.groups });
  expect(lines[1]).toEqual({ event: 'program', ...REPORT.programs[0] });
  expect(lines.at(-1)).toEqual({ event: 'summary', finishedAt: REPORT.finishedAt, ...REPORT.summary });
});

test('no name reaches the terminal as it is', () => {
  const report = liveReport({ programs: [liveProgram(1, { name: '\u001b]0;owned\u0007\u202e' })] });
  for (const render of [renderLiveJson, renderLiveNdjson]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all but newline
    expect([...render(report)].join('')).not.toMatch(/[\x00-\x09\x0b-\x1f\u202e]/);
  }
});
