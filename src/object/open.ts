// What an ELF file means as a BPF object: programs, maps, externs and how code refers to them, whatever else is broken.
// Predicts nothing of what a loader would do with it beyond libbpf's names and numbering.

import { Btf } from '../btf/decode.ts';
import { type BtfExt, parseBtfExt } from '../btf/ext.ts';
import { cstring } from '../bytes/cstring.ts';
import { viewOf } from '../bytes/layout.ts';
import type { Diagnostic } from '../diagnostics.ts';
import { describeSection, ElfFile } from '../elf/file.ts';
import { type CodeUses, readUses } from './code.ts';
import { type BpfExtern, readExterns } from './externs.ts';
import { FunctionIndex } from './function-index.ts';
import { type BpfMap, readMaps } from './maps.ts';
import { type BpfFunction, type BpfProgram, readFunctions } from './programs.ts';
import { type Reach, readReach } from './reach.ts';
import { type BpfRelocation, readRelocations } from './relocations.ts';

export interface BpfObject {
  readonly elf: ElfFile;
  /** Cut where libbpf cuts it: after 63 bytes. */
  readonly license?: string;
  /** LINUX_VERSION_CODE from a `version` section: what kprobe programs needed before 5.0. */
  readonly version?: number;
  readonly btf?: Btf;
  readonly btfExt?: BtfExt;
  /** Programs and subprograms by section and offset; everything that refers to functions counts in here. */
  readonly functions: readonly BpfFunction[];
  readonly programs: readonly BpfProgram[];
  readonly subprograms: readonly BpfFunction[];
  /** By libbpf's map index. */
  readonly maps: readonly BpfMap[];
  /** By libbpf's extern index. */
  readonly externs: readonly BpfExtern[];
  /** For each function, by instruction. */
  readonly relocations: readonly (readonly BpfRelocation[])[];
  /** For each function, what its own code uses. */
  readonly uses: readonly CodeUses[];
  /** For each program, by its place in `functions`: its subprograms in link order, and what all of that code uses. */
  readonly reach: ReadonlyMap<number, Reach>;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads everything an object says, in time linear in its size.
 * @throws FormatError when the bytes do not begin with an ELF-64 header.
 */
export function openObject(bytes: Uint8Array): BpfObject {
  const elf = ElfFile.parse(bytes);
  const { log } = elf;
  const btf = readBtf(elf);
  const btfExt = readBtfExt(elf);
  const license = log.attempt('license', () => readLicense(elf));
  const version = log.attempt('version', () => readVersion(elf));
  const { functions, programs, subprograms } = readFunctions({
    elf,
    log,
    ...(btf && { btf }),
    ...(btfExt && { btfExt }),
  });
  const externs = readExterns(elf, btf, log);
  const maps = readMaps({ elf, externs, log, ...(btf && { btf }) });
  const relocations = readRelocations({ elf, functions, maps, externs, log });
  const index = new FunctionIndex(functions);
  const uses = functions.map((each, place) =>
    readUses(each, relocations[place] ?? [], { index, maps, little: elf.littleEndian }),
  );
  return {
    elf,
    ...(license !== undefined && { license }),
    ...(version !== undefined && { version }),
    ...(btf && { btf }),
    ...(btfExt && { btfExt }),
    functions,
    programs,
    subprograms,
    maps,
    externs,
    relocations,
    uses,
    reach: readReach(programs, uses, log),
    diagnostics: log.diagnostics,
  };
}

const LICENSE_SIZE = 64;

function readLicense(elf: ElfFile): string | undefined {
  const section = elf.section('license');
  return section && cstring(elf.content(section).subarray(0, LICENSE_SIZE - 1), 0);
}

function readVersion(elf: ElfFile): number | undefined {
  const section = elf.section('version');
  if (section === undefined) return undefined;
  const content = elf.content(section);
  if (content.length === 4) return viewOf(content).getUint32(0, elf.littleEndian);
  elf.log.warn('version', describeSection(section), `${content.length} bytes, a version has 4`);
  return undefined;
}

function readBtf(elf: ElfFile): Btf | undefined {
  const section = elf.section('.BTF');
  const btf = section && elf.log.attempt(describeSection(section), () => Btf.parse(elf.content(section)));
  if (btf) elf.log.addAll(btf.diagnostics);
  return btf;
}

function readBtfExt(elf: ElfFile): BtfExt | undefined {
  const section = elf.section('.BTF.ext');
  const ext = section && elf.log.attempt(describeSection(section), () => parseBtfExt(elf.content(section)));
  if (ext) elf.log.addAll(ext.diagnostics);
  return ext;
}
