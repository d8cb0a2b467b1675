// A program's predicted tags in the few words that fit a line: those of the chosen kernel, and whose they are only when loaders differ.
// The rest is in JSON, the light skeleton's form among it: what is carved as an object is hardly ever loaded as one.
import type { CarvedProgram, CarvedTag } from '../scan/events.ts';

type Tagged = Pick<CarvedProgram, 'tags' | 'tagState'>;

/** `2a8c45c2f0e905b1`, `2a8c45c2f0e905b1 libbpf`, or why there is none. A `?` marks one that rests on an assumption. */
export function tagWords({ tags = [], tagState }: Tagged): string[] {
  const [first] = tags;
  if (first === undefined) return tagState === undefined ? [] : [tagState];
  const chosen = tags.filter(({ algorithm, exact }) => algorithm === first.algorithm && exact);
  const common = chosen.filter(({ loader }) => loader !== 'libbpf-light');
  const shown = common.length > 0 ? common : [first];
  const differ = new Set(shown.map(({ tag }) => tag)).size > 1;
  return shown.map(
    ({ tag, exact, loader }) => `${tag}${exact ? '' : '?'}${differ && loader !== undefined ? ` ${loader}` : ''}`,
  );
}

/** `2a8c45c2f0e905b1 (sha1 by libbpf)`. */
export function predictionWords({ tag, exact, algorithm, loader }: CarvedTag): string {
  return `${tag}${exact ? '' : '?'} (${algorithm}${loader === undefined ? '' : ` by ${loader}`})`;
}
