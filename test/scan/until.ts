// Waiting for what another process or the kernel does in its own time.
import { setTimeout } from 'node:timers/promises';

const STEP = 50;
const PATIENCE = 30_000;

/** The first value that `look` gives; fails when it gives none for half a minute. */
export async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await setTimeout(STEP);
  }
}
