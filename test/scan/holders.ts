// Processes that hold an object in a known way, made for one test and ended with it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { Diagnostic } from '../../src/diagnostics.ts';
import type { CarvedObject, ScanSummary } from '../../src/scan/events.ts';
import type { ScanOptions } from '../../src/scan/scan.ts';
import { scan } from '../../src/scan/scan.ts';
import type { FilePath } from '../../src/source/path.ts';

export const OBJECT = new URL('../../samples/built/bpfel/core.bpf.o', import.meta.url).pathname;

/** Why processes of others cannot be made and read here; `undefined` when they can. */
export function whyNot(): string | undefined {
  if (process.geteuid?.() !== 0) return 'needs root';
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'needs gcc';
  }
  return undefined;
}

let programs: string | undefined;

/** The directory of the compiled programs; the test file calls this first and removes it last. */
export function compilePrograms(): { readonly directory: string; readonly remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-holder-'));
  const compile = (name: string, ...flags: string[]) => {
    const source = new URL(`${name}.c`, import.meta.url).pathname;
    execFileSync('gcc', ['-O1', '-Wall', '-Wno-unused-result', ...flags, '-o', join(directory, name), source]);
  };
  compile('holder');
  compile('embedding', `-DOBJECT="${OBJECT}"`);
  programs = directory;
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export interface Holder {
  readonly child: ChildProcess;
  /** What it printed: pids, then the address. */
  readonly words: readonly string[];
  readonly pid: number;
  readonly address: string;
}

/** Starts a command that prints where it holds an object, as a path of `compilePrograms` or any other. */
export async function start(command: string, ...args: readonly string[]): Promise<Holder> {
  const child = spawn(command.includes('/') ? command : join(programs ?? '', command), args, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [chunk] = (await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => {
      throw new Error(`${command} ${args.join(' ')} ended before it held anything`);
    }),
  ])) as [Buffer];
  const words = chunk.toString().trim().split(' ');
  await untilAsleep(Number(words.at(-2)));
  return { child, words, pid: Number(words.at(-2)), address: words.at(-1) ?? '' };
}

/** What it does after it printed could still touch pages. */
async function untilAsleep(pid: number): Promise<void> {
  while (!/\) S /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) await setTimeout(5);
}

/** A holder of a copy of the object, in the way that holder.c knows by this name. */
export function hold(how: string, ...more: readonly string[]): Promise<Holder> {
  const directory = mkdtempSync(join(tmpdir(), 'bpfcarve-held-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const copy = join(directory, 'object');
  copyFileSync(OBJECT, copy);
  return start('holder', how, copy, join(directory, 'scratch'), ...more);
}

export interface Outcome {
  readonly objects: readonly CarvedObject[];
  readonly diagnostics: readonly Diagnostic[];
  readonly summary: ScanSummary;
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

export async function scanning(options: ScanOptions, targets: readonly FilePath[] = []): Promise<Outcome> {
  const objects: CarvedObject[] = [];
  const diagnostics: Diagnostic[] = [];
  const contents = new Map<string, Uint8Array>();
  let summary: ScanSummary | undefined;
  for await (const event of scan(targets, { jobs: 1, btf: 'none', content: true, ...options })) {
    if (event.event === 'object') {
      objects.push(event.object);
      if (event.content) contents.set(event.object.sha256, event.content);
    }
    if (event.event === 'diagnostic') diagnostics.push(event.diagnostic);
    if (event.event === 'summary') summary = event.summary;
  }
  if (summary === undefined) throw new Error('no summary');
  return { objects, diagnostics, summary, contents };
}

/** The lines `VmRSS` and `VmPTE` of a process's status. */
export function memoryOf(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .filter((line) => /^Vm(RSS|PTE)/.test(line))
    .join(' ');
}
