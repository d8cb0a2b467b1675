// A kernel's BTF with every kind that came after FLOAT (5.13) turned into an older one of the same shape. Ids stay.
import { BTF_KIND } from '../../src/btf/layouts.ts';

const HEADER = { length: 4, typeOffset: 8, typeLength: 12, stringOffset: 16, stringLength: 20 } as const;

export function withoutNewKinds(btf: Uint8Array): Uint8Array {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  const u32 = (at: number) => view.getUint32(at, true);
  const start = u32(HEADER.length) + u32(HEADER.typeOffset);
  const end = start + u32(HEADER.typeLength);
  const words: number[] = [];
  for (let at = start; at < end; ) {
    const [name, info, size] = [u32(at), u32(at + 4), u32(at + 8)];
    const kind = (info >>> 24) & 0x1f;
    const count = info & 0xffff;
    const extra = extraWords(kind, count);
    const rest = Array.from({ length: extra }, (_, index) => u32(at + 12 + 4 * index));
    if (kind === BTF_KIND.ENUM64) {
      const narrow = rest.filter((_, index) => index % 3 !== 2);
      words.push(name, (BTF_KIND.ENUM << 24) | count, 4, ...narrow);
    } else if (kind === BTF_KIND.ENUM) words.push(name, info & 0x7fff_ffff, size, ...rest);
    else if (kind === BTF_KIND.TYPE_TAG) words.push(0, BTF_KIND.CONST << 24, size);
    else if (kind === BTF_KIND.DECL_TAG) words.push(0, BTF_KIND.INT << 24, 1, 8);
    else words.push(name, info, size, ...rest);
    at += 12 + 4 * extra;
  }
  const strings = btf.subarray(
    u32(HEADER.length) + u32(HEADER.stringOffset),
    u32(HEADER.length) + u32(HEADER.stringOffset) + u32(HEADER.stringLength),
  );
  const out = new Uint8Array(24 + 4 * words.length + strings.length);
  const write = new DataView(out.buffer);
  out.set(btf.subarray(0, 4));
  [24, 0, 4 * words.length, 4 * words.length, strings.length].forEach((word, index) => {
    write.setUint32(4 + 4 * index, word, true);
  });
  words.forEach((word, index) => {
    write.setUint32(24 + 4 * index, word, true);
  });
  out.set(strings, 24 + 4 * words.length);
  return out;
}

function extraWords(kind: number, count: number): number {
  switch (kind) {
    case BTF_KIND.INT:
    case BTF_KIND.VAR:
    case BTF_KIND.DECL_TAG:
      return 1;
    case BTF_KIND.ARRAY:
      return 3;
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
    case BTF_KIND.DATASEC:
    case BTF_KIND.ENUM64:
      return 3 * count;
    case BTF_KIND.ENUM:
    case BTF_KIND.FUNC_PROTO:
      return 2 * count;
    default:
      return 0;
  }
}
