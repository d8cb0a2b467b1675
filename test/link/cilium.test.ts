// cilium/ebpf lays code out in another order and has CO-RE rules of its own: loaded through its Debian package and compared.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Btf } from '../../src/btf/decode.ts';
import type { Target } from '../../src/link/kernel.ts';
import { tagCode } from '../../src/link/tag.ts';
import { openObject } from '../../src/object/open.ts';
import { NO_BTF, thisMachine, VMLINUX } from './host.ts';
import { GROUPS } from './objects.ts';
import { withoutNewKinds } from './old-btf.ts';
import { linkWith, loaderOf } from './one.ts';

const GOPATH = '/usr/share/gocode';
const SOURCE = new URL('cilium.go', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'cilium-'));
const tool = join(directory, 'tool');
const oldBtf = join(directory, 'kernel.btf');

const missing: string | undefined = (() => {
  if (process.getuid?.() !== 0) return 'not root';
  if (NO_BTF !== undefined) return NO_BTF;
  if (!existsSync(join(GOPATH, 'src/github.com/cilium/ebpf'))) return 'golang-github-cilium-ebpf-dev is not installed';
  const environment = { ...process.env, GO111MODULE: 'off', GOPATH, GOCACHE: join(directory, 'cache') };
  const build = spawnSync('go', ['build', '-o', tool, SOURCE], { env: environment, cwd: directory });
  return build.status === 0 ? undefined : 'no Go compiler';
})();

interface Tally {
  'programs loaded': number;
  right: number;
  'not loadable': number;
  'of these predicted to be refused': number;
}

const table: Record<string, Tally> = {};
afterAll(() => {
  if (missing === undefined) console.table(table);
  rmSync(directory, { recursive: true });
});

/** The release of Debian 12. */
const INSTALLED = loaderOf('cilium', '0');

describe.each(GROUPS)('programs of $group through cilium/ebpf', ({ group, objects }) => {
  const reason = missing ?? (objects.length === 0 ? `${group} is not installed` : undefined);

  test.skipIf(reason !== undefined)(
    `get the tags that were predicted${reason ? ` (skipped: ${reason})` : ''}`,
    () => {
      const old = withoutNewKinds(new Uint8Array(readFileSync(VMLINUX)));
      writeFileSync(oldBtf, old);
      const target: Target = { ...thisMachine(), kernelBtf: Btf.parse(old) };
      const tally: Tally = {
        'programs loaded': 0,
        right: 0,
        'not loadable': 0,
        'of these predicted to be refused': 0,
      };
      table[group] = tally;
      const paths = objects.map(({ bytes }, index) => {
        const path = join(directory, `o${index}.o`);
        writeFileSync(path, bytes);
        return path;
      });
      const run = spawnSync(tool, [oldBtf, ...paths], { encoding: 'utf8', maxBuffer: 1 << 28 });
      expect(run.status, run.stderr).toBe(0);
      const misses: string[] = [];
      for (const line of run.stdout.split('\n')) {
        const [path = '', name = '', tag = '', why = ''] = line.split('\t');
        const found = objects[paths.indexOf(path)];
        if (found === undefined || name === '-') continue;
        const linked = linkWith(INSTALLED, openObject(found.bytes), target, name);
        if (tag === '-') {
          tally['not loadable']++;
          if (!('code' in linked)) tally['of these predicted to be refused']++;
          continue;
        }
        tally['programs loaded']++;
        const mine = 'code' in linked ? Object.values(tagCode(linked.code, true)) : [linked.reason];
        if (mine.includes(tag)) tally.right++;
        else misses.push(`${found.name} ${name}: loaded as ${tag}, predicted ${mine.join(' or ')} ${why}`);
      }
      expect(misses).toEqual([]);
    },
    600_000,
  );
});
