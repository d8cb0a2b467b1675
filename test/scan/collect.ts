// A scan as plain lists, with what differs from run to run left out.
import type { Diagnostic } from '../../src/diagnostics.ts';
import type { CarvedObject, ScanEvent, ScanSummary } from '../../src/scan/events.ts';
import { type ScanOptions, scan } from '../../src/scan/scan.ts';
import type { FilePath } from '../../src/source/path.ts';

export interface Scanned {
  readonly events: readonly ScanEvent[];
  readonly objects: readonly CarvedObject[];
  readonly diagnostics: readonly Diagnostic[];
  readonly summary: ScanSummary;
}

/** Tags are none of these tests' business: without a kernel to predict them for, none is read. */
export async function scanned(targets: readonly FilePath[], options: ScanOptions = {}): Promise<Scanned> {
  const events: ScanEvent[] = [];
  for await (const event of scan(targets, { btf: 'none', ...options })) events.push(event);
  return collected(events);
}

export function collected(events: readonly ScanEvent[]): Scanned {
  const end = events.at(-1);
  if (end?.event !== 'summary') throw new Error('a scan ends with its summary');
  return {
    events,
    objects: events.flatMap((event) => (event.event === 'object' ? [event.object] : [])).sort(byPlace),
    diagnostics: events.flatMap((event) => (event.event === 'diagnostic' ? [event.diagnostic] : [])),
    summary: end.summary,
  };
}

/** `path offset+size` of every object. */
export function places({ objects }: Scanned): string[] {
  return objects.map(
    ({ source, offset, size }) => `${source.kind === 'file' ? source.path : source.kind} ${offset}+${size}`,
  );
}

/** What two scans of the same targets must agree in. */
export function comparable({ objects, diagnostics, summary }: Scanned): unknown {
  const { elapsedMs: _, ...counts } = summary;
  return { objects, diagnostics: diagnostics.map((diagnostic) => JSON.stringify(diagnostic)).sort(), counts };
}

function byPlace(a: CarvedObject, b: CarvedObject): number {
  const [one, other] = [a, b].map(({ source }) => (source.kind === 'file' ? source.path : ''));
  return Number((one ?? '') > (other ?? '')) - Number((one ?? '') < (other ?? '')) || (a.offset ?? 0) - (b.offset ?? 0);
}
