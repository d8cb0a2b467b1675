// Where the data of a light skeleton lies: compilers put it before or behind the loader, aligned or not, and nothing says which.
// Every place is tried until all that the loader refers to makes sense there.
import { btfHeader } from '../btf/layouts.ts';
import { cstring } from '../bytes/cstring.ts';
import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { judgeSlot, SLOT } from '../insn/slot-rules.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { BtfIndex, isBtf } from './skeleton-btf.ts';
import type { FoundLoader, ScriptedLoader } from './skeleton-finder.ts';
import { BPF_COMMAND, type SkeletonCommand, type SkeletonScript } from './skeleton-loader.ts';
import type { SkeletonWork } from './skeleton-work.ts';

/** A place for the data of a loader. */
export interface BlobPlace {
  /** Bytes from the start of the source. */
  readonly offset: number;
  /** Bytes between it and the loader. */
  readonly distance: number;
}

/** Whether the blob at `offset` may still be had. */
type IsFree = (offset: number, size: number) => boolean;

/** Larger data is not looked for. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Finds places that make sense for the blobs of the loaders of one source, whoever gets them. */
export class BlobFinder {
  readonly #reader: Reader;
  readonly #work: SkeletonWork;
  readonly #types: { readonly little: BtfIndex; readonly big: BtfIndex };

  constructor(reader: Reader, work: SkeletonWork) {
    this.#reader = reader;
    this.#work = work;
    this.#types = { little: new BtfIndex(reader, true, work), big: new BtfIndex(reader, false, work) };
  }

  /** The nearest place on either side of the loader, at most `gap` bytes away. */
  near({ loader, script }: ScriptedLoader, gap: number, isFree: IsFree = () => true): BlobPlace[] {
    const { size } = script;
    const { little } = loader.slots;
    const btf = pointerToBtf(script);
    const isSeen = hasProgram(script);
    // Without a program there is too little to be sure of: then BTF is wanted, and of the size that the loader gives it.
    if (size === 0 || size > MOST_BYTES || (!isSeen && btf === undefined)) return [];
    const test = blobTest(script, little, this.#work);
    const found: BlobPlace[] = [];
    for (const isBefore of [true, false]) {
      if (!this.#mayGoOn()) break;
      const window = this.#readBeside(loader, isBefore, size + gap);
      const start = isBefore ? loader.offset - window.length : endOf(loader);
      const most = window.length - size;
      const isThere = test(window);
      const baseAt = (distance: number) => (isBefore ? most - distance : distance);
      const isHere = (distance: number) => isFree(start + baseAt(distance), size) && isThere(baseAt(distance));
      const distances = Array.from({ length: Math.max(0, most + 1) }, (_, distance) => distance);
      // BTF is easily seen, and settles where the rest is.
      const atTypes = btf === undefined ? [] : distances.filter((each) => isBtf(window, baseAt(each) + btf, little));
      const distance = atTypes.find(isHere) ?? (isSeen ? distances.find(isHere) : undefined);
      if (distance !== undefined) found.push({ offset: start + baseAt(distance), distance });
    }
    return found;
  }

  /** Places on both sides at which the BTF of the blob is seen, at most `gap` bytes away: the nearest first. */
  *far({ loader, script }: ScriptedLoader, gap: number, isFree: IsFree): Generator<BlobPlace> {
    const { size } = script;
    const btf = pointerToBtf(script);
    if (btf === undefined || size > MOST_BYTES) return;
    const { little } = loader.slots;
    const test = blobTest(script, little, this.#work);
    const types = this.#types[little ? 'little' : 'big'];
    const end = endOf(loader);
    const last = loader.offset - size;
    const before = types.down(last + btf, Math.max(0, last - gap) + btf);
    const behind = types.up(end + btf, end + gap + btf);
    for (const { at, distance } of nearestFirst(before, last + btf, behind, end + btf)) {
      if (!this.#mayGoOn()) return;
      this.#work.steps--;
      const offset = at - btf;
      if (offset < 0 || !isFree(offset, size)) continue;
      this.#work.bytes -= size;
      const bytes = readAt(this.#reader, offset, size);
      if (bytes.length === size && test(bytes)(0)) yield { offset, distance };
    }
  }

  #readBeside(loader: FoundLoader, isBefore: boolean, length: number): Uint8Array {
    const window = isBefore
      ? readBefore(this.#reader, loader.offset, length)
      : readAt(this.#reader, endOf(loader), length);
    this.#work.bytes -= window.length;
    return window;
  }

  #mayGoOn(): boolean {
    const { steps, bytes, records } = this.#work;
    if (steps > 0 && bytes > 0 && records > 0) return true;
    this.#work.limited = true;
    return false;
  }
}

function endOf({ offset, slots }: FoundLoader): number {
  return offset + slots.bytes.length;
}

const PAGE = 4096;

/** Up to `length` bytes that end at `end`; fewer where memory begins, of which `readAt` from before it would give nothing. */
function readBefore(reader: Reader, end: number, length: number): Uint8Array {
  const low = Math.max(0, end - length);
  const whole = readAt(reader, low, end - low);
  if (whole.length === end - low) return whole;
  const target = new Uint8Array(end - low);
  let from = end;
  while (from > low) {
    const page = Math.max(low, (Math.ceil(from / PAGE) - 1) * PAGE);
    const piece = readAt(reader, page, from - page);
    if (piece.length < from - page) break;
    target.set(piece, page - low);
    from = page;
  }
  return target.subarray(from - low);
}

/** Two lists of offsets that begin at `low` and `high` and lead away from there, as one. */
function* nearestFirst(
  down: Generator<number>,
  low: number,
  up: Generator<number>,
  high: number,
): Generator<{ readonly at: number; readonly distance: number }> {
  let below = down.next();
  let above = up.next();
  while (!below.done || !above.done) {
    const left = below.done ? Number.POSITIVE_INFINITY : low - below.value;
    const right = above.done ? Number.POSITIVE_INFINITY : above.value - high;
    if (!below.done && left <= right) {
      yield { at: below.value, distance: left };
      below = down.next();
    } else if (!above.done) {
      yield { at: above.value, distance: right };
      above = up.next();
    }
  }
}

function pointerToBtf(script: SkeletonScript): number | undefined {
  const load = script.commands.find(({ command }) => command === BPF_COMMAND.BTF_LOAD);
  return load && script.pointers.get(load.attributes);
}

function hasProgram(script: SkeletonScript): boolean {
  return script.commands.some(isProgram);
}

function isProgram({ command }: SkeletonCommand): boolean {
  return command === BPF_COMMAND.PROG_LOAD;
}

/** Offsets in union bpf_attr. */
const BTF_SIZE = 16;
const INSN_CNT = 4;
const INSNS = 8;
const LICENSE = 16;
const PROG_NAME = 48;
const MAP_NAME = 28;
const NAME_SIZE = 16;
const MOST_SLOTS = 1_000_000;
const MOST_TYPES = 128;

/** For a window: whether a blob that begins at `base` of it, and that it holds, makes sense there. */
type BlobTest = (window: Uint8Array) => (base: number) => boolean;

/** Asks for all programs and maps of `script`. */
function blobTest(script: SkeletonScript, little: boolean, work: { steps: number }): BlobTest {
  const loads = script.commands.filter(isProgram);
  const creates = script.commands.filter(({ command }) => command === BPF_COMMAND.MAP_CREATE);
  const types = script.commands.filter(({ command }) => command === BPF_COMMAND.BTF_LOAD);
  return (window) => {
    const view = viewOf(window);
    const isProgramAt = (base: number, command: SkeletonCommand) => {
      work.steps--;
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
      work.steps--;
      const at = base + attributes;
      if (at + MAP_NAME + NAME_SIZE > window.length) return false;
      const type = view.getUint32(at, little);
      return type > 0 && type <= MOST_TYPES && isName(window, at + MAP_NAME);
    };
    const isBtfAt = (base: number, { attributes }: SkeletonCommand) => {
      work.steps--;
      const at = base + (script.pointers.get(attributes) ?? 0);
      const sizeAt = base + attributes + BTF_SIZE;
      if (at + btfHeader.size > window.length || sizeAt + 4 > window.length) return false;
      const { hdr_len, str_off, str_len } = btfHeader.read(view, at, little);
      return hdr_len + str_off + str_len === view.getUint32(sizeAt, little);
    };
    return (base) =>
      loads.every((each) => isProgramAt(base, each)) &&
      creates.every((each) => isMapAt(base, each)) &&
      (loads.length > 0 || types.every((each) => isBtfAt(base, each)));
  };
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
