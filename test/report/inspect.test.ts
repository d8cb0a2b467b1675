import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CodeLine } from '../../src/object/listing.ts';
import { type InspectViews, renderInspect } from '../../src/report/inspect.ts';
import { renderInspectJson, renderInspectNdjson } from '../../src/report/inspect-json.ts';
import type { Style } from '../../src/report/style.ts';
import { displayWidth } from '../../src/report/width.ts';
import type { InspectedObject, InspectReport } from '../../src/scan/inspect.ts';
import { PIPED } from './render.ts';
import { carved, diagnostic, SUMMARY } from './sample.ts';

const NO_VIEWS: InspectViews = { sections: false, symbols: false, relocations: false, maps: false, core: false };
const ALL_VIEWS: InspectViews = { sections: true, symbols: true, relocations: true, maps: true, core: true };
const NARROW: Partial<Style> = { width: 60 };

function code(index: number, text: string, more: Partial<CodeLine> = {}): CodeLine {
  return { index, bytes: '00'.repeat(8), text, annotations: [], ...more };
}

type InspectedElf = Extract<InspectedObject, { readonly kind: 'object' }>;

/** An object with a little of everything. */
function inspected(more: Partial<InspectedElf> = {}): InspectedElf {
  const { btf: _btf, ...found } = carved('/usr/sbin/opensnoop', 0x384b8, {
    sha256: '9c1f0b2e44aa'.padEnd(64, '0'),
    size: 12_696,
    within: { section: '.rodata', buildId: '3b1f2c4d5e6f708192a3b4c5d6e7f8091a2b3c4d' },
    license: 'Dual BSD/GPL',
  });
  return {
    ...found,
    programs: [
      {
        name: 'trace_exit',
        section: 'kretprobe/do_exit',
        type: 'kprobe',
        attachTo: 'do_exit',
        instructions: 1024,
        subprograms: ['submit'],
        helpers: ['perf_event_output', 'get_current_pid_tgid'],
        sourceFile: '/src/opensnoop.bpf.c',
        offset: 0,
        binding: 'global',
        maps: ['events'],
        externs: [],
        tailCallMaps: [],
      },
    ],
    subprograms: [
      { name: 'submit', section: '.text', offset: 0, binding: 'local', instructions: 12, maps: [], externs: [] },
    ],
    maps: [
      {
        name: 'events',
        type: 'perf_event_array',
        keySize: 4,
        valueSize: 4,
        flags: 0,
        origin: 'defined',
        keyType: 'u32',
        initialValues: [],
      },
      {
        name: '.rodata',
        type: 'array',
        keySize: 4,
        valueSize: 13,
        maxEntries: 1,
        flags: 0x480,
        origin: 'data',
        variables: [{ name: 'targ_tgid', offset: 0, size: 4, type: 'const volatile pid_t' }],
        strings: [{ offset: 4, text: 'pid %d\n' }],
      },
    ],
    externs: [{ name: 'bpf_dynptr_from_skb', kind: 'kfunc', weak: true }],
    callGraph: [],
    sections: [
      {
        index: 3,
        name: 'kretprobe/do_exit',
        type: 'PROGBITS',
        flags: 6,
        address: 0,
        offset: 64,
        size: 8192,
        link: 0,
        info: 0,
        alignment: 8,
        entrySize: 0,
      },
    ],
    symbols: [
      {
        index: 4,
        name: 'trace_exit',
        type: 'FUNC',
        binding: 'GLOBAL',
        visibility: 'DEFAULT',
        section: 'kretprobe/do_exit',
        sectionIndex: 3,
        value: 0,
        size: 8192,
      },
    ],
    relocations: [
      {
        section: 'kretprobe/do_exit',
        sectionIndex: 3,
        offset: 16,
        type: '64_64',
        symbolIndex: 7,
        symbol: 'events',
        function: 'trace_exit',
        instruction: 2,
        target: { kind: 'map', name: 'events' },
      },
    ],
    btf: { types: 312, coreRelocations: 2 },
    coreRelocations: [
      {
        section: 'kretprobe/do_exit',
        function: 'trace_exit',
        instruction: 5,
        kind: 'byte_off',
        type: 'struct task_struct',
        path: 'tgid',
        accessors: '0:77',
        text: 'byte_off struct task_struct.tgid (0:77 @ 1420)',
        local: { type: 9, offset: 1420, value: 1420 },
        target: { type: 114, offset: 2464, value: 2464 },
      },
      {
        section: 'kretprobe/do_exit',
        function: 'trace_exit',
        instruction: 9,
        kind: 'byte_off',
        type: 'struct task_struct',
        path: 'gone',
        accessors: '0:78',
        text: 'byte_off struct task_struct.gone (0:78 @ 1424)',
        local: { type: 9, offset: 1424, value: 1424 },
        target: { poison: true },
      },
    ],
    diagnostics: [diagnostic('section 7 ".maps"', { code: 'entry-size', message: 'sh_entsize is 0x7, read as 0x10' })],
    ...more,
  };
}

function report(objects: readonly InspectedObject[], more: Partial<InspectReport> = {}): InspectReport {
  return {
    schemaVersion: 1,
    tool: { name: 'bpfcarve', version: '0.1.0' },
    command: 'inspect',
    startedAt: '2026-01-02T03:04:05.678Z',
    finishedAt: '2026-01-02T03:04:05.778Z',
    host: { hostname: 'lab', kernelRelease: '6.18.44', arch: 'x64' },
    kernelBtf: '/sys/kernel/btf/vmlinux',
    objects,
    diagnostics: [],
    summary: { ...SUMMARY, objects: objects.length },
    ...more,
  };
}

function show(document: InspectReport, views: InspectViews = NO_VIEWS, style: Partial<Style> = {}): string {
  return [...renderInspect(document, views, { ...PIPED, ...style })].join('');
}

test('an overview says what an object is, what it holds and what is odd about it', () => {
  expect(show(report([inspected()]))).toBe(`\
/usr/sbin/opensnoop  238.5 KiB  build id 3b1f2c4d5e6f708192a3b4c5d6e7f8091a2b3c4d
  object    at 0x384b8 in .rodata, 12,696 bytes (12.4 KiB), whole
  sha256    9c1f0b2e44aa${'0'.repeat(52)}
  elf       little-endian REL, 16 sections
  license   Dual BSD/GPL
  source    /src/opensnoop.bpf.c
  helpers   get_current_pid_tgid, perf_event_output
  btf       312 types
  co-re     2 relocations; on /sys/kernel/btf/vmlinux 1 would be poisoned

  1 program
    name        type    section            insns
    trace_exit  kprobe  kretprobe/do_exit  1,024  + 1 subprogram

  1 subprogram
    name    binding  section  insns
    submit  local    .text       12

  2 maps
    name     type              key  value  max  flags
    events   perf_event_array    4      4
    .rodata  array               4     13    1  0x480

  1 extern
    name                 kind
    bpf_dynptr_from_skb  kfunc  weak

  warning  section 7 ".maps": sh_entsize is 0x7, read as 0x10 (entry-size)
`);
});

test('a narrow terminal gets the same in narrower lines', () => {
  expect(show(report([inspected()]), NO_VIEWS, NARROW)).toBe(`\
/usr/sbin/opensnoop  238.5 KiB
  build id 3b1f2c4d5e6f708192a3b4c5d6e7f8091a2b3c4d
  object    at 0x384b8 in .rodata, 12,696 bytes (12.4 KiB),
            whole
  sha256    9c1f0b2e44aa${'0'.repeat(52)}
  elf       little-endian REL, 16 sections
  license   Dual BSD/GPL
  source    /src/opensnoop.bpf.c
  helpers   get_current_pid_tgid, perf_event_output
  btf       312 types
  co-re     2 relocations; on /sys/kernel/btf/vmlinux 1
            would be poisoned

  1 program
    name        type    section            insns
    trace_exit  kprobe  kretprobe/do_exit  1,024
        + 1 subprogram

  1 subprogram
    name    binding  section  insns
    submit  local    .text       12

  2 maps
    name     type              key  value  max  flags
    events   perf_event_array    4      4
    .rodata  array               4     13    1  0x480

  1 extern
    name                 kind
    bpf_dynptr_from_skb  kfunc  weak

  warning  section 7 ".maps": sh_entsize is 0x7, read as
           0x10 (entry-size)
`);
});

test('the code of a program with its source, labels, and what instructions refer to', () => {
  const lines = [
    code(0, 'r6 = r1', { file: '/src/opensnoop.bpf.c', line: 41, source: 'int trace_exit(struct pt_regs *ctx)' }),
    code(1, 'call 0xe', {
      file: '/src/opensnoop.bpf.c',
      line: 43,
      source: '\tu64 id = bpf_get_current_pid_tgid();',
      annotations: ['helper get_current_pid_tgid'],
    }),
    code(2, 'if r0 == 0x0 goto +0x1 <', { branchTo: 'L5' }),
    code(3, 'r1 = 0x58c', {
      file: '/src/opensnoop.bpf.c',
      line: 43,
      source: '\tu64 id = bpf_get_current_pid_tgid();',
      annotations: ['CO-RE byte_off struct task_struct.tgid (0:77 @ 1420) -> 2464'],
    }),
    code(5, 'exit', { label: 'L5', file: '/usr/include/bpf.h', line: 7 }),
  ].map((line) => ({ ...line, text: line.text.replace(' <', '') }));
  const [program] = inspected().programs;
  const withCode = inspected({ programs: program ? [{ ...program, code: lines }] : [] });
  const text = show(report([withCode]), NO_VIEWS, { width: 80 });
  expect(text.slice(text.indexOf('trace_exit'))).toBe(`\
trace_exit  kretprobe/do_exit  1,024 instructions  /src/opensnoop.bpf.c
; 41: int trace_exit(struct pt_regs *ctx)
     0  r6 = r1
; 43: u64 id = bpf_get_current_pid_tgid();
     1  call 0xe                        ; helper get_current_pid_tgid
     2  if r0 == 0x0 goto +0x1 <L5>
     3  r1 = 0x58c
          ; CO-RE byte_off struct task_struct.tgid (0:77 @ 1420) -> 2464
L5:
; /usr/include/bpf.h:7
     5  exit
`);
});

test('CO-RE relocations say what becomes of them, and what the verifier calls the poisoned', () => {
  const text = show(report([inspected()]), { ...NO_VIEWS, core: true });
  expect(text.slice(text.indexOf('CO-RE'))).toBe(`\
CO-RE: 2 relocations; on /sys/kernel/btf/vmlinux 1 would be poisoned
  trace_exit
    5  byte_off struct task_struct.tgid (0:77 @ 1420)  1420 -> 2464
    9  byte_off struct task_struct.gone (0:78 @ 1424)  poisoned: call 195896080
The verifier says of a poisoned instruction that it reaches: "invalid func unknown#195896080".
`);
});

test('maps in full: types, variables and strings', () => {
  const text = show(report([inspected()]), { ...NO_VIEWS, maps: true });
  expect(text.slice(text.indexOf('2 maps'))).toBe(`\
2 maps
  events  perf_event_array, key 4, value 4
      key      u32
  .rodata  array, key 4, value 13, max 1, flags 0x480
       at  bytes  variable   type
      0x0      4  targ_tgid  const volatile pid_t
       at  string
      0x4  "pid %d\\n"
`);
});

test('several objects are listed with a way to one of them', () => {
  const text = show(report([inspected(), inspected({ offset: 0x40000, sha256: 'b2'.repeat(32) })]));
  expect(text).toContain('#1  0x384b8');
  expect(text).toContain('#2  0x40000');
  expect(text.endsWith('--at 0x384b8 shows the first of these 2 in full.\n')).toBe(true);
});

test('a long table is folded on a terminal, and whole with -v or in a pipe', () => {
  const maps = Array.from({ length: 40 }, (_, index) => ({ name: `map${index}`, origin: 'defined' as const }));
  const many = report([inspected({ maps })]);
  expect(show(many, NO_VIEWS, { width: 80 })).toContain('and 17 more; -v lists them');
  expect(show(many, NO_VIEWS, { width: 80, verbose: 1 })).toContain('map39');
  expect(show(many)).toContain('map39');
});

test('a file without objects says so, and why what looked like one is none', () => {
  const why = diagnostic('/x 0x10', {
    severity: 'info',
    code: 'truncated-header',
    message: 'the source ends within the header',
  });
  expect(show(report([], { diagnostics: [why], summary: { ...SUMMARY, objects: 0, bytes: 2048 } }))).toBe(`\
No eBPF object found in 2.0 KiB.
note     /x 0x10: the source ends within the header (truncated-header)
`);
});

describe('names that an attacker chose', () => {
  const nasty = fc.oneof(
    fc.constantFrom('\u001b]0;owned\u0007', 'a\nb', '\u202egpj.exe', ' padded ', '', '"quoted" name', 'x'.repeat(200)),
    fc.string({ unit: 'binary', maxLength: 24 }),
  );

  test('never reach the terminal as they are, in no part of the report', () => {
    fc.assert(
      fc.property(fc.array(nasty, { minLength: 24, maxLength: 24 }), fc.constantFrom(60, 80, 132), (names, width) => {
        const next = () => names[at++ % names.length] ?? '';
        let at = 0;
        const poisoned = rename(
          inspected({ btf: { types: 1, coreRelocations: 1, listing: { form: 'raw', text: [next()] } } }),
          next,
        );
        for (const views of [NO_VIEWS, ALL_VIEWS]) {
          const text = show(report([poisoned], { kernelBtf: next() }), views, { width, verbose: 1 });
          expect(text).not.toMatch(/[^\n\t\P{C}]|[\u2028\u2029\u202a-\u202e]/u);
        }
      }),
      { numRuns: 200 },
    );
  });

  /** Every string in the record that an object can choose. */
  function rename(object: InspectedElf, next: () => string): InspectedElf {
    const [program] = object.programs;
    const code: CodeLine[] = [
      { index: 0, bytes: '00', text: 'exit', file: next(), line: 3, source: next(), annotations: [next(), next()] },
    ];
    return {
      ...object,
      license: next(),
      within: { section: next() },
      programs: program
        ? [
            {
              ...program,
              name: next(),
              section: next(),
              attachTo: next(),
              sourceFile: next(),
              subprograms: [next()],
              code,
            },
          ]
        : [],
      maps: object.maps.map((map) => ({
        ...map,
        name: next(),
        keyType: next(),
        valueType: next(),
        initialValues: [{ offset: 0, name: next() }],
        variables: [{ name: next(), offset: 0, size: 1, type: next() }],
        strings: [{ offset: 0, text: next() }],
      })),
      externs: object.externs.map((extern) => ({ ...extern, name: next() })),
      sections: object.sections.map((section) => ({ ...section, name: next() })),
      symbols: object.symbols.map((symbol) => ({ ...symbol, name: next(), section: next() })),
      relocations: object.relocations.map((relocation) => ({
        ...relocation,
        section: next(),
        symbol: next(),
        function: next(),
        target: { kind: 'map', name: next() },
      })),
      coreRelocations: object.coreRelocations.map((record) => ({
        ...record,
        function: next(),
        text: next(),
        target: { refused: next() },
      })),
      diagnostics: [diagnostic(next(), { message: next(), code: 'x' })],
    };
  }
});

test('lines stay within a terminal, but for hashes and unbreakable names', () => {
  for (const width of [60, 80, 100]) {
    for (const views of [NO_VIEWS, ALL_VIEWS]) {
      for (const line of show(report([inspected()]), views, { width }).split('\n')) {
        if (!line.includes('sha256')) expect(displayWidth(line), line).toBeLessThanOrEqual(width);
      }
    }
  }
});

describe('the report for programs', () => {
  test('is the document itself, however long its tables are', () => {
    const symbols = Array.from({ length: 300 }, (_, index) => ({ ...inspected().symbols[0], index }));
    const [program] = inspected().programs;
    const code = Array.from({ length: 200 }, (_, index): CodeLine => ({ index, bytes: '', text: '', annotations: [] }));
    const programs = program ? [{ ...program, code }] : [];
    const document = report([inspected({ symbols: symbols as InspectedObject['symbols'], programs })]);
    expect(JSON.parse([...renderInspectJson(document)].join(''))).toEqual(document);
    const lines = [...renderInspectNdjson(document)]
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ event }) => event)).toEqual(['start', 'object', 'summary']);
    expect(lines[1]).toEqual({ event: 'object', ...document.objects[0] });
  });

  test('has a line for every record of a table', () => {
    const text = [...renderInspectJson(report([inspected()]))].join('');
    expect(text.split('\n').filter((line) => line.includes('"accessors"'))).toHaveLength(2);
  });

  test('is empty arrays where there is nothing', () => {
    const document = report([]);
    expect(JSON.parse([...renderInspectJson(document)].join(''))).toEqual(document);
  });
});
