// What is asked of a worker and what it answers; runs the same inline.
import type { Candidates, SearchRange } from '../carve/search.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { FileBatch } from '../source/walk.ts';
import type { CarvedObject } from './events.ts';
import { type ExamineOptions, Examiner, type Findings, type LargeFile } from './examine.ts';
import type { Tally } from './tally.ts';

export type Task =
  | { readonly kind: 'files'; readonly batch: FileBatch }
  | { readonly kind: 'segments'; readonly large: LargeFile; readonly ranges: readonly SearchRange[] }
  | { readonly kind: 'carve'; readonly large: LargeFile; readonly parts: readonly Candidates[] }
  | { readonly kind: 'stdin' };

export interface Answer {
  readonly tally: Tally;
  /** Files of the batch that are better searched by several threads. */
  readonly large: readonly LargeFile[];
  /** What the segments gave. */
  readonly parts: readonly Candidates[];
}

/** Findings as they cross from a worker, or reach the scan inline. */
export type Finding =
  | { readonly object: CarvedObject; readonly content?: Uint8Array }
  | { readonly diagnostic: Diagnostic };

/** Called before each file of a batch with its index, so that a crash can be laid to its file. */
export type Begin = (index: number) => void;

export function newExaminer(
  options: ExamineOptions,
  deliver: (finding: Finding) => void,
  cancelled: () => boolean,
): Examiner {
  const delivered = new Set<string>();
  const findings: Findings = {
    diagnostic: (diagnostic) => deliver({ diagnostic }),
    object: (object, content) => {
      const wanted = options.content && !delivered.has(object.sha256);
      if (wanted) delivered.add(object.sha256);
      deliver(wanted ? { object, content } : { object });
    },
  };
  return new Examiner(options, findings, cancelled);
}

export function perform(task: Task, examiner: Examiner, cancelled: () => boolean, begin: Begin): Answer {
  const large: LargeFile[] = [];
  let parts: readonly Candidates[] = [];
  switch (task.kind) {
    case 'files': {
      const { paths, named, shortReads } = task.batch;
      for (const [index, path] of paths.entries()) {
        if (cancelled()) break;
        begin(index);
        const rest = examiner.examineFile({ path, named, shortReads });
        if (rest) large.push(rest);
      }
      break;
    }
    case 'segments':
      parts = examiner.searchSegments(task.large, task.ranges);
      break;
    case 'carve':
      examiner.finishLarge(task.large, task.parts);
      break;
    case 'stdin':
      examiner.examineStdin();
      break;
    default:
      task satisfies never;
  }
  return { tally: examiner.takeTally(), large, parts };
}
