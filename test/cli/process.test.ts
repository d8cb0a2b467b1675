// The built program on processes: as another user, without koffi, and with a dump of what was in memory.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { compilePrograms, hold, OBJECT, start, whyNot } from '../scan/holders.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const missing = whyNot();

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function bpfcarve(args: readonly string[], home = ROOT): Ran {
  const { status, stdout, stderr } = spawnSync('node', [join(home, 'bin/bpfcarve.js'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });
  return { status, stdout, stderr };
}

/** This package as `npm install --omit=optional` leaves it. */
function withoutKoffi(): string {
  const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-plain-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ['bin', 'dist', 'package.json'])
    cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  mkdirSync(join(directory, 'node_modules'));
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (name !== 'koffi' && name !== '@koromix') {
      symlinkSync(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name));
    }
  }
  return directory;
}

describe.skipIf(missing !== undefined)(`scan --pid${missing === undefined ? '' : ` (${missing})`}`, () => {
  let programs: ReturnType<typeof compilePrograms>;
  beforeAll(() => {
    programs = compilePrograms();
  });
  afterAll(() => programs.remove());

  test('reports what the contract says of a process', async () => {
    const { pid, address } = await start('embedding');
    const { status, stdout } = bpfcarve(['scan', '--pid', String(pid), '-j', '--btf', 'none']);
    expect(status).toBe(0);
    const [object] = JSON.parse(stdout).objects;
    expect(object).toMatchObject({
      kind: 'object',
      source: { kind: 'process', pid, comm: 'embedding', exe: join(programs.directory, 'embedding') },
      address,
      region: { permissions: 'r--p', path: join(programs.directory, 'embedding') },
    });
    expect(object).not.toHaveProperty('offset');
    expect(object.source.startTime).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const { start: from, end: to, inode } = object.region;
    expect(Number(from)).toBeLessThanOrEqual(Number(address));
    expect(Number(to)).toBeGreaterThan(Number(address));
    expect(inode).toBeGreaterThan(0);
  });

  test('dumps what was in memory under the name of the process, and verifies it', async () => {
    const { pid, address } = await hold('heap');
    const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-dump-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const dump = join(directory, 'evidence');
    expect(bpfcarve(['scan', '--pid', String(pid), '--dump', dump, '-q']).status).toBe(0);
    const [name = ''] = readdirSync(join(dump, 'objects'));
    expect(name).toMatch(new RegExp(`^holder-${pid}-${address}-[0-9a-f]{12}\\.bpf\\.o$`));
    expect(readFileSync(join(dump, 'objects', name)).equals(readFileSync(OBJECT))).toBe(true);
    const { files } = JSON.parse(readFileSync(join(dump, 'manifest.json'), 'utf8'));
    expect(files[0].occurrences).toMatchObject([
      { source: { kind: 'process', pid }, address, region: { path: '[heap]' } },
    ]);
    expect(bpfcarve(['verify', dump]).status).toBe(0);
  });

  test('takes processes and paths together, and tells that they hold the same', async () => {
    const [one, two] = await Promise.all([hold('none'), start('embedding')]);
    const { status, stdout } = bpfcarve([
      'scan',
      '--pid',
      String(one.pid),
      '--pid',
      String(two.pid),
      OBJECT,
      '--btf',
      'none',
    ]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/in 2 processes {2}\w+ \(\d+\), \w+ \(\d+\)/);
    expect(stdout).toContain(`on disk as ${OBJECT} 0x0`);
  });

  test.each([['0'], ['x'], ['1.5'], ['-1'], ['4194305']])('refuses --pid=%s', (pid) => {
    const { status, stderr } = bpfcarve(['scan', `--pid=${pid}`]);
    expect(status).toBe(1);
    expect(stderr).toContain('--pid: expected a whole number');
  });

  test('a process that is not there is an error', () => {
    const { status, stderr } = bpfcarve(['scan', '--pid', '4194303']);
    expect(status).toBe(1);
    expect(stderr).toContain('pid:4194303: no such process, or it ended');
  });

  test('without koffi finds the same, and says once what is missing', { timeout: 120_000 }, async () => {
    const home = withoutKoffi();
    const holders = await Promise.all(
      ['heap', 'none', 'dirty', 'untouched', 'reserved', 'sparse'].map((how) => hold(how)),
    );
    const args = ['scan', '-j', '--btf', 'none', ...holders.flatMap(({ pid }) => ['--pid', String(pid)])];
    const places = ({ stdout }: Ran) =>
      JSON.parse(stdout).objects.map(
        ({ address, sha256 }: { address: string; sha256: string }) => `${address} ${sha256}`,
      );
    const plain = bpfcarve(args, home);
    expect(plain.status).toBe(0);
    expect(places(plain)).toEqual(places(bpfcarve(args)));
    expect(places(plain)).toHaveLength(6);
    const said = JSON.parse(plain.stdout).diagnostics.filter(({ code }: { code: string }) => code === 'no-koffi');
    expect(said).toEqual([
      expect.objectContaining({ severity: 'warning', message: expect.stringContaining("Cannot find module 'koffi'") }),
    ]);
  });

  test.skipIf(!existsSync('/usr/bin/setpriv'))(
    'as another user examines its own processes and counts the others',
    async () => {
      const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];
      // The package and the programs must be within that user's reach.
      const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-user-'));
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
      execFileSync('chmod', ['755', directory]);
      for (const name of ['bin', 'dist', 'package.json'])
        cpSync(join(ROOT, name), join(directory, name), { recursive: true });
      mkdirSync(join(directory, 'node_modules'));
      for (const name of ['koffi', '@koromix', 'yargs', 'p-limit', 'fast-glob', 'ora']) {
        const from = join(ROOT, 'node_modules', name);
        if (existsSync(from))
          cpSync(from, join(directory, 'node_modules', name), { recursive: true, dereference: true });
      }
      cpSync(join(programs.directory, 'embedding'), join(directory, 'tool'));
      const node = join(directory, 'node');
      cpSync(process.execPath, node);
      const own = spawn('setpriv', [...nobody, join(directory, 'tool')], { stdio: ['ignore', 'pipe', 'inherit'] });
      onTestFinished(() => void own.kill('SIGKILL'));
      const [line] = (await once(own.stdout, 'data')) as [Buffer];
      const [pid, address] = line.toString().trim().split(' ');
      const { stdout, stderr, status } = spawnSync(
        'setpriv',
        [...nobody, node, join(directory, 'bin/bpfcarve.js'), 'scan', '--all-pids', '-j', '--btf', 'none'],
        { encoding: 'utf8', cwd: directory },
      );
      expect(stderr).toBe('');
      expect(status).toBe(0);
      const report = JSON.parse(stdout);
      expect(
        report.objects.map((found: { source: { pid: number }; address: string }) => [found.source.pid, found.address]),
      ).toEqual([[Number(pid), address]]);
      const denied = report.diagnostics.filter(({ code }: { code: string }) => code === 'EACCES');
      expect(denied).toHaveLength(1);
      expect(denied[0].message).toMatch(/^\d+ process(es)? out of reach: .*CAP_SYS_PTRACE/);
      expect(report.summary.unreadable).toBeGreaterThan(0);
    },
  );
});
