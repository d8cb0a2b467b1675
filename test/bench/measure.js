// Runs whole commands and says what they took.
import { spawnSync } from 'node:child_process';

/** Wall seconds of one run, its output thrown away. */
export function seconds([command, args]) {
  const began = process.hrtime.bigint();
  run(command, args);
  return Number(process.hrtime.bigint() - began) / 1e9;
}

/** Peak resident set of one run, KiB, as the kernel counts it; needs GNU time. */
export function peakMemory([command, args]) {
  const { stderr } = spawnSync('/usr/bin/time', ['-f', '%M', command, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return Number(stderr.trim().split('\n').at(-1));
}

export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  '));
}

function run(command, args) {
  const { error, status } = spawnSync(command, args, { stdio: 'ignore' });
  if (error) throw error;
  if (status > 2) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
}
