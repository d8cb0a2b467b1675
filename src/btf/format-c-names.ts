// Names as a C file can have them: each once in its name space, later ones with `___2`, `___3` after them.
import { FormatError } from '../diagnostics.ts';
import { type BtfType, isEnum } from './types.ts';

export class CNames {
  /** struct, union and enum tags. */
  readonly #tags = new Map<string, number>();
  /** typedef names and enumerators. */
  readonly #identifiers = new Map<string, number>();
  readonly #chosen = new Map<number, string>();

  /** The name under which a type is defined and used; empty when anonymous. */
  of(type: BtfType): string {
    if (type.name === '' || declaresOnly(type)) return type.name;
    const known = this.#chosen.get(type.id);
    if (known !== undefined) return known;
    const name = unique(type.kind === 'typedef' ? this.#identifiers : this.#tags, type.name);
    this.#chosen.set(type.id, name);
    return name;
  }

  /** Every call is a new enumerator. */
  enumerator(name: string): string {
    checkName(name);
    return unique(this.#identifiers, name);
  }
}

/** Declarations may repeat, and mean the definition of that very name. */
function declaresOnly(type: BtfType): boolean {
  return type.kind === 'fwd' || (isEnum(type) && type.values.length === 0);
}

function unique(taken: Map<string, number>, name: string): string {
  const uses = (taken.get(name) ?? 0) + 1;
  taken.set(name, uses);
  return uses > 1 ? `${name}___${uses}` : name;
}

/**
 * Compilers of other languages leave names that C does not have; one with a line break could pass for lines of its own.
 * @throws FormatError `btf-name`
 */
export function checkName(name: string): void {
  if (CONTROL.test(name)) throw new FormatError('btf-name', 0, `${JSON.stringify(name)} is no name in C`);
}

const CONTROL = /[\p{Cc}\u2028\u2029]/u;
