import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TagPrediction } from '../../src/link/predict.ts';
import { renderText } from '../../src/report/text.ts';
import { displayWidth } from '../../src/report/width.ts';
import type { CarvedElf, CarvedObject } from '../../src/scan/events.ts';
import { render } from './render.ts';
import { carved, DIAGNOSTICS, diagnostic, OBJECTS, program, scanOf } from './sample.ts';

/** What the sample scan must look like, written by hand. */
const GOLDEN_PIPED = `\
/tmp/cut.o  656 B
  #1       0x0     656 B  c3d4c3d4c3d4  truncated  big-endian  the whole file
      no programs or maps
      warning  section 7 ".maps": ends at 0x5210, object ends at 0x290 (out-of-bounds)

/usr/sbin/opensnoop  238.5 KiB  build id 3b1f2c4d5e6f708192a3b4c5d6e7f8091a2b3c4d
  #2   0x384b8  12.4 KiB  9c1f0b2e44aa  in .rodata  Dual BSD/GPL
      2 tracepoint  tracepoint__syscalls__sys_enter_open, tracepoint__syscalls__sys_enter_openat
      1 kprobe      trace_exit
      3 maps        start, events, .rodata

/usr/sbin/tool-a  30.0 MiB
  #3  0x9f3a40   7.9 KiB  b2b2b2b2b2b2  GPL
      1 socket_filter  reuseport_rss
      1 map            tap_rss_map_toeplitz_key

/usr/sbin/tool-b  30.0 MiB
      0x9f3a40   7.9 KiB  b2b2b2b2b2b2  same as #3

error    /gone: cannot read: no such file or directory (ENOENT)
warning  /home/secret/a: cannot open: permission denied (EACCES)
warning  /home/secret/b: cannot open: permission denied (EACCES)
warning  /home/secret/c: cannot open: permission denied (EACCES)
         and 2 more EACCES; -v lists them

4 candidates rejected: 3 truncated-header, 1 no-section-table; -v lists them
6 sources could not be read in full
4 objects (3 distinct) in 4 of 5,120 sources, 4.1 GiB searched in 1.9 s (2.2 GiB/s)
`;

const GOLDEN_60 = `\
/tmp/cut.o  656 B
  #1       0x0     656 B  c3d4c3d4c3d4  truncated
      big-endian  the whole file
      no programs or maps
      warning  section 7 ".maps": ends at 0x5210, object
               ends at 0x290 (out-of-bounds)

/usr/sbin/opensnoop  238.5 KiB
  build id 3b1f2c4d5e6f708192a3b4c5d6e7f8091a2b3c4d
  #2   0x384b8  12.4 KiB  9c1f0b2e44aa  in .rodata
      Dual BSD/GPL
      2 tracepoint  tracepoint__syscalls__sys_enter_open,
                    tracepoint__syscalls__sys_enter_openat
      1 kprobe      trace_exit
      3 maps        start, events, .rodata

/usr/sbin/tool-a  30.0 MiB
  #3  0x9f3a40   7.9 KiB  b2b2b2b2b2b2  GPL
      1 socket_filter  reuseport_rss
      1 map            tap_rss_map_toeplitz_key

/usr/sbin/tool-b  30.0 MiB
      0x9f3a40   7.9 KiB  b2b2b2b2b2b2  same as #3

error    /gone: cannot read: no such file or directory
         (ENOENT)
warning  /home/secret/a: cannot open: permission denied
         (EACCES)
warning  /home/secret/b: cannot open: permission denied
         (EACCES)
warning  /home/secret/c: cannot open: permission denied
         (EACCES)
         and 2 more EACCES; -v lists them

4 candidates rejected: 3 truncated-header,
  1 no-section-table; -v lists them
6 sources could not be read in full
4 objects (3 distinct) in 4 of 5,120 sources,
  4.1 GiB searched in 1.9 s (2.2 GiB/s)
`;

const GOLDEN_VERBOSE = `\
/usr/sbin/opensnoop  244200 B  build id 3b1f2c4d5e6f708192a3b4c5d6e7f8091a2b3c4d
  #1  0x384b8  12696 B  9c1f0b2e44aa  in .rodata  Dual BSD/GPL
      sha256  9c1f0b2e44aa0000000000000000000000000000000000000000000000000000
      tracepoint  tracepoint__syscalls__sys_enter_open    tracepoint/syscalls/sys_enter_open  30 instructions
      tracepoint  tracepoint__syscalls__sys_enter_openat  tracepoint/syscalls/sys_enter_openat  31 instructions
      kprobe      trace_exit                              kretprobe/do_exit  1 instruction
      map         start                                   hash  key 4 B  value 16 B  max 10240
      map         events                                  perf_event_array  key 4 B  value 4 B
      map         .rodata                                 array  flags 0x80

note     /usr/bin/bpftool 0x1f40: the source ends within the header (truncated-header)

1 candidate rejected: 1 truncated-header
1 object in 1 of 5,120 sources, 4.1 GiB searched in 1.9 s (2.2 GiB/s)
`;

describe('the report', () => {
  test('piped: every name in full', async () => {
    expect(await render(renderText, scanOf(OBJECTS, DIAGNOSTICS))).toBe(GOLDEN_PIPED);
  });

  test('on 60 columns', async () => {
    expect(await render(renderText, scanOf(OBJECTS, DIAGNOSTICS), { width: 60 })).toBe(GOLDEN_60);
  });

  test('with -v: each program and map, exact sizes, rejected candidates', async () => {
    const opensnoop = OBJECTS.filter(({ license }) => license === 'Dual BSD/GPL');
    const notes = DIAGNOSTICS.filter(({ severity }) => severity === 'info');
    const events = scanOf(opensnoop, notes, { rejected: { 'truncated-header': 1 }, unreadable: 0 });
    expect(await render(renderText, events, { verbose: 1 })).toBe(GOLDEN_VERBOSE);
  });

  test('colours add nothing but colours', async () => {
    const colored = await render(renderText, scanOf(OBJECTS, DIAGNOSTICS), { color: true, width: 60 });
    expect(colored).not.toBe(GOLDEN_60);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: SGR sequences are what is looked for
    expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(GOLDEN_60);
  });

  test('is the same in whatever order things were found', async () => {
    const events = scanOf(OBJECTS.toReversed(), DIAGNOSTICS.toReversed());
    expect(await render(renderText, events)).toBe(GOLDEN_PIPED);
  });

  test('with -q: only the objects', async () => {
    const text = await render(renderText, scanOf(OBJECTS, DIAGNOSTICS), { quiet: true });
    expect(GOLDEN_PIPED.startsWith(text)).toBe(true);
    expect(text.trimEnd().split('\n').at(-1)).toContain('same as #3');
  });
});

describe('the end', () => {
  const nothing = { rejected: {}, unreadable: 0, sources: 1, bytes: 0, elapsedMs: 0 };

  test('one sentence when nothing was found', async () => {
    expect(await render(renderText, scanOf([], [], nothing))).toBe(
      'No eBPF object found in 1 source, 0 B searched in 0 ms\n',
    );
  });

  test('nothing at all when nothing was found and -q given', async () => {
    expect(await render(renderText, scanOf([]), { quiet: true })).toBe('');
  });

  test('says when the scan was interrupted', async () => {
    const text = await render(renderText, scanOf([], [], { ...nothing, interrupted: true }));
    expect(text).toContain('interrupted: the rest was not searched\n');
  });

  test('many problems of one code are folded, each code by itself', async () => {
    const places = Array.from({ length: 123 }, (_, at) => `/root/${String(at).padStart(3, '0')}`);
    const diagnostics = [...places.map((where) => diagnostic(where)), diagnostic('/z', { code: 'EIO' })];
    const text = await render(renderText, scanOf([], diagnostics));
    expect(text.match(/^warning .*$/gm)).toHaveLength(4);
    expect(text).toContain('and 120 more EACCES; -v lists them\n');
  });
});

describe('an object', () => {
  const only = async (more: Partial<CarvedElf>, style = {}) =>
    (await render(renderText, scanOf([carved('/host', 0x40, more)]), { quiet: true, ...style }))
      .split('\n')
      .slice(1, -2);

  test('that was salvaged or is of another ELF type says so in words', async () => {
    const elf = { class: 64, endianness: 'little', type: 'EXEC', sections: 3 } as const;
    expect(await only({ completeness: 'salvaged', elf })).toEqual([
      '  #1  0x40  3.2 KiB  a1a1a1a1a1a1  salvaged  ELF type EXEC',
      '      1 kprobe  handler',
    ]);
  });

  test('with programs of a type that has no name shows the number', async () => {
    expect((await only({ programs: [program('x', 99)] }))[1]).toBe('      1 type 99  x');
  });

  test('with predicted tags shows them behind the name under -v', async () => {
    const tagged = { ...program('x', 'xdp'), tags: [tag('2a8c45c2f0e905b1', true), tag('10e060f1f65ee396', false)] };
    expect((await only({ programs: [tagged] }, { verbose: 1 }))[2]).toBe(
      '      xdp  x  tag 2a8c45c2f0e905b1  xdp/x  8 instructions',
    );
  });

  test('with a target that its section does not name says so under -v', async () => {
    const programs = [program('x', 'kprobe', { section: 'kprobe', attachTo: 'do_exit' })];
    expect((await only({ programs }, { verbose: 1 }))[2]).toBe('      kprobe  x  kprobe  8 instructions  at do_exit');
  });

  test.each([
    ['GPL', 'GPL'],
    ['Proprietary', 'license Proprietary'],
    ['truncated', 'license truncated'],
    ['GPL  same as #7\n', 'license "GPL  same as #7\\n"'],
    ['', 'license ""'],
  ])('cannot forge a fact with the license %j', async (license, shown) => {
    expect((await only({ license }))[0]).toBe(`  #1  0x40  3.2 KiB  a1a1a1a1a1a1  ${shown}`);
  });

  test('with many names folds them on a terminal', async () => {
    const programs = Array.from({ length: 100 }, (_, at) => program(`function_${at}`, 'kprobe'));
    expect((await only({ programs }, { width: 60 })).slice(1)).toEqual([
      '      100 kprobe  function_0, function_1, function_2,',
      '                  function_3, function_4, and 95 more',
    ]);
  });

  test('with many names shows every one when piped', async () => {
    const programs = Array.from({ length: 100 }, (_, at) => program(`function_${at}`, 'kprobe'));
    expect((await only({ programs }))[1]).toMatch(/function_98, function_99$/);
  });

  test('may have more programs than a call takes arguments', async () => {
    const programs = Array.from({ length: 200_000 }, (_, at) => program('x', at));
    expect(await only({ programs }, { verbose: 1 })).toHaveLength(200_002);
  });

  test('from standard input has no size of its source', async () => {
    const text = await render(renderText, scanOf([carved('', 0x40, { source: { kind: 'stdin' } })]));
    expect(text.split('\n')[0]).toBe('standard input');
  });

  test('of a long path keeps both ends of the path on a terminal', async () => {
    const path = `/${'deep/'.repeat(40)}object.o`;
    const text = await render(renderText, scanOf([carved(path, 0x40)]), { width: 60 });
    expect(text.split('\n')[0]).toBe('/deep/deep/deep/deep/deep/dee…deep/deep/deep/deep/object.o');
  });
});

describe('whatever the input', () => {
  const RUNS = { numRuns: 40 };
  const text = fc.string({ unit: 'binary', maxLength: 80 });
  const name = fc.oneof(text, fc.string({ unit: 'grapheme' }), fc.constantFrom('\u001b[2J', 'a  b', '日本'.repeat(40)));
  const object = fc
    .record({
      path: name,
      offset: fc.nat(),
      size: fc.nat(),
      license: name,
      section: name,
      names: fc.array(name, { maxLength: 12 }),
      type: fc.oneof(fc.constantFrom('kprobe', 'xdp'), fc.nat()),
      message: name,
    })
    .map(({ path, offset, size, license, section, names, type, message }) =>
      carved(path, offset, {
        size,
        license,
        within: { section, buildId: section },
        programs: names.map((each) => program(each, type, { section: each, attachTo: each })),
        maps: names.map((each) => ({ name: each, type: 'hash' })),
        diagnostics: [diagnostic(section, { message, code: license })],
      }),
    );
  const scan = fc.tuple(fc.array(object, { maxLength: 3 }), fc.array(name, { maxLength: 8 }));
  const render60 = ([objects, places]: readonly [CarvedObject[], string[]], verbose: number) =>
    render(
      renderText,
      scanOf(
        objects,
        places.map((where) => diagnostic(where)),
      ),
      { width: 60, verbose },
    );

  test('nothing is printed but what shows, and line ends', async () => {
    await fc.assert(
      fc.asyncProperty(scan, fc.nat({ max: 1 }), async (input, verbose) => {
        expect(await render60(input, verbose)).toMatch(/^([ \n]|[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}])*$/u);
      }),
      RUNS,
    );
  });

  test('no line is longer than the terminal', async () => {
    await fc.assert(
      fc.asyncProperty(scan, async (input) => {
        for (const line of (await render60(input, 0)).split('\n')) {
          expect(displayWidth(line)).toBeLessThanOrEqual(60);
        }
      }),
      RUNS,
    );
  });

  test('offset, size and hash of every object stand in one row', async () => {
    await fc.assert(
      fc.asyncProperty(scan, async (input) => {
        const rows = (await render60(input, 0)).match(/^ {2}(#\d+| {2}) +0x[0-9a-f]+ +[0-9.]+ \w+ {2}[0-9a-f]{12}/gm);
        expect(rows ?? []).toHaveLength(input[0].length);
      }),
      RUNS,
    );
  });
});

function tag(value: string, exact: boolean): TagPrediction {
  return {
    tag: value,
    algorithm: 'sha1',
    loader: 'libbpf',
    loaders: ['libbpf'],
    state: 'exact',
    exact,
    assumptions: [],
  };
}
