// Names of types as the BTF of the running kernel has them.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Btf } from '../../src/btf/decode.ts';
import { attachTypeName, linkTypeName, programTypeName } from '../../src/host/names.ts';

const VMLINUX = '/sys/kernel/btf/vmlinux';
const reason = existsSync(VMLINUX) ? '' : ` (skipped: no ${VMLINUX})`;

describe.skipIf(reason !== '')(`enumerators of the kernel${reason}`, () => {
  const btf = reason === '' ? Btf.parse(readFileSync(VMLINUX)) : undefined;

  test.each([
    ['bpf_prog_type', 'BPF_PROG_TYPE_', programTypeName],
    ['bpf_attach_type', 'BPF_', attachTypeName],
    ['bpf_link_type', 'BPF_LINK_TYPE_', linkTypeName],
  ] as const)('%s', (name, prefix, nameOf) => {
    const type = btf?.type(btf.byName(name, ['enum']) ?? 0);
    const values = type?.kind === 'enum' ? type.values : [];
    const known = values.filter((each) => each.name.startsWith(prefix) && typeof nameOf(each.value) === 'string');
    expect(known.length).toBeGreaterThan(9);
    for (const { name, value } of known) expect(nameOf(value)).toBe(name.slice(prefix.length).toLowerCase());
  });

  test('an unknown number stays one', () => expect(programTypeName(4711)).toBe(4711));
});
