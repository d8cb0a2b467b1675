// The structs of the ELF-64 object file format, spelled as in <elf.h>.
// 32-bit ELF has no layouts here: no loader accepts a 32-bit BPF object.
import { bytes, layout, off64, type Row, u8, u16, u32, u64 } from '../bytes/layout.ts';

export const ehdr64 = layout({
  e_ident: bytes(16),
  e_type: u16,
  e_machine: u16,
  e_version: u32,
  e_entry: u64,
  e_phoff: off64,
  e_shoff: off64,
  e_flags: u32,
  e_ehsize: u16,
  e_phentsize: u16,
  e_phnum: u16,
  e_shentsize: u16,
  e_shnum: u16,
  e_shstrndx: u16,
});
export type Ehdr = Row<typeof ehdr64.fields>;

export const shdr64 = layout({
  sh_name: u32,
  sh_type: u32,
  sh_flags: u64,
  sh_addr: u64,
  sh_offset: off64,
  sh_size: off64,
  sh_link: u32,
  sh_info: u32,
  sh_addralign: u64,
  sh_entsize: off64,
});
export type Shdr = Row<typeof shdr64.fields>;

export const phdr64 = layout({
  p_type: u32,
  p_flags: u32,
  p_offset: off64,
  p_vaddr: u64,
  p_paddr: u64,
  p_filesz: off64,
  p_memsz: off64,
  p_align: u64,
});
export type Phdr = Row<typeof phdr64.fields>;

export const sym64 = layout({
  st_name: u32,
  st_info: u8,
  st_other: u8,
  st_shndx: u16,
  st_value: off64,
  st_size: off64,
});
export type Sym = Row<typeof sym64.fields>;

export const rel64 = layout({ r_offset: off64, r_info: u64 });
export type Rel = Row<typeof rel64.fields>;

export const nhdr = layout({ n_namesz: u32, n_descsz: u32, n_type: u32 });
