// Is the object all there? What was cut may have held what changes its code, so then no loader's answer is known.
import { describeSection, type ElfSection } from '../elf/file.ts';
import { SHT } from '../elf/names.ts';
import type { BpfObject } from '../object/open.ts';
import { refuse } from './loader.ts';

/** A table of symbols for linkers, which no loader looks at. */
const SHT_LLVM_ADDRSIG = 0x6fff_4c03;

/** @throws Unlinkable `refused` */
export function checkIntact({ elf, functions }: BpfObject): void {
  if (elf.symbolTable === undefined) throw refuse('it has no symbol table');
  if (elf.diagnostics.some(({ code }) => code === 'section-table-truncated')) throw refuse('its section table is cut');
  for (const section of elf.sections) {
    if (section.type === SHT.NULL) continue;
    if (section.name === '') throw refuse(`section ${section.index} has no name`);
    if (isIgnored(section)) continue;
    if (elf.content(section).length < section.size) throw refuse(`${describeSection(section)} is cut`);
  }
  for (const { symbol, name, code } of functions) {
    const size = elf.symbols[symbol]?.size ?? 0;
    if (size > 0 && size !== code.length) throw refuse(`function ${JSON.stringify(name)} is cut`);
  }
}

function isIgnored({ type, name }: ElfSection): boolean {
  return (
    type === SHT.NOBITS || type === SHT_LLVM_ADDRSIG || name.startsWith('.debug_') || name.startsWith('.rel.debug_')
  );
}
