// Which pages of a process exist: in memory or in swap, and not just the shared page of zeros.
// Asks the kernel and faults nothing in: neither pages nor page tables of the process change.
import { readFileSync, readSync } from 'node:fs';
import type { ByteRange } from '../bytes/range.ts';
import type { Libc } from '../sys/libc.ts';
import { isErrno } from './errno.ts';

const HOST_IS_LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
/** Bytes of a page on this machine: 4 KiB on most, up to 64 KiB on some arm64 and ppc64. */
export const PAGE = pageSize();

/** Pages that exist, side by side. */
export interface PageRange extends ByteRange {
  /** They are the mapped file's own, or of memory shared by its nature; otherwise they are the process's own, copied or anonymous. */
  readonly shared: boolean;
}

/** Asks with the PAGEMAP_SCAN request, or page by page where the kernel (before 6.7) or koffi does not offer that. */
export function existingPages(pagemap: number, mapped: readonly ByteRange[], libc: Libc | undefined): PageRange[] {
  const from = mapped[0]?.from ?? 0;
  const to = mapped.at(-1)?.to ?? 0;
  const scanned = libc && scanPages(pagemap, from, to, libc);
  return scanned ? within(scanned, mapped) : mapped.flatMap((range) => readPages(pagemap, range));
}

/** `_IOWR('f', 16, struct pm_scan_arg)` of <linux/fs.h>. */
const PAGEMAP_SCAN = 0xc0606610;
const CATEGORY = { FILE: 1n << 2n, PRESENT: 1n << 3n, SWAPPED: 1n << 4n, PFNZERO: 1n << 5n } as const;
/** struct page_region: start, end, categories. */
const REGION_SIZE = 24;
const REGIONS = 4096;

function scanPages(pagemap: number, from: number, to: number, libc: Libc): PageRange[] | undefined {
  const regions = new DataView(new ArrayBuffer(REGIONS * REGION_SIZE));
  const vector = libc.addressOf(new Uint8Array(regions.buffer));
  const ranges: PageRange[] = [];
  for (let start = from; start < to; ) {
    const count = libc.ioctl(pagemap, PAGEMAP_SCAN, scanArgument(start, to, vector));
    if (count < 0) return undefined;
    for (let at = 0; at < count * REGION_SIZE; at += REGION_SIZE) {
      const range = { from: Number(u64(regions, at)), to: Number(u64(regions, at + 8)) };
      ranges.push({ ...range, shared: (u64(regions, at + 16) & CATEGORY.FILE) !== 0n });
    }
    // walk_end cannot be gone by: on 6.18 it lagged behind what had been returned already.
    if (count < REGIONS) break;
    start = ranges.at(-1)?.to ?? to;
  }
  return ranges;
}

/** struct pm_scan_arg: twelve 64-bit words in the byte order of the machine. */
function scanArgument(start: number, end: number, vector: bigint): Uint8Array {
  const words = BigUint64Array.of(
    96n, // size
    0n, // flags
    BigInt(start),
    BigInt(end),
    0n, // walk_end
    vector,
    BigInt(REGIONS),
    0n, // max_pages: no limit
    CATEGORY.PFNZERO, // category_inverted
    CATEGORY.PFNZERO, // category_mask: with the inversion, not the page of zeros
    CATEGORY.PRESENT | CATEGORY.SWAPPED, // category_anyof_mask
    CATEGORY.FILE, // return_mask
  );
  return new Uint8Array(words.buffer);
}

function u64(view: DataView, at: number): bigint {
  return view.getBigUint64(at, HOST_IS_LITTLE);
}

/** The parts of `ranges` that lie in `mapped`; both ascend. */
function within(ranges: readonly PageRange[], mapped: readonly ByteRange[]): PageRange[] {
  const parts: PageRange[] = [];
  let index = 0;
  for (const range of ranges) {
    while ((mapped[index]?.to ?? Number.POSITIVE_INFINITY) <= range.from) index++;
    for (let at = index; at < mapped.length; at++) {
      const { from, to } = mapped[at] as ByteRange;
      if (from >= range.to) break;
      parts.push({ from: Math.max(from, range.from), to: Math.min(to, range.to), shared: range.shared });
    }
  }
  return parts;
}

/** Entries read at a time: 256 KiB, which tell of 128 MiB of addresses. */
const ENTRIES = 32 * 1024;
const EMPTY = Buffer.alloc(ENTRIES * 8);
/** Documentation/admin-guide/mm/pagemap.rst, in the upper half of the 64-bit entry. */
const BIT = { PRESENT: 2 ** 31, SWAPPED: 2 ** 30, SHARED: 2 ** 29 } as const;

/** /proc/PID/pagemap, 8 bytes a page. Does not tell the page of zeros from others, which costs time and nothing else. */
function readPages(pagemap: number, { from, to }: ByteRange): PageRange[] {
  const ranges: PageRange[] = [];
  const block = Buffer.alloc(ENTRIES * 8);
  for (let at = from; at < to; at += ENTRIES * PAGE) {
    const wanted = Math.min(ENTRIES, Math.ceil((to - at) / PAGE)) * 8;
    const count = readSync(pagemap, block, 0, wanted, (at / PAGE) * 8);
    if (block.compare(EMPTY, 0, count, 0, count) !== 0) addPages(ranges, block.subarray(0, count), at);
    if (count < wanted) break;
  }
  return ranges;
}

function addPages(ranges: PageRange[], entries: Buffer, start: number): void {
  for (let entry = 0; entry + 8 <= entries.length; entry += 8) {
    const bits = HOST_IS_LITTLE ? entries.readUInt32LE(entry + 4) : entries.readUInt32BE(entry);
    if (bits < BIT.SWAPPED) continue;
    const from = start + (entry / 8) * PAGE;
    const shared = (bits & BIT.SHARED) !== 0;
    const last = ranges.at(-1);
    if (last?.to === from && last.shared === shared) ranges[ranges.length - 1] = { ...last, to: from + PAGE };
    else ranges.push({ from, to: from + PAGE, shared });
  }
}

/** AT_PAGESZ of the auxiliary vector, getauxval(3): pairs of machine words. */
function pageSize(): number {
  const AT_PAGESZ = 6n;
  try {
    const words = new DataView(Uint8Array.from(readFileSync('/proc/self/auxv')).buffer);
    for (let at = 0; at + 16 <= words.byteLength; at += 16)
      if (u64(words, at) === AT_PAGESZ) return Number(u64(words, at + 8));
  } catch (error) {
    if (!isErrno(error)) throw error;
  }
  return 4096;
}
