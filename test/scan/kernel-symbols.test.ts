// Addresses of this kernel's symbols against a plain reading of the whole list.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { KernelSymbols } from '../../src/scan/kernel-symbols.ts';

const symbols = KernelSymbols.open();

test.skipIf(symbols === undefined)(
  `a symbol has the address of the first line with its name${symbols ? '' : ' [the kernel hides its addresses]'}`,
  () => {
    const first = new Map<string, string>();
    for (const line of readFileSync('/proc/kallsyms', 'latin1').split('\n')) {
      const [address = '', , name = ''] = line.split(/[ \t]/, 3);
      if (name !== '' && !first.has(name)) first.set(name, address);
    }
    const names = [...first.keys()];
    const some = Array.from({ length: 100 }, (_, index) => names[Math.floor((index * names.length) / 100)] ?? '');
    for (const name of [...some, 'no_such_symbol_at_all', 'a b', '']) {
      const address = first.get(name);
      expect(symbols?.address(name), name).toBe(address === undefined ? undefined : BigInt(`0x${address}`));
    }
  },
);
