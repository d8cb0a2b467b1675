// `npm run bench [NAME...]`: bpfcarve beside ripgrep on this machine, or beside itself, alternately, with the same number
// of threads. Prints median paired ratios (below 1: the second is faster); asserts nothing. BENCH_TREE names another tree than /usr.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { bigFile, hostileFiles } from './corpus.js';
import { peakMemory, seconds, table } from './measure.js';
import { allProcesses, hugeReservation, manyProcesses } from './processes.js';

const threads = availableParallelism();
const tree = process.env.BENCH_TREE ?? '/usr';
const ROUNDS = 9;
const bpfcarve = (...args) => ['node', ['bin/bpfcarve.js', ...args]];
/** The whole header as ripgrep's pattern, so that it does the same search. */
const HEADER = '(?-u)\\x7fELF\\x02[\\x01\\x02]\\x01[\\x00-\\xff]{11}(?:\\xf7\\x00|\\x00\\xf7)';
const ripgrep = (path) => ['rg', ['-uuu', '-a', '-ob', `-j${threads}`, HEADER, path]];

const benchmarks = {
  tree: () => compareToRipgrep(`whole tree ${tree}`, tree, bpfcarve('scan', tree, '--jobs', `${threads}`)),
  anchors: () => {
    const plain = { label: 'scan', command: bpfcarve('scan', tree) };
    const raw = { label: 'scan --raw', command: bpfcarve('scan', '--raw', tree) };
    compare(`code outside objects too, whole tree ${tree}`, plain, raw);
  },
  memory: () => {
    const kib = peakMemory(bpfcarve('scan', tree));
    console.log(`peak memory, scan of ${tree}: ${(kib / 1024).toFixed(0)} MB`);
  },
  large: () => {
    const path = bigFile();
    compareToRipgrep('one 1 GiB file, 200 objects', path, bpfcarve('scan', path, '-j', '--jobs', `${threads}`));
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

function compareToRipgrep(name, path, command) {
  if (spawnSync('rg', ['--version']).error) {
    console.log(`${name}: skipped, ripgrep is not installed (apt-get install ripgrep)`);
    return;
  }
  compare(name, { label: 'ripgrep', command: ripgrep(path) }, { label: 'bpfcarve', command });
}

/** Runs both in turn; the first run of each warms the page cache. */
function compare(name, first, second) {
  seconds(first.command);
  seconds(second.command);
  const pairs = Array.from({ length: ROUNDS }, () => [seconds(first.command), seconds(second.command)]);
  const ratio = median(pairs.map(([a, b]) => b / a)).toFixed(2);
  const wall = (index) => `${median(pairs.map((pair) => pair[index])).toFixed(2)} s`;
  const walls = `${first.label} ${wall(0)}, ${second.label} ${wall(1)}`;
  console.log(`${name}: ${ratio}x ${first.label} (median of ${ROUNDS} paired ratios; ${walls}; ${threads} threads)`);
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
