// Dumps to test with: carved objects and reports around any bytes, and directories that go away with their test.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { EvidenceDirectory } from '../../src/evidence/evidence.ts';
import type { CarvedObject, ScanReport } from '../../src/scan/events.ts';

export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** An object whose bytes are `content`, found in a host file. */
export function objectOf(content: Uint8Array | string, path = '/usr/sbin/opensnoop', offset = 0x38498): CarvedObject {
  const bytes = Buffer.from(content);
  return {
    kind: 'object',
    sha256: sha256(bytes),
    size: bytes.byteLength,
    completeness: 'whole',
    elf: { class: 64, endianness: 'little', type: 'REL', sections: 16 },
    source: { kind: 'file', path, size: 244200 },
    offset,
    programs: [],
    maps: [],
    diagnostics: [],
  };
}

/** A record of another kind whose bytes are `content`, found in a host file. */
export function recordOf(
  kind: Exclude<CarvedObject['kind'], 'object'>,
  content: Uint8Array | string,
  path = '/usr/sbin/raw',
  offset = 0x40,
): CarvedObject {
  const { sha256, size, source, programs, maps, diagnostics } = objectOf(content, path);
  const common = { sha256, size, source, offset, programs, maps, diagnostics, endianness: 'little' } as const;
  switch (kind) {
    case 'light-skeleton': {
      const loader = { offset: 0, instructions: 1, tags: [] };
      return { kind, completeness: 'whole', loader, signed: false, ...common };
    }
    case 'instructions':
      return { kind, completeness: 'whole', trust: 'probable', ...common };
    case 'classic-filter':
      return { kind, completeness: 'whole', instructions: 1, filter: ['(000) ret      #0'], ...common };
    case 'btf':
      return { kind, completeness: 'partial', functions: [], variables: {}, ...common };
    default:
      return kind satisfies never;
  }
}

export function reportOf(objects: readonly CarvedObject[]): ScanReport {
  return {
    schemaVersion: 1,
    tool: { name: 'bpfcarve', version: '0.1.0' },
    command: 'scan',
    startedAt: '2026-01-02T03:04:05.678Z',
    finishedAt: '2026-01-02T03:04:06.678Z',
    host: { hostname: 'host', kernelRelease: '6.1.0', arch: 'x64' },
    objects,
    diagnostics: [],
    summary: {
      sources: 1,
      bytes: 244200,
      candidates: objects.length,
      objects: objects.length,
      distinct: new Set(objects.map((object) => object.sha256)).size,
      rejected: {},
      unreadable: 0,
      elapsedMs: 1000,
    },
  };
}

/** A fresh empty directory, removed when the test ends. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'evidence-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export const ARGV = ['bpfcarve', 'scan', '/usr', '--dump', 'evidence'];

/** A closed dump of these contents, each found at an offset of its own. */
export async function dumpOf(...contents: readonly (Uint8Array | string)[]): Promise<string> {
  const path = join(temporaryDirectory(), 'evidence');
  const evidence = EvidenceDirectory.create(path);
  const objects = contents.map((content, index) => objectOf(content, '/usr/sbin/opensnoop', 0x100 + index));
  for (const [index, object] of objects.entries()) evidence.add(object, Buffer.from(contents[index] ?? ''));
  await evidence.close(reportOf(objects), ARGV);
  return path;
}

/** Where `dumpOf` puts a content: relative to the dump. */
export function fileOf(content: Uint8Array | string, index = 0): string {
  return `objects/opensnoop-0x${(0x100 + index).toString(16)}-${sha256(content).slice(0, 12)}.bpf.o`;
}
