// What llvm-readelf says of object files, as plain numbers and names.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Dump {
  readonly sections: readonly (readonly (string | number)[])[];
  readonly symbols: readonly (readonly (string | number)[])[];
  readonly relocations: readonly (readonly number[])[];
}

interface Coded {
  readonly Name: string;
  readonly Value: number;
}
interface File {
  readonly Sections: readonly { readonly Section: SectionJson }[];
  readonly Symbols?: readonly { readonly Symbol: SymbolJson }[];
  readonly Relocations?: readonly { readonly SectionIndex: number; readonly Relocs: readonly RelocationJson[] }[];
}
interface SectionJson {
  readonly Name: Coded;
  readonly Type: Coded;
  readonly Flags: { readonly Value: number };
  readonly Address: number;
  readonly Offset: number;
  readonly Size: number;
  readonly Link: number;
  readonly Info: number;
  readonly AddressAlignment: number;
  readonly EntrySize: number;
}
interface SymbolJson {
  readonly Name: Coded;
  readonly Value: number;
  readonly Size: number;
  readonly Binding: Coded;
  readonly Type: Coded;
  readonly Other: { readonly Value: number };
  readonly Section: Coded;
}
interface RelocationJson {
  readonly Relocation: { readonly Offset: number; readonly Type: Coded; readonly Symbol: Coded };
}

export const READELF = ['llvm-readelf-22', 'llvm-readelf-19', 'llvm-readelf'].find(
  (tool) => spawnSync(tool, ['--version']).status === 0,
);

/** One run of the tool for all objects, in their order. */
export function readelf(objects: readonly Uint8Array[]): Dump[] {
  const directory = mkdtempSync(join(tmpdir(), 'readelf-'));
  try {
    const paths = objects.map((bytes, index) => {
      const path = join(directory, `${index}.o`);
      writeFileSync(path, bytes);
      return path;
    });
    const options = ['-S', '-s', '-r', '--elf-output-style=JSON'];
    const text = execFileSync(READELF ?? 'llvm-readelf', [...options, ...paths], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    const files: readonly File[] = JSON.parse(text);
    return files.map(dump);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function dump(file: File): Dump {
  return {
    sections: file.Sections.map(({ Section }) => [
      Section.Name.Name,
      Section.Type.Value,
      Section.Flags.Value,
      Section.Address,
      Section.Offset,
      Section.Size,
      Section.Link,
      Section.Info,
      Section.AddressAlignment,
      Section.EntrySize,
    ]),
    symbols: (file.Symbols ?? []).map(({ Symbol: symbol }) => [
      symbol.Name.Name,
      symbol.Value,
      symbol.Size,
      symbol.Binding.Value,
      symbol.Type.Value,
      symbol.Other.Value,
      symbol.Section.Value,
    ]),
    relocations: (file.Relocations ?? []).flatMap(({ SectionIndex, Relocs }) =>
      Relocs.map(({ Relocation }) => [SectionIndex, Relocation.Offset, Relocation.Type.Value, Relocation.Symbol.Value]),
    ),
  };
}
