// Where bpffs and cgroup2 are mounted, in every mount namespace that some process lives in.
import { readFileSync } from 'node:fs';
import { findNamespaces, namespaceOf, orAbsent } from './processes.ts';

export interface MountPoint {
  /** As this process reaches it: below /proc/PID/root where the mount namespace is not its own. */
  readonly path: string;
  /** The filesystem itself: the same number, the same files. */
  readonly device: string;
  /** The directory of the filesystem that is mounted there. */
  readonly root: string;
}

export interface MountPoints {
  /** This process's own mount namespace first; each directory of each filesystem once. */
  readonly points: readonly MountPoint[];
  /** Whether even this process's own mounts could not be read. */
  readonly unknown: boolean;
  /** Processes whose mount namespace this process may not look into. */
  readonly hidden: number;
}

export function findMounts(proc: string, type: string, pids: readonly number[]): MountPoints {
  const own = namespaceOf(proc, 'self', 'mnt');
  const { members, hidden } = findNamespaces(proc, 'mnt', pids);
  const seen = new Set<string>();
  const points: MountPoint[] = [];
  let unread = 0;
  const add = (text: string, prefix: string) => {
    for (const point of parseMountinfo(text, type, prefix)) {
      const identity = `${point.device} ${point.root}`;
      if (seen.has(identity)) continue;
      seen.add(identity);
      points.push(point);
    }
  };
  const ownMounts = orAbsent(() => readFileSync(`${proc}/self/mountinfo`, 'utf8'));
  add(ownMounts ?? '', '');
  for (const [inode, pid] of members) {
    if (inode === own) continue;
    const text = orAbsent(() => readFileSync(`${proc}/${pid}/mountinfo`, 'utf8'));
    if (text === undefined) unread++;
    else add(text, `${proc}/${pid}/root`);
  }
  return { points, unknown: ownMounts === undefined, hidden: hidden + unread };
}

/** proc(5): id, parent, major:minor, root, mount point, options, optional fields, " - ", type, source, options. */
export function parseMountinfo(text: string, type: string, prefix: string): MountPoint[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , device, root, point] = before.split(' ');
    if (after.split(' ')[0] !== type || device === undefined || root === undefined || point === undefined) return [];
    const path = unescapeOctal(point);
    return [{ path: prefix === '' || path !== '/' ? prefix + path : prefix, device, root: unescapeOctal(root) }];
  });
}

/** Blanks and backslashes stand as octal escapes of bytes. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
