// `npm run bench [NAME...]`: bpfcarve beside ripgrep on this machine, alternately, with the same number of threads.
// Prints median paired ratios (below 1: bpfcarve is faster); asserts nothing.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { bigFile, hostileFiles } from './corpus.js';
import { peakMemory, seconds, table } from './measure.js';
import { allProcesses, hugeReservation, manyProcesses } from './processes.js';

const threads = availableParallelism();
const bpfcarve = (...args) => ['node', ['bin/bpfcarve.js', ...args]];
/** The whole header as ripgrep's pattern, so that it does the same search. */
const HEADER = '(?-u)\\x7fELF\\x02[\\x01\\x02]\\x01[\\x00-\\xff]{11}(?:\\xf7\\x00|\\x00\\xf7)';
const ripgrep = (path) => ['rg', ['-uuu', '-a', '-ob', `-j${threads}`, HEADER, path]];

const benchmarks = {
  tree: () => compare('whole tree /usr', 9, ripgrep('/usr'), bpfcarve('scan', '/usr', '--jobs', `${threads}`)),
  memory: () => {
    const kib = peakMemory(bpfcarve('scan', '/usr'));
    console.log(`peak memory, scan of /usr: ${(kib / 1024).toFixed(0)} MB`);
  },
  large: () => {
    const path = bigFile();
    compare('one 1 GiB file, 200 objects', 9, ripgrep(path), bpfcarve('scan', path, '-j', '--jobs', `${threads}`));
  },
  hostile: () => {
    const rows = hostileFiles().map(({ name, path, bytes }) => {
      const times = [1, 2, 3].map(() => seconds(bpfcarve('scan', path, '-j')));
      return [name, `${(bytes / Math.min(...times) / 1e9).toFixed(1)} GB/s`, `${Math.min(...times).toFixed(2)} s`];
    });
    table([['worst-case bytes', 'rate', 'wall, start-up included'], ...rows]);
  },
  processes: async () => {
    if (process.geteuid() !== 0) return console.log('processes: skipped, needs root');
    await manyProcesses();
    await hugeReservation();
    allProcesses();
  },
  start: () => {
    const rows = [
      ['node -e 0', ['node', ['-e', '0']]],
      ['bpfcarve --help', bpfcarve('--help')],
      ['bpfcarve scan of one small file', bpfcarve('scan', 'package.json')],
    ].map(([name, command]) => [
      name,
      `${(median(Array.from({ length: 15 }, () => seconds(command))) * 1000).toFixed(0)} ms`,
    ]);
    table([['start-up', 'median of 15'], ...rows]);
  },
};

function compare(name, rounds, theirs, ours) {
  if (spawnSync('rg', ['--version']).error) {
    console.log(`${name}: skipped, ripgrep is not installed (apt-get install ripgrep)`);
    return;
  }
  seconds(theirs);
  seconds(ours);
  const pairs = Array.from({ length: rounds }, () => ({ theirs: seconds(theirs), ours: seconds(ours) }));
  const ratio = median(pairs.map((pair) => pair.ours / pair.theirs));
  const walls = `ripgrep ${median(pairs.map((pair) => pair.theirs)).toFixed(2)} s, bpfcarve ${median(pairs.map((pair) => pair.ours)).toFixed(2)} s`;
  console.log(
    `${name}: ${ratio.toFixed(2)}x ripgrep (median of ${rounds} paired ratios; ${walls}; ${threads} threads)`,
  );
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(benchmarks)) {
  if (!(name in benchmarks)) throw new Error(`no benchmark "${name}": ${Object.keys(benchmarks).join(', ')}`);
  await benchmarks[name]();
}
