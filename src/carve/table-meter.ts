// Bounds what the tables of one source may cost to read, so that many headers that share a huge table stay cheap.
import type { Reader } from '../bytes/reader.ts';
import { FormatError } from '../diagnostics.ts';

/** Table bytes at the start: a million section headers four times over, about a quarter of a second. */
const START = 256 * 1024 * 1024;
/** Of these, what crowded headers cannot use up: kept for objects beside a flood. */
const RESERVE = 64 * 1024 * 1024;
/** Earned for every stored byte of the source that is passed. */
const PER_BYTE = 4;

/**
 * A reader that gives each header in turn at most half of the budget that is left. The costly ones run dry first: what
 * starves is the flood, and a small object beside it still has what it needs.
 */
export class TableMeter implements Reader {
  private readonly reader: Reader;
  private readonly perByte: number;
  private left = START;
  private allowance = 0;
  private spent = 0;
  private passed = 0;

  /** `density`: the share of the source's bytes that are stored. */
  constructor(reader: Reader, density: number) {
    this.reader = reader;
    this.perByte = PER_BYTE * density;
  }

  /** Starts on the header at `offset`; offsets ascend. */
  begin(offset: number, isCrowded: boolean): void {
    this.left += this.perByte * (offset - this.passed);
    this.passed = offset;
    this.spent = 0;
    this.allowance = Math.max(0, (isCrowded ? this.left - RESERVE : this.left) / 2);
  }

  /** The tables just read were an object's own: they cost no more than the source is long. */
  refund(): void {
    this.left += this.spent;
  }

  /** @throws FormatError `work-limit` when the header's share is used up. */
  readInto(target: Uint8Array, at: number): number {
    if (target.length > this.allowance) {
      throw new FormatError('work-limit', at, `${target.length} table bytes wanted, ${this.allowance} allowed`);
    }
    this.allowance -= target.length;
    this.left -= target.length;
    this.spent += target.length;
    return this.reader.readInto(target, at);
  }
}
