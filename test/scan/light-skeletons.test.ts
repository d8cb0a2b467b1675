// Live programs that light skeletons loaded, explained by the file that carries the skeleton and by the memory of who ran it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { live } from '../../src/scan/live.ts';
import type { ExplainedProgram } from '../../src/scan/live-report.ts';
import { buildHost, COMPILERS, generateSkeleton, NO_LOADING } from '../carve/skeletons.ts';
import { sampleBytes } from '../support/every-kind.ts';
import { heldPrograms } from './programs.ts';

interface Running {
  readonly path: string;
  readonly child: ChildProcess;
  readonly tags: readonly string[];
}

describe.skipIf(NO_LOADING)(`running light skeletons${NO_LOADING ? ` (${NO_LOADING})` : ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'light-live-'));
  const running: Running[] = [];
  let programs: readonly ExplainedProgram[] = [];

  beforeAll(async () => {
    for (const object of readdirSync(new URL('../../samples/built/bpfel', import.meta.url))) {
      const name = object.replace('.bpf.o', '');
      const skeleton = generateSkeleton(sampleBytes(`bpfel/${name}`));
      const compiler = COMPILERS[running.length % COMPILERS.length] ?? 'gcc';
      if (skeleton === undefined) continue;
      const path = join(directory, name);
      writeFileSync(path, buildHost(skeleton, compiler, ['-O2']).bytes);
      chmodSync(path, 0o755);
      const started = await start(path);
      if (started) running.push({ path, ...started });
    }
    // The kernel still has the bytes of an executable that was removed.
    if (running[0]) unlinkSync(running[0].path);
    const ours = new Set(running.flatMap(({ child }) => heldPrograms(child.pid ?? 0)));
    const report = await live({ jobs: 1 });
    programs = report.programs.filter(({ id }) => id !== undefined && ours.has(id));
  });
  afterAll(async () => {
    for (const { child } of running) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(directory, { recursive: true, force: true });
  });

  test('are explained, every program of them, by the skeleton in their own file', () => {
    console.log(`${programs.length} programs of ${running.length} light skeletons`);
    expect(running.length).toBeGreaterThan(5);
    expect(programs.map(({ tag }) => tag).sort()).toEqual(running.flatMap(({ tags }) => tags).sort());
    for (const program of programs) {
      const found = [program.origin, ...(program.otherOrigins ?? []), ...(program.identicalTo ?? [])];
      const own = running.find(({ child }) => program.holders.some(({ pid }) => pid === child.pid));
      expect(found, program.name).toContainEqual(
        expect.objectContaining({
          algorithm: expect.stringMatching(/^sha/),
          loader: 'libbpf-light',
          object: expect.objectContaining({ kind: 'light-skeleton', source: expect.objectContaining(sourceOf(own)) }),
        }),
      );
    }
  });

  function sourceOf(own: Running | undefined): object {
    return own === running[0] ? { kind: 'file' } : { kind: 'file', path: own?.path };
  }
});

/** A host that loaded its programs, and their tags as it printed them; nothing when the kernel took them not. */
async function start(path: string): Promise<{ child: ChildProcess; tags: readonly string[] } | undefined> {
  const child = spawn(path, { stdio: ['pipe', 'pipe', 'ignore'] });
  const said = await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => undefined)]);
  if (said === undefined) return undefined;
  return { child, tags: String(said[0]).trim().split('\n') };
}
