// Maps through bpf(2): what the info says, and what maps of programs and maps hold.
import type { Row } from '../bytes/layout.ts';
import { mapTypeName } from '../object/map-types.ts';
import { type Bpf, nameOf } from './bpf.ts';
import { mapInfo } from './bpf-layouts.ts';
import type { BtfObjects } from './btf-objects.ts';
import { numberOf, parseFdinfo } from './fdinfo.ts';
import { type MapContents, readContents } from './map-contents.ts';
import { programTypeName } from './names.ts';
import type { LiveMap } from './records.ts';

/** A map, and which programs are reached through it. */
export interface ReadMap extends MapContents {
  readonly map: LiveMap;
}

/** One map by id, or the errno as a negative number. */
export function readMap(bpf: Bpf, btfs: BtfObjects, id: number): ReadMap | number {
  return bpf.withObject('map', id, (descriptor) => {
    const info = bpf.info(descriptor, mapInfo);
    if (typeof info === 'number') return info;
    const contents = readContents(bpf, btfs, descriptor, info.row);
    return { map: describe(info.row, parseFdinfo(bpf.sys.fdinfo(descriptor)), contents), ...contents };
  });
}

function describe(
  row: Row<typeof mapInfo.fields>,
  fdinfo: ReadonlyMap<string, string>,
  { innerMapIds }: MapContents,
): LiveMap {
  const name = nameOf(row.name);
  return {
    id: row.id,
    type: mapTypeName(row.type),
    ...(name !== undefined && { name }),
    keySize: row.key_size,
    valueSize: row.value_size,
    maxEntries: row.max_entries,
    flags: row.map_flags,
    ...ownFacts(fdinfo),
    ...(row.btf_id > 0 && { btfId: row.btf_id }),
    ...(row.ifindex > 0 && { ifindex: row.ifindex }),
    ...(innerMapIds.length > 0 && { innerMapIds }),
    holders: [],
    pins: [],
    knownFrom: 'bpf',
  };
}

/** What only fdinfo tells of a map. */
function ownFacts(
  fdinfo: ReadonlyMap<string, string>,
): Pick<LiveMap, 'memlock' | 'frozen' | 'ownerProgramType' | 'ownerJited'> {
  const memlock = numberOf(fdinfo, 'memlock');
  const frozen = numberOf(fdinfo, 'frozen');
  const ownerType = numberOf(fdinfo, 'owner_prog_type');
  const ownerJited = numberOf(fdinfo, 'owner_jited');
  return {
    ...(memlock !== undefined && { memlock }),
    ...(frozen !== undefined && { frozen: frozen !== 0 }),
    ...(ownerType !== undefined && { ownerProgramType: programTypeName(ownerType) }),
    ...(ownerJited !== undefined && { ownerJited: ownerJited !== 0 }),
  };
}
