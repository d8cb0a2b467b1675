// Objects of packages with their first 64 bytes overwritten: put together again from the table of their sections.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { AnchorList } from '../../src/carve/anchors.ts';
import { carveHeaderless } from '../../src/carve/headerless.ts';
import { Finder } from '../../src/carve/search.ts';
import { FormatError } from '../../src/diagnostics.ts';
import { ElfFile } from '../../src/elf/file.ts';
import { GROUPS } from '../link/objects.ts';
import { objectsIn, packageObjects } from '../support/objects.ts';
import { noise } from './bytes.ts';

const finder = new Finder();

function carve(bytes: Uint8Array) {
  const reader = memoryReader(bytes);
  const anchors = new AnchorList();
  finder.search(reader, { from: 0, to: bytes.length }, anchors);
  return carveHeaderless(reader, anchors.btf, bytes.length);
}

const hasBtf = ({ bytes }: { bytes: Uint8Array }) => ElfFile.parse(new Uint8Array(bytes)).section('.BTF') !== undefined;
const SAMPLES = new URL('../../samples/built/', import.meta.url).pathname;
const BIG = ['core', 'xdp', 'cgroup'].flatMap((name) => objectsIn(`${SAMPLES}bpfeb/${name}.bpf.o`));
const OBJECTS = [
  ...GROUPS.filter(({ group }) => group !== 'our rules').flatMap(({ objects }) => objects),
  ...packageObjects('golang-github-cilium-ebpf-dev'),
  ...BIG,
].filter(hasBtf);

const reason = OBJECTS.length < 65 ? 'fewer than 65 objects with BTF: libbpf-tools is not installed' : undefined;

test.skipIf(reason !== undefined)(
  `every object with BTF is rebuilt, its body byte for byte${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    const misses: string[] = [];
    let rebuiltCount = 0;
    for (const [index, { name, bytes }] of OBJECTS.entries()) {
      const wiped = new Uint8Array(bytes);
      wiped.set(noise(64, 77 + index));
      const before = 8 * ((index * 37) % 600);
      const host = new Uint8Array(before + wiped.length + 300);
      host.set(noise(host.length, 5 + index));
      host.set(wiped, before);
      const { rebuilt } = carve(host);
      const [object] = rebuilt.filter(({ offset }) => offset === before);
      const isSame =
        object !== undefined &&
        Buffer.from(object.bytes)
          .subarray(64)
          .equals(Buffer.from(bytes.subarray(64)));
      const isHeader =
        object !== undefined &&
        Buffer.from(object.bytes)
          .subarray(40, 64)
          .equals(Buffer.from(bytes.subarray(40, 64)));
      if (isSame && isHeader) rebuiltCount++;
      else misses.push(`${name}: ${rebuilt.length} rebuilt, body ${isSame}, header ${isHeader}`);
    }
    console.log(`${rebuiltCount} of ${OBJECTS.length} objects rebuilt`);
    expect(misses).toEqual([]);
  },
  120_000,
);

test('an object that has its header is left to the carver of objects', () => {
  for (const { bytes } of BIG)
    expect(carve(new Uint8Array(bytes))).toEqual({ rebuilt: [], partial: [], limited: false });
});

test('without a section table what the BTF names is left', () => {
  const [sample] = objectsIn(`${SAMPLES}bpfel/cgroup.bpf.o`);
  const elf = ElfFile.parse(new Uint8Array(sample?.bytes ?? []));
  const bytes = new Uint8Array(elf.bytes.subarray(0, elf.header.e_shoff));
  bytes.fill(0, 0, 64);
  const { rebuilt, partial } = carve(bytes);
  expect(rebuilt).toEqual([]);
  expect(partial.map(({ functions }) => functions)).toEqual([['account_ingress', 'account_egress']]);
  expect(partial[0]?.sections['.maps']).toEqual(['accounting']);
  expect(partial[0]?.offset).toBe(elf.section('.BTF')?.offset);
});

test('a broken BTF or table is passed over, whatever byte is wrong', () => {
  const [sample] = objectsIn(`${SAMPLES}bpfel/openat.bpf.o`);
  const good = new Uint8Array(sample?.bytes ?? []);
  good.set(noise(64, 3));
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
      const bytes = good.slice(0, length);
      bytes[at] = byte;
      for (const { bytes: object } of carve(bytes).rebuilt) {
        expect(() => ElfFile.parse(object)).not.toThrow(FormatError);
      }
    }),
    { numRuns: 300 },
  );
});

test('BTF whose string table is a little too short is partial evidence all the same', () => {
  const [sample] = objectsIn(`${SAMPLES}bpfel/openat.bpf.o`);
  const bytes = new Uint8Array(sample?.bytes ?? []).slice(0, 2718);
  bytes.set(noise(64, 3));
  bytes[1532] = 114;
  expect(carve(bytes).partial).toHaveLength(1);
});

test('a flood of BTF headers costs bounded work', () => {
  const header = Uint8Array.from([0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0]);
  const blob = Uint8Array.from([...header, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0]);
  const bytes = new Uint8Array(8 << 20);
  for (let at = 0; at + blob.length < bytes.length; at += blob.length) bytes.set(blob, at);
  expect(carve(bytes).rebuilt).toEqual([]);
});
