// What carved bytes mean, worked out once for bytes that lie in many places.
import { attempt, type Diagnostic } from '../diagnostics.ts';
import { openObject } from '../object/open.ts';
import { type ObjectSummary, summarize } from '../object/summarize.ts';

export interface Meaning extends ObjectSummary {
  readonly diagnostics: readonly Diagnostic[];
}

/** Larger objects are carved and hashed, not opened. The largest public ones have 4.2 MB. */
const OPENED = 64 * 1024 * 1024;
const REMEMBERED = 256;

export class Meanings {
  private readonly known = new Map<string, Meaning>();

  /** The meaning of `content`, whose digest is `sha256`. */
  of(sha256: string, content: Uint8Array): Meaning {
    const known = this.known.get(sha256);
    if (known) return known;
    const meaning = understand(content);
    if (this.known.size >= REMEMBERED) this.known.clear();
    this.known.set(sha256, meaning);
    return meaning;
  }
}

function understand(content: Uint8Array): Meaning {
  if (content.length > OPENED) {
    const message = `${content.length} bytes, more than the ${OPENED} that are opened`;
    return {
      programs: [],
      maps: [],
      diagnostics: [{ severity: 'warning', code: 'too-large', where: 'object', message }],
    };
  }
  const diagnostics: Diagnostic[] = [];
  const object = attempt(diagnostics, 'object', () => openObject(content));
  return object ? { ...summarize(object), diagnostics: object.diagnostics } : { programs: [], maps: [], diagnostics };
}
