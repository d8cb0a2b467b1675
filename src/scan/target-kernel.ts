// The kernel that CO-RE relocations are resolved against and tags predicted for: BTF from a file, or the running kernel.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { release as runningRelease } from 'node:os';
import { basename, dirname } from 'node:path';
import { Btf } from '../btf/decode.ts';
import { attempt, type Diagnostic, FormatError } from '../diagnostics.ts';
import { ElfFile } from '../elf/file.ts';
import type { KernelModule, Target } from '../link/kernel.ts';
import { errnoDiagnostic, isErrno } from '../source/errno.ts';
import { type FilePath, nameOf } from '../source/path.ts';
import { KernelSymbols } from './kernel-symbols.ts';

const RUNNING = '/sys/kernel/btf/vmlinux';

export interface TargetOptions {
  /** BTF of the kernel: raw, or an ELF file with a `.BTF` section; `none` for none. Default: the running kernel's. */
  readonly btf?: FilePath;
  /** Its release, as `uname -r` has it. Default: the running kernel's. */
  readonly release?: string;
}

export class TargetKernel {
  readonly diagnostics: Diagnostic[] = [];
  readonly #given: FilePath | undefined;
  readonly #release: string | undefined;
  #identity: string | undefined;
  #modules: readonly KernelModule[] | undefined;
  #btf: Btf | undefined;
  /** `null`: nobody asked yet. One for all objects, for reading them takes longer than most predictions. */
  #symbols: KernelSymbols | undefined | null = null;
  #wasRead = false;

  /**
   * A file that holds BTF, raw or as the `.BTF` section of an ELF file; `none` for no kernel. Without a path it is the running
   * kernel, where that can be read: only for objects of its byte order, and no error where it cannot.
   */
  constructor({ btf: given, release }: TargetOptions) {
    this.#given = given;
    this.#release = release;
    if (given !== undefined && given !== 'none') this.#read(given);
    if (given === undefined && release !== undefined && release !== runningRelease()) this.#sayWhoseTypes(release);
  }

  /** The path of the BTF in use. */
  get path(): string | undefined {
    return this.#btf && nameOf(this.#given ?? RUNNING).path;
  }

  /** The BTF for an object of this byte order. */
  btfFor(littleEndian: boolean): Btf | undefined {
    if (this.#given !== undefined) return this.#btf;
    if (!this.#wasRead) this.#read(RUNNING);
    return this.#btf?.littleEndian === littleEndian ? this.#btf : undefined;
  }

  /** What a tag prediction may know, for an object of this byte order. Nothing is read before it is asked for. */
  targetFor(littleEndian: boolean): Target {
    const runs =
      (this.#given === undefined || this.#given === RUNNING) &&
      (this.#release === undefined || this.#release === runningRelease());
    return lazily({
      release: () => this.#release ?? runningRelease(),
      kernelBtf: () => this.btfFor(littleEndian),
      btfIdentity: () => this.#identity,
      modules: () => (runs ? this.#readModules(littleEndian) : undefined),
      kallsyms: () => {
        const symbols = runs ? this.#openSymbols() : undefined;
        return symbols && ((name: string) => symbols.address(name));
      },
    });
  }

  #openSymbols(): KernelSymbols | undefined {
    if (this.#symbols === null) this.#symbols = KernelSymbols.open();
    return this.#symbols;
  }

  #readModules(littleEndian: boolean): readonly KernelModule[] {
    const base = this.btfFor(littleEndian);
    if (base === undefined) return [];
    this.#modules ??= readdirSync(dirname(RUNNING))
      .filter((name) => name !== basename(RUNNING))
      .flatMap((name) => {
        const path = `${dirname(RUNNING)}/${name}`;
        const btf = attempt(this.diagnostics, path, () => Btf.parse(new Uint8Array(readFileSync(path)), { base }));
        return btf ? [{ name, btf }] : [];
      });
    return this.#modules;
  }

  #sayWhoseTypes(wanted: string): void {
    if (!existsSync(RUNNING)) return;
    const message = `the types of the running ${runningRelease()} stand in for those of ${wanted}: tags of programs with CO-RE may differ; give the BTF of that kernel`;
    this.diagnostics.push({ severity: 'warning', code: 'other-btf', where: RUNNING, message });
  }

  #read(path: FilePath): void {
    this.#wasRead = true;
    const where = nameOf(path).path;
    try {
      const bytes = btfIn(readFileSync(typeof path === 'string' ? path : Buffer.from(path)));
      this.#identity = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      this.#btf = Btf.parse(bytes);
      this.diagnostics.push(...this.#btf.diagnostics.map((each) => ({ ...each, where })));
    } catch (error) {
      if (this.#given === undefined && isErrno(error)) return;
      this.diagnostics.push(
        error instanceof FormatError
          ? { severity: 'error', code: error.code, where, message: `no BTF of a kernel: ${error.message}` }
          : errnoDiagnostic(error, where, 'cannot read', 'error'),
      );
    }
  }
}

function btfIn(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x7f) return bytes;
  const elf = ElfFile.parse(bytes);
  const section = elf.section('.BTF');
  if (section === undefined) throw new FormatError('btf-section', 0, 'an ELF file without a .BTF section');
  return elf.content(section);
}

/** A target whose facts are looked up when they are first asked for; a fact that is not there stays absent. */
function lazily(
  facts: { readonly [K in Exclude<keyof Target, 'littleEndian'>]-?: () => Target[K] | undefined },
): Target {
  const target = {};
  for (const [name, look] of Object.entries(facts))
    Object.defineProperty(target, name, { get: look, enumerable: true });
  return target as Target;
}
