import { expect, test } from 'vitest';
import { type SearchedPlaces, whyUnexplained } from '../../src/scan/why-unexplained.ts';

const ALL: SearchedPlaces = {
  origins: true,
  memory: true,
  capture: false,
  seesHolders: true,
  sources: 9,
  processes: new Set([1, 2, 3]),
};

function why(pids: readonly number[], places: Partial<SearchedPlaces> = {}): string | undefined {
  const holders = pids.map((pid) => ({ pid, comm: 'tool', via: ['prog-fd' as const] }));
  return whyUnexplained({ holders, knownFrom: 'bpf' }, { ...ALL, ...places });
}

test('a program whose holder was searched has no code there any more', () => {
  expect(why([2])).toMatch(/memory of pid 2 any more.*overwritten/);
  expect(why([1, 2])).toMatch(/pids 1, 2 any more/);
});

test('of many holders a few are named', () => {
  expect(why([1, 2, 3, 4, 5, 6], { processes: new Set([1, 2, 3, 4, 5, 6]) })).toMatch(/pids 1, 2, 3, 4 and 2 more any/);
});

test('a program that no process holds was looked for all the same', () => {
  expect(why([])).toMatch(/^no process holds it/);
  expect(why([], { seesHolders: false })).toMatch(/^who holds it was not to be seen/);
});

test('what was not searched is said', () => {
  expect(why([7])).toBe('the memory of pid 7, which holds it, could not be searched');
  expect(why([2], { memory: false })).toMatch(/memory was not searched/);
  expect(why([], { capture: true })).toMatch(/who holds it is out of reach/);
  expect(why([], { capture: true, sources: 0 })).toMatch(/nothing was searched/);
  expect(why([2], { cutShort: 'time' })).toMatch(/in the time/);
  expect(why([2], { cutShort: 'interrupted' })).toMatch(/interrupted/);
});

test('where no origin was asked for there is nothing to say', () => {
  expect(why([2], { origins: false })).toBeUndefined();
});

test('what only a list of symbols tells of may be no program at all', () => {
  expect(whyUnexplained({ holders: [], knownFrom: 'kallsyms' }, ALL)).toMatch(/may also be a subprogram/);
});
