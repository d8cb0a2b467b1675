// Everything that programs outside any ELF object say, in the records of `describeObject`: what is only known of ELF is absent.
// Starts from the object that `wrapCode` makes of them, and lets nothing of that object's own show.
import { decodeInstructions } from '../insn/decode.ts';
import { wideConstantOf } from '../insn/references.ts';
import { readUses } from './code.ts';
import { type DescribeOptions, describeObject, type Known, type KnownProgram, type ObjectDetails } from './describe.ts';
import { FunctionIndex } from './function-index.ts';
import type { BpfMap } from './maps.ts';
import type { BpfObject } from './open.ts';
import type { BpfFunction } from './programs.ts';
import type { BpfRelocation, RelocationTarget } from './relocations.ts';
import type { MapSummary } from './summarize.ts';

/**
 * `wrapped` holds the programs of `known`, in that order. Its maps are those that the code refers to by number, as that of light
 * skeletons does.
 */
export function describeCode<P extends KnownProgram>(
  wrapped: BpfObject,
  known: Known<P>,
  options: DescribeOptions = {},
): ObjectDetails<P> {
  const asked = { ...known, programs: known.programs.map((own) => ({ ...own, own })) };
  const { programs, maps, btf, ...details } = describeObject(asLoaded(wrapped, known), asked, options);
  const { coreRelocations = 0 } = known.btf ?? {};
  return {
    ...details,
    programs: programs.map(({ own, maps: used, externs, tailCallMaps, code }) => {
      return { ...own, maps: used, externs, tailCallMaps, ...(code && { code }) };
    }),
    maps: maps.map(({ origin: _origin, ...map }) => map),
    ...(btf && { btf: { ...btf, coreRelocations } }),
    callGraph: [],
    sections: [],
    symbols: [],
  };
}

/** The object as if its names and references were those of the programs. */
function asLoaded(wrapped: BpfObject, known: Known<KnownProgram>): BpfObject {
  const { littleEndian } = wrapped.elf;
  const programs = wrapped.programs.map((program, place) => ({ ...program, name: known.programs[place]?.name ?? '' }));
  const maps = known.maps.map(numberedMap);
  const relocations = programs.map((program) => mapReferences(program, maps, littleEndian));
  const index = new FunctionIndex(programs);
  return {
    ...wrapped,
    functions: programs,
    programs,
    maps,
    relocations,
    uses: programs.map((each, place) =>
      readUses(each, relocations[place] ?? [], { index, maps, little: littleEndian }),
    ),
    reach: new Map(),
  };
}

function numberedMap(map: MapSummary, index: number): BpfMap {
  return { ...map, index, origin: 'defined', offset: 0, initialValues: [] };
}

/** What BPF_PSEUDO_MAP_IDX and BPF_PSEUDO_MAP_IDX_VALUE refer to. */
function mapReferences({ code }: BpfFunction, maps: readonly BpfMap[], little: boolean): BpfRelocation[] {
  const references: BpfRelocation[] = [];
  for (const instruction of decodeInstructions(code, little)) {
    const constant = wideConstantOf(instruction);
    if (constant?.kind !== 'map-index' && constant?.kind !== 'map-index-value') continue;
    const map = maps[constant.index];
    if (map === undefined) continue;
    const target: RelocationTarget =
      constant.kind === 'map-index'
        ? { kind: 'map', map: map.index }
        : { kind: 'data', map: map.index, offset: constant.offset };
    references.push({ instruction: instruction.index, symbol: 0, name: map.name, target });
  }
  return references;
}
