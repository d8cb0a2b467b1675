// Reads every resident page of the processes named, one by one, and looks for the magic: what a scan would do that shares
// nothing. Prints the bytes read.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const PAGE = 4096;
const MAGIC = Buffer.from('\x7fELF', 'latin1');
const buffer = Buffer.alloc(256 * 1024);
let bytes = 0;
let found = 0;

for (const pid of process.argv.slice(2)) {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
  for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const [start, end] = line
      .split(' ')[0]
      .split('-')
      .map((text) => Number.parseInt(text, 16));
    if (!(end <= Number.MAX_SAFE_INTEGER) || line.endsWith('[vvar]') || line.endsWith('[vvar_vclock]')) continue;
    readResident(memory, pagemap, start, end);
  }
  closeSync(memory);
  closeSync(pagemap);
}
console.log(JSON.stringify({ bytes, found }));

function readResident(memory, pagemap, start, end) {
  const entries = Buffer.alloc(((end - start) / PAGE) * 8);
  const known = readSync(pagemap, entries, 0, entries.length, (start / PAGE) * 8) / 8;
  for (let page = 0; page < known; ) {
    let next = page;
    while (next < known && next - page < buffer.length / PAGE && entries[next * 8 + 7] >= 0x40) next++;
    if (next === page) {
      page++;
      continue;
    }
    const count = readSync(memory, buffer, 0, (next - page) * PAGE, start + page * PAGE);
    bytes += count;
    const piece = buffer.subarray(0, count);
    for (let at = piece.indexOf(MAGIC); at >= 0; at = piece.indexOf(MAGIC, at + 1)) found++;
    page = next;
  }
}
