// What the tools of libbpf-tools really load: they choose programs and switch off maps as they go.
import { basename } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { predictTags } from '../../src/link/predict.ts';
import { openObject } from '../../src/object/open.ts';
import { NO_BTF, thisMachine } from './host.ts';
import { UNABLE } from './load.ts';
import { GROUPS } from './objects.ts';
import { type HeldProgram, programsHeldBy } from './tools.ts';

const objects = GROUPS.find(({ group }) => group === 'libbpf-tools')?.objects ?? [];
const reason = UNABLE ?? NO_BTF ?? (objects.length === 0 ? 'libbpf-tools is not installed' : undefined);

const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  fsdist: ['-t', 'ext4'],
  fsslower: ['-t', 'ext4'],
  funclatency: ['vfs_read'],
  javagc: ['-p', '1'],
  ksnoop: ['trace', 'ip_send_skb'],
};
const AT_ONCE = 6;

const table: Record<string, { programs: number; 'as they are': number; 'maps off': string }> = {};
afterAll(() => {
  if (reason === undefined) console.table(table);
});

test.skipIf(reason !== undefined)(
  `running tools hold programs with the predicted tags${reason ? ` (skipped: ${reason})` : ''}`,
  async () => {
    const target = thisMachine();
    const misses: string[] = [];
    const queue = [...objects];
    const work = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const tool = basename(next.path);
        const held = await programsHeldBy(next.path, ARGUMENTS[tool] ?? []);
        if (held.length > 0) misses.push(...compare(tool, next.bytes, held, target));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(Object.keys(table).length).toBeGreaterThan(0);
    expect(misses).toEqual([]);
  },
  600_000,
);

function compare(
  tool: string,
  bytes: Uint8Array,
  held: readonly HeldProgram[],
  target: ReturnType<typeof thisMachine>,
) {
  const predicted = predictTags(openObject(bytes), target);
  const row = { programs: held.length, 'as they are': 0, 'maps off': '' };
  table[tool] = row;
  const misses: string[] = [];
  for (const { name, tag } of held) {
    const mine = predicted.filter((each) => each.name === name || each.name.slice(0, 15) === name);
    const variant = mine.flatMap(({ variants }) => variants).find((each) => each.tag === tag);
    if (mine.some(({ tags }) => tags.some((each) => each.tag === tag))) row['as they are']++;
    else if (variant) row['maps off'] += `${variant.assumptions[0]}; `;
    else
      misses.push(
        `${tool} ${name}: holds ${tag}, predicted ${mine.flatMap(({ tags }) => tags.map((each) => each.tag))}`,
      );
  }
  return misses;
}
