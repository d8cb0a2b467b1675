// Which filesystem is mounted where, as far as a walk must know: what to stay out of, and where reads come up short.
import { readFileSync } from 'node:fs';
import { isErrno } from './errno.ts';

/** Filesystems whose files are windows on the kernel: reading them is slow, endless or not without effect. */
const KERNEL = new Set(
  'proc sysfs devtmpfs devpts debugfs tracefs securityfs cgroup cgroup2 bpf configfs pstore efivarfs selinuxfs binfmt_misc mqueue hugetlbfs rpc_pipefs nfsd fusectl'.split(
    ' ',
  ),
);
/** Filesystems on which a read that comes up short has reached the end of the file. */
const WHOLE_READS = new Set(
  'ext2 ext3 ext4 xfs btrfs tmpfs ramfs overlay f2fs squashfs erofs vfat exfat ntfs3 zfs iso9660 udf bcachefs jfs reiserfs rootfs'.split(
    ' ',
  ),
);

export class Mounts {
  private readonly types: ReadonlyMap<string, string>;

  /** `mountinfo`: the text of /proc/self/mountinfo. */
  constructor(mountinfo: string) {
    this.types = new Map(mountinfo.split('\n').flatMap(parseLine));
  }

  /** Whether `path` (absolute, real) is where a filesystem of the kernel's own is mounted. */
  isKernel(path: string): boolean {
    return KERNEL.has(this.types.get(path) ?? '');
  }

  /** Whether something is mounted exactly at `path`. */
  has(path: string): boolean {
    return this.types.has(path);
  }

  /** Whether reads below `path` (absolute, real) may come up short before the end of a file. */
  hasShortReads(path: string): boolean {
    for (let at = path; ; at = at.slice(0, at.lastIndexOf('/'))) {
      const type = this.types.get(at === '' ? '/' : at);
      if (type !== undefined) return !WHOLE_READS.has(type);
      if (at === '' || at === '/') return true;
    }
  }
}

/** The mounts this process sees; none when /proc is not there, so that every read is made to its end. */
export function readMounts(): Mounts {
  try {
    return new Mounts(readFileSync('/proc/self/mountinfo', 'utf8'));
  } catch (error) {
    if (!isErrno(error)) throw error;
    return new Mounts('');
  }
}

/** proc(5): fields 1-6, optional fields, " - ", filesystem type. Spaces in paths stand as octal escapes. */
function parseLine(line: string): [string, string][] {
  const [before = '', after = ''] = line.split(' - ');
  const point = before.split(' ')[4];
  const type = after.split(' ')[0];
  return point === undefined || type === undefined || type === '' ? [] : [[unescapeOctal(point), type]];
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
