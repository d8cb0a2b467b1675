// The constants of ELF, spelled as in <elf.h>, and the words records use for them.
// Values without a word stay numbers.

export const ELFMAG = [0x7f, 0x45, 0x4c, 0x46] as const;
export const EI = { CLASS: 4, DATA: 5, VERSION: 6, OSABI: 7, ABIVERSION: 8, PAD: 9 } as const;
export const ELFCLASS = { NONE: 0, 32: 1, 64: 2 } as const;
export const ELFDATA = { NONE: 0, LSB: 1, MSB: 2 } as const;
export const EV_CURRENT = 1;
export const ET = { NONE: 0, REL: 1, EXEC: 2, DYN: 3, CORE: 4 } as const;
export const EM = { NONE: 0, BPF: 247 } as const;
export const PN_XNUM = 0xffff;
export const SHN = { UNDEF: 0, LORESERVE: 0xff00, ABS: 0xfff1, COMMON: 0xfff2, XINDEX: 0xffff } as const;
export const SHT = {
  NULL: 0,
  PROGBITS: 1,
  SYMTAB: 2,
  STRTAB: 3,
  RELA: 4,
  HASH: 5,
  DYNAMIC: 6,
  NOTE: 7,
  NOBITS: 8,
  REL: 9,
  SHLIB: 10,
  DYNSYM: 11,
  INIT_ARRAY: 14,
  FINI_ARRAY: 15,
  PREINIT_ARRAY: 16,
  GROUP: 17,
  SYMTAB_SHNDX: 18,
} as const;
export const SHF = { WRITE: 0x1n, ALLOC: 0x2n, EXECINSTR: 0x4n, MERGE: 0x10n, STRINGS: 0x20n } as const;
export const PT = { NULL: 0, LOAD: 1, DYNAMIC: 2, INTERP: 3, NOTE: 4 } as const;
export const STT = { NOTYPE: 0, OBJECT: 1, FUNC: 2, SECTION: 3, FILE: 4, COMMON: 5, TLS: 6 } as const;
export const STB = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const;
export const STV = { DEFAULT: 0, INTERNAL: 1, HIDDEN: 2, PROTECTED: 3 } as const;
export const NT_GNU_BUILD_ID = 3;

/** `REL` for 1: the word for a value in one of the tables above, the number itself when there is none. */
export function wordFor(table: Readonly<Record<string, number>>, value: number): string | number {
  for (const [word, known] of Object.entries(table)) if (known === value) return word;
  return value;
}
