// What is asked of a worker and what it answers; runs the same inline.
import type { Candidates, SearchRange } from '../carve/search.ts';
import type { Diagnostic } from '../diagnostics.ts';
import type { MappedFile } from '../source/mapped-file.ts';
import type { Refusal } from '../source/process.ts';
import type { FileBatch } from '../source/walk.ts';
import type { CarvedObject } from './events.ts';
import { Examination, type ExamineOptions, type Findings } from './examination.ts';
import { FileExaminer, type LargeFile } from './examine.ts';
import {
  type FileUse,
  type MappedSearch,
  type ProcessAnswer,
  ProcessExaminer,
  type ProcessTask,
} from './examine-process.ts';
import type { Tally } from './tally.ts';

/** What a thread can do by itself; standard input is read elsewhere. */
export type Task =
  | { readonly kind: 'files'; readonly batch: FileBatch }
  | { readonly kind: 'segments'; readonly large: LargeFile; readonly ranges: readonly SearchRange[] }
  | {
      readonly kind: 'carve';
      readonly large: LargeFile;
      readonly parts: readonly Candidates[];
      readonly failure?: Diagnostic;
    }
  | { readonly kind: 'survey'; readonly pid: number }
  | {
      readonly kind: 'mapped-file';
      readonly file: MappedFile;
      readonly ranges: readonly SearchRange[];
      readonly split: boolean;
    }
  | ({ readonly kind: 'process' } & ProcessTask)
  | {
      readonly kind: 'process-ranges';
      readonly pid: number;
      readonly identity: string;
      readonly ranges: readonly SearchRange[];
    };

export interface Answer {
  readonly tally: Tally;
  /** Files of the batch that are better searched by several threads. */
  readonly large: readonly LargeFile[];
  /** What the segments gave. */
  readonly parts: readonly Candidates[];
  /** Why they gave not all. */
  readonly failure?: Diagnostic;
  /** The files that a process maps, or why it cannot be examined. */
  readonly survey?: readonly FileUse[] | Refusal;
  readonly mapped?: MappedSearch;
  readonly process?: ProcessAnswer;
}

/** Findings as they cross from a worker, or reach the scan inline. */
export type Finding =
  | { readonly object: CarvedObject; readonly content?: Uint8Array; readonly elf?: Uint8Array }
  | { readonly diagnostic: Diagnostic };

/** Told of every file of a batch as it goes, so that a crash costs one file. */
export interface Progress {
  begin(index: number): void;
  /** A file of the batch is better searched by several threads. */
  large(file: LargeFile): void;
}

/** One of each for a thread; they share buffers and counts. */
export interface Examiners {
  readonly examination: Examination;
  readonly files: FileExaminer;
  readonly processes: ProcessExaminer;
}

export function newExaminers(
  options: ExamineOptions,
  deliver: (finding: Finding) => void,
  cancelled: () => boolean,
): Examiners {
  const delivered = new Set<string>();
  const findings: Findings = {
    diagnostic: (diagnostic) => deliver({ diagnostic }),
    object: (object, content, elf) => {
      const wanted = options.content && !delivered.has(object.sha256);
      if (wanted) delivered.add(object.sha256);
      deliver(wanted ? { object, content, ...(elf && { elf: elf() }) } : { object });
    },
  };
  const examination = new Examination(options, findings, cancelled);
  return { examination, files: new FileExaminer(examination), processes: new ProcessExaminer(examination) };
}

export function perform(task: Task, examiners: Examiners, cancelled: () => boolean, progress?: Progress): Answer {
  const large: LargeFile[] = [];
  let parts: readonly Candidates[] = [];
  let more: Pick<Answer, 'failure' | 'survey' | 'mapped' | 'process'> = {};
  const { files, processes, examination } = examiners;
  switch (task.kind) {
    case 'files': {
      const { paths, named, shortReads } = task.batch;
      for (const [index, path] of paths.entries()) {
        if (cancelled()) break;
        progress?.begin(index);
        const rest = files.examineFile({ path, named, shortReads });
        if (rest === undefined) continue;
        progress?.large(rest);
        large.push(rest);
      }
      break;
    }
    case 'segments': {
      const { parts: found, ...rest } = files.searchSegments(task.large, task.ranges);
      parts = found;
      more = rest;
      break;
    }
    case 'carve':
      files.finishLarge(task.large, task.parts, task.failure);
      break;
    case 'survey':
      more = { survey: processes.survey(task.pid) };
      break;
    case 'mapped-file':
      more = { mapped: processes.searchMapped(task.file, task.ranges, task.split && examination.options.split) };
      break;
    case 'process':
      more = { process: processes.examine(task) };
      break;
    case 'process-ranges':
      parts = processes.searchRanges(task.pid, task.identity, task.ranges);
      break;
    default:
      task satisfies never;
  }
  return { tally: examination.takeTally(), large, parts, ...more };
}
