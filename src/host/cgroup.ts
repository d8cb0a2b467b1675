// What is attached to cgroups: every directory of every cgroup2 that is mounted, every attach type.
import { closeSync, constants, fstatSync, openSync, readdirSync } from 'node:fs';
import { isErrno } from '../source/errno.ts';
import type { Bpf } from './bpf.ts';
import { counted } from './count.ts';
import type { AttachedProgram } from './map-contents.ts';
import { findMounts, type MountPoint } from './mounts.ts';
import { attachTypeName, attachTypeNumber } from './names.ts';
import { namespaceOf } from './processes.ts';
import type { Attachment, View } from './records.ts';
import { ERRNO, errnoName } from './syscall.ts';

export interface CgroupView {
  readonly view: View;
  readonly attached: readonly AttachedProgram[];
  /** Of every cgroup that was seen, by id. */
  readonly paths: ReadonlyMap<number, string>;
}

export function readCgroups(bpf: Bpf, proc: string, pids: readonly number[]): CgroupView {
  const { points, unknown } = findMounts(proc, 'cgroup2', pids);
  const walk = new Walk(bpf);
  if (points.length === 0) {
    const reason = unknown ? `${proc}/self/mountinfo cannot be read` : 'no cgroup2 is mounted';
    return { view: { status: 'unsupported', reason }, attached: [], paths: new Map() };
  }
  for (const point of outermost(points)) walk.visit(point.path, 0);
  return { view: status(walk, proc), attached: walk.attached, paths: walk.paths };
}

/** PROC_CGROUP_INIT_INO: the cgroup namespace that sees every cgroup. */
const INITIAL_CGROUP_NAMESPACE = 0xefff_fffb;
/** cgroup.max.depth has no limit by default; paths end at 4096 bytes. */
const MAX_DEPTH = 512;

/** From its parent and from itself. */
const LINKS_OF_LEAF = 2;

function directoriesIn(path: string): string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Where the whole of a hierarchy is mounted, its parts need not be walked again. */
function outermost(points: readonly MountPoint[]): readonly MountPoint[] {
  const whole = points.find(({ root }) => root === '/');
  return whole === undefined ? points : [whole, ...points.filter(({ device }) => device !== whole.device)];
}

function status({ failures, attached, refused }: Walk, proc: string): View {
  if (refused && attached.length === 0) {
    return { status: 'denied', reason: 'EPERM: asking for programs of cgroups takes CAP_NET_ADMIN' };
  }
  const own = namespaceOf(proc, 'self', 'cgroup');
  const reasons = [...failures].map(([name, count]) => `${name} on ${counted(count, 'cgroup')}`);
  if (own !== undefined && own !== INITIAL_CGROUP_NAMESPACE) {
    reasons.push('this is not the initial cgroup namespace: cgroups outside are not seen');
  }
  return reasons.length === 0 ? { status: 'ok' } : { status: 'partial', reason: reasons.join('; ') };
}

class Walk {
  readonly attached: AttachedProgram[] = [];
  readonly paths = new Map<number, string>();
  readonly failures = new Map<string, number>();
  refused = false;
  readonly #bpf: Bpf;
  /** Without those that this kernel turned out not to know. */
  readonly #attachTypes = new Set(ATTACH_TYPES);

  constructor(bpf: Bpf) {
    this.#bpf = bpf;
  }

  /** A cgroup and all below it. Cgroups come and go: what is not there any more is passed over. */
  visit(path: string, depth: number): void {
    let children: string[] = [];
    try {
      const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
      let links: number;
      try {
        const { ino, nlink } = fstatSync(descriptor);
        if (this.paths.has(ino)) return;
        links = nlink;
        this.paths.set(ino, path);
        this.#query(descriptor, ino, path);
      } finally {
        closeSync(descriptor);
      }
      // Most cgroups are leaves, and have some forty files; kernfs counts the directories below (kernfs_refresh_inode).
      if (links !== LINKS_OF_LEAF) children = directoriesIn(path);
    } catch (error) {
      if (!isErrno(error)) throw error;
      if (error.code !== 'ENOENT' && error.code !== 'ENODEV') this.#fail(error.code);
      return;
    }
    if (depth >= MAX_DEPTH) this.#fail('nesting too deep');
    else for (const name of children) this.visit(path === '/' ? `/${name}` : `${path}/${name}`, depth + 1);
  }

  #query(descriptor: number, cgroupId: number, target: string): void {
    for (const type of this.#attachTypes) {
      const answer = this.#bpf.query(descriptor, type, type === LSM_CGROUP ? 'flags' : undefined);
      if (typeof answer === 'number') {
        if (answer === -ERRNO.EINVAL) this.#attachTypes.delete(type);
        else if (answer === -ERRNO.EPERM) this.refused = true;
        else if (answer !== -ERRNO.ENODEV && answer !== -ERRNO.ENOENT) this.#fail(errnoName(answer));
        if (this.refused) return;
        continue;
      }
      const sharing = sharingOf(answer.flags);
      for (const programId of answer.programIds) {
        const attachment: Attachment = { kind: 'cgroup', target, cgroupId, attachType: attachTypeName(type), sharing };
        this.attached.push({ programId, attachment });
      }
    }
  }

  #fail(reason: string): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
  }
}

/** BPF_F_ALLOW_OVERRIDE and BPF_F_ALLOW_MULTI. */
function sharingOf(flags: number): 'exclusive' | 'override' | 'multi' {
  if ((flags & 2) !== 0) return 'multi';
  return (flags & 1) !== 0 ? 'override' : 'exclusive';
}

const LSM_CGROUP = attachTypeNumber('lsm_cgroup');

/** enum bpf_attach_type: what cgroup_bpf_prog_query takes, and lsm_cgroup. */
const ATTACH_TYPES: readonly number[] = [
  'cgroup_inet_ingress',
  'cgroup_inet_egress',
  'cgroup_inet_sock_create',
  'cgroup_inet_sock_release',
  'cgroup_sock_ops',
  'cgroup_device',
  'cgroup_inet4_bind',
  'cgroup_inet6_bind',
  'cgroup_inet4_connect',
  'cgroup_inet6_connect',
  'cgroup_unix_connect',
  'cgroup_inet4_post_bind',
  'cgroup_inet6_post_bind',
  'cgroup_inet4_getpeername',
  'cgroup_inet6_getpeername',
  'cgroup_unix_getpeername',
  'cgroup_inet4_getsockname',
  'cgroup_inet6_getsockname',
  'cgroup_unix_getsockname',
  'cgroup_udp4_sendmsg',
  'cgroup_udp6_sendmsg',
  'cgroup_unix_sendmsg',
  'cgroup_udp4_recvmsg',
  'cgroup_udp6_recvmsg',
  'cgroup_unix_recvmsg',
  'cgroup_sysctl',
  'cgroup_getsockopt',
  'cgroup_setsockopt',
  'lsm_cgroup',
].map(attachTypeNumber);
