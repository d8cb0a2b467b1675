// What a source of bytes is called: the records that name it in every report.
// Opens and reads nothing.

export interface FileSource {
  readonly kind: 'file';
  /** As reached from the command line; bytes that are not UTF-8 stand as `\xNN`. */
  readonly path: string;
  /** The exact bytes of the path, only when `path` could not hold them. */
  readonly pathBase64?: string;
  /** Bytes, when the object was read. */
  readonly size: number;
}

export interface StdinSource {
  readonly kind: 'stdin';
  /** Bytes, where the end was known when the object was read. */
  readonly size?: number;
}

export interface ProcessSource {
  readonly kind: 'process';
  readonly pid: number;
  /** ISO 8601: the kernel's boot time, known to the second, and the clock ticks from there. With `pid` it names one process. */
  readonly startTime: string;
  /** Up to 15 bytes that the process can set itself; bytes that are not UTF-8 stand as `\xNN`. */
  readonly comm: string;
  /** As the kernel says it, with ` (deleted)` at the end when the file has no name any more. Absent when it cannot be told. */
  readonly exe?: string;
  /** The exact bytes of `exe`, only when it could not hold them. */
  readonly exeBase64?: string;
  /** The pid that the process has in its own pid namespace, when that is not this program's. */
  readonly namespacePid?: number;
  /** The path in the unified cgroup hierarchy, or else in the first named one; absent for the root. */
  readonly cgroup?: string;
  /** The 64 hexadecimal digits that container runtimes put in that path. */
  readonly container?: string;
}

/** A mapping of a process, as /proc/PID/maps tells it. */
export interface Region {
  readonly start: string;
  readonly end: string;
  /** `r-xp`; absent facts of a core file are `?`. */
  readonly permissions: string;
  /** Of `start` in the mapped file: a number, or `0x…` beyond 2^53. */
  readonly offset?: number | string;
  /** The mapped file, or a name in brackets such as `[heap]`. */
  readonly path?: string;
  /** The exact bytes of `path`, only when it could not hold them. */
  readonly pathBase64?: string;
  /** A number, or `0x…` beyond 2^53. */
  readonly inode?: number | string;
}

export type Source = FileSource | StdinSource | ProcessSource;
