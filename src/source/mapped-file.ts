// What lies behind a mapping: nothing, a file that can be read for all who map it, or something that must not be read.
// Looks at files by the kernel's own links, so that other mount namespaces and deleted files make no difference.
import { type Stats, statfsSync, statSync } from 'node:fs';
import { isErrno } from './errno.ts';
import type { Mapping } from './maps.ts';
import { nameOf } from './path.ts';

/** A mapped regular file. */
export interface MappedFile {
  /** Names the file whoever maps it: st_dev and st_ino, which tell subvolumes and layers apart, as the device in maps does not. */
  readonly key: string;
  /** As the process names it, for people. */
  readonly name: string;
  /** A path to open it by, while the process lives. */
  readonly path: string;
}

export type Backing =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'file'; readonly file: MappedFile }
  /** A file that this user cannot open: only its pages in the process can be read. */
  | { readonly kind: 'unreachable' }
  /** Skipped by rule: reading it may act on hardware or on the kernel. */
  | { readonly kind: 'device'; readonly rule: string };

const ANONYMOUS: Backing = { kind: 'anonymous' };
const UNREACHABLE: Backing = { kind: 'unreachable' };
const DEVICE: Backing = { kind: 'device', rule: 'device mappings' };
const KERNEL_FILE: Backing = { kind: 'device', rule: "files of the kernel's own" };

/** The backings of one process's mappings; a file that is mapped in pieces is looked at once. */
export class MappedFiles {
  private readonly pid: number;
  private readonly known = new Map<string, Backing>();

  constructor(pid: number) {
    this.pid = pid;
  }

  of(mapping: Mapping): Backing {
    if (mapping.inode === 0) return ANONYMOUS;
    const name = `${mapping.device} ${mapping.inode} ${String(mapping.path)}`;
    const known = this.known.get(name) ?? this.lookUp(mapping);
    this.known.set(name, known);
    return known;
  }

  private lookUp(mapping: Mapping): Backing {
    const link = `/proc/${this.pid}/map_files/${mapping.start.toString(16)}-${mapping.end.toString(16)}`;
    const linked = status(link);
    if (linked !== undefined) return judge(linked, link, mapping);
    // The links are for CAP_SYS_ADMIN and CAP_CHECKPOINT_RESTORE; others go by the name, if it still leads there.
    const path = `/proc/${this.pid}/root${String(mapping.path)}`;
    const named = typeof mapping.path === 'string' && mapping.path.startsWith('/') ? status(path) : undefined;
    if (named !== undefined && named.ino === mapping.inode && deviceOf(named) === mapping.device) {
      return judge(named, path, mapping);
    }
    return looksLikeDevice(mapping) ? DEVICE : UNREACHABLE;
  }
}

function judge(stats: Stats, path: string, mapping: Mapping): Backing {
  if (stats.isFile() && isKernelFile(stats, path)) return KERNEL_FILE;
  if (stats.isFile()) {
    const name = nameOf(mapping.path ?? '').path;
    return { kind: 'file', file: { key: `${stats.dev}:${stats.ino}`, name, path } };
  }
  // A private mapping of /dev/zero is memory like any other, and a shared one has a file of its own.
  if (stats.isCharacterDevice() && stats.rdev === DEV_ZERO) return UNREACHABLE;
  // Inodes without a type are kernel objects, such as the ring of aio(7), whose pages are memory like any other.
  return (stats.mode & S_IFMT) === 0 && !looksLikeDevice(mapping) ? UNREACHABLE : DEVICE;
}

/** Major 1, minor 5. */
const DEV_ZERO = 0x105;
const S_IFMT = 0o170000;

/** By its name alone, for lack of better: files in /dev/shm and shared anonymous memory are none. */
function looksLikeDevice({ path }: Mapping): boolean {
  if (typeof path !== 'string') return false;
  if (path.startsWith('/dmabuf:') || path.startsWith('/sys/') || path.startsWith('/proc/')) return true;
  return path.startsWith('/dev/') && !path.startsWith('/dev/shm/') && !path.startsWith('/dev/zero');
}

/** <linux/magic.h>: sysfs (PCI resources are regular files there), proc, debugfs, tracefs, securityfs, selinuxfs, bpf. */
const KERNEL_FILESYSTEMS = new Set([0x62656572, 0x9fa0, 0x64626720, 0x74726163, 0x73636673, 0xf97cff8c, 0xcafe4a11]);
const kernelDevices = new Map<number, boolean>();

function isKernelFile({ dev }: Stats, path: string): boolean {
  let known = kernelDevices.get(dev);
  if (known === undefined) {
    known = KERNEL_FILESYSTEMS.has(filesystemType(path));
    kernelDevices.set(dev, known);
  }
  return known;
}

function filesystemType(path: string): number {
  try {
    return statfsSync(path).type >>> 0;
  } catch (error) {
    if (!isErrno(error)) throw error;
    return 0;
  }
}

/** As /proc/PID/maps has it. gnu_dev_major() and gnu_dev_minor() of <sys/sysmacros.h>, for the 32 bits that Linux uses. */
function deviceOf({ dev }: Stats): string {
  const major = Math.floor(dev / 256) % 4096;
  const minor = (dev % 256) + Math.floor(dev / 2 ** 20) * 256;
  return `${major.toString(16).padStart(2, '0')}:${minor.toString(16).padStart(2, '0')}`;
}

function status(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}
