// Runs a renderer to its end.
import type { Renderer, Style } from '../../src/report/style.ts';
import type { ScanEvent } from '../../src/scan/events.ts';

export const PIPED: Style = { color: false, width: Number.POSITIVE_INFINITY, verbose: 0, quiet: false };

export async function render(
  renderer: Renderer,
  events: AsyncIterable<ScanEvent>,
  style: Partial<Style> = {},
): Promise<string> {
  let text = '';
  for await (const piece of renderer(events, { ...PIPED, ...style })) text += piece;
  return text;
}
