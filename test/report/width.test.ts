import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escapeText } from '../../src/report/escape.ts';
import { displayWidth, padEnd, shortenMiddle, widest } from '../../src/report/width.ts';

describe('displayWidth', () => {
  test.each([
    ['', 0],
    ['opensnoop', 9],
    ['é', 1],
    ['e\u0301', 1],
    ['日本語', 6],
    ['한글', 4],
    ['\u1112\u1161\u11ab', 2],
    ['ｆｕｌｌ', 8],
    ['😀', 2],
    ['\u{20000}', 2],
    ['…→ΩЖ', 4],
  ])('%j takes %i columns', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  const unicode = eastAsianWide();
  test.skipIf(unicode === undefined)(
    `wide characters are those of EastAsianWidth.txt${unicode ? '' : ' (skipped: no python3 to ask)'}`,
    () => {
      const differing = (unicode ?? []).filter(([code, wide]) => {
        const character = String.fromCodePoint(code);
        return escapeText(character) === character && (displayWidth(character) === 2) !== wide;
      });
      expect(differing.filter(([code]) => !isWideSinceUnicode16(code))).toEqual([]);
    },
  );
});

describe('shortening', () => {
  test('leaves out the middle and keeps both ends', () => {
    expect(shortenMiddle('/usr/lib/x86_64-linux-gnu/libbpf.so', 16)).toBe('/usr/lib…bbpf.so');
  });

  test('never splits a wide character', () => {
    expect(shortenMiddle('日本語日本語', 8)).toBe('日本…語');
  });

  test('fits, and leaves alone what fits already', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 40 }), (raw, width) => {
        const text = escapeText(raw);
        const shortened = shortenMiddle(text, width);
        expect(displayWidth(shortened)).toBeLessThanOrEqual(width);
        if (displayWidth(text) <= width) expect(shortened).toBe(text);
      }),
    );
  });

  test('does nothing where there is no end to the line', () => {
    const long = 'x'.repeat(10_000);
    expect(shortenMiddle(long, Number.POSITIVE_INFINITY)).toBe(long);
  });
});

test('the widest is the one with the most columns', () => {
  expect(widest(['abc', '日本', ''])).toBe(4);
  expect(widest([])).toBe(0);
});

test('padding counts columns, not characters', () => {
  expect(padEnd('日本', 6)).toBe('日本  ');
  expect(padEnd('longer', 3)).toBe('longer');
});

/** Every assigned code point that takes a column at all, and whether Python's copy of Unicode calls it wide. */
function eastAsianWide(): [code: number, wide: boolean][] | undefined {
  const script = `
import unicodedata as u
for c in range(0x20, 0x110000):
    if u.category(chr(c)) not in ('Cn', 'Co', 'Cs', 'Cc', 'Cf', 'Mn', 'Me'):
        print(c, u.east_asian_width(chr(c)) in 'WF')`;
  const { status, stdout } = spawnSync('python3', ['-c', script], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) return undefined;
  return stdout
    .trim()
    .split('\n')
    .map((line) => [Number.parseInt(line, 10), line.endsWith('True')]);
}

/** Neutral before Unicode 16, and regional indicators, which are no single characters to a terminal. */
function isWideSinceUnicode16(code: number): boolean {
  return (
    (code >= 0x2630 && code <= 0x2637) ||
    (code >= 0x268a && code <= 0x268f) ||
    (code >= 0x4dc0 && code <= 0x4dff) ||
    (code >= 0x1d300 && code <= 0x1d37f) ||
    (code >= 0x1f1e6 && code <= 0x1f1ff)
  );
}
