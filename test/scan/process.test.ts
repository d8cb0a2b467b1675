import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compilePrograms, hold, memoryOf, OBJECT, scanning, start, whyNot } from './holders.ts';

const missing = whyNot();
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const object = readFileSync(OBJECT);
const digest = sha256(object);

describe.skipIf(missing !== undefined)(`process memory${missing === undefined ? '' : ` (${missing})`}`, () => {
  let programs: ReturnType<typeof compilePrograms>;
  beforeAll(() => {
    programs = compilePrograms();
  });
  afterAll(() => programs.remove());

  test.each([
    ['in the heap, one byte off any alignment, its file unlinked', 'heap', 'rw-p'],
    ['in a private dirty page of a file that does not hold it', 'dirty', 'rw-p'],
    ['in memory that may not be read', 'none', '---p'],
    ['across two adjoining mappings', 'adjoining', 'rw-p'],
    ['across two files, mapped side by side', 'two-files', 'r--p'],
    ['in a mapped file, deleted, of which no page was ever touched', 'untouched', 'r--p'],
    ['in one of a thousand pages of a tebibyte', 'reserved', 'rw-p'],
    ['in a shared tebibyte of holes', 'sparse', 'rw-s'],
    ['in private memory of /dev/zero', 'zero', 'rw-p'],
    ['in more memory than is searched in one go', 'large', 'rw-p'],
  ])('an object %s is found whole, where it is', async (_, how, permissions) => {
    const { pid, address } = await hold(how);
    const before = memoryOf(pid);
    const { objects, contents, summary } = await scanning({ pids: [pid] });
    expect(objects.map((found) => [found.sha256, found.address, found.region?.permissions])).toEqual([
      [digest, address, permissions],
    ]);
    expect(objects[0]).not.toHaveProperty('offset');
    expect(Buffer.from(contents.get(digest) ?? []).equals(object)).toBe(true);
    expect(summary).toMatchObject({ sources: 1, objects: 1, unreadable: 0 });
    expect(memoryOf(pid)).toBe(before);
  });

  test('what memory holds counts, not the file behind it', async () => {
    const at = object.length - 5000;
    const { pid, address } = await hold('patched', String(at));
    const patched = Uint8Array.from(object);
    patched[at] = (patched[at] ?? 0) ^ 0xff;
    const { objects } = await scanning({ pids: [pid] });
    expect(objects.map((found) => [found.sha256, found.address])).toEqual([[sha256(patched), address]]);
  });

  test('a program that runs from a memfd is found by its mapping', async () => {
    const { pid, address } = await start('embedding', 'ghost');
    const { objects } = await scanning({ pids: [pid] });
    expect(objects.map((found) => [found.sha256, found.address])).toEqual([[digest, address]]);
    expect(objects[0]?.source).toMatchObject({ kind: 'process', pid, exe: '/memfd:ghost (deleted)' });
    expect(objects[0]?.region).toMatchObject({ path: '/memfd:ghost (deleted)' });
  });

  test('shared memory is found in each process that shares it', async () => {
    const { words, pid, address } = await hold('shared');
    const { objects, summary } = await scanning({ pids: [pid, Number(words[0])] });
    const found = objects.map(({ source, ...rest }) => [source.kind === 'process' && source.pid, rest.address]);
    expect(found.sort()).toEqual(
      [
        [pid, address],
        [Number(words[0]), address],
      ].sort(),
    );
    expect(summary).toMatchObject({ objects: 2, distinct: 1 });
  });

  test('mount and pid namespaces of its own hide no process', async () => {
    const script = `mount -t tmpfs none /mnt && cp ${programs.directory}/embedding /mnt/tool && exec /mnt/tool`;
    const { child, address } = await start('/usr/bin/unshare', '--mount', '--pid', '--fork', 'sh', '-c', script);
    const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'));
    const { objects } = await scanning({ pids: [pid] });
    expect(objects.map((found) => [found.sha256, found.address])).toEqual([[digest, address]]);
    expect(objects[0]?.source).toMatchObject({ pid, namespacePid: 1, comm: 'tool', exe: '/mnt/tool' });
  });

  test('an object whose second half was overwritten is rejected with its place and the reason', async () => {
    const { pid, address } = await hold('half');
    const { objects, diagnostics, summary } = await scanning({ pids: [pid] });
    // Its code and BTF lie in the first half: they are found for themselves.
    expect(new Set(objects.map(({ kind }) => kind))).toEqual(new Set(['instructions', 'btf']));
    expect(summary.rejected).toEqual({ 'section-names-type': 1 });
    expect(diagnostics).toContainEqual({
      severity: 'info',
      code: 'section-names-type',
      where: `pid:${pid} ${address}`,
      message: expect.stringContaining('no string table'),
    });
  });

  test('mappings of the kernel are skipped by rule, and counted', async () => {
    const { pid } = await hold('heap');
    const { diagnostics } = await scanning({ pids: [pid] });
    const said = diagnostics.find(({ code }) => code === 'skipped-mappings');
    expect(said).toMatchObject({ severity: 'info', message: expect.stringContaining('1 [vvar]') });
  });

  test('every process is examined with --all-pids, this one left out', async () => {
    const { pid, address } = await hold('none');
    const { objects, diagnostics, summary } = await scanning({ allPids: true });
    const here = objects.filter(({ source }) => source.kind === 'process' && source.pid === pid);
    expect(here.map((found) => [found.sha256, found.address])).toEqual([[digest, address]]);
    expect(objects.some(({ source }) => source.kind === 'process' && source.pid === process.pid)).toBe(false);
    expect(diagnostics.find(({ code }) => code === 'no-memory')).toMatchObject({ severity: 'info' });
    expect(summary.sources).toBeGreaterThan(1);
  });

  test('the same answer comes with any number of threads', async () => {
    const holders = await Promise.all(['heap', 'none', 'reserved', 'untouched', 'large'].map((how) => hold(how)));
    const found = async (jobs: number) => {
      const { objects } = await scanning({ pids: holders.map(({ pid }) => pid), jobs });
      return objects.map(({ address, sha256: hash }) => `${address} ${hash}`).sort();
    };
    expect(await found(1)).toHaveLength(5);
    expect(await found(3)).toEqual(await found(1));
  });

  test.each([
    ['a kernel thread', 2, 'kernel-thread'],
    ['this very scan', process.pid, 'self'],
    ['a pid that nobody has', 4_194_303, 'ESRCH'],
  ])('%s cannot be named', async (_, pid, code) => {
    const { diagnostics, summary } = await scanning({ pids: [pid] });
    expect(diagnostics).toContainEqual(expect.objectContaining({ severity: 'error', code, where: `pid:${pid}` }));
    expect(summary).toMatchObject({ sources: 0, unreadable: 1 });
  });

  test('a process that executes itself all the time gives whole objects or none, and says so', async () => {
    const { child } = await start('embedding', 'restless');
    const said = new Set<string>();
    for (let round = 0; round < 60; round++) {
      const { objects, diagnostics } = await scanning({ pids: [child.pid ?? 0] });
      for (const { sha256: found, address } of objects) {
        expect([found, address?.endsWith(objects[0]?.address?.slice(-3) ?? '')]).toEqual([digest, true]);
      }
      for (const { severity, code } of diagnostics) if (severity === 'error') said.add(code);
      if (said.has('exec') && objects.length > 0) break;
    }
    expect(child.exitCode).toBe(null);
    expect([...said].filter((code) => code !== 'exec' && code !== 'gone')).toEqual([]);
  });

  test('a zombie has no memory', async () => {
    const { words } = await hold('zombie');
    const { diagnostics } = await scanning({ pids: [Number(words[0])] });
    expect(diagnostics).toContainEqual(expect.objectContaining({ severity: 'error', code: 'zombie' }));
  });

  test('a process that ends beside others costs only itself', async () => {
    const [leaving, staying] = await Promise.all([hold('heap'), hold('none')]);
    leaving.child.kill('SIGKILL');
    await once(leaving.child, 'exit');
    const { objects, diagnostics } = await scanning({ pids: [leaving.pid, staying.pid] });
    expect(objects.map(({ address }) => address)).toEqual([staying.address]);
    expect(diagnostics).toContainEqual(expect.objectContaining({ code: 'ESRCH', where: `pid:${leaving.pid}` }));
  });
});
