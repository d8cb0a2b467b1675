// BTF outside any object: is it whole, and what does it name.

import { Btf } from '../btf/decode.ts';
import { BTF_KIND, BTF_MAGIC, BTF_VERSION, btfHeader, btfType, KIND_SHAPES } from '../btf/layouts.ts';
import type { BtfDatasec } from '../btf/types.ts';
import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { attempt, FormatError } from '../diagnostics.ts';

export interface BtfBlob {
  /** Bytes from the start of the source. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly btf: Btf;
}

/** vmlinux has 6 MiB; the kernel takes no more than 16. */
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_HEADER = 64;
/** What a look at a header costs, in bytes of reading. */
const LOOK = 4096;

/**
 * The BTF at `offset`, `undefined` unless all of it is there and its types end exactly where its header says: the same magic
 * heads `.BTF.ext` too. What is read for it is taken off `work`.
 */
export function readBtfBlob(reader: Reader, offset: number, work: { bytes: number }): BtfBlob | undefined {
  work.bytes -= LOOK;
  const head = readAt(reader, offset, btfHeader.size);
  if (head.length < btfHeader.size) return undefined;
  const little = viewOf(head).getUint16(0, true) === BTF_MAGIC;
  const header = btfHeader.read(viewOf(head), 0, little);
  const { hdr_len, type_off, type_len, str_off, str_len } = header;
  if (header.magic !== BTF_MAGIC || header.version !== BTF_VERSION || header.flags !== 0) return undefined;
  if (hdr_len < btfHeader.size || hdr_len > MOST_HEADER || type_off !== 0 || str_off !== type_len) return undefined;
  const size = hdr_len + str_off + str_len;
  if (type_len === 0 || str_len < 2 || size > MOST_BYTES) return undefined;
  const first = readAt(reader, offset + hdr_len, btfType.size);
  if (first.length < btfType.size || !isType(btfType.read(viewOf(first), 0, little).info)) return undefined;
  const ends = [readAt(reader, offset + hdr_len + str_off, 1)[0], readAt(reader, offset + size - 1, 1)[0]];
  if (ends[0] !== 0 || ends[1] !== 0) return undefined;
  work.bytes -= size;
  const bytes = readAt(reader, offset, size);
  const btf = bytes.length === size ? parse(bytes) : undefined;
  return btf && { offset, bytes, btf };
}

function isType(info: number): boolean {
  const kind = (info >>> 24) & 0x7f;
  return kind !== BTF_KIND.UNKN && kind < KIND_SHAPES.length;
}

function parse(bytes: Uint8Array): Btf | undefined {
  try {
    const btf = Btf.parse(bytes);
    return btf.diagnostics.length === 0 ? btf : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

const MOST_NAMES = 4096;

/** What a BTF names that belongs to a BPF object: its functions, and the variables of each data section. */
export interface BtfNames {
  readonly functions: readonly string[];
  /** By section: `.maps`, `.rodata` and so on. */
  readonly sections: Readonly<Record<string, readonly string[]>>;
}

export function namesOf(btf: Btf): BtfNames {
  const functions: string[] = [];
  const sections: Record<string, string[]> = {};
  for (let id = btf.firstId; id <= btf.count && functions.length < MOST_NAMES; id++) {
    const kind = btf.kind(id);
    if (kind === 'func') functions.push(nameOf(btf, id));
    if (kind !== 'datasec') continue;
    const section = sectionOf(btf, id);
    if (section === undefined) continue;
    sections[section.name] = section.variables.slice(0, MOST_NAMES).map(({ type }) => nameOf(btf, type));
  }
  return { functions, sections };
}

/** `undefined` for one that is cut or has no name. */
function sectionOf(btf: Btf, id: number): BtfDatasec | undefined {
  const section = attempt([], '', () => btf.type(id));
  return section?.kind === 'datasec' ? section : undefined;
}

/** Empty for a name or type that is not there. */
function nameOf(btf: Btf, id: number): string {
  return attempt([], '', () => btf.name(id)) ?? '';
}
