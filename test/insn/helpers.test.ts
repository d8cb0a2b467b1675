import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { HELPERS, helperName } from '../../src/insn/helpers.ts';

const HEADER = '/usr/include/linux/bpf.h';
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';

test('a helper is named by its id', () => {
  expect([1, 6, 112, 211].map(helperName)).toEqual([
    'map_lookup_elem',
    'trace_printk',
    'probe_read_user',
    'cgrp_storage_delete',
  ]);
});

test('an id without a helper prints as its number', () => {
  expect([212, -1, 195896080].map(helperName)).toEqual(['212', '-1', '195896080']);
});

test('names equal those of the installed linux/bpf.h', (ctx) => {
  if (!existsSync(HEADER)) ctx.skip(`${HEADER} is not installed (Debian: linux-libc-dev)`);
  const mapper = readFileSync(HEADER, 'utf8').split(/#define _+BPF_FUNC_MAPPER\(FN[^)]*\)/)[1] ?? '';
  const macros = mapper.slice(0, mapper.search(/^\s*\/\*|^#|\n\s*\n/m) || undefined);
  const names = Array.from(macros.matchAll(/\bFN\((\w+)/g), (match) => match[1]);
  expect(names.length).toBeGreaterThan(100);
  expect(HELPERS.slice(0, names.length)).toEqual(names);
});

test('names equal those bpftool knows', (ctx) => {
  const bpftool = spawnSync('bpftool', ['feature', 'list_builtins', 'helpers'], { encoding: 'utf8' });
  if (bpftool.status !== 0) ctx.skip('bpftool with `feature list_builtins` is not installed');
  const names = bpftool.stdout.trim().split('\n');
  expect(HELPERS.slice(0, names.length).map((name) => `bpf_${name}`)).toEqual(names);
});

test('ids and names equal those in the BTF of the running kernel', (ctx) => {
  const bpftool = spawnSync('bpftool', ['btf', 'dump', 'file', KERNEL_BTF], { encoding: 'utf8', maxBuffer: 1 << 30 });
  if (bpftool.status !== 0) ctx.skip(`bpftool cannot read ${KERNEL_BTF}`);
  const enumerators = Array.from(bpftool.stdout.matchAll(/'BPF_FUNC_(\w+)' val=(\d+)/g), ([, name, id]) => ({
    name,
    id,
  }));
  expect(enumerators.length).toBeGreaterThan(100);
  expect(enumerators.filter(({ name, id }) => helperName(Number(id)) !== name)).toEqual([]);
});
