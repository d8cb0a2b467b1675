// The texts of /proc: kallsyms, mountinfo, fdinfo.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { counted } from '../../src/host/count.ts';
import { descriptorKind, numberOf, parseFdinfo } from '../../src/host/fdinfo.ts';
import { parseKallsyms } from '../../src/host/kallsyms.ts';
import { parseMountinfo } from '../../src/host/mounts.ts';

test.each([
  [0, '0 processes'],
  [1, '1 process'],
  [12, '12 processes'],
])('%i is counted in words', (count, words) => expect(counted(count, 'process', 'processes')).toBe(words));

describe('kallsyms', () => {
  const line = (text: string) => parseKallsyms(`ffffffff81000000 T _text\n${text}\n`);

  test('names tag, program and address', () => {
    expect(line('ffffffffc0025f14 t bpf_prog_728b54ba4a67dede_sched_switch\t[bpf]')).toEqual([
      { tag: '728b54ba4a67dede', name: 'sched_switch', address: '0xffffffffc0025f14' },
    ]);
  });

  test('hides addresses from users: each is a symbol of its own then', () => {
    const symbol = '0000000000000000 t bpf_prog_59f4a931744dcdc6\t[bpf]';
    expect(line(`${symbol}\n${symbol}`)).toEqual([
      { tag: '59f4a931744dcdc6', name: '' },
      { tag: '59f4a931744dcdc6', name: '' },
    ]);
  });

  test('is read while it changes: one address is one symbol', () => {
    const symbol = 'ffffffffc0025f14 t bpf_prog_59f4a931744dcdc6_a\t[bpf]';
    expect(line(`${symbol}\n${symbol}`)).toHaveLength(1);
  });

  test.each([
    'ffffffffc0025f14 t bpf__dctcp_init\t[bpf]',
    'ffffffffc0025f14 t bpf_dispatcher_xdp\t[bpf]',
    'ffffffffc0025f14 t bpf_trampoline_6442536467\t[bpf]',
    'ffffffff81200000 T bpf_prog_alloc',
    'ffffffff81200000 t bpf_prog_0123456789abcdef_x\t[module]',
  ])('%s is no program', (text) => expect(line(text)).toEqual([]));

  test('any text', () => {
    const nearly = fc.constantFrom(' bpf_prog_', '\t[bpf]', '\n', '0', 'ffffffffc0025f14', '_', 't ');
    fc.assert(
      fc.property(fc.array(fc.oneof(nearly, fc.string())), (parts) => parseKallsyms(parts.join('')).length >= 0),
    );
  });
});

describe('mountinfo', () => {
  const text = [
    '25 30 0:23 / /sys/fs/bpf rw,nosuid shared:9 - bpf bpf rw,mode=700',
    '26 30 0:24 /sub /mnt/a\\040b rw - cgroup2 cgroup2 rw',
    '27 30 8:1 / / rw - ext4 /dev/sda1 rw',
    'nonsense',
  ].join('\n');

  test('names the mounts of one type', () => {
    expect(parseMountinfo(text, 'bpf', '')).toEqual([{ path: '/sys/fs/bpf', device: '0:23', root: '/' }]);
  });

  test('as other processes have them, blanks included', () => {
    expect(parseMountinfo(text, 'cgroup2', '/proc/7/root')).toEqual([
      { path: '/proc/7/root/mnt/a b', device: '0:24', root: '/sub' },
    ]);
  });
});

describe('fdinfo', () => {
  test('is keys and values', () => {
    const fdinfo = parseFdinfo(
      'pos:\t0\nprog_tag:\t78a501c0fdbfdfcf\nprog_id:\t552\npf:\t2\thooknum:\t1\tprio:\t-128\n',
    );
    expect([numberOf(fdinfo, 'prog_id'), numberOf(fdinfo, 'prog_tag'), numberOf(fdinfo, 'absent')]).toEqual([
      552,
      undefined,
      undefined,
    ]);
    expect(fdinfo.get('prog_tag')).toBe('78a501c0fdbfdfcf');
  });

  test.each([
    ['anon_inode:bpf-prog', 'program'],
    ['anon_inode:bpf-map', 'map'],
    ['anon_inode:bpf_link', 'link'],
    ['anon_inode:bpf-raw-tracepoint', 'link'],
    ['anon_inode:[perf_event]', 'perf'],
    ['anon_inode:[eventpoll]', undefined],
    ['/dev/null', undefined],
  ])('of %s', (target, kind) => expect(descriptorKind(target)).toBe(kind));
});
