// Whether an evidence directory still is what its manifest says. Only reads, and only regular files inside it.
import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { type Difference, Differences, reportExtras, withDirectory, withRegularFile } from './differences.ts';
import { Directory } from './directory.ts';
import { MANIFEST, MANIFEST_DIGEST, OBJECTS } from './names.ts';
import { isSha256, type ListedFile, readManifest } from './read-manifest.ts';

export interface VerifyReport {
  readonly directory: string;
  /** Digest of `manifest.json` as it is now, to compare with one written down elsewhere. */
  readonly manifestSha256?: string;
  /** Files the manifest lists. */
  readonly files: number;
  /** Bytes of them that were hashed. */
  readonly bytes: number;
  /** None: the dump is as it was written. */
  readonly differences: readonly Difference[];
  /** Further differences, when there are more than 10,000. */
  readonly omitted?: number;
}

/**
 * Compares a dump with its manifest, and the manifest with its digest. Never follows a symbolic link below `path`, never
 * opens anything but regular files inside it, whatever the manifest claims. Throws EvidenceError when the directory itself
 * cannot be opened or listed.
 */
export function verifyEvidence(path: string): VerifyReport {
  const root = Directory.open(path);
  try {
    const differences = new Differences();
    const manifest = readSmallFile(root, MANIFEST, MAX_MANIFEST, differences);
    const manifestSha256 = manifest && checkDigest(root, manifest, differences);
    const listed = manifest && readManifest(manifest, (message) => differences.add('manifest', MANIFEST, message));
    const bytes = listed === undefined ? 0 : checkObjects(root, listed, differences);
    reportExtras(root, '', new Set([MANIFEST, MANIFEST_DIGEST, OBJECTS]), differences);
    return {
      directory: path,
      ...(manifestSha256 !== undefined && { manifestSha256 }),
      files: listed?.length ?? 0,
      bytes,
      differences: differences.list,
      ...(differences.omitted > 0 && { omitted: differences.omitted }),
    };
  } finally {
    root.close();
  }
}

/** About 200,000 objects; a string of this length is still within what V8 can hold. */
const MAX_MANIFEST = 256 << 20;
const MAX_DIGEST_LINE = 4096;
const CHUNK = 1 << 20;

/** Compares the digest recorded beside the manifest, and returns the actual one. */
function checkDigest(root: Directory, manifest: Uint8Array, differences: Differences): string {
  const actual = createHash('sha256').update(manifest).digest('hex');
  const line = readSmallFile(root, MANIFEST_DIGEST, MAX_DIGEST_LINE, differences);
  if (line === undefined) return actual;
  const recorded = line.toString('latin1', 0, 64);
  // sha256sum writes a star instead of the second space with --binary; on Linux both mean the same.
  if (!isSha256(recorded) || ![`  ${MANIFEST}\n`, ` *${MANIFEST}\n`].includes(line.toString('latin1', 64))) {
    differences.add('changed', MANIFEST_DIGEST, `it is not one line of 64 digits, two spaces and ${MANIFEST}`);
  } else if (recorded !== actual) {
    differences.add('changed', MANIFEST, `sha256 is ${actual}, ${MANIFEST_DIGEST} says ${recorded}`);
  }
  return actual;
}

/** Hashes every listed file and names every other one; returns the bytes hashed. */
function checkObjects(root: Directory, listed: readonly ListedFile[], differences: Differences): number {
  const names = new Set(listed.map(({ name }) => name));
  const bytes = withDirectory(root, OBJECTS, OBJECTS, differences, (objects) => {
    const sizes = listed.map((file) => checkFile(objects, file, differences));
    reportExtras(objects, `${OBJECTS}/`, names, differences);
    return sizes.reduce((sum, size) => sum + size, 0);
  });
  if (bytes !== undefined) return bytes;
  for (const name of names) differences.add('missing', `${OBJECTS}/${name}`, `${OBJECTS} could not be entered`);
  return 0;
}

/** Returns the bytes hashed. */
function checkFile(objects: Directory, file: ListedFile, differences: Differences): number {
  const path = `${OBJECTS}/${file.name}`;
  const hashed = withRegularFile(objects, file.name, path, differences, (fd, size) => {
    if (size === file.size) return digest(fd, size);
    differences.add('changed', path, `it is ${size} bytes, the manifest says ${file.size}`);
    return undefined;
  });
  if (hashed === undefined) return 0;
  if (hashed.sha256 !== file.sha256) {
    differences.add('changed', path, `sha256 is ${hashed.sha256}, the manifest says ${file.sha256}`);
  }
  return hashed.bytes;
}

/** Stops one chunk past `size`: a file that grows without end has another digest long before. */
function digest(fd: number, size: number): { readonly sha256: string; readonly bytes: number } {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK, size + 1));
  let bytes = 0;
  for (let count = -1; count !== 0 && bytes <= size; bytes += count) {
    count = readSync(fd, chunk);
    hash.update(chunk.subarray(0, count));
  }
  return { sha256: hash.digest('hex'), bytes };
}

function readSmallFile(root: Directory, name: string, limit: number, differences: Differences): Buffer | undefined {
  return withRegularFile(root, name, name, differences, (fd, size) => {
    if (size <= limit) return readWhole(fd, size);
    differences.add('manifest', name, `it is ${size} bytes, at most ${limit} are read`);
    return undefined;
  });
}

function readWhole(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let done = 0;
  for (let count = -1; count !== 0 && done < size; done += count) count = readSync(fd, bytes, { offset: done });
  return bytes.subarray(0, done);
}
