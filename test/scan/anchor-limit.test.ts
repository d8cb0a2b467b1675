import { expect, test } from 'vitest';
import type { Candidates } from '../../src/carve/search.ts';
import { AnchorLimit } from '../../src/scan/anchor-limit.ts';

const LIMIT = 1 << 22;

function part(exits: number, returns = 0): Candidates {
  const anchors = {
    exits: new Array<number>(exits).fill(1),
    btf: [],
    returns: new Array<number>(returns).fill(1),
    loaders: [],
    dropped: 1,
    droppedReturns: 2,
  };
  return { offsets: [5], seen: 1, rejected: {}, listed: [], anchors };
}

test('parts are kept as they are while there is room', () => {
  const parts = [part(3), part(LIMIT - 3)];
  expect(new AnchorLimit().keep(parts)).toEqual(parts);
});

test('of what does not fit the number is kept, and its headers', () => {
  const limit = new AnchorLimit();
  limit.keep([part(LIMIT - 1)]);
  expect(limit.keep([part(2, 3), part(1)])).toMatchObject([
    { offsets: [5], anchors: { exits: [], returns: [], dropped: 3, droppedReturns: 5 } },
    { anchors: { exits: [1], dropped: 1 } },
  ]);
});
