import { spawnSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { below, newTree, type Tree, walked } from './tree.ts';

const isRoot = process.getuid?.() === 0;
const needsRoot = isRoot ? '' : ' (needs root)';

let tree: Tree;
beforeEach(() => {
  tree = newTree();
});
afterEach(() => tree.remove());

describe('what is named beside a directory above it is given once', () => {
  test('a file, which stays one that was named', async () => {
    for (const name of ['a', 'sub/b', 'sub/c']) tree.file(name);
    for (const root of [tree.root, `${tree.root}//`, `${tree.root}/sub/..`]) {
      const { paths } = await walked([root, tree.at('a'), tree.at('sub/b')]);
      expect(paths.map((path) => relative(tree.root, String(path))).sort()).toEqual(['a', 'sub/b', 'sub/c']);
    }
    expect((await walked([tree.at('a'), tree.root])).paths).toHaveLength(3);
    expect((await walked([tree.root, tree.at('a')], {}, { include: ['**/a', '**/b'] })).paths).toHaveLength(2);
    expect((await walked([tree.root, tree.at('a')], {}, { exclude: ['a'] })).paths).toContain(tree.at('a'));
  });

  test('a directory, and a name that is not UTF-8', async () => {
    const odd = Buffer.from('sub/\xff', 'latin1');
    for (const name of ['a', 'sub/b', odd]) {
      tree.directory('sub');
      tree.file(name);
    }
    expect((await walked([tree.root, tree.at('sub')])).paths).toHaveLength(3);
    expect((await walked([tree.root, Buffer.concat([Buffer.from(`${tree.root}/`), odd])])).paths).toHaveLength(3);
    expect((await walked([tree.at('sub'), tree.root, tree.at('sub/b')])).paths).toHaveLength(3);
  });

  test('but patterns, which mean other files from below, and .. behind a link, lose nothing', async () => {
    for (const name of ['a', 'sub/b', 'far/sub/x', 'far/a']) tree.file(name, name);
    symlinkSync('far/sub', tree.at('link'));
    expect((await walked([tree.root, tree.at('sub')], {}, { include: ['sub/*'] })).paths).toEqual([tree.at('sub/b')]);
    const { paths } = await walked([`${tree.root}/link/..`, tree.at('a')]);
    expect([...paths].sort()).toEqual([tree.at('a'), `${tree.root}/link/../a`, `${tree.root}/link/../sub/x`]);
  });

  test('a file that is not there, or cannot be reached, is an error still', async () => {
    tree.file('a');
    const { paths, diagnostics } = await walked([tree.root, tree.at('gone')]);
    expect(paths).toEqual([tree.at('a')]);
    expect(diagnostics).toMatchObject([{ severity: 'error', where: tree.at('gone') }]);
  });
});

describe('a directory', () => {
  test('gives every file below it, hidden ones and empty ones too', async () => {
    for (const name of ['a', '.b', 'c/d', 'c/.e/f', '.git/g']) tree.file(name);
    tree.directory('empty');
    expect(below(tree.root, await walked([tree.root]))).toEqual(['.b', '.git/g', 'a', 'c/.e/f', 'c/d']);
  });

  test('may be named with slashes at its end, and relative', async () => {
    tree.file('a/b');
    expect((await walked([`${tree.root}//`])).paths).toEqual([`${tree.root}//a/b`]);
    const relativePath = relative(process.cwd(), tree.root);
    expect((await walked([relativePath])).paths).toEqual([`${relativePath}/a/b`]);
  });

  test('gives hard links each by its name', async () => {
    tree.file('a', 'x');
    linkSync(tree.at('a'), tree.at('b'));
    expect(below(tree.root, await walked([tree.root]))).toEqual(['a', 'b']);
  });

  test('of 20,000 entries gives 20,000', async () => {
    tree.directory('many');
    for (let index = 0; index < 20_000; index++) writeFileSync(tree.at(`many/${index}`), '');
    expect((await walked([tree.root])).paths).toHaveLength(20_000);
  });

  test('1,500 levels deep, beyond what one path can name, is walked to its end', async () => {
    deep(1500);
    const { paths, diagnostics } = await walked([tree.root]);
    expect(diagnostics).toEqual([]);
    expect(paths).toHaveLength(2);
    expect(Math.max(...paths.map((path) => path.length))).toBeGreaterThan(4096);
  });

  test('1,500 levels deep is walked with links followed, and with patterns', async () => {
    deep(1500);
    for (const result of [
      await walked([tree.root], { follow: true }),
      await walked([tree.root], {}, { include: ['**/f'] }),
    ]) {
      expect(result.diagnostics).toEqual([]);
      expect(result.paths).toHaveLength(2);
    }
  });

  test.skipIf(!isRoot)(`of mode 000 is one warning below the target, an error as the target${needsRoot}`, async () => {
    tree.file('open/a');
    tree.file('closed/b');
    chmodSync(tree.at('closed'), 0);
    chmodSync(tree.root, 0o755);
    for (const patterns of [{}, { include: ['**/*'] }]) {
      const result = await asNobody(() => walked([tree.root], {}, patterns));
      expect(below(tree.root, result)).toEqual(['open/a']);
      expect(result.diagnostics).toMatchObject([{ severity: 'warning', code: 'EACCES', where: tree.at('closed') }]);
    }
    expect(await asNobody(() => walked([tree.at('closed')]))).toMatchObject({
      paths: [],
      diagnostics: [{ severity: 'error', code: 'EACCES', where: tree.at('closed') }],
    });
    expect(await asNobody(() => walked([tree.at('closed/b')]))).toMatchObject({
      paths: [],
      diagnostics: [{ severity: 'error', code: 'EACCES', where: tree.at('closed/b') }],
    });
  });

  test.skipIf(!isRoot)(`behind a link that may not be followed costs nothing else${needsRoot}`, async () => {
    tree.file('a');
    tree.file('closed/inner/b');
    symlinkSync('closed/inner', tree.at('link'));
    chmodSync(tree.at('closed'), 0);
    chmodSync(tree.root, 0o755);
    const result = await asNobody(() => walked([tree.root], { follow: true }));
    expect(below(tree.root, result)).toEqual(['a']);
    expect(result.diagnostics.map(({ code, where }) => `${code} ${where}`).sort()).toEqual([
      `EACCES ${tree.at('closed')}`,
      `EACCES ${tree.at('link')}`,
    ]);
  });
});

describe('never opened:', () => {
  test('FIFOs and sockets in a directory', async () => {
    tree.file('a');
    spawnSync('mkfifo', [tree.at('fifo')]);
    const server = createServer().listen(tree.at('socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    const result = await walked([tree.root]);
    server.close();
    expect(below(tree.root, result)).toEqual(['a']);
    expect(result.diagnostics).toEqual([]);
  });

  test('a FIFO, a socket and a device that are named: each is an error that says what it is', async () => {
    spawnSync('mkfifo', [tree.at('fifo')]);
    const server = createServer().listen(tree.at('socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    const { paths, diagnostics } = await walked([tree.at('fifo'), tree.at('socket'), '/dev/zero']);
    server.close();
    expect(paths).toEqual([]);
    expect(diagnostics.map(({ severity, code, message }) => `${severity} ${code} ${message.split(':')[0]}`)).toEqual([
      'error not-regular is a FIFO',
      'error not-regular is a socket',
      'error not-regular is a character device',
    ]);
  });

  test('/proc, /sys and /dev below a directory; each is a note', async () => {
    const { diagnostics, paths } = await walked(['/'], {
      oneFileSystem: true,
      avoid: topLevelBut('proc', 'sys', 'dev'),
    });
    expect(paths.filter((path) => /^\/(proc|sys|dev)\//.test(String(path)))).toEqual([]);
    expect(
      diagnostics
        .filter(({ code }) => code === 'skipped')
        .map(({ where }) => where)
        .sort(),
    ).toEqual(['/dev', '/proc', '/sys']);
    expect(new Set(diagnostics.filter(({ code }) => code === 'skipped').map(({ severity }) => severity))).toEqual(
      new Set(['info']),
    );
  });

  test('directories to be avoided, however the target is spelled', async () => {
    tree.file('dump/objects/x');
    tree.file('a');
    symlinkSync(tree.root, `${tree.root}-link`);
    const avoid = [tree.at('dump')];
    for (const target of [tree.root, `${tree.root}/.`, `${tree.root}-link`, `${tree.root}/dump/..`]) {
      expect((await walked([target], { avoid })).paths).toHaveLength(1);
    }
    rmSync(`${tree.root}-link`);
  });
});

describe('a symbolic link', () => {
  beforeEach(() => {
    tree.file('real/file');
    symlinkSync('real/file', tree.at('to-file'));
    symlinkSync('real', tree.at('to-directory'));
    symlinkSync('nowhere', tree.at('dangling'));
    symlinkSync('self', tree.at('self'));
    symlinkSync('..', tree.at('real/up'));
  });

  test('is not followed below a target', async () => {
    const result = await walked([tree.root]);
    expect(below(tree.root, result)).toEqual(['real/file']);
    expect(result.diagnostics).toEqual([]);
  });

  test('is resolved when it is the target', async () => {
    expect((await walked([tree.at('to-file')])).paths).toEqual([tree.at('to-file')]);
    expect((await walked([tree.at('to-directory')])).paths).toEqual([tree.at('to-directory/file')]);
  });

  test('that leads nowhere or to itself is an error as a target', async () => {
    const { diagnostics } = await walked([tree.at('dangling'), tree.at('self')]);
    expect(diagnostics).toMatchObject([
      { severity: 'error', code: 'ENOENT', where: tree.at('dangling') },
      { severity: 'error', code: 'ELOOP', where: tree.at('self') },
    ]);
  });

  test('is followed when asked, every directory once however it is reached', async () => {
    const result = await walked([tree.root], { follow: true });
    const names = below(tree.root, result);
    expect(names.filter((name) => name !== 'to-file')).toHaveLength(1);
    expect(names).toContain('to-file');
    expect(result.diagnostics.map(({ severity, code }) => `${severity} ${code}`).sort()).toEqual([
      'info ELOOP',
      'info ENOENT',
    ]);
  });

  test('to the target itself does not give its files twice', async () => {
    tree.file('top');
    const names = below(tree.root, await walked([tree.root], { follow: true }));
    expect(names.filter((name) => name.endsWith('top'))).toEqual(['top']);
  });

  test('to a directory that may not be entered costs nothing else', async () => {
    tree.directory('dump');
    symlinkSync('dump', tree.at('to-dump'));
    symlinkSync('/proc', tree.at('to-proc'));
    const result = await walked([tree.root], { follow: true, avoid: [tree.at('dump')] });
    expect(result.paths.length).toBe(2);
    expect(result.diagnostics.filter(({ code }) => code === 'skipped')).toMatchObject([{ where: tree.at('to-proc') }]);
  });
});

describe('names that are hard to bear', () => {
  const names = [
    'new\nline',
    '\x1b[31mred\x1b]0;title\x07',
    'back\\slash',
    '-rf',
    '--help',
    ' leading and trailing ',
    '\u202egnp.exe',
    'ümläut',
    '\u{1f41d}',
    'a\ufffdb',
    '*?[x]{a,b}!(c)',
    'tab\tquote"',
    'x'.repeat(255),
  ];
  test.each(names)('%j', async (name) => {
    tree.file(`${name}/${name}`);
    expect(below(tree.root, await walked([tree.root]))).toEqual([`${name}/${name}`]);
    expect((await walked([tree.at(`${name}/${name}`)])).paths).toEqual([tree.at(`${name}/${name}`)]);
  });

  const invalid = ['\xff', 'a\xfeb', '\xc3', '\xed\xa0\x80', '\xf0\x9f\x90', '\xc0\xaf', 'caf\xe9', 'new\n\xff\\line'];
  test.each(invalid)('bytes that are not UTF-8: %j', async (name) => {
    const bytes = Buffer.from(name, 'latin1');
    tree.directory(bytes);
    tree.file(Buffer.concat([bytes, Buffer.from('/'), bytes]));
    tree.file(Buffer.concat([bytes, Buffer.from('/plain')]));
    const expected = [`bytes:${name}/${name}`, `bytes:${name}/plain`];
    expect(below(tree.root, await walked([tree.root]))).toEqual(expected.sort());
    expect(below(tree.root, await walked([tree.root], { follow: true }))).toEqual(expected);
    expect(below(tree.root, await walked([tree.root], { oneFileSystem: true }))).toEqual(expected);
    expect(below(tree.root, await walked([tree.root], {}, { include: ['**/*'] }))).toEqual(expected);
    const target = Uint8Array.from(Buffer.concat([Buffer.from(`${tree.root}/`), bytes]));
    expect(below(tree.root, await walked([target]))).toEqual(expected);
    expect(below(tree.root, await walked([target], { follow: true }))).toEqual(expected);
  });

  test('a directory with such a name that cannot be listed is named by its bytes', async () => {
    const target = Uint8Array.from(Buffer.concat([Buffer.from(`${tree.root}/\xff`, 'latin1')]));
    const { diagnostics } = await walked([target]);
    expect(diagnostics).toMatchObject([
      { code: 'ENOENT', where: `${tree.root}/\\xff`, pathBase64: Buffer.from(target).toString('base64') },
    ]);
  });
});

describe.skipIf(!isRoot)(`another filesystem${needsRoot}`, () => {
  test('is entered, unless --one-file-system', async ({ skip }) => {
    tree.file('a');
    tree.directory('mount');
    if (spawnSync('mount', ['-t', 'tmpfs', 'none', tree.at('mount')]).status !== 0) skip('mount is not permitted here');
    try {
      tree.file('mount/b');
      expect(below(tree.root, await walked([tree.root]))).toEqual(['a', 'mount/b']);
      expect(below(tree.root, await walked([tree.root], { oneFileSystem: true }))).toEqual(['a']);
      expect(below(tree.root, await walked([tree.at('mount')], { oneFileSystem: true }))).toEqual(['mount/b']);
    } finally {
      spawnSync('umount', [tree.at('mount')]);
    }
  });

  test('of the kernel is left out wherever it is mounted', async ({ skip }) => {
    tree.file('a');
    tree.directory('p');
    if (spawnSync('mount', ['-t', 'proc', 'none', tree.at('p')]).status !== 0) skip('mount is not permitted here');
    try {
      const result = await walked([tree.root]);
      expect(below(tree.root, result)).toEqual(['a']);
      expect(result.diagnostics).toMatchObject([{ severity: 'info', code: 'skipped', where: tree.at('p') }]);
    } finally {
      spawnSync('umount', [tree.at('p')]);
    }
  });
});

test('what does not exist is an error, and costs the other targets nothing', async () => {
  tree.file('a');
  const { paths, diagnostics } = await walked([tree.at('nope'), tree.at('a'), '']);
  expect(paths).toEqual([tree.at('a')]);
  expect(diagnostics).toMatchObject([
    { severity: 'error', code: 'ENOENT', where: tree.at('nope') },
    { severity: 'error', code: 'ENOENT', where: '' },
  ]);
});

/** Directories of 100 characters each in one another, with a file halfway and one at the end. */
function deep(levels: number): void {
  let bottom = tree.at('bottom');
  mkdirSync(bottom);
  writeFileSync(join(bottom, 'f'), '');
  // From the inside out: no path needs to be long.
  for (let level = 0; level < levels; level++) {
    const outer = tree.at(`level${level}`);
    mkdirSync(outer);
    if (level === levels / 2) writeFileSync(join(outer, 'f'), '');
    renameSync(bottom, join(outer, 'd'.repeat(8)));
    bottom = outer;
  }
}

function topLevelBut(...names: readonly string[]): string[] {
  const { stdout } = spawnSync('find', ['/', '-mindepth', '1', '-maxdepth', '1'], { encoding: 'utf8' });
  return stdout.split('\n').filter((path) => path !== '' && !names.includes(path.slice(1)));
}

/** Does something without the rights of root. */
async function asNobody<T>(act: () => Promise<T>): Promise<T> {
  process.seteuid?.(65_534);
  try {
    return await act();
  } finally {
    process.seteuid?.(0);
  }
}
