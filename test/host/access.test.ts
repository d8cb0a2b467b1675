// What is left for those who may see less: other users, other namespaces, no koffi, no bpftool; and what strace sees of it all.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHost } from '../../src/host/host.ts';
import type { HostSnapshot } from '../../src/host/records.ts';
import { BPF } from '../../src/host/syscall.ts';
import { bundle, readText, runChild } from './child.ts';
import { has, Machine, output, SAMPLES, title, UNABLE } from './machine.ts';

const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
const FROM_KALLSYMS = 'names and tags are from kallsyms; subprograms are among them';
const SYSADMIN = [...NOBODY, '--inh-caps', '+sys_admin', '--ambient-caps', '+sys_admin'];

describe.skipIf(UNABLE !== undefined)(title('a process of its own'), () => {
  let machine: Machine;
  let own: { readonly id: number; readonly tag: string };
  let full: Awaited<ReturnType<typeof bundle>>;
  let bare: Awaited<ReturnType<typeof bundle>>;

  beforeAll(async () => {
    machine = new Machine('access');
    machine.load('cgroup');
    output('bpftool', [
      'cgroup',
      'attach',
      machine.cgroup('x'),
      'egress',
      'pinned',
      `${machine.pins}/cgroup/account_egress`,
    ]);
    own = JSON.parse(output('bpftool', ['-j', 'prog', 'show', 'pinned', `${machine.pins}/cgroup/account_egress`]));
    [full, bare] = await Promise.all([bundle({ koffi: true }), bundle({ koffi: false })]);
  }, 60_000);

  afterAll(() => {
    machine?.close();
    full?.remove();
    bare?.remove();
  });

  /** The one that was loaded here: others may run the same sample. Without an id copies cannot be told apart. */
  const egress = ({ programs }: HostSnapshot) => {
    const copies = programs.filter(({ name, tag }) => name === 'account_egress' && tag === own.tag);
    return copies.some(({ id }) => id !== undefined) ? copies.filter(({ id }) => id === own.id) : copies.slice(0, 1);
  };

  test.skipIf(!has('strace'))(
    title('asks the kernel nothing but to read', has('strace') ? undefined : 'no strace'),
    () => {
      const trace = `${machine.directory}/trace`;
      const snapshot = runChild(full.path, [
        'strace',
        '-f',
        '-o',
        trace,
        '-e',
        'trace=bpf,mount,umount2,perf_event_open,init_module,ptrace,pidfd_getfd,process_vm_writev,kcmp',
      ]);
      expect(egress(snapshot)).toHaveLength(1);
      const text = readText(trace);
      const calls = [...text.matchAll(/^\d+ +(?:<\.\.\. )?(\w+)\((?:BPF_)?(\w+)/gm)].filter(
        ([, call]) => call !== 'kcmp',
      );
      const used = new Set(calls.map(([, call, command]) => `${call} ${command}`));
      const allowed = Object.keys(BPF).map((command) => `bpf ${command}`);
      expect([...used].filter((call) => !allowed.includes(call))).toEqual([]);
      expect(used).toContain('bpf PROG_GET_NEXT_ID');
      expect(used).toContain('bpf PROG_QUERY');
      // Whether two threads share their descriptors: the answer is a number.
      const compared = [...text.matchAll(/ kcmp\(\d+, \d+, (\w+)/g)].map(([, type]) => type);
      expect(new Set(compared)).toEqual(new Set(['KCMP_FILES']));
    },
  );

  test('without privilege: tags and names of every program', () => {
    const snapshot = runChild(full.path, NOBODY);
    expect(snapshot.views.bpf).toMatchObject({ status: 'denied', reason: expect.stringContaining('CAP_SYS_ADMIN') });
    expect(snapshot.diagnostics.filter(({ message }) => message.includes(FROM_KALLSYMS))).toHaveLength(1);
    expect(snapshot.views.cgroup.status).toBe('denied');
    expect(snapshot.views.fdinfo.status).toBe('partial');
    expect(egress(snapshot)).toMatchObject([{ tag: expect.stringMatching(/^[0-9a-f]{16}$/), knownFrom: 'kallsyms' }]);
    expect(egress(snapshot)[0]).not.toHaveProperty('id');
  });

  test('with CAP_SYS_ADMIN alone: everything but addresses and other users’ descriptors', (ctx) => {
    if (spawnSync(SYSADMIN[0] ?? '', [...SYSADMIN.slice(1), 'true']).status !== 0)
      ctx.skip('setpriv has no ambient capabilities');
    const snapshot = runChild(full.path, SYSADMIN);
    expect(snapshot.views.bpf.status).toBe('ok');
    expect(snapshot.views.kallsyms).toEqual({ status: 'partial', reason: 'addresses are hidden from this user' });
    expect(snapshot.views.fdinfo.status).toBe('partial');
    expect(egress(snapshot)).toMatchObject([{ attachments: [{ kind: 'cgroup' }], knownFrom: 'bpf' }]);
    expect(egress(snapshot)[0]).not.toHaveProperty('address');
    expect(snapshot.inconsistencies).toEqual([]);
  });

  test('without koffi: bpftool answers', () => {
    const snapshot = runChild(bare.path);
    expect(snapshot.views.bpf).toMatchObject({
      status: 'partial',
      reason: expect.stringMatching(/^read by bpftool: koffi/),
    });
    expect(snapshot.diagnostics).toContainEqual(expect.objectContaining({ code: 'bpftool-used' }));
    expect(egress(snapshot)).toMatchObject([
      { type: 'cgroup_skb', knownFrom: 'bpftool', pins: [`${machine.pins}/cgroup/account_egress`] },
    ]);
    expect(egress(snapshot)[0]?.attachments).toContainEqual(
      expect.objectContaining({ kind: 'cgroup', target: expect.stringContaining(`bpfcarve-${process.pid}/x`) }),
    );
  });

  test('without koffi and bpftool: kallsyms and descriptors', () => {
    const hide = 'for f in $(which -a bpftool); do mount --bind /dev/null $f; done; exec "$@"';
    const snapshot = runChild(bare.path, ['unshare', '-m', 'sh', '-c', hide, 'sh']);
    expect(snapshot.views.bpf).toMatchObject({
      status: 'unsupported',
      reason: expect.stringContaining('bpftool is not installed'),
    });
    expect(snapshot.views.bpf.reason).toContain(FROM_KALLSYMS);
    expect(egress(snapshot)).toMatchObject([{ knownFrom: 'kallsyms' }]);
  });

  test('in a pid namespace: says that it does not see every process', () => {
    const snapshot = runChild(full.path, ['unshare', '-p', '-f', '--mount-proc']);
    expect(snapshot.views.bpf.status).toBe('ok');
    expect(snapshot.views.fdinfo.reason).toContain('not the initial pid namespace');
    expect(egress(snapshot)).toHaveLength(1);
  });

  test('as root of a user namespace: is told EPERM and says so', (ctx) => {
    if (spawnSync('unshare', ['-Ur', 'true']).status !== 0) ctx.skip('no user namespaces');
    const snapshot = runChild(full.path, ['unshare', '-Ur']);
    expect(snapshot.views.bpf.status).toBe('denied');
    expect(egress(snapshot)).toHaveLength(1);
  });

  test('with few descriptors allowed: no crash, and it says what is missing', () => {
    const snapshot = runChild(full.path, ['sh', '-c', 'ulimit -n 24; exec "$@"', 'sh']);
    expect(Object.keys(snapshot.views)).toHaveLength(6);
  });

  test('sees the pins of a bpffs in another mount namespace', async () => {
    const mount = `${machine.directory}/fs`;
    const script = `mkdir ${mount} && mount -t bpf bpf ${mount} && bpftool prog loadall ${SAMPLES}filter.bpf.o ${mount}/private && echo ready && sleep 60`;
    const other = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
    try {
      await once(other.stdout, 'data');
      const { programs } = await readHost();
      const program = programs.find(({ pins }) => pins.some((path) => path.includes(`${mount}/private`)));
      expect(program?.pins).toEqual([expect.stringMatching(/^\/proc\/\d+\/root\/.*\/fs\/private\/count_protocols$/)]);
    } finally {
      if (other.pid !== undefined) process.kill(-other.pid, 'SIGKILL');
    }
  });
});
