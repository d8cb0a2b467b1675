// Small objects with CO-RE relocations, and kernels to relocate them against.
import { Btf } from '../../src/btf/decode.ts';
import type { Target } from '../../src/link/kernel.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { type BtfBuilder, extBytes } from '../btf/build.ts';
import { code, ElfBuilder, type Instruction } from '../support/elf-builder.ts';

/** By number: enum bpf_core_relo_kind. */
export const KIND = { offset: 0, size: 1, exists: 2, typeExists: 8, typeSize: 9, enumerator: 11, matches: 12 } as const;

export interface RecordSpec {
  readonly slot: number;
  readonly type: number;
  readonly access: string;
  readonly kind: number;
}

export const EXIT: Instruction = { code: 0x95 };
/** r0 = imm */
export const move = (imm: number): Instruction => ({ code: 0xb7, imm });
/** r0 = *(u32 *)(r1 + off) */
export const load = (off: number): Instruction => ({ code: 0x61, src: 1, off });
/** call imm instructions further */
export const call = (imm: number): Instruction => ({ code: 0x85, src: 1, imm });

/** One program `main` in section `socket` and its CO-RE records. */
export function coreObject(
  instructions: readonly Instruction[],
  btf: BtfBuilder,
  records: readonly RecordSpec[],
): BpfObject {
  const name = btf.string('socket');
  const rows = records.flatMap(({ slot, type, access, kind }) => [8 * slot, type, btf.string(access), kind]);
  const part = [16, name, records.length, ...rows];
  const ext = extBytes([32, 0, 0, 0, 0, 0, 4 * part.length, ...part]);
  return openObject(
    new ElfBuilder()
      .function('main', { section: 'socket', content: code('little', instructions) })
      .license()
      .section('.BTF', { content: btf.bytes() })
      .section('.BTF.ext', { content: ext })
      .build(),
  );
}

export function kernelWith(btf: BtfBuilder): Target {
  return { kernelBtf: Btf.parse(btf.bytes()), btfIdentity: 'made by hand', modules: [], release: '6.18.0' };
}
