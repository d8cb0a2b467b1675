// A live report built by hand: what the tests of this room render.
import type { Origin } from '../../src/correlate/origin.ts';
import type { LiveMap, Views } from '../../src/host/records.ts';
import type { ExplainedProgram, LiveReport } from '../../src/scan/live-report.ts';

export const VIEWS: Views = {
  bpf: { status: 'ok' },
  fdinfo: { status: 'ok' },
  kallsyms: { status: 'ok' },
  cgroup: { status: 'ok' },
  net: { status: 'ok' },
  bpffs: { status: 'ok' },
};

export function liveProgram(id: number, more: Partial<ExplainedProgram> = {}): ExplainedProgram {
  return {
    id,
    type: 'kprobe',
    name: 'handler',
    tag: 'faeb442ee60dc635',
    subprogramTags: [],
    mapIds: [],
    holders: [],
    attachments: [],
    pins: [],
    knownFrom: 'bpf',
    ...more,
  };
}

export function liveMap(id: number, more: Partial<LiveMap> = {}): LiveMap {
  return { id, type: 'hash', holders: [], pins: [], knownFrom: 'bpf', ...more };
}

export function origin(path: string, offset: number, more: Partial<Origin> = {}): Origin {
  return {
    evidence: 'tag',
    algorithm: 'sha256',
    loader: 'libbpf',
    loaders: ['libbpf', 'aya'],
    relation: 'origin',
    object: { kind: 'object', sha256: 'a1'.repeat(32), source: { kind: 'file', path, size: 244_200 }, offset },
    program: 'handler',
    section: 'kprobe/do_exit',
    ...more,
  };
}

export function liveReport(more: Partial<LiveReport> = {}): LiveReport {
  const programs = more.programs ?? [];
  const explained = programs.filter(({ origin }) => origin !== undefined).length;
  return {
    schemaVersion: 1,
    tool: { name: 'bpfcarve', version: '0.1.0' },
    command: 'live',
    startedAt: '2026-01-02T03:04:05.678Z',
    finishedAt: '2026-01-02T03:04:05.858Z',
    host: { hostname: 'lab', kernelRelease: '6.18.44', arch: 'x64' },
    views: VIEWS,
    scope: { net: 4_026_531_840 },
    maps: [],
    links: [],
    pins: [],
    groups: [],
    inconsistencies: [],
    diagnostics: [],
    ...more,
    programs,
    summary: {
      programs: programs.length,
      explained,
      unexplained: programs.length - explained,
      sources: 120,
      elapsedMs: 180,
      ...more.summary,
    },
  };
}

const LOADED = '2026-01-02T03:00:00.000Z';
const SYSTEMD = { pid: 1, comm: 'systemd', exe: '/usr/lib/systemd/systemd', via: ['prog-fd'] } as const;

/** Copies of one program on a cgroup each, as systemd 249 attaches them. */
export const COPIES = {
  tag: '7dc8126e8768ea37',
  programs: (count: number): ExplainedProgram[] =>
    Array.from({ length: count }, (_, at) =>
      liveProgram(5 + at, {
        type: 'cgroup_skb',
        name: '',
        tag: COPIES.tag,
        loadedAt: `2026-01-02T03:00:${String(at % 60).padStart(2, '0')}.000Z`,
        uid: 0,
        xlatedLength: 312,
        jitedLength: 192,
        gplCompatible: true,
        mapIds: [1000 + at],
        holders: [SYSTEMD],
        attachments: [
          {
            kind: 'cgroup',
            target: `/sys/fs/cgroup/system.slice/unit-${at}.service`,
            attachType: 'cgroup_inet_ingress',
            sharing: 'multi',
          },
        ],
      }),
    ),
  group: (count: number) => ({
    tag: COPIES.tag,
    type: 'cgroup_skb',
    count,
    ids: Array.from({ length: count }, (_, at) => 5 + at),
    attachments: count,
  }),
};

/** An unexplained tracer, six unexplained copies, opensnoop explained, and XDP code that is in a process's memory: most of what can be said. */
export const TRACER = liveProgram(900, {
  name: 'trace_secret',
  loadedAt: LOADED,
  uid: 1000,
  xlatedLength: 1240,
  jitedLength: 0,
  gplCompatible: false,
  mapIds: [32, 29],
  sourceFile: '/home/dev/secret.bpf.c',
  sourceLine: 23,
  functions: [
    { name: 'trace_secret', tag: 'faeb442ee60dc635' },
    { name: 'helper', tag: '10e060f1f65ee396' },
  ],
  subprogramTags: ['10e060f1f65ee396'],
  attachments: [
    { kind: 'kprobe', target: 'do_exit', linkId: 7 },
    { kind: 'tcx', target: 'eth0', attachType: 'tcx_ingress', ifindex: 2, netns: 4_026_532_000, linkId: 8 },
  ],
  holders: [{ pid: 812, comm: 'a secret', exe: '/tmp/secret (deleted)', via: ['prog-fd', 'link-fd'] }],
  pins: ['/sys/fs/bpf/secret'],
  identicalTo: [origin('/usr/sbin/other', 0x40, { relation: 'identical', program: 'pass', section: 'xdp' })],
  nearMisses: [
    {
      object: origin('/usr/sbin/tracer', 0x384b8).object,
      program: 'trace_secret',
      section: 'kprobe/do_exit',
      reason: 'same name, another tag',
    },
  ],
});

export const SNOOP = liveProgram(110, {
  type: 'tracepoint',
  name: 'tracepoint__syscalls__sys_enter_open',
  loadedAt: LOADED,
  uid: 0,
  xlatedLength: 240,
  jitedLength: 137,
  btfId: 31,
  holders: [{ pid: 4946, comm: 'opensnoop', exe: '/usr/sbin/opensnoop', via: ['prog-fd', 'link-fd'] }],
  attachments: [{ kind: 'tracepoint', target: 'syscalls/sys_enter_open', linkId: 9 }],
  origin: origin('/usr/sbin/opensnoop', 0x384b8, {
    program: 'tracepoint__syscalls__sys_enter_open',
    section: 'tracepoint/syscalls/sys_enter_open',
  }),
  otherOrigins: [origin('/opt/opensnoop', 0x40)],
});

export const PASS = liveProgram(7001, {
  type: 'xdp',
  name: 'xdp_pass',
  tag: '3b185187f1855c4c',
  origin: origin('', 0, {
    relation: 'identical',
    program: 'pass',
    section: 'xdp',
    assumptions: ['the application does not create map "heap"'],
    object: {
      kind: 'object',
      sha256: 'b2'.repeat(32),
      source: { kind: 'process', pid: 77, startTime: LOADED, comm: 'xdp-loader' },
      address: '0x55d0c0a384b8',
      region: { start: '0x55d0c0a00000', end: '0x55d0c0b00000', permissions: 'rw-p', path: '[heap]' },
    },
  }),
});

export const REPORT = liveReport({
  views: {
    ...VIEWS,
    fdinfo: { status: 'partial', reason: 'the descriptors of 12 of 300 processes may not be read' },
    cgroup: { status: 'unsupported', reason: 'no cgroup2 is mounted' },
  },
  programs: [TRACER, ...COPIES.programs(6), SNOOP, PASS],
  maps: [
    liveMap(29, { type: 'perf_event_array', name: 'events', pins: ['/sys/fs/bpf/events'] }),
    liveMap(32, { name: 'start', holders: [{ pid: 4947, comm: 'reader', exe: '/usr/bin/reader', via: ['map-fd'] }] }),
  ],
  groups: [COPIES.group(6)],
  inconsistencies: [
    {
      object: 'program',
      id: 977,
      tag: 'b11459a0e11ca14c',
      checks: ['A', 'D'],
      evidence: ['BPF_PROG_GET_FD_BY_ID opens it, BPF_PROG_GET_NEXT_ID passes it over', 'link 12 runs it'],
    },
  ],
});
