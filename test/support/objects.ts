// BPF objects of the installed Debian packages, found by a rule of their own so that tests of our carver and our
// parsers can rely on them: ELF magic, EM_BPF, and the section header table last, which holds for all of them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';

export interface FoundObject {
  /** `opensnoop+0x384b8`: the file it lies in and where. */
  readonly name: string;
  readonly path: string;
  readonly offset: number;
  readonly little: boolean;
  readonly bytes: Uint8Array;
}

/** Debian packages that carry BPF objects, bare or inside executables. */
export const OBJECT_PACKAGES = [
  'libbpf-tools',
  'xdp-tools',
  'libxdp1',
  'ir-keytable',
  'golang-github-cilium-ebpf-dev',
] as const;

const EM_BPF = 247;
const EHDR_SIZE = 64;
const SHDR_SIZE = 64;

/** Regular files of a package; none when it, or dpkg, is not installed. */
export function packageFiles(name: string): string[] {
  const listing = spawnSync('dpkg', ['-L', name], { encoding: 'utf8' });
  if (listing.status !== 0) return [];
  return listing.stdout
    .split('\n')
    .filter((path) => path !== '' && statSync(path, { throwIfNoEntry: false })?.isFile() === true);
}

/** The distinct objects of a package, in order of path and offset. */
export function packageObjects(name: string): FoundObject[] {
  const seen = new Set<string>();
  return packageFiles(name)
    .flatMap(objectsIn)
    .filter(({ bytes }) => {
      const digest = createHash('sha256').update(bytes).digest('hex');
      return !seen.has(digest) && seen.add(digest);
    });
}

/** Every whole ELF64 object for BPF in one file, wherever it begins. */
export function objectsIn(path: string): FoundObject[] {
  const file = readFileSync(path);
  const found: FoundObject[] = [];
  for (let at = file.indexOf('\x7fELF'); at >= 0; at = file.indexOf('\x7fELF', at + 1)) {
    const object = objectAt(file.subarray(at));
    if (object) found.push({ name: `${basename(path)}+0x${at.toString(16)}`, path, offset: at, ...object });
  }
  return found;
}

function objectAt(rest: Buffer): { little: boolean; bytes: Uint8Array } | undefined {
  if (rest.length < EHDR_SIZE || rest[4] !== 2 || (rest[5] !== 1 && rest[5] !== 2)) return undefined;
  const little = rest[5] === 1;
  const u16 = (at: number) => (little ? rest.readUInt16LE(at) : rest.readUInt16BE(at));
  if (u16(18) !== EM_BPF) return undefined;
  const tableOffset = Number(little ? rest.readBigUInt64LE(40) : rest.readBigUInt64BE(40));
  const end = tableOffset + SHDR_SIZE * u16(60);
  return end > EHDR_SIZE && end <= rest.length ? { little, bytes: rest.subarray(0, end) } : undefined;
}
