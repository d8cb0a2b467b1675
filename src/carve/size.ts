// Decides whether a header heads an object, and where that object ends.
// Judges by tables alone: what a loader would refuse for its meaning is carved all the same.

import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { FormatError } from '../diagnostics.ts';
import { type Extent, isLittleEndian, measureExtent } from '../elf/extent.ts';
import { type Ehdr, ehdr64 } from '../elf/layouts.ts';
import { EI, ELFDATA, EM, ET, wordFor } from '../elf/names.ts';
import { REJECTIONS, type Rejection } from './search.ts';

export type Completeness = 'whole' | 'truncated' | 'salvaged';

export interface ElfIdentity {
  readonly class: 64;
  readonly endianness: 'little' | 'big';
  readonly type: string | number;
  readonly sections: number;
}

/** An object with its place and bounds, its bytes not yet looked at. */
export interface SizedObject {
  readonly offset: number;
  readonly size: number;
  readonly completeness: Completeness;
  readonly elf: ElfIdentity;
  /** The section table itself is cut off, so `size` is only how much of the source is left. */
  readonly tableCut: boolean;
  /** Claims that were left out of the size, in words. */
  readonly impossible: readonly string[];
}

/** `undefined`: bytes that only looked like an EM_NONE object, not worth a count. */
export type Sizing = SizedObject | Rejection | undefined;

/** Sizes the object whose header lies at `offset` of a source of `sourceSize` bytes. */
export function sizeObject(reader: Reader, offset: number, sourceSize: number): Sizing {
  const head = readAt(reader, offset, ehdr64.size);
  if (head.length < ehdr64.size) return 'truncated-header';
  const header = ehdr64.read(viewOf(head), 0, head[EI.DATA] === ELFDATA.LSB);
  const extent = measure(reader, offset, sourceSize - offset);
  if (header.e_machine === EM.NONE && !isPlausibleWithoutMachine(extent)) return undefined;
  return typeof extent === 'string' ? extent : describe(offset, header, extent);
}

function measure(reader: Reader, offset: number, available: number): Extent | Rejection {
  try {
    return measureExtent(reader, offset, available);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return isRejection(error.code) ? error.code : 'truncated-header';
  }
}

function isRejection(code: string): code is Rejection {
  return (REJECTIONS as readonly string[]).includes(code);
}

/**
 * LLVM 3.7 wrote e_machine 0 and libbpf still loads that, but six header bytes prove too little:
 * here everything that is declared must be there.
 */
function isPlausibleWithoutMachine(extent: Extent | Rejection): extent is Extent {
  return (
    typeof extent !== 'string' && !extent.tableCut && extent.present === extent.end && extent.impossible.length === 0
  );
}

function describe(offset: number, header: Ehdr, extent: Extent): SizedObject {
  const completeness = extent.present < extent.end ? 'truncated' : extent.impossible.length > 0 ? 'salvaged' : 'whole';
  return {
    offset,
    size: extent.present,
    completeness,
    elf: {
      class: 64,
      endianness: isLittleEndian(header) ? 'little' : 'big',
      type: wordFor(ET, header.e_type),
      sections: extent.sections,
    },
    tableCut: extent.tableCut,
    impossible: extent.impossible,
  };
}
