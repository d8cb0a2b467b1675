// What a record is made of: the ELF around an object, or what takes its place where there is none.
// Facts of one line each; what the record holds is shown elsewhere.
import type { CarvedInstructions } from '../scan/events.ts';
import type { InspectedObject } from '../scan/inspect.ts';
import { escapeText } from './escape.ts';
import { kindWords, TRUST_WORDS } from './kind.ts';
import { predictionWords } from './tags.ts';
import { formatBytes, plural } from './units.ts';

export interface FormFact {
  readonly label: string;
  readonly text: string;
  /** A digest, which is never broken. */
  readonly whole?: true;
}

export function formFacts(object: InspectedObject): FormFact[] {
  switch (object.kind) {
    case 'object':
      return elfFacts(object);
    case 'light-skeleton':
      return skeletonFacts(object);
    case 'instructions':
      return [
        { label: 'kind', text: `instructions outside any object, ${object.endianness}-endian` },
        { label: 'trust', text: `${TRUST_WORDS[object.trust]}: ${TRUST_REASONS[object.trust]}` },
      ];
    case 'classic-filter':
    case 'btf':
      return [{ label: 'kind', text: `${kindWords(object)}, ${object.endianness}-endian` }];
    default:
      throw new TypeError(`unknown kind ${JSON.stringify(object satisfies never)}`);
  }
}

type Kind<K extends InspectedObject['kind']> = Extract<InspectedObject, { readonly kind: K }>;

function elfFacts({ elf, rebuilt }: Kind<'object'>): FormFact[] {
  const { endianness, type, sections } = elf;
  const facts = [
    { label: 'elf', text: `${endianness}-endian ${escapeText(String(type))}, ${plural(sections, 'section')}` },
  ];
  if (rebuilt)
    facts.push({ label: 'header', text: 'rebuilt: these 64 bytes were overwritten, all others are as found' });
  return facts;
}

function skeletonFacts({ endianness, signed, digest, loader, data }: Kind<'light-skeleton'>): FormFact[] {
  const tags = loader.tags.map((tag) => `tag ${predictionWords(tag)}`);
  const length = plural(loader.instructions, 'instruction');
  return [
    { label: 'kind', text: `light skeleton${signed ? ', signed' : ''}, ${endianness}-endian` },
    { label: 'loader', text: [`${length} from byte 0x${loader.offset.toString(16)}`, ...tags].join(', ') },
    {
      label: 'data',
      text: data ? `${formatBytes(data.size)} from byte 0x${data.offset.toString(16)}` : 'lies elsewhere',
    },
    ...(digest === undefined
      ? []
      : [{ label: 'digest', text: `${escapeText(digest)} of the data`, whole: true } as const]),
  ];
}

/** As `carve` decides it. */
const TRUST_REASONS: Readonly<Record<CarvedInstructions['trust'], string>> = {
  possible: 'they make sense as a program, but are few or simple',
  probable: 'eight or more that make sense as a program',
  'almost-certain': 'eight or more that make sense as a program and call helpers or load maps',
  proved: 'a loaded program has their tag',
};
