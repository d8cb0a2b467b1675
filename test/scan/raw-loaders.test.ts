// Programs that were loaded from bare arrays: found where the array lies or lay, and honestly unexplained where it was wiped.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LiveReport, live } from '../../src/index.ts';
import { renderLive } from '../../src/report/live.ts';
import { selectPrograms } from '../../src/report/live-select.ts';
import { PIPED } from '../report/render.ts';
import { type RawLoader, startRawLoader, UNABLE } from './raw-loader.ts';

describe.skipIf(UNABLE !== undefined)(`programs of bare arrays${UNABLE ? ` (skipped: ${UNABLE})` : ''}`, () => {
  let loader: RawLoader;
  let report: LiveReport;
  beforeAll(async () => {
    loader = await startRawLoader();
    report = await live({ jobs: 1 });
  });
  afterAll(() => loader?.stop());

  const program = (what: string) => {
    const found = report.programs.find(({ id }) => id === loader.programs.get(what));
    if (found === undefined) throw new Error(`no program ${what}`);
    return found;
  };
  const named = (start: string) => [...loader.programs.keys()].filter((what) => what.startsWith(start));

  test('are all seen, and held by their loader', () => {
    expect(loader.programs.size).toBe(13);
    for (const what of loader.programs.keys()) {
      expect(program(what).holders.map(({ pid }) => pid)).toEqual([loader.pid]);
    }
  });

  test('come from the heap where they are kept', () => {
    for (const what of named('kept')) {
      const { origin } = program(what);
      expect(origin, what).toMatchObject(inHeap(loader.pid));
      expect(origin?.object.repaired, what).toBeUndefined();
    }
  });

  test('come from the constants of their loader', () => {
    expect(program('constant').origin).toMatchObject({
      evidence: 'tag',
      object: {
        kind: 'instructions',
        source: { kind: 'process', pid: loader.pid },
        region: { path: expect.stringMatching(/\/raw-loader$/), permissions: 'r--p' },
      },
    });
  });

  test('come from chunks that were freed, once their first slots are put back', () => {
    for (const what of named('freed')) {
      expect(program(what).origin, what).toMatchObject({ ...inHeap(loader.pid), object: { repaired: true } });
    }
  });

  test('have the maps that their instructions hold', () => {
    for (const what of ['kept-map', 'kept-maps', 'freed-map', 'freed-maps']) {
      const { origin, mapIds } = program(what);
      expect(origin?.mapsAgree, what).toBe(true);
      expect(mapIds).toEqual(expect.arrayContaining([...(origin?.object.mapIds ?? [])]));
    }
    expect(program('kept-maps').origin?.object.mapIds).toHaveLength(2);
    expect(program('kept').origin).not.toHaveProperty('mapsAgree');
  });

  test('come from nowhere where they were wiped', () => {
    for (const what of named('wiped')) {
      const { origin, identicalTo, sameBytesAs, nearMisses } = program(what);
      expect({ origin, identicalTo, sameBytesAs, nearMisses }, what).toEqual({});
      expect(program(what).whyUnexplained).toContain(`nor in the memory of pid ${loader.pid} any more`);
    }
    expect(report.diagnostics.filter(({ where }) => where === `pid:${loader.pid}`)).toEqual([]);
  });

  test('are told apart in the text', () => {
    const selected = selectPrograms(report, { ids: new Set(loader.programs.values()), tags: new Set() });
    const text = [...renderLive(selected, PIPED)].join('');
    const [, unexplained = '', explained = ''] =
      /^(2 unexplained programs\n.*?)(11 explained programs\n.*)$/s.exec(text) ?? [];
    const shows = (part: string, what: string) => part.includes(` ${loader.programs.get(what)}  `);
    for (const what of loader.programs.keys()) {
      expect(shows(unexplained, what), what).toBe(what.startsWith('wiped'));
      expect(shows(explained, what), what).not.toBe(what.startsWith('wiped'));
    }
    expect(explained).toContain(
      `<- pid ${loader.pid} raw-loader  ${program('kept').origin?.object.address} in [heap]  instructions`,
    );
    expect(text).toContain('13 programs: 11 explained, 2 unexplained,');
  });

  test('of two loaders that are alike come from their own each', async () => {
    const other = await startRawLoader();
    try {
      const { programs } = await live({ jobs: 1 });
      for (const { pid, programs: ids } of [loader, other]) {
        for (const [what, id] of ids) {
          const { origin } = programs.find((each) => each.id === id) ?? {};
          if (what.startsWith('wiped')) expect(origin, what).toBeUndefined();
          else expect(origin, what).toMatchObject({ object: { source: { pid } } });
          if (what.endsWith('-map') || what.endsWith('-maps')) expect(origin?.mapsAgree).not.toBe(false);
        }
      }
    } finally {
      await other.stop();
    }
  });

  test('are not explained by files', async () => {
    const { programs } = await live({ jobs: 1, searchMemory: false });
    const ours = programs.filter(({ holders }) => holders.some(({ pid }) => pid === loader.pid));
    expect(ours).toHaveLength(13);
    for (const { origin } of ours) expect(origin).toBeUndefined();
  });
});

function inHeap(pid: number) {
  return {
    evidence: 'tag',
    relation: 'origin',
    object: {
      kind: 'instructions',
      source: { kind: 'process', pid, comm: 'raw-loader' },
      address: expect.stringMatching(/^0x[0-9a-f]+$/),
      region: { path: '[heap]', permissions: 'rw-p' },
    },
  };
}
