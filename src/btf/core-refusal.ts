// What makes a loader give up on a whole object.
import { FormatError } from '../diagnostics.ts';
import type { Btf } from './decode.ts';

export function refusal(message: string): FormatError {
  return new FormatError('core-refused', 0, message);
}

/** @throws FormatError `core-refused` when the type has no size. */
export function sizeOrRefuse(btf: Btf, id: number): number {
  const size = btf.sizeOf(id);
  if (size === undefined) throw refusal(`type ${id} has no size`);
  return size;
}
