// Programs that no ELF holds, put into one that tools for BPF objects read: disassemblers, and `openObject`.
// Adds no facts: the code is as it was found, references to maps and subprograms inside it unresolved.
import { EM, SHF, STB, STT } from '../elf/names.ts';
import { type NewSection, type NewSymbol, writeElf } from '../elf/write.ts';

export interface WrappedCode {
  readonly littleEndian: boolean;
  readonly license?: string;
  /** Raw BTF, whole. */
  readonly btf?: Uint8Array;
  readonly programs: readonly WrappedProgram[];
}

export interface WrappedProgram {
  readonly name?: string;
  /** As libbpf names sections: `xdp`, `kprobe/do_unlinkat`. */
  readonly section?: string;
  readonly code: Uint8Array;
}

/**
 * An object with each program, in the order given, as a global function in an executable section of its own. Function names
 * are reduced to `[A-Za-z0-9_]` and made unique: `code`, `code1` where none is given.
 */
export function wrapCode({ littleEndian, license, btf, programs }: WrappedCode): Uint8Array {
  const names = new UniqueNames();
  const sections: NewSection[] = [];
  const symbols: NewSymbol[] = [];
  for (const { name, section, code } of programs) {
    const symbol = names.take(name);
    symbols.push({ ...GLOBAL_FUNCTION, name: symbol, section: sections.length, size: code.length });
    sections.push({ name: sectionName(section, symbol), flags: CODE, bytes: code, align: 8 });
  }
  if (license !== undefined) sections.push({ name: 'license', flags: DATA, bytes: utf8.encode(`${license}\0`) });
  if (btf !== undefined) sections.push({ name: '.BTF', bytes: btf, align: 4 });
  return writeElf({ littleEndian, machine: EM.BPF, sections, symbols });
}

const GLOBAL_FUNCTION = { value: 0, binding: STB.GLOBAL, type: STT.FUNC };
const CODE = SHF.ALLOC | SHF.EXECINSTR;
const DATA = SHF.ALLOC | SHF.WRITE;
const utf8 = new TextEncoder();

const DEFAULT_NAME = 'code';
/** Longer than any that the kernel keeps (15 bytes), shorter than what tools have trouble with. */
const MOST_CHARACTERS = 128;

class UniqueNames {
  readonly #taken = new Set<string>();
  /** For each name, the number that is tried next. */
  readonly #next = new Map<string, number>();

  take(given = ''): string {
    const base = given.slice(0, MOST_CHARACTERS).replace(/[^A-Za-z0-9_]/g, '_') || DEFAULT_NAME;
    let name = base;
    while (this.#taken.has(name)) {
      const number = this.#next.get(base) ?? 1;
      this.#next.set(base, number + 1);
      name = `${base}${number}`;
    }
    this.#taken.add(name);
    return name;
  }
}

/**
 * libbpf reads meaning into `license`, `version`, `maps` and everything with a dot in front (bpf_object__elf_collect), and
 * sees subprograms in `.text`: a program whose section is called so goes elsewhere.
 */
function sectionName(given: string | undefined, symbol: string): string {
  const name = (given ?? '').slice(0, MOST_CHARACTERS).replace(/[^\w./:+?*-]/g, '_');
  return name === '' || name.startsWith('.') || RESERVED.has(name) ? `bpf/${symbol}` : name;
}

const RESERVED = new Set(['license', 'version', 'maps']);
