// The counts of a scan, kept per task and added up.

export interface Tally {
  sources: number;
  bytes: number;
  candidates: number;
  unreadable: number;
  rejected: Record<string, number>;
}

export function newTally(): Tally {
  return { sources: 0, bytes: 0, candidates: 0, unreadable: 0, rejected: {} };
}

export function addTally(total: Tally, part: Tally): void {
  total.sources += part.sources;
  total.bytes += part.bytes;
  total.candidates += part.candidates;
  total.unreadable += part.unreadable;
  addCounts(total.rejected, part.rejected);
}

export function addCounts(total: Record<string, number>, part: Readonly<Partial<Record<string, number>>>): void {
  for (const [code, count] of Object.entries(part)) total[code] = (total[code] ?? 0) + (count ?? 0);
}
