// Field by field against bpftool, for everything that both report of programs, maps, links and cgroups.
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHost } from '../../src/host/host.ts';
import type { HostSnapshot } from '../../src/host/records.ts';
import { bpftool, has, hasTracefs, Machine, output, sampleNames, title, UNABLE } from './machine.ts';

type Json = Readonly<Record<string, unknown>>;

/** Tools that stay up on most kernels: what one of them cannot load is not compared. */
const TOOLS = ['opensnoop', 'runqlat', 'execsnoop', 'statsnoop', 'exitsnoop', 'bindsnoop', 'biosnoop', 'mountsnoop'];

describe.skipIf(UNABLE !== undefined)(title('the running kernel'), () => {
  let machine: Machine;
  let snapshot: HostSnapshot;
  let programs: readonly Json[];
  let maps: readonly Json[];
  let links: readonly Json[];
  let cgroups: readonly Json[];
  let now: number;

  beforeAll(async () => {
    machine = new Machine('bpftool');
    for (const sample of sampleNames()) machine.load(sample);
    if (hasTracefs()) for (const tool of TOOLS) if (has(tool)) await machine.tool(tool);
    const netns = machine.netns();
    const xdp = ['ip', 'link', 'set', 'dev', 'v0', 'xdp', 'pinned', `${machine.pins}/xdp/xdp_firewall`];
    output('nsenter', [`--net=/run/netns/${netns}`, ...xdp]);
    const pin = `${machine.pins}/cgroup/account_ingress`;
    for (const name of ['a', 'a/b', 'c']) {
      output('bpftool', ['cgroup', 'attach', machine.cgroup(name), 'ingress', 'pinned', pin, 'multi']);
    }
    output('bpftool', [
      'cgroup',
      'attach',
      machine.cgroup('c'),
      'device',
      'pinned',
      `${machine.pins}/allow/allow_read`,
    ]);
    // Others come and go on this machine: what is there before and after is compared.
    const before = { programs: list('prog'), maps: list('map'), links: list('link') };
    snapshot = await readHost();
    now = Date.now();
    programs = lasting(before.programs, list('prog'));
    maps = lasting(before.maps, list('map'));
    links = lasting(before.links, list('link'));
    cgroups = rows(bpftool('cgroup', 'tree', machine.cgroup('')));
  }, 180_000);

  afterAll(() => machine?.close());

  test('every program', () => {
    expect(programs.length).toBeGreaterThan(40);
    for (const shown of programs) {
      const program = snapshot.programs.find(({ id }) => id === shown.id);
      expect(
        {
          id: program?.id,
          type: program?.type,
          ...(program?.name !== undefined && { name: program.name }),
          tag: program?.tag,
          gpl_compatible: program?.gplCompatible,
          uid: program?.uid,
          bytes_xlated: program?.xlatedLength,
          jited: (program?.jitedLength ?? 0) > 0,
          bytes_jited: program?.jitedLength,
          bytes_memlock: program?.memlock,
          ...((program?.mapIds.length ?? 0) > 0 && { map_ids: program?.mapIds }),
          ...(program?.btfId !== undefined && { btf_id: program.btfId }),
        },
        `program ${shown.id}`,
      ).toEqual(
        without(shown, 'loaded_at', 'pids', 'run_time_ns', 'run_cnt', 'recursion_misses', 'metadata', 'orphaned'),
      );
      const loaded = Date.parse(program?.loadedAt ?? '') / 1000;
      expect(Math.abs(loaded - Number(shown.loaded_at))).toBeLessThanOrEqual(1.1);
      expect(loaded * 1000).toBeLessThan(now);
    }
  });

  test('every map', () => {
    expect(maps.length).toBeGreaterThan(20);
    for (const { id } of maps) {
      // Lists of bpftool 7 carry over the btf_id of the map before; alone it is right.
      const shown = one('map', id);
      if (shown === undefined) continue;
      const map = snapshot.maps.find((each) => each.id === id);
      expect(
        {
          id: map?.id,
          type: map?.type,
          ...(map?.name !== undefined && { name: map.name }),
          flags: map?.flags,
          bytes_key: map?.keySize,
          bytes_value: map?.valueSize,
          max_entries: map?.maxEntries,
          bytes_memlock: map?.memlock,
          frozen: map?.frozen ? 1 : 0,
          ...(map?.btfId !== undefined && { btf_id: map.btfId }),
          ...(map?.ownerProgramType !== undefined && { owner_prog_type: map.ownerProgramType }),
          ...(map?.ownerJited !== undefined && { owner_jited: map.ownerJited }),
        },
        `map ${id}`,
      ).toEqual(without(shown, 'pids'));
    }
  });

  test('every link', (ctx) => {
    if (links.length === 0) ctx.skip('nothing on this machine made links');
    for (const shown of links) {
      const link = snapshot.links.find(({ id }) => id === shown.id);
      expect({ id: link?.id, type: link?.type, prog_id: link?.programId }, `link ${shown.id}`).toEqual({
        id: shown.id,
        type: shown.type,
        prog_id: shown.prog_id,
      });
      if (shown.tp_name !== undefined) expect(link?.attachment?.target).toBe(shown.tp_name);
    }
  });

  test('every program of a cgroup', () => {
    const told = snapshot.programs.flatMap(({ id, attachments }) =>
      attachments.flatMap(({ kind, target, attachType, sharing }) =>
        kind === 'cgroup' && target.includes(`bpfcarve-${process.pid}`)
          ? [`${below(target)} ${id} ${attachType} ${sharing}`]
          : [],
      ),
    );
    const shown = cgroups.flatMap(({ cgroup, programs }) =>
      rows(programs).map(
        ({ id, attach_type, attach_flags }) =>
          `${below(String(cgroup))} ${id} ${attach_type} ${attach_flags === '' ? 'exclusive' : attach_flags}`,
      ),
    );
    expect(shown).toHaveLength(4);
    expect(told.sort()).toEqual(shown.sort());
  });

  test('xdp in a network namespace of its own', () => {
    const attached = snapshot.programs.filter(({ attachments }) =>
      attachments.some(({ kind, target, netns }) => kind === 'xdp' && target === 'v0' && netns !== snapshot.scope.net),
    );
    expect(attached.map(({ name }) => name)).toEqual(['xdp_firewall']);
  });

  test.skipIf(!hasTracefs() || !has('opensnoop'))(
    title(
      'who holds the programs of a tool, and where they run',
      hasTracefs() ? undefined : 'no tracefs, or no opensnoop',
    ),
    () => {
      const own = snapshot.programs.filter(({ holders }) => holders.some(({ comm }) => comm === 'opensnoop'));
      expect(own.map(({ name }) => name)).toContain('tracepoint__syscalls__sys_enter_openat');
      for (const program of own) {
        expect(program.holders).toMatchObject([{ exe: expect.stringContaining('opensnoop') }]);
        expect(program.attachments.map(({ kind }) => kind)).toEqual(['tracepoint']);
        expect(program.sourceFile).toMatch(/opensnoop\.bpf\.c$/);
      }
    },
  );

  test('the pins', () => {
    const pinned = snapshot.programs.filter(({ pins }) => pins.some((path) => path.startsWith(machine.pins)));
    expect(pinned.length).toBe(new Set(pinned.map(({ id }) => id)).size);
    expect(pinned.flatMap(({ pins }) => pins)).toContain(`${machine.pins}/cgroup/account_ingress`);
  });

  test('no view is denied, and nothing is inconsistent', () => {
    expect(Object.values(snapshot.views).map(({ status }) => status)).not.toContain('denied');
    expect(snapshot.inconsistencies).toEqual([]);
  });
});

function list(kind: string): readonly Json[] {
  return rows(bpftool(kind, 'show'));
}

/** `undefined` for what is gone by now. */
function one(kind: string, id: unknown): Json | undefined {
  const { stdout, status } = spawnSync('bpftool', ['-j', kind, 'show', 'id', String(id)], { encoding: 'utf8' });
  return status === 0 ? rows([JSON.parse(stdout)])[0] : undefined;
}

function lasting(before: readonly Json[], after: readonly Json[]): readonly Json[] {
  const still = new Set(after.map(({ id }) => id));
  return before.filter(({ id }) => still.has(id));
}

function rows(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function without(row: Json, ...keys: readonly string[]): Json {
  return Object.fromEntries(Object.entries(row).filter(([key]) => !keys.includes(key)));
}

/** Which mount of the same hierarchy a path goes through does not matter. */
function below(path: string): string {
  return path.slice(path.indexOf(`bpfcarve-${process.pid}`));
}
