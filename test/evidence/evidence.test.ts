import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { EvidenceDirectory, verifyEvidence } from '../../src/evidence/evidence.ts';
import { ARGV, dumpOf, objectOf, reportOf, sha256, temporaryDirectory } from './build.ts';

describe('create', () => {
  test('makes the directory, its missing parents and objects/ for their user alone', () => {
    const root = temporaryDirectory();
    EvidenceDirectory.create(join(root, 'a/b/dump')).abandon();
    for (const made of ['a', 'a/b', 'a/b/dump', 'a/b/dump/objects']) {
      expect(statSync(join(root, made)).mode & 0o777, made).toBe(0o700);
    }
  });

  test('takes an empty directory as it is', () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'dump'), 0o755);
    EvidenceDirectory.create(join(root, 'dump')).abandon();
    expect(statSync(join(root, 'dump')).mode & 0o777).toBe(0o755);
  });

  test('takes an empty directory behind a symbolic link the user named, and says where it really is', () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'real'));
    symlinkSync('real', join(root, 'link'));
    const evidence = EvidenceDirectory.create(join(root, 'link'));
    evidence.abandon();
    expect(evidence.path).toBe(join(root, 'real'));
  });

  test('refuses a directory that holds anything, hidden files too, and leaves it alone', () => {
    const root = temporaryDirectory();
    writeFileSync(join(root, '.hidden'), '');
    expect(() => EvidenceDirectory.create(root)).toThrow(
      expect.objectContaining({
        name: 'EvidenceError',
        code: 'ENOTEMPTY',
        path: root,
        message: `cannot dump into ${root}: it is not empty (1 entry); choose a new or empty directory`,
      }),
    );
    expect(readdirSync(root)).toEqual(['.hidden']);
  });

  test('refuses the directory of an earlier dump', async () => {
    const dump = await dumpOf('one');
    expect(() => EvidenceDirectory.create(dump)).toThrow(/is not empty \(3 entries\)/);
    expect(verifyEvidence(dump).differences).toEqual([]);
  });

  test.each([
    ['a file', 'file', 'ENOTDIR'],
    ['below a file', 'file/dump', 'ENOTDIR'],
    ['a dangling symbolic link', 'dangling', 'ENOENT'],
    ['a symbolic link to itself', 'loop', 'ELOOP'],
    ['nothing at all', '', 'ENOENT'],
  ])('refuses %s', (_what, name, code) => {
    const root = temporaryDirectory();
    writeFileSync(join(root, 'file'), 'kept');
    symlinkSync('nowhere', join(root, 'dangling'));
    symlinkSync('loop', join(root, 'loop'));
    const path = name && join(root, name);
    expect(() => EvidenceDirectory.create(path)).toThrow(
      expect.objectContaining({ name: 'EvidenceError', code, path }),
    );
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('kept');
  });
});

describe('add', () => {
  test('writes exactly the bytes, under a name that says where they were, for the user alone', () => {
    const root = temporaryDirectory();
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, at) => at * 31);
    const evidence = EvidenceDirectory.create(root);
    evidence.add(objectOf(bytes), bytes);
    evidence.abandon();
    const path = join(root, `objects/opensnoop-0x38498-${sha256(bytes).slice(0, 12)}.bpf.o`);
    expect(readdirSync(join(root, 'objects'))).toHaveLength(1);
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(path).nlink).toBe(1);
  });

  test('writes one file for the same bytes in several places', () => {
    const root = temporaryDirectory();
    const evidence = EvidenceDirectory.create(root);
    evidence.add(objectOf('same', '/a'), Buffer.from('same'));
    evidence.add(objectOf('same', '/b'), Buffer.from('same'));
    evidence.add(objectOf('same', '/c'));
    evidence.abandon();
    expect(readdirSync(join(root, 'objects'))).toHaveLength(1);
  });

  test.each([
    ['other bytes', 'abd'],
    ['fewer bytes', 'ab'],
  ])('refuses %s than the object announces', (_what, content) => {
    const root = temporaryDirectory();
    const evidence = EvidenceDirectory.create(root);
    expect(() => evidence.add(objectOf('abc'), Buffer.from(content))).toThrow(
      expect.objectContaining({ name: 'EvidenceError', code: 'content-mismatch' }),
    );
    evidence.abandon();
    expect(readdirSync(join(root, 'objects'))).toEqual([]);
  });

  test('writes beside a file planted under its name, with more of the digest in the name', async () => {
    const root = temporaryDirectory();
    const evidence = EvidenceDirectory.create(root);
    const planted = join(root, 'objects', `opensnoop-0x38498-${sha256('x').slice(0, 12)}.bpf.o`);
    writeFileSync(planted, 'planted');
    evidence.add(objectOf('x'), Buffer.from('x'));
    await evidence.close(reportOf([objectOf('x')]), ARGV);
    expect(readFileSync(planted, 'utf8')).toBe('planted');
    expect(verifyEvidence(root)).toMatchObject({
      files: 1,
      differences: [{ kind: 'extra', path: `objects/opensnoop-0x38498-${sha256('x').slice(0, 12)}.bpf.o` }],
    });
  });

  test.each([
    ['symbolic links to a victim', (path: string, victim: string) => symlinkSync(victim, path)],
    ['dangling symbolic links', (path: string) => symlinkSync('/nonexistent/nowhere', path)],
    ['directories', (path: string) => mkdirSync(path)],
    ['FIFOs', (path: string) => execFileSync('mkfifo', [path])],
  ])('gives up, following and overwriting nothing, when every name is taken by %s', (_what, plant) => {
    const root = temporaryDirectory();
    const victim = join(temporaryDirectory(), 'victim');
    writeFileSync(victim, 'precious');
    const evidence = EvidenceDirectory.create(root);
    for (const length of [12, 16, 24, 32, 64]) {
      plant(join(root, 'objects', `opensnoop-0x38498-${sha256('x').slice(0, length)}.bpf.o`), victim);
    }
    expect(() => evidence.add(objectOf('x'), Buffer.from('x'))).toThrow(
      expect.objectContaining({ name: 'EvidenceError', code: 'EEXIST' }),
    );
    evidence.abandon();
    expect(readdirSync(join(root, 'objects'))).toHaveLength(5);
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  });

  test('follows nothing while another thread keeps planting links and exchanging objects/', async () => {
    const root = temporaryDirectory();
    const outside = temporaryDirectory();
    writeFileSync(join(outside, 'victim'), 'precious');
    const evidence = EvidenceDirectory.create(root);
    const contents = Array.from({ length: 200 }, (_, index) => `content ${index}`);
    const names = contents.map((content) => `opensnoop-0x38498-${sha256(content).slice(0, 12)}.bpf.o`);
    const attacker = new Worker(ATTACK, { eval: true, workerData: { root, outside, names } });
    await new Promise((started) => attacker.once('message', started));
    for (const content of contents) evidence.add(objectOf(content), Buffer.from(content));
    await attacker.terminate();
    evidence.abandon();
    expect(readdirSync(outside)).toEqual(['victim']);
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('precious');
    const held = existsSync(join(root, 'aside')) ? 'aside' : 'objects';
    const real = readdirSync(join(root, held)).filter((name) => lstatSync(join(root, held, name)).isFile());
    expect(real.map((name) => readFileSync(join(root, held, name), 'utf8')).sort()).toEqual([...contents].sort());
  });
});

/** Plants a link under each name in turn, and between them has objects/ lead elsewhere for a moment. */
const ATTACK = `
const { renameSync, symlinkSync, unlinkSync } = require('node:fs');
const { parentPort, workerData: { root, outside, names } } = require('node:worker_threads');
const attempt = (step) => { try { step(); } catch {} };
parentPort.postMessage('started');
for (let round = 0; ; round += 1) {
  attempt(() => symlinkSync(outside + '/victim', root + '/objects/' + names[round % names.length]));
  attempt(() => { renameSync(root + '/objects', root + '/aside'); symlinkSync(outside, root + '/objects'); });
  attempt(() => { unlinkSync(root + '/objects'); renameSync(root + '/aside', root + '/objects'); });
}`;

describe('close', () => {
  test('writes the report with argv and files, one object a line', async () => {
    const root = temporaryDirectory();
    const objects = [objectOf('one', '/bin/a', 16), objectOf('two', '/bin/b', 0), objectOf('one', '/bin/c', 7)];
    const evidence = EvidenceDirectory.create(root);
    evidence.add(objects[0] ?? expect.fail(), Buffer.from('one'));
    evidence.add(objects[1] ?? expect.fail(), Buffer.from('two'));
    const summary = await evidence.close(reportOf(objects), ARGV);
    const text = readFileSync(join(root, 'manifest.json'), 'utf8');
    const source = (path: string) => ({ kind: 'file', path, size: 244200 });
    expect(JSON.parse(text)).toEqual({
      ...reportOf(objects),
      argv: ARGV,
      files: [
        {
          path: `objects/a-0x10-${sha256('one').slice(0, 12)}.bpf.o`,
          size: 3,
          sha256: sha256('one'),
          occurrences: [
            { source: source('/bin/a'), offset: 16 },
            { source: source('/bin/c'), offset: 7 },
          ],
        },
        {
          path: `objects/b-0x0-${sha256('two').slice(0, 12)}.bpf.o`,
          size: 3,
          sha256: sha256('two'),
          occurrences: [{ source: source('/bin/b'), offset: 0 }],
        },
      ],
    });
    expect(text.split('\n').filter((line) => line.startsWith('    {"kind":"object"'))).toHaveLength(3);
    expect(summary).toEqual({ files: 2, bytes: 6, manifestSha256: sha256(text) });
    expect(readFileSync(join(root, 'manifest.json.sha256'), 'utf8')).toBe(`${sha256(text)}  manifest.json\n`);
    expect(readdirSync(root).sort()).toEqual(['manifest.json', 'manifest.json.sha256', 'objects']);
  });

  test('is what sha256sum -c accepts', async () => {
    const output = execFileSync('sha256sum', ['-c', 'manifest.json.sha256'], { cwd: await dumpOf('one', 'two') });
    expect(output.toString()).toBe('manifest.json: OK\n');
  });

  test('names files for the first occurrence of the report, in whatever order they came', async () => {
    const objects = [objectOf('same', '/bin/a', 1), objectOf('same', '/bin/b', 2), objectOf('same', '/bin/c', 3)];
    const dumps: string[] = [];
    for (const arrivals of [objects, objects.toReversed()]) {
      const root = temporaryDirectory();
      const evidence = EvidenceDirectory.create(root);
      for (const object of arrivals) evidence.add(object, Buffer.from('same'));
      await evidence.close(reportOf(objects), ARGV);
      expect(verifyEvidence(root).differences).toEqual([]);
      dumps.push(readFileSync(join(root, 'manifest.json'), 'utf8'));
    }
    expect(dumps[0]).toContain(`"objects/a-0x1-${sha256('same').slice(0, 12)}.bpf.o"`);
    expect(dumps[1]).toBe(dumps[0]);
  });

  test('of a dump in which nothing was found verifies', async () => {
    const dump = await dumpOf();
    expect(verifyEvidence(dump)).toMatchObject({ files: 0, bytes: 0, differences: [] });
  });

  test('refuses a report with an object that was never written', async () => {
    const root = temporaryDirectory();
    const evidence = EvidenceDirectory.create(root);
    await expect(evidence.close(reportOf([objectOf('x')]), ARGV)).rejects.toThrow(
      expect.objectContaining({ name: 'EvidenceError', code: 'incomplete' }),
    );
    expect(readdirSync(root)).toEqual(['objects']);
  });

  test.each(['manifest.json', 'manifest.json.sha256'])('neither follows nor overwrites a planted %s', async (name) => {
    const root = temporaryDirectory();
    const victim = join(temporaryDirectory(), 'victim');
    writeFileSync(victim, 'precious');
    const evidence = EvidenceDirectory.create(root);
    symlinkSync(victim, join(root, name));
    await expect(evidence.close(reportOf([]), ARGV)).rejects.toThrow(
      expect.objectContaining({ name: 'EvidenceError', code: 'EEXIST', path: join(root, name) }),
    );
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(readdirSync(root).filter((left) => left.startsWith('.'))).toEqual([]);
  });

  test.each([
    ['objects/', 'objects'],
    ['the directory itself', ''],
  ])('tells when %s was exchanged, and wrote nothing where it leads now', async (_what, name) => {
    const root = join(temporaryDirectory(), 'dump');
    const outside = temporaryDirectory();
    mkdirSync(join(outside, 'objects'));
    const evidence = EvidenceDirectory.create(root);
    renameSync(join(root, name), `${root}.aside`);
    symlinkSync(join(outside, name), join(root, name));
    evidence.add(objectOf('x'), Buffer.from('x'));
    await expect(evidence.close(reportOf([objectOf('x')]), ARGV)).rejects.toThrow(
      expect.objectContaining({ name: 'EvidenceError', code: 'replaced' }),
    );
    expect(readdirSync(outside, { recursive: true })).toEqual(['objects']);
  });

  test('keeps hostile names of hosts and arguments exact in the manifest', async () => {
    const root = temporaryDirectory();
    const path = '/tmp/\u001b]0;x\u0007\n"\u202e\\\ud800/-rf \u0000é';
    const evidence = EvidenceDirectory.create(root);
    evidence.add(objectOf('x', path), Buffer.from('x'));
    await evidence.close(reportOf([objectOf('x', path)]), ['--', path]);
    const manifest = JSON.parse(readFileSync(join(root, 'manifest.json'), 'utf8'));
    expect(manifest.argv).toEqual(['--', path]);
    expect(manifest.files[0].occurrences[0].source.path).toBe(path);
    expect(manifest.files[0].path).toBe(`objects/_rf___-0x38498-${sha256('x').slice(0, 12)}.bpf.o`);
    expect(verifyEvidence(root).differences).toEqual([]);
  });

  test('keeps within, where the report has it', async () => {
    const root = temporaryDirectory();
    const object = { ...objectOf('x'), within: { section: '.rodata', buildId: 'abcd' } };
    const evidence = EvidenceDirectory.create(root);
    evidence.add(object, Buffer.from('x'));
    await evidence.close(reportOf([object]), ARGV);
    const manifest = JSON.parse(readFileSync(join(root, 'manifest.json'), 'utf8'));
    expect(manifest.files[0].occurrences[0].within).toEqual({ section: '.rodata', buildId: 'abcd' });
  });

  test('ends the dump: adding to it afterwards is a bug of the caller', async () => {
    const evidence = EvidenceDirectory.create(temporaryDirectory());
    await evidence.close(reportOf([]), ARGV);
    expect(() => evidence.add(objectOf('x'), Buffer.from('x'))).toThrow(/has ended/);
    await expect(evidence.close(reportOf([]), ARGV)).rejects.toThrow(/has ended/);
  });

  test('ends the dump: abandoning it afterwards changes nothing', async () => {
    const root = temporaryDirectory();
    const evidence = EvidenceDirectory.create(root);
    await evidence.close(reportOf([]), ARGV);
    evidence.abandon();
    expect(verifyEvidence(root).differences).toEqual([]);
  });

  test('writes a manifest longer than one piece whole', async () => {
    const root = temporaryDirectory();
    const objects = Array.from({ length: 20_000 }, (_, offset) => objectOf('same', '/usr/bin/many', offset));
    const evidence = EvidenceDirectory.create(root);
    evidence.add(objects[0] ?? expect.fail(), Buffer.from('same'));
    await evidence.close(reportOf(objects), ARGV);
    expect(statSync(join(root, 'manifest.json')).size).toBeGreaterThan(4 << 20);
    expect(verifyEvidence(root).differences).toEqual([]);
    expect(JSON.parse(readFileSync(join(root, 'manifest.json'), 'utf8')).files[0].occurrences).toHaveLength(20_000);
  });
});

test('instructions of live programs are kept once, listed with every program, and verified', async () => {
  const directory = join(temporaryDirectory(), 'live');
  const evidence = EvidenceDirectory.create(directory);
  const code = Uint8Array.from([0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]);
  evidence.addInstructions({ id: 5, name: '../pass', tag: 'b11459a0e11ca14c' }, code);
  evidence.addInstructions({ id: 6, tag: 'b11459a0e11ca14c' }, code);
  await evidence.close(reportOf([]), []);
  const path = `objects/prog-5-___pass-b11459a0e11ca14c-${sha256(code).slice(0, 12)}.xlated`;
  const manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
  expect(manifest.files).toEqual([
    {
      path,
      size: 16,
      sha256: sha256(code),
      occurrences: [
        { program: { id: 5, name: '../pass', tag: 'b11459a0e11ca14c' } },
        { program: { id: 6, tag: 'b11459a0e11ca14c' } },
      ],
    },
  ]);
  expect(verifyEvidence(directory).differences).toEqual([]);
  writeFileSync(join(directory, path), Uint8Array.from([...code.slice(0, 15), 1]));
  expect(verifyEvidence(directory).differences).toMatchObject([{ kind: 'changed', path }]);
});
