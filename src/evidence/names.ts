// The names in an evidence directory: safe in any shell and on any file system, whatever the host of an object was called.
import { posix } from 'node:path';
import { hex } from '../diagnostics.ts';
import type { CarvedObject } from '../scan/events.ts';
import type { Source } from '../source/source.ts';
import type { LiveOccurrence } from './manifest.ts';

export const OBJECTS = 'objects';
export const MANIFEST = 'manifest.json';
export const MANIFEST_DIGEST = 'manifest.json.sha256';

/** ASCII characters, so bytes as well: with offset, digest and suffix a name stays below the 255 of every file system. */
const MAX_HOST_NAME = 100;

/** Hexadecimal digits of the sha256 to show, and what to fall back to while a name is taken by something else. */
const DIGEST_LENGTHS = [12, 16, 24, 32, 64];

/** What tells the kinds apart: `.bpf.o` is ELF, all others are bytes as they were found. */
const SUFFIXES: Readonly<Record<CarvedObject['kind'], string>> = {
  object: 'bpf.o',
  'light-skeleton': 'lskel',
  instructions: 'insns',
  'classic-filter': 'sock_filter',
  btf: 'btf',
};

/** The file names carved bytes may have, preferred first: `opensnoop-0x38498-5d2c0f1be6a7.bpf.o`, from a process
 * `opensnoop-812-0x55d0c0a384b8-5d2c0f1be6a7.bpf.o`, then with more of the digest. */
export function objectNames(object: CarvedObject): readonly string[] {
  return namesAt(object, object.sha256, SUFFIXES[object.kind]);
}

/** Those of an ELF object made of the programs of `object`: they differ from its own in digest and suffix. */
export function derivedNames(object: CarvedObject, sha256: string): readonly string[] {
  return namesAt(object, sha256, SUFFIXES.object);
}

function namesAt({ source, offset, address }: CarvedObject, sha256: string, suffix: string): readonly string[] {
  const place = `${hostName(source)}-${offset === undefined ? address : hex(offset)}`;
  return DIGEST_LENGTHS.map((length) => `${place}-${sha256.slice(0, length)}.${suffix}`);
}

/** `prog-110-uprobe-2a8c45c2f0e905b1-5d2c0f1be6a7.xlated`. */
export function instructionNames({ id, name = '', tag }: LiveOccurrence['program'], sha256: string): readonly string[] {
  const program = ['prog', id ?? 'unknown', ...(name === '' ? [] : [reduceName(name)]), reduceName(tag)].join('-');
  return DIGEST_LENGTHS.map((length) => `${program}-${sha256.slice(0, length)}.xlated`);
}

/** What `name` is reduced to: 1 to 100 of `[A-Za-z0-9._-]`, the first neither a dot (hidden) nor a dash (an option). */
export function reduceName(name: string): string {
  const safe = name.replace(/[^A-Za-z0-9._-]/gu, '_').slice(0, MAX_HOST_NAME);
  return safe.replace(/^[.-]+/, (prefix) => '_'.repeat(prefix.length)) || 'unnamed';
}

function hostName(source: Source): string {
  switch (source.kind) {
    case 'file':
      return reduceName(posix.basename(source.path));
    case 'stdin':
      return 'stdin';
    case 'process':
      return `${reduceName(source.comm)}-${source.pid}`;
    default:
      return source satisfies never;
  }
}
