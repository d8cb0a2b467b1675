// All kinds of origins on one kernel at once: tools with objects in their files, and programs that never were in a file.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExplainedProgram, type LiveReport, live } from '../../src/index.ts';
import { renderLive } from '../../src/report/live.ts';
import { selectPrograms } from '../../src/report/live-select.ts';
import { run } from '../cli/run.ts';
import { PIPED } from '../report/render.ts';
import { NOT_BUILT } from '../support/cli.ts';
import * as bpftrace from './bpftrace.ts';
import { heldPrograms } from './programs.ts';
import * as raw from './raw-loader.ts';
import * as systemd from './systemd-root.ts';
import { until } from './until.ts';

const TOOLS =
  'bashreadline biopattern cpudist drsnoop execsnoop exitsnoop gethostlatency mountsnoop opensnoop runqlat runqslower syscount tcpstates'
    .split(' ')
    .map((name) => `/usr/sbin/${name}`)
    .filter((path) => existsSync(path));
const WITHOUT_BPFTRACE = bpftrace.UNABLE === undefined ? '' : ` (without bpftrace: ${bpftrace.UNABLE})`;

const unable = systemd.UNABLE ?? raw.UNABLE ?? (TOOLS.length === 0 ? 'needs libbpf-tools' : undefined);

describe.skipIf(unable !== undefined)(
  `everything at once${unable ? ` (skipped: ${unable})` : WITHOUT_BPFTRACE}`,
  () => {
    let tools: ChildProcess[] = [];
    let manager: systemd.Systemd;
    let loader: raw.RawLoader;
    let tracer: bpftrace.Bpftrace | undefined;
    let report: LiveReport;

    beforeAll(async () => {
      manager = await systemd.startSystemd();
      loader = await raw.startRawLoader();
      tracer = bpftrace.UNABLE === undefined ? await bpftrace.startBpftrace() : undefined;
      tools = TOOLS.map((tool) => spawn(tool, [], { stdio: 'ignore' }));
      await loaded(tools);
      report = await live({ jobs: 1 });
    });
    afterAll(async () => {
      for (const tool of tools) tool.kill();
      await tracer?.stop();
      await loader?.stop();
      await manager?.stop();
    });

    const heldBy = ({ programs }: LiveReport, pids: readonly (number | undefined)[]) =>
      programs.filter(({ holders }) => holders.some(({ pid }) => pids.includes(pid)));
    const ofTools = (from: LiveReport) =>
      heldBy(
        from,
        tools.map(({ pid }) => pid),
      );
    const ofMemory = (from: LiveReport) => [
      ...from.programs.filter(
        ({ holders, attachments }) =>
          holders.some(({ pid }) => pid === manager.pid) ||
          attachments.some(({ target }) => target.startsWith(manager.cgroup)),
      ),
      ...heldBy(from, [loader.pid]),
      ...heldBy(from, [tracer?.pid]),
    ];
    const heldByTools = () => ascending(running(tools).flatMap((pid) => heldPrograms(pid)));
    const lost = () => [...loader.programs].filter(([what]) => raw.isLost(what)).map(([, id]) => id);

    test('all programs are explained but those whose instructions are nowhere any more', () => {
      const ours = [...ofTools(report), ...ofMemory(report)];
      const kinds = ours.map(({ origin }) => origin?.object.kind ?? 'unexplained');
      const counts = [...new Set(kinds)].map((kind) => `${kinds.filter((other) => other === kind).length} ${kind}`);
      console.log(`${ours.length} programs (${counts.join(', ')}): ${report.summary.elapsedMs} ms`);
      expect(ofMemory(report)).toHaveLength(5 + loader.programs.size + (tracer ? bpftrace.PROGRAMS : 0));
      expect(idsOf(ofTools(report))).toEqual(heldByTools());
      expect(heldByTools().length).toBeGreaterThan(0);
      expect(idsOf(ours.filter(({ origin }) => origin === undefined))).toEqual(lost());
    });

    test('tools come from their files, and everything else from the memory of whoever loaded it', () => {
      for (const { name, origin } of ofTools(report)) {
        expect(origin?.object, name).toMatchObject({ kind: 'object', source: { kind: 'file' } });
      }
      for (const { name, origin, holders } of ofMemory(report)) {
        if (origin === undefined) continue;
        expect(origin.object.source.kind, name).toBe('process');
        expect(holders.map(({ pid }) => ({ pid }))).toContainEqual({ pid: pidOf(origin.object.source) });
      }
    });

    test('the text lists those first that are not explained', () => {
      const ids = new Set([...ofTools(report), ...ofMemory(report)].flatMap(({ id }) => id ?? []));
      const text = [...renderLive(selectPrograms(report, { ids, tags: new Set() }), PIPED)].join('');
      const [, unexplained = ''] = /^(7 unexplained programs\n.*?)\d+ explained programs\n/s.exec(text) ?? [];
      expect([...unexplained.matchAll(/^ {2}(\d+) {2}socket_filter/gm)].map(([, id]) => Number(id))).toEqual(lost());
      expect(unexplained.match(/held by {4}pid \d+ raw-loader/g)).toHaveLength(7);
    });

    test('without memory only the tools are explained', async () => {
      const files = await live({ jobs: 1, searchMemory: false });
      for (const { name, origin } of ofTools(files)) expect(origin, name).toBeDefined();
      const rest = ofMemory(files);
      expect(idsOf(rest)).toEqual(idsOf(ofMemory(report)));
      for (const { name, origin } of rest) expect(origin, name).toBeUndefined();
    });

    test.skipIf(NOT_BUILT !== undefined)(
      `the command line says the same${NOT_BUILT ? ` (${NOT_BUILT})` : ''}`,
      async () => {
        const unexplained = async (...args: readonly string[]) => {
          const { status, stdout } = await run(['live', '-j', ...args]);
          expect(status).toBe(0);
          const said: LiveReport = JSON.parse(stdout);
          return idsOf([...ofTools(said), ...ofMemory(said)].filter(({ origin }) => origin === undefined));
        };
        expect(await unexplained()).toEqual(lost());
        expect(await unexplained('--no-memory')).toEqual(idsOf(ofMemory(report)));
      },
    );

    test.skipIf(systemd.VERSION !== 252 || NOT_BUILT !== undefined)(
      `what bpftool captured of systemd 252 is recognised anywhere (here it is ${systemd.VERSION}${NOT_BUILT ? `, ${NOT_BUILT}` : ''})`,
      async () => {
        const capture = execFileSync('bpftool', ['-j', 'prog', 'show'], { maxBuffer: 1 << 26 });
        const given = ['live', '--live', '-', '--no-match'];
        const { stdout } = await run([...given, '-j'], { stdin: capture });
        const said: LiveReport = JSON.parse(stdout);
        const held = said.programs.filter(({ id }) => manager.programs().includes(id ?? 0));
        const accounting = { generator: 'systemd', what: 'IP accounting', instructions: 29 };
        const accounted = held.filter(({ sameBytesAs = [] }) =>
          sameBytesAs.some(({ what }) => what === accounting.what),
        );
        expect(accounted.map(({ sameBytesAs }) => sameBytesAs)).toEqual([[accounting], [accounting]]);
        const { stdout: text } = await run([...given, String(accounted[0]?.id)], { stdin: capture });
        expect(text).toContain('same bytes as systemd generates: IP accounting, 29 instructions');
      },
    );
  },
);

function running(tools: readonly ChildProcess[]): number[] {
  return tools.flatMap(({ pid, exitCode }) => (pid === undefined || exitCode !== null ? [] : [pid]));
}

/** Waits until the tools that can do so have loaded programs, and none loads more. */
async function loaded(tools: readonly ChildProcess[]): Promise<void> {
  let last = '';
  await until('the programs of the tools', async () => {
    await setTimeout(1500);
    const before = last;
    last = running(tools)
      .map((pid) => heldPrograms(pid).length)
      .join();
    return /[1-9]/.test(last) && before === last ? true : undefined;
  });
}

function idsOf(programs: readonly ExplainedProgram[]): number[] {
  return ascending(programs.flatMap(({ id }) => id ?? []));
}

function ascending(ids: readonly number[]): number[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}

function pidOf(source: NonNullable<ExplainedProgram['origin']>['object']['source']): number | undefined {
  return source.kind === 'process' ? source.pid : undefined;
}
