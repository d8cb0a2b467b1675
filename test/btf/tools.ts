// Reference tools and the objects of this machine, for tests that compare against them.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const VMLINUX = '/sys/kernel/btf/vmlinux';

export function have(...tools: readonly string[]): boolean {
  return tools.every((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0);
}

/** Standard output; throws when the tool fails. */
export function run(tool: string, args: readonly string[]): string {
  return execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] });
}

export function inTemporaryDirectory<T>(act: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'btf-test-'));
  try {
    return act(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The bytes of one ELF section; empty when there is none. */
export function section(object: string, name: string): Uint8Array {
  return inTemporaryDirectory((directory) => {
    const out = join(directory, 'section');
    spawnSync('llvm-objcopy-19', ['--dump-section', `${name}=${out}`, object, join(directory, 'copy')]);
    return existsSync(out) ? new Uint8Array(readFileSync(out)) : new Uint8Array();
  });
}

export function compile(source: string, object: string, flags: readonly string[] = ['-target', 'bpf']): void {
  execFileSync('clang-19', ['-g', '-O2', ...flags, '-c', source, '-o', object], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Objects that packages of this machine ship as files. */
export function shippedObjects(): string[] {
  const places = ['/usr/lib/x86_64-linux-gnu/bpf', '/usr/lib/aarch64-linux-gnu/bpf', '/lib/udev/rc_keymaps/protocols'];
  const cilium = '/usr/share/gocode/src/github.com/cilium/ebpf';
  return [...places, `${cilium}/testdata`, `${cilium}/btf/testdata`].flatMap((place) => {
    if (!existsSync(place)) return [];
    return readdirSync(place)
      .filter((name) => /\.(o|elf)$/.test(name))
      .map((name) => join(place, name));
  });
}

/** Objects embedded in host programs below `directory`, written to `into`; the section headers end a relocatable ELF. */
export function embeddedObjects(directory: string, names: readonly string[], into: string): string[] {
  return names.flatMap((name) => {
    const path = join(directory, name);
    if (!existsSync(path)) return [];
    const host = readFileSync(path);
    const at = host.indexOf(Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), 4);
    if (at < 0 || host.readUInt16LE(at + 18) !== 247) return [];
    const size = Number(host.readBigUInt64LE(at + 40)) + host.readUInt16LE(at + 58) * host.readUInt16LE(at + 60);
    const out = join(into, `${name}.bpf.o`);
    writeFileSync(out, host.subarray(at, at + size));
    return [out];
  });
}
