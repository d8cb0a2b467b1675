// Every CO-RE relocation of real objects, against what libbpf itself logs while bpftool loads them into this kernel.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { patchInstruction } from '../../src/btf/core-patch.ts';
import { CoreRelocator } from '../../src/btf/core-relocate.ts';
import { libbpfRules } from '../../src/btf/core-rules.ts';
import { formatCoreSpec } from '../../src/btf/core-spec.ts';
import { Btf } from '../../src/btf/decode.ts';
import { parseBtfExt } from '../../src/btf/ext.ts';
import { FormatError } from '../../src/diagnostics.ts';
import { compile, embeddedObjects, have, section, shippedObjects, VMLINUX } from './tools.ts';

const missing = !have('bpftool', 'llvm-objcopy-19', 'clang-19')
  ? 'needs bpftool, llvm-objcopy-19 and clang-19'
  : !existsSync(VMLINUX)
    ? `needs ${VMLINUX}`
    : process.getuid?.() !== 0
      ? 'needs root to load programs'
      : undefined;

const work = mkdtempSync(join(tmpdir(), 'core-oracle-'));
afterAll(() => rmSync(work, { recursive: true }));

const TOOLS = [
  'bashreadline',
  'bindsnoop',
  'biolatency',
  'biosnoop',
  'biotop',
  'cachestat',
  'capable',
  'cpudist',
].concat(
  ['execsnoop', 'filelife', 'ksnoop', 'mdflush', 'mountsnoop', 'offcputime', 'opensnoop', 'readahead', 'runqlat'],
  ['runqslower', 'sigsnoop', 'slabratetop', 'solisten', 'statsnoop', 'tcpconnect', 'tcplife', 'tcprtt', 'tcpstates'],
  ['tcpsynbl', 'tcptop', 'vfsstat', 'wakeuptime'],
);

function objects(): string[] {
  if (missing) return [];
  const own = join(work, 'core.bpf.o');
  compile(new URL('core.bpf.c', import.meta.url).pathname, own);
  const shipped = shippedObjects().filter((path) => path.endsWith('.o') && section(path, '.BTF.ext').length > 0);
  return [own, ...shipped, ...embeddedObjects('/usr/sbin', TOOLS, work)];
}

/** What libbpf says of each record it gets to, keyed by section and number. */
function libbpfLog(object: string): Map<string, string[]> {
  // Some objects pin their maps: a BPF file system of our own goes away with its mount namespace.
  const load = 'mount -t bpf none /sys/fs/bpf && exec bpftool -d prog loadall "$0" /sys/fs/bpf/loaded';
  const { stderr } = spawnSync('unshare', ['-m', 'sh', '-c', load, object], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const records = new Map<string, string[]>();
  let current = '';
  for (const line of stderr.split('\n')) {
    const found = /^libbpf: sec '(.*)': found \d+ CO-RE relocations$/.exec(line);
    if (found) current = found[1] ?? '';
    const said = /^libbpf: prog '.*': relo (#\d+): (.*)$/.exec(line);
    if (!said || current === '') continue;
    const key = `${current} ${said[1]}`;
    records.set(key, [...(records.get(key) ?? []), said[2] ?? '']);
  }
  return records;
}

/** The same story told by this room. */
function ourLog(object: string): Map<string, string[]> {
  const local = Btf.parse(section(object, '.BTF'));
  const kernel = Btf.parse(new Uint8Array(readFileSync(VMLINUX)));
  const rules = libbpfRules([1, 1]);
  const relocator = new CoreRelocator(local, { kernel }, rules);
  const records = new Map<string, string[]>();
  for (const { name, records: list } of parseBtfExt(section(object, '.BTF.ext')).coreRelocations) {
    const title = local.string(name);
    const code = section(object, title).slice();
    for (const [index, record] of list.entries()) {
      const result = relocator.relocate(record);
      if (result.outcome === 'refused') {
        records.set(`${title} #${index}`, ['refused']);
        continue;
      }
      const target = result.outcome === 'value' ? result.target : undefined;
      const answer = target ? `matching ${formatCoreSpec(kernel, target)}` : 'no matching targets found';
      const before = code.subarray(record.insnOffset, record.insnOffset + 16);
      records.set(`${title} #${index}`, [formatCoreSpec(local, result.local), answer, ...effect(before)]);

      function effect(insn: Uint8Array): string[] {
        if (result.outcome === 'refused') return [];
        try {
          const after = patchInstruction(insn, true, result, rules);
          insn.set(after);
          if (after[0] === 0x85) return ['poisoned'];
          return [`-> ${(after[0] ?? 0) & 4 || after[0] === 0x18 ? immediate(after) : immediate(after, 2)}`];
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
          return ['refused'];
        }
      }
    }
  }
  return records;
}

function immediate(insn: Uint8Array, at = 4): string {
  const view = new DataView(insn.buffer, insn.byteOffset, insn.byteLength);
  if (at === 2) return String(view.getInt16(2, true));
  if (insn[0] !== 0x18) return String(BigInt.asUintN(64, BigInt(view.getInt32(4, true))));
  return String((BigInt(view.getUint32(12, true)) << 32n) | BigInt(view.getUint32(4, true)));
}

/** libbpf's lines cut down to local spec, first match and effect. */
function essence(lines: readonly string[]): string[] {
  const [local = ''] = lines;
  const match = lines.find((line) => line.startsWith('matching candidate'));
  const answer = match ? match.replace(/^matching candidate #\d+/, 'matching') : 'no matching targets found';
  const patched = lines.find((line) => line.startsWith('patched insn'));
  const poisoned = lines.some((line) => line.startsWith('substituting insn'));
  return [local, answer, poisoned ? 'poisoned' : patched ? patched.replace(/^.* -> /, '-> ') : 'refused'];
}

describe.skipIf(missing)(`CO-RE against libbpf's own log${missing ? ` (${missing})` : ''}`, () => {
  test.each(objects().map((path) => [basename(path), path]))('%s', (_name, path) => {
    const theirs = libbpfLog(path);
    const ours = ourLog(path);
    expect([...theirs].map(([key, lines]) => [key, ...essence(lines)])).toEqual(
      [...theirs.keys()].map((key) => [key, ...(ours.get(key) ?? [])]),
    );
  });
});
