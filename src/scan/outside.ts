// Records of code that is in no ELF object: light skeletons, instruction arrays, classic filters, BTF that stands alone.
// Says what carved bytes mean; where they lie is known by whoever carved them.
import { createHash } from 'node:crypto';
import { Btf } from '../btf/decode.ts';
import type { ClassicFilter } from '../carve/classic-filters.ts';
import type { PartialObject } from '../carve/headerless.ts';
import type { InstructionArray } from '../carve/instructions.ts';
import type { LightMap, LightProgram, LightSkeleton } from '../carve/light-skeleton.ts';
import { attempt } from '../diagnostics.ts';
import { attachTypeName, programTypeName } from '../host/names.ts';
import { decodeInstructions } from '../insn/decode.ts';
import { callOf } from '../insn/references.ts';
import { SLOT_SIZE } from '../insn/slots.ts';
import type { Target } from '../link/kernel.ts';
import { predictLightTags } from '../link/light-skeleton-tags.ts';
import { type CodeTags, tagAlgorithms, tagCode } from '../link/tag.ts';
import { mapTypeName } from '../object/map-types.ts';
import { sectionNameFor } from '../object/sections.ts';
import type { MapSummary } from '../object/summarize.ts';
import { wrapCode } from '../object/wrap.ts';
import type {
  CarvedBtf,
  CarvedClassicFilter,
  CarvedInstructions,
  CarvedLightSkeleton,
  CarvedProgram,
  CarvedTag,
} from './events.ts';

/** A record as far as the carved bytes tell it. */
type Bare<T> = Omit<T, 'source' | 'offset' | 'address' | 'region' | 'within'>;
export type BareRecord =
  | Bare<CarvedLightSkeleton>
  | Bare<CarvedInstructions>
  | Bare<CarvedClassicFilter>
  | Bare<CarvedBtf>;

/** What was carved, and how to say it. */
export interface OutsideFinding {
  /** Bytes from the start of what was searched. */
  readonly offset: number;
  readonly size: number;
  /** `content`: exactly these bytes. */
  describe(content: Uint8Array): BareRecord;
  /** The same code as an ELF object, for tools that read nothing else. */
  wrap?(content: Uint8Array): Uint8Array;
}

export function instructionsFinding(array: InstructionArray, target: Target | undefined): OutsideFinding {
  const little = array.endianness === 'little';
  return {
    offset: array.offset,
    size: array.slots * SLOT_SIZE,
    describe: (content) => ({
      ...common(content),
      kind: 'instructions',
      completeness: 'whole',
      endianness: array.endianness,
      trust: array.trust,
      programs: [
        {
          instructions: array.slots,
          subprograms: [],
          helpers: helpersIn(content, little),
          ...(target && { tags: codeTags(tagCode(content, little), target) }),
        },
      ],
    }),
    wrap: (content) => wrapCode({ littleEndian: little, programs: [{ code: content }] }),
  };
}

export function filterFinding(filter: ClassicFilter): OutsideFinding {
  return {
    offset: filter.offset,
    size: filter.instructions * SLOT_SIZE,
    describe: (content) => ({
      ...common(content),
      kind: 'classic-filter',
      completeness: 'whole',
      endianness: filter.endianness,
      instructions: filter.instructions,
      filter: filter.text,
    }),
  };
}

export function btfFinding(partial: PartialObject): OutsideFinding {
  return {
    offset: partial.offset,
    size: partial.btf.length,
    describe: (content) => ({
      ...common(content),
      kind: 'btf',
      completeness: 'partial',
      endianness: partial.endianness,
      btf: { types: partial.types, coreRelocations: 0 },
      functions: partial.functions,
      variables: partial.sections,
    }),
  };
}

/** From the loader to the end of its data, or the other way round: whichever lies first. */
export function skeletonFinding(skeleton: LightSkeleton, target: Target | undefined): OutsideFinding {
  const { loader, data, programs, btf, endianness } = skeleton;
  const little = endianness === 'little';
  const offset = Math.min(loader.offset, data?.offset ?? loader.offset);
  const end = Math.max(loader.offset + loader.slots * SLOT_SIZE, data === undefined ? 0 : data.offset + data.size);
  const license = programs[0]?.license;
  return {
    offset,
    size: end - offset,
    describe: (content) => ({
      ...common(content),
      kind: 'light-skeleton',
      completeness: data === undefined ? 'truncated' : 'whole',
      endianness,
      loader: {
        offset: loader.offset - offset,
        instructions: loader.slots,
        tags: target === undefined ? [] : codeTags(tagCode(loader.code, little), target),
      },
      ...(data && { data: { offset: data.offset - offset, size: data.size } }),
      signed: skeleton.digest !== undefined,
      ...(skeleton.digest !== undefined && { digest: skeleton.digest }),
      ...(license !== undefined && license !== '' && { license }),
      programs: lightPrograms(skeleton, target),
      maps: skeleton.maps.map(lightMap),
      ...btfSummary(skeleton),
      diagnostics: skeleton.diagnostics,
    }),
    wrap: () =>
      wrapCode({
        littleEndian: little,
        ...(license !== undefined && license !== '' && { license }),
        ...(btf && { btf: btf.bytes }),
        programs:
          data === undefined
            ? [{ name: 'loader', section: 'syscall', code: loader.code }]
            : programs.map((program) => ({ name: program.name, code: program.code, ...sectionOf(program) })),
      }),
  };
}

/** What every record has; most have no maps and no programs. */
function common(content: Uint8Array) {
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { sha256, size: content.length, programs: [], maps: [], diagnostics: [] };
}

/** Of the bytes as they are: whoever loads them, and whatever the loader does not change. */
function codeTags(tags: CodeTags, { release }: Target): CarvedTag[] {
  return tagAlgorithms(release).map((algorithm) => ({
    tag: tags[algorithm],
    algorithm,
    exact: true,
    assumptions: [],
  }));
}

function lightPrograms(skeleton: LightSkeleton, target: Target | undefined): CarvedProgram[] {
  const predicted = target && predictLightTags(skeleton, target);
  return skeleton.programs.map((program, place) => {
    const tagged = predicted?.[place];
    return {
      ...(program.name !== '' && { name: program.name }),
      type: programTypeName(program.type),
      ...(program.attachTo !== undefined && { attachTo: targetOf(program.attachTo) }),
      instructions: program.code.length / SLOT_SIZE,
      subprograms: [],
      helpers: helpersIn(program.code, skeleton.endianness === 'little'),
      ...(tagged && target && outcome(tagged, target)),
    };
  });
}

function outcome(
  predicted: ReturnType<typeof predictLightTags>[number],
  { release }: Target,
): Pick<CarvedProgram, 'tags' | 'tagState' | 'tagReason'> {
  if ('obstacle' in predicted) return { tagState: predicted.obstacle, tagReason: predicted.reason };
  const { tags, state, assumptions } = predicted;
  return {
    tags: tagAlgorithms(release).map((algorithm) => ({
      tag: tags[algorithm],
      algorithm,
      loader: 'libbpf-light',
      loaders: ['libbpf light skeleton'],
      state,
      exact: assumptions.length === 0,
      assumptions,
    })),
  };
}

/** The loader looks for the function that the kernel calls there (libbpf's btf_get_kernel_prefix_kind). */
function targetOf(attachTo: string): string {
  return attachTo.replace(/^(?:btf_trace_|bpf_lsm_|bpf_iter_)/, '');
}

/** For tools that read a program's type out of it. */
function sectionOf({ type, attachType, attachTo }: LightProgram): { readonly section?: string } {
  const section = sectionNameFor(
    String(programTypeName(type)),
    String(attachTypeName(attachType)),
    attachTo && targetOf(attachTo),
  );
  return section === undefined ? {} : { section };
}

function lightMap({ name, type, keySize, valueSize, maxEntries, flags }: LightMap): MapSummary {
  return { name, type: mapTypeName(type), keySize, valueSize, maxEntries, flags };
}

function btfSummary({ btf, programs }: LightSkeleton): Pick<CarvedLightSkeleton, 'btf'> {
  const types = btf && attempt([], 'BTF', () => Btf.parse(btf.bytes))?.count;
  if (types === undefined) return {};
  return { btf: { types, coreRelocations: programs.reduce((sum, each) => sum + each.coreRelocations.length, 0) } };
}

function helpersIn(code: Uint8Array, little: boolean): string[] {
  const names = new Set<string>();
  for (const instruction of decodeInstructions(code, little)) {
    const call = callOf(instruction);
    if (call?.kind === 'helper') names.add(call.name);
  }
  return [...names];
}
