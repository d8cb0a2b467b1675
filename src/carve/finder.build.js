// Assembles finder.wat into finder.wasm.ts: `node src/carve/finder.build.js`, or with --check to compare only.
import { readFileSync, writeFileSync } from 'node:fs';
import createWabt from 'wabt';

const source = new URL('finder.wat', import.meta.url);
const target = new URL('finder.wasm.ts', import.meta.url);
const wabt = await createWabt();
const module = wabt.parseWat('finder.wat', readFileSync(source, 'utf8'), { simd: true });
const { buffer } = module.toBinary({});
const lines =
  Buffer.from(buffer)
    .toString('base64')
    .match(/.{1,110}/g) ?? [];
const text = `// Generated from finder.wat by finder.build.js: do not edit.
// ${buffer.length} bytes of WebAssembly, base64.
export const FINDER_WASM =
  '${lines.join("' +\n  '")}';
`;
if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (readFileSync(target, 'utf8') !== text) {
  console.error('finder.wasm.ts does not match finder.wat: run node src/carve/finder.build.js');
  process.exitCode = 1;
}
