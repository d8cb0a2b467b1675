import { cpus } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { BpfMap } from '../../src/object/maps.ts';
import { type BpfObject, openObject } from '../../src/object/open.ts';
import { summarize } from '../../src/object/summarize.ts';
import { LITTLE_GROUPS } from './groups.ts';
import { type LoadedMap, type LoadedProgram, linkOrder, load, OBJECT_NAME, UNABLE } from './kernel.ts';

const PAGE = 4096;
const BPF_F_MMAPABLE = 0x400;

describe.each(LITTLE_GROUPS)('objects of $group', ({ group, objects }) => {
  const reason = UNABLE ?? (objects.length === 0 ? `${group} is not installed` : undefined);

  test.skipIf(reason !== undefined)(
    `have the programs and maps that the kernel shows after loading${reason ? ` (skipped: ${reason})` : ''}`,
    (ctx) => {
      let compared = 0;
      for (const each of objects) {
        const loaded = load(each.bytes);
        if (loaded === undefined) continue;
        const object = openObject(each.bytes);
        expect(programsOf(object), each.name).toEqual(sorted(loaded.programs));
        expect(mapsOf(object), each.name).toEqual(sorted(loaded.maps.map(withoutMapping)));
        compared++;
      }
      if (compared === 0) ctx.skip('the kernel refuses all of them');
    },
    600_000,
  );
});

test.skipIf(UNABLE !== undefined)(
  `subprograms come in the order in which libbpf appends them${UNABLE ? ` (skipped: ${UNABLE})` : ''}`,
  (ctx) => {
    const objects = LITTLE_GROUPS.flatMap((each) => each.objects).map(({ name, bytes }) => ({
      name,
      bytes,
      object: openObject(bytes),
    }));
    let compared = 0;
    for (const { name, bytes, object } of objects.filter(({ object }) => object.subprograms.length > 0)) {
      const expected = linkOrder(bytes);
      const linked = new Set(expected.map((line) => line.slice(0, line.indexOf(':'))));
      // libbpf stops at the first program that it cannot relocate.
      expect(
        linkOrderOf(object).filter((line) => linked.has(line.slice(0, line.indexOf(':')))),
        name,
      ).toEqual(expected);
      compared += expected.length;
    }
    if (compared === 0) ctx.skip('no object with subprograms is installed');
  },
  600_000,
);

function linkOrderOf(object: BpfObject): string[] {
  return summarize(object)
    .programs.filter(({ subprograms }) => subprograms.length > 0)
    .map(({ name, subprograms }) => `${name}: ${subprograms.join(', ')}`)
    .sort();
}

function programsOf({ programs }: BpfObject): LoadedProgram[] {
  return sorted(
    programs.filter(({ autoload }) => autoload).map(({ name, type }) => ({ name, type: type ?? 'no type' })),
  );
}

function mapsOf({ maps }: BpfObject): LoadedMap[] {
  return sorted(
    maps
      .map((map) => ({
        name: kernelName(map),
        type: map.type ?? 'no type',
        keySize: map.keySize ?? 0,
        valueSize: map.valueSize ?? 0,
        maxEntries: maxEntries(map),
        flags: map.flags ?? 0,
      }))
      .map(withoutMapping),
  );
}

/** Before 1.1 libbpf mapped all data, later only what has global variables: libbpf.test.ts compares that. */
function withoutMapping(map: LoadedMap): LoadedMap {
  return { ...map, flags: map.flags & ~BPF_F_MMAPABLE };
}

/** The maps of the standard data sections are called after the object too, others after their section alone. */
function kernelName({ name, origin }: BpfMap): string {
  const isStandard = (origin === 'data' || origin === 'kconfig') && name.lastIndexOf('.') === 0;
  return `${isStandard ? OBJECT_NAME : ''}${name}`.slice(0, 15);
}

/** What libbpf makes of the number when it creates the map. */
function maxEntries({ type, maxEntries = 0 }: BpfMap): number {
  if (type === 'perf_event_array' && maxEntries === 0) return cpus().length;
  if (type === 'ringbuf' || type === 'user_ringbuf') return Math.max(PAGE, Math.ceil(maxEntries / PAGE) * PAGE);
  return maxEntries;
}

function sorted<T>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
