// Whether an anchor is worth listing, judged from the bytes around it in the window of the search: of most nothing comes.
// Never turns down what the carvers would take; where the window is too small to tell, it is for them.
import type { ByteRange } from '../bytes/range.ts';
import { isFirstHalf, judgeSlot, SLOT } from '../insn/slot-rules.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import { EXIT, RETURN } from './anchors.ts';
import { mayBeFilter } from './classic-filters.ts';
import { MIN_SLOTS } from './instructions.ts';

/** `what` was found at `at` of `view`, of which the bytes in `within` are the source's. `budget` bounds the work of one window. */
export function isProspect(
  view: DataView,
  at: number,
  what: number,
  within: ByteRange,
  budget: { steps: number },
): boolean {
  switch (what) {
    case EXIT:
      return mayBeProgram(view, at, within, true) || mayBeProgram(view, at, within, false);
    case RETURN:
      return mayBeFilter(view, at, within, budget);
    default:
      return true;
  }
}

/** Whether the run of valid slots around the EXIT slot at `at` is long enough. */
function mayBeProgram(view: DataView, at: number, { from, to }: ByteRange, little: boolean): boolean {
  let count = 1;
  for (let low = at; count < MIN_SLOTS; ) {
    if (low - 2 * SLOT_SIZE < from) return true;
    const kind = judgeSlot(view, low - SLOT_SIZE, little);
    if (kind === SLOT.INVALID || isFirstHalf(kind)) break;
    const isWide = kind === SLOT.SECOND;
    if (isWide && !isFirstHalf(judgeSlot(view, low - 2 * SLOT_SIZE, little))) break;
    low -= isWide ? 2 * SLOT_SIZE : SLOT_SIZE;
    count += isWide ? 2 : 1;
  }
  for (let high = at + SLOT_SIZE; count < MIN_SLOTS; ) {
    if (high + 2 * SLOT_SIZE > to) return true;
    const kind = judgeSlot(view, high, little);
    if (kind === SLOT.INVALID || kind === SLOT.SECOND) break;
    const isWide = isFirstHalf(kind);
    if (isWide && judgeSlot(view, high + SLOT_SIZE, little) !== SLOT.SECOND) break;
    high += isWide ? 2 * SLOT_SIZE : SLOT_SIZE;
    count += isWide ? 2 : 1;
  }
  return count >= MIN_SLOTS;
}
