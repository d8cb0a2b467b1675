// Loads objects into the running kernel through the installed libbpf, each program on its own, in a mount namespace with a bpffs
// that goes away with it.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What became of one program. */
export interface Loading {
  /** Absent when libbpf did not open the object. */
  readonly name?: string;
  /** `link`: libbpf gave up before it asked the kernel. */
  readonly phase: 'open' | 'link' | 'load';
  /** errno; 0 when the program was loaded. */
  readonly error: number;
  readonly tag?: string;
  /** Hexadecimal; of programs that the kernel rejected. */
  readonly code?: string;
}

const SOURCE = new URL('load.c', import.meta.url).pathname;

/** Why nothing can be loaded here, if nothing can. */
export const UNABLE: string | undefined = (() => {
  if (process.getuid?.() !== 0) return 'not root';
  if (spawnSync('cc', ['-fsyntax-only', SOURCE]).status !== 0) return 'no C compiler with libbpf 1.0 or later';
  const mount = spawnSync('unshare', ['-m', 'mount', '-t', 'bpf', 'bpf', '/sys/fs/bpf']);
  return mount.status === 0 ? undefined : 'cannot mount a bpffs';
})();

/** The programs of each object, in libbpf's order. */
export function loadEach(objects: readonly Uint8Array[]): Loading[][] {
  const directory = mkdtempSync(join(tmpdir(), 'load-'));
  try {
    const tool = join(directory, 'load');
    execFileSync('cc', ['-o', tool, SOURCE, '-lbpf']);
    const paths = objects.map((bytes, index) => {
      const path = join(directory, `o${index}.o`);
      writeFileSync(path, bytes);
      return path;
    });
    const script = 'mount -t bpf bpf /sys/fs/bpf && exec "$0" "$@"';
    const text = execFileSync('unshare', ['-m', 'sh', '-c', script, tool, ...paths], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const loadings = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): Loading & { object: string } => JSON.parse(line));
    return paths.map((path) => loadings.filter(({ object }) => object === path));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
