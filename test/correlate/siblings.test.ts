// Programs that differ in the overwritten slots alone: whose a freed array was is known only when all have one.
import { describe, expect, test } from 'vitest';
import { proofsAmong } from '../../src/correlate/siblings.ts';
import type { ProvenArray } from '../../src/correlate/tag-search.ts';

describe('a freed array', () => {
  test('that can be of one program only is proof, wherever else one lies', () => {
    const places = [place(0x10, 'a'), place(0x20, 'a')];
    expect(proofsAmong(places, programs('a', 'b'), [])).toEqual(places.flatMap(({ arrays }) => arrays));
  });

  test('that can be of two is none', () => {
    expect(proofsAmong([place(0x10, 'a', 'b')], programs('a', 'b'), [])).toEqual([]);
  });

  test('is of the one of two that has no other', () => {
    const [proof, ...others] = proofsAmong([place(0x10, 'a', 'b')], programs('a', 'b'), [array(0x20, 'b')]);
    expect(proof).toMatchObject({ offset: 0x10, tag: 'a', assumptions: [expect.stringContaining('2 programs')] });
    expect(others).toEqual([]);
  });

  test('is not of that one when the other was loaded twice', () => {
    expect(proofsAmong([place(0x10, 'a', 'b')], programs('a', 'b', 'b'), [array(0x20, 'b')])).toEqual([]);
  });

  test('or several copies of the other make no difference', () => {
    const copies = [array(0x20, 'b'), array(0x30, 'b')];
    expect(proofsAmong([place(0x10, 'a', 'b')], programs('a', 'b'), copies)).toMatchObject([{ tag: 'a' }]);
  });

  test('may be of either of two that both were freed', () => {
    const places = [place(0x10, 'a', 'b'), place(0x20, 'a', 'b')];
    const proofs = proofsAmong(places, programs('a', 'b'), []);
    expect(proofs.map(({ offset, tag }) => [offset, tag])).toEqual([
      [0x10, 'a'],
      [0x10, 'b'],
      [0x20, 'a'],
      [0x20, 'b'],
    ]);
    expect(proofsAmong([...places, place(0x30, 'a', 'b')], programs('a', 'b'), [])).toEqual([]);
  });
});

function place(offset: number, ...tags: readonly string[]) {
  return { arrays: tags.map((tag) => array(offset, tag)) };
}

function array(offset: number, tag: string): ProvenArray {
  return { offset, slots: 9, tag, algorithm: 'sha256', mapFds: [], code: new Uint8Array(72) };
}

function programs(...tags: readonly string[]) {
  return tags.map((tag) => ({ tag, xlated: new Uint8Array(72) }));
}
