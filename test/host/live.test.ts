// The room on the running kernel: concealment, churn, places of attachment, descriptors, what strace sees, other users.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { liveTags, readHost, readInstructions } from '../../src/host/host.ts';
import type { HostSnapshot } from '../../src/host/records.ts';
import { BPF, type Native, nativeSys, type Sys } from '../../src/host/syscall.ts';
import { has, hasTracefs, Machine, output, SAMPLES, title, UNABLE } from './machine.ts';

describe.skipIf(UNABLE !== undefined)(title('the running kernel'), () => {
  let machine: Machine;
  beforeAll(() => {
    machine = new Machine('live');
  });
  afterAll(() => machine?.close());

  describe('a program that is hidden from the list of ids', () => {
    const snapshots: HostSnapshot[] = [];
    let id: number;

    beforeAll(async () => {
      const pins = machine.load('cgroup', 'hidden');
      const pin = `${pins}/account_egress`;
      id = machine.idOf(pin);
      output('bpftool', ['cgroup', 'attach', machine.cgroup('hidden'), 'egress', 'pinned', pin]);
      snapshots.push(await readHost({ native: hiding(id), recheckDelay: 300 }));
    });

    test('is reported by at least three views, with evidence', () => {
      const found = snapshots[0]?.inconsistencies ?? [];
      expect(found.find((each) => each.id === id)).toMatchObject({ object: 'program', checks: ['A', 'B', 'D'] });
      expect(found).toHaveLength(1);
      const evidence = found.flatMap((each) => each.evidence).join('\n');
      expect(evidence).toContain('opens');
      expect(evidence).toContain('kallsyms');
      expect(evidence).toContain('cgroup at');
      expect(evidence).toContain(`is pinned at ${machine.pins}`);
    });

    test('is in the list of programs all the same, marked', () => {
      const program = snapshots[0]?.programs.find((each) => each.id === id);
      expect(program).toMatchObject({ name: 'account_egress', unlisted: true });
      expect(program?.attachments).toHaveLength(1);
    });

    test('is called inconsistent, and nothing worse', () => {
      const { diagnostics = [] } = snapshots[0] ?? {};
      const own = diagnostics.find(({ code, where }) => code === 'inconsistent-views' && where === `program ${id}`);
      expect(own?.message).toMatch(/^inconsistent views \(checks A, B, D\): the kernel does not list it, but /);
    });

    test.skipIf(!hasTracefs() || !has('opensnoop'))(
      title('is given away by its holder too', hasTracefs() ? undefined : 'no tracefs, or no opensnoop'),
      async () => {
        const pid = await machine.tool('opensnoop');
        const held = (await readHost()).programs.find(({ holders }) => holders.some((holder) => holder.pid === pid));
        const snapshot = await readHost({ native: hiding(held?.id ?? 0), recheckDelay: 300 });
        const found = snapshot.inconsistencies.find((each) => each.id === held?.id);
        expect(found?.checks).toEqual(['A', 'B', 'C', 'D']);
      },
    );
  });

  test('ten looks while programs come and go find nothing inconsistent', async () => {
    const pin = `${machine.pins}/churn`;
    const script = `while :; do bpftool prog load ${SAMPLES}nested.bpf.o ${pin} && rm ${pin}; done`;
    const churn = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
    try {
      for (let run = 0; run < 10; run++) {
        const { inconsistencies, views } = await readHost({ recheckDelay: 400 });
        expect(inconsistencies).toEqual([]);
        expect(views.bpf.status).toBe('ok');
      }
    } finally {
      if (churn.pid !== undefined) process.kill(-churn.pid, 'SIGKILL');
    }
  });

  test('a program in a prog_array runs there, and who holds the array holds the program', async () => {
    const pins = `${machine.pins}/tail`;
    output('bpftool', ['prog', 'loadall', `${SAMPLES}globals.bpf.o`, pins, 'pinmaps', `${pins}-maps`]);
    output('bpftool', [
      'map',
      'update',
      'pinned',
      `${pins}-maps/steps`,
      'key',
      '1',
      '0',
      '0',
      '0',
      'value',
      'pinned',
      `${pins}/drop`,
    ]);
    const { programs, maps } = await readHost();
    const steps = maps.find((map) => map.pins.includes(`${pins}-maps/steps`));
    const drop = programs.find((program) => program.pins.includes(`${pins}/drop`));
    expect(drop?.attachments).toContainEqual({
      kind: 'prog_array',
      target: `map ${steps?.id} [1]`,
      mapId: steps?.id,
      key: 1,
    });
    const families = maps.find((map) => map.pins.includes(`${pins}-maps/families`));
    const inner = ['ipv4', 'ipv6'].map((name) => maps.find((map) => map.pins.includes(`${pins}-maps/${name}`))?.id);
    expect(families?.innerMapIds).toEqual(inner);
  });

  test('programs of struct_ops run where the kernel calls its operations', async (ctx) => {
    const clang = ['clang', 'clang-22', 'clang-19', 'clang-14'].find(has);
    if (clang === undefined) {
      ctx.skip('no clang');
      return;
    }
    const object = `${machine.directory}/congestion.bpf.o`;
    const source = new URL('congestion.bpf.c', import.meta.url).pathname;
    output(clang, ['-target', 'bpf', '-g', '-O2', '-c', source, '-o', object]);
    if (spawnSync('bpftool', ['struct_ops', 'register', object]).status !== 0)
      ctx.skip('the kernel refuses struct_ops');
    try {
      const { programs } = await readHost();
      const own = programs.filter(({ name, type }) => type === 'struct_ops' && name?.startsWith('carve_'));
      expect(own.flatMap(({ attachments }) => attachments.map(({ target }) => target))).toEqual([
        'tcp_congestion_ops.ssthresh',
        'tcp_congestion_ops.undo_cwnd',
        'tcp_congestion_ops.cong_avoid',
      ]);
      expect(own[0]?.attachTo).toMatchObject({ name: 'tcp_congestion_ops' });
    } finally {
      output('bpftool', ['struct_ops', 'unregister', 'name', 'carve_cc']);
    }
  });

  test('the instructions of a program are those that bpftool dumps', () => {
    const pins = machine.load('nested', 'code');
    const id = machine.idOf(`${pins}/pass`);
    const file = `${machine.directory}/xlated`;
    output('bpftool', ['prog', 'dump', 'xlated', 'id', String(id), 'file', file]);
    expect(Buffer.from(readInstructions(id))).toEqual(readFileSync(file));
    expect(readInstructions(0x7fff_fff0)).toBe('ENOENT');
  });

  test('no descriptor stays open', async () => {
    await readHost();
    const before = readdirSync('/proc/self/fd').length;
    await readHost();
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  describe('400 copies of one program on 400 cgroups', () => {
    const COUNT = 400;
    let snapshot: HostSnapshot;
    let elapsed: number;

    beforeAll(async () => {
      mkdirSync(`${machine.pins}/many`);
      const commands: string[] = [];
      for (let index = 0; index < COUNT; index++) {
        const pin = `${machine.pins}/many/p${index}`;
        commands.push(`prog load ${SAMPLES}allow.bpf.o ${pin}`);
        commands.push(`cgroup attach ${machine.cgroup(`many/c${index}`)} device pinned ${pin} multi`);
      }
      machine.batch(commands);
      const start = performance.now();
      snapshot = await readHost();
      elapsed = performance.now() - start;
    }, 120_000);

    test('are one group with every cgroup', () => {
      const group = snapshot.groups.find(({ name, count }) => name === 'allow_read' && count >= COUNT);
      expect(group).toMatchObject({ type: 'cgroup_device', count: COUNT, attachments: COUNT });
      const copies = snapshot.programs.filter(({ id }) => group?.ids.includes(id ?? 0));
      const targets = new Set(copies.flatMap(({ attachments }) => attachments.map(({ target }) => target)));
      expect(targets.size).toBe(COUNT);
      console.info(`${snapshot.programs.length} programs, ${COUNT} cgroups: ${elapsed.toFixed(0)} ms`);
    });

    test('share one tag among the live ones', () => {
      const { tags, diagnostics } = liveTags();
      const group = snapshot.groups.find(({ count }) => count === COUNT);
      expect(tags.get(group?.tag ?? '')).toEqual(group?.ids);
      expect(diagnostics).toEqual([]);
    });
  });
});

/** This kernel, with a list of programs that leaves one out. */
function hiding(id: number): Native {
  const native = nativeSys();
  if ('missing' in native) throw new Error(native.missing);
  const { sys } = native;
  const bpf: Sys['bpf'] = (command, attr) => {
    const result = sys.bpf(command, attr);
    const view = new DataView(attr.buffer, attr.byteOffset, attr.byteLength);
    if (command !== BPF.PROG_GET_NEXT_ID || view.getUint32(4, sys.littleEndian) !== id) return result;
    view.setUint32(0, id, sys.littleEndian);
    view.setUint32(4, 0, sys.littleEndian);
    return sys.bpf(command, attr);
  };
  return { ...native, sys: { ...sys, bpf } };
}
