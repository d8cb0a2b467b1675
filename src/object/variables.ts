// The variables that lie in a section, and what relocations put into them.
import type { ElfFile, ElfSection, ElfSymbol } from '../elf/file.ts';
import { STT } from '../elf/names.ts';
import type { InitialValue } from './maps.ts';

/** The variables that the symbol table puts into a section, by offset. */
export function variablesOf(elf: ElfFile, section: ElfSection): ElfSymbol[] {
  const isVariable = ({ type }: ElfSymbol) => type === STT.OBJECT || type === STT.NOTYPE;
  return elf
    .symbolsIn(section)
    .filter((symbol) => symbol.name !== '' && isVariable(symbol))
    .sort((a, b) => a.value - b.value || a.index - b.index);
}

/** What the relocations of a section put into its variables (as `variablesOf` has them), by symbol index. */
export function filledIn(
  elf: ElfFile,
  section: ElfSection,
  variables: readonly ElfSymbol[],
): Map<number, InitialValue[]> {
  const filled = new Map<number, InitialValue[]>();
  const relocations = elf.relocationSections(section).flatMap((from) => elf.relocations(from));
  let current = 0;
  for (const relocation of relocations.sort((a, b) => a.offset - b.offset)) {
    const { offset } = relocation;
    while (current + 1 < variables.length && (variables[current + 1]?.value ?? 0) <= offset) current++;
    const variable = variables[current];
    const name = elf.symbols[relocation.symbol]?.name;
    if (variable === undefined || name === undefined || !isWithin(offset, variable)) continue;
    const values = filled.get(variable.index) ?? [];
    values.push({ offset: offset - variable.value, name });
    filled.set(variable.index, values);
  }
  return filled;
}

function isWithin(offset: number, { value, size }: ElfSymbol): boolean {
  return offset >= value && offset < value + size;
}
