// The live document: what the kernel runs, and where each program's code was found.
import type { Explanation, KnownCode, NearMiss } from '../correlate/correlate.ts';
import type { Origin } from '../correlate/origin.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type {
  Inconsistency,
  LiveLink,
  LiveMap,
  LiveProgram,
  Pin,
  ProgramGroup,
  Scope,
  Views,
} from '../host/records.ts';
import type { Host, StartEvent } from './events.ts';

/** A live program with what was found out about its code. Without `origin` it is unexplained. */
export interface ExplainedProgram extends LiveProgram {
  readonly origin?: Origin;
  readonly otherOrigins?: readonly Origin[];
  readonly identicalTo?: readonly Origin[];
  readonly sameBytesAs?: readonly KnownCode[];
  readonly nearMisses?: readonly NearMiss[];
  /** Of a program without `origin`: where its code was looked for, in words. */
  readonly whyUnexplained?: string;
}

export interface LiveSummary {
  readonly programs: number;
  readonly explained: number;
  readonly unexplained: number;
  /** Sources searched for origins. */
  readonly sources: number;
  readonly elapsedMs: number;
  readonly interrupted?: true;
}

export interface LiveReport {
  readonly schemaVersion: 1;
  readonly tool: StartEvent['tool'];
  readonly command: 'live';
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly host: Host;
  readonly views: Views;
  readonly scope: Scope;
  readonly programs: readonly ExplainedProgram[];
  readonly maps: readonly LiveMap[];
  readonly links: readonly LiveLink[];
  readonly pins: readonly Pin[];
  readonly groups: readonly ProgramGroup[];
  readonly inconsistencies: readonly Inconsistency[];
  readonly diagnostics: readonly Diagnostic[];
  readonly summary: LiveSummary;
}

/** Only what there is: an absent fact is an absent key. */
export function explained(
  program: LiveProgram,
  { origin, otherOrigins, identicalTo, sameBytesAs, nearMisses }: Explanation,
): ExplainedProgram {
  return {
    ...program,
    ...(origin && { origin }),
    ...(otherOrigins.length > 0 && { otherOrigins }),
    ...(identicalTo.length > 0 && { identicalTo }),
    ...(sameBytesAs.length > 0 && { sameBytesAs }),
    ...(nearMisses.length > 0 && { nearMisses }),
  };
}
