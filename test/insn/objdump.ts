// llvm-objdump as the reference: what it says about each instruction, in the shape that our own lines can be reduced to.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DisassembledInstruction, disassemble } from '../../src/insn/disassemble.ts';

/** The version whose syntax `disassemble` writes: older ones print other registers, other radixes, and know less. */
const REFERENCE_VERSION = 22;

export interface Llvm {
  readonly objdump: string;
  readonly mc: string;
  readonly clang: string;
}

/** The newest LLVM with llvm-objdump, by its Debian names; absent when it is too old to be compared with. */
export function findLlvm(): Llvm | undefined {
  const versions = (process.env.PATH ?? '').split(':').flatMap((directory) => {
    try {
      return readdirSync(directory).flatMap((name) => /^llvm-objdump-(\d+)$/.exec(name)?.[1] ?? []);
    } catch (error) {
      if (error instanceof Error && 'code' in error) return [];
      throw error;
    }
  });
  const version = Math.max(0, ...versions.map(Number));
  if (version < REFERENCE_VERSION) return undefined;
  return { objdump: `llvm-objdump-${version}`, mc: `llvm-mc-${version}`, clang: `clang-${version}` };
}

export const LLVM_MISSING = `needs llvm-objdump ${REFERENCE_VERSION} or newer (Debian: llvm-${REFERENCE_VERSION})`;

/** One line of either side. `text` is absent where the bytes are no instruction. */
export interface Line {
  readonly index: number;
  readonly bytes: string;
  readonly text?: string;
}

export interface CodeSection {
  readonly name: string;
  readonly lines: readonly Line[];
}

/** Disassembles an object file; relocations are asked for too, and not part of the result. Absent when objdump refuses the file. */
export function objdump(llvm: Llvm, path: string): CodeSection[] | undefined {
  const run = spawnSync(llvm.objdump, ['-d', '-r', '-z', path], { encoding: 'utf8', maxBuffer: 1 << 30 });
  return run.status === 0 ? parseObjdump(run.stdout) : undefined;
}

function parseObjdump(output: string): CodeSection[] {
  const sections: { name: string; lines: Line[] }[] = [];
  for (const row of output.split('\n')) {
    const heading = /^Disassembly of section (.*):$/.exec(row)?.[1];
    if (heading !== undefined) sections.push({ name: heading, lines: [] });
    const line = parseLine(row);
    const lines = sections.at(-1)?.lines;
    if (line === undefined || lines === undefined) continue;
    const last = lines.at(-1);
    // What is too short for an instruction comes one byte a line, all with the number of their slot.
    if (last?.index === line.index) lines[lines.length - 1] = { index: line.index, bytes: last.bytes + line.bytes };
    else lines.push(line);
  }
  return sections;
}

/** `      12:	05 00 03 00 00 00 00 00	goto +0x3 <label>`; relocation rows have no bytes. */
function parseLine(row: string): Line | undefined {
  const [index, bytes, ...text] = row.split('\t');
  if (index === undefined || bytes === undefined || !/^ *\d+:$/.test(index) || !/^[0-9a-f ]+$/.test(bytes)) {
    return undefined;
  }
  const place = { index: Number.parseInt(index, 10), bytes: bytes.replaceAll(' ', '') };
  const said = withoutLabel(text.join(' '));
  return said === '<unknown>' ? place : { ...place, text: said };
}

/** objdump names the target of branches, `goto +0x3 <label+0x18>`: its reading of the symbol table, not of the instruction. */
function withoutLabel(text: string): string {
  return text.replace(/((?:goto|gotol|may_goto|call) [+-]?0x[0-9a-f]+) <.*>$/, '$1');
}

export function ourLines(code: Uint8Array, little: boolean): Line[] {
  return disassemble(code, little).map(asLine);
}

function asLine({ index, bytes, text, data }: DisassembledInstruction): Line {
  return data ? { index, bytes } : { index, bytes, text };
}

/** The code of a section as objdump printed it. */
export function codeOf(section: CodeSection): Uint8Array {
  return Buffer.from(section.lines.map((line) => line.bytes).join(''), 'hex');
}

/** Where the two differ, as readable rows; the first few of them. */
export function differences(expected: readonly Line[], actual: readonly Line[]): string[] {
  const rows: string[] = [];
  for (let at = 0; at < Math.max(expected.length, actual.length) && rows.length < 20; at++) {
    const [theirs, ours] = [show(expected[at]), show(actual[at])];
    if (theirs !== ours) rows.push(`llvm ${theirs} | ours ${ours}`);
  }
  return rows;
}

function show(line: Line | undefined): string {
  return line ? `${line.index}: ${line.bytes} ${line.text ?? '<unknown>'}` : 'nothing';
}

/** Assembles `source` and returns the bytes of the resulting object. */
export function assemble(llvm: Llvm, source: string, little: boolean, objectPath: string): void {
  execFileSync(llvm.mc, [`-triple=${little ? 'bpfel' : 'bpfeb'}`, '-filetype=obj', '-o', objectPath], {
    input: source,
  });
}

/** What llvm-objdump says about raw code. */
export function objdumpCode(llvm: Llvm, code: Uint8Array, little: boolean): readonly Line[] {
  return inTemporaryDirectory((directory) => {
    writeFileSync(join(directory, 'code'), code);
    const object = join(directory, 'code.o');
    assemble(llvm, `.text\n.incbin "${join(directory, 'code')}"\n`, little, object);
    return objdump(llvm, object)?.flatMap((section) => section.lines) ?? [];
  });
}

export function inTemporaryDirectory<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-insn-'));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
