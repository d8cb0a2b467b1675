// `bpfcarve inspect`: everything about the objects and other code in one file, or the parts of it that are asked for.
import type { Argv, CommandModule } from 'yargs';
import type { CarvedObject, FilePath, InspectOptions, InspectReport, TypesForm } from '../../index.ts';
import type { InspectViews } from '../../report/inspect.ts';
import { exactPaths } from '../arguments.ts';
import { type Dump, isDumped, openDump } from '../dump.ts';
import { EXIT, type ExitStatus, statusOf, UsageError } from '../exit.ts';
import { fileOf } from '../input.ts';
import { interruptible } from '../interrupt.ts';
import { type Format, formatOf, kernelRelease, outputOptions, styleOf } from '../options.ts';
import { openOutput } from '../output.ts';

export function inspectCommand(finish: (status: ExitStatus) => void): CommandModule<object, Arguments> {
  return {
    command: 'inspect [path]',
    describe: 'Everything known about the eBPF objects in one file',
    builder: options as (yargs: Argv) => Argv<Arguments>,
    handler: async (args) => finish(await runInspect(args)),
  };
}

type Arguments = Awaited<ReturnType<typeof options>['argv']>;

function options(yargs: Argv) {
  return outputOptions(yargs)
    .positional('path', { type: 'string', describe: 'An object file, or any file with objects inside' })
    .option('at', { type: 'string', describe: 'Only what is at this offset: 1234 or 0x4d2', requiresArg: true })
    .option('raw', {
      type: 'boolean',
      describe: 'Also code outside objects: instructions, filters, BTF (default: with --at)',
    })
    .option('program', { type: 'string', describe: 'Only this program and what it reaches', requiresArg: true })
    .option('disassemble', { alias: 'd', type: 'boolean', default: false, describe: 'The code, annotated' })
    .option('sections', { type: 'boolean', default: false, describe: 'The section table' })
    .option('symbols', { type: 'boolean', default: false, describe: 'The symbol table' })
    .option('relocations', { type: 'boolean', default: false, describe: 'Relocations and what they mean' })
    .option('maps', { type: 'boolean', default: false, describe: 'Maps with their types, variables and strings' })
    .option('core', { type: 'boolean', default: false, describe: 'CO-RE relocations, and their values on a kernel' })
    .option('types', { type: 'string', describe: 'All BTF types, as raw (default) or c' })
    .option('btf', {
      type: 'string',
      array: true,
      describe: 'BTF of the kernel for --core and tags, or none (default: the running one); raw or c are as --types',
    })
    .option('kernel', { type: 'string', describe: 'Its release, as uname -r has it', requiresArg: true })
    .option('dump', {
      type: 'string',
      describe: 'Write the objects into this new evidence directory',
      requiresArg: true,
    });
}

async function runInspect(given: Arguments): Promise<ExitStatus> {
  const args = readArguments(given);
  const { inspect } = await import('../../index.ts');
  const output = await openOutput(given.output, args.inputs);
  const interrupt = interruptible();
  const carved: Carved[] = [];
  let dump: Dump | undefined;
  try {
    const report = await inspect(args.path, {
      ...args.options,
      signal: interrupt.signal,
      onCarved: (object, content, elf) => carved.push({ object, content, elf }),
    });
    refuseEmptyChoice(report, args.options);
    for (const piece of await render(report, args.format, args.views, given)) if (!(await output.write(piece))) break;
    await output.close();
    if (args.format !== 'text' || given.quiet || process.stdout.isTTY !== true) await printErrors(report);
    dump = await openDump(given.dump);
    if (dump) await keep(dump, report, carved);
    if (!(await isDumped(dump))) return EXIT.failed;
    return statusOf(outcomeOf(report, interrupt.isInterrupted), { strict: false, failOnFound: false });
  } finally {
    dump?.abandon();
    interrupt.release();
  }
}

interface Carved {
  readonly object: CarvedObject;
  readonly content: Uint8Array;
  readonly elf: Uint8Array | undefined;
}

/** The bytes are the evidence, and what a scan says of them: what they mean in full can be read out of them again. */
async function keep(dump: Dump, report: InspectReport, carved: readonly Carved[]): Promise<void> {
  for (const { object, content, elf } of carved) dump.add(object, content, elf);
  const { kernelBtf: _target, ...rest } = report;
  await dump.close({ ...rest, objects: carved.map(({ object }) => object) });
}

interface Request {
  readonly path: FilePath;
  /** All that is read. */
  readonly inputs: readonly FilePath[];
  readonly format: Format;
  readonly views: InspectViews;
  readonly options: InspectOptions;
}

function readArguments(args: Arguments): Request {
  const { form, file, path } = readTypes(args);
  if (path === undefined) throw new UsageError('inspect: name one file, or - for standard input');
  const format = formatOf(args);
  const { sections, symbols, relocations, maps, core } = args;
  // Programs get types as records, whatever the form that people would get.
  const types = form !== undefined && format !== 'text' ? 'records' : form;
  const [target = path] = exactPaths([path]);
  return {
    path: target,
    inputs: [target, ...fileOf(file, 'none')],
    format,
    views: { sections, symbols, relocations, maps, core },
    options: {
      disassemble: args.disassemble,
      ...(args.at !== undefined && { at: readOffset(args.at) }),
      ...(args.raw !== undefined && { raw: args.raw }),
      ...(args.program !== undefined && { program: args.program }),
      ...(file !== undefined && { btf: exactPaths([file])[0] ?? file }),
      ...(args.kernel !== undefined && { kernelRelease: kernelRelease(args.kernel) }),
      ...(types !== undefined && { types }),
    },
  };
}

interface TypesAndFile {
  readonly form?: TypesForm;
  readonly file?: string;
  readonly path?: string | undefined;
}

/** `--btf` says two things: `raw`, `c` or nothing ask for the types, anything else is the kernel's file. */
function readTypes({ types, btf: given, path }: Arguments): TypesAndFile {
  const btf = given?.length === 0 ? [''] : (given ?? []);
  const words = [...(types === undefined ? [] : [types]), ...btf.filter(isForm)];
  const files = btf.filter((value) => !isForm(value));
  // `--types FILE`: the word after it was meant as the file to inspect.
  const isFile = path === undefined && types !== undefined && !isForm(types);
  const form = isFile ? '' : words.at(-1);
  if (form !== undefined && !isForm(form)) throw new UsageError(`--types: expected raw or c, not "${form}"`);
  if (files.length > 1) throw new UsageError(`--btf: one kernel at a time, not "${files.join('" and "')}"`);
  const [file] = files;
  return {
    ...(form !== undefined && { form: form === 'c' ? 'c' : 'raw' }),
    ...(file !== undefined && { file }),
    path: isFile ? types : path,
  };
}

function isForm(value: string): boolean {
  return value === '' || value === 'c' || value === 'raw';
}

function readOffset(text: string): number {
  const value = /^(0x[\da-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value)) return value;
  throw new UsageError(`--at: expected an offset such as 230584 or 0x384b8, not "${text}"`);
}

/** An object or program that was named and is not there is a mistake, not an empty report. */
function refuseEmptyChoice({ objects, summary }: InspectReport, { at, program }: InspectOptions): void {
  if (objects.length > 0 || summary.objects === 0) return;
  const place = at === undefined ? '' : ` at 0x${at.toString(16)}`;
  if (program === undefined) throw new UsageError(`--at: no object begins${place}; without --at they are listed`);
  throw new UsageError(`--program: no object${place} has a program or subprogram "${program}"`);
}

async function render(
  report: InspectReport,
  format: Format,
  views: InspectViews,
  args: Arguments,
): Promise<Iterable<string>> {
  if (format === 'text') return (await import('../../report/inspect.ts')).renderInspect(report, views, styleOf(args));
  const { renderInspectJson, renderInspectNdjson } = await import('../../report/inspect-json.ts');
  return format === 'json' ? renderInspectJson(report) : renderInspectNdjson(report);
}

async function printErrors({ diagnostics }: InspectReport): Promise<void> {
  const { escapeText } = await import('../../report/escape.ts');
  for (const { severity, where, message } of diagnostics) {
    if (severity === 'error') process.stderr.write(`bpfcarve: ${escapeText(`${where}: ${message}`)}\n`);
  }
}

function outcomeOf({ objects, diagnostics, summary }: InspectReport, interrupted: boolean) {
  return {
    failed: diagnostics.some(({ severity }) => severity === 'error'),
    interrupted: interrupted && summary.interrupted === true,
    found: objects.length > 0,
    unreadable: summary.unreadable > 0,
  };
}
