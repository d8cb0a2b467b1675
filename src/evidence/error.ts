// What stops a dump, in words a person can act on.
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/**
 * An evidence directory that cannot be made, written or opened. `code` is an errno name (`ENOSPC`), or
 * `content-mismatch` (bytes that do not have the announced sha256 and size), `replaced` (the directory or a file was
 * exchanged meanwhile) or `incomplete` (an object of the report was never written).
 */
export class EvidenceError extends Error {
  override readonly name = 'EvidenceError';
  readonly code: string;
  /** The file or directory concerned, as a person would type it. */
  readonly path: string;

  constructor(code: string, path: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.path = path;
  }
}

/** Runs one step on the file system; a system error becomes an EvidenceError that says `task` and `path`, a bug passes. */
export function during<T>(task: string, path: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw explained(task, path, error);
  }
}

/** The EvidenceError for a system error; any other error as it is. */
export function explained(task: string, path: string, error: unknown): unknown {
  return isSystemError(error) ? systemFailure(task, path, error.code, { cause: error }) : error;
}

/** `cannot create /evidence: file already exists (EEXIST); …` with what to do about it. */
export function systemFailure(task: string, path: string, code: string, options?: ErrorOptions): EvidenceError {
  const advice = ADVICE[code];
  const message = `cannot ${task} ${path}: ${reason(code)}${advice === undefined ? '' : `; ${advice}`}`;
  return new EvidenceError(code, path, message, options);
}

export function isSystemError(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'errno' in error && 'code' in error && typeof error.code === 'string';
}

/** `no space left on device (ENOSPC)` */
export function reason(code: string): string {
  const errno = Object.entries(constants.errno).find(([name]) => name === code)?.[1] ?? 0;
  return `${getSystemErrorMap().get(-errno)?.[1] ?? 'system error'} (${code})`;
}

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'choose a directory you may write to',
  EDQUOT: 'free some of your quota or choose a directory on another file system',
  EEXIST: 'nothing that exists is overwritten; choose a new directory',
  EFBIG: 'raise the file size limit (ulimit -f) or choose a directory on another file system',
  ELOOP: 'a symbolic link is never followed here',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENOENT: 'it, or a directory on the way to it, does not exist',
  ENOSPC: 'free some space or choose a directory on another file system',
  ENOTDIR: 'it, or something on the way to it, is not a directory',
  EPERM: 'choose a directory you may write to',
  EROFS: 'choose a directory on a file system that is mounted writable',
};
