import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  openSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAt } from '../../src/bytes/reader.ts';
import { OpenFile } from '../../src/source/file.ts';
import { isSparse, storedRanges } from '../../src/source/holes.ts';
import { libc, whyNoLibc } from '../../src/sys/libc.ts';
import { newTree, type Tree } from './tree.ts';

let tree: Tree;
let file: OpenFile | undefined;
beforeEach(() => {
  tree = newTree();
});
afterEach(() => {
  file?.close();
  file = undefined;
  tree.remove();
});

function open(name: string, follow = false, shortReads = true): OpenFile {
  file = new OpenFile(tree.at(name), { follow, shortReads });
  return file;
}
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe('an open file', () => {
  test('gives its bytes by position, as far as they go', () => {
    tree.file('a', '0123456789');
    const reader = open('a');
    expect(text(readAt(reader, 2, 3))).toBe('234');
    expect(text(readAt(reader, 8, 10))).toBe('89');
    expect(text(readAt(reader, 100, 10))).toBe('');
    expect(reader.failure).toBeUndefined();
  });

  test('that grows gives what was added; that shrinks gives less, without complaint', () => {
    tree.file('a', '0123456789');
    const reader = open('a');
    appendFileSync(tree.at('a'), 'abc');
    expect(text(readAt(reader, 8, 10))).toBe('89abc');
    truncateSync(tree.at('a'), 4);
    expect(text(readAt(reader, 2, 10))).toBe('23');
    expect(reader.failure).toBeUndefined();
  });

  test('that is replaced or unlinked stays the one that was opened', () => {
    tree.file('a', 'old');
    tree.file('b', 'new');
    const reader = open('a');
    renameSync(tree.at('b'), tree.at('a'));
    expect(text(readAt(reader, 0, 3))).toBe('old');
    unlinkSync(tree.at('a'));
    expect(text(readAt(reader, 0, 3))).toBe('old');
  });

  test('behind a link is opened only when links are followed', () => {
    tree.file('a', 'x');
    symlinkSync('a', tree.at('link'));
    expect(() => open('link')).toThrow(/ELOOP/);
    expect(text(readAt(open('link', true), 0, 1))).toBe('x');
  });

  test('that a FIFO took the place of is opened without waiting for a writer', () => {
    spawnSync('mkfifo', [tree.at('fifo')]);
    expect(open('fifo').stats.isFile()).toBe(false);
  });

  test('keeps its access time', () => {
    tree.file('a', 'x');
    utimesSync(tree.at('a'), 1, 1_000_000_000);
    readAt(open('a'), 0, 1);
    expect(statSync(tree.at('a')).atimeMs).toBe(1000);
  });

  test('that cannot be read says why, once, and gives nothing', () => {
    const reader = new OpenFile('/proc/self/mem', { follow: true, shortReads: true });
    file = reader;
    expect(readAt(reader, 0, 8)).toHaveLength(0);
    expect(readAt(reader, 16, 8)).toHaveLength(0);
    expect(reader.failure).toMatchObject({ severity: 'warning', code: 'EIO', where: '/proc/self/mem' });
    expect(reader.failure?.message).toContain('cannot read at 0');
  });

  test('with a name that is not UTF-8 has its exact bytes in what it says', () => {
    tree.file(Buffer.from('\xff', 'latin1'), 'x');
    const path = Uint8Array.from(Buffer.from(`${tree.root}/\xff`, 'latin1'));
    file = new OpenFile(path, { follow: false, shortReads: false });
    expect(text(readAt(file, 0, 1))).toBe('x');
    expect(file.name).toEqual({ path: `${tree.root}/\\xff`, pathBase64: Buffer.from(path).toString('base64') });
  });
});

const sys = libc();
describe.skipIf(sys === undefined)(`holes${sys ? '' : ` (koffi is not available: ${whyNoLibc()})`}`, () => {
  const MIB = 2 ** 20;

  /** A sparse file with 4 KiB of data at each place. */
  function sparse(size: number, ...places: readonly number[]): OpenFile {
    const descriptor = openSync(tree.at('sparse'), 'w');
    ftruncateSync(descriptor, size);
    for (const place of places) writeSync(descriptor, Buffer.alloc(4096, 1), 0, 4096, place);
    closeSync(descriptor);
    return open('sparse');
  }
  const ranges = (opened: OpenFile, from = 0) => (sys === undefined ? [] : storedRanges(opened, from, sys));

  test('are left out of the stored ranges', () => {
    const opened = sparse(100 * MIB, 0, 50 * MIB);
    expect(isSparse(opened)).toBe(true);
    expect(ranges(opened)).toEqual([
      { from: 0, to: 4096 },
      { from: 50 * MIB, to: 50 * MIB + 4096 },
    ]);
  });

  test('before the place asked for do not matter', () => {
    expect(ranges(sparse(100 * MIB, 0, 50 * MIB), 8 * MIB)).toEqual([{ from: 50 * MIB, to: 50 * MIB + 4096 }]);
    expect(ranges(sparse(100 * MIB, 50 * MIB), 50 * MIB + 100)).toEqual([
      { from: 50 * MIB + 100, to: 50 * MIB + 4096 },
    ]);
  });

  test('that are short are read like data', () => {
    expect(ranges(sparse(100 * MIB, 0, 64 * 1024))).toEqual([{ from: 0, to: 64 * 1024 + 4096 }]);
  });

  test('only: there is nothing to read', () => {
    expect(ranges(sparse(100 * MIB))).toEqual([]);
  });

  test('beyond 2^32 and up to 100 GiB are where they are', () => {
    expect(ranges(sparse(100 * 1024 * MIB, 50 * 1024 * MIB))).toEqual([
      { from: 50 * 1024 * MIB, to: 50 * 1024 * MIB + 4096 },
    ]);
  });

  test('a file without any is one range', () => {
    tree.file('full', Buffer.alloc(3 * MIB));
    const opened = open('full');
    expect(isSparse(opened)).toBe(false);
    expect(ranges(opened)).toEqual([{ from: 0, to: 3 * MIB }]);
  });

  test('of a file that was emptied since: none', () => {
    const opened = sparse(100 * MIB, 50 * MIB);
    expect(opened.stats.size).toBe(100 * MIB);
    writeFileSync(tree.at('sparse'), '');
    expect(ranges(opened)).toEqual([]);
  });
});
