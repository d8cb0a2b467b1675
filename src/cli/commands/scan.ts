// `bpfcarve scan`: options to a scan, its events to a report, a dump and an exit status.
import type { Argv, CommandModule } from 'yargs';
import type { ScanEvent, ScanOptions } from '../../index.ts';
import type { Renderer } from '../../report/style.ts';
import { exactPaths } from '../arguments.ts';
import { type Dump, isDumped, openDump } from '../dump.ts';
import { EXIT, type ExitStatus, type Outcome, statusOf, UsageError } from '../exit.ts';
import { fileOf, readText } from '../input.ts';
import { interruptible } from '../interrupt.ts';
import {
  byteCount,
  type Format,
  formatOf,
  kernelRelease,
  outputOptions,
  positiveInteger,
  styleOf,
} from '../options.ts';
import { type Output, openOutput } from '../output.ts';
import { startProgress } from '../progress.ts';
import { distinctTargets } from '../targets.ts';

const THREADS = 256;
/** PID_MAX_LIMIT of <linux/threads.h>, 64-bit. */
const PID_MAX = 2 ** 22;

export function scanCommand(finish: (status: ExitStatus) => void): CommandModule<object, Arguments> {
  return {
    command: ['scan [targets..]', '$0'],
    describe: 'Carve embedded eBPF objects out of files, directories, globs, processes; - reads standard input',
    builder: options as (yargs: Argv) => Argv<Arguments>,
    handler: async (args) => finish(await runScan(args)),
  };
}

type Arguments = Awaited<ReturnType<typeof options>['argv']>;

function options(yargs: Argv) {
  return outputOptions(yargs)
    .positional('targets', { type: 'string', array: true, describe: 'Files, directories, globs, or -' })
    .option('pid', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'The memory of this process; repeatable',
    })
    .option('all-pids', { type: 'boolean', default: false, describe: 'The memory of every process that may be read' })
    .option('raw', {
      type: 'boolean',
      describe: 'Look for code outside objects: instructions, filters, BTF (default: in memory only)',
    })
    .option('dump', {
      type: 'string',
      describe: 'Write every object into this new evidence directory',
      requiresArg: true,
    })
    .option('jobs', { type: 'string', describe: 'Threads; 1 starts none (default: all cores)', requiresArg: true })
    .option('include', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Only files that match, relative to each directory',
    })
    .option('exclude', { type: 'string', array: true, nargs: 1, describe: 'No files that match' })
    .option('max-size', {
      type: 'string',
      describe: 'Pass over larger files: bytes, or 64K, 10M, 2G',
      requiresArg: true,
    })
    .option('one-file-system', { type: 'boolean', default: false, describe: 'Stay on the filesystem of each target' })
    .option('follow', { type: 'boolean', default: false, describe: 'Follow symbolic links in directories' })
    .option('btf', {
      type: 'string',
      describe: 'BTF of the kernel to predict tags for, or none (default: the running one)',
      requiresArg: true,
    })
    .option('kernel', { type: 'string', describe: 'Its release, as uname -r has it', requiresArg: true })
    .option('live', {
      type: 'string',
      describe: 'Mark programs that are loaded now: kernel, or captured bpftool -j prog show',
      requiresArg: true,
    })
    .option('strict', { type: 'boolean', default: false, describe: 'Exit 3 when something could not be read' })
    .option('fail-on', { choices: ['found'] as const, describe: 'Exit 2 when something was found', requiresArg: true })
    .option('progress', { type: 'boolean', default: true, describe: 'Show progress on a terminal' });
}

async function runScan(args: Arguments): Promise<ExitStatus> {
  const targets = distinctTargets(exactPaths(args.targets ?? []));
  const pids = (args.pid ?? []).map((pid) => positiveInteger('--pid', pid, PID_MAX));
  if (targets.length === 0 && pids.length === 0 && !args.allPids)
    throw new UsageError(
      'scan: name what to scan: a file, a directory, a glob, - for standard input, --pid N or --all-pids',
    );
  const format = formatOf(args);
  const wanted = scanOptions(args);
  const inputs = [...targets, ...fileOf(args.live, 'kernel'), ...fileOf(args.btf, 'none')];
  const { scan } = await import('../../index.ts');
  const output = await openOutput(args.output, inputs, format !== 'ndjson');
  const dump = await openDump(args.dump);
  const interrupt = interruptible();
  const progress = await startProgress(args.progress && !args.quiet && !(format === 'ndjson' && process.stdout.isTTY));
  const watch = new Watch(
    dump,
    (event) => progress.update(event),
    () => progress.stop(),
  );
  try {
    const avoid = dump && { content: true, avoid: [dump.path] };
    const events = watch.over(scan(targets, { ...wanted, ...avoid, pids, signal: interrupt.signal }));
    const render = await rendererFor(format);
    await print(render(events, styleOf(args)), output, dump === undefined ? () => interrupt.abort() : () => {});
    await watch.closeDump();
    await output.close();
  } finally {
    progress.stop();
    dump?.abandon();
    interrupt.release();
  }
  if (format !== 'text' || args.quiet || process.stdout.isTTY !== true) await watch.printErrors();
  if (!(await isDumped(dump))) return EXIT.failed;
  return statusOf(
    { ...watch.outcome, interrupted: watch.stopped && interrupt.isInterrupted },
    { strict: args.strict, failOnFound: args.failOn === 'found' },
  );
}

function scanOptions(args: Arguments): ScanOptions {
  return {
    ...(args.jobs !== undefined && { jobs: positiveInteger('--jobs', args.jobs, THREADS) }),
    ...(args.maxSize !== undefined && { maxSize: byteCount('--max-size', args.maxSize) }),
    include: args.include ?? [],
    exclude: args.exclude ?? [],
    ...(args.btf !== undefined && { btf: args.btf }),
    ...(args.kernel !== undefined && { kernel: kernelRelease(args.kernel) }),
    // Text shows them only with -v; evidence keeps everything.
    tags: formatOf(args) !== 'text' || args.verbose > 0 || args.live !== undefined || args.dump !== undefined,
    ...(args.live !== undefined && {
      live: args.live === 'kernel' ? 'kernel' : { capture: readText('--live', args.live) },
    }),
    oneFileSystem: args.oneFileSystem,
    allPids: args.allPids,
    follow: args.follow,
    ...(args.raw !== undefined && { raw: args.raw }),
  };
}

async function rendererFor(format: Format): Promise<Renderer> {
  switch (format) {
    case 'json':
      return (await import('../../report/json.ts')).renderJson;
    case 'ndjson':
      return (await import('../../report/ndjson.ts')).renderNdjson;
    default:
      return (await import('../../report/text.ts')).renderText;
  }
}

/** Writes the report as it comes; when its reader leaves, says so once and lets the events run out. */
async function print(pieces: AsyncIterable<string>, output: Output, onReaderGone: () => void): Promise<void> {
  let read = true;
  for await (const piece of pieces) {
    if (!read || (await output.write(piece))) continue;
    read = false;
    onReaderGone();
  }
}

/** Looks at every event on its way to the report: for the dump, the progress and the exit status. */
class Watch {
  /** The scan ended early. */
  stopped = false;
  private failed = false;
  private found = false;
  private unreadable = false;
  private readonly dump: Dump | undefined;
  private readonly progress: (event: ScanEvent) => void;
  private readonly quietly: () => void;
  /** What the manifest is made of. */
  private kept: ScanEvent[] = [];
  private readonly errors: string[] = [];

  constructor(dump: Dump | undefined, progress: (event: ScanEvent) => void, quietly: () => void) {
    this.dump = dump;
    this.progress = progress;
    this.quietly = quietly;
  }

  async *over(events: AsyncIterable<ScanEvent>): AsyncGenerator<ScanEvent> {
    for await (const event of events) {
      this.progress(event);
      this.note(event);
      // The spinner's line must be gone before a report is written over it.
      if (event.event === 'summary') this.quietly();
      yield event;
    }
  }

  get outcome(): Omit<Outcome, 'interrupted'> {
    return { failed: this.failed, found: this.found, unreadable: this.unreadable };
  }

  async closeDump(): Promise<void> {
    if (this.dump === undefined || this.dump.failure !== undefined) return;
    const { collectReport } = await import('../../report/collect.ts');
    await this.dump.close(await collectReport(replay(this.kept)));
  }

  async printErrors(): Promise<void> {
    if (this.errors.length === 0) return;
    const { escapeText } = await import('../../report/escape.ts');
    for (const error of this.errors) process.stderr.write(`bpfcarve: ${escapeText(error)}\n`);
  }

  private keep(dump: Dump, event: ScanEvent): void {
    if (event.event === 'object') dump.add(event.object, event.content, event.elf);
    if (dump.failure === undefined)
      this.kept.push(event.event === 'object' ? { event: 'object', object: event.object } : event);
    else this.kept = [];
  }

  private note(event: ScanEvent): void {
    if (this.dump && event.event !== 'progress') this.keep(this.dump, event);
    switch (event.event) {
      case 'object':
        this.found = true;
        break;
      case 'diagnostic':
        if (event.diagnostic.severity !== 'error') break;
        this.failed = true;
        this.errors.push(`${event.diagnostic.where}: ${event.diagnostic.message}`);
        break;
      case 'summary':
        this.unreadable = event.summary.unreadable > 0;
        this.stopped = event.summary.interrupted === true;
        break;
      default:
        break;
    }
  }
}

async function* replay(events: readonly ScanEvent[]): AsyncGenerator<ScanEvent> {
  yield* events;
}
