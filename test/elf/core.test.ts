import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryReader, readAt } from '../../src/bytes/reader.ts';
import { CoreMemory, readCoreFile } from '../../src/elf/core.ts';

interface Load {
  readonly address: bigint;
  readonly content: Uint8Array;
  /** Of the mapping, when more than was dumped. */
  readonly memory?: number;
  /** Where its bytes lie in the file; default: behind the one before. */
  readonly offset?: number;
}
interface Mapped {
  readonly start: bigint;
  readonly end: bigint;
  readonly page: bigint;
  readonly path: string;
}

/** A core file, written by offset from the ELF specification and fill_files_note() of the kernel. */
function coreOf(loads: readonly Load[], mapped: readonly Mapped[] = [], little = true, type = 4): Uint8Array {
  const note = noteOf(mapped, little);
  const file = new Uint8Array(0x10000);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, little ? 1 : 2, 1]);
  view.setUint16(16, type, little);
  view.setUint16(18, 62, little);
  view.setBigUint64(32, 64n, little);
  view.setUint16(54, 56, little);
  view.setUint16(56, loads.length + 1, little);
  let at = 64 + 56 * (loads.length + 1);
  segment(view, 64, little, [4, 0, at, 0n, note.length, 0]);
  file.set(note, at);
  at += note.length;
  for (const [index, { address, content, memory, offset }] of loads.entries()) {
    const place = offset ?? at;
    const row = [1, 5, place, address, content.length, memory ?? content.length] as const;
    segment(view, 64 + 56 * (index + 1), little, row);
    file.set(content, place);
    at = Math.max(at, place + content.length);
  }
  return file.subarray(0, at);
}

function segment(
  view: DataView,
  at: number,
  little: boolean,
  [type, flags, offset, address, fileSize, memorySize]: readonly [number, number, number, bigint, number, number],
): void {
  view.setUint32(at, type, little);
  view.setUint32(at + 4, flags, little);
  view.setBigUint64(at + 8, BigInt(offset), little);
  view.setBigUint64(at + 16, address, little);
  view.setBigUint64(at + 32, BigInt(fileSize), little);
  view.setBigUint64(at + 40, BigInt(memorySize), little);
}

function noteOf(mapped: readonly Mapped[], little: boolean): Uint8Array {
  const names = new TextEncoder().encode(mapped.map(({ path }) => `${path}\0`).join(''));
  const size = 16 + 24 * mapped.length + names.length;
  const note = new Uint8Array(20 + Math.ceil(size / 4) * 4);
  const view = new DataView(note.buffer);
  view.setUint32(0, 5, little);
  view.setUint32(4, size, little);
  view.setUint32(8, 0x46494c45, little);
  note.set(new TextEncoder().encode('CORE'), 12);
  view.setBigUint64(20, BigInt(mapped.length), little);
  view.setBigUint64(28, 4096n, little);
  for (const [index, { start, end, page }] of mapped.entries()) {
    for (const [word, value] of [start, end, page].entries())
      view.setBigUint64(36 + 24 * index + 8 * word, value, little);
  }
  note.set(names, 36 + 24 * mapped.length);
  return note;
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const open = (file: Uint8Array) => readCoreFile(memoryReader(file), file.length);

function memoryOf(file: Uint8Array): CoreMemory {
  return new CoreMemory(memoryReader(file), open(file) ?? expect.fail('is no core file'));
}

describe('a core file', () => {
  test.each([true, false])('tells segments and mapped files, little endian: %s', (little) => {
    const file = coreOf(
      [{ address: 0x7000n, content: bytes(1, 2, 3), memory: 0x1000 }],
      [{ start: 0x7000n, end: 0x9000n, page: 2n, path: '/usr/bin/a b' }],
      little,
    );
    expect(open(file)).toMatchObject({
      segments: [{ start: 0x7000, end: 0x8000, stored: 3, flags: 5 }],
      mappings: [{ start: 0x7000, end: 0x9000, offset: 0x2000, path: new TextEncoder().encode('/usr/bin/a b') }],
    });
  });

  test('is not any other ELF file', () => {
    expect(open(coreOf([], [], true, 2))).toBeUndefined();
    expect(open(bytes(0x7f, 0x45, 0x4c, 0x46))).toBeUndefined();
  });

  test('is read across segments that adjoin in memory, wherever they are in the file', () => {
    const memory = memoryOf(
      coreOf([
        { address: 0x1003n, content: bytes(4, 5, 6), offset: 0x400 },
        { address: 0x1000n, content: bytes(1, 2, 3), offset: 0x800 },
      ]),
    );
    expect(readAt(memory, 0x1001, 10)).toEqual(bytes(2, 3, 4, 5, 6));
    expect(memory.spans).toEqual([{ from: 0x1000, to: 0x1006 }]);
    expect(memory.seams).toEqual([0x1003]);
    expect([memory.offsetOf(0x1004), memory.addressOf(0x401)]).toEqual([0x401, 0x1004]);
  });

  test('ends a read where bytes were not dumped', () => {
    const memory = memoryOf(
      coreOf([
        { address: 0x1000n, content: bytes(1, 2), memory: 16 },
        { address: 0x1010n, content: bytes(3) },
      ]),
    );
    expect(readAt(memory, 0x1000, 64)).toEqual(bytes(1, 2));
    expect(memory.spans).toHaveLength(2);
  });

  test('that is cut off gives what is there', () => {
    const file = coreOf([{ address: 0x1000n, content: new Uint8Array(100).fill(7) }]);
    expect(open(file.subarray(0, file.length - 60))?.segments).toMatchObject([{ stored: 40 }]);
  });

  test('segments that overlap one before are left out', () => {
    const file = coreOf([
      { address: 0x1000n, content: bytes(1, 2, 3) },
      { address: 0x1001n, content: bytes(9) },
    ]);
    expect(open(file)?.segments).toMatchObject([{ start: 0x1000 }]);
  });

  test('addresses beyond 2^53 are left out', () => {
    expect(open(coreOf([{ address: 0xffffffffff600000n, content: bytes(1) }]))?.segments).toEqual([]);
  });

  test('with any bytes damaged is still one, or none', () => {
    const file = coreOf(
      [
        { address: 0x1000n, content: bytes(1, 2, 3) },
        { address: 0x1003n, content: bytes(4) },
      ],
      [{ start: 0x1000n, end: 0x2000n, page: 0n, path: '/x' }],
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 12 }),
        (damage) => {
          const damaged = Uint8Array.from(file);
          for (const [at, value] of damage) damaged[at] = value;
          const core = open(damaged);
          if (core) readAt(new CoreMemory(memoryReader(damaged), core), 0x1000, 64);
        },
      ),
    );
  });
});
