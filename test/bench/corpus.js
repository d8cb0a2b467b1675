// Files to measure on, made once in the temporary directory from the samples of this repository.
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GIB = 2 ** 30;
const CHUNK = 2 ** 20;
const folder = join(tmpdir(), 'bpfcarve-bench');
const object = readFileSync(new URL('../../samples/built/bpfel/core.bpf.o', import.meta.url));

/** 1 GiB of bytes that look like nothing, with 200 objects spread over it. */
export function bigFile() {
  return made('big', GIB, (file) => {
    const noise = pseudoRandom(CHUNK);
    for (let at = 0; at < GIB; at += CHUNK) writeSync(file, noise, 0, CHUNK, at);
    for (let index = 0; index < 200; index++)
      writeSync(file, object, 0, object.length, index * Math.floor(GIB / 200) + index);
  });
}

/** 1 GiB each of the bytes that hurt a search most. */
export function hostileFiles() {
  const header = object.subarray(0, 64);
  const patterns = [
    ['all 7f', Buffer.from([0x7f])],
    ['7f 45 repeated', Buffer.from([0x7f, 0x45])],
    ['magic repeated', header.subarray(0, 4)],
    ['a plausible header every 64 bytes', header],
    [
      'the same, big endian',
      readFileSync(new URL('../../samples/built/bpfeb/core.bpf.o', import.meta.url)).subarray(0, 64),
    ],
  ];
  return patterns.map(([name, pattern]) => {
    const path = made(name.replaceAll(' ', '-'), GIB, (file) => {
      const chunk = Buffer.alloc(CHUNK, pattern);
      for (let at = 0; at < GIB; at += CHUNK) writeSync(file, chunk, 0, CHUNK, at);
    });
    return { name, path, bytes: GIB };
  });
}

function made(name, size, fill) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  if (!existsSync(path) || statSync(path).size !== size) {
    const file = openSync(path, 'w');
    fill(file);
    closeSync(file);
  }
  return path;
}

/** The same bytes in every run: xorshift32. */
function pseudoRandom(size) {
  const words = new Uint32Array(size / 4);
  let state = 0x9e3779b9;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer);
}
