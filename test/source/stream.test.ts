import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAt } from '../../src/bytes/reader.ts';
import { StreamReader } from '../../src/source/stream.ts';

const MIB = 2 ** 20;

async function* pieces(content: Uint8Array, ...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < content.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield content.subarray(at, at + size);
    at += size;
  }
}

const content = Uint8Array.from({ length: 3 * MIB + 12_345 }, (_, index) => (index * 31 + (index >> 10)) & 0xff);
const open = (...sizes: readonly number[]) => new StreamReader(pieces(content, ...sizes), 'the stream');
const same = (bytes: Uint8Array, from: number, to: number) => Buffer.compare(bytes, content.subarray(from, to)) === 0;

describe('a stream', () => {
  test.each([[[65_536]], [[1, 70_000]], [[MIB]], [[MIB + 1]], [[5 * MIB]]])(
    'in pieces of %j gives its bytes by position',
    async (sizes) => {
      const input = open(...sizes);
      await input.fetch(10 * MIB);
      expect(input.length).toBe(content.length);
      fc.assert(
        fc.property(fc.nat(content.length + 10), fc.nat(20_000), (at, length) => {
          expect(same(readAt(input, at, length), at, Math.min(at + length, content.length))).toBe(true);
        }),
      );
    },
  );

  test('is fetched only as far as asked, and gives only what was fetched', async () => {
    const input = open(1000);
    expect(readAt(input, 0, 10)).toHaveLength(0);
    await input.fetch(1500);
    expect(input.length).toBe(2000);
    expect(readAt(input, 1990, 100)).toHaveLength(10);
  });

  test('forgets what is released, but for its first block', async () => {
    const input = open(100_000);
    await input.fetch(3 * MIB);
    input.release(2 * MIB + 5);
    expect(same(readAt(input, 10, 100), 10, 110)).toBe(true);
    expect(readAt(input, MIB, 100)).toHaveLength(0);
    expect(readAt(input, 2 * MIB - 1, 100)).toHaveLength(0);
    expect(same(readAt(input, 2 * MIB, 100), 2 * MIB, 2 * MIB + 100)).toBe(true);
    await input.fetch(10 * MIB);
    expect(same(readAt(input, 3 * MIB, 20_000), 3 * MIB, content.length)).toBe(true);
  });

  test('that breaks keeps what came and says why', async () => {
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield content.subarray(0, 100);
      throw Object.assign(new Error('read'), { code: 'EIO' });
    }
    const input = new StreamReader(breaking(), 'the stream');
    await input.fetch(1000);
    await input.fetch(2000);
    expect(input.length).toBe(100);
    expect(input.failure).toMatchObject({
      code: 'EIO',
      where: 'the stream',
      message: expect.stringContaining('cannot read at 100'),
    });
  });

  test('without bytes ends at once', async () => {
    const input = new StreamReader(pieces(new Uint8Array(0), 1), 'the stream');
    await input.fetch(1);
    expect(input.length).toBe(0);
    expect(input.failure).toBeUndefined();
  });
});
