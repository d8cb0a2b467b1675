// Cross-view checks: what one view shows and the kernel's own list does not. Looked at twice, a second apart, because
// programs come and go; what disagrees both times is reported as inconsistent views, and what it means is for people to say.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bpf } from './bpf.ts';
import { type Claim, findClaims, type Probed, surplusSymbols } from './claims.ts';
import type { Look } from './look.ts';
import type { Kind } from './objects.ts';
import { type ProgramReader, readProgram } from './programs.ts';
import type { Check, Inconsistency, KernelSymbol, LiveProgram } from './records.ts';

export interface CheckInput {
  readonly reader: ProgramReader;
  readonly first: Look;
  /** Looks again. */
  readonly lookAgain: () => Promise<Look>;
  readonly readSymbols: () => readonly KernelSymbol[];
  /** Milliseconds between the looks. */
  readonly delay: number;
}

/**
 * Nothing when the first look is consistent, which is nearly always and costs one probe of the ids. An id is suspect when
 * some view knew it before the second list was made and still knows it afterwards: whatever the order of events, an honest
 * list would have it.
 */
export async function crossCheck(input: CheckInput): Promise<Inconsistency[]> {
  const { reader, first } = input;
  if (first.ended.size === 0) return [];
  const witness = new Witness(first);
  const claims = withoutNewcomers(findClaims(first, probeAll(reader.bpf, first)), witness, input);
  if (claims.length === 0) return [];
  await watch(input, claims, witness);
  const second = await input.lookAgain();
  witness.add(second.seen.programs);
  witness.see(second.symbols);
  const again = new Set(findClaims(second, probeSuspects(reader.bpf, claims)).map(identity));
  const confirmed = claims.filter((claim) =>
    claim.check === 'B' ? second.whole.has('program') && witness.confirms(claim) : again.has(identity(claim)),
  );
  return summarise(withIds(confirmed, reader));
}

/** What was loaded while the first look lasted is listed by now, or gone again: most claims end here, without a wait. */
function withoutNewcomers(claims: readonly Claim[], witness: Witness, { reader, readSymbols }: CheckInput): Claim[] {
  if (claims.length === 0) return [];
  witness.list(reader);
  if (claims.some(({ check }) => check === 'B')) witness.see(readSymbols());
  const listed = new Map(KINDS.map((kind) => [kind, new Set(reader.bpf.ids(kind).ids)]));
  return claims.filter((claim) => {
    if (claim.check === 'B') return witness.confirms(claim);
    if (claim.check === 'F' || claim.id === undefined) return true;
    if (listed.get(claim.object)?.has(claim.id)) return false;
    return !claim.probed || reader.bpf.exists(claim.object, claim.id);
  });
}

const KINDS: readonly Kind[] = ['program', 'map', 'link'];

function identity({ check, object, id, tag, evidence }: Claim): string {
  // A tag that disagrees must disagree in the same words; otherwise who tells of an id may change.
  return check === 'F' ? evidence : `${check} ${object} ${id ?? ''} ${tag ?? ''}`;
}

/** How many ids are tried at either end: what is hidden is new, or as old as the machine. About 1 us each. */
const PROBE_EACH_END: Readonly<Record<Kind, number>> = { program: 50_000, map: 5_000, link: 5_000 };
/** Beyond the highest that is listed. */
const PROBE_BEYOND = 256;

function probeAll(bpf: Bpf, { listed, ended }: Look): Probed {
  const probe = (kind: Kind) => {
    if (!ended.has(kind)) return [];
    const top = highest(listed[kind]) + PROBE_BEYOND;
    const found: number[] = [];
    for (let id = 1; id <= top; id++) {
      if (id === PROBE_EACH_END[kind]) id = Math.max(id, top - PROBE_EACH_END[kind]);
      if (!listed[kind].has(id) && bpf.exists(kind, id)) found.push(id);
    }
    return found;
  };
  return { program: probe('program'), map: probe('map'), link: probe('link') };
}

function highest(ids: ReadonlySet<number>): number {
  let highest = 0;
  for (const id of ids) if (id > highest) highest = id;
  return highest;
}

function probeSuspects(bpf: Bpf, claims: readonly Claim[]): Probed {
  const probe = (kind: Kind) => [
    ...new Set(
      claims.flatMap(({ object, id }) => (object === kind && id !== undefined && bpf.exists(kind, id) ? [id] : [])),
    ),
  ];
  return { program: probe('program'), map: probe('map'), link: probe('link') };
}

/** Milliseconds between lists while waiting, and how many of the lists come with the symbols. */
const TICK = 50;
const SYMBOL_READS = 3;

/**
 * Symbols carry no id: a program that is loaded again and again looks like one that is never listed. So while time passes
 * lists are taken often, and symbols several times: a suspect's symbol is there every time, at the same address, and
 * neither its address nor enough programs of its tag appear in any list.
 */
async function watch(input: CheckInput, claims: readonly Claim[], witness: Witness): Promise<void> {
  const suspicious = claims.some(({ check }) => check === 'B');
  const ticks = Math.max(1, Math.floor(input.delay / TICK));
  const period = Math.max(1, Math.floor(ticks / SYMBOL_READS));
  for (let tick = 1; tick <= ticks; tick++) {
    await sleep(input.delay / ticks);
    if (!suspicious) continue;
    witness.list(input.reader);
    if (tick % period === 0) witness.see(input.readSymbols());
  }
}

/** Every program that was ever listed, and the symbols that were there all the time. */
class Witness {
  readonly #programs = new Map<number, LiveProgram>();
  #symbols: readonly KernelSymbol[];

  constructor({ seen, symbols }: Look) {
    this.add(seen.programs);
    this.#symbols = symbols;
  }

  add(programs: readonly LiveProgram[]): void {
    for (const program of programs) if (program.id !== undefined) this.#programs.set(program.id, program);
  }

  list(reader: ProgramReader): void {
    for (const id of reader.bpf.ids('program').ids) {
      if (this.#programs.has(id)) continue;
      const program = readProgram(reader, id);
      if (typeof program !== 'number') this.#programs.set(id, program);
    }
  }

  see(symbols: readonly KernelSymbol[]): void {
    const now = new Set(symbols.map(keyOf));
    this.#symbols = this.#symbols.filter((symbol) => now.has(keyOf(symbol)));
  }

  confirms({ tag }: Claim): boolean {
    return surplusSymbols(this.#symbols, [...this.#programs.values()]).some((symbol) => symbol.tag === tag);
  }
}

function keyOf({ tag, name, address }: KernelSymbol): string {
  return `${tag} ${name} ${address ?? ''}`;
}

/** Symbols name no ids. Where one of the suspects has the tag of a symbol, both are about the same program. */
function withIds(claims: readonly Claim[], reader: ProgramReader): Claim[] {
  const owners = new Map<string, number>();
  for (const { object, id } of claims) {
    const program = object === 'program' && id !== undefined ? readProgram(reader, id) : -1;
    if (typeof program === 'number' || id === undefined) continue;
    for (const tag of [program.tag, ...program.subprogramTags]) owners.set(tag, id);
  }
  return claims.map((claim) => {
    const id = claim.id ?? owners.get(claim.tag ?? '');
    return id === undefined ? claim : { ...claim, id };
  });
}

/** One entry an object, or a tag whose program has no id. */
function summarise(claims: readonly Claim[]): Inconsistency[] {
  const groups = new Map<string, Claim[]>();
  for (const claim of claims) {
    const key = `${claim.object} ${claim.id ?? claim.tag}`;
    groups.set(key, [...(groups.get(key) ?? []), claim]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    return [
      {
        object: first.object,
        ...(first.id !== undefined && { id: first.id }),
        ...(first.id === undefined && first.tag !== undefined && { tag: first.tag }),
        checks: [...new Set(group.map(({ check }): Check => check))].sort(),
        evidence: [...new Set(group.map(({ evidence }) => evidence))],
      },
    ];
  });
}
