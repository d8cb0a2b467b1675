// The terminal may go away while the program runs, as with the connection that it came by.
import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** To be called before anything is said: then the work goes on to its end without a terminal. */
export function outliveTerminal(): void {
  // What nobody can be told is no error of its own.
  process.stderr.on('error', () => {});
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  process.once('exit', () => {
    // Node sets terminals back to what they were, and aborts where one is gone (ResetStdio of node.cc).
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd);
  });
}
