// Instruction arrays in the memory of a process that have the tag of a live program: the code of what was never an object.
// Only what a tag proves is given.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { type ByteRange, intersect, lastAtOrBefore } from '../bytes/range.ts';
import type { Reader } from '../bytes/reader.ts';
import { AnchorList } from '../carve/anchors.ts';
import { Finder } from '../carve/search.ts';
import { type FreedPlace, type FreedProgram, searchFreed } from '../correlate/freed.ts';
import type { CodeSource } from '../correlate/origin.ts';
import { proofsAmong } from '../correlate/siblings.ts';
import { newTagBudget, type ProvenArray, searchTags, type TagBudget } from '../correlate/tag-search.ts';
import { hex } from '../diagnostics.ts';
import { isErrno } from '../source/errno.ts';
import { regionOf } from '../source/maps.ts';
import { type FilePath, nameOf } from '../source/path.ts';
import { OpenProcess, openProcess } from '../source/process.ts';
import { ProcessMemory } from '../source/process-memory.ts';
import { libc } from '../sys/libc.ts';

export interface MemoryCode {
  readonly places: readonly CodeSource[];
  /** A limit of work was reached: there may be more. */
  readonly limited: boolean;
  /** The process is gone, or its memory out of reach. */
  readonly unreachable?: true;
}

/** What to look for: tags, and for arrays that were freed what the kernel shows of the programs. */
export interface WantedCode {
  readonly tags: ReadonlySet<string>;
  readonly freed: readonly FreedProgram[];
  /**
   * All programs that the process may have loaded, whether they are looked for or not, each one an entry: what is left of a freed
   * array may be any of theirs. Default: `freed`.
   */
  readonly loaded?: readonly FreedProgram[];
  /** Also in pages that the process may only read, where arrays lie that are constants of its program. */
  readonly constants: boolean;
}

const UNREACHABLE: MemoryCode = { places: [], limited: false, unreachable: true };
const ALIGNMENT = 8;
const LITTLE = endianness() === 'LE';

export class MemoryCodeSearch {
  private readonly finder = new Finder();

  /** Looks through the pages of process `pid`; nothing when it is gone or out of reach. */
  search(pid: number, wanted: WantedCode): MemoryCode {
    const process = openProcess(pid);
    if (!(process instanceof OpenProcess)) return UNREACHABLE;
    const memory = new ProcessMemory(process, libc());
    try {
      return this.searchMemory(process, memory, wanted);
    } finally {
      memory.close();
      process.close();
    }
  }

  private searchMemory(process: OpenProcess, memory: ProcessMemory, wanted: WantedCode): MemoryCode {
    const { tags, freed, loaded = freed, constants } = wanted;
    const { exits, dropped } = this.anchors(
      memory,
      constants ? memory.pages : intersect(memory.pages, writable(memory)),
    );
    const sought = new Set([...tags, ...loaded.map(({ tag }) => tag)]);
    const aligned = exits.filter(isAligned);
    // Coincidence lies at any address: it takes nothing from the search of those where code mostly is.
    const odd = exits.filter((exit) => !isAligned(exit));
    const budgets = { aligned: newTagBudget(), odd: newTagBudget(), freed: newTagBudget() };
    const intact = [
      ...searchIntact(memory, aligned, sought, budgets.aligned),
      ...searchIntact(memory, odd, sought, budgets.odd),
    ];
    const found = new Set(intact.map(({ tag }) => tag));
    const missing = freed.filter(({ tag }) => !found.has(tag));
    const freedPlaces = missing.length > 0 ? searchHeaps(memory, aligned, missing, loaded, budgets.freed) : [];
    const repaired = proofsAmong(freedPlaces, loaded, intact).filter(({ tag }) => !found.has(tag));
    const limited = dropped > 0 || Object.values(budgets).some(({ limited }) => limited);
    const proven = [...intact, ...repaired].filter(({ tag }) => tags.has(tag));
    const places = proven.map((array) => placeOf(process, memory, array));
    // What was put together here lies in no other process: whoever searches this one next must not find it.
    for (const { code } of freedPlaces.flatMap(({ arrays }) => arrays)) code.fill(0);
    return process.changed() ? UNREACHABLE : { places, limited };
  }

  /** At any alignment: a tag proves whatever lies there. */
  private anchors(memory: ProcessMemory, pages: readonly ByteRange[]): Pick<AnchorList, 'exits' | 'dropped'> {
    const anchors = new AnchorList();
    for (const range of pages) this.finder.search(memory, range, anchors);
    return anchors;
  }
}

function searchIntact(
  memory: ProcessMemory,
  exits: readonly number[],
  tags: ReadonlySet<string>,
  budget: TagBudget,
): ProvenArray[] {
  return spansOf(memory.spans, memory, exits).flatMap(({ from, reader, anchors }) =>
    searchTags(reader, anchors, tags, { little: LITTLE, budget }).arrays.map((array) => shifted(array, from)),
  );
}

function searchHeaps(
  memory: ProcessMemory,
  exits: readonly number[],
  programs: readonly FreedProgram[],
  rivals: readonly FreedProgram[],
  budget: TagBudget,
): FreedPlace[] {
  return spansOf(heaps(memory), memory, exits).flatMap(({ from, reader, anchors }) => {
    const { places } = searchFreed(reader, anchors, programs, { little: LITTLE, budget, rivals });
    return places.map(({ arrays }) => ({ arrays: arrays.map((array) => shifted(array, from)) }));
  });
}

interface Span {
  readonly from: number;
  /** Counted from `from`, as are the anchors. */
  readonly reader: Reader;
  readonly anchors: readonly number[];
}

/** Those of `ranges` that have EXIT slots. Within a span every address can be read, so that blocks of it can be kept. */
function spansOf(ranges: readonly ByteRange[], memory: ProcessMemory, exits: readonly number[]): Span[] {
  return ranges.flatMap(({ from, to }) => {
    const first = lastAtOrBefore(exits, from - 1, (exit) => exit) + 1;
    const past = lastAtOrBefore(exits, to - 1, (exit) => exit) + 1;
    if (past === first) return [];
    const reader: Reader = {
      readInto: (target, at) => memory.readInto(target.subarray(0, Math.max(0, to - from - at)), from + at),
    };
    return [{ from, reader, anchors: exits.slice(first, past).map((exit) => exit - from) }];
  });
}

/** free() leaves arrays where malloc() put them: in memory of the process alone, with no file behind it, and not on its stack. */
function heaps({ mappings }: ProcessMemory): ByteRange[] {
  return mappings
    .filter(({ mapping: { permissions, inode, path } }) => {
      const isPrivate = permissions[1] === 'w' && permissions[3] === 'p';
      return isPrivate && inode === 0 && (path === undefined || isHeapName(path));
    })
    .map(({ mapping }) => ({ from: mapping.start, to: mapping.end }));
}

function isHeapName(path: FilePath): boolean {
  const name = nameOf(path).path;
  return name === '[heap]' || name.startsWith('[anon:');
}

/** As malloc() aligns. */
function isAligned(address: number): boolean {
  return address % ALIGNMENT === 0;
}

function shifted(array: ProvenArray, by: number): ProvenArray {
  return { ...array, offset: array.offset + by };
}

function writable({ mappings }: ProcessMemory): ByteRange[] {
  return mappings
    .filter(({ mapping }) => mapping.permissions[1] === 'w')
    .map(({ mapping }) => ({ from: mapping.start, to: mapping.end }));
}

function placeOf(process: OpenProcess, memory: ProcessMemory, array: ProvenArray): CodeSource {
  const backed = memory.mappingAt(array.offset);
  const { assumptions = [] } = array;
  const mapIds = array.mapFds.flatMap((fd) => mapIdOf(process.source.pid, fd));
  return {
    kind: 'instructions',
    sha256: createHash('sha256').update(array.code).digest('hex'),
    source: process.source,
    address: hex(array.offset),
    ...(backed && { region: regionOf(backed.mapping) }),
    size: array.code.length,
    ...(mapIds.length > 0 && { mapIds }),
    ...(array.repaired && { repaired: true as const }),
    programs: [
      {
        instructions: array.slots,
        subprograms: [],
        tags: [{ tag: array.tag, algorithm: array.algorithm, exact: assumptions.length === 0, assumptions }],
      },
    ],
  };
}

/** The id of the map that a descriptor of the process is open for, if it still is. */
function mapIdOf(pid: number, fd: number): number[] {
  try {
    const id = /^map_id:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1];
    return id === undefined ? [] : [Number(id)];
  } catch (error) {
    if (!isErrno(error)) throw error;
    return [];
  }
}
