// What a record is, in words: one of them, and how many of each kind.
// Says nothing of what it holds.
import type { CarvedInstructions, CarvedObject } from '../scan/events.ts';
import type { InspectedObject } from '../scan/inspect.ts';
import { plural } from './units.ts';

export type AnyRecord = CarvedObject | InspectedObject;

export const TRUST_WORDS: Readonly<Record<CarvedInstructions['trust'], string>> = {
  possible: 'possible',
  probable: 'probable',
  'almost-certain': 'almost certain',
  proved: 'proved',
};

/** `29 instructions, almost certain`; nothing for an ELF object as it should be, which is what a report is about. */
export function kindWords(record: AnyRecord): string | undefined {
  switch (record.kind) {
    case 'object':
      return record.rebuilt ? 'header rebuilt' : undefined;
    case 'light-skeleton':
      return record.signed ? 'light skeleton, signed' : 'light skeleton';
    case 'instructions':
      return `${plural(record.size / INSTRUCTION, 'instruction')}, ${TRUST_WORDS[record.trust]}`;
    case 'classic-filter':
      return `classic filter, ${plural(record.instructions, 'instruction')}`;
    case 'btf':
      return 'BTF without its object';
    default:
      throw new TypeError(`unknown kind ${JSON.stringify(record satisfies never)}`);
  }
}

/** Bytes of an instruction slot. */
const INSTRUCTION = 8;

export function endiannessOf(record: AnyRecord): 'little' | 'big' {
  return record.kind === 'object' ? record.elf.endianness : record.endianness;
}

/** Singular and plural, in the order in which kinds are counted. */
const KINDS: readonly (readonly [kind: CarvedObject['kind'], one: string, many: string])[] = [
  ['object', 'object', 'objects'],
  ['light-skeleton', 'light skeleton', 'light skeletons'],
  ['instructions', 'instruction array', 'instruction arrays'],
  ['classic-filter', 'classic filter', 'classic filters'],
  ['btf', 'BTF blob', 'BTF blobs'],
];

/** `3 objects`, `2 instruction arrays`: a phrase for every kind that is there. */
export function countKinds(records: readonly Pick<AnyRecord, 'kind'>[]): string[] {
  const counts = new Map<string, number>();
  for (const { kind } of records) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return KINDS.flatMap(([kind, one, many]) => {
    const count = counts.get(kind);
    return count === undefined ? [] : plural(count, one, many);
  });
}
