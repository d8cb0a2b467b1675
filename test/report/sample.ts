// The events of a small scan, built by hand: what the tests of this room render.
import type { Diagnostic } from '../../src/diagnostics.ts';
import type { ProgramSummary } from '../../src/object/summarize.ts';
import type {
  CarvedBtf,
  CarvedClassicFilter,
  CarvedElf,
  CarvedInstructions,
  CarvedLightSkeleton,
  CarvedObject,
  CarvedProgram,
  ScanEvent,
  ScanSummary,
} from '../../src/scan/events.ts';

export const START: ScanEvent = {
  event: 'start',
  schemaVersion: 1,
  tool: { name: 'bpfcarve', version: '0.1.0' },
  command: 'scan',
  startedAt: '2026-01-02T03:04:05.678Z',
  host: { hostname: 'lab', kernelRelease: '6.18.44', arch: 'x64' },
};

export function program(name: string, type: string | number, more: Partial<ProgramSummary> = {}): ProgramSummary {
  return { name, type, section: `${type}/x`, instructions: 8, subprograms: [], helpers: [], ...more };
}

export function carved(path: string, offset: number, more: Partial<CarvedElf> = {}): CarvedElf {
  return {
    kind: 'object',
    sha256: 'a1'.repeat(32),
    size: 3304,
    completeness: 'whole',
    elf: { class: 64, endianness: 'little', type: 'REL', sections: 16 },
    source: { kind: 'file', path, size: 244_200 },
    offset,
    programs: [program('handler', 'kprobe')],
    maps: [],
    diagnostics: [],
    ...more,
  };
}

export function diagnostic(where: string, more: Partial<Diagnostic> = {}): Diagnostic {
  return { severity: 'warning', code: 'EACCES', where, message: 'cannot open: permission denied', ...more };
}

export const SUMMARY: ScanSummary = {
  sources: 5120,
  bytes: 4_400_000_000,
  candidates: 8,
  objects: 4,
  distinct: 3,
  rejected: { 'no-section-table': 1, 'truncated-header': 3 },
  unreadable: 6,
  elapsedMs: 1900,
};

/** A whole stream: what is found, what goes wrong, and the summary with whatever differs from the usual one. */
export async function* scanOf(
  objects: readonly CarvedObject[],
  diagnostics: readonly Diagnostic[] = [],
  summary: Partial<ScanSummary> = {},
): AsyncGenerator<ScanEvent> {
  yield START;
  for (const object of objects) yield { event: 'object', object, content: new Uint8Array(object.size) };
  yield { event: 'progress', sources: 1, bytes: 2, objects: 3 };
  for (const found of diagnostics) yield { event: 'diagnostic', diagnostic: found };
  const distinct = new Set(objects.map(({ sha256 }) => sha256)).size;
  const counts = { objects: objects.length, distinct };
  yield { event: 'summary', finishedAt: '2026-01-02T03:04:07.578Z', summary: { ...SUMMARY, ...counts, ...summary } };
}

/** An opensnoop-like host, two tools that hold the same object, and a damaged file: most of what a report can say. */
export const OBJECTS: readonly CarvedObject[] = [
  carved('/usr/sbin/tool-b', 0x9f3a40, {
    sha256: 'b2'.repeat(32),
    size: 8088,
    source: file('/usr/sbin/tool-b', 31_457_280),
  }),
  carved('/usr/sbin/opensnoop', 0x384b8, {
    sha256: '9c1f0b2e44aa'.padEnd(64, '0'),
    size: 12_696,
    within: { section: '.rodata', buildId: '3b1f2c4d5e6f708192a3b4c5d6e7f8091a2b3c4d' },
    license: 'Dual BSD/GPL',
    programs: [
      program('tracepoint__syscalls__sys_enter_open', 'tracepoint', {
        section: 'tracepoint/syscalls/sys_enter_open',
        attachTo: 'syscalls/sys_enter_open',
        instructions: 30,
      }),
      program('tracepoint__syscalls__sys_enter_openat', 'tracepoint', {
        section: 'tracepoint/syscalls/sys_enter_openat',
        attachTo: 'syscalls/sys_enter_openat',
        instructions: 31,
      }),
      program('trace_exit', 'kprobe', { section: 'kretprobe/do_exit', attachTo: 'do_exit', instructions: 1 }),
    ],
    maps: [
      { name: 'start', type: 'hash', keySize: 4, valueSize: 16, maxEntries: 10_240, flags: 0 },
      { name: 'events', type: 'perf_event_array', keySize: 4, valueSize: 4 },
      { name: '.rodata', type: 'array', flags: 0x80 },
    ],
  }),
  carved('/usr/sbin/tool-a', 0x9f3a40, {
    sha256: 'b2'.repeat(32),
    size: 8088,
    source: file('/usr/sbin/tool-a', 31_457_280),
    programs: [program('reuseport_rss', 'socket_filter')],
    maps: [{ name: 'tap_rss_map_toeplitz_key' }],
    license: 'GPL',
  }),
  carved('/tmp/cut.o', 0, {
    sha256: 'c3d4'.repeat(16),
    size: 656,
    completeness: 'truncated',
    elf: { class: 64, endianness: 'big', type: 'REL', sections: 9 },
    source: file('/tmp/cut.o', 656),
    programs: [],
    diagnostics: [
      diagnostic('section 7 ".maps"', {
        code: 'out-of-bounds',
        message: 'section 7 ".maps": ends at 0x5210, object ends at 0x290',
      }),
    ],
  }),
];

export const DIAGNOSTICS: readonly Diagnostic[] = [
  ...['b', 'a', 'e', 'd', 'c'].map((name) => diagnostic(`/home/secret/${name}`)),
  diagnostic('/gone', { severity: 'error', code: 'ENOENT', message: 'cannot read: no such file or directory' }),
  diagnostic('/usr/bin/bpftool 0x1f40', {
    severity: 'info',
    code: 'truncated-header',
    message: 'the source ends within the header',
  }),
];

function file(path: string, size: number): CarvedObject['source'] {
  return { kind: 'file', path, size };
}

/** Without an ELF: where it is, and nothing in it. */
function bare(path: string, offset: number) {
  const { elf: _elf, kind: _kind, completeness: _completeness, ...rest } = carved(path, offset, { programs: [] });
  return rest;
}

export function skeleton(path: string, offset: number, more: Partial<CarvedLightSkeleton> = {}): CarvedLightSkeleton {
  return {
    ...bare(path, offset),
    kind: 'light-skeleton',
    sha256: 'd5'.repeat(32),
    completeness: 'whole',
    endianness: 'little',
    loader: { offset: 0, instructions: 377, tags: [] },
    data: { offset: 3016, size: 288 },
    signed: false,
    programs: [{ name: 'count', type: 'xdp', instructions: 12, subprograms: [], helpers: ['map_lookup_elem'] }],
    maps: [{ name: 'packets', type: 'array', keySize: 4, valueSize: 8, maxEntries: 1 }],
    license: 'GPL',
    ...more,
  };
}

export function instructions(
  path: string,
  offset: number,
  slots: number,
  more: Partial<CarvedInstructions> = {},
  program: Partial<CarvedProgram> = {},
): CarvedInstructions {
  return {
    ...bare(path, offset),
    kind: 'instructions',
    sha256: 'e6'.repeat(32),
    size: slots * 8,
    completeness: 'whole',
    endianness: 'little',
    trust: 'almost-certain',
    programs: [{ instructions: slots, subprograms: [], helpers: [], ...program }],
    ...more,
  };
}

export function filter(
  path: string,
  offset: number,
  lines: readonly string[],
  more: Partial<CarvedClassicFilter> = {},
): CarvedClassicFilter {
  return {
    ...bare(path, offset),
    kind: 'classic-filter',
    sha256: 'f7'.repeat(32),
    size: lines.length * 8,
    completeness: 'whole',
    endianness: 'little',
    instructions: lines.length,
    filter: lines,
    ...more,
  };
}

export function btf(path: string, offset: number, more: Partial<CarvedBtf> = {}): CarvedBtf {
  return {
    ...bare(path, offset),
    kind: 'btf',
    sha256: '78'.repeat(32),
    completeness: 'partial',
    endianness: 'little',
    functions: ['enter', 'leave'],
    variables: { '.maps': ['start', 'events'], '.rodata': ['targ_pid'] },
    btf: { types: 42, coreRelocations: 0 },
    ...more,
  };
}

/** Accepts ICMP, UDP and TCP packets, as a filter on a raw socket might. */
export const FILTER = [
  'ldh [12]',
  'jeq #0x800 jt 2 jf 7',
  'ldb [23]',
  'jeq #0x1 jt 6 jf 4',
  'jeq #0x11 jt 6 jf 5',
  'jeq #0x6 jt 6 jf 7',
  'ret #262144',
  'ret #0',
] as const;
