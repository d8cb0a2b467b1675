// What makes libbpf refuse an object as a whole, by release.
import type { ElfFile } from '../elf/file.ts';
import { STB, STT } from '../elf/names.ts';
import { CALL, OPCODE } from '../insn/opcodes.ts';
import { InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import type { BpfObject } from '../object/open.ts';
import { isCode } from '../object/programs.ts';
import type { BpfRelocation } from '../object/relocations.ts';
import { checkBtfExt } from './core.ts';
import { checkIntact } from './intact.ts';
import type { LibbpfRelease } from './libbpf-releases.ts';
import { problemOf, refuse, type Unlinkable } from './loader.ts';

const TEXT = '.text';

/** What makes libbpf refuse the object as a whole, or what we know to be missing from it. */
export function findProblem(object: BpfObject, release: LibbpfRelease): Unlinkable | undefined {
  return problemOf(() => {
    checkIntact(object);
    checkMaps(object, release);
    checkFunctions(object, release);
    checkRelocations(object, release);
    checkBtfExt(object);
  });
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
  for (const home of functions) {
    const slots = new InstructionSlots(home.code, elf.littleEndian);
    let last = -1;
    for (const relocation of relocations[home.index] ?? []) {
      const where = () => `slot ${relocation.instruction} of ${JSON.stringify(home.name)}`;
      if (relocation.instruction === last) throw refuse(`${where()} has two relocations`);
      last = relocation.instruction;
      checkInstruction(slots, relocation, where);
      checkTarget(elf, slots, relocation, where);
      if (relocation.target.kind === 'function') checkAddress(elf, relocation, where, release);
    }
  }
}

function checkInstruction(slots: InstructionSlots, { instruction, target }: BpfRelocation, where: () => string): void {
  const opcode = slots.opcode(instruction);
  const isCall = opcode === OPCODE.CALL;
  if (!isCall && opcode !== OPCODE.LD_IMM64) throw refuse(`${where()} has a relocation, but no place for one`);
  if (!isCall && instruction + 1 >= slots.count) throw refuse(`${where()} is cut in half`);
  if (isCall && target.kind === 'call' && slots.src(instruction) !== CALL.SUBPROGRAM) {
    throw refuse(`${where()} calls a subprogram as if it were a helper`);
  }
}

function checkTarget(elf: ElfFile, slots: InstructionSlots, relocation: BpfRelocation, where: () => string): void {
  const { target, instruction } = relocation;
  if (target.kind === 'unknown') {
    throw refuse(`${where()} refers to ${JSON.stringify(relocation.name)}, which is nothing libbpf knows`);
  }
  if (target.kind !== 'function' && target.kind !== 'call') return;
  const symbol = elf.symbols[relocation.symbol];
  if (elf.sections[symbol?.section ?? 0]?.name !== TEXT) throw refuse(`${where()} refers to code outside .text`);
  // A call counts in instructions, an address in bytes.
  const offset = (symbol?.value ?? 0) + (target.kind === 'function' ? slots.imm(instruction) : 0);
  if (offset % SLOT_SIZE !== 0) throw refuse(`${where()} refers to the middle of an instruction`);
}

function checkAddress(
  elf: ElfFile,
  { symbol: index, name }: BpfRelocation,
  where: () => string,
  release: LibbpfRelease,
): void {
  if (!release.functionAddresses) throw refuse('libbpf before 0.4 knows no function addresses');
  const symbol = elf.symbols[index];
  const isSection = symbol?.type === STT.SECTION && symbol.binding === STB.LOCAL;
  const isGlobal = symbol?.type === STT.FUNC && symbol.binding === STB.GLOBAL;
  if (!isSection && !isGlobal)
    throw refuse(`${where()} has the address of ${JSON.stringify(name)}, which is not global`);
}
