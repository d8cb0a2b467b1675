// The header compiles, and in it every struct has the size and every member the place that the BTF says.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Btf } from '../../src/btf/decode.ts';
import { formatC } from '../../src/btf/format-c.ts';
import { type Diagnostic, FormatError } from '../../src/diagnostics.ts';
import { BtfBuilder } from './build.ts';
import {
  compile,
  embeddedObjects,
  have,
  inTemporaryDirectory,
  run,
  section,
  shippedObjects,
  VMLINUX,
} from './tools.ts';

const reason = have('bpftool', 'llvm-objcopy-19', 'clang-19') ? undefined : 'needs bpftool, llvm-objcopy-19, clang-19';

/** Sizes and offsets of all uniquely named structs and unions, as the BTF has them. */
function layoutAssertions(btf: Btf): string[] {
  const lines: string[] = [];
  for (let id = 1; id <= btf.count; id++) {
    const type = btf.type(id);
    const isComposite = type.kind === 'struct' || type.kind === 'union';
    if (!isComposite || type.name === '' || type.members.length === 0) continue;
    const namesakes = btf.typesNamed(type.name).map((other) => btf.kind(other));
    if (namesakes.filter((kind) => ['struct', 'union', 'enum', 'fwd'].includes(kind)).length > 1) continue;
    const tag = `${type.kind} ${type.name}`;
    lines.push(`_Static_assert(sizeof(${tag}) == ${type.size}, "size of ${tag}");`);
    for (const member of type.members) {
      if (member.name === '' || member.bitSize > 0) continue;
      const check = `__builtin_offsetof(${tag}, ${member.name}) == ${member.bitOffset / 8}`;
      lines.push(`_Static_assert(${check}, "${tag}.${member.name}");`);
    }
  }
  return lines;
}

function expectToCompile(btf: Btf, target = btf.littleEndian ? 'bpfel' : 'bpfeb') {
  const diagnostics: Diagnostic[] = [];
  const header = [...formatC(btf, diagnostics)].join('');
  expect(diagnostics).toEqual([]);
  inTemporaryDirectory((directory) => {
    const source = join(directory, 'types.c');
    writeFileSync(source, `${header}\n${layoutAssertions(btf).join('\n')}\n`);
    const flags = ['-target', target, '-Wno-everything', '-ferror-limit=5', '-fsyntax-only'];
    try {
      execFileSync('clang-19', [...flags, source], { stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      expect(error instanceof Error ? error.message : error).toBe('no compiler errors');
    }
  });
}

describe.skipIf(reason)(`the C header of real BTF compiles${reason ? ` (${reason})` : ''}`, () => {
  test.skipIf(!existsSync(VMLINUX))(`of the running kernel (needs ${VMLINUX})`, () => {
    // For the machine itself: the kernel embeds va_list, which is another type for BPF.
    expectToCompile(Btf.parse(new Uint8Array(readFileSync(VMLINUX))), run('clang-19', ['-dumpmachine']).trim());
  });

  test.skipIf(!existsSync(VMLINUX))(`the running kernel's says what bpftool says (needs ${VMLINUX})`, () => {
    const theirs = run('bpftool', ['btf', 'dump', 'file', VMLINUX, 'format', 'c']);
    const ours = [...formatC(Btf.parse(new Uint8Array(readFileSync(VMLINUX))))].join('');
    // bpftool before 7.6 forgets the size of one-byte enums.
    const withoutModes = (text: string) => text.replaceAll(' __attribute__((mode(byte)))', '').split('\n');
    const [wanted, given] = [withoutModes(theirs), withoutModes(ours)];
    const different = wanted.findIndex((line, index) => line !== given[index]);
    expect(given[different]).toBe(wanted[different]);
    expect(given.length).toBe(wanted.length);
  });

  const objects = reason ? [] : shippedObjects().filter((path) => section(path, '.BTF').length > 0);
  test.each(objects.map((path) => [basename(path), path]))('of %s', (_name, path) => {
    expectToCompile(Btf.parse(section(path, '.BTF')));
  });

  test.each(['opensnoop', 'tcplife', 'runqslower', 'ksnoop', 'biotop'])('of the object in %s', (name) => {
    inTemporaryDirectory((directory) => {
      for (const object of embeddedObjects('/usr/sbin', [name], directory)) {
        expectToCompile(Btf.parse(section(object, '.BTF')));
      }
    });
  });

  test.each(['bpf', 'bpfeb'])('of every kind of layout, compiled for %s', (target) => {
    inTemporaryDirectory((directory) => {
      const object = join(directory, 'types.o');
      compile(new URL('types.bpf.c', import.meta.url).pathname, object, ['-target', target]);
      expectToCompile(Btf.parse(section(object, '.BTF')));
    });
  });
});

/** The definitions alone, one a string. */
function definitions(build: BtfBuilder, diagnostics: Diagnostic[] = []): string[] {
  return [...formatC(Btf.parse(build.bytes()), diagnostics)].slice(1, -1).map((piece) => piece.trimEnd());
}

test('what is embedded is defined before, what is pointed to is declared', () => {
  const build = new BtfBuilder();
  build.struct('outer', 16, [
    { name: 'inner', type: 2, at: 0 },
    { name: 'peer', type: 4, at: 64 },
  ]);
  build.struct('inner', 8, [{ name: 'self', type: 3, at: 0 }]);
  build.ptr(2);
  build.ptr(5);
  build.struct('peer', 8, [{ name: 'owner', type: 6, at: 0 }]);
  build.ptr(1);
  expect(definitions(build)).toEqual([
    'struct inner {\n\tstruct inner *self;\n};',
    'struct peer;',
    'struct outer {\n\tstruct inner inner;\n\tstruct peer *peer;\n};',
    'struct peer {\n\tstruct outer *owner;\n};',
  ]);
});

test('a name used twice gets a number', () => {
  const build = new BtfBuilder();
  const int = build.int('int');
  build.struct('twin', 4, [{ name: 'a', type: int, at: 0 }]);
  build.struct('twin', 4, [{ name: 'b', type: int, at: 0 }]);
  build.typedef('twin', int);
  build.enum('', { twin: 1 });
  expect(definitions(build)).toEqual([
    'struct twin {\n\tint a;\n};',
    'struct twin___2 {\n\tint b;\n};',
    'typedef int twin;',
    'enum {\n\ttwin___2 = 1,\n};',
  ]);
});

test('function pointers, arrays of them and pointers to arrays', () => {
  const build = new BtfBuilder();
  const int = build.int('int');
  const char = build.int('char', 1);
  const text = build.ptr(build.const(char));
  const visit = build.ptr(build.funcProto(int, [['fmt', text], ['', 0]])); // biome-ignore format: one line
  build.struct('ops', 48, [
    { name: 'visit', type: visit, at: 0 },
    { name: 'table', type: build.array(build.array(visit, 2), 1), at: 64 },
    { name: 'row', type: build.ptr(build.array(char, 8)), at: 192 },
    { name: 'fixed', type: build.const(text), at: 256 },
    { name: 'get', type: build.ptr(build.funcProto(build.ptr(build.funcProto(0, [])), [])), at: 320 },
  ]);
  expect(definitions(build)).toEqual([
    `struct ops {
	int (*visit)(const char *fmt, ...);
	int (*table[1][2])(const char *fmt, ...);
	char (*row)[8];
	const char * const fixed;
	void (* (*get)(void))(void);
};`,
  ]);
});

test('an integer that C does not know is declared', () => {
  const build = new BtfBuilder();
  build.struct('Pair', 8, [
    { name: 'a', type: build.int('u32', 4), at: 0 },
    { name: 'b', type: build.int('i32', 4, 1), at: 32 },
  ]);
  expect(definitions(build).slice(0, 2)).toEqual(['typedef unsigned int u32;', 'typedef signed int i32;']);
});

test('a struct that embeds itself is left out with a diagnostic, the rest is kept', () => {
  const build = new BtfBuilder();
  build.struct('loop', 8, [{ name: 'self', type: 1, at: 0 }]);
  build.typedef('fine', build.int('int'));
  const diagnostics: Diagnostic[] = [];
  expect(definitions(build, diagnostics)).toEqual(['typedef int fine;']);
  expect(diagnostics).toMatchObject([{ code: 'btf-cycle', where: 'BTF type 1', message: 'type 1 contains itself' }]);
});

test('a hole as large as any that is filled is no matter for the stack', () => {
  const build = new BtfBuilder();
  const long = build.int('long', 8);
  build.struct('sparse', 1 << 20, [
    { name: 'first', type: long, at: 0 },
    { name: 'last', type: long, at: ((1 << 20) - 8) * 8 },
  ]);
  expect(definitions(build).join('')).toContain('long last;');
});

test('anonymous structs that double at every level are given up, not printed', () => {
  const build = new BtfBuilder();
  for (let id = 1; id <= 50; id++) {
    const type = id === 50 ? 1 : id + 1;
    build.struct('', 8, id === 50 ? [] : [{ name: 'a', type, at: 0 }, { name: 'b', type, at: 0 }]); // biome-ignore format: one line
  }
  build.struct('root', 8, [{ name: 'tree', type: 1, at: 0 }]);
  const diagnostics: Diagnostic[] = [];
  definitions(build, diagnostics);
  expect(diagnostics.map(({ code }) => code)).toContain('btf-depth');
});

test('changed BTF is printed or reported, in bounded time', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 12 }), (little, changes) => {
      const build = new BtfBuilder({ little });
      const int = build.int('int');
      build.struct('s', 8, [
        { name: 'a', type: build.array(int, 2), at: 0 },
        { type: build.union('', 4, [{ name: 'u', type: int, at: 0, bits: 3 }]), at: 32 },
      ]);
      build.typedef('t', build.ptr(build.funcProto(int, [['p', build.ptr(build.const(int))]])));
      build.enum64('e', { A: 1n, B: -2n }, { signed: true });
      const bytes = build.bytes();
      for (const [place, value] of changes) bytes[24 + (place % (bytes.length - 24))] = value;
      try {
        for (const piece of formatC(Btf.parse(bytes))) expect(typeof piece).toBe('string');
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 300 },
  );
});

test('a name that breaks the line is left out, with whatever needs it', () => {
  const builder = new BtfBuilder();
  const int = builder.int('int', 4, 1);
  const forged = builder.struct('a\nint system(const char *);\nstruct b', 4, [{ name: 'x', type: int, at: 0 }]);
  builder.struct('user', 8, [{ name: 'p', type: builder.ptr(forged), at: 0 }]);
  builder.struct('members', 4, [{ name: 'x;\n} forged; struct {', type: int, at: 0 }]);
  builder.struct('intact', 4, [{ name: 'x', type: int, at: 0 }]);
  const diagnostics: Diagnostic[] = [];
  const text = [...formatC(Btf.parse(builder.bytes()), diagnostics)].join('');
  expect(text).not.toMatch(/forged|system/);
  expect(text).toContain('struct intact {');
  expect(new Set(diagnostics.map(({ code }) => code))).toEqual(new Set(['btf-name']));
});
