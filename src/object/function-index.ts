// Finds the function that an instruction belongs to.
import type { BpfFunction } from './programs.ts';

export class FunctionIndex {
  readonly #bySection = new Map<number, BpfFunction[]>();

  /** `functions` by section and offset. */
  constructor(functions: readonly BpfFunction[]) {
    for (const each of functions) {
      const known = this.#bySection.get(each.sectionIndex);
      if (known === undefined) this.#bySection.set(each.sectionIndex, [each]);
      else known.push(each);
    }
  }

  /** The function that covers this byte of a section: the last to start when several do (libbpf: find_prog_by_sec_insn). */
  containing(section: number, offset: number): BpfFunction | undefined {
    const functions = this.#bySection.get(section) ?? [];
    let low = 0;
    let high = functions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((functions[middle]?.offset ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    const found = functions[low - 1];
    return found && offset < found.offset + found.code.length ? found : undefined;
  }
}
