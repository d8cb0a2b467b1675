// The BTF of an object: how much of it there is and, when asked for, every type as a record or as text.
import type { Btf } from '../btf/decode.ts';
import { formatC } from '../btf/format-c.ts';
import { formatRaw } from '../btf/format-raw.ts';
import type { BtfEnum64, BtfType } from '../btf/types.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import type { BpfObject } from './open.ts';
import type { TextAllowance } from './text-allowance.ts';
import { wide } from './wide.ts';

/** As records, as a C header, or as bpftool's raw listing. */
export type TypesForm = 'records' | 'c' | 'raw';

/** A BTF type, with 64-bit values as records hold them. */
export type BtfTypeRecord =
  | Exclude<BtfType, BtfEnum64>
  | (Omit<BtfEnum64, 'values'> & {
      readonly values: readonly { readonly name: string; readonly value: number | string }[];
    });

export interface BtfDetails {
  /** How many types there are; the types themselves when they were asked for as records. */
  readonly types: number | readonly BtfTypeRecord[];
  readonly coreRelocations: number;
  /** All types as text, when asked for: pieces of C that end in newlines, or raw lines without. */
  readonly listing?: { readonly form: 'c' | 'raw'; readonly text: readonly string[] };
}

export function describeBtf(
  { btf, btfExt }: BpfObject,
  form: TypesForm | undefined,
  text: TextAllowance,
  log: DiagnosticLog,
): BtfDetails | undefined {
  if (btf === undefined) return undefined;
  const coreRelocations = (btfExt?.coreRelocations ?? []).reduce((count, { records }) => count + records.length, 0);
  if (form === undefined) return { types: btf.count, coreRelocations };
  if (form === 'records') return { types: listTypes(btf, text, log), coreRelocations };
  const diagnostics: Diagnostic[] = [];
  const pieces: string[] = [];
  for (const piece of form === 'c' ? formatC(btf, diagnostics) : formatRaw(btf, diagnostics)) {
    pieces.push(text.take(piece));
  }
  log.addAll(diagnostics);
  // The raw listing marks such types itself.
  if (form === 'c' && diagnostics.length > 0) pieces.push(`\n/* ${diagnostics.length} types left out: not C */\n`);
  return { types: btf.count, coreRelocations, listing: { form, text: pieces } };
}

function listTypes(btf: Btf, text: TextAllowance, log: DiagnosticLog): BtfTypeRecord[] {
  const types: BtfTypeRecord[] = [];
  for (let id = btf.firstId; id <= btf.count && !text.isSpent; id++) {
    const type = log.attempt(`BTF type ${id}`, () => btf.type(id));
    if (type === undefined) continue;
    text.spend(namesIn(type));
    types.push(typeRecord(type));
  }
  return types;
}

function typeRecord(type: BtfType): BtfTypeRecord {
  if (type.kind !== 'enum64') return type;
  return { ...type, values: type.values.map(({ name, value }) => ({ name, value: wide(value) })) };
}

/** Characters of all its names. */
function namesIn(type: BtfType): number {
  const sum = (parts: readonly { readonly name: string }[]) =>
    parts.reduce((length, { name }) => length + name.length, type.name.length);
  switch (type.kind) {
    case 'struct':
    case 'union':
      return sum(type.members);
    case 'enum':
    case 'enum64':
      return sum(type.values);
    case 'func_proto':
      return sum(type.params);
    default:
      return type.name.length;
  }
}
