// Which tags the kernel will give the programs of an object: every loader's code, hashed, equal results told once.
// A pure function of the object and of what is said of the kernel; says what each answer rests on, and why there is none.
import { SLOT_SIZE } from '../insn/slots.ts';
import type { BpfObject } from '../object/open.ts';
import type { BpfFunction } from '../object/programs.ts';
import { Kernel, type Target } from './kernel.ts';
import {
  type Link,
  type LinkedCode,
  type Loader,
  type LoaderName,
  link,
  type NotLinked,
  type Obstacle,
} from './loader.ts';
import { describeLoaders, LOADERS } from './loaders.ts';
import { type CodeTags, normaliseCode, type TagAlgorithm, tagAlgorithms, tagCode } from './tag.ts';
import { mapSubsets, withoutMaps } from './variants.ts';

/** `exact`: of the object alone; `exact@btf`: and of the kernel's types; `exact@boot`: and of addresses of one boot. */
export type Exactness = 'exact' | 'exact@btf' | 'exact@boot';
export type TagState = Exactness | Obstacle;

export interface TagPrediction {
  /** 16 hexadecimal digits. */
  readonly tag: string;
  readonly algorithm: TagAlgorithm;
  /** The commonest loader that yields it. */
  readonly loader: LoaderName;
  /** All of them, in words: `libbpf 1.2 and later`. */
  readonly loaders: readonly string[];
  readonly state: Exactness;
  /** Nothing is assumed but what the target says. */
  readonly exact: boolean;
  readonly assumptions: readonly string[];
}

export interface Refusal {
  /** As in `TagPrediction.loaders`. */
  readonly loaders: readonly string[];
  readonly state: Obstacle;
  readonly reason: string;
}

export interface ProgramTags {
  readonly name: string;
  /** Place in `BpfObject.functions`. */
  readonly function: number;
  /** For the commonest loader that does not refuse the object. */
  readonly state: TagState;
  readonly reason?: string;
  /** Slots that this loader hands over, subprograms included. */
  readonly instructions?: number;
  /** Likelier first. */
  readonly tags: readonly TagPrediction[];
  /** Tags of the same program with some of its maps switched off, likelier first. */
  readonly variants: readonly TagPrediction[];
  readonly refusals: readonly Refusal[];
}

/** Slots put together for one object, over all loaders: enough for the largest real ones a hundred times over. */
const WORK_BUDGET = 1 << 25;

/** For every program of the object, in its order. Never throws for bad input: what stands in the way is in the result. */
export function predictTags(object: BpfObject, target: Target): ProgramTags[] {
  const { littleEndian: little } = object.elf;
  const opened = openLoaders(object, new Kernel(target, little));
  const budget = { left: WORK_BUDGET };
  const foreign = target.littleEndian !== undefined && target.littleEndian !== little;
  return programsOf(object).map((program) => {
    const attempts = foreign ? [FOREIGN] : runAll(opened, program, budget);
    return describeProgram(object, program, attempts, target);
  });
}

/** The functions that some loader takes for programs: a lone function in `.text` is one to libbpf before 1.5. */
function programsOf({ programs, functions }: BpfObject): readonly BpfFunction[] {
  return programs.length === 0 && functions.length === 1 ? functions : programs;
}

const NOTHING: NotLinked = { obstacle: 'refused', reason: 'no loader is known' };

interface Attempt {
  readonly loaders: readonly Loader[];
  readonly result: LinkedCode | NotLinked;
}

const FOREIGN: Attempt = {
  loaders: LOADERS,
  result: { obstacle: 'refused', reason: 'the object has the byte order of another machine' },
};

/** Loaders that make the same of the object, and the one link that speaks for them. */
interface Opened {
  readonly loaders: Loader[];
  readonly run: Link;
}

function openLoaders(object: BpfObject, kernel: Kernel): Opened[] {
  const opened = new Map<string, Opened>();
  for (const loader of LOADERS) {
    const key = `${loader.name} ${loader.distinction(object, kernel)}`;
    const same = opened.get(key);
    if (same) same.loaders.push(loader);
    else opened.set(key, { loaders: [loader], run: loader.open(object, kernel) });
  }
  return [...opened.values()];
}

function runAll(opened: readonly Opened[], program: BpfFunction, budget: { left: number }): Attempt[] {
  return opened.map(({ loaders, run }) => {
    const result: LinkedCode | NotLinked =
      budget.left > 0
        ? link(run, program)
        : { obstacle: 'refused', reason: `predicting it takes more than ${WORK_BUDGET} steps` };
    if ('code' in result) budget.left -= result.code.length / SLOT_SIZE;
    return { loaders, result };
  });
}

function describeResult(result: LinkedCode | NotLinked): Pick<ProgramTags, 'state' | 'reason' | 'instructions'> {
  if ('code' in result) return { state: stateOf(result), instructions: result.code.length / SLOT_SIZE };
  return { state: result.obstacle, reason: result.reason };
}

interface Outcome {
  readonly linked: LinkedCode;
  readonly hashed: Uint8Array;
  readonly tags: CodeTags;
  readonly loaders: Loader[];
}

function describeProgram(
  object: BpfObject,
  program: BpfFunction,
  attempts: readonly Attempt[],
  target: Target,
): ProgramTags {
  const outcomes = mergeOutcomes(attempts);
  const refusals = mergeRefusals(attempts);
  const tags = outcomes.flatMap((each) => predictions(each.tags, each.linked, each.loaders, target));
  // A loader that would need to know more says more than one that has another use for the object.
  const telling = attempts.find(({ result }) => 'code' in result || result.obstacle !== 'refused') ?? attempts[0];
  return {
    name: program.name,
    function: program.index,
    ...describeResult(telling?.result ?? NOTHING),
    tags,
    variants: outcomes.flatMap((each) => variantsOf(object, each, target)),
    refusals,
  };
}

function mergeOutcomes(attempts: readonly Attempt[]): Outcome[] {
  const outcomes: Outcome[] = [];
  for (const { loaders, result } of attempts) {
    if (!('code' in result)) continue;
    const hashed = normaliseCode(result.code, result.little);
    const same = outcomes.find((each) => stateOf(each.linked) === stateOf(result) && areEqual(each.hashed, hashed));
    if (same) same.loaders.push(...loaders);
    else outcomes.push({ linked: result, hashed, tags: tagCode(hashed, result.little), loaders: [...loaders] });
  }
  return outcomes;
}

/** Loaders mostly agree, and comparing is cheaper than hashing. */
function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const [left, right] = [a, b].map(({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length / 4));
  return left?.every((word, index) => word === right?.[index]) ?? false;
}

function mergeRefusals(attempts: readonly Attempt[]): Refusal[] {
  const merged = new Map<string, { loaders: Loader[]; result: NotLinked }>();
  for (const { loaders, result } of attempts) {
    if ('code' in result) continue;
    const key = `${result.obstacle} ${result.reason}`;
    const same = merged.get(key);
    if (same) same.loaders.push(...loaders);
    else merged.set(key, { loaders: [...loaders], result });
  }
  return [...merged.values()].map(({ loaders, result }) => ({
    loaders: describeLoaders(loaders),
    state: result.obstacle,
    reason: result.reason,
  }));
}

function variantsOf(object: BpfObject, { linked, loaders }: Outcome, target: Target): TagPrediction[] {
  const able = loaders.filter(({ poisonsMaps }) => poisonsMaps);
  if (able.length === 0) return [];
  return mapSubsets(linked, object.maps).flatMap((off) => {
    const names = off.map((map) => JSON.stringify(object.maps[map]?.name ?? ''));
    const assumption = `the application does not create ${names.length === 1 ? 'map' : 'maps'} ${names.join(', ')}`;
    return predictions(tagCode(withoutMaps(linked, off), linked.little), linked, able, target, [assumption]);
  });
}

function predictions(
  tags: CodeTags,
  linked: LinkedCode,
  loaders: readonly Loader[],
  target: Target,
  assumed: readonly string[] = [],
): TagPrediction[] {
  const [first] = loaders;
  if (first === undefined) return [];
  const state = stateOf(linked);
  const assumptions = [...assumed, ...linked.evidence.assumptions];
  return tagAlgorithms(target.release).map((algorithm) => ({
    tag: tags[algorithm],
    algorithm,
    loader: first.name,
    loaders: describeLoaders(loaders),
    state,
    exact: assumptions.length === 0,
    assumptions: [...assumptions, ...groundsOf(linked, target)],
  }));
}

function stateOf({ evidence }: LinkedCode): Exactness {
  return evidence.boot ? 'exact@boot' : evidence.btf ? 'exact@btf' : 'exact';
}

/** What the target says and the answer stands on: given, so no less exact for it. */
function groundsOf({ evidence }: LinkedCode, target: Target): string[] {
  const grounds: string[] = [];
  if (evidence.btf) grounds.push(target.btfIdentity ? `kernel BTF ${target.btfIdentity}` : 'kernel BTF as given');
  if (evidence.boot) grounds.push('kernel addresses of one boot');
  return grounds;
}
