// libc through koffi: the calls that Node does not offer. The only importer of koffi, which is optional:
// the rest of the program asks whether it is there, and says so when it is not.
import { createRequire } from 'node:module';

export interface Libc {
  /** lseek(2). Returns the new position, or -1 with the reason in `errno()`. */
  lseek(descriptor: number, offset: number, whence: number): number;
  /** syscall(2) with the argument types of bpf(2): the kernel reads and writes `argument`. Returns -1 with the reason in `errno()`. */
  syscall(number: number, command: number, argument: Uint8Array): number;
  /** kcmp(2) of two threads, without the indices that some types take. Returns 0 to 3, or -1 with the reason in `errno()`. */
  kcmp(number: number, first: number, second: number, type: number): number;
  /** setns(2): moves the calling thread, and no other. Returns 0, or -1 with the reason in `errno()`. */
  setns(descriptor: number, type: number): number;
  /** socket(2), send(2) and recv(2) without flags. Each returns -1 with the reason in `errno()`. */
  socket(domain: number, type: number, protocol: number): number;
  send(descriptor: number, message: Uint8Array): number;
  recv(descriptor: number, buffer: Uint8Array): number;
  /** ioctl(2) with an argument that is read and written in place. Returns what the request does, or -1 with the reason in `errno()`. */
  ioctl(descriptor: number, request: number, argument: Uint8Array): number;
  /**
   * Where `memory` lies in this process, for structures that point to others; it must outlive the call. V8 moves what is
   * 64 bytes or smaller, unless it was made over an ArrayBuffer of its own.
   */
  addressOf(memory: Uint8Array): bigint;
  /** errno of the last call, read straight after it. */
  errno(): number;
}

/** Linux, lseek(2): the next byte that is stored, and the next that is not. */
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const ENXIO = 6;

let loaded: Libc | undefined;
let failure: string | undefined;

/** The C library, or `undefined` when koffi is not installed or does not run here; `whyNoLibc` tells the reason. */
export function libc(): Libc | undefined {
  if (loaded === undefined && failure === undefined) {
    try {
      loaded = bind();
    } catch (error) {
      failure = error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error);
    }
  }
  return loaded;
}

export function whyNoLibc(): string {
  return failure ?? 'not loaded';
}

interface Koffi {
  load(name: string): { func(prototype: string): (...args: unknown[]) => number };
  address(value: Uint8Array): bigint;
  errno(): number;
}

function bind(): Libc {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const library = open(koffi);
  const lseek = library.func('int64_t lseek(int fd, int64_t offset, int whence)');
  const ioctl = library.func('int ioctl(int fd, unsigned long request, void *argument)');
  const syscall = library.func('long syscall(long number, int command, void *argument, unsigned int size)');
  const kcmp = library.func('long syscall(long number, int first, int second, int type, long index1, long index2)');
  const setns = library.func('int setns(int fd, int type)');
  const socket = library.func('int socket(int domain, int type, int protocol)');
  const send = library.func('long send(int fd, const void *message, size_t length, int flags)');
  const recv = library.func('long recv(int fd, void *buffer, size_t length, int flags)');
  return {
    syscall: (number, command, argument) => Number(syscall(number, command, argument, argument.length)),
    kcmp: (number, first, second, type) => Number(kcmp(number, first, second, type, 0, 0)),
    setns,
    socket,
    send: (descriptor, message) => Number(send(descriptor, message, message.length, 0)),
    recv: (descriptor, buffer) => Number(recv(descriptor, buffer, buffer.length, 0)),
    lseek: (descriptor, offset, whence) => Number(lseek(descriptor, offset, whence)),
    ioctl: (descriptor, request, argument) => ioctl(descriptor, request, argument),
    addressOf: (memory) => koffi.address(memory),
    errno: () => koffi.errno(),
  };
}

/** By name, so that a preloaded library does not come first; musl names its own by architecture. */
function open(koffi: Koffi): ReturnType<Koffi['load']> {
  try {
    return koffi.load('libc.so.6');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const arch = process.arch === 'x64' ? 'x86_64' : process.arch === 'arm64' ? 'aarch64' : process.arch;
    return koffi.load(`libc.musl-${arch}.so.1`);
  }
}
