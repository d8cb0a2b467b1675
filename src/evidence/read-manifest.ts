// What a manifest claims, taken from bytes that anybody may have written. Reads no file: every claim is only a claim.
import { OBJECTS } from './names.ts';

/** A file the manifest lists, its claims well-formed. */
export interface ListedFile {
  /** Its name in `objects/`: one path component of `[A-Za-z0-9._-]`. */
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  /** The files it was made of, by sha256. */
  readonly derivedFrom: readonly string[];
}

type Problem = (message: string) => void;

/** The files a manifest lists. `problem` is told of every claim that makes no sense; undefined when there is no list at all. */
export function readManifest(bytes: Uint8Array, problem: Problem): readonly ListedFile[] | undefined {
  const manifest = parse(bytes, problem);
  if (manifest === undefined) return undefined;
  if (!isRecord(manifest) || !Array.isArray(manifest.files)) {
    problem('it has no list of files');
    return undefined;
  }
  const files = readFiles(manifest.files, problem);
  expectOrigins(files, problem);
  if (Array.isArray(manifest.objects)) expectFileOfEach(manifest.objects, files, problem);
  else problem('it has no list of objects');
  return files;
}

export function isSha256(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function parse(bytes: Uint8Array, problem: Problem): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    // The decoder throws TypeError; the parser SyntaxError, whose text quotes the input and is not repeated.
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
    problem(error instanceof SyntaxError ? 'it is not JSON' : 'it is not UTF-8');
    return undefined;
  }
}

function readFiles(claims: readonly unknown[], problem: Problem): readonly ListedFile[] {
  const files: ListedFile[] = [];
  const names = new Set<string>();
  const digests = new Set<string>();
  for (const [index, claim] of claims.entries()) {
    const file = readFile(claim, (message) => problem(`files[${index}]: ${message}`));
    if (file === undefined) continue;
    if (digests.has(file.sha256)) problem(`files[${index}]: sha256 ${file.sha256} is listed twice`);
    if (names.has(file.name)) problem(`files[${index}]: path ${quote(`${OBJECTS}/${file.name}`)} is listed twice`);
    else files.push(file);
    names.add(file.name);
    digests.add(file.sha256);
  }
  return files;
}

function readFile(claim: unknown, problem: Problem): ListedFile | undefined {
  if (!isRecord(claim)) {
    problem('it is not an object');
    return undefined;
  }
  const { path, size, sha256, occurrences, derivedFrom = [] } = claim;
  if (!Array.isArray(occurrences) || occurrences.length === 0) problem('it does not say where its bytes were found');
  const name = typeof path === 'string' ? nameIn(path) : undefined;
  if (name === undefined) problem(`path ${quote(path)} is not ${OBJECTS}/NAME`);
  if (!isSize(size)) problem(`size ${quote(size)} is not a number of bytes`);
  if (!isSha256(sha256)) problem(`sha256 ${quote(sha256)} is not 64 hexadecimal digits`);
  const origins = isListOfSha256(derivedFrom) ? derivedFrom : undefined;
  if (origins === undefined) problem('derivedFrom is not a list of sha256');
  if (name === undefined || !isSize(size) || !isSha256(sha256)) return undefined;
  return { name, size, sha256, derivedFrom: origins ?? [] };
}

function isListOfSha256(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isSha256);
}

/** What a file was made of is in the dump as well: nobody has to believe that the two belong together. */
function expectOrigins(files: readonly ListedFile[], problem: Problem): void {
  const digests = new Set(files.map(({ sha256 }) => sha256));
  for (const { name, sha256, derivedFrom } of files) {
    for (const origin of derivedFrom) {
      const path = quote(`${OBJECTS}/${name}`);
      if (origin === sha256) problem(`path ${path}: it is derived from itself`);
      else if (!digests.has(origin)) problem(`path ${path}: no file has the sha256 ${origin} that it is derived from`);
    }
  }
}

function expectFileOfEach(objects: readonly unknown[], files: readonly ListedFile[], problem: Problem): void {
  const digests = new Set(files.map(({ sha256 }) => sha256));
  for (const [index, object] of objects.entries()) {
    const sha256 = isRecord(object) ? object.sha256 : undefined;
    if (!isSha256(sha256) || !digests.has(sha256)) problem(`objects[${index}]: no file has sha256 ${quote(sha256)}`);
  }
}

/** The only paths a dump has: `objects/` and one harmless name. Whatever else is claimed is never looked at. */
function nameIn(path: string): string | undefined {
  const prefix = `${OBJECTS}/`;
  const name = path.slice(prefix.length);
  if (!path.startsWith(prefix) || name.length > 255 || name === '.' || name === '..') return undefined;
  return /^[A-Za-z0-9._-]+$/.test(name) ? name : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** A claim as a message shows it: short, and no more than its kind when it is not a plain value. */
function quote(value: unknown): string {
  if (value === undefined) return '(absent)';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? '(a list)' : '(an object)';
  if (typeof value !== 'string') return String(value);
  const shown = JSON.stringify(value.slice(0, MAX_QUOTED));
  return value.length > MAX_QUOTED ? `${shown} (the first ${MAX_QUOTED} of ${value.length} characters)` : shown;
}

const MAX_QUOTED = 120;
