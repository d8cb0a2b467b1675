// Errors of the environment as diagnostics, with the errno name as their code.
import type { Diagnostic, Severity } from '../diagnostics.ts';
import { type PathName, placeOf } from './path.ts';

export function isErrno(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string';
}

const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; run as root to read it',
  EPERM: 'operation not permitted; run as root to read it',
  ENOENT: 'no such file or directory; it may have vanished',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  ELOOP: 'too many symbolic links, or replaced by one',
  EIO: 'input/output error of the device or filesystem',
  ENAMETOOLONG: 'path is too long for the system',
  ENXIO: 'no such device, or a socket',
  ESPIPE: 'not a regular file',
  ESTALE: 'stale network file handle',
  ETXTBSY: 'busy',
  EMFILE: 'too many open files; raise the limit with ulimit -n',
};

/**
 * What could not be done to `where`, and why.
 * @throws `error` itself when it is no error of the environment.
 */
export function errnoDiagnostic(
  error: unknown,
  where: string | PathName,
  what: string,
  severity: Severity = 'warning',
): Diagnostic {
  if (!isErrno(error)) throw error;
  return { severity, code: error.code, ...placeOf(where), message: `${what}: ${WORDS[error.code] ?? error.message}` };
}
