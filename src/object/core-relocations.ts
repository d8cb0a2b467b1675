// The CO-RE relocations of an object, record by record: where, in words, and what a kernel makes of the instruction.
// Uses libbpf's rules; whether the program is loaded at all is not asked.
import {
  type CoreAnswer,
  type CorePlace,
  type CoreRelocation,
  describeCoreRelocation,
  describeCoreResult,
} from '../btf/core.ts';
import { patchInstruction } from '../btf/core-patch.ts';
import { CoreRelocator, type CoreResult } from '../btf/core-relocate.ts';
import { LIBBPF_RULES } from '../btf/core-rules.ts';
import type { Btf } from '../btf/decode.ts';
import type { CoreRecord } from '../btf/ext.ts';
import { type Diagnostic, FormatError } from '../diagnostics.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import { OPCODE } from '../insn/opcodes.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { FunctionIndex } from './function-index.ts';
import type { BpfObject } from './open.ts';
import type { TextAllowance } from './text-allowance.ts';
import { wide } from './wide.ts';

/** `CorePlace` as records hold it. */
export type CorePlaceRecord = Omit<CorePlace, 'value'> & { readonly value?: number | string };

/** What the instruction becomes: a place and value of the target's, a call that the verifier refuses, or no load at all. */
export type CoreTargetRecord = CorePlaceRecord | { readonly poison: true } | { readonly refused: string };

export interface CoreRelocationRecord {
  /** Section of the instruction, and the function whose symbol covers it. */
  readonly section: string;
  readonly function?: string;
  /** Slot number in the function; in the section where no function covers it. */
  readonly instruction: number;
  /** libbpf's name of the kind, or its number. */
  readonly kind: CoreRelocation['kind'];
  /** `struct task_struct` */
  readonly type: string;
  /** `tgid`, `a.b[3].c`, or an enumerator; absent when the type itself is meant. */
  readonly path?: string;
  /** As stored: `0:77`. */
  readonly accessors: string;
  /** All of it in words: `byte_off struct task_struct.tgid (0:77 @ 1420)`. */
  readonly text: string;
  /** Absent when the record is malformed. */
  readonly local?: CorePlaceRecord;
  /** When a kernel was given. */
  readonly target?: CoreTargetRecord;
}

export interface CoreInput {
  readonly text: TextAllowance;
  readonly log: DiagnosticLog;
  /** BTF of the kernel to resolve against. */
  readonly kernel?: Btf;
}

/** In file order, which is the order in which libbpf resolves them. */
export function listCoreRelocations(object: BpfObject, { text, log, kernel }: CoreInput): CoreRelocationRecord[] {
  const { btf, btfExt } = object;
  if (btf === undefined || btfExt === undefined) return [];
  const relocator = kernel && new CoreRelocator(btf, { kernel }, LIBBPF_RULES);
  const index = new FunctionIndex(object.functions);
  const descriptions = new Descriptions(btf, log);
  return btfExt.coreRelocations.flatMap(({ name, records }) => {
    const title = log.attempt('CO-RE relocations: section name', () => btf.string(name)) ?? '';
    const section = object.elf.section(title);
    const code = section === undefined ? EMPTY : object.elf.content(section);
    return records.map((record) => {
      const { local, path, words, ...rest } = descriptions.of(record);
      const target = relocator && describeCoreResult(applied(object, code, record, relocator.relocate(record)));
      const home = section && index.containing(section.index, record.insnOffset);
      const instruction = (record.insnOffset - (home?.offset ?? 0)) / SLOT_SIZE;
      return {
        section: text.take(title),
        ...(home && { function: text.take(home.name) }),
        instruction,
        ...rest,
        ...(path !== undefined && { path: text.take(path) }),
        text: text.take(words),
        ...(local && { local: placeRecord(local) }),
        ...(target && { target: targetRecord(target) }),
      };
    });
  });
}

const EMPTY = new Uint8Array(0);

interface Described extends Omit<CoreRelocation, 'instruction'> {
  readonly words: string;
}

/** What records ask for. Programs of one object ask for the same fields again and again: each is described once. */
class Descriptions {
  readonly #btf: Btf;
  readonly #log: DiagnosticLog;
  readonly #known = new Map<string, Described>();

  constructor(btf: Btf, log: DiagnosticLog) {
    this.#btf = btf;
    this.#log = log;
  }

  of(record: CoreRecord): Described {
    const key = `${record.kind} ${record.type} ${record.access}`;
    const known = this.#known.get(key);
    if (known) return known;
    const diagnostics: Diagnostic[] = [];
    const { instruction: _, ...found } = describeCoreRelocation(this.#btf, record, diagnostics);
    const described = { ...found, words: inWords(found) };
    // What is wrong with a record is said of each.
    if (diagnostics.length === 0) this.#known.set(key, described);
    this.#log.addAll(diagnostics);
    return described;
  }
}

/** The result once the instruction has been looked at: it may be poisoned or refused for what it is. */
function applied({ elf }: BpfObject, code: Uint8Array, record: CoreRecord, result: CoreResult): CoreResult {
  if (result.outcome !== 'value') return result;
  const instruction = code.subarray(record.insnOffset, record.insnOffset + 2 * SLOT_SIZE);
  try {
    const patched = patchInstruction(instruction, elf.littleEndian, result, LIBBPF_RULES);
    return patched[0] === OPCODE.CALL ? { outcome: 'poison', local: result.local } : result;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { outcome: 'refused', reason: error.message, local: result.local };
  }
}

function inWords({ kind, type, path, accessors, local }: Omit<CoreRelocation, 'instruction'>): string {
  if (local === undefined) return `${kind} ${type} (${accessors}, malformed)`;
  const value = local.value ?? '?';
  switch (kind) {
    case 'enumval_value':
      return `${kind} ${type}::${path} (${accessors} = ${value})`;
    case 'enumval_exists':
      return `${kind} ${type}::${path} (${accessors})`;
    case 'type_size':
      return `${kind} ${type} (${value} bytes)`;
    case 'local_type_id':
    case 'target_type_id':
      return `${kind} ${type} (type ${local.type})`;
    default:
      if (local.offset === undefined) return `${kind} ${type}`;
  }
  const step = path === undefined || path.startsWith('[') ? '' : '.';
  const bit = local.bit === undefined ? '' : `.${local.bit}`;
  return `${kind} ${type}${step}${path ?? ''} (${accessors} @ ${local.offset}${bit})`;
}

function placeRecord({ value, ...place }: CorePlace): CorePlaceRecord {
  return { ...place, ...(value !== undefined && { value: wide(BigInt(value)) }) };
}

function targetRecord(target: CoreAnswer): CoreTargetRecord {
  return 'poison' in target || 'refused' in target ? target : placeRecord(target);
}
