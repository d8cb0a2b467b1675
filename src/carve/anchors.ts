// Places in a source where code may be that no ELF header announces, gathered in the same pass as the headers.
// Lists them within bounds; what they are is for the carvers of each kind.
import { type ByteRange, lastAtOrBefore } from '../bytes/range.ts';

export interface Anchors {
  /** Offsets of EXIT slots, of one in each unbroken row of them; ascending, as are the others. */
  readonly exits: readonly number[];
  /** Offsets of BTF headers: the magic in either byte order, types first, strings right behind them. */
  readonly btf: readonly number[];
  /**
   * When they were asked for: offsets of RET instructions of classic BPF, at the byte 06, right behind a comparison or another RET.
   * Every filter of the usual shape has one.
   */
  readonly returns: readonly number[];
  /** Offsets of the first two instructions of the loaders of light skeletons, of either byte order. */
  readonly loaders: readonly number[];
  /** EXIT slots, BTF headers and loaders that were left out because too many lay close together. */
  readonly dropped: number;
  /** RET instructions that were: in large files usual, for small numbers look like them. */
  readonly droppedReturns: number;
}

/** The anchors of several searches of one source in order, absent when there are none; `place` says where each offset lies. */
export function gatherAnchors(
  parts: readonly { readonly anchors?: Anchors }[],
  place?: (offset: number) => number | undefined,
): Anchors | undefined {
  const found = parts.flatMap(({ anchors }) => anchors ?? []);
  // Of one search they are in order already.
  if (found.length < 2 && place === undefined) return found[0];
  if (found.length === 0) return undefined;
  const all = (pick: (anchors: Anchors) => readonly number[]) => {
    const offsets = found.flatMap(pick);
    const places = place ? offsets.flatMap((offset) => place(offset) ?? []) : offsets;
    return [...new Set(places)].sort((a, b) => a - b);
  };
  return {
    exits: all(({ exits }) => exits),
    btf: all(({ btf }) => btf),
    returns: all(({ returns }) => returns),
    loaders: all(({ loaders }) => loaders),
    dropped: found.reduce((sum, { dropped }) => sum + dropped, 0),
    droppedReturns: found.reduce((sum, { droppedReturns }) => sum + droppedReturns, 0),
  };
}

/** Those in a stretch of the source, counted from its start. */
export function anchorsWithin(anchors: Anchors, { from, to }: ByteRange): Anchors | undefined {
  const within = (offsets: readonly number[]) => {
    const first = lastAtOrBefore(offsets, from - 1, (offset) => offset) + 1;
    const past = lastAtOrBefore(offsets, to - 1, (offset) => offset) + 1;
    return offsets.slice(first, past).map((offset) => offset - from);
  };
  const [exits = [], btf = [], returns = [], loaders = []] = [
    anchors.exits,
    anchors.btf,
    anchors.returns,
    anchors.loaders,
  ].map(within);
  if (exits.length + btf.length + returns.length + loaders.length === 0) return undefined;
  return { exits, btf, returns, loaders, dropped: 0, droppedReturns: 0 };
}

export interface AnchorOptions {
  /** Default true: look for EXIT slots, of which there are thousands in any tree of files: a turn more over each window. */
  readonly exits?: boolean;
  /** Look for filters of classic BPF too, in the same turn. */
  readonly classic?: boolean;
  /** Leave out EXIT slots and RET instructions around which the bytes nearby can be no whole program or filter: most of them. */
  readonly prospectsOnly?: boolean;
}

/** What the finder says instead of a verdict on a header. */
export const EXIT = 16;
const BTF = 17;
export const RETURN = 18;
const LOADER = 19;
/** Whether the finder speaks of an anchor; verdicts on headers lie below. */
export function isAnchor(verdict: number): boolean {
  return verdict >= EXIT;
}

/** Anchors in one window of the search that may follow another one within 256 bytes. */
export const CROWD_PER_WINDOW = 512;
/** Of one kind, in one list: what one in 256 bytes of 256 MiB makes. */
const MOST = 1 << 20;

/** Gathers the anchors of one search, or of several that follow one another. */
export class AnchorList implements Anchors {
  readonly exits: number[] = [];
  readonly btf: number[] = [];
  readonly returns: number[] = [];
  readonly loaders: number[] = [];
  readonly listsExits: boolean;
  readonly classic: boolean;
  readonly prospectsOnly: boolean;
  dropped = 0;
  droppedReturns = 0;

  constructor(options: AnchorOptions = {}) {
    this.listsExits = options.exits ?? true;
    this.classic = options.classic ?? false;
    this.prospectsOnly = options.prospectsOnly ?? false;
  }

  add(offset: number, what: number): void {
    const list = this.listOf(what);
    // Windows overlap where a RET needs what lies before it.
    if ((what === EXIT || what === RETURN) && offset <= (list.at(-1) ?? -1)) return;
    if (list.length < MOST) list.push(offset);
    else if (what === RETURN) this.droppedReturns++;
    else this.dropped++;
  }

  /** Whether anchors of this kind were asked for. */
  wants(what: number): boolean {
    return what === EXIT ? this.listsExits : what !== RETURN || this.classic;
  }

  get isEmpty(): boolean {
    const listed = this.exits.length + this.btf.length + this.returns.length + this.loaders.length;
    return listed + this.dropped + this.droppedReturns === 0;
  }

  private listOf(what: number): number[] {
    switch (what) {
      case EXIT:
        return this.exits;
      case BTF:
        return this.btf;
      case RETURN:
        return this.returns;
      case LOADER:
        return this.loaders;
      default:
        throw new RangeError(`${what} is no kind of anchor`);
    }
  }
}
