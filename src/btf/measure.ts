// Sizes and alignments of types, with the limits that keep crafted type graphs finite.
import type { Btf } from './decode.ts';
import { BTF_KIND } from './layouts.ts';

/** libbpf's MAX_RESOLVE_DEPTH. */
const MAX_DEPTH = 32;
const MAX_SIZE = 0xffff_ffff;

/** Bytes, as btf__resolve_size counts; `undefined` where that fails. */
export function measureSize(btf: Btf, id: number): number | undefined {
  let elements = 1;
  let current = id;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    if (current === 0 || !btf.has(current)) return undefined;
    switch (btf.kindNumber(current)) {
      case BTF_KIND.INT:
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
      case BTF_KIND.DATASEC:
      case BTF_KIND.FLOAT:
        return bounded(elements * btf.word(current, 2));
      case BTF_KIND.PTR:
        return bounded(elements * btf.pointerSize);
      case BTF_KIND.TYPEDEF:
      case BTF_KIND.VOLATILE:
      case BTF_KIND.CONST:
      case BTF_KIND.RESTRICT:
      case BTF_KIND.TYPE_TAG:
      case BTF_KIND.VAR:
      case BTF_KIND.DECL_TAG:
        current = btf.word(current, 2);
        break;
      case BTF_KIND.ARRAY:
        elements *= btf.word(current, 5);
        if (elements > MAX_SIZE) return undefined;
        current = btf.word(current, 3);
        break;
      default:
        return undefined;
    }
  }
  return undefined;
}

/**
 * Bytes; 1 for a struct that a compiler must have packed. Each struct is measured once and remembered in `known`,
 * so shared members cost nothing and a struct that contains itself meets its own provisional 1.
 */
export function measureAlignment(btf: Btf, id: number, known: Map<number, number>, depth = 0): number {
  let current = id;
  for (let step = 0; step < MAX_DEPTH; step++) {
    if (current === 0 || !btf.has(current)) return 1;
    switch (btf.kindNumber(current)) {
      case BTF_KIND.INT:
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
      case BTF_KIND.FLOAT:
        return Math.max(1, Math.min(btf.pointerSize, btf.word(current, 2)));
      case BTF_KIND.PTR:
        return btf.pointerSize;
      case BTF_KIND.TYPEDEF:
      case BTF_KIND.VOLATILE:
      case BTF_KIND.CONST:
      case BTF_KIND.RESTRICT:
      case BTF_KIND.TYPE_TAG:
        current = btf.word(current, 2);
        break;
      case BTF_KIND.ARRAY:
        current = btf.word(current, 3);
        break;
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        return measureComposite(btf, current, known, depth);
      default:
        return 1;
    }
  }
  return 1;
}

function measureComposite(btf: Btf, id: number, known: Map<number, number>, depth: number): number {
  const remembered = known.get(id);
  if (remembered !== undefined) return remembered;
  if (depth >= MAX_DEPTH) return 1;
  known.set(id, 1);
  const alignment = naturalAlignment(btf, id, (member) => measureAlignment(btf, member, known, depth + 1));
  known.set(id, alignment ?? 1);
  return alignment ?? 1;
}

/** The strictest member's; `undefined` when a member or the size contradicts it, which only packing explains. */
function naturalAlignment(btf: Btf, id: number, alignOf: (type: number) => number): number | undefined {
  const info = btf.word(id, 1);
  const flag = info >>> 31 === 1;
  let strictest = 1;
  for (let index = 0; index < (info & 0xff_ffff); index++) {
    const alignment = alignOf(btf.word(id, 4 + 3 * index));
    const offset = btf.word(id, 5 + 3 * index);
    const bitfield = flag && offset >>> 24 !== 0;
    if (!bitfield && (flag ? offset & 0xff_ffff : offset) % (8 * alignment) !== 0) return undefined;
    strictest = Math.max(strictest, alignment);
  }
  return btf.word(id, 2) % strictest === 0 ? strictest : undefined;
}

function bounded(size: number): number | undefined {
  return size <= MAX_SIZE ? size : undefined;
}
