import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { collectReport } from '../../src/report/collect.ts';
import { documentPieces, renderJson } from '../../src/report/json.ts';
import { renderNdjson } from '../../src/report/ndjson.ts';
import { PIPED, render } from './render.ts';
import { carved, DIAGNOSTICS, OBJECTS, START, SUMMARY, scanOf } from './sample.ts';

describe('json', () => {
  test('is the report', async () => {
    const text = await render(renderJson, scanOf(OBJECTS, DIAGNOSTICS));
    expect(JSON.parse(text)).toEqual(await collectReport(scanOf(OBJECTS, DIAGNOSTICS)));
  });

  test('has a line for every object', async () => {
    const text = await render(renderJson, scanOf(OBJECTS, DIAGNOSTICS));
    expect(text.split('\n').filter((line) => line.includes('"sha256"'))).toHaveLength(OBJECTS.length);
    expect(text.endsWith('}\n')).toBe(true);
  });

  test('comes in pieces no longer than an object', async () => {
    const objects = Array.from({ length: 50 }, (_, at) => carved('/host', at * 4096));
    for await (const piece of renderJson(scanOf(objects), PIPED)) expect(piece.length).toBeLessThan(1000);
  });

  test('brings back any document', () => {
    const documents = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary' }));
    fc.assert(
      fc.property(documents, (document) => {
        expect(JSON.parse([...documentPieces(document)].join(''))).toEqual(JSON.parse(JSON.stringify(document)));
      }),
    );
  });
});

describe('ndjson', () => {
  test('is one event a line, in order of completion, without progress or bytes', async () => {
    const [object] = OBJECTS;
    const [diagnostic] = DIAGNOSTICS;
    if (!object || !diagnostic) throw new Error('the sample is empty');
    const text = await render(renderNdjson, scanOf([object], [diagnostic]));
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      START,
      { event: 'object', ...object },
      { event: 'diagnostic', ...diagnostic },
      { event: 'summary', finishedAt: '2026-01-02T03:04:07.578Z', ...SUMMARY, objects: 1, distinct: 1 },
    ]);
  });

  test('names with line breaks of any kind stay on their line', async () => {
    const text = await render(renderNdjson, scanOf([carved('/a\n\r\u0085\u2028\u2029b', 0)]));
    expect(text.split(/[\n\r\u0085\u2028\u2029]/u)).toHaveLength(4);
  });
});
