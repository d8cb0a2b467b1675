// Unnamed bitfields that put the next member where the compiler had put it.
const UNITS = [
  { name: 'int', bits: 32 },
  { name: 'short', bits: 16 },
  { name: 'char', bits: 8 },
] as const;

interface Gap {
  /** Bits, from the end of what stands before to the start of what comes. */
  readonly from: number;
  readonly to: number;
  /** Bytes: where the compiler would put what comes if left alone. */
  readonly alignment: number;
  /** Between two bitfields nothing is aligned for us. */
  readonly insideBitfields: boolean;
  /** Bytes of a `long`. */
  readonly longSize: number;
}

/**
 * Member declarations without name for the hole, none where the compiler makes it by itself.
 *
 * The widest unit that has a boundary inside the hole is used first: up to that boundary the compiler pads when it meets a
 * member of that unit, unless `unit: 0` must tell it to; from there on whole units fill the hole. Unnamed bitfields do
 * not add to a struct's alignment, so any unit may be used.
 */
export function padding({ from, to, alignment, insideBitfields, longSize }: Gap): string[] {
  if (from >= to) return [];
  const units = [{ name: 'long', bits: longSize * 8 }, ...UNITS];
  const unit = units.find(({ bits }) => roundUp(from, bits) <= to) ?? { name: 'char', bits: 8 };
  const boundary = roundUp(from, unit.bits);
  const lines: string[] = [];
  let at = from;
  if (boundary > from && boundary <= to) {
    const reachedAnyway = boundary === to && roundUp(from, alignment * 8) === boundary;
    const fillerFallsShort = boundary !== to && to - boundary <= boundary - from;
    if (insideBitfields) lines.push(`${unit.name}: ${boundary - from};`);
    else if ((boundary === to && !reachedAnyway) || fillerFallsShort) lines.push(`${unit.name}: 0;`);
    at = boundary;
  }
  for (; to - at >= unit.bits; at += unit.bits) lines.push(`${unit.name}: ${unit.bits};`);
  const rest = to - at;
  if (rest > 0) lines.push(`${units.findLast(({ bits }) => bits >= rest)?.name ?? 'long'}: ${rest};`);
  return lines;
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
