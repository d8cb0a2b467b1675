// Where the data of a light skeleton lies: compilers put it before or behind the loader, aligned or not, and nothing says which.
// Every place is tried until all that the loader refers to makes sense there.
import { cstring } from '../bytes/cstring.ts';
import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { judgeSlot, SLOT } from '../insn/slot-rules.ts';
import { type InstructionSlots, SLOT_SIZE } from '../insn/slots.ts';
import { BPF_COMMAND, type SkeletonCommand, type SkeletonScript } from './skeleton-loader.ts';

export interface Blob {
  /** Bytes from the start of the source. */
  readonly offset: number;
  readonly little: boolean;
  /** From `offset` on; more than the blob where there is more. */
  readonly bytes: Uint8Array;
}

/** Between the blob and the loader: padding, and what a compiler may have put there. */
const GAP = 4096;
/** Larger data is not looked for. */
const MOST_BYTES = 32 * 1024 * 1024;
/** Behind the last place that is referred to by itself: instructions, line info and map contents may still go on. */
const SLACK = 1024 * 1024;

/** The blob of `loader`. Steps are taken from `work`. */
export function locateBlob(
  reader: Reader,
  loader: { readonly offset: number; readonly slots: InstructionSlots },
  script: SkeletonScript,
  work: { steps: number },
): Blob | undefined {
  const { reach } = script;
  if (reach === 0 || reach > MOST_BYTES || !script.commands.some(isProgram)) return undefined;
  const { little } = loader.slots;
  const loaderEnd = loader.offset + loader.slots.bytes.length;
  const low = Math.max(0, loader.offset - reach - GAP - SLACK);
  const window = readAt(reader, low, loaderEnd - low + GAP + reach + SLACK);
  const isThere = blobTest(window, little, script);
  const before = loader.offset - low - reach;
  const after = loaderEnd - low;
  for (const base of [...placesOfBtf(window, little, script), ...places(before, 0), ...places(after, after + GAP)]) {
    if (work.steps-- <= 0) return undefined;
    const isInLoader = base + reach > loader.offset - low && base < after;
    if (base < 0 || isInLoader || !isThere(base)) continue;
    return { offset: low + base, little, bytes: window.subarray(base) };
  }
  return undefined;
}

/** From one to the other, both included, in either direction. */
function* places(from: number, to: number): Generator<number> {
  const step = from <= to ? 1 : -1;
  for (let place = from; place !== to + step; place += step) yield place;
}

/** BTF is easily seen, and settles where the rest is. */
function* placesOfBtf(window: Uint8Array, little: boolean, script: SkeletonScript): Generator<number> {
  const load = script.commands.find(({ command }) => command === BPF_COMMAND.BTF_LOAD);
  const btf = load && script.pointers.get(load.attributes);
  if (btf === undefined) return;
  const [first, second] = little ? [0x9f, 0xeb] : [0xeb, 0x9f];
  for (let at = window.indexOf(first, btf); at >= 0; at = window.indexOf(first, at + 1)) {
    if (window[at + 1] === second && window[at + 2] === 1) yield at - btf;
  }
}

function isProgram({ command }: SkeletonCommand): boolean {
  return command === BPF_COMMAND.PROG_LOAD;
}

/** Offsets in union bpf_attr. */
const INSN_CNT = 4;
const INSNS = 8;
const LICENSE = 16;
const PROG_NAME = 48;
const MAP_NAME = 28;
const NAME_SIZE = 16;
const MOST_SLOTS = 1_000_000;
const MOST_TYPES = 128;

function blobTest(window: Uint8Array, little: boolean, script: SkeletonScript): (base: number) => boolean {
  const view = viewOf(window);
  const loads = script.commands.filter(isProgram);
  const creates = script.commands.filter(({ command }) => command === BPF_COMMAND.MAP_CREATE);
  const isProgramAt = (base: number, command: SkeletonCommand) => {
    const at = base + command.attributes;
    if (at + PROG_NAME + NAME_SIZE > window.length) return false;
    const type = view.getUint32(at, little);
    const count = view.getUint32(at + INSN_CNT, little);
    const insns = script.pointers.get(command.attributes + INSNS);
    const license = script.pointers.get(command.attributes + LICENSE);
    if (type === 0 || type > MOST_TYPES || count === 0 || count > MOST_SLOTS) return false;
    if (insns === undefined || license === undefined) return false;
    const end = base + insns + count * SLOT_SIZE;
    if (end > window.length || !isName(window, at + PROG_NAME) || !isText(window, base + license)) return false;
    const last = judgeSlot(view, end - SLOT_SIZE, little);
    return (last === SLOT.EXIT || last === SLOT.JUMP) && judgeSlot(view, base + insns, little) !== SLOT.INVALID;
  };
  const isMapAt = (base: number, { attributes }: SkeletonCommand) => {
    const at = base + attributes;
    if (at + MAP_NAME + NAME_SIZE > window.length) return false;
    const type = view.getUint32(at, little);
    return type > 0 && type <= MOST_TYPES && isName(window, at + MAP_NAME);
  };
  return (base) => loads.every((each) => isProgramAt(base, each)) && creates.every((each) => isMapAt(base, each));
}

/** bpf_obj_name_cpy: letters, digits, `_` and `.`, then zeros. */
function isName(window: Uint8Array, at: number): boolean {
  let ended = false;
  for (let index = 0; index < NAME_SIZE; index++) {
    const byte = window[at + index] as number;
    if (byte === 0) ended = true;
    else if (ended || !isNameByte(byte)) return false;
  }
  return ended;
}

function isNameByte(byte: number): boolean {
  const lower = byte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x5f || byte === 0x2e;
}

const MOST_TEXT = 128;

function isText(window: Uint8Array, at: number): boolean {
  for (let index = 0; index < MOST_TEXT; index++) {
    const byte = window[at + index];
    if (byte === 0) return true;
    if (byte === undefined || byte < 0x20 || byte > 0x7e) return false;
  }
  return false;
}

const MOST_STRING = 512;

/** The string at `at` of a blob, cut where no name is that long; empty past the end. */
export function readBlobString(blob: Uint8Array, at: number): string {
  return at < blob.length ? cstring(blob.subarray(at, at + MOST_STRING), 0) : '';
}
