// Addresses of the running kernel's symbols, for code that holds them: only root sees them.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { isErrno } from '../source/errno.ts';

const KALLSYMS = '/proc/kallsyms';
const ADDRESS_DIGITS = 16;

export class KernelSymbols {
  #addresses: ReadonlyMap<string, bigint> | undefined;

  /** `undefined` where addresses are hidden (kptr_restrict) or there is no kallsyms. */
  static open(): KernelSymbols | undefined {
    return showsAddresses() ? new KernelSymbols() : undefined;
  }

  /** The first symbol of this name; all are read at the first question. */
  address(name: string): bigint | undefined {
    this.#addresses ??= readAddresses();
    return this.#addresses.get(name);
  }
}

function showsAddresses(): boolean {
  try {
    const file = openSync(KALLSYMS, 'r');
    try {
      const first = new Uint8Array(ADDRESS_DIGITS);
      return (
        readSync(file, first) === ADDRESS_DIGITS && Buffer.from(first).toString('latin1') !== '0'.repeat(ADDRESS_DIGITS)
      );
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (!isErrno(error)) throw error;
    return false;
  }
}

/** Lines are `ffffffff81000000 T _text` with, for a module, a tab and its name in brackets. */
function readAddresses(): Map<string, bigint> {
  const addresses = new Map<string, bigint>();
  for (const line of readFileSync(KALLSYMS, 'latin1').split('\n')) {
    const [address = '', , name = ''] = line.split(/[ \t]/, 3);
    if (name !== '' && !addresses.has(name)) addresses.set(name, BigInt(`0x${address}`));
  }
  return addresses;
}
