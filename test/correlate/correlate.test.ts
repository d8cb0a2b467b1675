import { describe, expect, test } from 'vitest';
import { correlate } from '../../src/correlate/correlate.ts';
import type { CodeSource, FoundProgram, FoundTag } from '../../src/correlate/origin.ts';
import type { LiveProgram } from '../../src/host/records.ts';

const TAG = 'faeb442ee60dc635';
const OTHER_TAG = 'e41ffdce9c0cdd50';

describe('a live program', () => {
  test('comes from the code that has its tag', () => {
    const [explanation] = correlate([live({ name: 'enter' })], [file('/usr/sbin/opensnoop', [program('enter')])]);
    expect(explanation?.origin).toMatchObject({
      evidence: 'tag',
      relation: 'origin',
      program: 'enter',
      object: { source: { path: '/usr/sbin/opensnoop' }, offset: 64 },
    });
  });

  test('has no origin where only its name is the same', () => {
    const recompiled = file('/tmp/other', [program('enter', { tags: [tag(OTHER_TAG)] })]);
    const [explanation] = correlate([live({ name: 'enter' })], [recompiled]);
    expect(explanation?.origin).toBeUndefined();
    expect(explanation?.nearMisses).toMatchObject([{ program: 'enter', object: { source: { path: '/tmp/other' } } }]);
  });

  test('of two with equal code comes from its namesake', () => {
    const both = file('/usr/sbin/opensnoop', [program('exit_open'), program('exit_openat')]);
    const explanations = correlate([live({ name: 'exit_open' }), live({ name: 'exit_openat' })], [both]);
    expect(explanations.map(({ origin }) => origin?.program)).toEqual(['exit_open', 'exit_openat']);
  });

  test('is known by the 15 bytes of its name that the kernel keeps', () => {
    const both = file('/f', [program('another'), program('tracepoint__syscalls__sys_enter_open')]);
    const [explanation] = correlate([live({ name: 'tracepoint__sys' })], [both]);
    expect(explanation?.origin?.program).toBe('tracepoint__syscalls__sys_enter_open');
  });

  test('is known by the 15 bytes of its name that a light skeleton keeps', () => {
    const both = file('/f', [program('another'), program('block_rq_insert')]);
    const [cut, other] = correlate(
      [live({ name: 'block_rq_insert_btf' }), live({ name: 'block_rq_inserted' })],
      [both],
    );
    expect(cut?.origin?.program).toBe('block_rq_insert');
    expect(other?.origin?.program).toBe('block_rq_insert');
    const [near] = correlate(
      [live({ name: 'block_rq_insert_btf' })],
      [file('/f', [program('block_rq_insert_2', { tags: [tag(OTHER_TAG)] })])],
    );
    expect(near?.nearMisses).toEqual([]);
  });

  test('comes from what its holder has, whatever name and type others give the same bytes', () => {
    const holders = [{ pid: 7, comm: 'b', exe: '/b', via: ['prog-fd'] as const }];
    const names = ['block_rq_insert', 'block_rq_insert_btf', 'issue'];
    const own = file('/b', [program('block_rq_insert', { type: 26 }), program('issue', { type: 26 })]);
    const others = file(
      '/a',
      names.map((name) => program(name, { type: 'tracing' })),
    );
    const programs = names.map((name) => live({ name, type: 'tracing', holders }));
    for (const { origin, otherOrigins } of correlate(programs, [others, own])) {
      expect(origin?.object.source).toMatchObject({ path: '/b' });
      expect(otherOrigins).toContainEqual(expect.objectContaining({ object: placeIn('/a') }));
    }
  });

  test('comes from the memory of its holder rather than from what others have', () => {
    const holders = [{ pid: 7, comm: 'systemd', via: ['prog-fd'] as const }];
    const [explanation] = correlate(
      [live({ name: 'p', holders })],
      [file('/a', [program('p')]), array(7, '0x1000', [])],
    );
    expect(explanation?.origin?.object).toMatchObject({ source: { pid: 7 } });
  });

  test('comes rather from the executable of its holder than from another file with the same bytes', () => {
    const holders = [{ pid: 7, comm: 'b', exe: '/b', via: ['prog-fd'] as const }];
    const [explanation] = correlate(
      [live({ name: 'p', holders })],
      [file('/a', [program('p')]), file('/b', [program('p')])],
    );
    expect(explanation?.origin?.object.source).toMatchObject({ path: '/b' });
    expect(explanation?.otherOrigins).toMatchObject([{ object: { source: { path: '/a' } } }]);
  });

  test('of two that were put together alike comes from the instructions that hold its maps', () => {
    const places = [array(7, '0x1000', [41]), array(7, '0x2000', [42])];
    const [first, second, unknown] = correlate([live({ mapIds: [41] }), live({ mapIds: [42] }), live({})], places);
    expect(first?.origin).toMatchObject({ object: { address: '0x1000' }, mapsAgree: true });
    expect(first?.otherOrigins).toMatchObject([{ object: { address: '0x2000' }, mapsAgree: false }]);
    expect(second?.origin).toMatchObject({ object: { address: '0x2000' }, mapsAgree: true });
    expect(unknown?.origin).not.toHaveProperty('mapsAgree');
  });

  test('of three instructions or fewer is identical to what has another name, and comes from what has its own', () => {
    const pass = file('/usr/sbin/xdp-loader', [program('xdp_pass', { instructions: 2 })]);
    const [stranger, namesake] = correlate([live({ name: 'drop' }), live({ name: 'xdp_pass' })], [pass]);
    expect(stranger?.origin).toBeUndefined();
    expect(stranger?.identicalTo).toMatchObject([{ relation: 'identical', program: 'xdp_pass' }]);
    expect(namesake?.origin).toMatchObject({ relation: 'identical', program: 'xdp_pass' });
  });

  test('of three instructions or fewer names each place where the same lie once, and not all places', () => {
    const twins = [program('pass', { instructions: 2 }), program('accept', { instructions: 2 })];
    const places = Array.from({ length: 40 }, (_, index) => file(`/${index + 10}`, twins));
    const [stranger] = correlate([live({ name: 'drop' })], places);
    const paths = stranger?.identicalTo.map(({ object: { source } }) => source.kind === 'file' && source.path);
    expect(paths).toEqual(['/10', '/11', '/12', '/13', '/14', '/15', '/16', '/17']);
  });

  test("of the founding story has systemd's bytes, and no origin", () => {
    const [explanation] = correlate([live({ tag: '7dc8126e8768ea37', type: 'cgroup_skb' })], []);
    expect(explanation?.origin).toBeUndefined();
    expect(explanation?.sameBytesAs).toMatchObject([{ generator: 'systemd', what: 'IP accounting', instructions: 29 }]);
  });

  test('that a variant explains says what was assumed', () => {
    const assumptions = ['the application does not create map "heap"'];
    const tags = [tag(OTHER_TAG), { ...tag(TAG), exact: false, assumptions }];
    const [explanation] = correlate([live({ name: 'p' })], [file('/f', [program('p', { tags })])]);
    expect(explanation?.origin?.assumptions).toEqual(assumptions);
  });
});

function live(facts: Partial<LiveProgram>): LiveProgram {
  return {
    id: 1,
    tag: TAG,
    subprogramTags: [],
    mapIds: [],
    holders: [],
    attachments: [],
    pins: [],
    knownFrom: 'bpf',
    ...facts,
  };
}

function file(path: string, programs: readonly FoundProgram[]): CodeSource {
  return { kind: 'object', sha256: path, source: { kind: 'file', path, size: 1000 }, offset: 64, programs };
}

function placeIn(path: string): unknown {
  return expect.objectContaining({ source: expect.objectContaining({ path }) });
}

function array(pid: number, address: string, mapIds: readonly number[]): CodeSource {
  const source = { kind: 'process', pid, startTime: '2026-01-01T00:00:00.000Z', comm: 'systemd' } as const;
  const programs = [{ instructions: 29, subprograms: [], tags: [tag(TAG)] }];
  return { kind: 'instructions', sha256: address, source, address, mapIds, programs };
}

function program(name: string, facts: Partial<FoundProgram> = {}): FoundProgram {
  return { name, section: 'xdp', type: 'xdp', instructions: 20, subprograms: [], tags: [tag(TAG)], ...facts };
}

function tag(value: string): FoundTag {
  return {
    tag: value,
    algorithm: 'sha256',
    loader: 'libbpf',
    loaders: ['libbpf 1.0 and later'],
    exact: true,
    assumptions: [],
  };
}
