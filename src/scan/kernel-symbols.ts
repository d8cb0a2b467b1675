// Addresses of the running kernel's symbols, for code that holds them: only root sees them.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { isErrno } from '../source/errno.ts';

const KALLSYMS = '/proc/kallsyms';
const ADDRESS_DIGITS = 16;
/** Names that are searched for one by one: most objects ask for one or two. For more an index of all is made, which takes as long as 50. */
const FEW = 32;

export class KernelSymbols {
  readonly #addresses = new Map<string, bigint | undefined>();
  #text: string | undefined;
  #all: ReadonlyMap<string, bigint> | undefined;

  /** `undefined` where addresses are hidden (kptr_restrict) or there is no kallsyms. */
  static open(): KernelSymbols | undefined {
    return showsAddresses() ? new KernelSymbols() : undefined;
  }

  /** The first symbol of this name; the list is read at the first question. */
  address(name: string): bigint | undefined {
    if (!this.#addresses.has(name)) this.#addresses.set(name, this.#find(name));
    return this.#addresses.get(name);
  }

  #find(name: string): bigint | undefined {
    this.#text ??= readFileSync(KALLSYMS, 'latin1');
    if (this.#addresses.size < FEW) return findAddress(this.#text, name);
    this.#all ??= readAddresses(this.#text);
    return this.#all.get(name);
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
function findAddress(text: string, name: string): bigint | undefined {
  if (name === '' || /\s/.test(name)) return undefined;
  const wanted = ` ${name}`;
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    const next = text[at + wanted.length];
    if (next !== '\n' && next !== '\t' && next !== ' ' && next !== undefined) continue;
    const start = text.lastIndexOf('\n', at) + 1;
    const [address, , found] = text.slice(start, at + wanted.length).split(/[ \t]/, 3);
    if (found === name) return BigInt(`0x${address}`);
  }
  return undefined;
}

function readAddresses(text: string): Map<string, bigint> {
  const addresses = new Map<string, bigint>();
  for (const line of text.split('\n')) {
    const [address = '', , name = ''] = line.split(/[ \t]/, 3);
    if (name !== '' && !addresses.has(name)) addresses.set(name, BigInt(`0x${address}`));
  }
  return addresses;
}
