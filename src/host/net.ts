// What is attached to network devices and namespaces: xdp and tc by netlink, which does not pass through bpf(2), and tcx,
// netkit, flow dissectors and socket lookup by query. In every network namespace.
import { closeSync, openSync } from 'node:fs';
import { isErrno } from '../source/errno.ts';
import type { Bpf } from './bpf.ts';
import type { AttachedProgram } from './map-contents.ts';
import { attachTypeNumber, namespaceName } from './names.ts';
import { findNetworkNamespaces, inNetworkNamespace, type NetworkNamespace } from './namespaces.ts';
import { Netlink, NetlinkError, type Qdisc } from './netlink.ts';
import type { Attachment, View } from './records.ts';
import { ERRNO, errnoName, type Net } from './syscall.ts';

export interface NetView {
  readonly view: View;
  readonly attached: readonly AttachedProgram[];
  /** What `ip netns` calls them, by inode number. */
  readonly names: ReadonlyMap<number, string>;
}

export interface NetReader {
  readonly bpf: Bpf;
  readonly net: Net;
  readonly proc: string;
  readonly pids: readonly number[];
}

export function readNet({ bpf, net, proc, pids }: NetReader): NetView {
  const { namespaces, hidden } = findNetworkNamespaces(proc, pids);
  const walk: Walk = { bpf, net, attached: [], failures: new Map(), refused: new Set() };
  for (const namespace of namespaces) {
    const refusal = namespace.own
      ? readDevices(walk, namespace)
      : inNetworkNamespace(net, proc, namespace.path, () => readDevices(walk, namespace));
    // ENOENT: the process that stood for it ended, and the namespace most likely with it.
    if (refusal !== undefined && refusal !== 'ENOENT') note(walk, `${refusal} for a network namespace`);
    readNamespace(walk, namespace);
  }
  const reasons = [...walk.failures].map(([reason, count]) => (count === 1 ? reason : `${reason} (${count} times)`));
  if (hidden === 1) reasons.push('the network namespace of 1 process is unknown');
  if (hidden > 1) reasons.push(`the network namespaces of ${hidden} processes are unknown`);
  return {
    view: reasons.length === 0 ? { status: 'ok' } : { status: 'partial', reason: reasons.join('; ') },
    attached: walk.attached,
    names: new Map(namespaces.flatMap(({ inode, name }) => (name === undefined ? [] : [[inode, name] as const]))),
  };
}

interface Walk {
  readonly bpf: Bpf;
  readonly net: Net;
  readonly attached: AttachedProgram[];
  readonly failures: Map<string, number>;
  /** Attach types that this kernel does not know, or does not tell this reader. */
  readonly refused: Set<number>;
}

const TCX = ['tcx_ingress', 'tcx_egress'].map(attachTypeNumber);
const NETKIT = ['netkit_primary', 'netkit_peer'].map(attachTypeNumber);
const NAMESPACE = ['flow_dissector', 'sk_lookup'].map(attachTypeNumber);
const DIRECTIONS = ['ingress', 'egress'] as const;
/** TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) and _EGRESS */
const CLSACT_PARENTS = [0xffff_fff2, 0xffff_fff3] as const;

/** The thread is in the namespace. Returns why nothing could be read. */
function readDevices(walk: Walk, { inode }: NetworkNamespace): string | undefined {
  let netlink: Netlink;
  try {
    netlink = new Netlink(walk.net, walk.bpf.little);
  } catch (error) {
    return refusal(error);
  }
  try {
    const interfaces = netlink.interfaces();
    const names = new Map(interfaces.map(({ ifindex, name }) => [ifindex, name]));
    for (const { ifindex, name, kind, xdp } of interfaces) {
      const place = { target: name, ifindex, netns: inode };
      for (const { programId, mode } of xdp) add(walk, programId, { kind: 'xdp', ...place, mode });
      queryDevice(walk, 'tcx', TCX, place);
      if (kind === 'netkit') queryDevice(walk, 'netkit', NETKIT, place);
    }
    for (const qdisc of netlink.qdiscs()) {
      readFilters(walk, netlink, qdisc, {
        target: names.get(qdisc.ifindex) ?? '',
        ifindex: qdisc.ifindex,
        netns: inode,
      });
    }
    return undefined;
  } catch (error) {
    return refusal(error);
  } finally {
    netlink.close();
  }
}

type Device = Pick<Attachment, 'target' | 'ifindex' | 'netns'>;

function queryDevice(walk: Walk, kind: 'tcx' | 'netkit', types: readonly number[], place: Device): void {
  for (const [index, type] of types.entries()) {
    if (walk.refused.has(type)) continue;
    const answer = walk.bpf.query(place.ifindex ?? 0, type, 'links');
    if (typeof answer === 'number') {
      refuse(walk, type, answer);
      continue;
    }
    for (const [position, programId] of answer.programIds.entries()) {
      const linkId = answer.linkIds?.[position] ?? 0;
      const attachType = `${kind}_${(kind === 'tcx' ? DIRECTIONS : SIDES)[index]}`;
      add(walk, programId, { kind, ...place, attachType, ...(linkId > 0 && { linkId }) });
    }
  }
}

const SIDES = ['primary', 'peer'] as const;

/** Filters hang below clsact and ingress, or below a qdisc that has classes. */
function readFilters(walk: Walk, netlink: Netlink, { ifindex, kind, handle }: Qdisc, place: Device): void {
  const hooks = kind === 'clsact' ? DIRECTIONS : kind === 'ingress' ? (['ingress'] as const) : (['qdisc'] as const);
  for (const hook of hooks) {
    const parent = hook === 'qdisc' ? handle : CLSACT_PARENTS[DIRECTIONS.indexOf(hook)];
    if (parent === undefined) continue;
    for (const { programId } of netlink.filters(ifindex, parent)) {
      add(walk, programId, { kind: 'tc', ...place, attachType: hook === 'qdisc' ? `qdisc ${kind}` : hook });
    }
  }
}

/** What belongs to the namespace as a whole; its file is enough. */
function readNamespace(walk: Walk, { inode, path, name }: NetworkNamespace): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if (!isErrno(error)) throw error;
    return;
  }
  try {
    for (const [index, type] of NAMESPACE.entries()) {
      if (walk.refused.has(type)) continue;
      const answer = walk.bpf.query(descriptor, type);
      if (typeof answer === 'number') {
        refuse(walk, type, answer);
        continue;
      }
      for (const programId of answer.programIds) {
        const target = name ?? namespaceName(inode);
        add(walk, programId, {
          kind: 'netns',
          target,
          netns: inode,
          attachType: index === 0 ? 'flow_dissector' : 'sk_lookup',
        });
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

function add(walk: Walk, programId: number, attachment: Attachment): void {
  walk.attached.push({ programId, attachment });
}

/** EINVAL: the kernel does not know the type. Devices and namespaces that vanish are no failure. */
function refuse(walk: Walk, type: number, answer: number): void {
  if (answer === -ERRNO.ENODEV || answer === -ERRNO.ENOENT) return;
  walk.refused.add(type);
  if (answer !== -ERRNO.EINVAL) note(walk, `${errnoName(answer)} asking for programs of devices and namespaces`);
}

function note(walk: Walk, reason: string): void {
  walk.failures.set(reason, (walk.failures.get(reason) ?? 0) + 1);
}

function refusal(error: unknown): string {
  if (!(error instanceof NetlinkError)) throw error;
  return `netlink: ${errnoName(error.errno)}`;
}
