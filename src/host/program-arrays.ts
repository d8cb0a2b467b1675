// The arrays that the info of a program points to: its maps, and the address, type, first line and tag of its functions.
// Room for as many as any program had before goes along with the first question, so that most programs take only one.
import { type Row, viewOf } from '../bytes/layout.ts';
import type { Bpf, Info } from './bpf.ts';
import { funcInfo, lineInfo, progInfo } from './bpf-layouts.ts';
import { allocate } from './syscall.ts';

export type ProgInfo = Info<typeof progInfo.fields>;

export interface Arrays {
  readonly mapIds: readonly number[];
  readonly addresses: readonly bigint[];
  readonly functions: readonly Row<typeof funcInfo.fields>[];
  readonly firstLine: Row<typeof lineInfo.fields> | undefined;
  readonly tags: readonly string[];
}

/** Maps, functions and lines of one program; the verifier allows 64 maps and 256 functions, later kernels 1024. */
const MAX_RECORDS = 1 << 16;

type Member = keyof typeof progInfo.fields;

/** Members of bpf_prog_info: how many there are, where they go, and bytes an element where the kernel must be told. */
const MEMBERS = {
  mapIds: { count: 'nr_map_ids', pointer: 'map_ids' },
  addresses: { count: 'nr_jited_ksyms', pointer: 'jited_ksyms' },
  functions: { count: 'nr_func_info', pointer: 'func_info', size: 'func_info_rec_size' },
  lines: { count: 'nr_line_info', pointer: 'line_info', size: 'line_info_rec_size' },
  tags: { count: 'nr_prog_tags', pointer: 'prog_tags' },
} as const satisfies Readonly<Record<string, { count: Member; pointer: Member; size?: Member }>>;
type Name = keyof typeof MEMBERS;

/** Where the kernel writes one of the arrays. */
interface Room {
  readonly memory: Uint8Array;
  readonly address: bigint;
  /** Elements, and bytes of each. */
  readonly count: number;
  readonly size: number;
}

export class ProgramArrays {
  readonly #bpf: Bpf;
  readonly #rooms = new Map<Name, Room>();

  constructor(bpf: Bpf) {
    this.#bpf = bpf;
  }

  /** The info of an open program and all its arrays, or the errno as a negative number. */
  read(descriptor: number): { readonly info: ProgInfo; readonly arrays: Arrays } | number {
    const info = this.#ask(descriptor);
    if (typeof info === 'number') {
      if (this.#rooms.size === 0) return info;
      // It may be the room that the kernel did not like.
      this.#rooms.clear();
      return this.read(descriptor);
    }
    if (!this.#makeRoom(info.row)) return { info, arrays: this.#given(info.row) };
    const again = this.#ask(descriptor);
    return typeof again === 'number' ? again : { info, arrays: this.#given(again.row) };
  }

  #ask(descriptor: number): ProgInfo | number {
    const { offsets } = progInfo;
    return this.#bpf.info(descriptor, progInfo, (view) => {
      for (const [name, { count, size, address }] of this.#rooms) {
        const members: { count: Member; pointer: Member; size?: Member } = MEMBERS[name];
        view.setUint32(offsets[members.count], count, this.#bpf.little);
        view.setBigUint64(offsets[members.pointer], address, this.#bpf.little);
        if (members.size) view.setUint32(offsets[members.size], size, this.#bpf.little);
      }
    });
  }

  /** Whether there was too little for this program. */
  #makeRoom(row: ProgInfo['row']): boolean {
    const grown = [
      this.#grow('mapIds', row.nr_map_ids, 4),
      this.#grow('addresses', row.nr_jited_ksyms, 8),
      this.#grow('functions', row.nr_func_info, row.func_info_rec_size),
      this.#grow('lines', Math.min(row.nr_line_info, 1), row.line_info_rec_size),
      this.#grow('tags', row.nr_prog_tags, 8),
    ];
    return grown.includes(true);
  }

  #grow(name: Name, needed: number, size: number): boolean {
    const count = Math.min(needed, MAX_RECORDS);
    if (count * size === 0 || count <= (this.#rooms.get(name)?.count ?? 0)) return false;
    const memory = allocate(count * size);
    this.#rooms.set(name, { memory, address: this.#bpf.sys.address(memory), count, size });
    return true;
  }

  #given(row: ProgInfo['row']): Arrays {
    const { little } = this.#bpf;
    // What is withheld has its pointer cleared.
    const given = (name: Name, count: number, pointer: bigint): DataView[] => {
      const room = this.#rooms.get(name);
      return room === undefined || pointer === 0n ? [] : elements(room, count);
    };
    return {
      mapIds: given('mapIds', row.nr_map_ids, row.map_ids).map((view) => view.getUint32(0, little)),
      addresses: given('addresses', row.nr_jited_ksyms, row.jited_ksyms).map((view) => view.getBigUint64(0, little)),
      functions: given('functions', row.nr_func_info, row.func_info)
        .filter((view) => view.byteLength >= funcInfo.size)
        .map((view) => funcInfo.read(view, 0, little)),
      firstLine: given('lines', row.nr_line_info, row.line_info)
        .filter((view) => view.byteLength >= lineInfo.size)
        .map((view) => lineInfo.read(view, 0, little))[0],
      tags: given('tags', row.nr_prog_tags, row.prog_tags).map((view) =>
        hexBytes(new Uint8Array(view.buffer, view.byteOffset, 8)),
      ),
    };
  }
}

function elements({ memory, count, size }: Room, wanted: number): DataView[] {
  return Array.from({ length: Math.min(count, wanted) }, (_, index) =>
    viewOf(memory.subarray(index * size, (index + 1) * size)),
  );
}

export function hexBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
