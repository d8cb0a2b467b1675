// A file in which code of every kind lies, and what lies where: made of samples, so that other tools know the same code.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openObject } from '../../src/object/open.ts';
import { buildHost, COMPILERS, generateSkeleton, NO_SKELETONS } from '../carve/skeletons.ts';

const BUILT = join(import.meta.dirname, '../../samples/built');

export function sampleBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(BUILT, `${name}.bpf.o`)));
}

/** The instructions of a program, as the compiler left them. */
export function codeOf(sample: string, program: string): Uint8Array {
  const found = openObject(sampleBytes(sample)).programs.find(({ name }) => name === program);
  if (found === undefined) throw new Error(`${sample} has no program ${program}`);
  return found.code.slice();
}

/** `ip proto 17` on Ethernet, as struct sock_filter[] of a little-endian machine. */
export const FILTER = Uint8Array.from(
  Buffer.from(
    [
      '280000000c000000',
      '1500000300080000',
      '3000000017000000',
      '1500000111000000',
      '0600000000000400',
      '0600000000000000',
    ].join(''),
    'hex',
  ),
);

/** `xdp`, its header overwritten. */
function withoutHeader(): Uint8Array {
  return sampleBytes('bpfel/xdp').fill(0xa5, 0, 64);
}

/** `uprobe`, its header and its section table overwritten. */
function withoutTable(): Uint8Array {
  const bytes = sampleBytes('bpfel/uprobe');
  const table = Number(new DataView(bytes.buffer).getBigUint64(40, true));
  return bytes.fill(0xa5, table).fill(0xa5, 0, 64);
}

export interface Host {
  readonly bytes: Uint8Array;
  /** Where each piece begins. */
  readonly at: Readonly<Record<'instructions' | 'bigEndian' | 'filter' | 'headerless' | 'tableless', number>>;
}

/** Without a light skeleton: those need tools to be made. */
export function hostOfCode(before: Uint8Array = new Uint8Array(0)): Host {
  const pieces = {
    instructions: codeOf('bpfel/exits', 'do_exit'),
    bigEndian: codeOf('bpfeb/openat', 'exit_openat'),
    filter: FILTER,
    headerless: withoutHeader(),
    tableless: withoutTable(),
  };
  const at = { instructions: 0, bigEndian: 0, filter: 0, headerless: 0, tableless: 0 };
  let bytes = Buffer.from(before);
  for (const name of ['instructions', 'bigEndian', 'filter', 'headerless', 'tableless'] as const) {
    const gap = Buffer.alloc(64 + (-bytes.length & 7), 0xcc);
    at[name] = bytes.length + gap.length;
    bytes = Buffer.concat([bytes, gap, pieces[name]]);
  }
  return { bytes: Uint8Array.from(Buffer.concat([bytes, Buffer.alloc(64, 0xcc)])), at };
}

/** Why no light skeleton can be made, if none can. */
export const NO_LIGHT_SKELETON = NO_SKELETONS;

/** A program of the machine with the light skeleton of `openat` in it. */
export function skeletonHost(): Uint8Array {
  const skeleton = generateSkeleton(sampleBytes('bpfel/openat'));
  if (skeleton === undefined) throw new Error('bpftool makes no light skeleton of openat');
  return buildHost(skeleton, COMPILERS[0] ?? 'gcc', ['-O2']).bytes;
}
