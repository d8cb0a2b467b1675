// Real BTF with bytes changed anywhere: whatever can be asked gives an answer or a format error, and ends.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeCoreRelocation, describeCoreResult } from '../../src/btf/core.ts';
import { CoreRelocator } from '../../src/btf/core-relocate.ts';
import { LIBBPF_RULES } from '../../src/btf/core-rules.ts';
import { Btf } from '../../src/btf/decode.ts';
import { parseBtfExt } from '../../src/btf/ext.ts';
import { formatC } from '../../src/btf/format-c.ts';
import { typeName } from '../../src/btf/format-name.ts';
import { formatRaw } from '../../src/btf/format-raw.ts';
import { FormatError } from '../../src/diagnostics.ts';
import { have, section, shippedObjects } from './tools.ts';

const names = ['loader-clang-14-el.elf', 'loader-clang-14-eb.elf', 'relocs-el.elf', 'relocs-eb.elf', 'xdpdump_bpf.o'];
const reason = have('llvm-objcopy-19') ? undefined : 'needs llvm-objcopy-19';
const objects = reason ? [] : shippedObjects().filter((path) => names.some((name) => path.endsWith(`/${name}`)));

function changed(bytes: Uint8Array, changes: readonly (readonly [number, number])[]): Uint8Array {
  const copy = bytes.slice();
  for (const [place, value] of changes) copy[place % copy.length] = value;
  return copy;
}

function orFormatError(act: () => void): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
}

const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 30 });

test.skipIf(objects.length === 0)(`of ${objects.length} objects${reason ? ` (${reason})` : ''}`, () => {
  const parts = objects.map((path) => [section(path, '.BTF'), section(path, '.BTF.ext')] as const);
  const whole = parts.map(([types]) => Btf.parse(types));
  fc.assert(
    fc.property(fc.nat(), changes, changes, (pick, inTypes, inExt) => {
      const [types, ext] = parts[pick % parts.length] ?? parts[0] ?? [new Uint8Array(), new Uint8Array()];
      orFormatError(() => {
        const btf = Btf.parse(changed(types, inTypes));
        for (const line of formatRaw(btf)) expect(typeof line).toBe('string');
        for (const piece of formatC(btf)) expect(typeof piece).toBe('string');
        for (let id = 0; id <= btf.count; id++) orFormatError(() => typeName(btf, id));
        const kernel = whole[pick % whole.length] ?? btf;
        const relocator = new CoreRelocator(btf, { kernel }, LIBBPF_RULES);
        for (const { records } of parseBtfExt(changed(ext, inExt)).coreRelocations) {
          for (const record of records) {
            describeCoreRelocation(btf, record, []);
            describeCoreResult(relocator.relocate(record));
          }
        }
      });
    }),
    { numRuns: 150 },
  );
});
