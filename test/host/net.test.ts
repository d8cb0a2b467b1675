// Programs on devices of a network namespace that this process does not live in.
import { readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readHost } from '../../src/host/host.ts';
import { inNetworkNamespace } from '../../src/host/namespaces.ts';
import type { Attachment, HostSnapshot } from '../../src/host/records.ts';
import { nativeSys } from '../../src/host/syscall.ts';
import { libc } from '../../src/sys/libc.ts';
import { Struct } from './fake-kernel.ts';
import { Machine, output, title, UNABLE } from './machine.ts';

const NET = '/proc/self/ns/net';
const OBJ_GET = 7;
const LINK_CREATE = 28;
const TCX_INGRESS = 46;

describe.skipIf(UNABLE !== undefined)(title('a network namespace'), () => {
  let machine: Machine;
  let snapshot: HostSnapshot;
  let inode: number;
  let before: string;
  let tcx: number;

  beforeAll(async () => {
    before = readlinkSync(NET);
    machine = new Machine('net');
    const netns = machine.netns();
    inode = Number(/\d+/.exec(output('ip', ['netns', 'exec', netns, 'readlink', NET]))?.[0]);
    const kinds = machine.load('kinds');
    const inside = (...args: string[]) => output('nsenter', [`--net=/run/netns/${netns}`, ...args]);
    inside('tc', 'qdisc', 'add', 'dev', 'v0', 'clsact');
    for (const side of ['ingress', 'egress']) {
      inside('tc', 'filter', 'add', 'dev', 'v0', side, 'bpf', 'da', 'object-pinned', `${kinds}/on_classifier`);
    }
    inside('tc', 'qdisc', 'add', 'dev', 'v1', 'root', 'handle', '1:', 'htb');
    inside('tc', 'filter', 'add', 'dev', 'v1', 'parent', '1:', 'bpf', 'da', 'object-pinned', `${kinds}/on_tc`);
    inside('bpftool', 'prog', 'attach', 'pinned', `${kinds}/on_flow_dissector`, 'flow_dissector');
    inside('ip', 'link', 'set', 'dev', 'v1', 'xdpgeneric', 'pinned', `${machine.load('xdp')}/xdp_firewall`);
    const index = Number(/^(\d+)/.exec(output('ip', ['-n', netns, '-o', 'link', 'show', 'dev', 'v0']))?.[1]);
    tcx = attachTcx(`/run/netns/${netns}`, `${kinds}/on_tc`, index);
    snapshot = await readHost();
  }, 60_000);

  afterAll(() => {
    if (tcx >= 0) nativeNet().close(tcx);
    machine?.close();
  });

  const places = (name: string): readonly Attachment[] =>
    snapshot.programs.filter((program) => program.name === name).flatMap(({ attachments }) => attachments);

  test('has its filters on clsact', () => {
    const here = { kind: 'tc', target: 'v0', netns: inode };
    expect(places('on_classifier')).toMatchObject([
      { ...here, attachType: 'ingress' },
      { ...here, attachType: 'egress' },
    ]);
  });

  test('has its filter on a queueing discipline with classes', () => {
    expect(places('on_tc')).toContainEqual(
      expect.objectContaining({ kind: 'tc', target: 'v1', netns: inode, attachType: 'qdisc htb' }),
    );
  });

  test('has its flow dissector, under the name that ip gave it', () => {
    expect(places('on_flow_dissector')).toEqual([
      { kind: 'netns', target: `bpfcarve-${process.pid}`, netns: inode, attachType: 'flow_dissector' },
    ]);
  });

  test('has xdp in generic mode', () => {
    expect(places('xdp_firewall')).toMatchObject([{ kind: 'xdp', target: 'v1', netns: inode, mode: 'generic' }]);
  });

  test('has its tcx link once, by device name', (ctx) => {
    if (tcx < 0) ctx.skip('this kernel has no tcx');
    const own = places('on_tc').filter(({ kind }) => kind === 'tcx');
    expect(own).toMatchObject([{ target: 'v0', netns: inode, attachType: 'tcx_ingress' }]);
    const link = snapshot.links.find(({ id }) => id === own[0]?.linkId);
    expect(link).toMatchObject({ type: 'tcx', attachment: own[0] });
    expect(link?.holders).toMatchObject([{ pid: process.pid, via: ['link-fd'] }]);
  });

  test('is left again', () => {
    expect(readlinkSync(NET)).toBe(before);
    expect(snapshot.scope.net).toBe(Number(/\d+/.exec(before)?.[0]));
  });
});

function nativeNet() {
  const native = nativeSys();
  if ('missing' in native) throw new Error(native.missing);
  return native.net;
}

/** A descriptor of the link; negative where the kernel refuses. */
function attachTcx(netns: string, pin: string, ifindex: number): number {
  const library = libc();
  if (library === undefined || process.arch !== 'x64') return -1;
  const path = new TextEncoder().encode(`${pin}\0`);
  const memory = new Struct(256).raw(0, path).bytes;
  const get = new Struct(16).u64(0, library.addressOf(memory)).bytes;
  const program = library.syscall(321, OBJ_GET, get);
  if (program < 0) return -1;
  const create = new Struct(64).u32(0, program, ifindex, TCX_INGRESS).bytes;
  const made = inNetworkNamespace(nativeNet(), '/proc', netns, () => library.syscall(321, LINK_CREATE, create));
  nativeNet().close(program);
  return typeof made === 'number' ? made : -1;
}
