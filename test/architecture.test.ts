// The floors of the program: which room may import which. The tables are the documentation; what breaks them fails here.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';

/**
 * Rooms from the ground up, and what each may import besides itself. `type x`: only the types of x.
 * `elf`, `btf` and `insn` do not know each other; sizing (`carve`) does not depend on understanding (`object`); predictions
 * (`link`) do not depend on the running kernel (`host`); whoever shows (`report`) computes nothing.
 */
const FLOORS: Readonly<Record<string, readonly string[]>> = {
  diagnostics: [],
  bytes: ['diagnostics'],
  elf: ['diagnostics', 'bytes'],
  btf: ['diagnostics', 'bytes'],
  insn: ['diagnostics', 'bytes'],
  object: ['diagnostics', 'bytes', 'elf', 'btf', 'insn'],
  carve: ['diagnostics', 'bytes', 'elf', 'btf', 'insn'],
  link: ['diagnostics', 'bytes', 'elf', 'btf', 'insn', 'object', 'type carve'],
  sys: [],
  source: ['diagnostics', 'bytes', 'sys'],
  host: ['diagnostics', 'bytes', 'btf', 'object', 'sys', 'source'],
  correlate: ['diagnostics', 'bytes', 'insn', 'carve', 'link', 'type host', 'type source'],
  scan: ['diagnostics', 'bytes', 'elf', 'btf', 'insn', 'object', 'carve', 'link', 'sys', 'source', 'host', 'correlate'],
  evidence: ['diagnostics', 'type scan', 'type source'],
  report: ['diagnostics', 'object', 'source', 'host', 'correlate', 'scan', 'evidence'].map((room) => `type ${room}`),
  index: ['diagnostics', 'bytes', 'elf', 'btf', 'insn', 'object', 'link', 'scan', 'type carve', 'type source'],
  cli: ['index', 'report', 'evidence'],
};

/** Bytes in, records out: no I/O. `link` and `correlate` hash. */
const PURE = ['bytes', 'elf', 'btf', 'insn', 'object', 'carve', 'link', 'correlate', 'report'];
const PURE_MAY_IMPORT = ['node:crypto'];

/** Packages, and the one file or room that may import each. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  koffi: /^sys\/libc\.ts$/,
  'fast-glob': /^source\/glob\.ts$/,
  'p-limit': /^scan\/scan\.ts$/,
  ora: /^cli\/progress\.ts$/,
  yargs: /^cli\//,
};

const MOST_LINES = 450;

interface Import {
  readonly from: string;
  /** A path below src, or the name of a package or of a module of Node. */
  readonly to: string;
  readonly isLocal: boolean;
  readonly isType: boolean;
}

const src = join(import.meta.dirname, '../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .sort();
const texts = new Map(files.map((path) => [path, readFileSync(join(src, path), 'utf8')]));
const imports = files.flatMap((path) => importsOf(path, texts.get(path) ?? ''));

test('every room has its floor', () => {
  expect([...new Set(files.map(roomOf))].sort()).toEqual(Object.keys(FLOORS).sort());
});

test.each(Object.entries(FLOORS))('%s imports nothing but %j', (room, allowed) => {
  const crossing = imports.filter(({ from, to, isLocal }) => isLocal && roomOf(from) === room && roomOf(to) !== room);
  const forbidden = crossing.filter(
    ({ to, isType }) => !allowed.includes(roomOf(to)) && !(isType && allowed.includes(`type ${roomOf(to)}`)),
  );
  expect(forbidden.map(describeImport)).toEqual([]);
});

test.each(PURE)('%s does no I/O', (room) => {
  const modules = imports.filter(({ from, isLocal }) => !isLocal && roomOf(from) === room);
  expect(modules.filter(({ to }) => !PURE_MAY_IMPORT.includes(to)).map(describeImport)).toEqual([]);
  const waiting = files.filter((path) => roomOf(path) === room && /\basync\b|\bawait\b/.test(code(path)));
  expect(room === 'report' ? [] : waiting).toEqual([]);
});

describe.each(Object.entries(PACKAGES))('%s', (name, place) => {
  test(`is imported in ${place} alone`, () => {
    const users = imports.filter(({ to }) => to === name).map(({ from }) => from);
    expect(users.length).toBeGreaterThan(0);
    expect(users.filter((path) => !place.test(path))).toEqual([]);
  });
});

test('no other package is imported', () => {
  const packages = new Set(imports.filter(({ isLocal, to }) => !isLocal && !/^(node:|#)/.test(to)).map(({ to }) => to));
  expect([...packages].filter((name) => !(name in PACKAGES))).toEqual([]);
});

// A part may name the types of the whole that uses it.
test('files do not load one another in a circle', () => {
  const targets = new Map(
    files.map((path) => [path, imports.filter(({ from, isLocal, isType }) => isLocal && !isType && from === path)]),
  );
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]) => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' -> '));
    if (way.includes(path) || done.has(path)) return;
    for (const { to } of targets.get(path) ?? []) visit(to, [...way, path]);
    done.add(path);
  };
  for (const path of files) visit(path, []);
  expect(circles).toEqual([]);
});

test('every import names a file that is there, with its extension', () => {
  expect(imports.filter(({ to, isLocal }) => isLocal && !texts.has(to)).map(describeImport)).toEqual([]);
});

test('nothing is exported wholesale', () => {
  expect(files.filter((path) => /^export \*/m.test(code(path)))).toEqual([]);
});

test('files are small, with kebab-case names, and there is no room for what has no home', () => {
  expect(files.filter((path) => code(path).split('\n').length > MOST_LINES)).toEqual([]);
  expect(
    files.filter((path) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*(\.wasm|\.d)?\.ts$/.test(path)),
  ).toEqual([]);
  expect(
    files.filter((path) => /(^|\/)(utils?|common|helpers|misc)(\/|\.ts)/.test(path) && path !== 'insn/helpers.ts'),
  ).toEqual([]);
});

test('nothing is left to be done', () => {
  expect(files.filter((path) => /\b(TODO|FIXME|XXX|HACK)\b/.test(code(path)))).toEqual([]);
});

function importsOf(from: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?([\w$\s{},*]*?)\s*from\s*'([^']+)'/gm);
  const others = text.matchAll(/(?:^import |(?<![\w.])import\(|createRequire\(import\.meta\.url\)\()'([^']+)'/gm);
  return [
    ...[...statements].map(([, type, names = '', to = '']) =>
      newImport(from, to, type !== undefined || isTypesOnly(names)),
    ),
    ...[...others].map(([, to = '']) => newImport(from, to, false)),
  ];
}

function newImport(from: string, to: string, isType: boolean): Import {
  const isLocal = to.startsWith('.');
  return { from, to: isLocal ? posix.join(posix.dirname(from), to) : to, isLocal, isType };
}

/** `{ type A, type B }` */
function isTypesOnly(names: string): boolean {
  const inner = /^\{([^}]*)\}$/s.exec(names.trim())?.[1];
  const listed =
    inner
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '') ?? [];
  return listed.length > 0 && listed.every((name) => name.startsWith('type '));
}

/** `bytes/reader.ts` is in `bytes`, `diagnostics.ts` a room of its own. */
function roomOf(path: string): string {
  return dirname(path) === '.' ? path.replace(/\.ts$/, '') : (path.split('/')[0] ?? path);
}

function code(path: string): string {
  return texts.get(path) ?? '';
}

function describeImport({ from, to, isType }: Import): string {
  return `${from} imports ${isType ? 'types of ' : ''}${to}`;
}
