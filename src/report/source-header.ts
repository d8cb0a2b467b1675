// The line above the objects of one source: its path, its size, the host's build id.
// Says nothing of the objects.
import type { CarvedObject } from '../scan/events.ts';
import type { Source } from '../source/source.ts';
import type { Palette } from './colors.ts';
import { type Cell, flow } from './columns.ts';
import { escapePath, escapePhrase } from './escape.ts';
import type { Style } from './style.ts';
import { formatBytes } from './units.ts';

export function renderSourceHeader(
  objects: readonly [CarvedObject, ...CarvedObject[]],
  { width, verbose }: Style,
  { bold, dim }: Palette,
): string {
  const { source, within } = objects[0];
  const cells: Cell[] = [{ text: sourceTitle(source), paint: bold }];
  if (source.kind !== 'process' && source.size !== undefined) {
    cells.push({ text: verbose > 0 ? `${source.size} B` : formatBytes(source.size), paint: dim });
  }
  if (within?.buildId !== undefined) cells.push({ text: `build id ${escapePhrase(within.buildId)}`, paint: dim });
  return `${flow(cells, { used: 0, indent: 2, gap: 2, width })}\n`;
}

function sourceTitle(source: Source): string {
  switch (source.kind) {
    case 'file':
      return escapePath(source);
    case 'process':
      return `pid ${source.pid}`;
    case 'stdin':
      return 'standard input';
    default:
      throw new TypeError(`unknown source ${JSON.stringify(source satisfies never)}`);
  }
}
