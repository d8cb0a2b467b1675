// Which source file a function was written in, by the line information of .BTF.ext.
import type { Btf } from '../btf/decode.ts';
import type { BtfExt, LineInfo } from '../btf/ext.ts';
import type { DiagnosticLog } from '../elf/log.ts';
import type { BpfFunction } from './programs.ts';

/** The path as the compiler was given it, for each function at its place; `undefined` where no line says so. */
export function readSourceFiles(
  functions: readonly BpfFunction[],
  btf: Btf | undefined,
  ext: BtfExt | undefined,
  log: DiagnosticLog,
): (string | undefined)[] {
  if (btf === undefined || ext === undefined) return functions.map(() => undefined);
  const lines = log.attempt('.BTF.ext line info', () => linesBySection(btf, ext)) ?? new Map<string, LineInfo[]>();
  return functions.map((each) =>
    log.attempt(`function ${JSON.stringify(each.name)}: source file`, () => {
      const offsets = filesOf(lines.get(each.section) ?? [], each);
      const paths = offsets.map((offset) => btf.string(offset));
      // A function may begin with inlined code from a header.
      return paths.find((path) => !path.endsWith('.h')) ?? paths[0];
    }),
  );
}

/** Line records by the name of their section, by offset. */
export function linesBySection(btf: Btf, ext: BtfExt): Map<string, LineInfo[]> {
  const lines = new Map<string, LineInfo[]>();
  for (const { name, records } of ext.lineInfo) {
    const section = btf.string(name);
    const known = lines.get(section);
    if (known === undefined) lines.set(section, [...records]);
    else for (const record of records) known.push(record);
  }
  for (const records of lines.values()) records.sort((a, b) => a.insnOffset - b.insnOffset);
  return lines;
}

const FILES_CONSIDERED = 8;

/** Of the records of a section, those that lie in a function. */
export function* linesOf(lines: readonly LineInfo[], each: BpfFunction): Generator<LineInfo> {
  const end = each.offset + each.code.length;
  for (let at = firstFrom(lines, each.offset); at < lines.length; at++) {
    const line = lines[at];
    if (line === undefined || line.insnOffset >= end) return;
    yield line;
  }
}

/** String offsets of the first few files that lines of the function name. */
function filesOf(lines: readonly LineInfo[], each: BpfFunction): number[] {
  const files = new Set<number>();
  for (const { fileName } of linesOf(lines, each)) {
    if (files.size < FILES_CONSIDERED) files.add(fileName);
    else break;
  }
  return [...files];
}

function firstFrom(lines: readonly LineInfo[], offset: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((lines[middle]?.insnOffset ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
