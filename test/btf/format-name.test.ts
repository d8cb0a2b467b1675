import { expect, test } from 'vitest';
import { Btf } from '../../src/btf/decode.ts';
import { typeName } from '../../src/btf/format-name.ts';
import { BtfBuilder } from './build.ts';

const nameOf = (fill: (build: BtfBuilder) => number) => {
  const build = new BtfBuilder();
  const id = fill(build);
  return typeName(Btf.parse(build.bytes()), id);
};
const char = (build: BtfBuilder) => build.int('char', 1);

test.each<[string, (build: BtfBuilder) => number]>([
  ['void', () => 0],
  ['void *', (build) => build.ptr(0)],
  ['struct task_struct *', (build) => build.ptr(build.struct('task_struct', 8, []))],
  ['struct sock *', (build) => build.ptr(build.fwd('sock'))],
  ['struct {...}', (build) => build.struct('', 8, [])],
  ['const char *', (build) => build.ptr(build.const(char(build)))],
  ['char * const', (build) => build.const(build.ptr(char(build)))],
  ['char * const *', (build) => build.ptr(build.const(build.ptr(char(build))))],
  ['char[16]', (build) => build.array(char(build), 16)],
  ['char[2][16]', (build) => build.array(build.array(char(build), 16), 2)],
  ['char (*)[16]', (build) => build.ptr(build.array(char(build), 16))],
  ['char *[16]', (build) => build.array(build.ptr(char(build)), 16)],
  ['char (*)(void *, ...)', (build) => build.ptr(build.funcProto(char(build), [['p', build.ptr(0)], ['', 0]]))], // biome-ignore format: one line
  ['void (*)(void)', (build) => build.ptr(build.funcProto(0, []))],
  ['enum e', (build) => build.enum64('e', {})],
  ['size_t', (build) => build.typedef('size_t', char(build))],
])('%s', (name, fill) => {
  expect(nameOf(fill)).toBe(name);
});

test.each<[string, (build: BtfBuilder) => number]>([
  ['pointer', (build) => build.ptr(1)],
  ['variable', (build) => build.var('v', 1)],
  ['prototype', (build) => build.funcProto(1, new Array(20).fill(['p', 1]))],
])('a %s that refers to itself is cut', (_kind, fill) => {
  expect(nameOf(fill)).toContain('…');
});
