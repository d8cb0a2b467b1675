// What went wrong, one line each; many of one kind are folded.
// Judges no severity: that came with the diagnostic.
import type { Diagnostic, Severity } from '../diagnostics.ts';
import { type Paint, type Palette, palette } from './colors.ts';
import { flowWords } from './columns.ts';
import { escapePath, escapePhrase, escapeText } from './escape.ts';
import type { Style } from './style.ts';
import { formatCount } from './units.ts';
import { padEnd } from './width.ts';

const WORDS: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', info: 'note' };
const WORD_WIDTH = 'warning'.length;
/** Of one code this many are shown, unless there are hardly more. */
const SHOWN = 3;
const FOLDED_FROM = SHOWN + 2;

/** The diagnostics of the scan itself, worst first; those that only inform are for -v. Empty when there is nothing to say. */
export function renderProblems(diagnostics: readonly Diagnostic[], style: Style): string {
  const kinds = [...byKind(diagnostics)].filter((kind) => style.verbose > 0 || kind[0].severity !== 'info');
  return kinds.map((kind) => renderKind(kind, 0, style, palette(style.color))).join('');
}

/** The diagnostics of one object, below it. */
export function renderObjectDiagnostics(
  diagnostics: readonly Diagnostic[],
  indent: number,
  style: Style,
  colors: Palette,
): string {
  return [...byKind(diagnostics)].map((kind) => renderKind(kind, indent, style, colors)).join('');
}

type Kind = readonly [Diagnostic, ...Diagnostic[]];

function byKind(diagnostics: readonly Diagnostic[]): readonly Kind[] {
  const kinds = new Map<string, [Diagnostic, ...Diagnostic[]]>();
  for (const severity of ['error', 'warning', 'info']) {
    for (const diagnostic of diagnostics) {
      if (diagnostic.severity !== severity) continue;
      const key = `${severity} ${diagnostic.code}`;
      const kind = kinds.get(key);
      if (kind === undefined) kinds.set(key, [diagnostic]);
      else kind.push(diagnostic);
    }
  }
  return [...kinds.values()];
}

function renderKind(kind: Kind, indent: number, style: Style, colors: Palette): string {
  const isFolded = style.verbose === 0 && kind.length >= FOLDED_FROM;
  const shown = isFolded ? kind.slice(0, SHOWN) : kind;
  let text = '';
  for (const diagnostic of shown) text += renderDiagnostic(diagnostic, indent, style, colors);
  if (!isFolded) return text;
  const rest = `and ${formatCount(kind.length - SHOWN)} more ${escapePhrase(kind[0].code)}; -v lists them`;
  return `${text}${' '.repeat(indent + WORD_WIDTH + 2)}${colors.dim(rest)}\n`;
}

function renderDiagnostic(diagnostic: Diagnostic, indent: number, { width }: Style, colors: Palette): string {
  const word = padEnd(WORDS[diagnostic.severity], WORD_WIDTH);
  const used = indent + WORD_WIDTH + 1;
  const words = flowWords(sentence(diagnostic), { used, indent: used + 1, gap: 1, width });
  return `${' '.repeat(indent)}${paintFor(diagnostic.severity, colors)(word)} ${words}\n`;
}

function sentence({ where, pathBase64, code, message }: Diagnostic): string {
  const spelled = pathBase64 === undefined ? escapePhrase(where) : escapePath({ path: where, pathBase64 });
  const place = where === '' || message.startsWith(where) ? '' : `${spelled}: `;
  const reason = message.includes(code) ? '' : ` (${escapePhrase(code)})`;
  return `${place}${escapeText(message)}${reason}`;
}

function paintFor(severity: Severity, { red, yellow, dim }: Palette): Paint {
  switch (severity) {
    case 'error':
      return red;
    case 'warning':
      return yellow;
    case 'info':
      return dim;
    default:
      throw new TypeError(`unknown severity ${JSON.stringify(severity satisfies never)}`);
  }
}
