import { expect, test } from 'vitest';
import { collectReport } from '../../src/report/collect.ts';
import { carved, diagnostic, START, scanOf } from './sample.ts';

const base64 = (...bytes: number[]) => Buffer.from(bytes).toString('base64');

test('objects are sorted by the bytes of their paths, then by offset, standard input last', async () => {
  const objects = [
    carved('', 64, { source: { kind: 'stdin' } }),
    carved('/b', 0x100),
    carved('/\uffee', 0),
    carved('/\u{1f600}', 0),
    carved('/\\xc3', 0, { source: { kind: 'file', path: '/\\xc3', pathBase64: base64(0x2f, 0xc3), size: 1 } }),
    carved('/b', 0x20),
    carved('/é', 0),
    carved('/B', 0x300),
  ];
  const report = await collectReport(scanOf(objects));
  expect(report.objects.map(({ source, offset }) => [source.kind === 'file' ? source.path : '-', offset])).toEqual([
    ['/B', 0x300],
    ['/b', 0x20],
    ['/b', 0x100],
    ['/\\xc3', 0],
    ['/é', 0],
    ['/\uffee', 0],
    ['/\u{1f600}', 0],
    ['-', 64],
  ]);
});

test('diagnostics are sorted by place, with offsets by their value', async () => {
  const places = ['/b', '/a 0x1000', '/a 0x20', '/a', '/a 0xfff'];
  const report = await collectReport(
    scanOf(
      [],
      places.map((where) => diagnostic(where)),
    ),
  );
  expect(report.diagnostics.map(({ where }) => where)).toEqual(['/a', '/a 0x20', '/a 0xfff', '/a 0x1000', '/b']);
});

test('the order is the same in whatever order things were found', async () => {
  const objects = [carved('/a', 1), carved('/a', 2), carved('/b', 1)];
  const diagnostics = [diagnostic('/x'), diagnostic('/x', { code: 'EIO' }), diagnostic('/w')];
  const one = await collectReport(scanOf(objects, diagnostics));
  const other = await collectReport(scanOf(objects.toReversed(), diagnostics.toReversed()));
  expect(other).toEqual(one);
});

test('the document has no bytes of objects and no progress', async () => {
  const report = await collectReport(scanOf([carved('/a', 0)]));
  expect(Object.keys(report)).toEqual([
    'schemaVersion',
    'tool',
    'command',
    'startedAt',
    'finishedAt',
    'host',
    'objects',
    'diagnostics',
    'summary',
  ]);
  expect(report.objects[0]).toEqual(carved('/a', 0));
});

test('a stream that breaks off is a bug', async () => {
  const cut = (async function* () {
    yield START;
  })();
  await expect(collectReport(cut)).rejects.toThrow('begin with start and end with summary');
});
