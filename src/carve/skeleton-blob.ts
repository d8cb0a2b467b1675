// Where the data of a light skeleton lies: compilers put it before or behind the loader, aligned or not, and nothing says which.
// Every place is tried until all that the loader refers to makes sense there.
import { btfHeader } from '../btf/layouts.ts';
import { cstring } from '../bytes/cstring.ts';
import { viewOf } from '../bytes/layout.ts';
import { type Reader, readAt } from '../bytes/reader.ts';
import { judgeSlot, SLOT } from '../insn/slot-rules.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { FoundLoader } from './skeleton-finder.ts';
import { BPF_COMMAND, type SkeletonCommand, type SkeletonScript } from './skeleton-loader.ts';
import type { SkeletonWork } from './skeleton-work.ts';

export interface Blob {
  /** Bytes from the start of the source. */
  readonly offset: number;
  readonly little: boolean;
  /** From `offset` on, at least as many as the script refers to; more where there is more. */
  readonly bytes: Uint8Array;
}

/** Between the blob and the loader: padding, and what a compiler may have put there. */
const GAP = 1024;
/** The same where BTF shows where the blob is: as far as pieces of one heap lie apart. */
const WIDE_GAP = 1024 * 1024;
/** Larger data is not looked for. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Finds the blobs of the loaders of one source, one after the other. */
export class BlobFinder {
  readonly #reader: Reader;
  readonly #work: SkeletonWork;
  /** Blobs of loaders before: another loader has one of these only when there is no other. */
  readonly #taken = new Set<number>();

  constructor(reader: Reader, work: SkeletonWork) {
    this.#reader = reader;
    this.#work = work;
  }

  find(loader: FoundLoader, script: SkeletonScript): Blob | undefined {
    const { size } = script;
    if (size === 0 || size > MOST_BYTES) return undefined;
    this.#work.records -= script.commands.length;
    const test = blobTest(script, loader.slots.little, this.#work);
    const blob = this.#search(loader, script, GAP, test) ?? this.#search(loader, script, WIDE_GAP, test);
    if (blob !== undefined) this.#taken.add(blob.offset);
    return blob;
  }

  #search(loader: FoundLoader, script: SkeletonScript, gap: number, test: BlobTest): Blob | undefined {
    const { little } = loader.slots;
    const btf = pointerToBtf(script);
    // Without a program there is too little to be sure of: then BTF is wanted, and of the size that the loader gives it.
    const isSeen = gap === GAP && script.commands.some(isProgram);
    if (!isSeen && btf === undefined) return undefined;
    const end = loader.offset + loader.slots.bytes.length;
    const length = script.size + gap;
    let taken: Blob | undefined;
    for (const isBefore of [true, false]) {
      if (!this.#mayGoOn()) return undefined;
      const window = isBefore ? readBefore(this.#reader, loader.offset, length) : readAt(this.#reader, end, length);
      this.#work.bytes -= window.length;
      const isThere = test(window);
      const start = isBefore ? loader.offset - window.length : end;
      const last = window.length - script.size;
      const near = !isSeen ? [] : isBefore ? places(last, 0) : places(0, last);
      for (const base of chain(btf === undefined ? [] : placesOfBtf(window, little, btf), near)) {
        if (!this.#mayGoOn()) return undefined;
        if (base < 0 || base > last || !isThere(base)) continue;
        const blob = { offset: start + base, little, bytes: window.subarray(base) };
        if (!this.#taken.has(blob.offset)) return blob;
        taken ??= blob;
      }
    }
    return taken;
  }

  #mayGoOn(): boolean {
    const { steps, bytes, records } = this.#work;
    if (steps > 0 && bytes > 0 && records > 0) return true;
    this.#work.limited = true;
    return false;
  }
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

/** From one to the other, both included, in either direction; nothing when they are negative. */
function* places(from: number, to: number): Generator<number> {
  const step = from <= to ? 1 : -1;
  if (from >= 0 && to >= 0) for (let place = from; place !== to + step; place += step) yield place;
}

function* chain(...lists: Iterable<number>[]): Generator<number> {
  for (const list of lists) yield* list;
}

function pointerToBtf(script: SkeletonScript): number | undefined {
  const load = script.commands.find(({ command }) => command === BPF_COMMAND.BTF_LOAD);
  return load && script.pointers.get(load.attributes);
}

/** BTF is easily seen, and settles where the rest is. */
function* placesOfBtf(window: Uint8Array, little: boolean, btf: number): Generator<number> {
  const [first, second] = little ? [0x9f, 0xeb] : [0xeb, 0x9f];
  // Not by indexOf, which takes ten times as long when all bytes are the first one.
  for (let at = btf; at + 2 < window.length; at++) {
    if (window[at] === first && window[at + 1] === second && window[at + 2] === 1) yield at - btf;
  }
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
