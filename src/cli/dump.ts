// `--dump DIR`: the evidence directory of a verb that carves. One that fails under way costs the dump, not the report.
import type { EvidenceDirectory } from '../evidence/evidence.ts';
import type { CarvedObject } from '../index.ts';

/**
 * The new directory, when one was asked for; its code is loaded only then.
 * @throws EvidenceError when it cannot be made, or something is in it.
 */
export async function openDump(directory: string | undefined): Promise<Dump | undefined> {
  if (directory === undefined) return undefined;
  const { EvidenceDirectory } = await import('../evidence/evidence.ts');
  return new Dump(EvidenceDirectory.create(directory));
}

/** After the first error nothing more is written, least of all a manifest. */
export class Dump {
  /** Absolute, without symbolic links. */
  readonly path: string;
  #failure: string | undefined;
  readonly #evidence: EvidenceDirectory;

  constructor(evidence: EvidenceDirectory) {
    this.path = evidence.path;
    this.#evidence = evidence;
  }

  /** What went wrong, for people. */
  get failure(): string | undefined {
    return this.#failure;
  }

  add(object: CarvedObject, content?: Uint8Array, elf?: Uint8Array): void {
    this.#try(() => this.#evidence.add(object, content, elf));
  }

  addInstructions(...[program, xlated]: Parameters<EvidenceDirectory['addInstructions']>): void {
    this.#try(() => this.#evidence.addInstructions(program, xlated));
  }

  /** Writes the manifest: the report, and this call of the program. */
  async close(report: Parameters<EvidenceDirectory['close']>[0]): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      await this.#evidence.close(report, process.argv.slice(2));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends it without a manifest. Harmless when it has ended already. */
  abandon(): void {
    this.#evidence.abandon();
  }

  #try(step: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      step();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof Error && error.name === 'EvidenceError')) throw error;
    this.#failure = error.message;
    this.#evidence.abandon();
  }
}

/** Whether the dump, if there is one, came to its end; says so when it did not. */
export async function isDumped(dump: Dump | undefined): Promise<boolean> {
  if (dump?.failure === undefined) return true;
  const { escapeText } = await import('../report/escape.ts');
  process.stderr.write(`bpfcarve: ${escapeText(`${dump.failure}; the dump has no manifest`)}\n`);
  return false;
}
