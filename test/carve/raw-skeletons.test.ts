// Light skeletons of real objects, compiled into stripped hosts: found without help, and the tags their programs get.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { carveLightSkeletons, type LightSkeleton } from '../../src/carve/light-skeleton.ts';
import { predictLightTags } from '../../src/link/light-skeleton-tags.ts';
import { NO_BTF, thisMachine } from '../link/host.ts';
import { GROUPS } from '../link/objects.ts';
import { objectsIn } from '../support/objects.ts';
import { buildHost, COMPILERS, generateSkeleton, NO_LOADING, NO_SKELETONS, prologuesIn } from './skeletons.ts';

function skeletonsIn(bytes: Uint8Array): readonly LightSkeleton[] {
  return carveLightSkeletons(memoryReader(bytes), prologuesIn(bytes)).skeletons;
}

const OBJECTS = GROUPS.filter(({ group }) => ['libbpf-tools', 'xdp-tools', 'our samples'].includes(group)).flatMap(
  ({ objects }) => objects,
);
/** Every way in which compilers lay out the two strings of a skeleton, one object after the other. */
const WAYS = COMPILERS.flatMap((compiler) => [['-O0'], ['-O2']].map((flags) => ({ compiler, flags })));
const tally = { objects: 0, carved: 0, loaded: 0, 'tags right': 0 };
afterAll(() => console.table(tally));

const reason = NO_LOADING ?? NO_BTF ?? (OBJECTS.length < 20 ? 'libbpf-tools is not installed' : undefined);

describe('hosts built from real objects', () => {
  test.skipIf(reason !== undefined)(
    `give their skeletons byte for byte, and the tags that the kernel computes${reason ? ` (skipped: ${reason})` : ''}`,
    () => {
      const target = thisMachine();
      const misses: string[] = [];
      for (const { name, bytes } of OBJECTS) {
        const skeleton = generateSkeleton(bytes);
        const way = WAYS[tally.objects % WAYS.length];
        if (skeleton === undefined || way === undefined) continue;
        tally.objects++;
        const where = `${name} by ${way.compiler} ${way.flags}`;
        const host = buildHost(skeleton, way.compiler, way.flags, true);
        const [found, ...more] = skeletonsIn(host.bytes);
        if (found === undefined || more.length > 0 || !isWhole(found, host)) {
          misses.push(`${where}: not carved`);
          continue;
        }
        tally.carved++;
        if (host.tags === undefined) continue;
        const predicted = predictLightTags(found, target).map((each) =>
          'tags' in each ? Object.values(each.tags) : [`${each.obstacle}: ${each.reason}`],
        );
        for (const [index, tag] of host.tags.entries()) {
          tally.loaded++;
          if (predicted[index]?.includes(tag)) tally['tags right']++;
          else misses.push(`${where}, ${found.programs[index]?.name}: loaded as ${tag}, predicted ${predicted[index]}`);
        }
      }
      expect(misses).toEqual([]);
      expect(tally.carved).toBeGreaterThanOrEqual(20);
    },
    600_000,
  );
});

function isWhole(found: LightSkeleton, host: { data: Uint8Array; loader: Uint8Array; bytes: Uint8Array }): boolean {
  const { offset, size } = found.data ?? { offset: -1, size: 0 };
  const isBlob = Buffer.from(host.bytes).indexOf(host.data) === offset && size === host.data.length;
  return isBlob && Buffer.from(host.loader).equals(found.loader.code);
}

const SAMPLE = new URL('../../samples/built/hosts/light-skeleton', import.meta.url).pathname;
const CGROUP = new URL('../../samples/built/bpfel/cgroup.bpf.o', import.meta.url).pathname;

describe('the sample host', () => {
  const [object] = objectsIn(CGROUP);

  test('has what its object has: programs, maps, license, and the same BTF', () => {
    const [found] = skeletonsIn(readFileSync(SAMPLE));
    expect(found?.programs.map(({ name, type, license }) => [name, type, license])).toEqual([
      ['account_ingress', 8, 'GPL'],
      ['account_egress', 8, 'GPL'],
    ]);
    expect(found?.maps).toEqual([
      { name: 'accounting', type: 6, keySize: 4, valueSize: 16, maxEntries: 2, flags: 0, frozen: false },
    ]);
    expect(found?.digest).toBeUndefined();
    const btf = found?.btf?.bytes ?? new Uint8Array(0);
    expect(btf.subarray(0, 3)).toEqual(Uint8Array.of(0x9f, 0xeb, 1));
    expect(object?.bytes.length).toBeGreaterThan(btf.length);
  });

  test.skipIf(NO_SKELETONS !== undefined)('a loader without its data is reported, not guessed', () => {
    const skeleton = generateSkeleton(object?.bytes ?? new Uint8Array(0));
    const [found] = skeletonsIn(skeleton?.loader ?? new Uint8Array(0));
    expect(found?.programs).toEqual([]);
    expect(found).not.toHaveProperty('data');
    expect(found?.diagnostics.map(({ code }) => code)).toEqual(['skeleton-data']);
  });

  test.skipIf(NO_SKELETONS !== undefined)('is found at any distance and alignment, on either side', () => {
    const skeleton = generateSkeleton(object?.bytes ?? new Uint8Array(0));
    if (skeleton === undefined) throw new Error('no skeleton');
    for (const [gap, before] of [0, 1, 3, 8, 17, 600].flatMap((each) => [
      [each, true] as const,
      [each, false] as const,
    ])) {
      const { data, loader } = skeleton;
      const parts = before ? [data, new Uint8Array(gap), loader] : [loader, new Uint8Array(gap), data];
      const bytes = new Uint8Array(Buffer.concat([new Uint8Array(gap + 5), ...parts, new Uint8Array(99)]));
      const [found] = skeletonsIn(bytes);
      expect([gap, before, found?.data?.offset]).toEqual([gap, before, Buffer.from(bytes).indexOf(data)]);
    }
  });

  test('any damage leaves records that lie in the source, or none', () => {
    const good = new Uint8Array(readFileSync(SAMPLE));
    const damage = fc.array(fc.tuple(fc.integer({ min: 8000, max: good.length - 1 }), fc.nat(255)), { maxLength: 12 });
    fc.assert(
      fc.property(damage, fc.integer({ min: 8000, max: good.length }), (changes, length) => {
        const bytes = good.slice(0, length);
        for (const [at, byte] of changes) if (at < length) bytes[at] = byte;
        for (const { programs, data, loader } of skeletonsIn(bytes)) {
          expect(loader.offset + loader.code.length).toBeLessThanOrEqual(length);
          if (data !== undefined) expect(data.offset + data.size).toBeLessThanOrEqual(length);
          for (const { offset, code } of programs) expect(offset + code.length).toBeLessThanOrEqual(length);
        }
      }),
      { numRuns: 300 },
    );
  });
});
