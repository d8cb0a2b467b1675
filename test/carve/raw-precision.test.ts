// The programs and libraries of this machine hold no raw arrays that are none: whatever is found outside BPF objects is listed.
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { coalesce } from '../../src/bytes/range.ts';
import type { Reader } from '../../src/bytes/reader.ts';
import { AnchorList } from '../../src/carve/anchors.ts';
import { carveObjects } from '../../src/carve/carve.ts';
import { carveClassicFilters } from '../../src/carve/classic-filters.ts';
import { carveHeaderless } from '../../src/carve/headerless.ts';
import { carveInstructions } from '../../src/carve/instructions.ts';
import { carveLightSkeletons } from '../../src/carve/light-skeleton.ts';
import { Finder } from '../../src/carve/search.ts';

const FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/lib/x86_64-linux-gnu', '/usr/lib/systemd'];

/** What is known to be there: a filter of strace, and the one with which networkd listens for LLDP. */
const TRUE_FILTERS = ['/usr/bin/strace', '/usr/lib/systemd/systemd-networkd'];

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => join(folder, name));
  } catch {
    return [];
  }
}

function readerOf(file: number): Reader {
  return {
    readInto(target, at) {
      let done = 0;
      while (done < target.length) {
        const count = readSync(file, target, done, target.length - done, at + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    },
  };
}

const finder = new Finder();

/** One line for each thing that is found outside of the objects in a file. */
function findingsIn(path: string): string[] {
  const file = openSync(path, 'r');
  try {
    const reader = readerOf(file);
    const { size } = fstatSync(file);
    const anchors = new AnchorList({ classic: true });
    const { offsets } = finder.search(reader, { from: 0, to: size }, anchors);
    const { objects } = carveObjects(reader, offsets, size);
    const isOutside = (at: number) => objects.every(({ offset, size: length }) => at < offset || at >= offset + length);
    const exits = anchors.exits.filter(isOutside);
    const arrays = carveInstructions(reader, exits).arrays.map(({ offset, slots }) => `${slots} slots at ${offset}`);
    const { skeletons } = carveLightSkeletons(reader, anchors.loaders.filter(isOutside));
    const { rebuilt, partial } = carveHeaderless(
      reader,
      anchors.btf,
      size,
      coalesce(objects.map(({ offset, size }) => ({ from: offset, to: offset + size }))),
    );
    const isTrueFilter = TRUE_FILTERS.includes(path);
    const filters = isTrueFilter ? [] : carveClassicFilters(reader, anchors.returns).filters;
    return [
      ...arrays,
      ...skeletons.map(({ loader }) => `light skeleton at ${loader.offset}`),
      ...rebuilt.map(({ offset }) => `object without header at ${offset}`),
      ...partial.map(({ offset }) => `BTF at ${offset}`),
      ...filters.map(({ offset, text }) => `classic filter at ${offset}: ${text.join('; ')}`),
    ].map((finding) => `${path}: ${finding}`);
  } finally {
    closeSync(file);
  }
}

test('no false finding in the programs and libraries of this machine', () => {
  expect(FOLDERS.flatMap(filesIn).flatMap(findingsIn)).toEqual([]);
}, 300_000);
