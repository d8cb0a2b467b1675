// Programs that were loaded from bare arrays: found where the array lies or lay, and honestly unexplained where it was wiped.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LiveReport, live } from '../../src/index.ts';
import { renderLive } from '../../src/report/live.ts';
import { selectPrograms } from '../../src/report/live-select.ts';
import { PIPED } from '../report/render.ts';
import { isLost, type RawLoader, startRawLoader, UNABLE } from './raw-loader.ts';

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
    expect(loader.programs.size).toBe(24);
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

  test('come from a chunk of a kept twin no more than from a wiped one', () => {
    expect(program('kept-twin').origin).toBeDefined();
    expect(program('kept-twin').origin?.object).not.toHaveProperty('repaired');
    expect(program('wiped-twin').origin).toBeUndefined();
  });

  test('come from nowhere where another program may have lain there as well', () => {
    for (const what of named('unclear')) expect(program(what).origin, what).toBeUndefined();
  });

  test('come from a chunk that may be of two when the other has one of its own, which is said', () => {
    const [kept, freed] = ['kept-pair', 'freed-pair'].map((what) => program(what).origin);
    expect(freed?.assumptions).toEqual([expect.stringMatching(/^each of the 2 programs/)]);
    expect(freed?.object.address).not.toBe(kept?.object.address);
    expect(program('freed').origin).not.toHaveProperty('assumptions');
  });

  test('come from nowhere where the first slots are lost in what is no heap', () => {
    for (const what of named('spoiled')) expect(program(what).origin, what).toBeUndefined();
  });

  test('come from any address, aligned or not', () => {
    expect(Number(program('kept-unaligned').origin?.object.address) % 8).toBe(3);
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
      /^(7 unexplained programs\n.*?)(17 explained programs\n.*)$/s.exec(text) ?? [];
    const shows = (part: string, what: string) => part.includes(` ${loader.programs.get(what)}  `);
    for (const what of loader.programs.keys()) {
      expect(shows(unexplained, what), what).toBe(isLost(what));
      expect(shows(explained, what), what).not.toBe(isLost(what));
    }
    expect(explained).toContain(
      `<- pid ${loader.pid} raw-loader  ${program('kept').origin?.object.address} in [heap]  instructions`,
    );
    expect(text).toContain('24 programs: 17 explained, 7 unexplained,');
  });

  test('say what is proof of a freed one', () => {
    const ids = new Set([loader.programs.get('freed') as number]);
    const text = [...renderLive(selectPrograms(report, { ids, tags: new Set() }), PIPED, true)].join('');
    expect(text).toContain('equal tag (sha256) with its first instructions taken from what the kernel shows\n');
    expect(text).toContain('the first instructions there were overwritten: the others alone say that it lay there\n');
  });

  test('of two loaders that are alike come from their own each', async () => {
    const other = await startRawLoader();
    try {
      const { programs } = await live({ jobs: 1 });
      for (const { pid, programs: ids } of [loader, other]) {
        for (const [what, id] of ids) {
          const { origin } = programs.find((each) => each.id === id) ?? {};
          if (isLost(what)) expect(origin, what).toBeUndefined();
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
    expect(ours).toHaveLength(24);
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
