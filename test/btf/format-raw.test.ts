import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Btf } from '../../src/btf/decode.ts';
import { formatRaw } from '../../src/btf/format-raw.ts';
import type { Diagnostic } from '../../src/diagnostics.ts';
import { BtfBuilder } from './build.ts';
import { compile, have, inTemporaryDirectory, run, section, shippedObjects, VMLINUX } from './tools.ts';

test('a malformed type costs only its own line', () => {
  const build = new BtfBuilder();
  build.raw(2, 4711, 0);
  build.int('int', 4, 1);
  const diagnostics: Diagnostic[] = [];
  expect([...formatRaw(Btf.parse(build.bytes()), diagnostics)]).toEqual([
    '[1] (invalid)',
    "[2] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED",
  ]);
  expect(diagnostics).toMatchObject([{ where: 'BTF type 1', code: 'string-offset' }]);
});

const reason = have('bpftool', 'llvm-objcopy-19', 'clang-19') ? undefined : 'needs bpftool, llvm-objcopy-19, clang-19';

/** Line by line first: a diff of megabytes helps nobody. */
function expectEqualListing(path: string, bytes: Uint8Array) {
  const theirs = run('bpftool', ['btf', 'dump', 'file', path]).trimEnd().split('\n');
  const ours = [...formatRaw(Btf.parse(bytes))];
  const different = theirs.findIndex((line, index) => line !== ours[index]);
  expect(ours[different]).toBe(theirs[different]);
  expect(ours.length).toBe(theirs.length);
}

describe.skipIf(reason)(`the listing is that of bpftool${reason ? ` (${reason})` : ''}`, () => {
  test.skipIf(!existsSync(VMLINUX))(`of the running kernel (needs ${VMLINUX})`, () => {
    expectEqualListing(VMLINUX, new Uint8Array(readFileSync(VMLINUX)));
  });

  const objects = reason ? [] : shippedObjects().filter((path) => section(path, '.BTF').length > 0);
  test.each(objects.map((path) => [basename(path), path]))('of %s', (_name, path) => {
    expectEqualListing(path, section(path, '.BTF'));
  });

  test.each(['bpf', 'bpfeb'])('of an object compiled for %s', (target) => {
    inTemporaryDirectory((directory) => {
      const object = join(directory, 'types.o');
      compile(new URL('types.bpf.c', import.meta.url).pathname, object, ['-target', target]);
      expectEqualListing(object, section(object, '.BTF'));
    });
  });
});
