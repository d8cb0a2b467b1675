// A type in one line of C, for messages: `struct task_struct *`, `int (*)(void *, ...)`, `char[16]`.
import type { Btf } from './decode.ts';
import type { BtfType } from './types.ts';

/** Pointers, arrays and prototypes in each other; anything deeper is cut with `…`. */
const MAX_DEPTH = 16;
const MAX_PARAMS = 16;

/**
 * How C names the type, without its definition: `struct {...}` when it has no name.
 * @throws FormatError `btf-type-id`, `string-offset`
 */
export function typeName(btf: Btf, id: number): string {
  return declare(btf, id, '', MAX_DEPTH);
}

/** `id` as the type of something called `inner`: C wraps a declarator in what it points to. */
function declare(btf: Btf, id: number, inner: string, depth: number): string {
  if (depth === 0) return join('…', inner);
  const type = btf.type(id);
  switch (type.kind) {
    case 'ptr': {
      const pointee = btf.has(type.type) ? btf.type(type.type).kind : 'void';
      const wrapped = pointee === 'array' || pointee === 'func_proto' ? `(*${inner})` : `*${inner}`;
      return declare(btf, type.type, wrapped, depth - 1);
    }
    case 'array':
      return declare(btf, type.element, `${inner}[${type.length}]`, depth - 1);
    case 'func_proto': {
      const params = type.params.slice(0, MAX_PARAMS).map((param, index) => {
        const variadic = param.type === 0 && index === type.params.length - 1;
        return variadic ? '...' : declare(btf, param.type, '', Math.min(depth - 1, 4));
      });
      if (type.params.length > MAX_PARAMS) params.push('…');
      return declare(btf, type.returns, `${inner}(${params.join(', ') || 'void'})`, depth - 1);
    }
    case 'const':
    case 'volatile':
    case 'restrict':
      return qualified(btf, type.kind, type.type, inner, depth);
    case 'type_tag':
      return declare(btf, type.type, inner, depth - 1);
    default:
      return join(plainName(btf, type), inner);
  }
}

/** A qualifier stands right of the pointer it belongs to, and left of anything else. */
function qualified(btf: Btf, qualifier: string, id: number, inner: string, depth: number): string {
  if (btf.has(id) && btf.kind(id) === 'ptr') {
    return declare(btf, id, inner === '' ? ` ${qualifier}` : ` ${qualifier} ${inner}`, depth - 1);
  }
  return `${qualifier} ${declare(btf, id, inner, depth - 1)}`;
}

function plainName(btf: Btf, type: BtfType): string {
  switch (type.kind) {
    case 'void':
      return 'void';
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
    case 'var':
      return declare(btf, type.type, type.name, 4);
    default:
      return type.name || type.kind;
  }
}

function join(name: string, inner: string): string {
  if (inner === '') return name;
  return inner.startsWith('[') || inner.startsWith(' ') ? `${name}${inner}` : `${name} ${inner}`;
}
