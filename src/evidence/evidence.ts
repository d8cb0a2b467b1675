// The evidence directory of a dump: objects by their content, a manifest, and the proof that both are unchanged.
// It decides nothing about what is evidence: it keeps the bytes it is given, and says what it could not keep.
import { createHash, type Hash } from 'node:crypto';
import { mkdirSync, realpathSync } from 'node:fs';
import { posix } from 'node:path';
import type { CarvedObject } from '../scan/events.ts';
import { Directory } from './directory.ts';
import { during, EvidenceError } from './error.ts';
import { type DumpedFile, type LiveOccurrence, manifestText, type ObjectReport, type Occurrence } from './manifest.ts';
import { derivedNames, instructionNames, MANIFEST, MANIFEST_DIGEST, OBJECTS, objectNames } from './names.ts';
import { flushFiles, moveToNew, writeNewFile } from './write.ts';

export type { Difference } from './differences.ts';
export type { DumpedFile, Manifest, Occurrence } from './manifest.ts';
export { type VerifyReport, verifyEvidence } from './verify.ts';

/** What a closed dump holds. */
export interface EvidenceSummary {
  /** Files under `objects/`. */
  readonly files: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Digest of `manifest.json`: written down elsewhere, it seals the whole dump. */
  readonly manifestSha256: string;
}

/**
 * A dump being written: `create`, `add` for every object found, then `close` once (or `abandon`).
 *
 * Nothing that exists is overwritten and no symbolic link is followed, whatever is planted meanwhile. Against somebody with
 * the rights of the same user, or root, the promise ends there: they can change a file after it was written, and
 * `verifyEvidence` tells.
 */
export class EvidenceDirectory {
  /** Absolute, without symbolic links: what a scan of a tree around it should leave out. */
  readonly path: string;
  readonly #root: Directory;
  readonly #objects: Directory;
  /** By sha256. */
  readonly #kept = new Map<string, KeptFile>();
  #open = true;

  /**
   * Makes the directory, with its missing parents, for its user alone (0700), or takes an existing empty one as it is.
   * Throws EvidenceError: `ENOTEMPTY` when something is in it, else the errno of what failed.
   */
  static create(path: string): EvidenceDirectory {
    makeDirectory(path);
    const root = Directory.open(path);
    try {
      refuseContents(root);
      during('create directory', root.pathOf(OBJECTS), () => mkdirSync(root.at(OBJECTS), 0o700));
      return new EvidenceDirectory(root, root.openChild(OBJECTS));
    } catch (error) {
      root.close();
      throw error;
    }
  }

  private constructor(root: Directory, objects: Directory) {
    this.#root = root;
    this.#objects = objects;
    this.path = during('resolve', root.path, () => realpathSync(root.path));
  }

  /**
   * Keeps carved bytes: one file for each sha256, however often it comes; and beside those of code that is no ELF object, the
   * same programs as one. `content` and `elf` are needed only the first time a sha256 is seen. Throws EvidenceError when they
   * cannot be written, or `content` is not what the record's sha256 and size say.
   */
  add(object: CarvedObject, content?: Uint8Array, elf?: Uint8Array): void {
    this.#refuseEnded();
    if (content === undefined || this.#kept.get(object.sha256)?.isCarved) return;
    refuseOtherBytes(this.#objects, object, content);
    this.#keep(object.sha256, content, () => objectNames(object)).isCarved = true;
    if (elf === undefined) return;
    const sha256 = digestOf(elf);
    this.#keep(sha256, elf, () => derivedNames(object, sha256)).derivedFrom.add(object.sha256);
  }

  /** Keeps the instructions of a live program; equal ones once. Throws EvidenceError when they cannot be written. */
  addInstructions(program: LiveOccurrence['program'], xlated: Uint8Array): void {
    this.#refuseEnded();
    const sha256 = digestOf(xlated);
    this.#keep(sha256, xlated, () => instructionNames(program, sha256)).programs.push({ program });
  }

  /**
   * Puts the files on the disk, writes the manifest and its digest, and ends the dump. Files are named for their first
   * occurrence in the report, whatever the order in which they came. Throws EvidenceError, `incomplete` when an object of
   * the report was never written; the files written so far then stay, without a manifest.
   */
  async close(report: ObjectReport, argv: readonly string[]): Promise<EvidenceSummary> {
    this.#refuseEnded();
    try {
      const files = this.#nameFiles(report.objects);
      this.#refuseReplacement();
      await flushFiles(
        this.#objects,
        files.map(({ path }) => path.slice(OBJECTS.length + 1)),
      );
      this.#objects.sync();
      const manifestSha256 = this.#writeManifest(manifestText({ ...report, argv, files }));
      this.#root.sync();
      this.#refuseReplacement();
      return { files: files.length, bytes: files.reduce((sum, file) => sum + file.size, 0), manifestSha256 };
    } finally {
      this.abandon();
    }
  }

  /** Ends the dump without a manifest and leaves what was written. Harmless when it has ended already. */
  abandon(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#objects.close();
    this.#root.close();
  }

  /** A closed descriptor's number may by now be another directory's. */
  #refuseEnded(): void {
    if (!this.#open) throw new Error(`the dump in ${this.path} has ended`);
  }

  #keep(sha256: string, bytes: Uint8Array, names: () => readonly string[]): KeptFile {
    const known = this.#kept.get(sha256);
    if (known) return known;
    const name = writeNewFile(this.#objects, names(), [bytes], 'flushed later');
    const kept = { name, size: bytes.length, isCarved: false, derivedFrom: new Set<string>(), programs: [] };
    this.#kept.set(sha256, kept);
    return kept;
  }

  #nameFiles(objects: readonly CarvedObject[]): readonly DumpedFile[] {
    const places = bySha256(objects);
    const lost = [...places.keys()].filter((sha256) => !this.#kept.get(sha256)?.isCarved).length;
    if (lost > 0) {
      const message = `${this.#root.path} is incomplete: ${lost} of ${places.size} distinct objects were not written`;
      throw new EvidenceError('incomplete', this.#root.path, message);
    }
    const order = new Set([...places.keys(), ...this.#kept.keys()]);
    return [...order].flatMap((sha256) => {
      const kept = this.#kept.get(sha256);
      return kept ? this.#describe(sha256, kept, places) : [];
    });
  }

  #describe(sha256: string, kept: KeptFile, places: Places): DumpedFile {
    const derivedFrom = [...kept.derivedFrom];
    const own = places.get(sha256);
    const found = own ?? derivedFrom.flatMap((origin) => places.get(origin) ?? []);
    const [first] = found;
    if (first) this.#rename(kept, own ? objectNames(first) : derivedNames(first, sha256));
    return {
      path: `${OBJECTS}/${kept.name}`,
      size: kept.size,
      sha256,
      occurrences: [...found.map(occurrence), ...kept.programs],
      ...(derivedFrom.length > 0 && { derivedFrom }),
    };
  }

  #rename(kept: KeptFile, names: readonly string[]): void {
    if (!names.includes(kept.name)) kept.name = moveToNew(this.#objects, kept.name, names);
  }

  #refuseReplacement(): void {
    if (this.#root.isInPlace() && this.#root.holds(OBJECTS, this.#objects)) return;
    const { path } = this.#root;
    throw new EvidenceError('replaced', path, `${path} was renamed or replaced while it was being written`);
  }

  #writeManifest(text: Iterable<Uint8Array>): string {
    const hash = createHash('sha256');
    writeNewFile(this.#root, [MANIFEST], hashing(text, hash), 'safe');
    const digest = hash.digest('hex');
    writeNewFile(this.#root, [MANIFEST_DIGEST], [Buffer.from(`${digest}  ${MANIFEST}\n`)], 'safe');
    return digest;
  }
}

/** A file in `objects/`, and why it is there. */
interface KeptFile {
  name: string;
  readonly size: number;
  /** Found as it is, at a place. */
  isCarved: boolean;
  /** sha256 of what it was made of. */
  readonly derivedFrom: Set<string>;
  /** Live programs that have these instructions. */
  readonly programs: LiveOccurrence[];
}

/** The places of each content by sha256, in the order of the report. */
type Places = ReadonlyMap<string, readonly CarvedObject[]>;

function bySha256(objects: readonly CarvedObject[]): Places {
  const places = new Map<string, CarvedObject[]>();
  for (const object of objects) {
    const found = places.get(object.sha256);
    if (found === undefined) places.set(object.sha256, [object]);
    else found.push(object);
  }
  return places;
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function occurrence({ source, offset, address, region, within }: CarvedObject): Occurrence {
  return {
    source,
    ...(offset !== undefined && { offset }),
    ...(address !== undefined && { address }),
    ...(region !== undefined && { region }),
    ...(within !== undefined && { within }),
  };
}

function* hashing(chunks: Iterable<Uint8Array>, hash: Hash): Generator<Uint8Array> {
  for (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** mkdirSync's own `recursive` turns EROFS into ENOENT (Node 20). What exists already is judged when it is opened. */
function makeDirectory(path: string): void {
  try {
    during('create directory', path, () => mkdirSync(path, 0o700));
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    if (error.code === 'EEXIST') return;
    const parent = posix.dirname(path);
    if (error.code !== 'ENOENT' || parent === path) throw error;
    makeDirectory(parent);
    during('create directory', path, () => mkdirSync(path, 0o700));
  }
}

function refuseContents(directory: Directory): void {
  const count = directory.names().length;
  if (count === 0) return;
  const holds = `it is not empty (${count} ${count === 1 ? 'entry' : 'entries'})`;
  const message = `cannot dump into ${directory.path}: ${holds}; choose a new or empty directory`;
  throw new EvidenceError('ENOTEMPTY', directory.path, message);
}

function refuseOtherBytes(directory: Directory, object: CarvedObject, content: Uint8Array): void {
  const sha256 = digestOf(content);
  if (sha256 === object.sha256 && content.byteLength === object.size) return;
  const announced = `announced as ${object.size} bytes with sha256 ${object.sha256}`;
  const message = `cannot write to ${directory.path}: ${announced}, got ${content.byteLength} bytes with ${sha256}`;
  throw new EvidenceError('content-mismatch', directory.path, message);
}
