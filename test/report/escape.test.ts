import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escapeJson, escapeName, escapePath, escapePhrase, escapeText } from '../../src/report/escape.ts';

describe('escapeText', () => {
  test.each([
    ['plain', '/usr/sbin/open-snoop 2.o', '/usr/sbin/open-snoop 2.o'],
    ['letters of any script', 'naïve 日本語 Ωμέγα 😀', 'naïve 日本語 Ωμέγα 😀'],
    ['a backslash', 'a\\x1b', 'a\\\\x1b'],
    ['newline, tab, carriage return', 'a\nb\tc\rd', 'a\\nb\\tc\\rd'],
    ['an escape sequence', '\u001b]0;owned\u0007', '\\x1b]0;owned\\x07'],
    ['DEL and C1', '\u007f\u009b31m', '\\x7f\\u{9b}31m'],
    ['bidi overrides and isolates', 'exe\u202egnp\u2066\u200f\u061c', 'exe\\u{202e}gnp\\u{2066}\\u{200f}\\u{61c}'],
    ['zero width characters', 'a\u200bb\ufeffc\u00add', 'a\\u{200b}b\\u{feff}c\\u{ad}d'],
    ['line and paragraph separators', 'a\u2028b\u2029c', 'a\\u{2028}b\\u{2029}c'],
    ['spaces that are not the space', 'a\u00a0b\u3000c', 'a\\u{a0}b\\u{3000}c'],
    ['fillers and variation selectors', 'a\u3164b\ufe0f', 'a\\u{3164}b\\u{fe0f}'],
    ['tag characters', 'a\u{e0041}', 'a\\u{e0041}'],
    ['lone surrogates', 'a\ud800b\udfff', 'a\\u{d800}b\\u{dfff}'],
    ['private and unassigned code points', '\ue000\u0378\u{10ffff}', '\\u{e000}\\u{378}\\u{10ffff}'],
    ['an accent on a letter', 'e\u0301', 'e\u0301'],
    ['an accent on nothing', '\u0301e \u0301', '\\u{301}e \\u{301}'],
    ['a tower of accents', `e${'\u0301'.repeat(6)}`, `e${'\u0301'.repeat(4)}\\u{301}\\u{301}`],
  ])('%s', (_, text, escaped) => {
    expect(escapeText(text)).toBe(escaped);
  });

  test('lets nothing through that a terminal obeys or hides', () => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        expect(escapeText(text)).toMatch(/^( |[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}])*$/u);
      }),
    );
  });

  test('can be undone', () => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        expect(undo(escapeText(text))).toBe(text);
      }),
    );
  });
});

describe('escapePath', () => {
  test('a path of UTF-8 is escaped as text', () => {
    expect(escapePath({ path: '/etc/caf\\xe9' })).toBe('/etc/caf\\\\xe9');
  });

  test('bytes that are not UTF-8 are told from a backslash in the name', () => {
    const bytes = Buffer.from([0x2f, 0x5c, 0x78, 0xe9, 0xc3, 0xa9, 0xff, 0x0a, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x98]);
    expect(escapePath({ path: 'ignored', pathBase64: bytes.toString('base64') })).toBe(
      '/\\\\x\\xe9é\\xff\\n\\xed\\xa0\\x80\\xf0\\x9f\\x98',
    );
  });

  test('any bytes come back from what is shown', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const shown = escapePath({ path: '', pathBase64: Buffer.from(bytes).toString('base64') });
        expect([...bytesShown(shown)]).toEqual([...bytes]);
      }),
    );
  });

  test.each([
    ['/a b', '/a b'],
    ['/a  12 KiB', '"/a  12 KiB"'],
    ['/a ', '"/a "'],
    [' #1', '" #1"'],
    ['/a: ok', '"/a: ok"'],
    ['"/a"', '"\\"/a\\""'],
    ['', '""'],
  ])('%j, where its spaces could pass for layout, is quoted', (path, shown) => {
    expect(escapePath({ path })).toBe(shown);
  });
});

test('a phrase keeps quotes that stand inside it', () => {
  expect(escapePhrase('section 7 ".maps"')).toBe('section 7 ".maps"');
});

test.each([
  ['kprobe/do_exit', 'kprobe/do_exit'],
  ['and 3 more', '"and 3 more"'],
  ['a,b', '"a,b"'],
  ['say "x"', '"say \\"x\\""'],
  ['', '""'],
  ['\u001b[31m', '\\x1b[31m'],
])('the name %j cannot pass for two or for a remark', (name, shown) => {
  expect(escapeName(name)).toBe(shown);
});

describe('escapeJson', () => {
  test('keeps every value and stays on one visible line', () => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        const json = escapeJson({ [text]: [text] });
        expect(json).toMatch(/^( |[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}])*$/u);
        expect(JSON.parse(json)).toEqual({ [text]: [text] });
      }),
    );
  });
});

/** Text rich in what terminals obey: controls, bidi, surrogates, marks, backslashes. */
function hostileText(): fc.Arbitrary<string> {
  const nasty = fc.constantFrom(...'\\"\n\u001b\u0085\u202e\u2069\u200b\u2028\u0301\ud800\udc00 x日', '\u{e0001}');
  const unit = fc.oneof(nasty, fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }));
  return fc.array(unit).map((units) => units.join(''));
}

const SHORT: Readonly<Record<string, string>> = { '\\': '\\', '"': '"', n: '\n', r: '\r', t: '\t' };

function undo(text: string): string {
  return text.replace(/\\(?:x(..)|u\{([^}]+)\}|(.))/gu, (_, byte, code, short) =>
    short === undefined ? String.fromCodePoint(Number.parseInt(byte ?? code, 16)) : (SHORT[short] ?? ''),
  );
}

function bytesShown(shown: string): Uint8Array {
  const text = shown.startsWith('"') ? shown.slice(1, -1) : shown;
  const parts = text.split(/(\\x..|\\u\{[^}]+\}|\\.)/u).map((part) => {
    if (part.startsWith('\\x')) return Buffer.from(part.slice(2), 'hex');
    return Buffer.from(undo(part));
  });
  return Buffer.concat(parts);
}
