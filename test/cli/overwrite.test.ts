// What is examined is never the file that the report goes to, whatever it is called.
import { existsSync, linkSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newTree, type Tree } from '../source/tree.ts';
import { run, runShell, SAMPLES } from './run.ts';

const object = readFileSync(`${SAMPLES}/built/bpfel/allow.bpf.o`);

let tree: Tree;
beforeEach(() => {
  tree = newTree();
  tree.file('dir/a', object);
  tree.file('dir/sub/b', object);
  tree.file('other/old.json', 'an earlier report');
  symlinkSync('dir/a', tree.at('link'));
  symlinkSync('dir', tree.at('way'));
  linkSync(tree.at('dir/a'), tree.at('twin'));
});
afterEach(() => tree.remove());

describe('a report is refused and nothing is touched when -o is', () => {
  const calls: [string, string[]][] = [
    ['the target of a scan', ['scan', 'dir/a', '-o', 'dir/a']],
    ['the target, without a verb', ['dir/a', '-o', './dir/../dir/a']],
    ['one of several targets', ['scan', 'other', 'dir/a', '-o', 'dir/a']],
    ['a symbolic link to the target', ['scan', 'dir/a', '-o', 'link']],
    ['what the target is a symbolic link to', ['scan', 'link', '-o', 'dir/a']],
    ['a hard link to the target', ['scan', 'dir/a', '-o', 'twin']],
    ['a file in a target', ['scan', 'dir', '-o', 'dir/a']],
    ['a file far below a target', ['scan', '.', '-o', 'dir/sub/b']],
    ['a file in a target, by another way', ['scan', 'dir', '-o', 'way/sub/b']],
    ['a file in a target that is a symbolic link', ['scan', 'way', '-o', 'dir/sub/b']],
    ['a link outside to a file in a target', ['scan', 'dir', '-o', 'link']],
    ['what a pattern matches', ['scan', 'dir/*', '-o', 'dir/a']],
    ['in a directory that a pattern matches', ['scan', './d*', '-o', 'dir/sub/b']],
    ['what a pattern matches at any depth', ['scan', 'way/**/b', '-o', 'dir/sub/b']],
    ['what a pattern of alternatives matches', ['scan', '{dir/a,x}', '-o', 'dir/a']],
    ['the file of inspect', ['inspect', 'dir/a', '-o', 'dir/a']],
    ['the file of inspect, by a link', ['inspect', 'link', '-j', '-o', 'twin']],
    ['the capture of a scan', ['scan', 'dir', '--live', 'other/old.json', '-o', 'other/old.json']],
    ['the BTF of a scan', ['scan', 'dir', '--btf', 'other/old.json', '-o', 'other/old.json']],
    ['the BTF of inspect', ['inspect', 'dir/a', '--btf', 'other/old.json', '-o', 'other/old.json']],
    ['the capture of live', ['live', '--live', 'dir/../empty.json', '--no-match', '-o', 'empty.json']],
    ['the BTF of live', ['live', '--live', 'empty.json', '--btf', 'dir/a', '-o', 'dir/a']],
    ['a file that live looks in', ['live', '--live', 'empty.json', '--match', 'dir', '-o', 'dir/a']],
    ['in the directory to verify', ['verify', 'dir', '-o', 'dir/a']],
  ];
  test.each(calls)('%s', async (_, args) => {
    tree.file('empty.json', '[]');
    const output = tree.at(args.at(-1) ?? '');
    const before = readFileSync(output);
    const { status, stdout, stderr } = await run(args, { cwd: tree.root });
    expect(stderr).toMatch(
      /^bpfcarve: --output: .* is part of what is examined and would be overwritten; choose a new file\n/,
    );
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(readFileSync(output).equals(before)).toBe(true);
  });

  test('the file that standard input is', async () => {
    const { status } = await runShell('$bpfcarve scan - -o dir/a < dir/a', { cwd: tree.root });
    expect(status).toBe(1);
    expect(readFileSync(tree.at('dir/a')).equals(object)).toBe(true);
  });
});

describe('a report may go', () => {
  const calls: [string, string[]][] = [
    ['into a new file in a target', ['scan', 'dir', '-o', 'dir/new']],
    ['into a new file that a pattern would match', ['scan', 'dir/*', '-o', 'dir/new']],
    ['into an existing file elsewhere', ['scan', 'dir', '-o', 'other/old.json']],
    ['into an existing file beside the target', ['scan', 'dir/a', '-o', 'dir/sub/b']],
    ['into an existing file above what a pattern matches', ['scan', 'other/*/a', 'dir', '-o', 'other/old.json']],
    ['into an existing file whose name begins as that of a target', ['scan', 'dir', '-o', 'directory']],
    ['to a device below a target', ['scan', '/dev', '--include', 'nothing', '-o', '/dev/null']],
    ['into the file called as a word', ['scan', 'dir', '--btf', 'none', '-o', 'none']],
  ];
  test.each(calls)('%s', async (_, args) => {
    for (const name of ['directory', 'none']) writeFileSync(tree.at(name), 'x');
    const { stderr } = await run(['-j', ...args], { cwd: tree.root });
    expect(stderr).not.toContain('--output');
    const output = args.at(-1) ?? '';
    if (output !== '/dev/null') expect(JSON.parse(readFileSync(tree.at(output), 'utf8')).command).toBe('scan');
  });

  test('through a dangling link into a new file', async () => {
    symlinkSync('dir/new', tree.at('dangling'));
    expect((await run(['dir', '-j', '-o', 'dangling'], { cwd: tree.root })).status).toBe(0);
    expect(existsSync(tree.at('dir/new'))).toBe(true);
  });
});

test('an option that is wrong is noticed before the report of an earlier call is overwritten', async () => {
  for (const wrong of [
    ['--jobs', '0'],
    ['--kernel', 'x'],
    ['--max-size', 'x'],
  ]) {
    expect((await run(['scan', 'dir', ...wrong, '-o', 'other/old.json'], { cwd: tree.root })).status).toBe(1);
    expect(readFileSync(tree.at('other/old.json'), 'utf8')).toBe('an earlier report');
  }
});
