// Lists of programs that other tools and other machines wrote.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/diagnostics.ts';
import { cgroupPlaces, linkOf, netPlaces } from '../../src/host/bpftool-json.ts';
import { readCapture } from '../../src/host/capture.ts';
import { parseJson } from '../../src/host/json.ts';

const V5 =
  '[{"id":12,"type":"cgroup_skb","tag":"6deef7357e7b4530","gpl_compatible":true,"loaded_at":1650000000,"uid":0,"bytes_xlated":64,"jited":true,"bytes_jited":54,"bytes_memlock":4096}]';
const V7 = `[{
    "id": 110, "type": "tracepoint", "name": "tracepoint__syscalls__sys_enter_open", "tag": "faeb442ee60dc635",
    "gpl_compatible": true, "run_time_ns": 5000, "run_cnt": 7, "loaded_at": 1795266065, "uid": 1000, "orphaned": false,
    "bytes_xlated": 240, "jited": true, "bytes_jited": 137, "bytes_memlock": 4096, "map_ids": [32,29], "btf_id": 31,
    "pinned": ["/sys/fs/bpf/x"], "pids": [{"pid": 4946,"comm": "opensnoop"}]
}]`;

describe('bpftool prog show', () => {
  test('of version 5', () => {
    expect(readCapture(V5).programs).toEqual([
      {
        id: 12,
        type: 'cgroup_skb',
        tag: '6deef7357e7b4530',
        subprogramTags: [],
        loadedAt: '2022-04-15T05:20:00.000Z',
        uid: 0,
        gplCompatible: true,
        xlatedLength: 64,
        jitedLength: 54,
        memlock: 4096,
        mapIds: [],
        holders: [],
        attachments: [],
        pins: [],
        knownFrom: 'capture',
      },
    ]);
  });

  test('of version 7, pretty-printed, with pins and processes', () => {
    expect(readCapture(V7).programs).toMatchObject([
      {
        id: 110,
        name: 'tracepoint__syscalls__sys_enter_open',
        runTimeNs: 5000,
        runCount: 7,
        mapIds: [32, 29],
        btfId: 31,
        pins: ['/sys/fs/bpf/x'],
        holders: [{ pid: 4946, comm: 'opensnoop', via: ['prog-fd'] }],
      },
    ]);
  });

  test('of one program', () => expect(readCapture(V5.slice(1, -1)).programs).toHaveLength(1));
  test('with a byte order mark', () => expect(readCapture(`\uFEFF${V5}`).programs).toHaveLength(1));
  test('of no program', () => expect(readCapture('[]')).toMatchObject({ programs: [], diagnostics: [] }));

  test('with a type that bpftool has no name for, and a date of 4.x', () => {
    const [program] = readCapture('[{"id":1,"type":33,"tag":"6deef7357e7b4530","loaded_at":"Nov 03/12:32"}]').programs;
    expect(program).toMatchObject({ type: 33 });
    expect(program).not.toHaveProperty('loadedAt');
  });

  test('interpreted', () => {
    const [program] = readCapture('[{"id":1,"type":"xdp","tag":"6deef7357e7b4530","jited":false}]').programs;
    expect(program?.jitedLength).toBe(0);
  });

  test('keeps what is right when an entry is not', () => {
    const { programs, diagnostics } = readCapture(V5.replace(/\]$/, ',{"tag":"nonsense"},7]'));
    expect(programs).toHaveLength(1);
    expect(diagnostics).toMatchObject([{ code: 'capture-entry', message: expect.stringContaining('2 of 3') }]);
  });

  test('maps and links beside programs', () => {
    const rows =
      '{"id":3,"type":"hash","bytes_key":4,"btf_id":9},{"id":4,"type":"raw_tracepoint","prog_id":12,"tp_name":"sched_switch"}';
    const { maps, links } = readCapture(V5.replace(/\]$/, `,${rows}]`));
    expect(maps).toMatchObject([{ id: 3, type: 'hash', keySize: 4 }]);
    expect(maps[0]).not.toHaveProperty('btfId');
    expect(links).toMatchObject([
      { id: 4, programId: 12, attachment: { kind: 'raw_tracepoint', target: 'sched_switch' } },
    ]);
  });
});

describe('what is no list of programs is refused', () => {
  test.each([
    ['an error', '{"error":"can\'t get next program: Operation not permitted"}', 'capture-error'],
    ['text', 'Error: permission denied', 'capture-json'],
    ['nothing', '', 'capture-json'],
    ['a number', '5', 'capture-shape'],
    ['something else', '[{"id":5}]', 'capture-shape'],
  ])('%s', (_, input, code) => {
    expect(() => readCapture(input)).toThrow(expect.objectContaining({ code }));
  });
});

test('our own document is read back', () => {
  const [program] = readCapture(V7).programs;
  const more = {
    ...program,
    subprogramTags: ['4b25b6ef0e55ecb5'],
    functions: [{ name: 'a', tag: '0f829183cf873632', offset: 0, address: '0xffffffffc0025f14' }],
    attachments: [
      { kind: 'cgroup', target: '/x', cgroupId: 44, attachType: 'cgroup_inet_egress', sharing: 'multi', linkId: 3 },
    ],
    attachTo: { btfObject: 1, btfType: 10300, name: 'sched_switch' },
    holders: [{ pid: 1, comm: 'c', exe: '/c', startTime: '42', via: ['prog-fd', 'link-fd'] }],
  };
  const document = { schemaVersion: 1, command: 'live', programs: [{ ...more, origin: { evidence: 'tag' } }] };
  expect(readCapture(JSON.stringify(document)).programs).toEqual([more]);
});

test('any text is a capture or a FormatError', () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.jsonValue().map((value) => JSON.stringify([value, { tag: value, programs: value }])),
  );
  fc.assert(
    fc.property(text, (input) => {
      try {
        readCapture(input);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
  );
});

describe('JSON of bpftool', () => {
  test('keeps all bits of 64-bit numbers', () => {
    const value = parseJson(
      '{"cookie":18446744073709551615,"addr":18446744072635965204,"n":-9223372036854775808,"s":"18446744073709551615","ok":9007199254740991}',
    );
    expect(value).toEqual({
      cookie: '0xffffffffffffffff',
      addr: '0xffffffffc0025f14',
      n: '-0x8000000000000000',
      s: '18446744073709551615',
      ok: 9007199254740991,
    });
  });

  test('is repaired where a flow dissector breaks it', () => {
    const text =
      '[{"xdp":[{"devname":"v0","ifindex":3,"mode":"driver","id":552}],"tc":[],"flow_dissector":["id":565]}]';
    expect(netPlaces(parseJson(text), 4026531840)).toEqual([
      { programId: 552, attachment: { kind: 'xdp', target: 'v0', netns: 4026531840, ifindex: 3, mode: 'native' } },
      {
        programId: 565,
        attachment: { kind: 'netns', target: 'net:[4026531840]', attachType: 'flow_dissector', netns: 4026531840 },
      },
    ]);
  });

  test('names tc and tcx by their own words', () => {
    const tc = [
      { devname: 'v0', ifindex: 3, kind: 'clsact/ingress', name: 'x', id: 7 },
      { devname: 'v0', ifindex: 3, kind: 'tcx/egress', prog_id: 8, link_id: 9 },
    ];
    expect(netPlaces([{ tc }])).toMatchObject([
      { programId: 7, attachment: { kind: 'tc', attachType: 'ingress' } },
      { programId: 8, attachment: { kind: 'tcx', attachType: 'tcx_egress', linkId: 9 } },
    ]);
  });

  test('of a cgroup tree', () => {
    const programs = [
      { id: 5, attach_type: 'device', attach_flags: 'multi' },
      { id: 6, attach_type: 'egress', attach_flags: '' },
    ];
    expect(cgroupPlaces([{ cgroup: '/c', programs }])).toEqual([
      { programId: 5, attachment: { kind: 'cgroup', target: '/c', attachType: 'device', sharing: 'multi' } },
      { programId: 6, attachment: { kind: 'cgroup', target: '/c', attachType: 'egress', sharing: 'exclusive' } },
    ]);
  });

  test.each([
    [{ tracepoint: 'sys_enter_open' }, 'tracepoint', 'sys_enter_open'],
    [{ func: 'do_exit', retprobe: true }, 'kretprobe', 'do_exit'],
    [{ file: '/lib/libc.so.6', offset: 873696, retprobe: false }, 'uprobe', '/lib/libc.so.6:0xd54e0'],
  ])('of a perf_event link %o', (facts, kind, target) => {
    expect(linkOf({ id: 1, type: 'perf_event', prog_id: 2, ...facts }, 'capture')?.attachment).toMatchObject({
      kind,
      target,
    });
  });
});
