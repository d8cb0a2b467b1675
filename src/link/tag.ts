// The kernel's name for code: bpf_prog_info.tag, out of the instructions as a loader hands them over (bpf_prog_calc_tag).
// Works on any instruction array, wherever it was found.
import { hash } from 'node:crypto';
import { OPCODE, PSEUDO } from '../insn/opcodes.ts';
import { SLOT_SIZE } from '../insn/slots.ts';

export type TagAlgorithm = 'sha1' | 'sha256';

/** 16 hexadecimal digits each. */
export type CodeTags = Readonly<Record<TagAlgorithm, string>>;

/** Both tags of `code`, which holds whole slots in the byte order `little` says. */
export function tagCode(code: Uint8Array, little: boolean): CodeTags {
  const normal = normaliseCode(code, little);
  return { sha1: digest('sha1', normal), sha256: digest('sha256', normal) };
}

/** Which algorithm a kernel release uses, likelier first: a vendor may have carried the change of 6.18 back. */
export function tagAlgorithms(release: string): readonly [TagAlgorithm, TagAlgorithm] {
  return isBefore(release, 6, 18) ? ['sha1', 'sha256'] : ['sha256', 'sha1'];
}

/**
 * The bytes that are hashed. Numbers of maps differ from load to load, so both immediates of what refers to a map are zeroed;
 * a second slot that is not all zero but for its immediate is left alone, as the kernel does.
 */
export function normaliseCode(code: Uint8Array, little: boolean): Uint8Array {
  const normal = new Uint8Array(code.subarray(0, code.length - (code.length % SLOT_SIZE)));
  let pending = false;
  for (let at = 0; at < normal.length; at += SLOT_SIZE) {
    if (!pending && normal[at] === OPCODE.LD_IMM64 && isMapReference(normal[at + 1] ?? 0, little)) {
      normal.fill(0, at + IMM, at + SLOT_SIZE);
      pending = true;
      continue;
    }
    if (pending && isBlank(normal, at)) normal.fill(0, at + IMM, at + SLOT_SIZE);
    pending = false;
  }
  return normal;
}

/** Whether `release`, `6.1.0-28-amd64` and the like, comes before a version. What is not a release counts as new. */
export function isBefore(release: string, major: number, minor: number): boolean {
  const [releaseMajor = Number.NaN, releaseMinor = 0] = release.split('.', 2).map((part) => Number.parseInt(part, 10));
  return releaseMajor < major || (releaseMajor === major && releaseMinor < minor);
}

/** Where `imm` lies in a slot; code, registers and offset stand before it. */
const IMM = 4;
const TAG_DIGITS = 16;

function isMapReference(registers: number, little: boolean): boolean {
  const src = little ? registers >> 4 : registers & 0x0f;
  return src === PSEUDO.MAP_FD || src === PSEUDO.MAP_VALUE;
}

function isBlank(code: Uint8Array, at: number): boolean {
  return code[at] === 0 && code[at + 1] === 0 && code[at + 2] === 0 && code[at + 3] === 0;
}

function digest(algorithm: TagAlgorithm, bytes: Uint8Array): string {
  return hash(algorithm, bytes, 'hex').slice(0, TAG_DIGITS);
}
