// Programs that are copies of one another: the same code, name and type, with maps of the same shape.
// A tag alone is not enough: the shortest programs of different purposes share theirs.
import type { LiveMap, LiveProgram, ProgramGroup } from './records.ts';

/** Groups of two and more, the largest first. */
export function groupPrograms(programs: readonly LiveProgram[], maps: readonly LiveMap[]): ProgramGroup[] {
  const shapes = new Map(maps.map((map) => [map.id, shapeOf(map)]));
  const groups = new Map<string, LiveProgram[]>();
  for (const program of programs) {
    if (program.id === undefined) continue;
    const mapShapes = program.mapIds.map((id) => shapes.get(id) ?? '').sort();
    const key = JSON.stringify([program.tag, program.type, program.name, mapShapes]);
    const group = groups.get(key);
    if (group) group.push(program);
    else groups.set(key, [program]);
  }
  return [...groups.values()].flatMap(describe).sort((a, b) => b.count - a.count);
}

function shapeOf({ type, keySize, valueSize, maxEntries, flags, name }: LiveMap): string {
  return JSON.stringify([type, keySize, valueSize, maxEntries, flags, name]);
}

function describe(programs: readonly LiveProgram[]): ProgramGroup[] {
  const [first] = programs;
  if (first === undefined || programs.length < 2) return [];
  return [
    {
      tag: first.tag,
      ...(first.type !== undefined && { type: first.type }),
      ...(first.name !== undefined && { name: first.name }),
      count: programs.length,
      ids: programs.flatMap(({ id }) => id ?? []).sort((a, b) => a - b),
      attachments: programs.reduce((sum, { attachments }) => sum + attachments.length, 0),
    },
  ];
}
