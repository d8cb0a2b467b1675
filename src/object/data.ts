// What lies in the global data of an object: its variables, and the strings among its bytes.
import { DiagnosticLog } from '../elf/log.ts';
import type { BpfMap } from './maps.ts';
import type { BpfObject } from './open.ts';
import { variablesOf } from './variables.ts';

export interface DataVariable {
  readonly name: string;
  /** Bytes from the start of the map's value. */
  readonly offset: number;
  readonly size: number;
  /** BTF id of its type. */
  readonly type?: number;
}

export interface DataString {
  readonly offset: number;
  readonly text: string;
}

/** The value that a data map starts with: a window on the object. Empty for `.bss`, and for maps that are not data. */
export function initialData({ elf }: BpfObject, map: BpfMap): Uint8Array {
  const section = map.origin === 'data' ? elf.sections[map.sectionIndex ?? 0] : undefined;
  return section === undefined ? new Uint8Array(0) : elf.content(section);
}

/** Named variables by offset. String literals have no names; see `stringsIn`. */
export function dataVariables({ elf, btf }: BpfObject, map: BpfMap): DataVariable[] {
  const section = map.origin === 'data' ? elf.sections[map.sectionIndex ?? 0] : undefined;
  if (section === undefined) return [];
  const types = new Map<string, number>();
  new DiagnosticLog().attempt(map.name, () => {
    const id = btf?.byName(map.name, ['datasec']);
    const datasec = id === undefined ? undefined : btf?.type(id);
    for (const { type } of datasec?.kind === 'datasec' ? datasec.variables : []) {
      const variable = btf?.type(type);
      if (variable?.kind === 'var') types.set(variable.name, variable.type);
    }
  });
  return variablesOf(elf, section).map(({ name, value: offset, size }) => {
    const type = types.get(name);
    return { name, offset, size, ...(type !== undefined && { type }) };
  });
}

/** The text from `offset` up to its NUL, when it is text. */
export function stringAt(data: Uint8Array, offset: number): string | undefined {
  const start = Math.min(offset, data.length);
  const limit = data.subarray(start, start + MAX_TEXT);
  const end = limit.findIndex((byte) => !isText(byte));
  return end > 0 && limit[end] === 0 ? decode(limit.subarray(0, end)) : undefined;
}

/** Every NUL-terminated run of at least four bytes of text. */
export function stringsIn(data: Uint8Array): DataString[] {
  const strings: DataString[] = [];
  let start = 0;
  for (let at = 0; at < data.length; at++) {
    const byte = data[at] ?? 0;
    if (isText(byte) && at - start < MAX_TEXT) continue;
    const text = byte === 0 && at - start >= MIN_TEXT ? decode(data.subarray(start, at)) : undefined;
    if (text !== undefined) strings.push({ offset: start, text });
    start = at + 1;
  }
  return strings;
}

const MIN_TEXT = 4;
const MAX_TEXT = 4096;
const utf8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

function decode(bytes: Uint8Array): string | undefined {
  const text = utf8.decode(bytes);
  return text.includes('\ufffd') ? undefined : text;
}

/** ASCII that prints, white space, and whatever may belong to UTF-8. */
function isText(byte: number): boolean {
  return (byte >= 0x20 && byte !== 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
