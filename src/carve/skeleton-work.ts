// What the light skeletons of one source may cost.
// Bounds only: where something is left out is said by whoever spends it.

/** What the skeletons of one source may cost; shared by all of them, and spent. */
export interface SkeletonWork {
  /** Commands that may still be tried at a place, and slots that may be walked to find the end of a loader. */
  steps: number;
  /** Bytes that may still be read. */
  bytes: number;
  /** Commands that may still be read as records. */
  records: number;
  /** Loaders that may still be given. */
  loaders: number;
  /** Something was left out. */
  limited: boolean;
}

export function newSkeletonWork(): SkeletonWork {
  return { steps: 1 << 24, bytes: 1 << 28, records: 1 << 17, loaders: 1 << 12, limited: false };
}
