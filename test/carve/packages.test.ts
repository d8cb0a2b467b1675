// The objects of real packages, whole and in their exact places; nothing in packages that hold none.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OBJECT_PACKAGES, objectsIn, packageFiles } from '../support/objects.ts';
import { carve } from './carve.ts';

/** Packages with much ELF or much BPF in them, and no embedded object. */
const WITHOUT_OBJECTS = [
  'bpftool',
  'bpftrace',
  'systemd',
  'linux-perf',
  'iproute2',
  'tcpdump',
  'libpcap0.8',
  'libbpf1',
  'libelf1',
  'libllvm14',
  'libc6',
  'gdb',
  'strace',
];
const LARGEST = 256 * 1024 * 1024;

const found = OBJECT_PACKAGES.map((name) => {
  const files = packageFiles(name);
  return { name, files, objects: files.flatMap(objectsIn) };
});
const installed = found.filter(({ files }) => files.length > 0);

for (const { name } of found.filter(({ files }) => files.length === 0)) {
  test(name, ({ skip }) => skip(`${name} is not installed`));
}

describe.each(installed)('$name', ({ files, objects }) => {
  test('holds exactly the objects that an independent search finds', () => {
    expect(objects.length).toBeGreaterThan(0);
    const carved = files.flatMap((path) => {
      const content = readFileSync(path);
      return carve(content).objects.map(({ offset, size, completeness }) => ({
        place: `${path} ${offset}`,
        sha256: sha256(content.subarray(offset, offset + size)),
        completeness,
      }));
    });
    const expected = objects.map(({ path, offset, bytes }) => ({
      place: `${path} ${offset}`,
      sha256: sha256(bytes),
      completeness: 'whole',
    }));
    expect(carved).toEqual(expected);
  });

  test('its standalone objects are carved from the first byte to the last', () => {
    for (const path of files.filter((path) => /\.o$|\.bpf\.o$|-e[lb]\.elf$/.test(path) && objectsIn(path).length > 0)) {
      const { size } = statSync(path);
      expect(carve(readFileSync(path)).objects, path).toMatchObject([{ offset: 0, size, completeness: 'whole' }]);
    }
  });
});

test('what is embedded and also stands alone is the same bytes', ({ skip }) => {
  const all = installed.flatMap(({ objects }) => objects);
  const alone = new Map(
    all
      .filter(({ offset, path, bytes }) => offset === 0 && statSync(path).size === bytes.length)
      .map((object) => [sha256(object.bytes), basename(object.path)]),
  );
  const twice = all.filter(({ offset, bytes }) => offset > 0 && alone.has(sha256(bytes)));
  if (twice.length === 0) skip('no installed package has an object in both forms');
  for (const { path, offset, bytes } of twice) {
    const content = readFileSync(path);
    const object = carve(content).objects.find((carved) => carved.offset === offset);
    expect(object && sha256(content.subarray(offset, offset + object.size))).toBe(sha256(bytes));
  }
});

describe.each(WITHOUT_OBJECTS.map((name) => ({ name, files: packageFiles(name) })))('$name', ({ files }) => {
  test.skipIf(files.length === 0)(
    files.length === 0 ? '(not installed)' : 'holds no object, and nothing like one',
    () => {
      for (const path of files.filter((path) => statSync(path).size <= LARGEST)) {
        expect(carve(readFileSync(path)), path).toMatchObject({ objects: [], rejected: {} });
      }
    },
  );
});

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
