// How many anchors the searches of one source may bring together: a source of any length must fit in memory.
import type { Candidates } from '../carve/search.ts';

/** Of all kinds. Real sources stay far below; these take 32 MiB. */
const MOST = 1 << 22;

export class AnchorLimit {
  private room = MOST;

  /** The same parts; from where there is no room any more, only the number of anchors. */
  keep(parts: readonly Candidates[]): readonly Candidates[] {
    return parts.map((part) => this.keepPart(part));
  }

  private keepPart(part: Candidates): Candidates {
    const { anchors } = part;
    if (anchors === undefined) return part;
    const { exits, btf, returns, loaders, dropped, droppedReturns } = anchors;
    const count = exits.length + btf.length + loaders.length + returns.length;
    if (count <= this.room) {
      this.room -= count;
      return part;
    }
    return {
      ...part,
      anchors: {
        exits: [],
        btf: [],
        returns: [],
        loaders: [],
        dropped: dropped + count - returns.length,
        droppedReturns: droppedReturns + returns.length,
      },
    };
  }
}
