import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verifyEvidence } from '../../src/evidence/evidence.ts';
import { dumpOf, fileOf, sha256, temporaryDirectory } from './build.ts';

const ONE = fileOf('one');

test('a dump as it was written has no difference', async () => {
  const dump = await dumpOf('one', 'three');
  expect(verifyEvidence(dump)).toEqual({
    directory: dump,
    manifestSha256: sha256(readFileSync(join(dump, 'manifest.json'))),
    files: 2,
    bytes: 8,
    differences: [],
  });
});

test('an object larger than a read is hashed whole', async () => {
  const big = Buffer.alloc(5_000_000, 7);
  const dump = await dumpOf(big);
  expect(verifyEvidence(dump)).toMatchObject({ bytes: 5_000_000, differences: [] });
  flipByte(join(dump, fileOf(big)), 4_999_999);
  expect(verifyEvidence(dump).differences).toMatchObject([{ kind: 'changed', path: fileOf(big) }]);
});

test('an empty object is fine', async () => {
  expect(verifyEvidence(await dumpOf(''))).toMatchObject({ files: 1, bytes: 0, differences: [] });
});

describe('an object', () => {
  test('with one byte flipped is changed, with both digests', async () => {
    const dump = await dumpOf('one', 'two');
    flipByte(join(dump, ONE), 1);
    expect(verifyEvidence(dump).differences).toEqual([
      { kind: 'changed', path: ONE, message: `sha256 is ${sha256('ooe')}, the manifest says ${sha256('one')}` },
    ]);
  });

  test.each([
    ['appended to', (path: string) => appendFileSync(path, '!'), 4],
    ['truncated', (path: string) => truncateSync(path, 2), 2],
    ['emptied', (path: string) => truncateSync(path, 0), 0],
  ])('%s is changed, with both sizes', async (_what, change, size) => {
    const dump = await dumpOf('one');
    change(join(dump, ONE));
    expect(verifyEvidence(dump).differences).toEqual([
      { kind: 'changed', path: ONE, message: `it is ${size} bytes, the manifest says 3` },
    ]);
  });

  test('deleted is missing', async () => {
    const dump = await dumpOf('one', 'two');
    unlinkSync(join(dump, ONE));
    expect(verifyEvidence(dump).differences).toEqual([{ kind: 'missing', path: ONE, message: 'it does not exist' }]);
  });

  test('renamed is missing under one name and extra under the other', async () => {
    const dump = await dumpOf('one');
    renameSync(join(dump, ONE), join(dump, 'objects/other'));
    expect(kinds(dump)).toEqual([`missing ${ONE}`, 'extra objects/other']);
  });

  test.each([
    ['a symbolic link to the same bytes', (path: string, aside: string) => symlinkSync(aside, path), 'symbolic link'],
    ['a directory', (path: string) => mkdirSync(path), 'directory'],
    ['a FIFO', (path: string) => execFileSync('mkfifo', [path]), 'FIFO'],
  ])('exchanged for %s is changed', async (_what, plant, type) => {
    const dump = await dumpOf('one');
    const aside = join(temporaryDirectory(), 'aside');
    writeFileSync(aside, 'one');
    unlinkSync(join(dump, ONE));
    plant(join(dump, ONE), aside);
    expect(verifyEvidence(dump).differences).toEqual([
      { kind: 'changed', path: ONE, message: `it is a ${type}, not a regular file` },
    ]);
  });

  test('that is a hard link of the same bytes is still the same bytes', async () => {
    const dump = await dumpOf('one');
    linkSync(join(dump, ONE), join(temporaryDirectory(), 'elsewhere'));
    expect(verifyEvidence(dump).differences).toEqual([]);
  });
});

describe('an extra', () => {
  test.each([
    ['file in the directory', 'note.txt'],
    ['file among the objects', 'objects/another.bpf.o'],
    ['hidden file', 'objects/.hidden'],
    ['temporary of an interrupted dump', 'objects/.partial-00112233445566778899aabbccddeeff'],
  ])('%s is named', async (_what, path) => {
    const dump = await dumpOf('one');
    writeFileSync(join(dump, path), '');
    expect(verifyEvidence(dump).differences).toEqual([
      { kind: 'extra', path, message: 'the dump has no such regular file' },
    ]);
  });

  test('directory is named with everything below it', async () => {
    const dump = await dumpOf('one');
    mkdirSync(join(dump, 'objects/deep/deeper'), { recursive: true });
    writeFileSync(join(dump, 'objects/deep/deeper/file'), '');
    expect(kinds(dump)).toEqual(['extra objects/deep', 'extra objects/deep/deeper', 'extra objects/deep/deeper/file']);
  });

  test('symbolic link is named and not followed', async () => {
    const dump = await dumpOf('one');
    symlinkSync('/usr', join(dump, 'link'));
    symlinkSync('.', join(dump, 'objects/loop'));
    expect(kinds(dump)).toEqual(['extra objects/loop', 'extra link']);
  });

  test('FIFO is named and not opened', async () => {
    const dump = await dumpOf('one');
    execFileSync('mkfifo', [join(dump, 'pipe')]);
    expect(verifyEvidence(dump).differences).toMatchObject([{ kind: 'extra', path: 'pipe', message: /FIFO/ }]);
  });

  test('name that is not UTF-8 is shown with its bytes, and what is below it found', async () => {
    const dump = await dumpOf('one');
    const odd = Buffer.concat([Buffer.from(`${dump}/objects/a`), Buffer.from([0xff, 0xfe]), Buffer.from('b\n')]);
    mkdirSync(odd);
    writeFileSync(Buffer.concat([odd, Buffer.from('/x')]), '');
    expect(kinds(dump)).toEqual(['extra objects/a\\xff\\xfeb\n', 'extra objects/a\\xff\\xfeb\n/x']);
  });

  test('tree deeper than any path is named down to a limit', async () => {
    const dump = await dumpOf('one');
    execFileSync('sh', ['-c', 'for i in $(seq 80); do mkdir deep-directory-with-a-name && cd -P deep*; done'], {
      cwd: join(dump, 'objects'),
    });
    const { differences } = verifyEvidence(dump);
    execFileSync('rm', ['-rf', join(dump, 'objects')]);
    expect(differences).toHaveLength(65);
    expect(differences.at(-1)?.message).toBe('the dump has no such directory; what is below was not looked at');
  });
});

describe('objects/', () => {
  test('that is gone is missing, and so is each file', async () => {
    const dump = await dumpOf('one');
    rmSync(join(dump, 'objects'), { recursive: true });
    expect(kinds(dump)).toEqual(['missing objects', `missing ${ONE}`]);
  });

  test('that became a symbolic link is not followed, even to the same files', async () => {
    const dump = await dumpOf('one');
    renameSync(join(dump, 'objects'), `${dump}.aside`);
    symlinkSync(`${dump}.aside`, join(dump, 'objects'));
    expect(kinds(dump)).toEqual(['changed objects', `missing ${ONE}`]);
  });
});

describe('the manifest', () => {
  test('edited is changed, with both digests, as sha256sum -c says too', async () => {
    const dump = await dumpOf('one');
    const path = join(dump, 'manifest.json');
    const before = sha256(readFileSync(path));
    writeFileSync(path, readFileSync(path, 'utf8').replace('opensnoop', 'opensnoot'));
    expect(verifyEvidence(dump).differences).toContainEqual({
      kind: 'changed',
      path: 'manifest.json',
      message: `sha256 is ${sha256(readFileSync(path))}, manifest.json.sha256 says ${before}`,
    });
    expect(() => execFileSync('sha256sum', ['--status', '-c', 'manifest.json.sha256'], { cwd: dump })).toThrow();
  });

  test('missing is one difference, without one for each object', async () => {
    const dump = await dumpOf('one');
    unlinkSync(join(dump, 'manifest.json'));
    expect(verifyEvidence(dump)).toEqual({
      directory: dump,
      files: 0,
      bytes: 0,
      differences: [{ kind: 'missing', path: 'manifest.json', message: 'it does not exist' }],
    });
  });

  test('behind a symbolic link is not read', async () => {
    const dump = await dumpOf('one');
    renameSync(join(dump, 'manifest.json'), `${dump}.manifest`);
    symlinkSync(`${dump}.manifest`, join(dump, 'manifest.json'));
    expect(kinds(dump)).toEqual(['changed manifest.json']);
  });

  test('of more than 256 MiB is not read', async () => {
    const dump = await dumpOf('one');
    truncateSync(join(dump, 'manifest.json'), (256 << 20) + 1);
    expect(verifyEvidence(dump).differences).toEqual([
      { kind: 'manifest', path: 'manifest.json', message: 'it is 268435457 bytes, at most 268435456 are read' },
    ]);
  });
});

describe('manifest.json.sha256', () => {
  test('missing is a difference', async () => {
    const dump = await dumpOf('one');
    unlinkSync(join(dump, 'manifest.json.sha256'));
    expect(kinds(dump)).toEqual(['missing manifest.json.sha256']);
  });

  test.each([
    ['empty', () => ''],
    ['of another file', (digest: string) => `${digest}  other.json\n`],
    ['with a second line', (digest: string) => `${digest}  manifest.json\n${digest}  /etc/passwd\n`],
    ['without digits', () => `${'z'.repeat(64)}  manifest.json\n`],
    ['longer than a line', () => 'x'.repeat(5000)],
  ])('%s is a difference', async (_what, line) => {
    const dump = await dumpOf('one');
    writeFileSync(join(dump, 'manifest.json.sha256'), line(sha256(readFileSync(join(dump, 'manifest.json')))));
    expect(verifyEvidence(dump).differences).toMatchObject([{ path: 'manifest.json.sha256' }]);
  });

  test('as sha256sum --binary writes it is fine', async () => {
    const dump = await dumpOf('one');
    const line = execFileSync('sha256sum', ['--binary', 'manifest.json'], { cwd: dump });
    writeFileSync(join(dump, 'manifest.json.sha256'), line);
    expect(verifyEvidence(dump).differences).toEqual([]);
  });
});

describe('a hostile manifest', () => {
  const good = { path: ONE, size: 3, sha256: sha256('one'), occurrences: [{}] };

  test.each([
    ['a path that climbs', { ...good, path: '../../etc/passwd' }, 'path "../../etc/passwd" is not objects/NAME'],
    ['a path that climbs later', { ...good, path: 'objects/../../x' }, 'path "objects/../../x" is not objects/NAME'],
    ['the parent', { ...good, path: 'objects/..' }, 'path "objects/.." is not objects/NAME'],
    ['an absolute path', { ...good, path: '/etc/passwd' }, 'path "/etc/passwd" is not objects/NAME'],
    ['a path with NUL', { ...good, path: 'objects/a\0b' }, 'path "objects/a\\u0000b" is not objects/NAME'],
    ['a path with a newline', { ...good, path: 'objects/a\n' }, 'path "objects/a\\n" is not objects/NAME'],
    ['the manifest itself', { ...good, path: 'manifest.json' }, 'path "manifest.json" is not objects/NAME'],
    ['a path that is a number', { ...good, path: 7 }, 'path 7 is not objects/NAME'],
    ['no path', { ...good, path: undefined }, 'path (absent) is not objects/NAME'],
    [
      'a huge path',
      { ...good, path: `objects/${'a'.repeat(1_000_000)}` },
      `path "objects/${'a'.repeat(112)}" (the first 120 of 1000008 characters) is not objects/NAME`,
    ],
    ['a negative size', { ...good, size: -1 }, 'size -1 is not a number of bytes'],
    ['a size with a fraction', { ...good, size: 2.5 }, 'size 2.5 is not a number of bytes'],
    ['a size beyond 2^53', { ...good, size: 2 ** 60 }, `size ${2 ** 60} is not a number of bytes`],
    ['a size in words', { ...good, size: '3' }, 'size "3" is not a number of bytes'],
    ['a short sha256', { ...good, sha256: 'abc' }, 'sha256 "abc" is not 64 hexadecimal digits'],
    ['a sha256 that is a list', { ...good, sha256: [sha256('one')] }, 'sha256 (a list) is not 64 hexadecimal digits'],
    ['no occurrence', { ...good, occurrences: [] }, 'it does not say where its bytes were found'],
    ['null for a file', null, 'it is not an object'],
  ])('with %s is a difference that quotes it', async (_what, file, message) => {
    const dump = await dumpOf('one');
    forge(dump, JSON.stringify({ objects: [], files: [file] }));
    expect(verifyEvidence(dump).differences).toContainEqual({
      kind: 'manifest',
      path: 'manifest.json',
      message: `files[0]: ${message}`,
    });
  });

  test('that lists a file twice is a difference', async () => {
    const dump = await dumpOf('one');
    forge(dump, JSON.stringify({ objects: [], files: [good, good] }));
    expect(verifyEvidence(dump).differences.map(({ message }) => message)).toEqual([
      `files[1]: sha256 ${sha256('one')} is listed twice`,
      `files[1]: path "${ONE}" is listed twice`,
    ]);
  });

  test('that leaves out the file of an object is a difference', async () => {
    const dump = await dumpOf('one');
    forge(dump, JSON.stringify({ objects: [{ sha256: sha256('two') }, 5], files: [good] }));
    expect(verifyEvidence(dump).differences.map(({ message }) => message)).toEqual([
      `objects[0]: no file has sha256 "${sha256('two')}"`,
      'objects[1]: no file has sha256 (absent)',
    ]);
  });

  test.each([
    ['nothing', '', 'it is not JSON'],
    ['prose', 'hello', 'it is not JSON'],
    ['half a document', '{"files": [', 'it is not JSON'],
    ['a million brackets', '['.repeat(1_000_000), 'it is not JSON'],
    ['a million lists', '['.repeat(1_000_000) + ']'.repeat(1_000_000), 'it has no list of files'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'it is not UTF-8'],
    ['null', 'null', 'it has no list of files'],
    ['files that are an object', '{"files": {"length": 1e9}, "objects": []}', 'it has no list of files'],
    ['no objects', '{"files": []}', 'it has no list of objects'],
  ])('that is %s is a difference', async (_what, text, message) => {
    const dump = await dumpOf();
    forge(dump, text);
    expect(verifyEvidence(dump).differences).toEqual([{ kind: 'manifest', path: 'manifest.json', message }]);
  });

  test('with a crowd of claims is counted beyond the first ten thousand differences', async () => {
    const dump = await dumpOf();
    forge(dump, JSON.stringify({ objects: [], files: Array(10_100).fill(0) }));
    const report = verifyEvidence(dump);
    expect(report.differences).toHaveLength(10_000);
    expect(report.omitted).toBe(100);
  });

  test('of any JSON value is read without a crash', async () => {
    const dump = await dumpOf('one');
    const file = fc.oneof(
      fc.jsonValue(),
      fc.record({ path: fc.jsonValue(), size: fc.jsonValue(), sha256: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(
        fc.oneof(fc.jsonValue(), fc.record({ files: fc.array(file), objects: fc.jsonValue() })),
        (manifest) => {
          forge(dump, JSON.stringify(manifest));
          return verifyEvidence(dump).differences.length > 0;
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('every single-byte edit of a dump is found', async () => {
  const dump = await dumpOf('one', 'two');
  const files = [ONE, fileOf('two', 1), 'manifest.json', 'manifest.json.sha256'];
  fc.assert(
    fc.property(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 1, max: 255 }), (name, at, mask) => {
      const path = join(dump, name);
      const offset = at % statSync(path).size;
      flipByte(path, offset, mask);
      const { differences } = verifyEvidence(dump);
      flipByte(path, offset, mask);
      return differences.length > 0;
    }),
    { numRuns: 100 },
  );
  expect(verifyEvidence(dump).differences).toEqual([]);
});

test.each([
  ['that does not exist', 'nowhere', 'ENOENT'],
  ['that is a file', 'file', 'ENOTDIR'],
])('a directory %s is an error, not a difference', (_what, name, code) => {
  const root = temporaryDirectory();
  writeFileSync(join(root, 'file'), '');
  expect(() => verifyEvidence(join(root, name))).toThrow(expect.objectContaining({ name: 'EvidenceError', code }));
});

test('verifying holds no descriptor afterwards, whatever it found', async () => {
  const dump = await dumpOf('one', 'two');
  unlinkSync(join(dump, ONE));
  mkdirSync(join(dump, 'objects/extra'));
  verifyEvidence(dump);
  const open = readdirSync('/proc/self/fd').map((fd) => readlinkOf(`/proc/self/fd/${fd}`));
  expect(open.filter((path) => path.startsWith(dump))).toEqual([]);
});

function kinds(dump: string): readonly string[] {
  return verifyEvidence(dump).differences.map(({ kind, path }) => `${kind} ${path}`);
}

/** The descriptor of the listing itself is gone when it is looked at. */
function readlinkOf(path: string): string {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined ? '' : readlinkSync(path);
}

function flipByte(path: string, at: number, mask = 0x01): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ mask;
  writeFileSync(path, bytes);
}

/** Replaces the manifest and its digest, as somebody who knows the format can. */
function forge(dump: string, manifest: string | Uint8Array): void {
  writeFileSync(join(dump, 'manifest.json'), manifest);
  writeFileSync(join(dump, 'manifest.json.sha256'), `${sha256(manifest)}  manifest.json\n`);
}
