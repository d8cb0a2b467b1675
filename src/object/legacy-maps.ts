// Maps of before BTF: arrays of a C struct, one symbol each, in sections `maps` (libbpf up to 0.8, iproute2), `maps/...` (gobpf)
// and `lirc_mode2/maps` (v4l-utils). Loaders append fields of their own to the struct, but all begin alike.
import { layout, u32, viewOf } from '../bytes/layout.ts';
import { FormatError, hex } from '../diagnostics.ts';
import { describeSection, type ElfFile, type ElfSection, type ElfSymbol } from '../elf/file.ts';
import { SHT } from '../elf/names.ts';
import { mapTypeName } from './map-types.ts';
import type { MapDefinition, MapInput, UnplacedMap } from './maps.ts';
import { variablesOf } from './variables.ts';

/** struct bpf_map_def; what other loaders append to it (ids, pinning, inner maps) they do not agree on. */
const bpfMapDef = layout({ type: u32, key_size: u32, value_size: u32, max_entries: u32, map_flags: u32 });
/** The older struct of the kernel's samples ends before the flags. */
const shortMapDef = layout({ type: u32, key_size: u32, value_size: u32, max_entries: u32 });

export function* readLegacyMaps({ elf, log }: MapInput): Generator<UnplacedMap> {
  for (const section of elf.sections) {
    if (!isLegacySection(section)) continue;
    const symbols = variablesOf(elf, section);
    const size = Math.floor(section.size / symbols.length);
    for (const symbol of symbols) {
      const where = `${describeSection(section)}: map ${JSON.stringify(symbol.name)}`;
      const definition = log.attempt(where, () => readDefinition(elf, section, symbol, size)) ?? {};
      const { name, value: offset } = symbol;
      yield { name, origin: 'legacy', sectionIndex: section.index, offset, initialValues: [], ...definition };
    }
  }
}

function isLegacySection({ name, type }: ElfSection): boolean {
  return type === SHT.PROGBITS && (name === 'maps' || name.startsWith('maps/') || name.endsWith('/maps'));
}

function readDefinition(elf: ElfFile, section: ElfSection, symbol: ElfSymbol, size: number): MapDefinition {
  if (size < shortMapDef.size) {
    const message = `definition of ${size} bytes at ${hex(symbol.value)}, at least ${shortMapDef.size} needed`;
    throw new FormatError('map-definition', symbol.value, message);
  }
  const view = viewOf(elf.content(section));
  const def = shortMapDef.read(view, symbol.value, elf.littleEndian);
  const flags = size < bpfMapDef.size ? {} : { flags: bpfMapDef.read(view, symbol.value, elf.littleEndian).map_flags };
  return {
    type: mapTypeName(def.type),
    keySize: def.key_size,
    valueSize: def.value_size,
    maxEntries: def.max_entries,
    ...flags,
  };
}
