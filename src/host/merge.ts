// One record an object, out of what every view says of it: who holds it, where it runs, where it is pinned.
// Pure: the views are values.
import type { Held } from './holders.ts';
import type { AttachedProgram } from './map-contents.ts';
import type { Attachment, Holder, HolderVia, LiveLink, LiveMap, LiveProgram, Pin } from './records.ts';

export interface Observations {
  readonly programs: readonly LiveProgram[];
  readonly maps: readonly LiveMap[];
  readonly links: readonly LiveLink[];
  readonly held: readonly Held[];
  /** Of maps, cgroups and devices. Those of links are the links' own. */
  readonly attached: readonly AttachedProgram[];
  readonly pins: readonly Pin[];
  /** Paths of cgroups by id. */
  readonly cgroups: ReadonlyMap<number, string>;
  /** What `ip netns` calls network namespaces, by inode number. */
  readonly namespaces: ReadonlyMap<number, string>;
}

export interface Merged {
  readonly programs: readonly LiveProgram[];
  readonly maps: readonly LiveMap[];
  readonly links: readonly LiveLink[];
}

export function merge(seen: Observations): Merged {
  const links = new LinkPlaces(seen);
  const places = groupBy(placesWithoutLink(seen, links), ({ programId }) => programId);
  const held = heldObjects(seen);
  const pins = groupBy(seen.pins, ({ kind, id }) => `${kind} ${id}`);
  const pinsOf = (kind: string, record: { readonly id?: number; readonly pins: readonly string[] }) => [
    ...new Set([...record.pins, ...(pins.get(`${kind} ${record.id}`) ?? []).map(({ path }) => path)]),
  ];
  return {
    programs: seen.programs.map((program) => ({
      ...program,
      holders: holdersOf(program, held.programs.get(program.id ?? -1)),
      attachments: [
        ...program.attachments,
        ...links.ofProgram(program.id),
        ...(places.get(program.id ?? -1) ?? []).map(({ attachment }) => attachment),
      ],
      pins: pinsOf('program', program),
    })),
    maps: seen.maps.map((map) => ({
      ...map,
      holders: holdersOf(map, held.maps.get(map.id)),
      pins: pinsOf('map', map),
    })),
    links: links.all().map((link) => ({
      ...link,
      holders: holdersOf(link, held.links.get(link.id)),
      pins: pinsOf('link', link),
    })),
  };
}

/** Links, and what other views add to what they say of their places. */
class LinkPlaces {
  readonly #links = new Map<number, LiveLink>();
  readonly #byPlace: Map<string, LiveLink[]>;
  readonly #structOps: Map<number, LiveLink[]>;
  #byProgram: Map<number, LiveLink[]> | undefined;

  constructor({ links, cgroups, namespaces }: Observations) {
    for (const link of links) this.#links.set(link.id, nameTarget(link, cgroups, namespaces));
    const all = [...this.#links.values()];
    this.#byPlace = groupBy(all, ({ programId, attachment }) => placeOf(programId, attachment));
    this.#structOps = groupBy(
      all.filter(({ type }) => type === 'struct_ops'),
      ({ mapId }) => mapId ?? -1,
    );
  }

  all(): readonly LiveLink[] {
    return [...this.#links.values()];
  }

  ofProgram(id: number | undefined): Attachment[] {
    this.#byProgram ??= groupBy(this.all(), ({ programId }) => programId ?? -1);
    return (this.#byProgram.get(id ?? -1) ?? []).flatMap(({ attachment }) => attachment ?? []);
  }
  /** The link that an attachment seen elsewhere belongs to learns from it; each link once, for a program may be there twice. */
  claim({ programId, attachment }: AttachedProgram): boolean {
    const named = attachment.linkId === undefined ? undefined : this.#links.get(attachment.linkId);
    const link = named ?? this.#byPlace.get(placeOf(programId, attachment))?.shift();
    if (link === undefined) return false;
    const { kind, linkId } = link.attachment ?? { kind: attachment.kind, linkId: link.id };
    const merged = { ...link.attachment, ...attachment, kind, linkId: linkId ?? link.id };
    this.#links.set(link.id, { ...link, attachment: merged });
    return true;
  }

  /** A struct_ops link leads to a map, and the map to its programs. */
  ofMap(mapId: number | undefined): number | undefined {
    return this.#structOps.get(mapId ?? -1)?.[0]?.id;
  }
}

function nameTarget(
  link: LiveLink,
  cgroups: ReadonlyMap<number, string>,
  namespaces: ReadonlyMap<number, string>,
): LiveLink {
  const { attachment } = link;
  const target =
    attachment?.kind === 'cgroup'
      ? cgroups.get(attachment.cgroupId ?? -1)
      : attachment?.kind === 'netns'
        ? namespaces.get(attachment.netns ?? -1)
        : undefined;
  return attachment === undefined || target === undefined ? link : { ...link, attachment: { ...attachment, target } };
}

/** What makes two views speak of the same place. Link info of devices does not name their network namespace. */
function placeOf(programId: number | undefined, attachment: Attachment | undefined): string {
  if (attachment === undefined) return '';
  const { kind, attachType, cgroupId, ifindex, netns, target } = attachment;
  switch (kind) {
    case 'cgroup':
      return `${programId} ${kind} ${cgroupId} ${attachType}`;
    case 'netns':
      return `${programId} ${kind} ${netns} ${attachType}`;
    case 'xdp':
    case 'tcx':
    case 'netkit':
      return `${programId} ${kind} ${ifindex} ${attachType ?? ''}`;
    default:
      return `${programId} ${kind} ${target}`;
  }
}

function placesWithoutLink({ attached, held }: Observations, links: LinkPlaces): AttachedProgram[] {
  const perf = held.flatMap(({ programId, attachment }) =>
    programId === undefined || attachment === undefined ? [] : [{ programId, attachment }],
  );
  return [...attached, ...distinct(perf)].flatMap((place) => {
    if (links.claim(place)) return [];
    const linkId = place.attachment.kind === 'struct_ops' ? links.ofMap(place.attachment.mapId) : undefined;
    return [linkId === undefined ? place : { ...place, attachment: { ...place.attachment, linkId } }];
  });
}

/** A perf event that several processes hold is one; so are those of each CPU, which one loader opens for one place. */
function distinct(places: readonly AttachedProgram[]): AttachedProgram[] {
  const seen = new Map<string, AttachedProgram>();
  for (const place of places) {
    const key = placeOf(place.programId, place.attachment);
    if (!seen.has(key)) seen.set(key, place);
  }
  return [...seen.values()];
}

interface HeldObjects {
  readonly programs: ReadonlyMap<number, readonly Hold[]>;
  readonly maps: ReadonlyMap<number, readonly Hold[]>;
  readonly links: ReadonlyMap<number, readonly Hold[]>;
}
interface Hold {
  readonly process: Held['process'];
  readonly tid?: number;
  readonly via: HolderVia;
}

/** Who holds a map of programs keeps them alive as well. */
function heldObjects({ held, attached, links }: Observations): HeldObjects {
  const programs = new Map<number, Hold[]>();
  const maps = new Map<number, Hold[]>();
  const ofLinks = new Map<number, Hold[]>();
  const inMap = groupBy(
    attached.filter(({ attachment }) => attachment.mapId !== undefined),
    ({ attachment }) => attachment.mapId,
  );
  const structOps = new Map(
    links.flatMap(({ id, type, mapId }) => (type === 'struct_ops' ? [[id, mapId] as const] : [])),
  );
  for (const each of held) {
    if (each.programId !== undefined) push(programs, each.programId, each);
    if (each.linkId !== undefined) push(ofLinks, each.linkId, each);
    if (each.mapId !== undefined) push(maps, each.mapId, each);
    const mapId = each.mapId ?? structOps.get(each.linkId ?? -1);
    if (mapId === undefined) continue;
    for (const programId of new Set((inMap.get(mapId) ?? []).map(({ programId }) => programId))) {
      push(programs, programId, each);
    }
  }
  return { programs, maps, links: ofLinks };
}

const VIA_ORDER: readonly HolderVia[] = ['prog-fd', 'link-fd', 'map-fd', 'perf-fd'];

/** Those that were seen, and those that only another tool told of. */
function holdersOf(record: { readonly holders: readonly Holder[] }, holds: readonly Hold[] = []): Holder[] {
  const byPid = groupBy(holds, ({ process }) => process.pid);
  const seen = [...byPid.values()].flatMap((own) => {
    const [first] = own;
    if (first === undefined) return [];
    const used = new Set(own.map(({ via }) => via));
    const tid = own.every((hold) => hold.tid !== undefined) ? first.tid : undefined;
    return [{ ...first.process, ...(tid !== undefined && { tid }), via: VIA_ORDER.filter((via) => used.has(via)) }];
  });
  return [...seen, ...record.holders.filter(({ pid }) => !byPid.has(pid))];
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) push(groups, keyOf(item), item);
  return groups;
}

function push<K, T>(groups: Map<K, T[]>, key: K, item: T): void {
  const group = groups.get(key);
  if (group) group.push(item);
  else groups.set(key, [item]);
}
