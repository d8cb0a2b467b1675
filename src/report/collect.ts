// Gathers the events of a scan into the one document that they amount to.
// Keeps no object's bytes and no progress.
import type { Diagnostic } from '../diagnostics.ts';
import type { CarvedObject, ScanEvent, ScanReport, StartEvent, SummaryEvent } from '../scan/events.ts';
import { sortDiagnostics, sortObjects } from './order.ts';

/**
 * The report of a whole scan, objects and diagnostics in their order.
 * @throws Error when the events end before the summary.
 */
export async function collectReport(events: AsyncIterable<ScanEvent>): Promise<ScanReport> {
  const objects: CarvedObject[] = [];
  const diagnostics: Diagnostic[] = [];
  let start: StartEvent | undefined;
  let end: SummaryEvent | undefined;
  for await (const event of events) {
    switch (event.event) {
      case 'start':
        start = event;
        break;
      case 'object':
        objects.push(event.object);
        break;
      case 'diagnostic':
        diagnostics.push(event.diagnostic);
        break;
      case 'progress':
        break;
      case 'summary':
        end = event;
        break;
      default:
        throw new TypeError(`unknown event ${JSON.stringify(event satisfies never)}`);
    }
  }
  if (start === undefined || end === undefined)
    throw new Error('the events of a scan begin with start and end with summary');
  const { schemaVersion, tool, command, startedAt, host } = start;
  const { finishedAt, summary } = end;
  return {
    schemaVersion,
    tool,
    command,
    startedAt,
    finishedAt,
    host,
    objects: sortObjects(objects),
    diagnostics: sortDiagnostics(diagnostics),
    summary,
  };
}
