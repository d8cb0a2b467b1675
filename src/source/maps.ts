// The mappings of a process: /proc/PID/maps as records, and which of them are never read.
// Opens nothing.
import { hex } from '../diagnostics.ts';
import { type FilePath, nameOf, simplify } from './path.ts';
import type { Region } from './source.ts';

/** One mapping. Addresses are numbers: those that are examined lie below 2^53. */
export interface Mapping {
  readonly start: number;
  /** Past the last byte. */
  readonly end: number;
  readonly permissions: string;
  /** Of `start` in the mapped file; `0x…` beyond 2^53. */
  readonly offset: number | string;
  /** `major:minor` of the filesystem, hexadecimal. */
  readonly device: string;
  /** 0 when no file is mapped. */
  readonly inode: number | string;
  readonly path?: FilePath;
}

export interface Mappings {
  /** Ascending and apart, without those that are skipped. */
  readonly mappings: readonly Mapping[];
  /** Names of mappings that are never read: the reason they are counted under. */
  readonly skipped: readonly string[];
}

/** Parses the text of /proc/PID/maps. What the process chose there, paths and names, cannot break a line: the kernel escapes newlines. */
export function parseMaps(text: Uint8Array): Mappings {
  const mappings: Mapping[] = [];
  const skipped: string[] = [];
  for (const line of Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1').split('\n')) {
    const mapping = parseLine(line);
    if (mapping === undefined) continue;
    const rule = skipRule(mapping);
    if (rule === undefined) mappings.push(mapping);
    else skipped.push(rule);
  }
  return { mappings, skipped };
}

/** The mapping as reports show it. */
export function regionOf({ start, end, permissions, offset, inode, path }: Mapping): Region {
  const name = path === undefined ? undefined : nameOf(path);
  return {
    start: hex(start),
    end: hex(end),
    permissions,
    ...(inode !== 0 && { offset }),
    ...(name && { path: name.path, ...(name.pathBase64 !== undefined && { pathBase64: name.pathBase64 }) }),
    ...(inode !== 0 && { inode }),
  };
}

/**
 * show_map_vma() of fs/proc/task_mmu.c: `start-end perms offset major:minor inode`, then spaces and the name, if any.
 * The bytes of the line are the characters of `line`.
 */
function parseLine(line: string): Mapping | undefined {
  const fields: string[] = [];
  let at = 0;
  for (let field = 0; field < 5; field++) {
    const space = line.indexOf(' ', at);
    const end = space < 0 ? line.length : space;
    fields.push(line.slice(at, end));
    at = end + 1;
  }
  const [range = '', permissions = '', offset = '', device = '', inode = ''] = fields;
  const dash = range.indexOf('-');
  const start = Number.parseInt(range.slice(0, dash), 16);
  const end = Number.parseInt(range.slice(dash + 1), 16);
  const fileOffset = exactNumber(offset, 16);
  const fileInode = exactNumber(inode, 10);
  if (dash < 0 || !(start < end) || fileOffset === undefined || fileInode === undefined) return undefined;
  while (line[at] === ' ') at++;
  const name = line.slice(at);
  return {
    start,
    end,
    permissions,
    offset: fileOffset,
    device,
    inode: fileInode,
    ...(name !== '' && { path: simplify(unescapeNewlines(name)) }),
  };
}

const DIGITS = '0123456789abcdef';

/** `undefined` for what is no number. */
function exactNumber(text: string, radix: 10 | 16): number | string | undefined {
  const digits = DIGITS.slice(0, radix);
  if (text === '' || ![...text].every((character) => digits.includes(character))) return undefined;
  const value = Number.parseInt(text, radix);
  return Number.isSafeInteger(value) ? value : hex(BigInt(radix === 16 ? `0x${text}` : text));
}

/**
 * The kernel writes a newline as `\012` and a backslash as it is, so that a name that holds these four characters
 * reads the same: a name for people, nothing is opened by it alone.
 */
function unescapeNewlines(name: string): Uint8Array {
  return Buffer.from(name.replaceAll('\\012', '\n'), 'latin1');
}

/** Memory of the kernel's own making, and what no number can address. No file can have a name without a slash. */
const KERNEL_MADE = new Set(['[vvar]', '[vvar_vclock]', '[vsyscall]', '[vvar_pages]']);

/** What a BPF map shares with its program's loader, who can put anything there. */
const PLAIN_MEMORY = 'anon_inode:bpf-map';

function skipRule({ end, path, inode }: Mapping): string | undefined {
  if (typeof path === 'string' && KERNEL_MADE.has(path)) return path;
  if (!Number.isSafeInteger(end)) return 'addresses beyond 2^53';
  if (typeof path !== 'string' || inode === 0 || path === PLAIN_MEMORY) return undefined;
  // Rings of io_uring and perf, KVM's vCPUs, VFIO's regions: windows on the kernel and on devices.
  if (path.startsWith('anon_inode:')) return path;
  return path.startsWith('socket:[') ? 'socket' : undefined;
}
