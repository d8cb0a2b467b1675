// `bpfcarve verify`: an evidence directory against its manifest.
import type { Argv, CommandModule } from 'yargs';
import { asGiven } from '../arguments.ts';
import { EXIT, type ExitStatus } from '../exit.ts';
import { formatOf, outputOptions, styleOf } from '../options.ts';
import { openOutput } from '../output.ts';

export function verifyCommand(finish: (status: ExitStatus) => void): CommandModule<object, Arguments> {
  return {
    command: 'verify <directory>',
    describe: 'Re-hash an evidence directory against its manifest',
    builder: options as (yargs: Argv) => Argv<Arguments>,
    handler: async (args) => finish(await runVerify(args)),
  };
}

type Arguments = Awaited<ReturnType<typeof options>['argv']>;

function options(yargs: Argv) {
  return outputOptions(yargs).positional('directory', {
    type: 'string',
    demandOption: true,
    describe: 'What --dump wrote',
  });
}

async function runVerify(args: Arguments): Promise<ExitStatus> {
  const { verifyEvidence } = await import('../../evidence/evidence.ts');
  const { renderVerify, renderVerifyJson } = await import('../../report/verify.ts');
  const report = verifyEvidence(asGiven(args.directory));
  const output = await openOutput(args.output, [asGiven(args.directory)]);
  const pieces = formatOf(args) === 'text' ? [renderVerify(report, styleOf(args))] : renderVerifyJson(report);
  for (const piece of pieces) if (!(await output.write(piece))) break;
  await output.close();
  return report.differences.length === 0 ? EXIT.done : EXIT.different;
}
