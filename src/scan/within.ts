// Where in its host an object lies, for a report.
import { type HostElf, sectionAt } from '../elf/host.ts';
import type { Within } from './events.ts';
import type { Extent } from './examination.ts';

/** Nothing for an object that is the whole source: it is within none. */
export function withinOf(host: HostElf | undefined, object: Extent, sourceSize: number): { readonly within?: Within } {
  if (host === undefined || (object.offset === 0 && object.size === sourceSize)) return {};
  const section = object.offset === 0 ? undefined : sectionAt(host, object.offset);
  if (section === undefined && host.buildId === undefined) return {};
  const { buildId } = host;
  return { within: { ...(section !== undefined && { section }), ...(buildId !== undefined && { buildId }) } };
}
