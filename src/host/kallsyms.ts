// /proc/kallsyms: the kernel's own list of JITed BPF functions, apart from bpf(2) and open to every user.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { isErrno } from '../source/errno.ts';
import type { KernelSymbol, View } from './records.ts';

export interface KallsymsView {
  readonly view: View;
  readonly symbols: readonly KernelSymbol[];
}

export function readKallsyms(proc: string): KallsymsView {
  const failed = (status: View['status'], reason: string): KallsymsView => ({ view: { status, reason }, symbols: [] });
  let text: string;
  try {
    text = readLinesWith(PREFIX, `${proc}/kallsyms`);
  } catch (error) {
    if (!isErrno(error)) throw error;
    return failed(error.code === 'ENOENT' ? 'unsupported' : 'denied', `${proc}/kallsyms: ${error.code}`);
  }
  const symbols = parseKallsyms(text);
  // Both are for root to read; for others an empty list has to speak for itself.
  if (setting(proc, 'bpf_jit_kallsyms') === '0') return failed('unsupported', 'net.core.bpf_jit_kallsyms is 0');
  const harden = setting(proc, 'bpf_jit_harden');
  if (harden !== undefined && harden !== '0') return failed('unsupported', `net.core.bpf_jit_harden is ${harden}`);
  if (symbols.length === 0) return { view: { status: 'ok' }, symbols };
  if (symbols.some(({ address }) => address !== undefined)) return { view: { status: 'ok' }, symbols };
  return { view: { status: 'partial', reason: 'addresses are hidden from this user' }, symbols };
}

/** A quarter of a megabyte stays in the cache; the kernel hands out a page at a time. */
const WINDOW = 1 << 18;

/** The stretches of a file in which `word` occurs, in whole lines: nearly all of kallsyms is about something else. */
function readLinesWith(word: string, path: string): string {
  const window = Buffer.allocUnsafeSlow(WINDOW);
  const file = openSync(path, 'r');
  let text = '';
  try {
    for (let held = 0, length = -1; length !== 0; ) {
      length = readSync(file, window, held, WINDOW - held, null);
      const end = held + length;
      held = end;
      if (length > 0 && end < WINDOW) continue;
      // The last line may be cut; a line that fills the window is none of the kernel's.
      const lines = length === 0 ? end : window.lastIndexOf('\n', end - 1) + 1 || end;
      const whole = window.subarray(0, lines);
      if (whole.includes(word)) text += whole.toString('latin1');
      window.copyWithin(0, lines, end);
      held = end - lines;
    }
  } finally {
    closeSync(file);
  }
  return text;
}

/**
 * The functions of programs: `address type bpf_prog_TAG_NAME [bpf]`. Trampolines, dispatchers and struct_ops stubs carry
 * no tag and are left out. A list that changes while it is read may name a function twice: addresses tell.
 */
export function parseKallsyms(text: string): KernelSymbol[] {
  const symbols: KernelSymbol[] = [];
  const seen = new Set<string>();
  for (let at = text.indexOf(PREFIX); at >= 0; at = text.indexOf(PREFIX, at + PREFIX.length)) {
    const end = text.indexOf('\n', at);
    const symbol = parseLine(text.slice(text.lastIndexOf('\n', at) + 1, end < 0 ? text.length : end));
    if (symbol === undefined || (symbol.address !== undefined && seen.has(symbol.address))) continue;
    if (symbol.address !== undefined) seen.add(symbol.address);
    symbols.push(symbol);
  }
  return symbols;
}

const PREFIX = ' bpf_prog_';

function parseLine(line: string): KernelSymbol | undefined {
  const match = /^([0-9a-f]+) \S bpf_prog_([0-9a-f]{16})(?:_(\S*))?\t\[bpf\]$/.exec(line);
  if (match === null) return undefined;
  const [, address = '', tag = '', name = ''] = match;
  const position = BigInt(`0x${address}`);
  return { tag, name, ...(position !== 0n && { address: `0x${position.toString(16)}` }) };
}

function setting(proc: string, name: string): string | undefined {
  try {
    return readFileSync(`${proc}/sys/net/core/${name}`, 'latin1').trim();
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}
