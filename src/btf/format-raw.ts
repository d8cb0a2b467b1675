// The listing of `bpftool btf dump file X`, line for line.
import { attempt, type Diagnostic } from '../diagnostics.ts';
import type { Btf } from './decode.ts';
import { BTF_INT } from './layouts.ts';
import type { BtfEnum, BtfEnum64, BtfLinkage, BtfType } from './types.ts';

/** Lines without their newline, for the types stored in this BTF; a malformed type costs only its own lines. */
export function* formatRaw(btf: Btf, diagnostics: Diagnostic[] = []): Generator<string> {
  for (let id = btf.firstId; id <= btf.count; id++) {
    const lines = attempt(diagnostics, `BTF type ${id}`, () => formatRawType(btf, btf.type(id)));
    yield* lines ?? [`[${id}] (invalid)`];
  }
}

/** The first line names the type, the others, indented by a tab, its members. */
function formatRawType(btf: Btf, type: BtfType): string[] {
  const head = `[${type.id}] ${type.kind.toUpperCase()} ${quoted(type.name)}`;
  switch (type.kind) {
    case 'int': {
      const { size, bitOffset, bits, encoding } = type;
      return [`${head} size=${size} bits_offset=${bitOffset} nr_bits=${bits} encoding=${encodingName(encoding)}`];
    }
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type_tag':
      return [`${head} type_id=${type.type}`];
    case 'array':
      return [`${head} type_id=${type.element} index_type_id=${type.index} nr_elems=${type.length}`];
    case 'struct':
    case 'union':
      return [
        `${head} size=${type.size} vlen=${type.members.length}`,
        ...type.members.map(({ name, type: member, bitOffset, bitSize }) => {
          const width = bitSize > 0 ? ` bitfield_size=${bitSize}` : '';
          return `\t${quoted(name)} type_id=${member} bits_offset=${bitOffset}${width}`;
        }),
      ];
    case 'enum':
    case 'enum64':
      return [
        `${head} encoding=${type.signed ? 'SIGNED' : 'UNSIGNED'} size=${type.size} vlen=${type.values.length}`,
        ...type.values.map(({ name, value }) => `\t${quoted(name)} val=${value}${suffix(type)}`),
      ];
    case 'fwd':
      return [`${head} fwd_kind=${type.declares}`];
    case 'func':
      return [`${head} type_id=${type.type} linkage=${linkageName(type.linkage)}`];
    case 'func_proto':
      return [
        `${head} ret_type_id=${type.returns} vlen=${type.params.length}`,
        ...type.params.map(({ name, type: param }) => `\t${quoted(name)} type_id=${param}`),
      ];
    case 'var':
      return [`${head} type_id=${type.type}, linkage=${linkageName(type.linkage)}`];
    case 'datasec':
      return [
        `${head} size=${type.size} vlen=${type.variables.length}`,
        ...type.variables.map(({ type: variable, offset, size }) => {
          return `\ttype_id=${variable} offset=${offset} size=${size}${describe(btf, variable)}`;
        }),
      ];
    case 'float':
      return [`${head} size=${type.size}`];
    case 'decl_tag':
      return [`${head} type_id=${type.type} component_idx=${type.component}`];
    case 'void':
    case 'unknown':
      return [head];
    default:
      return type satisfies never;
  }
}

/** The C suffix that makes bpftool's enum64 values 64 bits wide. */
export function suffix({ kind, signed }: BtfEnum | BtfEnum64): string {
  if (kind === 'enum') return '';
  return signed ? 'LL' : 'ULL';
}

function describe(btf: Btf, id: number): string {
  if (!btf.has(id)) return '';
  return ` (${btf.kind(id).toUpperCase()} ${quoted(btf.name(id))})`;
}

function quoted(name: string): string {
  return `'${name || '(anon)'}'`;
}

function encodingName(encoding: number): string {
  switch (encoding) {
    case 0:
      return '(none)';
    case BTF_INT.SIGNED:
      return 'SIGNED';
    case BTF_INT.CHAR:
      return 'CHAR';
    case BTF_INT.BOOL:
      return 'BOOL';
    default:
      return 'UNKN';
  }
}

function linkageName(linkage: BtfLinkage): string {
  return typeof linkage === 'number' ? '(unknown)' : linkage;
}
