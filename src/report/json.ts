// The report as one JSON document, in pieces: 100,000 objects never are one string.
// Knows nothing of what the document says.
import { collectReport } from './collect.ts';
import { escapeJson } from './escape.ts';
import type { Renderer } from './style.ts';

export const renderJson: Renderer = async function* (events) {
  yield* documentPieces(await collectReport(events));
};

/** `document` as JSON text: a line for every member, and for every element of a member that is an array. */
export function* documentPieces(document: object): Generator<string> {
  let separator = '{\n';
  for (const [key, value] of Object.entries(document)) {
    yield `${separator}  ${JSON.stringify(key)}: `;
    if (Array.isArray(value)) yield* arrayPieces(value);
    else yield escapeJson(value);
    separator = ',\n';
  }
  yield separator === '{\n' ? '{}\n' : '\n}\n';
}

function* arrayPieces(elements: readonly unknown[]): Generator<string> {
  let separator = '[\n    ';
  for (const element of elements) {
    yield separator + escapeJson(element);
    separator = ',\n    ';
  }
  yield elements.length === 0 ? '[]' : '\n  ]';
}
