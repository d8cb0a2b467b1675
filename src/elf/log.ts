// The diagnostics of one object: its tables may have a million bad entries, a reader has patience for a hundred.
import { type Diagnostic, FormatError, type Severity } from '../diagnostics.ts';

/** So many of one code are spelled out, the others counted. */
const PER_CODE = 10;
/** So many diagnostics in all, whatever their codes. */
const IN_ALL = 100;

export class DiagnosticLog {
  readonly #entries: Diagnostic[] = [];
  readonly #counts = new Map<string, number>();
  #left = 0;

  add(severity: Severity, code: string, where: string, message: string): void {
    const count = (this.#counts.get(code) ?? 0) + 1;
    this.#counts.set(code, count);
    if (count <= PER_CODE && this.#entries.length < IN_ALL) this.#entries.push({ severity, code, where, message });
    else this.#left++;
  }

  warn(code: string, where: string, message: string): void {
    this.add('warning', code, where, message);
  }

  addAll(diagnostics: readonly Diagnostic[]): void {
    for (const { severity, code, where, message } of diagnostics) this.add(severity, code, where, message);
  }

  /** As `attempt` of diagnostics.ts, into this log. */
  attempt<T>(where: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.warn(error.code, where, error.message);
      return undefined;
    }
  }

  /** At most 101: the last one says how many were left out, and of which codes. */
  get diagnostics(): readonly Diagnostic[] {
    if (this.#left === 0) return this.#entries;
    const codes = [...this.#counts].filter(([, count]) => count > PER_CODE).map(([code]) => code);
    const message = `and ${this.#left} more${codes.length > 0 ? `: ${codes.slice(0, PER_CODE).join(', ')}` : ''}`;
    return [...this.#entries, { severity: 'info', code: 'diagnostics-capped', where: 'object', message }];
  }
}
