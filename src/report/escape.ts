// Makes strings that came from an input safe to print: what shows is what is there, and it stays on its line.
// The escapes can be undone: `\\ \n \r \t \"`, `\xNN` for one byte, `\u{…}` for a code point above 0x7f.

/**
 * `text` with everything escaped that a terminal obeys or does not show: controls, format characters (bidi,
 * zero width), separators other than the space, default-ignorable, unassigned and private code points, lone
 * surrogates, and marks that have nothing to combine with or pile up.
 */
export function escapeText(text: string): string {
  if (HARMLESS.test(text)) return text;
  let escaped = '';
  let marks = MARKS_PER_BASE;
  for (const character of text) {
    if (character === ' ') marks = MARKS_PER_BASE;
    else if (UNSAFE.test(character)) {
      escaped += escapeCharacter(character);
      marks = MARKS_PER_BASE;
      continue;
    } else if (!MARK.test(character)) marks = 0;
    else if (marks++ >= MARKS_PER_BASE) {
      escaped += escapeCharacter(character);
      continue;
    }
    escaped += character;
  }
  return escaped;
}

/** A path as a report's records hold it. */
export interface PathLike {
  readonly path: string;
  readonly pathBase64?: string;
}

/**
 * A path for reading, escaped and, where its spaces could pass for layout, in quotes.
 * With `pathBase64` it is made from the exact bytes: there `\xNN` is a byte that is not UTF-8 and `\\` a backslash.
 */
export function escapePath({ path, pathBase64 }: PathLike): string {
  return quoteAmbiguous(pathBase64 === undefined ? escapeText(path) : escapeBytes(decodeBase64(pathBase64)));
}

/** A place or any other phrase of an input, for use inside a line: quoted only where it could pass for layout. */
export function escapePhrase(text: string): string {
  return quoteAmbiguous(escapeText(text));
}

/** A name for use in a list: quoted unless it is one plain word, so that no name can pass for two or for a remark. */
export function escapeName(name: string): string {
  const escaped = escapeText(name);
  return PLAIN_WORD.test(escaped) ? escaped : quote(escaped);
}

/** JSON text that a terminal can show: the same value, with unsafe characters as `\uNNNN`. Always a single line. */
export function escapeJson(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE_IN_JSON, (character) => {
    let escaped = '';
    for (let at = 0; at < character.length; at++) {
      escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
    }
    return escaped;
  });
}

/** The bytes that base64 text stands for, one per character: such strings compare as the bytes do. */
export function binaryString(base64: string): string {
  return atob(base64);
}

const HARMLESS = /^[ !-[\]-~]*$/;
const UNSAFE = /^[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\\]$/u;
const UNSAFE_IN_JSON = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]/gu;
const MARK = /^\p{M}$/u;
/** More marks than any orthography puts on one letter; past that they grow into the lines around. */
const MARKS_PER_BASE = 4;
const PLAIN_WORD = /^[^ ",]+$/;
const AMBIGUOUS = /^$|^[ "]| $| {2}|: /;

const SHORT: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return SHORT[character] ?? (code < 0x80 ? escapeByte(code) : `\\u{${code.toString(16)}}`);
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

function quoteAmbiguous(escaped: string): string {
  return AMBIGUOUS.test(escaped) ? quote(escaped) : escaped;
}

function quote(escaped: string): string {
  return `"${escaped.replaceAll('"', '\\"')}"`;
}

function decodeBase64(base64: string): Uint8Array {
  return Uint8Array.from(binaryString(base64), (character) => character.charCodeAt(0));
}

const utf8 = { decoder: new TextDecoder('utf-8', { ignoreBOM: true }), encoder: new TextEncoder() };

function escapeBytes(bytes: Uint8Array): string {
  let escaped = '';
  let valid = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at] ?? 0);
    const character = length === 0 ? undefined : decodeExactly(bytes.subarray(at, at + length));
    if (character === undefined) {
      escaped += escapeText(valid) + escapeByte(bytes[at] ?? 0);
      valid = '';
      at++;
    } else {
      valid += character;
      at += length;
    }
  }
  return escaped + escapeText(valid);
}

/** Bytes of the UTF-8 sequence that `lead` begins, 0 when it begins none (RFC 3629, section 4). */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

function decodeExactly(sequence: Uint8Array): string | undefined {
  const character = utf8.decoder.decode(sequence);
  const back = utf8.encoder.encode(character);
  return back.length === sequence.length && back.every((byte, at) => byte === sequence[at]) ? character : undefined;
}
