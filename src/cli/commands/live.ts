// `bpfcarve live`: the programs of the running kernel, or of a captured one, each with the place its code comes from.
import type { Argv, CommandModule } from 'yargs';
import type { CarvedObject, LiveOptions, LiveReport } from '../../index.ts';
import type { LiveSelection } from '../../report/live-select.ts';
import { asGiven, exactPaths } from '../arguments.ts';
import { type Dump, isDumped, openDump } from '../dump.ts';
import { EXIT, type ExitStatus, statusOf, UsageError } from '../exit.ts';
import { fileOf, readText } from '../input.ts';
import { interruptible } from '../interrupt.ts';
import { formatOf, kernelRelease, outputOptions, positiveInteger, styleOf } from '../options.ts';
import { openOutput } from '../output.ts';
import { startSpinner } from '../progress.ts';

const THREADS = 256;
/** The kernel gives ids from an IDR: up to INT_MAX. */
const ID_MAX = 2 ** 31 - 1;

export function liveCommand(finish: (status: ExitStatus) => void): CommandModule<object, Arguments> {
  return {
    command: 'live [ids..]',
    describe: 'Programs in the running kernel: who holds them, where they run, which carved code they come from',
    builder: options as (yargs: Argv) => Argv<Arguments>,
    handler: async (args) => finish(await runLive(args)),
  };
}

type Arguments = Awaited<ReturnType<typeof options>['argv']>;

function options(yargs: Argv) {
  return outputOptions(yargs)
    .positional('ids', { type: 'string', array: true, describe: 'Only these programs, in full' })
    .option('tag', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Only programs with this tag, in full; repeatable',
    })
    .option('live', {
      type: 'string',
      describe:
        'Programs of another kernel: what bpftool -j prog show or live -j printed there, or - for standard input',
      requiresArg: true,
    })
    .option('match', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Look for their code here too; repeatable. --no-match looks for it nowhere',
    })
    .option('memory', {
      type: 'boolean',
      default: true,
      describe: 'Look for their code in the memory of processes too; --no-memory does not',
    })
    .option('dump', {
      type: 'string',
      describe: 'Write the objects they come from and their instructions into this new evidence directory',
      requiresArg: true,
    })
    .option('jobs', { type: 'string', describe: 'Threads; 1 starts none (default: all cores)', requiresArg: true })
    .option('btf', {
      type: 'string',
      describe: 'BTF of the kernel to predict tags for, or none (default: the running one)',
      requiresArg: true,
    })
    .option('kernel', { type: 'string', describe: 'Its release, as uname -r has it', requiresArg: true })
    .option('progress', { type: 'boolean', default: true, describe: 'Show progress on a terminal' });
}

async function runLive(args: Arguments): Promise<ExitStatus> {
  const selection = readSelection(args);
  const liveOptions = readOptions(args);
  const inputs = [...(liveOptions.match ?? []), ...fileOf(args.live, 'kernel'), ...fileOf(args.btf, 'none')];
  const output = await openOutput(args.output, inputs);
  const dump = await openDump(args.dump);
  const interrupt = interruptible();
  const spinner = await startSpinner(args.progress && !args.quiet, 'reading the kernel');
  const carved: Carved[] = [];
  const instructions: Instructions[] = [];
  try {
    const whole = await look(args.live, {
      ...liveOptions,
      ...(selection && { only: selection }),
      signal: interrupt.signal,
      onProgress: ({ stage, sources, bytes }) => spinner.say(progressWords(stage, sources, bytes)),
      ...(dump && {
        onCarved: (object, content, elf) => carved.push({ object, content, elf }),
        onInstructions: (program, xlated) => instructions.push({ program, xlated }),
      }),
    });
    spinner.stop();
    const report = await select(whole, selection);
    for (const piece of await render(report, selection !== undefined, args)) if (!(await output.write(piece))) break;
    await output.close();
    if (dump) {
      keepInstructions(report, instructions, dump);
      await dump.close({ ...report, objects: keepObjects(report, carved, dump) });
    }
    if (formatOf(args) !== 'text' || args.quiet || process.stdout.isTTY !== true) await printErrors(report);
    if (!(await isDumped(dump))) return EXIT.failed;
    return statusOf(outcomeOf(report, interrupt.isInterrupted), { strict: false, failOnFound: false });
  } finally {
    spinner.stop();
    dump?.abandon();
    interrupt.release();
  }
}

/** A capture that makes no sense is named together with what is wrong with it. */
async function look(capture: string | undefined, liveOptions: LiveOptions): Promise<LiveReport> {
  const { FormatError, live } = await import('../../index.ts');
  try {
    return await live(liveOptions);
  } catch (error) {
    if (!(error instanceof FormatError) || capture === undefined) throw error;
    throw new UsageError(`--live: ${asGiven(capture)}: ${error.message}`, { cause: error });
  }
}

/** The programs that were named, if any were. */
function readSelection({ ids = [], tag = [] }: Arguments): LiveSelection | undefined {
  if (ids.length === 0 && tag.length === 0) return undefined;
  return {
    ids: new Set(exactPaths(ids).map((id) => positiveInteger('live: program id', String(id), ID_MAX))),
    tags: new Set(tag.map(readTag)),
  };
}

function readTag(text: string): string {
  if (/^[0-9a-f]{16}$/i.test(text)) return text.toLowerCase();
  throw new UsageError(`--tag: expected 16 hexadecimal digits such as 7dc8126e8768ea37, not "${text}"`);
}

function readOptions(args: Arguments): LiveOptions {
  // yargs makes `false` of --no-match, whatever the option's own type.
  const match = (args.match ?? []) as readonly (string | boolean)[];
  const paths = match.filter((path) => typeof path === 'string');
  const searchOrigins = !match.includes(false);
  if (paths.length > 0 && !searchOrigins) throw new UsageError('--match and --no-match contradict each other');
  return {
    searchOrigins,
    searchMemory: args.memory,
    match: exactPaths(paths),
    ...(args.live !== undefined && args.live !== 'kernel' && { capture: readText('--live', args.live) }),
    ...(args.btf !== undefined && { btf: exactPaths([args.btf])[0] ?? args.btf }),
    ...(args.kernel !== undefined && { kernel: kernelRelease(args.kernel) }),
    ...(args.jobs !== undefined && { jobs: positiveInteger('--jobs', args.jobs, THREADS) }),
  };
}

function progressWords(stage: string, sources: number, bytes: number): string {
  if (stage === 'kernel') return 'reading the kernel';
  const searched = `${sources.toLocaleString('en-US')} sources, ${(bytes / 1e9).toFixed(2)} GB`;
  return `looking for the code of programs in ${stage}: ${searched}`;
}

/** A program that was named and is not there is a mistake, not an empty report. */
async function select(report: LiveReport, selection: LiveSelection | undefined): Promise<LiveReport> {
  if (selection === undefined) return report;
  const { isSelected, selectPrograms } = await import('../../report/live-select.ts');
  const none: LiveSelection = { ids: new Set(), tags: new Set() };
  const isThere = (one: Partial<LiveSelection>) =>
    report.programs.some((program) => isSelected(program, { ...none, ...one }));
  const lost = [
    ...[...selection.ids].filter((id) => !isThere({ ids: new Set([id]) })).map((id) => `id ${id}`),
    ...[...selection.tags].filter((tag) => !isThere({ tags: new Set([tag]) })).map((tag) => `tag ${tag}`),
  ];
  if (lost.length > 0)
    throw new UsageError(`live: no program with ${lost.join(', ')} was seen; "live" lists all of them`);
  return selectPrograms(report, selection);
}

async function render(report: LiveReport, isPicked: boolean, args: Arguments): Promise<Iterable<string>> {
  const format = formatOf(args);
  if (format === 'text') {
    const style = styleOf(args);
    return (await import('../../report/live.ts')).renderLive(report, style, isPicked || style.verbose > 0);
  }
  const { renderLiveJson, renderLiveNdjson } = await import('../../report/live-json.ts');
  return format === 'json' ? renderLiveJson(report) : renderLiveNdjson(report);
}

interface Carved {
  readonly object: CarvedObject;
  readonly content: Uint8Array | undefined;
  readonly elf: Uint8Array | undefined;
}

interface Instructions {
  readonly program: LiveReport['programs'][number];
  readonly xlated: Uint8Array;
}

/** Those of the programs that the report is about. */
function keepInstructions({ programs }: LiveReport, all: readonly Instructions[], dump: Dump): void {
  const wanted = new Set(programs.map(({ id }) => id));
  for (const { program, xlated } of all) {
    const { id, name, tag } = program;
    if (!wanted.has(id)) continue;
    dump.addInstructions({ ...(id !== undefined && { id }), ...(name !== undefined && { name }), tag }, xlated);
  }
}

/** Of what was found, the objects that explain a program, or look like one. */
function keepObjects({ programs }: LiveReport, carved: readonly Carved[], dump: Dump): CarvedObject[] {
  const wanted = new Set(
    programs
      .flatMap(({ origin, otherOrigins = [], identicalTo = [] }) => [origin ?? [], otherOrigins, identicalTo].flat())
      .map(({ object }) => object.sha256),
  );
  const kept = carved.filter(({ object }) => wanted.has(object.sha256));
  for (const { object, content, elf } of kept) dump.add(object, content, elf);
  return kept.map(({ object }) => object);
}

async function printErrors({ diagnostics }: LiveReport): Promise<void> {
  const { escapeText } = await import('../../report/escape.ts');
  for (const { severity, where, message } of diagnostics) {
    if (severity === 'error') process.stderr.write(`bpfcarve: ${escapeText(`${where}: ${message}`)}\n`);
  }
}

function outcomeOf({ programs, diagnostics, summary }: LiveReport, interrupted: boolean) {
  return {
    failed: diagnostics.some(({ severity }) => severity === 'error'),
    interrupted: interrupted && summary.interrupted === true,
    found: programs.length > 0,
    unreadable: false,
  };
}
