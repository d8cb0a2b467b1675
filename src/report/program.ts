// What a program is called in a report, and what it is, where it may have neither name nor section nor type.
import type { CarvedProgram } from '../scan/events.ts';
import { escapeName } from './escape.ts';
import { plural } from './units.ts';

type Called = Pick<CarvedProgram, 'name' | 'instructions'>;

/** Its name; without one its length, which no name can pass for: one with a space would stand in quotes. */
export function programTitle({ name, instructions }: Called): string {
  return name === undefined ? plural(instructions, 'instruction') : escapeName(name);
}

export function programType({ type }: Pick<CarvedProgram, 'type'>): string {
  if (type === undefined) return 'program';
  return typeof type === 'number' ? `type ${type}` : escapeName(type);
}

/** `at do_exit`, unless the section says it already: most are named for the target, as `kprobe/do_exit` is. */
export function attachWords({ attachTo, section = '' }: Pick<CarvedProgram, 'attachTo' | 'section'>): string[] {
  return attachTo === undefined || section.endsWith(`/${attachTo}`) ? [] : [`at ${escapeName(attachTo)}`];
}

/** `id 110`, `ids 110, 112`. */
export function idWords([first, ...others]: readonly number[]): string {
  return others.length === 0 ? `id ${first}` : `ids ${[first, ...others].join(', ')}`;
}
