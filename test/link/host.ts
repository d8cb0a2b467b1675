// This machine as a target of predictions.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { Btf } from '../../src/btf/decode.ts';
import type { Target } from '../../src/link/kernel.ts';

export const VMLINUX = '/sys/kernel/btf/vmlinux';

export const NO_BTF: string | undefined = existsSync(VMLINUX) ? undefined : `no ${VMLINUX}`;

export function thisMachine(): Target {
  const bytes = new Uint8Array(readFileSync(VMLINUX));
  const addresses = readKallsyms();
  return {
    kernelBtf: Btf.parse(bytes),
    btfIdentity: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    modules: [],
    release: release(),
    littleEndian: true,
    kallsyms: (name) => addresses.get(name),
  };
}

function readKallsyms(): Map<string, bigint> {
  const addresses = new Map<string, bigint>();
  for (const line of readFileSync('/proc/kallsyms', 'latin1').split('\n')) {
    const [address, , name] = line.split(/[ \t]/, 3);
    if (name && !addresses.has(name)) addresses.set(name, BigInt(`0x${address}`));
  }
  return addresses;
}
