// 64-bit values as records hold them.

/** A number up to 2^53, `0x…` beyond; negative values count from zero there too. */
export function wide(value: bigint): number | string {
  if (value >= -SAFE && value <= SAFE) return Number(value);
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
