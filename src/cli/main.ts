// The command line: verbs, usage errors, and the one place where a bug is caught.
import { createRequire } from 'node:module';
import yargs from 'yargs';
import { flagWithValue, protectTargets, verbFirst } from './arguments.ts';
import { inspectCommand } from './commands/inspect.ts';
import { liveCommand } from './commands/live.ts';
import { scanCommand } from './commands/scan.ts';
import { verifyCommand } from './commands/verify.ts';
import { EXIT, type ExitStatus, UsageError } from './exit.ts';
import { outliveTerminal } from './terminal.ts';
import { reword } from './usage.ts';

const { version } = createRequire(import.meta.url)('#package') as { version: string };

async function main(argv: readonly string[]): Promise<ExitStatus> {
  let status: ExitStatus = EXIT.done;
  const finish = (result: ExitStatus) => {
    status = result;
  };
  const flag = flagWithValue(argv);
  if (flag !== undefined) throw new UsageError(`${flag} takes no value`);
  await yargs(protectTargets(verbFirst(argv)))
    .scriptName('bpfcarve')
    .usage('$0 VERB [TARGET...]\n\nFinds the eBPF objects inside executables, libraries and any other file.')
    .command(scanCommand(finish))
    .command(inspectCommand(finish))
    .command(liveCommand(finish))
    .command(verifyCommand(finish))
    .version(version)
    .alias('h', 'help')
    .parserConfiguration({
      'camel-case-expansion': true,
      'greedy-arrays': false,
      'parse-positional-numbers': false,
      'populate--': false,
    })
    .wrap(Math.min(110, process.stderr.columns || 110))
    .strict()
    .check(refuseRepeated)
    .exitProcess(false)
    .fail((message, error) => {
      throw error === undefined || error.name === 'YError' ? new UsageError(reword(message, argv)) : error;
    })
    .parseAsync();
  return status;
}

/** Of two contradicting values neither is what was meant. */
function refuseRepeated(args: Readonly<Record<string, unknown>>): true {
  for (const [name, value] of Object.entries(args)) {
    if (Array.isArray(value) && !REPEATABLE.has(name))
      throw new UsageError(`${name.length === 1 ? '-' : '--'}${name} was given more than once`);
  }
  return true;
}

const REPEATABLE = new Set(['_', 'targets', 'pid', 'include', 'exclude', 'btf', 'ids', 'tag', 'match']);

async function exitStatus(): Promise<ExitStatus> {
  try {
    return await main(process.argv.slice(2));
  } catch (error) {
    // Loaded only now: its tables take longer than the rest of a --help.
    const { escapeText } = await import('../report/escape.ts');
    if (error instanceof UsageError) {
      process.stderr.write(`bpfcarve: ${escapeText(error.message)}\nTry 'bpfcarve --help'.\n`);
      return EXIT.failed;
    }
    if (error instanceof Error && (error.name === 'EvidenceError' || error.name === 'FormatError')) {
      process.stderr.write(`bpfcarve: ${escapeText(error.message)}\n`);
      return EXIT.failed;
    }
    process.stderr.write(
      `bpfcarve: this is a bug, please report it: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
    return EXIT.bug;
  }
}

outliveTerminal();
process.exitCode = await exitStatus();
