import { expect, test } from 'vitest';
import { isSelected, selectPrograms } from '../../src/report/live-select.ts';
import { COPIES, liveMap, REPORT, SNOOP, TRACER } from './live-sample.ts';

const NONE = { ids: new Set<number>(), tags: new Set<string>() };

test('an id picks its program, with the maps and links of it and no others', () => {
  const links = [
    { id: 7, type: 'perf_event', programId: 900, holders: [], pins: [], knownFrom: 'bpf' },
    { id: 9, type: 'perf_event', programId: 110, holders: [], pins: [], knownFrom: 'bpf' },
  ] as const;
  const maps = [...REPORT.maps, liveMap(99)];
  const picked = selectPrograms({ ...REPORT, links, maps }, { ...NONE, ids: new Set([900]) });
  expect(picked.programs).toEqual([TRACER]);
  expect(picked.maps.map(({ id }) => id)).toEqual([29, 32]);
  expect(picked.links.map(({ id }) => id)).toEqual([7]);
  expect(picked.groups).toEqual([]);
});

test('what is counted is what was picked; what is inconsistent stays', () => {
  const picked = selectPrograms(REPORT, { ids: new Set([110, 900]), tags: new Set() });
  expect(picked.summary).toMatchObject({ programs: 2, explained: 1, unexplained: 1, sources: 120 });
  expect(picked.inconsistencies).toEqual(REPORT.inconsistencies);
});

test('a tag picks all copies and their group', () => {
  const picked = selectPrograms(REPORT, { ...NONE, tags: new Set([COPIES.tag]) });
  expect(picked.programs.map(({ id }) => id)).toEqual([5, 6, 7, 8, 9, 10]);
  expect(picked.groups).toHaveLength(1);
});

test('the tag of a function picks its program', () => {
  const selection = { ...NONE, tags: new Set(['10e060f1f65ee396']) };
  expect(isSelected(TRACER, selection)).toBe(true);
  expect(isSelected(SNOOP, selection)).toBe(false);
});

test('pins of a picked program and of its maps are kept', () => {
  const pin = { mode: 0o600, uid: 0, pinnedAt: '2026-01-02T03:04:05.000Z' };
  const pins = [
    { ...pin, path: '/sys/fs/bpf/secret', kind: 'program', id: 900 },
    { ...pin, path: '/sys/fs/bpf/events', kind: 'map', id: 29 },
    { ...pin, path: '/sys/fs/bpf/other', kind: 'program', id: 29 },
    { ...pin, path: '/sys/fs/bpf/unknown' },
  ] as const;
  const picked = selectPrograms({ ...REPORT, pins }, { ...NONE, ids: new Set([900]) });
  expect(picked.pins.map(({ path }) => path)).toEqual(['/sys/fs/bpf/secret', '/sys/fs/bpf/events']);
});
