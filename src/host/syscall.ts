// The system calls behind this room, small enough for tests to stand in for the kernel.
import { closeSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { constants, endianness } from 'node:os';
import { type Libc, libc, whyNoLibc } from '../sys/libc.ts';
import { orAbsent } from './processes.ts';

/**
 * The commands of bpf(2) that this program uses. Every one of them reads; none loads, attaches, pins or changes anything.
 * README and tests take the list from here.
 */
export const BPF = {
  MAP_LOOKUP_ELEM: 1,
  MAP_GET_NEXT_KEY: 4,
  OBJ_GET: 7,
  PROG_GET_NEXT_ID: 11,
  MAP_GET_NEXT_ID: 12,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
  BTF_GET_FD_BY_ID: 19,
  TASK_FD_QUERY: 20,
  BTF_GET_NEXT_ID: 23,
  LINK_GET_FD_BY_ID: 30,
  LINK_GET_NEXT_ID: 31,
} as const;
export type BpfCommand = (typeof BPF)[keyof typeof BPF];

export interface Sys {
  readonly littleEndian: boolean;
  /** bpf(2). What it returns, or the errno as a negative number. */
  bpf(command: BpfCommand, attr: Uint8Array): number;
  /**
   * kcmp(2) of the descriptor tables of two threads, numbered as in this process's pid namespace: 0 where it is one table, 1
   * or 2 by the kernel's own order of tables, or the errno as a negative number. It reads no more of them than that.
   */
  compareTables(first: number, second: number): number;
  /** Where a buffer of `allocate` lies. The buffer must outlive the call that is given the address. */
  address(buffer: Uint8Array): bigint;
  /** What /proc/self/fd/N names; empty where /proc does not say. */
  link(descriptor: number): string;
  /** The text of /proc/self/fdinfo/N; empty where /proc does not say. */
  fdinfo(descriptor: number): string;
  close(descriptor: number): void;
}

/** Netlink and namespaces. Each returns the errno as a negative number. */
export interface Net {
  setns(descriptor: number): number;
  socket(domain: number, type: number, protocol: number): number;
  send(descriptor: number, message: Uint8Array): number;
  recv(descriptor: number, buffer: Uint8Array): number;
  close(descriptor: number): void;
}

export type Native = { readonly sys: Sys; readonly net: Net } | { readonly missing: string };

/** The calls of this machine, or why there are none. */
export function nativeSys(): Native {
  const library = libc();
  if (library === undefined) return { missing: `koffi cannot be used: ${whyNoLibc()}` };
  const numbers = SYSCALL_NUMBERS[process.arch];
  if (numbers === undefined) return { missing: `the number of bpf(2) on ${process.arch} is not known` };
  return { sys: bpfCalls(library, numbers), net: netCalls(library) };
}

interface SyscallNumbers {
  readonly bpf: number;
  readonly kcmp: number;
}

/** __NR_bpf and __NR_kcmp by Node's name of the architecture. */
const SYSCALL_NUMBERS: Readonly<Partial<Record<NodeJS.Architecture, SyscallNumbers>>> = {
  x64: { bpf: 321, kcmp: 312 },
  arm64: { bpf: 280, kcmp: 272 },
  riscv64: { bpf: 280, kcmp: 272 },
  loong64: { bpf: 280, kcmp: 272 },
  ppc64: { bpf: 361, kcmp: 354 },
  s390x: { bpf: 351, kcmp: 343 },
  ia32: { bpf: 357, kcmp: 349 },
  arm: { bpf: 386, kcmp: 378 },
};

/** enum kcmp_type */
const KCMP_FILES = 2;

function bpfCalls(library: Libc, numbers: SyscallNumbers): Sys {
  const record = Buffer.alloc(RECORD_SIZE);
  return {
    littleEndian: endianness() === 'LE',
    bpf: (command, attr) => settle(library, library.syscall(numbers.bpf, command, attr)),
    compareTables: (first, second) => settle(library, library.kcmp(numbers.kcmp, first, second, KCMP_FILES)),
    address: (buffer) => library.addressOf(buffer),
    link: (descriptor) => orAbsent(() => readlinkSync(`/proc/self/fd/${descriptor}`)) ?? '',
    fdinfo: (descriptor) => orAbsent(() => readRecord(`/proc/self/fdinfo/${descriptor}`, record)) ?? '',
    close: closeSync,
  };
}

/** More than nearly every fdinfo. */
const RECORD_SIZE = 1 << 14;

/** A file of /proc that is one record (single_open): what does not fill the buffer was all of it, and needs no second read. */
function readRecord(path: string, buffer: Buffer): string {
  const file = openSync(path, 'r');
  try {
    const length = readSync(file, buffer, 0, buffer.length, 0);
    return length < buffer.length ? buffer.toString('utf8', 0, length) : readFileSync(path, 'utf8');
  } finally {
    closeSync(file);
  }
}

const CLONE_NEWNET = 0x4000_0000;

function netCalls(library: Libc): Net {
  return {
    setns: (descriptor) => settle(library, library.setns(descriptor, CLONE_NEWNET)),
    socket: (domain, type, protocol) => settle(library, library.socket(domain, type, protocol)),
    send: (descriptor, message) => settle(library, library.send(descriptor, message)),
    recv: (descriptor, buffer) => settle(library, library.recv(descriptor, buffer)),
    close: closeSync,
  };
}

function settle(library: Libc, result: number): number {
  return result < 0 ? -library.errno() : result;
}

/** Memory that the kernel may be pointed to: V8 never moves what has an ArrayBuffer of its own. */
export function allocate(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(size));
}

/** The errno numbers that this room decides by. */
export const ERRNO = { ...constants.errno, ENOTSUPP: 524 } as const;

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(ERRNO)
    .reverse()
    .map(([name, number]) => [number, name] as const),
]);

/** `EPERM` for 1 and for -1; the number as text where it has no name. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}
