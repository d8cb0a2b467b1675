// Why a live program has no origin: where its code was looked for, and where it could not be.
import type { LiveProgram } from '../host/records.ts';

/** What a search for origins did. */
export interface SearchedPlaces {
  /** Origins were wanted at all. */
  readonly origins: boolean;
  /** And looked for in memory. */
  readonly memory: boolean;
  /** The programs are of another time or machine: who holds them there is out of reach. */
  readonly capture: boolean;
  /** The descriptors of every process could be read. */
  readonly seesHolders: boolean;
  /** Files and processes. */
  readonly sources: number;
  /** Processes whose memory was searched for instructions. */
  readonly processes: ReadonlySet<number>;
  /** The search ended before all of them were. */
  readonly cutShort?: 'interrupted' | 'time';
}

/** In words, of a program that nothing explains; nothing where no explanation was asked for. */
export function whyUnexplained(program: Unexplained, places: SearchedPlaces): string | undefined {
  const reason = reasonFor(program, places);
  if (reason === undefined || program.knownFrom !== 'kallsyms') return reason;
  return `${reason}; it may also be a subprogram of another, whose tag nobody can tell before it is loaded`;
}

type Unexplained = Pick<LiveProgram, 'holders' | 'knownFrom'>;

function reasonFor({ holders }: Unexplained, places: SearchedPlaces): string | undefined {
  const { origins, memory, capture, sources, processes, cutShort } = places;
  if (!origins) return undefined;
  if (sources === 0) return 'nothing was searched for its code';
  if (capture) return 'its code is in none of the files that were searched; who holds it is out of reach';
  if (cutShort === 'interrupted') return 'the search for its code was interrupted';
  if (!memory) return 'its code is in no file that was searched; memory was not searched';
  const missed = holders.filter(({ pid }) => !processes.has(pid)).map(({ pid }) => pid);
  if (missed.length > 0) return `the memory of ${pidWords(missed)}, which holds it, could not be searched`;
  if (cutShort === 'time') return 'its code was not found in the time that the search may take';
  if (holders.length === 0) {
    const who = places.seesHolders ? 'no process holds it' : 'who holds it was not to be seen';
    return `${who}, and its code is neither in the files nor in the memory that was searched`;
  }
  const who = pidWords(holders.map(({ pid }) => pid));
  return `its code is neither in the files nor in the memory of ${who} any more: it was overwritten, or another process loaded it`;
}

const SHOWN = 4;

function pidWords(pids: readonly number[]): string {
  const shown = pids.slice(0, SHOWN).join(', ');
  const more = pids.length > SHOWN ? ` and ${pids.length - SHOWN} more` : '';
  return `${pids.length === 1 ? 'pid' : 'pids'} ${shown}${more}`;
}
