// What makes libbpf refuse an object as a whole, by release.
import { STB, STT } from '../elf/names.ts';
import { CALL, OPCODE } from '../insn/opcodes.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { BpfObject } from '../object/open.ts';
import { isCode } from '../object/programs.ts';
import { checkBtfExt } from './core.ts';
import { checkIntact } from './intact.ts';
import type { LibbpfRelease } from './libbpf-releases.ts';
import { refuse, Unlinkable } from './loader.ts';

const TEXT = '.text';

/** What makes libbpf refuse the object as a whole, or what we know to be missing from it. */
export function findProblem(object: BpfObject, release: LibbpfRelease): Unlinkable | undefined {
  try {
    checkIntact(object);
    checkMaps(object, release);
    checkFunctions(object, release);
    checkRelocations(object, release);
    checkBtfExt(object);
    return undefined;
  } catch (error) {
    if (error instanceof Unlinkable) return error;
    throw error;
  }
}

function checkMaps({ elf, maps }: BpfObject, release: LibbpfRelease): void {
  if (!release.arena && maps.some(({ type }) => type === 'arena'))
    throw refuse('it has an arena, which came with libbpf 1.4');
  const legacy = maps.find(({ origin }) => origin === 'legacy');
  if (legacy === undefined) return;
  if (!release.legacyMaps) throw refuse('it defines maps in the way of before libbpf 1.0');
  const name = elf.sections[legacy.sectionIndex ?? 0]?.name ?? '';
  if (name !== 'maps') throw refuse(`its maps are in section ${JSON.stringify(name)}, where libbpf has none`);
}

function checkFunctions({ elf, functions }: BpfObject, release: LibbpfRelease): void {
  let count = 0;
  for (const section of elf.sections) {
    if (!isCode(section)) continue;
    for (const { name, type, binding, size, value } of elf.symbolsIn(section)) {
      if (type !== STT.FUNC) continue;
      count++;
      if (size === 0 || size % SLOT_SIZE !== 0 || value % SLOT_SIZE !== 0 || value + size > section.size) {
        throw refuse(`function ${JSON.stringify(name)} is not made of whole instructions of its section`);
      }
      if (binding === STB.LOCAL && section.name !== TEXT && release.functionAddresses) {
        throw refuse(`program ${JSON.stringify(name)} is static`);
      }
    }
  }
  if (count === 0) throw refuse('no symbol is marked as a function');
  if (count !== functions.length) throw refuse(`only ${functions.length} of its ${count} functions were read`);
}

function checkRelocations({ elf, functions, relocations }: BpfObject, release: LibbpfRelease): void {
  for (const [index, own] of relocations.entries()) {
    const name = JSON.stringify(functions[index]?.name ?? '');
    let last = -1;
    for (const { instruction, target, symbol, name: symbolName } of own) {
      const where = `slot ${instruction} of ${name}`;
      if (instruction === last) throw refuse(`${where} has two relocations`);
      last = instruction;
      if (target.kind === 'unknown')
        throw refuse(`${where} refers to ${JSON.stringify(symbolName)}, which is nothing libbpf knows`);
      const code = functions[index]?.code ?? new Uint8Array(0);
      checkOpcode(code, elf.littleEndian, instruction, target.kind, where);
      const definition = elf.symbols[symbol];
      if (target.kind === 'function' || target.kind === 'call') {
        if (elf.sections[definition?.section ?? 0]?.name !== TEXT)
          throw refuse(`${where} refers to code outside .text`);
        if ((definition?.value ?? 0) % SLOT_SIZE !== 0) throw refuse(`${where} refers to the middle of an instruction`);
      }
      if (target.kind !== 'function') continue;
      if (!release.functionAddresses) throw refuse('libbpf before 0.4 knows no function addresses');
      const isSection = definition?.type === STT.SECTION && definition.binding === STB.LOCAL;
      const isGlobal = definition?.type === STT.FUNC && definition.binding === STB.GLOBAL;
      if (!isSection && !isGlobal)
        throw refuse(`${where} has the address of ${JSON.stringify(symbolName)}, which is not global`);
    }
  }
}

function checkOpcode(code: Uint8Array, little: boolean, slot: number, kind: string, where: string): void {
  const opcode = code[slot * SLOT_SIZE];
  const registers = code[slot * SLOT_SIZE + 1] ?? 0;
  if (opcode !== OPCODE.CALL && opcode !== OPCODE.LD_IMM64)
    throw refuse(`${where} has a relocation, but no place for one`);
  if (opcode === OPCODE.LD_IMM64 && (slot + 2) * SLOT_SIZE > code.length) throw refuse(`${where} is cut in half`);
  const src = little ? registers >> 4 : registers & 0x0f;
  if (kind === 'call' && src !== CALL.SUBPROGRAM) throw refuse(`${where} calls a subprogram as if it were a helper`);
}
