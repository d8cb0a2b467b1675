// The CO-RE relocations of an object: what each asks for, and what a kernel makes of it.
import type { CoreRelocationRecord } from '../object/core-relocations.ts';
import type { InspectedObject } from '../scan/inspect.ts';
import type { Palette } from './colors.ts';
import { flow, flowWords } from './columns.ts';
import { escapeName, escapePath, escapeText } from './escape.ts';
import type { Style } from './style.ts';
import { formatCount, plural } from './units.ts';
import { displayWidth, widest } from './width.ts';

const INDENT = 2;
const GAP = 2;
/** What libbpf puts in place of an instruction that it cannot relocate, and how the verifier speaks of it when it is reached. */
const POISONED = 'poisoned: call 195896080';
const VERIFIER_SAYS = 'The verifier says of a poisoned instruction that it reaches: "invalid func unknown#195896080".';

export function* renderCore(
  { coreRelocations }: InspectedObject,
  kernelBtf: string | undefined,
  style: Style,
  colors: Palette,
): Generator<string> {
  const kernel = kernelBtf === undefined ? undefined : escapePath({ path: kernelBtf });
  const where = { used: 0, indent: INDENT, gap: 1, width: style.width };
  yield `\n${flowWords(`CO-RE: ${coreVerdict(coreRelocations, kernel)}`, where, colors.bold)}\n`;
  if (coreRelocations.length === 0) return;
  const numbers = widest(coreRelocations.map(({ instruction }) => String(instruction)));
  const indent = 2 * INDENT + numbers + GAP;
  const texts = widest(coreRelocations.map(({ text }) => escapeText(text)));
  let home: string | undefined;
  for (const record of coreRelocations) {
    const title = escapeName(record.function ?? record.section);
    if (title !== home) yield `${' '.repeat(INDENT)}${title}\n`;
    home = title;
    const number = String(record.instruction).padStart(2 * INDENT + numbers);
    yield `${colors.dim(number)}${renderRecord(record, texts, indent, style.width, colors)}\n`;
  }
  if (!style.quiet && coreRelocations.some(isPoisoned)) yield `${flowWords(VERIFIER_SAYS, where, colors.dim)}\n`;
}

/** What is asked for and, in a column of its own where the line is long enough, what comes of it. */
function renderRecord(
  record: CoreRelocationRecord,
  texts: number,
  indent: number,
  width: number,
  { dim, yellow }: Palette,
): string {
  const text = escapeText(record.text);
  const outcome = outcomeWords(record);
  const paint = isPoisoned(record) ? yellow : dim;
  const column = indent + texts + GAP;
  const isWide = column + displayWidth(outcome) <= width;
  const room = { used: indent - GAP, indent, gap: GAP, width };
  if (isWide)
    return flow(
      [
        { text, fill: texts },
        { text: outcome, paint },
      ],
      { ...room, width: Number.POSITIVE_INFINITY },
    );
  const words = text.split(' ').map((word) => ({ text: word }));
  return `${' '.repeat(GAP - 1)}${flow([...words, { text: outcome, paint }], { ...room, used: indent - 1, gap: 1 })}`;
}

/** `12 relocations; on /sys/kernel/btf/vmlinux 1 would be poisoned`. `kernel` is the escaped path of its BTF. */
export function coreVerdict(records: readonly CoreRelocationRecord[], kernel: string | undefined): string {
  const count = plural(records.length, 'relocation');
  if (kernel === undefined || !records.some(({ target }) => target !== undefined)) return count;
  const poisoned = records.filter(isPoisoned).length;
  const refused = records.filter(({ target }) => target !== undefined && 'refused' in target).length;
  const troubles = [
    ...(poisoned > 0 ? [`${formatCount(poisoned)} would be poisoned`] : []),
    ...(refused > 0 ? [`${formatCount(refused)} would make libbpf refuse the object`] : []),
  ];
  return `${count}; on ${kernel} ${troubles.length === 0 ? 'all resolve' : troubles.join(', ')}`;
}

function isPoisoned({ target }: CoreRelocationRecord): boolean {
  return target !== undefined && 'poison' in target;
}

/** `48 -> 1280`, or what becomes of the instruction instead; without a kernel the local value alone. */
function outcomeWords({ local, target }: CoreRelocationRecord): string {
  const value = local?.value === undefined ? '' : String(local.value);
  if (target === undefined) return value;
  if ('poison' in target) return POISONED;
  if ('refused' in target) return `refused: ${escapeText(target.refused)}`;
  return `${value} -> ${target.value ?? '?'}`;
}
