// Everything that can be known of the code in one file: the scan finds it, here each record is described in full.
// Loads nothing into the kernel, whose BTF is only read.
import { statSync } from 'node:fs';
import { attempt, type Diagnostic } from '../diagnostics.ts';
import { type DescribeOptions, describeObject, type ObjectDetails } from '../object/describe.ts';
import { describeCode } from '../object/describe-code.ts';
import { type BpfObject, openObject } from '../object/open.ts';
import { wrapCode } from '../object/wrap.ts';
import { isErrno } from '../source/errno.ts';
import { type FilePath, nameOf } from '../source/path.ts';
import type { CarvedObject, CarvedProgram, ScanReport, StartEvent, SummaryEvent } from './events.ts';
import { scan } from './scan.ts';
import { TargetKernel } from './target-kernel.ts';

/** The record of a scan, with everything that its bytes say. What only an ELF has, its tables first of all, is empty or absent for others. */
export type InspectedObject = WithDetails<CarvedObject>;
type WithDetails<T> = T extends CarvedObject ? Omit<T, keyof ObjectDetails> & ObjectDetails<CarvedProgram> : never;

export interface InspectReport extends Omit<ScanReport, 'objects'> {
  readonly objects: readonly InspectedObject[];
  /** Path of the BTF that CO-RE relocations were resolved against. */
  readonly kernelBtf?: string;
}

export interface InspectOptions extends Omit<DescribeOptions, 'kernel'> {
  /** Only what begins at this byte of the file, or at this address of the process in a core file. */
  readonly at?: number;
  /** Look for instruction arrays, classic filters and BTF outside objects too. Default: when `at` is given. */
  readonly raw?: boolean;
  /**
   * BTF of the kernel to resolve CO-RE relocations against and predict tags for: raw, or an ELF file with a `.BTF` section;
   * `none` for no kernel. Default: the running kernel, for objects of its byte order.
   */
  readonly btf?: FilePath;
  /** Release of that kernel, as `uname -r` has it. Default: the running kernel's. */
  readonly kernelRelease?: string;
  /** Threads, for a file large enough to be split. */
  readonly jobs?: number;
  /** Ends the search early; the summary then says so. */
  readonly signal?: AbortSignal;
  /** Given every object of the report, with its bytes; of code that is no ELF object also the same programs as one. */
  readonly onCarved?: (object: CarvedObject, content: Uint8Array, elf?: Uint8Array) => void;
}

/**
 * Describes the objects in one file, or in standard input for `-`. Bad input is never thrown: it is in `diagnostics`, as an
 * error when the file cannot be read at all. The summary counts all objects of the
 * file, also those that `at` and `program` leave out.
 */
export async function inspect(path: FilePath, options: InspectOptions = {}): Promise<InspectReport> {
  const { at, signal, jobs, onCarved } = options;
  const { btf, kernelRelease: release } = options;
  const kernel = new TargetKernel({ ...(btf !== undefined && { btf }), ...(release !== undefined && { release }) });
  const diagnostics: Diagnostic[] = [];
  const contents = new Map<string, Content>();
  const objects: InspectedObject[] = [];
  const describer = new Describer(kernel, options);
  let start: StartEvent | undefined;
  let end: SummaryEvent | undefined;
  const targets = isDirectory(path) ? [] : [path];
  const events = scan(targets, {
    content: true,
    raw: options.raw ?? at !== undefined,
    ...(btf !== undefined && { btf }),
    ...(release !== undefined && { kernel: release }),
    ...(jobs !== undefined && { jobs }),
    ...(signal && { signal }),
  });
  for await (const event of events) {
    switch (event.event) {
      case 'start':
        start = event;
        break;
      case 'object': {
        const { content: bytes, elf } = event;
        if (bytes) contents.set(event.object.sha256, { bytes, ...(elf && { elf }) });
        const content = contents.get(event.object.sha256);
        if (content === undefined || (at !== undefined && placeOf(event.object) !== at)) break;
        const object = describer.describe(event.object, content);
        if (options.program !== undefined && object.programs.length + object.subprograms.length === 0) break;
        onCarved?.(event.object, content.bytes, content.elf);
        objects.push(object);
        break;
      }
      case 'diagnostic':
        diagnostics.push(event.diagnostic);
        break;
      case 'progress':
        break;
      case 'summary':
        end = event;
        break;
      default:
        throw new TypeError(`unknown event ${JSON.stringify(event satisfies never)}`);
    }
  }
  if (start === undefined || end === undefined) throw new Error('a scan begins with start and ends with summary');
  if (targets.length === 0) diagnostics.push(directoryGiven(path));
  return {
    schemaVersion: start.schemaVersion,
    tool: start.tool,
    command: 'inspect',
    startedAt: start.startedAt,
    finishedAt: end.finishedAt,
    host: start.host,
    ...(kernel.path !== undefined && { kernelBtf: kernel.path }),
    objects: objects.sort((a, b) => (a.offset ?? 0) - (b.offset ?? 0)),
    diagnostics,
    summary: end.summary,
  };
}

/** Of what was carved: exactly that, and what describes it where that is no ELF object. */
interface Content {
  readonly bytes: Uint8Array;
  readonly elf?: Uint8Array;
}

function placeOf({ offset, address }: Pick<CarvedObject, 'offset' | 'address'>): number {
  return offset ?? Number(address);
}

/** The same bytes in two places are described once. */
class Describer {
  readonly #kernel: TargetKernel;
  readonly #options: InspectOptions;
  readonly #known = new Map<string, ObjectDetails<CarvedProgram>>();

  constructor(kernel: TargetKernel, options: InspectOptions) {
    this.#kernel = kernel;
    this.#options = options;
  }

  describe(carved: CarvedObject, content: Content): InspectedObject {
    const details = this.#known.get(carved.sha256) ?? this.#detailsOf(carved, content);
    this.#known.set(carved.sha256, details);
    return { ...carved, ...details, diagnostics: withNew(carved.diagnostics, details.diagnostics) };
  }

  #detailsOf(carved: CarvedObject, { bytes, elf }: Content): ObjectDetails<CarvedProgram> {
    switch (carved.kind) {
      case 'object': {
        // What the scan did not open, because it is no ELF-64 after all or for its size, is not opened here either.
        const unopened = carved.diagnostics.some(({ code }) => code === 'too-large');
        const object = unopened ? undefined : attempt([], 'object', () => openObject(bytes));
        return object === undefined ? NOTHING : describeObject(object, carved, this.#askOf(object));
      }
      case 'light-skeleton':
      case 'instructions':
        return elf === undefined ? NOTHING : this.#codeOf(carved, elf);
      case 'btf':
        return this.#codeOf(
          carved,
          wrapCode({ littleEndian: carved.endianness === 'little', btf: bytes, programs: [] }),
        );
      case 'classic-filter':
        return NOTHING;
      default:
        throw new TypeError(`unknown kind ${JSON.stringify(carved satisfies never)}`);
    }
  }

  #codeOf(carved: CarvedObject, elf: Uint8Array): ObjectDetails<CarvedProgram> {
    const wrapped = openObject(elf);
    return describeCode(wrapped, carved, this.#askOf(wrapped));
  }

  #askOf(object: BpfObject): DescribeOptions {
    const { program, disassemble, types } = this.#options;
    const kernel = object.btfExt?.coreRelocations.length && object.btf && this.#kernel.btfFor(object.elf.littleEndian);
    return {
      ...(kernel && { kernel }),
      ...(program !== undefined && { program }),
      ...(disassemble !== undefined && { disassemble }),
      ...(types !== undefined && { types }),
    };
  }
}

const NOTHING: ObjectDetails<CarvedProgram> = {
  programs: [],
  subprograms: [],
  maps: [],
  externs: [],
  callGraph: [],
  sections: [],
  symbols: [],
  relocations: [],
  coreRelocations: [],
  diagnostics: [],
};

/** What was said when the object was carved stays first: of its extent, and of what opening it found. */
function withNew(said: readonly Diagnostic[], found: readonly Diagnostic[]): readonly Diagnostic[] {
  const key = ({ code, where, message }: Diagnostic) => `${code}\0${where}\0${message}`;
  const known = new Set(said.map(key));
  return [...said, ...found.filter((diagnostic) => !known.has(key(diagnostic)))];
}

function isDirectory(path: FilePath): boolean {
  try {
    return statSync(typeof path === 'string' ? path : Buffer.from(path)).isDirectory();
  } catch (error) {
    // Whatever it is, the scan says why it cannot be read.
    if (!isErrno(error)) throw error;
    return false;
  }
}

function directoryGiven(path: FilePath): Diagnostic {
  const message = 'is a directory: inspect takes one file, scan takes directories';
  return { severity: 'error', code: 'EISDIR', where: nameOf(path).path, message };
}
