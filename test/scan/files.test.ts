// What happens to a file while it is read: by stages of the examination, between which the file is changed, and by errors
// of the system that no file can be made to give.
import * as fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Diagnostic } from '../../src/diagnostics.ts';
import type { CarvedObject } from '../../src/scan/events.ts';
import { Examination } from '../../src/scan/examination.ts';
import { FileExaminer, type LargeFile } from '../../src/scan/examine.ts';
import { object } from '../carve/bytes.ts';
import { newTree, type Tree } from '../source/tree.ts';

/** Set by a test: answers for a read at a place, or says nothing. */
const fault = vi.hoisted((): { read?: (at: number) => 'EIO' | undefined; size?: number } => ({}));

vi.mock('node:fs', async (importOriginal) => {
  const actual = await importOriginal<typeof fs>();
  return {
    ...actual,
    readSync(descriptor: number, target: NodeJS.ArrayBufferView, offset: number, length: number, at: number) {
      if (fault.read?.(at) === 'EIO') throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
      return actual.readSync(descriptor, target, offset, length, at);
    },
    fstatSync(descriptor: number) {
      const stats = actual.fstatSync(descriptor);
      return fault.size === undefined ? stats : Object.assign(stats, { size: fault.size });
    },
  };
});

const MIB = 2 ** 20;
const SIZE = 80 * MIB;
const whole = object('little', 'GPL'.padEnd(700));

let tree: Tree;
let objects: CarvedObject[];
let diagnostics: Diagnostic[];
let examination: Examination;
let files: FileExaminer;
beforeEach(() => {
  tree = newTree();
  objects = [];
  diagnostics = [];
  const findings = {
    object: (found: CarvedObject) => void objects.push(found),
    diagnostic: (diagnostic: Diagnostic) => void diagnostics.push(diagnostic),
  };
  const options = {
    follow: false,
    content: false,
    raw: { files: false, processes: true },
    split: true,
    kernel: { btf: 'none' },
  } as const;
  examination = new Examination(options, findings, () => false);
  files = new FileExaminer(examination);
});
afterEach(() => {
  delete fault.read;
  delete fault.size;
  tree.remove();
});

/** Writes a file of 80 MiB with objects at 1, 30 and 70 MiB, and looks at its beginning. */
function begin(): LargeFile {
  const descriptor = fs.openSync(tree.at('large'), 'w');
  const filler = Buffer.alloc(MIB, 'A');
  for (let at = 0; at < SIZE; at += MIB) fs.writeSync(descriptor, filler, 0, MIB, at);
  for (const place of [1, 30, 70]) fs.writeSync(descriptor, whole, 0, whole.length, place * MIB);
  fs.closeSync(descriptor);
  const large = files.examineFile({ path: tree.at('large'), named: false, shortReads: false });
  if (large === undefined) throw new Error('a file of this size is split');
  return large;
}

function end(large: LargeFile): void {
  const answers = large.ranges.map((range) => files.searchSegments(large, [range]));
  const failure = answers.find((answer) => answer.failure)?.failure;
  files.finishLarge(large, [large.head, ...answers.flatMap(({ parts }) => parts)], failure);
}

const offsets = () => objects.map(({ offset }) => (offset ?? 0) / MIB);
const said = () => diagnostics.map(({ severity, code, where }) => `${severity} ${code} ${where}`);

describe('a large file between its pieces', () => {
  test('that stays as it is gives all', () => {
    end(begin());
    expect(offsets()).toEqual([1, 30, 70]);
    expect(diagnostics).toEqual([]);
  });

  test('that shrinks gives what is left and says so once', () => {
    const large = begin();
    fs.truncateSync(tree.at('large'), 30 * MIB + 100);
    end(large);
    expect(objects.map(({ offset, size, completeness }) => [offset, size, completeness])).toEqual([
      [MIB, whole.length, 'whole'],
      [30 * MIB, 100, 'truncated'],
    ]);
    expect(said()).toEqual([`warning shrunk ${tree.at('large')}`]);
    expect(diagnostics[0]?.message).toContain(`ended at ${30 * MIB + 100} of`);
    expect(examination.tally.unreadable).toBe(1);
  });

  test('that shrinks to what was read at first says so', () => {
    const large = begin();
    fs.truncateSync(tree.at('large'), 3 * MIB);
    end(large);
    expect(offsets()).toEqual([1]);
    expect(said()).toEqual([`warning shrunk ${tree.at('large')}`]);
  });

  test('that grows gives what it had', () => {
    const large = begin();
    fs.appendFileSync(tree.at('large'), whole);
    end(large);
    expect(offsets().slice(0, 3)).toEqual([1, 30, 70]);
    expect(diagnostics).toEqual([]);
  });

  test('that vanishes is one diagnostic', () => {
    const large = begin();
    fs.unlinkSync(tree.at('large'));
    end(large);
    expect(objects).toEqual([]);
    expect(said()).toEqual([`warning ENOENT ${tree.at('large')}`]);
    expect(examination.tally.unreadable).toBe(1);
  });

  test('that is replaced is one diagnostic, and nothing of the other file', () => {
    const large = begin();
    fs.writeFileSync(tree.at('other'), Buffer.concat([Buffer.alloc(MIB), whole]));
    fs.renameSync(tree.at('other'), tree.at('large'));
    end(large);
    expect(objects).toEqual([]);
    expect(said()).toEqual([`warning replaced ${tree.at('large')}`]);
  });

  test('that a symbolic link takes the place of is not followed', () => {
    const large = begin();
    fs.unlinkSync(tree.at('large'));
    fs.symlinkSync('/etc/passwd', tree.at('large'));
    end(large);
    expect(said()).toEqual([`warning ELOOP ${tree.at('large')}`]);
  });

  test('with a bad sector in one piece gives the others, and one diagnostic', () => {
    const large = begin();
    fault.read = (at) => (at >= 40 * MIB && at < 48 * MIB ? 'EIO' : undefined);
    end(large);
    expect(offsets()).toEqual([1, 30, 70]);
    expect(said()).toEqual([`warning EIO ${tree.at('large')}`]);
    expect(diagnostics[0]?.message).toContain('cannot read at');
    expect(examination.tally.unreadable).toBe(1);
  });

  test('with a bad sector at its end is not called shrunk', () => {
    const large = begin();
    fault.read = (at) => (at >= 71 * MIB ? 'EIO' : undefined);
    end(large);
    expect(said()).toEqual([`warning EIO ${tree.at('large')}`]);
    expect(offsets()).toEqual([1, 30, 70]);
  });
});

describe('a file of one piece', () => {
  test('with a bad sector gives what lies before it, and the error', () => {
    tree.file('bad', Buffer.concat([whole, Buffer.alloc(MIB), whole]));
    fault.read = (at) => (at >= MIB / 2 ? 'EIO' : undefined);
    files.examineFile({ path: tree.at('bad'), named: true, shortReads: true });
    expect(objects).toMatchObject([{ offset: 0, completeness: 'whole' }]);
    expect(said()).toEqual([`warning EIO ${tree.at('bad')}`]);
  });

  test('that says it is empty and is not, is read to its end', () => {
    const descriptor = fs.openSync(tree.at('odd'), 'w');
    fs.writeSync(descriptor, Buffer.alloc(20 * MIB, 'A'), 0, 20 * MIB, 0);
    fs.writeSync(descriptor, whole, 0, whole.length, 19 * MIB);
    fs.closeSync(descriptor);
    fault.size = 0;
    files.examineFile({ path: tree.at('odd'), named: true, shortReads: true });
    expect(offsets()).toEqual([19]);
    expect(objects).toMatchObject([{ source: { size: 20 * MIB }, completeness: 'whole' }]);
    expect(examination.tally).toMatchObject({ bytes: 20 * MIB, sources: 1, unreadable: 0 });
    expect(diagnostics).toEqual([]);
  });

  test('that is a device by now is not read on', () => {
    fs.symlinkSync('/dev/zero', tree.at('zero'));
    files.examineFile({ path: tree.at('zero'), named: true, shortReads: true });
    expect(said()).toEqual([`error not-regular ${tree.at('zero')}`]);
  });

  test('with a name that is not UTF-8 that cannot be opened is told by its bytes', () => {
    const path = Uint8Array.from(Buffer.from(`${tree.root}/\xff`, 'latin1'));
    files.examineFile({ path, named: true, shortReads: true });
    expect(diagnostics).toMatchObject([
      {
        severity: 'error',
        code: 'ENOENT',
        where: `${tree.root}/\\xff`,
        pathBase64: Buffer.from(path).toString('base64'),
      },
    ]);
  });
});
