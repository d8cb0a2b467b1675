// A type in one line of C, for messages: `struct task_struct *`, `int (*)(void *, ...)`, `char[16]`.
import type { Btf } from './decode.ts';
import type { BtfFuncProto, BtfType } from './types.ts';

/** Pointers, arrays and qualifiers in a row; anything deeper is cut with `…`. */
const MAX_DEPTH = 16;
const MAX_PARAMS = 16;

interface Place {
  readonly depth: number;
  /** Parameters of a parameter are not told, so that prototypes in each other stay one line. */
  readonly inParams: boolean;
}

/**
 * How C names the type, without its definition: `struct {...}` when it has no name.
 * @throws FormatError `btf-type-id`, `string-offset`
 */
export function typeName(btf: Btf, id: number): string {
  return declare(btf, id, '', { depth: MAX_DEPTH, inParams: false });
}

/** `id` as the type of something called `inner`: C wraps a declarator in what it points to. */
function declare(btf: Btf, id: number, inner: string, place: Place): string {
  if (place.depth === 0) return join('…', inner);
  const deeper = { ...place, depth: place.depth - 1 };
  const type = btf.type(id);
  switch (type.kind) {
    case 'ptr': {
      const pointee = btf.has(type.type) ? btf.kind(type.type) : 'void';
      const wrapped = pointee === 'array' || pointee === 'func_proto' ? `(*${inner})` : `*${inner}`;
      return declare(btf, type.type, wrapped, deeper);
    }
    case 'array':
      return declare(btf, type.element, `${inner}[${type.length}]`, deeper);
    case 'func_proto':
      return declare(btf, type.returns, `${inner}(${parameters(btf, type, deeper)})`, deeper);
    case 'const':
    case 'volatile':
    case 'restrict':
      return qualified(btf, type.kind, type.type, inner, deeper);
    case 'type_tag':
      return declare(btf, type.type, inner, deeper);
    case 'var':
      return declare(btf, type.type, type.name, deeper);
    default:
      return join(plainName(type), inner);
  }
}

function parameters(btf: Btf, { params }: BtfFuncProto, place: Place): string {
  if (params.length === 0) return 'void';
  if (place.inParams) return '…';
  const last = params.length - 1;
  const told = params.slice(0, MAX_PARAMS).map(({ type }, index) => {
    return type === 0 && index === last ? '...' : declare(btf, type, '', { ...place, inParams: true });
  });
  return (params.length > MAX_PARAMS ? [...told, '…'] : told).join(', ');
}

/** A qualifier stands right of the pointer it belongs to, and left of anything else. */
function qualified(btf: Btf, qualifier: string, id: number, inner: string, place: Place): string {
  if (btf.has(id) && btf.kind(id) === 'ptr') {
    return declare(btf, id, inner === '' ? ` ${qualifier}` : ` ${qualifier} ${inner}`, place);
  }
  return `${qualifier} ${declare(btf, id, inner, place)}`;
}

function plainName(type: BtfType): string {
  switch (type.kind) {
    case 'struct':
    case 'union':
      return `${type.kind} ${type.name || '{...}'}`;
    case 'enum':
    case 'enum64':
      return `enum ${type.name || '{...}'}`;
    case 'fwd':
      return `${type.declares} ${type.name}`;
    case 'func':
      return `${type.name}()`;
    case 'decl_tag':
      return `${type.kind} ${type.name}`;
    default:
      return type.name || type.kind;
  }
}

function join(name: string, inner: string): string {
  if (inner === '') return name;
  return inner.startsWith('[') || inner.startsWith(' ') ? `${name}${inner}` : `${name} ${inner}`;
}
