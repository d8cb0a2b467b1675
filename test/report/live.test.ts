import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderLive } from '../../src/report/live.ts';
import type { Style } from '../../src/report/style.ts';
import { displayWidth } from '../../src/report/width.ts';
import type { ExplainedProgram, LiveReport } from '../../src/scan/live-report.ts';
import { COPIES, liveMap, liveProgram, liveReport, origin, PASS, REPORT, SNOOP, TRACER, VIEWS } from './live-sample.ts';
import { PIPED } from './render.ts';
import { diagnostic } from './sample.ts';

/** What the sample report must look like, written by hand. */
const GOLDEN_PIPED = `\
inconsistent views: 1 object that not every view shows alike
  program 977 b11459a0e11ca14c (checks A, D)
    BPF_PROG_GET_FD_BY_ID opens it, BPF_PROG_GET_NEXT_ID passes it over
    link 12 runs it

7 unexplained programs
   900  kprobe      trace_secret                          faeb442ee60dc635
        loaded     2026-01-02T03:00:00.000Z by uid 1000
        code       1,240 B translated, not JITed, not GPL-compatible
        functions  trace_secret faeb442ee60dc635, helper 10e060f1f65ee396
        source     /home/dev/secret.bpf.c:23
        attached   kprobe do_exit (link 7)
                   tcx_ingress eth0 (interface 2, netns 4026532000, link 8)
        held by    pid 812 "a secret" "/tmp/secret (deleted)" (prog-fd, link-fd)
        pinned     /sys/fs/bpf/secret
        maps       32 hash start, 29 perf_event_array events
        map pins   /sys/fs/bpf/events (map 29)
        map users  pid 4947 reader /usr/bin/reader (map 32)
        identical  to /usr/sbin/other 0x40, section xdp, program pass
        but        three instructions or fewer, which many programs share
        near miss  same name, another tag
                   in /usr/sbin/tracer 0x384b8, section kprobe/do_exit, program trace_secret

   6 x  cgroup_skb                                        7dc8126e8768ea37  ids 5-10  6 attachments
        code       312 B translated, 192 B JITed, GPL-compatible
        held by    pid 1 systemd /usr/lib/systemd/systemd (prog-fd)
        loaded     2026-01-02T03:00:00.000Z to 2026-01-02T03:00:05.000Z by uid 0
        attached   cgroup_inet_ingress /sys/fs/cgroup/system.slice/unit-0.service (multi)
                   cgroup_inet_ingress /sys/fs/cgroup/system.slice/unit-1.service (multi)
                   cgroup_inet_ingress /sys/fs/cgroup/system.slice/unit-2.service (multi)
                   and 3 more; -v lists them
        maps       1000, 1001, 1002, 1003, 1004, 1005

2 explained programs
   110  tracepoint  tracepoint__syscalls__sys_enter_open  faeb442ee60dc635  <- /usr/sbin/opensnoop  0x384b8  \
tracepoint/syscalls/sys_enter_open  libbpf  + 1 other place
  7001  xdp         xdp_pass                              3b185187f1855c4c  identical to pid 77 xdp-loader  \
0x55d0c0a384b8 in [heap]  xdp  pass  libbpf  with assumptions

partial      descriptors of processes: the descriptors of 12 of 300 processes may not be read; this takes CAP_SYS_PTRACE
unsupported  cgroups: no cgroup2 is mounted

lab, Linux 6.18.44, 2026-01-02T03:04:05.858Z
9 programs: 2 explained, 7 unexplained, 120 sources searched, 180 ms
`;

const GOLDEN_60 = `\
inconsistent views: 1 object that not every view shows alike
  program 977 b11459a0e11ca14c (checks A, D)
    BPF_PROG_GET_FD_BY_ID opens it, BPF_PROG_GET_NEXT_ID
      passes it over
    link 12 runs it

7 unexplained programs
   900  kprobe      trace_secret     faeb442ee60dc635
        loaded     2026-01-02T03:00:00.000Z by uid 1000
        code       1,240 B translated, not JITed, not
                     GPL-compatible
        functions  trace_secret faeb442ee60dc635,
                   helper 10e060f1f65ee396
        source     /home/dev/secret.bpf.c:23
        attached   kprobe do_exit (link 7)
                   tcx_ingress eth0 (interface 2, netns
                     4026532000, link 8)
        held by    pid 812 "a secret" "/tmp/secret
                     (deleted)" (prog-fd, link-fd)
        pinned     /sys/fs/bpf/secret
        maps       32 hash start,
                   29 perf_event_array events
        map pins   /sys/fs/bpf/events (map 29)
        map users  pid 4947 reader /usr/bin/reader (map 32)
        identical  to /usr/sbin/other 0x40, section xdp,
                     program pass
        but        three instructions or fewer, which many
                     programs share
        near miss  same name, another tag
                   in /usr/sbin/tracer 0x384b8, section
                     kprobe/do_exit, program trace_secret

   6 x  cgroup_skb                   7dc8126e8768ea37
        ids 5-10  6 attachments
        code       312 B translated, 192 B JITed,
                     GPL-compatible
        held by    pid 1 systemd /usr/lib/systemd/systemd
                     (prog-fd)
        loaded     2026-01-02T03:00:00.000Z to
                     2026-01-02T03:00:05.000Z by uid 0
        attached   cgroup_inet_ingress
                     /sys/fs/cgroup/syst…lice/unit-0.service
                     (multi)
                   cgroup_inet_ingress
                     /sys/fs/cgroup/syst…lice/unit-1.service
                     (multi)
                   cgroup_inet_ingress
                     /sys/fs/cgroup/syst…lice/unit-2.service
                     (multi)
                   and 3 more; -v lists them
        maps       1000, 1001, 1002, 1003, 1004, 1005

2 explained programs
   110  tracepoint  tracepoint__syscalls__sys_enter_open
        faeb442ee60dc635  <- /usr/sbin/opensnoop  0x384b8
        tracepoint/syscalls/sys_enter_open  libbpf
        + 1 other place
  7001  xdp         xdp_pass         3b185187f1855c4c
        identical to pid 77 xdp-loader
        0x55d0c0a384b8 in [heap]  xdp  pass  libbpf
        with assumptions

partial      descriptors of processes: the descriptors of 12
             of 300 processes may not be read; this takes
             CAP_SYS_PTRACE
unsupported  cgroups: no cgroup2 is mounted

lab, Linux 6.18.44, 2026-01-02T03:04:05.858Z
9 programs: 2 explained, 7 unexplained,
  120 sources searched, 180 ms
`;

const GOLDEN_VERBOSE = `\
3 unexplained programs
  3 x  cgroup_skb           7dc8126e8768ea37  ids 5-7  3 attachments
       code       312 B translated, 192 B JITed, GPL-compatible
       held by    pid 1 systemd /usr/lib/systemd/systemd (prog-fd)
       read by    bpf
       5  loaded 2026-01-02T03:00:00.000Z by uid 0; attached cgroup_inet_ingress \
/sys/fs/cgroup/system.slice/unit-0.service (multi); maps 1000
       6  loaded 2026-01-02T03:00:01.000Z by uid 0; attached cgroup_inet_ingress \
/sys/fs/cgroup/system.slice/unit-1.service (multi); maps 1001
       7  loaded 2026-01-02T03:00:02.000Z by uid 0; attached cgroup_inet_ingress \
/sys/fs/cgroup/system.slice/unit-2.service (multi); maps 1002

1 explained program
  110  kprobe      on_exit  faeb442ee60dc635  <- /usr/sbin/opensnoop  0x384b8  kprobe/do_exit  handler  libbpf  \
with assumptions
       origin     /usr/sbin/opensnoop 0x384b8, section kprobe/do_exit, program handler
       sha256     a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1
       proof      equal tag (sha256) as loaded by libbpf, or aya
       assuming   the application does not create map "heap"
       attached   nowhere that was seen
       held by    no process that was seen
       maps       32 hash start 4 B to 16 B max 10240 frozen
       ran        2 times for 3 ms
       btf        31
       address    0xffffffffc0000000
       read by    bpf

ok           bpf(2)
ok           descriptors of processes
ok           kallsyms
ok           cgroups
ok           network devices
ok           pins
seen from namespaces net 4026531840

lab, Linux 6.18.44, 2026-01-02T03:04:05.858Z
4 programs: 1 explained, 3 unexplained, 120 sources searched, 180 ms
`;

describe('the report', () => {
  test('piped: every path in full', () => {
    expect(render(REPORT)).toBe(GOLDEN_PIPED);
  });

  test('on 60 columns', () => {
    expect(render(REPORT, { width: 60 })).toBe(GOLDEN_60);
  });

  test('with -v: a block each, every copy, every view', () => {
    const program = liveProgram(110, {
      name: 'on_exit',
      mapIds: [32],
      btfId: 31,
      address: '0xffffffffc0000000',
      runCount: 2,
      runTimeNs: 3e6,
      origin: origin('/usr/sbin/opensnoop', 0x384b8, { assumptions: ['the application does not create map "heap"'] }),
    });
    const map = liveMap(32, { name: 'start', keySize: 4, valueSize: 16, maxEntries: 10_240, frozen: true });
    const report = liveReport({
      programs: [...COPIES.programs(3), program],
      groups: [COPIES.group(3)],
      maps: [map],
    });
    expect(render(report, { verbose: 1 })).toBe(GOLDEN_VERBOSE);
  });

  test('with -q only programs and what is inconsistent', () => {
    const quiet = render(REPORT, { quiet: true });
    expect(GOLDEN_PIPED).toContain(quiet);
    expect(quiet).toMatch(/^inconsistent views.*with assumptions\n\n$/s);
  });

  test('colours are only added', () => {
    const colored = render(REPORT, { color: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: ECMA-48 SGR
    expect(colored.replace(/\x1b\[\d+m/g, '')).toBe(GOLDEN_PIPED);
    expect(colored).toContain('\u001b[31minconsistent views');
  });
});

describe('copies', () => {
  test('400 on 400 cgroups take a line when they are explained', () => {
    const from = origin('/usr/lib/systemd/systemd', 0x1000, { program: '', section: 'cgroup_skb' });
    const programs = COPIES.programs(400).map((program) => ({ ...program, origin: from }));
    expect(render(liveReport({ programs, groups: [COPIES.group(400)] }), { quiet: true })).toBe(`\
400 explained programs
  400 x  cgroup_skb  7dc8126e8768ea37  ids 5-404  400 attachments  <- /usr/lib/systemd/systemd  0x1000  cgroup_skb  libbpf

`);
  });

  test('400 on 400 cgroups are all listed with -v', () => {
    const text = render(liveReport({ programs: COPIES.programs(400), groups: [COPIES.group(400)] }), { verbose: 1 });
    expect(new Set(text.match(/unit-\d+\.service/g)).size).toBe(400);
  });

  test('that come from different files stand apart', () => {
    const [a, b, ...rest] = COPIES.programs(3) as [ExplainedProgram, ExplainedProgram, ExplainedProgram];
    const programs = [{ ...a, origin: origin('/a', 1) }, { ...b, origin: origin('/b', 1) }, ...rest];
    const text = render(liveReport({ programs, groups: [COPIES.group(3)] }), { quiet: true });
    expect(text).toMatch(/^ +7 +cgroup_skb.*\n/m);
    expect(text).toMatch(/^ +5 +cgroup_skb.*<- \/a/m);
    expect(text).toMatch(/^ +6 +cgroup_skb.*<- \/b/m);
  });

  test('with gaps between their ids are told by the first and the last', () => {
    const ids = [1, 3, 5, 7, 9];
    const programs = ids.map((id) => liveProgram(id));
    const group = { tag: 'faeb442ee60dc635', type: 'kprobe', count: 5, ids, attachments: 0 };
    expect(render(liveReport({ programs, groups: [group] }))).toContain(
      '5 x  kprobe  handler  faeb442ee60dc635  ids 1 to 9',
    );
  });

  test('one of them alone says that it has others', () => {
    const programs = COPIES.programs(1);
    expect(render(liveReport({ programs, groups: [COPIES.group(412)] }))).toContain(
      'copies     one of 412 copies, ids 5-416',
    );
  });
});

describe('code', () => {
  test('of an instruction array is told from an object', () => {
    const object = {
      kind: 'instructions',
      sha256: 'c3'.repeat(32),
      source: { kind: 'process', pid: 1, startTime: '', comm: 'systemd' },
      address: '0x5581a0',
      size: 232,
    } as const;
    const found = { evidence: 'tag', algorithm: 'sha1', relation: 'origin', object, mapsAgree: false } as const;
    const text = render(liveReport({ programs: [liveProgram(5, { origin: found })] }), { verbose: 1 });
    expect(text).toContain('<- pid 1 systemd  0x5581a0  instructions\n');
    expect(text).toContain('origin     pid 1 systemd 0x5581a0, instructions, 232 bytes\n');
    expect(text).toContain('proof      equal tag (sha1) as it stands there\n');
    expect(text).toContain('but        the instructions there refer to other maps: they may be of a copy\n');
  });

  test('of a light skeleton, and of an object whose header is gone, says so', () => {
    const from = origin('/srv/agent', 0x2000, { loader: 'libbpf-light', loaders: ['libbpf light skeleton'] });
    const light = liveProgram(5, { origin: { ...from, object: { ...from.object, kind: 'light-skeleton' } } });
    const wiped = liveProgram(6, { origin: { ...from, object: { ...from.object, rebuilt: true } } });
    const text = render(liveReport({ programs: [light, wiped] }), { verbose: 1 });
    expect(text).toContain('<- /srv/agent  0x2000  light skeleton  ');
    expect(text).toContain('origin     /srv/agent 0x2000, light skeleton, ');
    expect(text).toContain('<- /srv/agent  0x2000  header rebuilt  ');
    expect(text).toContain('but        its ELF header was overwritten there, and put back to read it\n');
  });

  test('so short that many share it never "comes from" anywhere', () => {
    expect(render(liveReport({ programs: [PASS] }))).not.toContain('<-');
    expect(render(liveReport({ programs: [PASS] }))).toContain('identical to pid 77 xdp-loader');
  });

  test('that was not looked for is not said to be nowhere', () => {
    const report = liveReport({ programs: [TRACER] });
    const text = render({ ...report, summary: { ...report.summary, sources: 0 } });
    expect(text).toContain('1 unexplained program: nothing was searched for their code\n');
  });
});

describe('a kernel', () => {
  test('without programs is told in one sentence', () => {
    expect(render(liveReport())).toBe('No BPF program is loaded.\n');
  });

  test('without programs may still have maps', () => {
    expect(render(liveReport({ maps: [liveMap(1), liveMap(2)] }))).toBe('No BPF program is loaded, but 2 maps.\n');
  });

  test('that does not show its programs is not called empty', () => {
    const views = { ...VIEWS, bpf: { status: 'denied', reason: 'EPERM' } } as const;
    expect(render(liveReport({ views }))).toBe(`\
No BPF program was seen.

denied       bpf(2): EPERM; this takes CAP_SYS_ADMIN in the initial user namespace
`);
  });

  test('that was captured shows what the capture has', () => {
    const missing = { status: 'unsupported', reason: 'programs come from a file' } as const;
    const captured: ExplainedProgram = {
      id: 12,
      type: 31,
      tag: 'faeb442ee60dc635',
      subprogramTags: [],
      mapIds: [3],
      holders: [],
      attachments: [],
      pins: [],
      knownFrom: 'capture',
    };
    const report = liveReport({ views: { ...VIEWS, fdinfo: missing, cgroup: missing }, programs: [captured] });
    expect(render(report)).toBe(`\
1 unexplained program
  12  31  faeb442ee60dc635
      maps       3

unsupported  descriptors of processes: programs come from a file
unsupported  cgroups: programs come from a file

captured programs; their code was looked for on lab, Linux 6.18.44, 2026-01-02T03:04:05.858Z
1 program: 0 explained, 1 unexplained, 120 sources searched, 180 ms
`);
  });

  test('of which only kallsyms tells shows names and tags', () => {
    const { id: _id, type: _type, ...nameless } = liveProgram(1, { knownFrom: 'kallsyms' });
    expect(render(liveReport({ programs: [nameless] }), { quiet: true })).toContain(
      '  -  -  handler  faeb442ee60dc635\n',
    );
  });
});

test('what went wrong is said once: a view that is not complete by its line', () => {
  const views = { ...VIEWS, bpffs: { status: 'partial', reason: 'one mount less' } } as const;
  const diagnostics = [
    diagnostic('view bpffs', { code: 'view-partial', message: 'one mount less' }),
    diagnostic('/gone'),
  ];
  const text = render(liveReport({ views, diagnostics, programs: [SNOOP] }));
  expect(text).toContain(
    'partial      pins: one mount less\nwarning  /gone: cannot open: permission denied (EACCES)\n',
  );
  expect(text.match(/one mount less/g)).toHaveLength(1);
});

test('an interrupted search is said to be one', () => {
  const report = liveReport({ programs: [SNOOP] });
  expect(render({ ...report, summary: { ...report.summary, interrupted: true } })).toContain(
    'interrupted: the rest was not searched\n',
  );
});

test('inconsistent views are called nothing worse', () => {
  expect(render(REPORT, { verbose: 1 })).not.toMatch(/rootkit|malware|malicious|hidden|attack/i);
});

describe('whatever the system says', () => {
  const RUNS = { numRuns: 200 };
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('\u001b[2J', 'a  b', '日本'.repeat(40), '/x (link 7)'),
  );
  const report = fc
    .record({ name: text, path: text, more: text, id: fc.nat(), count: fc.nat({ max: 6 }), isExplained: fc.boolean() })
    .map(hostileReport);

  test('nothing is printed but what shows, and line ends', () => {
    fc.assert(
      fc.property(report, fc.nat({ max: 1 }), (input, verbose) => {
        expect(render(input, { width: 60, verbose })).toMatch(
          /^([ \n]|[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}])*$/u,
        );
      }),
      RUNS,
    );
  });

  test('no line is longer than the terminal, but for a digest', () => {
    fc.assert(
      fc.property(report, fc.nat({ max: 1 }), (input, verbose) => {
        for (const line of render(input, { width: 60, verbose }).split('\n')) {
          if (!/^ +sha256 +/.test(line)) expect(displayWidth(line)).toBeLessThanOrEqual(60);
        }
      }),
      RUNS,
    );
  });
});

function render(report: LiveReport, style: Partial<Style> = {}): string {
  return [...renderLive(report, { ...PIPED, ...style })].join('');
}

interface Hostile {
  readonly name: string;
  readonly path: string;
  readonly more: string;
  readonly id: number;
  readonly count: number;
  readonly isExplained: boolean;
}

/** Every string that comes from the system, or from a file that claims to. */
function hostileReport({ name, path, more, id, count, isExplained }: Hostile): LiveReport {
  const holders = [{ pid: 7, comm: name, exe: path, via: ['prog-fd'] as const }];
  const found = origin(path, id, { program: name, section: more, loader: more, loaders: [more], assumptions: [more] });
  const inMemory = {
    ...found,
    object: {
      ...found.object,
      source: { kind: 'process', pid: id, startTime: more, comm: name } as const,
      address: more,
      region: { start: '', end: '', permissions: '', path },
    },
  };
  const programs = Array.from({ length: count + 1 }, (_, at) =>
    liveProgram(id + at, {
      name,
      type: more,
      tag: more,
      subprogramTags: [more],
      functions: at % 2 === 0 ? [{ name, tag: more, address: more }] : [],
      loadedAt: more,
      sourceFile: path,
      attachTo: { btfObject: 1, btfType: 2, name },
      mapIds: [1],
      holders,
      pins: [path],
      attachments: [
        { kind: 'cgroup', target: path, attachType: more, cookie: more },
        { kind: 'xdp', target: name, ifindex: at },
      ],
      ...(isExplained ? { origin: found, otherOrigins: [inMemory] } : { identicalTo: [inMemory] }),
      nearMisses: [{ object: inMemory.object, program: name, section: more, reason: more }],
      address: more,
    }),
  );
  return liveReport({
    programs,
    maps: [liveMap(1, { name, type: more, pins: [path], holders: [{ ...holders[0], pid: 8, comm: more, via: [] }] })],
    groups: count > 2 ? [{ tag: more, count: 2, ids: [id, id + 1], attachments: 4 }] : [],
    views: { ...VIEWS, net: { status: 'partial', reason: more } },
    host: { hostname: name, kernelRelease: more, arch: more },
    inconsistencies: [{ object: 'program', id, tag: more, checks: ['A'], evidence: [path, more] }],
    diagnostics: [diagnostic(path, { message: more, code: name })],
  });
}
