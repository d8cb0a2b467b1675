// What is asked of a worker and what it answers; runs the same inline.
import type { Candidates, SearchRange } from '../carve/search.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { FileBatch } from '../source/walk.ts';
import type { CarvedObject } from './events.ts';
import { Examination, type ExamineOptions, type Findings } from './examination.ts';
import { FileExaminer, type LargeFile } from './examine.ts';
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

/** One of each for a thread; they share buffers and counts. */
export interface Examiners {
  readonly examination: Examination;
  readonly files: FileExaminer;
}

export function newExaminers(
  options: ExamineOptions,
  deliver: (finding: Finding) => void,
  cancelled: () => boolean,
): Examiners {
  const delivered = new Set<string>();
  const findings: Findings = {
    diagnostic: (diagnostic) => deliver({ diagnostic }),
    object: (object, content) => {
      const wanted = options.content && !delivered.has(object.sha256);
      if (wanted) delivered.add(object.sha256);
      deliver(wanted ? { object, content } : { object });
    },
  };
  const examination = new Examination(options, findings, cancelled);
  return { examination, files: new FileExaminer(examination) };
}

export function perform(task: Task, examiners: Examiners, cancelled: () => boolean, begin: Begin): Answer {
  const large: LargeFile[] = [];
  let parts: readonly Candidates[] = [];
  switch (task.kind) {
    case 'files': {
      const { paths, named, shortReads } = task.batch;
      for (const [index, path] of paths.entries()) {
        if (cancelled()) break;
        begin(index);
        const rest = examiners.files.examineFile({ path, named, shortReads });
        if (rest) large.push(rest);
      }
      break;
    }
    case 'segments':
      parts = examiners.files.searchSegments(task.large, task.ranges);
      break;
    case 'carve':
      examiners.files.finishLarge(task.large, task.parts);
      break;
    case 'stdin':
      examiners.files.examineStdin();
      break;
    default:
      task satisfies never;
  }
  return { tally: examiners.examination.takeTally(), large, parts };
}
