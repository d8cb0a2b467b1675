// The CO-RE relocations of an object: what each asks for, and what a kernel makes of it.
import type { CoreRelocationRecord, CoreTargetRecord } from '../object/core-relocations.ts';
import type { InspectedObject } from '../scan/inspect.ts';
import type { Palette } from './colors.ts';
import { flowWords } from './columns.ts';
import { escapeName, escapePath, escapeText } from './escape.ts';
import type { Style } from './style.ts';
import { type Column, renderTable } from './table.ts';
import { formatCount, plural } from './units.ts';

const INDENT = 2;
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
  const columns: readonly Column[] = [
    { title: 'instruction' },
    { title: 'relocation' },
    { title: 'local', align: 'right' },
    { title: 'kernel' },
  ];
  const rows = coreRelocations.map((record) => [
    `${escapeName(record.function ?? record.section)} ${record.instruction}`,
    escapeText(record.text),
    record.local?.value === undefined ? '' : String(record.local.value),
    record.target === undefined ? '' : targetWords(record.target),
  ]);
  yield* renderTable(columns, rows, { indent: INDENT, width: style.width, colors });
  if (!style.quiet && coreRelocations.some(isPoisoned)) yield `${flowWords(VERIFIER_SAYS, where, colors.dim)}\n`;
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

function targetWords(target: CoreTargetRecord): string {
  if ('poison' in target) return POISONED;
  if ('refused' in target) return `refused: ${escapeText(target.refused)}`;
  return target.value === undefined ? '' : String(target.value);
}
