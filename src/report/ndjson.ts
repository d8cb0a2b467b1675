// One JSON object a line, as things are found: what a pipeline reads while the scan runs.
// Sorts nothing and keeps nothing.
import { escapeJson } from './escape.ts';
import type { Renderer } from './style.ts';

export const renderNdjson: Renderer = async function* (events) {
  for await (const event of events) {
    switch (event.event) {
      case 'start':
        yield line(event);
        break;
      case 'object':
        yield line({ event: event.event, ...event.object });
        break;
      case 'diagnostic':
        yield line({ event: event.event, ...event.diagnostic });
        break;
      case 'progress':
        break;
      case 'summary':
        yield line({ event: event.event, finishedAt: event.finishedAt, ...event.summary });
        break;
      default:
        throw new TypeError(`unknown event ${JSON.stringify(event satisfies never)}`);
    }
  }
};

function line(record: object): string {
  return `${escapeJson(record)}\n`;
}
