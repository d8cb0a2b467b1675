import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const skeleton = join(root, 'samples/built/hosts/skeleton');
let project: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'bpfcarve-package-'));
  const home = join(project, 'node_modules/bpfcarve');
  mkdirSync(home, { recursive: true });
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', project], {
    cwd: root,
  });
  execFileSync('tar', ['-xzf', join(project, packed.toString().trim()), '-C', home, '--strip-components=1']);
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(project, { recursive: true, force: true }));

const USE = `
import { Btf, disassemble, ElfFile, predictTags, scan, type CarvedObject, type ScanEvent } from 'bpfcarve';

const found: CarvedObject[] = [];
for await (const event of scan([process.argv[2] ?? ''], { jobs: 2 })) {
  const seen: ScanEvent = event;
  if (seen.event === 'object') found.push(seen.object);
}
console.log(found.map(({ offset, size, programs }) => [offset, size, ...programs.map(({ name }) => name)].join(' ')).join());
console.log([typeof Btf.parse, typeof ElfFile.parse, typeof disassemble, typeof predictTags].join());
`;

test('the packed library runs in a project of its own', () => {
  const plain = USE.replace(/, type \w+/g, '').replace(/: (CarvedObject\[\]|ScanEvent)/g, '');
  writeFileSync(join(project, 'use.js'), plain);
  const output = execFileSync('node', ['use.js', skeleton], { cwd: project, encoding: 'utf8' });
  expect(output).toBe('8248 2848 enter_add leave_add\nfunction,function,function,function\n');
});

test('its types are there and hold', () => {
  writeFileSync(join(project, 'use.ts'), USE);
  const types = join(root, 'node_modules/@types');
  const flags = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--typeRoots',
    types,
    '--types',
    'node',
  ];
  const output = execFileSync(join(root, 'node_modules/.bin/tsc'), [...flags, 'use.ts'], {
    cwd: project,
    encoding: 'utf8',
  });
  expect(output).toBe('');
});

test('its command runs', () => {
  const bin = join(project, 'node_modules/bpfcarve/bin/bpfcarve.js');
  expect(execFileSync('node', [bin, '--version'], { encoding: 'utf8' }).trim()).toMatch(/^\d+\.\d+\.\d+$/);
});
