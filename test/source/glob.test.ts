// Patterns mean what fast-glob says they mean; on plain names it is asked itself.
import { symlinkSync } from 'node:fs';
import { posix } from 'node:path';
import fastGlob from 'fast-glob';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { below, newTree, type Tree, walked } from './tree.ts';

let tree: Tree;
beforeEach(() => {
  tree = newTree();
});
afterEach(() => tree.remove());

describe('on plain names, --include and --exclude give what fast-glob gives:', () => {
  const files = [
    'a.o',
    'b.so',
    'lib/a.o',
    'lib/x/a.o',
    'lib/x/.hidden.o',
    '.git/a.o',
    'usr/lib/a.so.1',
    'A.O',
    'a b.o',
  ];
  const cases: [string[], string[]][] = [
    [['*.o'], []],
    [['**/*.o'], []],
    [['**/*.{o,so}'], []],
    [['lib/**'], []],
    [['lib/**', '*.so'], ['**/x/**']],
    [['**/a.o', 'lib/*'], []],
    [['**/?.o'], []],
    [['**/[ab].*'], []],
    [['!(lib)/**'], []],
    [['+(a|b).o'], []],
    [['a.o'], []],
    [['lib/a.o', 'nope.o', 'lib/nope/a.o'], []],
    [['./a.o', './lib/*.o'], []],
    [[], ['**/*.o']],
    [[], ['lib']],
    [[], ['lib/**']],
    [[], ['**']],
    [['**/*.o'], ['**/.*']],
    [['usr/../a.o'], []],
  ];
  test.each(cases)('%j without %j', async (include, exclude) => {
    for (const name of files) tree.file(name);
    const expected = fastGlob
      .sync(include.length > 0 ? include : ['**/*'], { cwd: tree.root, ignore: exclude, dot: true, onlyFiles: true })
      .map((name) => posix.normalize(name));
    const found = below(tree.root, await walked([tree.root], {}, { include, exclude }));
    expect(found).toEqual(expected.sort());
  });
});

describe('names that fast-glob would lose', () => {
  const names: [string, string, string][] = [
    ['a newline', 'new\nline.o', '**/*.o'],
    ['a newline in the directory', 'new\nline/a.o', '**/*.o'],
    ['only a newline', '\n', '**'],
    ['a backslash', 'back\\slash.o', '**/*.o'],
    ['a backslash at the end', 'back\\', '**/*'],
    ['glob characters', '[a]{b,c}*?.o', '**/*.o'],
  ];
  test.each(names)('%s', async (_, name, pattern) => {
    tree.file(name);
    expect(below(tree.root, await walked([tree.root], {}, { include: [pattern] }))).toEqual([name]);
    expect(below(tree.root, await walked([`${tree.root}/${pattern}`]))).toEqual([name]);
    expect(below(tree.root, await walked([tree.root], {}, { exclude: [pattern] }))).toEqual([]);
  });

  test.each(['**/*.o', '**/caf?.o', '**/c*', 'c*'])('bytes that are not UTF-8, by %s', async (pattern) => {
    tree.file(Buffer.from('caf\xe9.o', 'latin1'));
    tree.file('tea.x');
    const expected = ['bytes:caf\xe9.o'];
    expect(below(tree.root, await walked([tree.root], {}, { include: [pattern] }))).toEqual(expected);
    expect(below(tree.root, await walked([`${tree.root}/${pattern}`]))).toEqual(expected);
  });

  test('a newline, a backslash or letters beside foreign bytes may stand in the pattern', async () => {
    tree.file('new\nline.o');
    tree.file('back\\slash.o');
    tree.file(Buffer.from('é\xff.o', 'latin1'));
    tree.file(Buffer.concat([Buffer.from('é'), Buffer.of(0xff)]));
    const include = async (pattern: string) => below(tree.root, await walked([tree.root], {}, { include: [pattern] }));
    expect(await include('new\n*')).toEqual(['new\nline.o']);
    expect(await include('back\\\\*')).toEqual(['back\\slash.o']);
    expect(await include('é?')).toEqual(['bytes:\xc3\xa9\xff']);
  });
});

describe('a pattern finds no more than a walk would:', () => {
  test('no symbolic links, not even by their names', async () => {
    tree.file('real/a.o');
    symlinkSync('real/a.o', tree.at('link.o'));
    symlinkSync('real', tree.at('linked'));
    for (const include of [['**/*.o'], ['link.o', 'real/a.o'], ['linked/a.o', 'real/a.o']]) {
      expect(below(tree.root, await walked([tree.root], {}, { include }))).toEqual(['real/a.o']);
    }
  });

  test('every way to a file once, when links are followed and several patterns list a directory', async () => {
    tree.file('real/x/a.o');
    symlinkSync('x', tree.at('real/link'));
    const include = ['**/*.o', 'real/**', 'real/x/*'];
    const names = below(tree.root, await walked([tree.root], { follow: true }, { include }));
    expect(names).toHaveLength(1);
    expect(names[0]).toMatch(/^real\/(x|link)\/a\.o$/);
  });

  test('nothing above the target', async () => {
    tree.file('a.o');
    tree.file('target/b.o');
    for (const include of [['../a.o'], ['x/../../a.o'], ['../target/b.o']]) {
      expect((await walked([tree.at('target')], {}, { include })).paths).toEqual([]);
    }
    for (const include of [['../b.o'], ['../*.o']]) {
      expect((await walked([tree.at('target')], {}, { include })).paths).toEqual([tree.at('target/b.o')]);
    }
  });

  test('nothing in a directory to be avoided', async () => {
    tree.file('dump/a.o');
    const avoid = [tree.at('dump')];
    for (const include of [['**/*.o'], ['dump/a.o'], ['dump/*']]) {
      expect((await walked([tree.root], { avoid }, { include })).paths).toEqual([]);
    }
  });
});

describe('a pattern as the target', () => {
  beforeEach(() => {
    for (const name of ['one/a.o', 'one/b.x', 'two/a.o', 'two/deep/c.o']) tree.file(name);
  });

  test('gives the files that match, sorted', async () => {
    expect((await walked([`${tree.root}/*/*.o`])).paths).toEqual([tree.at('one/a.o'), tree.at('two/a.o')]);
  });

  test('that matches directories walks each once', async () => {
    expect(below(tree.root, await walked([`${tree.root}/**`]))).toEqual([
      'one/a.o',
      'one/b.x',
      'two/a.o',
      'two/deep/c.o',
    ]);
    expect(below(tree.root, await walked([`${tree.root}/t*`]))).toEqual(['two/a.o', 'two/deep/c.o']);
  });

  test('may go up and be relative', async () => {
    expect(below(tree.root, await walked([`${tree.root}/one/../t*/*.o`]))).toEqual(['one/../two/a.o']);
    expect((await walked(['src/sou*/glob.t?'])).paths).toEqual(['src/source/glob.ts']);
    expect((await walked(['./src/sou*/glob.t?'])).paths).toEqual(['./src/source/glob.ts']);
  });

  test('that names an existing file is that file', async () => {
    tree.file('[a]*.o');
    expect((await walked([tree.at('[a]*.o')])).paths).toEqual([tree.at('[a]*.o')]);
  });

  test('takes symbolic links that match, as if each were named', async () => {
    symlinkSync('one/a.o', tree.at('link.o'));
    expect((await walked([`${tree.root}/*.o`])).paths).toEqual([tree.at('link.o')]);
  });

  test('that matches nothing is an error that names it', async () => {
    expect((await walked([`${tree.root}/*.nope`])).diagnostics).toMatchObject([
      { severity: 'error', code: 'ENOENT', where: `${tree.root}/*.nope` },
    ]);
  });
});
