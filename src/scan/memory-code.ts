// Instruction arrays in the memory of a process that have the tag of a live program: the code of what was never an object.
// Only what a tag proves is given.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { type ByteRange, intersect } from '../bytes/range.ts';
import type { Reader } from '../bytes/reader.ts';
import { AnchorList } from '../carve/anchors.ts';
import { Finder } from '../carve/search.ts';
import { type FreedProgram, searchFreed } from '../correlate/freed.ts';
import type { CodeSource } from '../correlate/origin.ts';
import { newTagBudget, type ProvenArray, searchTags } from '../correlate/tag-search.ts';
import { hex } from '../diagnostics.ts';
import { isErrno } from '../source/errno.ts';
import { regionOf } from '../source/maps.ts';
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
    const { tags, freed, constants } = wanted;
    const { exits, dropped } = this.anchors(
      memory,
      constants ? memory.pages : intersect(memory.pages, writable(memory)),
    );
    const spans = spansOf(memory, exits);
    const budget = newTagBudget();
    const freedBudget = newTagBudget();
    const direct = spans.flatMap(({ from, reader, anchors }) =>
      searchTags(reader, anchors, tags, { little: LITTLE, budget }).arrays.map((array) => shifted(array, from)),
    );
    const found = new Set(direct.map(({ tag }) => tag));
    const missing = freed.filter(({ tag }) => !found.has(tag));
    const repaired = (missing.length > 0 ? spans : []).flatMap(({ from, reader, anchors }) => {
      const { arrays } = searchFreed(reader, anchors, missing, { little: LITTLE, budget: freedBudget });
      return arrays.map((array) => shifted(array, from));
    });
    const limited = dropped > 0 || budget.limited || freedBudget.limited;
    const places = [...direct, ...repaired].map((array) => placeOf(process, memory, array));
    return process.changed() ? UNREACHABLE : { places, limited };
  }

  /** Compilers and allocators align instructions: other places are coincidence. */
  private anchors(memory: ProcessMemory, pages: readonly ByteRange[]): Pick<AnchorList, 'exits' | 'dropped'> {
    const anchors = new AnchorList();
    for (const range of pages) this.finder.search(memory, range, anchors);
    return { exits: anchors.exits.filter((exit) => exit % ALIGNMENT === 0), dropped: anchors.dropped };
  }
}

interface Span {
  readonly from: number;
  /** Counted from `from`, as are the anchors. */
  readonly reader: Reader;
  readonly anchors: readonly number[];
}

/** Those that have EXIT slots. Within a span every address can be read, so that blocks of it can be kept. */
function spansOf(memory: ProcessMemory, exits: readonly number[]): Span[] {
  let next = 0;
  return memory.spans.flatMap(({ from, to }) => {
    const first = next;
    while ((exits[next] ?? Number.POSITIVE_INFINITY) < to) next++;
    if (next === first) return [];
    const reader: Reader = { readInto: (target, at) => memory.readInto(target, from + at) };
    return [{ from, reader, anchors: exits.slice(first, next).map((exit) => exit - from) }];
  });
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
        tags: [{ tag: array.tag, algorithm: array.algorithm, exact: true, assumptions: [] }],
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
