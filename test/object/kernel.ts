// Loads objects into the running kernel with bpftool and asks what became of them. Everything is pinned below /sys/fs/bpf,
// which is a bpffs of its own in a private mount namespace: maps that pin themselves by name go there too, and nothing
// outlives the call.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

export interface LoadedProgram {
  /** In full: bpftool names the pin after it. */
  readonly name: string;
  readonly type: string;
}
export interface LoadedMap {
  /** As the kernel has it: at most 15 characters. */
  readonly name: string;
  readonly type: string | number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}
export interface Loaded {
  readonly programs: readonly LoadedProgram[];
  readonly maps: readonly LoadedMap[];
}

interface Shown {
  readonly type: string | number;
  readonly name?: string;
  readonly pinned?: readonly string[];
  readonly bytes_key?: number;
  readonly bytes_value?: number;
  readonly max_entries?: number;
  readonly flags?: number;
}

/** libbpf puts the file's name, up to its first dot, in front of the names of data maps. */
export const OBJECT_NAME = 'x';

const BPFFS = '/sys/fs/bpf';
const MOUNT = `mount -t bpf bpf ${BPFFS}`;

export const UNABLE = (() => {
  if (process.getuid?.() !== 0) return 'not root';
  if (spawnSync('bpftool', ['version']).status !== 0) return 'no bpftool';
  const mount = spawnSync('unshare', ['-m', 'sh', '-c', MOUNT]);
  return mount.status === 0 ? undefined : 'cannot mount a bpffs';
})();

/** `undefined` when the kernel, or libbpf, refuses the object. */
export function load(object: Uint8Array): Loaded | undefined {
  return withFile(object, (path) => {
    const script = [
      'set -e',
      MOUNT,
      `bpftool prog loadall "$1" ${BPFFS}/programs pinmaps ${BPFFS}/maps >&2`,
      'bpftool -jf prog show',
      'bpftool -jf map show',
    ];
    const run = spawnSync('unshare', ['-m', 'sh', '-c', script.join('; '), 'sh', path], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    if (run.status !== 0) return undefined;
    const [programs = '[]', maps = '[]'] = run.stdout.split('\n').filter((line) => line !== '');
    return { programs: programsOf(JSON.parse(programs)), maps: mapsOf(JSON.parse(maps)) };
  });
}

/** Which subprograms libbpf appended to each program, in order, whatever the kernel then said: `main: b, a`. */
export function linkOrder(object: Uint8Array): string[] {
  return withFile(object, (path) => {
    const script = `${MOUNT} && exec bpftool -d prog loadall "$1" ${BPFFS}/programs`;
    const options = { encoding: 'utf8', maxBuffer: 1 << 28 } as const;
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', path], options);
    const order = new Map<string, string[]>();
    for (const line of `${stdout}${stderr}`.split('\n')) {
      const { main, subprogram } = APPENDED.exec(line)?.groups ?? {};
      if (main === undefined || subprogram === undefined) continue;
      order.set(main, [...(order.get(main) ?? []), subprogram]);
    }
    return [...order].map(([main, subprograms]) => `${main}: ${subprograms.join(', ')}`).sort();
  });
}

const APPENDED = /^libbpf: prog '(?<main>.*)': added \d+ insns from sub-prog '(?<subprogram>.*)'$/;

function withFile<T>(object: Uint8Array, act: (path: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'load-'));
  try {
    const path = join(directory, `${OBJECT_NAME}.o`);
    writeFileSync(path, object);
    return act(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function programsOf(shown: readonly Shown[]): LoadedProgram[] {
  return shown.flatMap(({ pinned = [], type }) => {
    // A pin is listed once for each bpffs that is mounted at its path.
    const pins = new Set(pinned.filter((pin) => pin.startsWith(`${BPFFS}/programs/`)));
    return [...pins].map((pin) => ({ name: basename(pin), type: String(type) }));
  });
}

function mapsOf(shown: readonly Shown[]): LoadedMap[] {
  return shown
    .filter(({ pinned = [] }) => pinned.some((pin) => pin.startsWith(`${BPFFS}/maps/`)))
    .map(({ name = '', type, bytes_key = 0, bytes_value = 0, max_entries = 0, flags = 0 }) => ({
      name,
      type,
      keySize: bytes_key,
      valueSize: bytes_value,
      maxEntries: max_entries,
      flags,
    }));
}
