// The BTF of an object as text: C, or bpftool's raw listing. Both have lines of their own, which stay.
import type { InspectedObject } from '../scan/inspect.ts';
import { escapeText } from './escape.ts';

export function* renderTypes({ btf }: InspectedObject): Generator<string> {
  if (btf?.listing === undefined) return;
  const { form, text } = btf.listing;
  for (const piece of text)
    yield form === 'raw' ? `${escapeLine(piece)}\n` : piece.split('\n').map(escapeLine).join('\n');
}

/** Tabs at its beginning are layout, everything after them came from the object. */
function escapeLine(line: string): string {
  let tabs = 0;
  while (line[tabs] === '\t') tabs++;
  return `${'\t'.repeat(tabs)}${escapeText(line.slice(tabs))}`;
}
