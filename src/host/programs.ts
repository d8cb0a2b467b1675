// Programs through bpf(2): every program that the kernel lists, with all that its info says.
import type { Row } from '../bytes/layout.ts';
import { type Bpf, nameOf } from './bpf.ts';
import { progInfo } from './bpf-layouts.ts';
import { type BtfObjects, tolerate } from './btf-objects.ts';
import { numberOf, parseFdinfo } from './fdinfo.ts';
import { programTypeName } from './names.ts';
import { type Arrays, hexBytes, type ProgInfo, type ProgramArrays } from './program-arrays.ts';
import type { LiveFunction, LiveProgram } from './records.ts';
import { allocate, ERRNO } from './syscall.ts';

export interface ProgramReader {
  readonly bpf: Bpf;
  readonly btfs: BtfObjects;
  readonly arrays: ProgramArrays;
  /** Milliseconds since 1970 at which the machine started; absent when that is not known. */
  readonly bootTime?: number;
}

/** One program by id, or the errno as a negative number. */
export function readProgram(reader: ProgramReader, id: number): LiveProgram | number {
  return reader.bpf.withObject('program', id, (descriptor) => {
    const found = reader.arrays.read(descriptor);
    if (typeof found === 'number') return found;
    return describe(reader, found.info, found.arrays, parseFdinfo(reader.bpf.sys.fdinfo(descriptor)));
  });
}

/** The tag of a program alone, or the errno as a negative number. */
export function readTag(bpf: Bpf, id: number): string | number {
  return bpf.withObject('program', id, (descriptor) => {
    const info = bpf.info(descriptor, progInfo);
    return typeof info === 'number' ? info : hexBytes(info.row.tag);
  });
}

/**
 * The instructions as the kernel rewrote them, or the errno as a negative number; `-EPERM` when it does not show them to
 * this reader. Calls of helpers carry 0 instead of the distance to the helper where the reader lacks CAP_SYSLOG.
 */
export function readXlated(bpf: Bpf, id: number): Uint8Array | number {
  return bpf.withObject('program', id, (descriptor) => {
    const info = bpf.info(descriptor, progInfo);
    if (typeof info === 'number') return info;
    const size = info.row.xlated_prog_len;
    if (size > MAX_XLATED) return -ERRNO.E2BIG;
    const code = allocate(size);
    const again = bpf.info(descriptor, progInfo, (view) => {
      view.setUint32(progInfo.offsets.xlated_prog_len, size, bpf.little);
      view.setBigUint64(progInfo.offsets.xlated_prog_insns, bpf.sys.address(code), bpf.little);
    });
    if (typeof again === 'number') return again;
    // What is withheld has its pointer cleared and keeps its length (bpf_prog_get_info_by_fd).
    return again.row.xlated_prog_insns === 0n ? -ERRNO.EPERM : code;
  });
}

/** A verified program has at most a million instructions; patching multiplies them, but not without end. */
const MAX_XLATED = 256 << 20;
function describe(
  { bpf, btfs, bootTime }: ProgramReader,
  { row, has }: ProgInfo,
  arrays: Arrays,
  fdinfo: ReadonlyMap<string, string>,
): LiveProgram {
  const btf = row.btf_id > 0 ? btfs.get(row.btf_id) : undefined;
  const functions = describeFunctions(arrays, (id) => btf && tolerate(() => btf.name(id)));
  const name = fullName(nameOf(row.name), functions[0]?.name);
  const { firstLine } = arrays;
  const sourceFile = firstLine && btf && tolerate(() => btf.string(firstLine.file_name_off));
  const address = functions[0]?.address;
  const memlock = numberOf(fdinfo, 'memlock');
  const attachTo = describeTarget(btfs, row);
  const loadedAt = has('load_time') && bootTime !== undefined ? isoTime(bootTime + row.load_time / 1e6) : undefined;
  return {
    id: row.id,
    type: programTypeName(row.type),
    ...(name !== undefined && { name }),
    tag: hexBytes(row.tag),
    subprogramTags: arrays.tags.slice(1),
    ...(functions.length > 1 && { functions }),
    ...(loadedAt !== undefined && { loadedAt }),
    ...(has('created_by_uid') && { uid: row.created_by_uid }),
    // The bit came with 4.18, in what was padding before.
    ...(has('jited_func_lens') && { gplCompatible: (row.bits & (bpf.little ? 1 : 0x8000_0000)) !== 0 }),
    xlatedLength: row.xlated_prog_len,
    jitedLength: row.jited_prog_len,
    ...(address !== undefined && { address }),
    ...(memlock !== undefined && { memlock }),
    ...(has('verified_insns') && { verifiedInstructions: row.verified_insns }),
    ...(row.run_cnt > 0 && { runTimeNs: row.run_time_ns, runCount: row.run_cnt }),
    mapIds: arrays.mapIds,
    ...(row.btf_id > 0 && { btfId: row.btf_id }),
    ...(sourceFile && { sourceFile, sourceLine: lineNumber(firstLine?.line_col ?? 0) }),
    ...(attachTo && { attachTo }),
    ...(row.ifindex > 0 && { ifindex: row.ifindex }),
    holders: [],
    attachments: [],
    pins: [],
    knownFrom: 'bpf',
  };
}

/** Tags, addresses and BTF names run in parallel, one of each a function; what is withheld or too old to be told is shorter. */
function describeFunctions(
  { tags, addresses, functions }: Arrays,
  nameOfType: (id: number) => string | undefined,
): LiveFunction[] {
  const count = Math.max(tags.length, functions.length, 1);
  return Array.from({ length: count }, (_, index) => {
    const record = functions[index];
    const name = record && nameOfType(record.type_id);
    const address = addresses[index];
    const tag = tags[index];
    return {
      ...(name && { name }),
      ...(tag && { tag }),
      ...(record && { offset: record.insn_off }),
      ...(address && { address: `0x${address.toString(16)}` }),
    };
  });
}

/** The kernel keeps 15 bytes of the name. BTF has all of it, unless the loader called the program something else. */
function fullName(kept: string | undefined, first: string | undefined): string | undefined {
  if (kept === undefined) return first;
  return first?.startsWith(kept) ? first : kept;
}

/** Programs of type ext carry the id of the BTF of the program that they replace a function of. */
function describeTarget(btfs: BtfObjects, row: Row<typeof progInfo.fields>): LiveProgram['attachTo'] {
  if (row.attach_btf_id === 0) return undefined;
  const btf = row.attach_btf_obj_id > 0 ? btfs.get(row.attach_btf_obj_id) : btfs.vmlinux();
  const name = btf && tolerate(() => btf.name(row.attach_btf_id));
  return {
    btfObject: row.attach_btf_obj_id,
    btfType: row.attach_btf_id,
    ...(name && { name: withoutPrefix(name) }),
  };
}

/** `sched_switch` of `btf_trace_sched_switch`: the kernel's own prefix for the typedefs of tracepoints. */
function withoutPrefix(name: string): string {
  return name.startsWith('btf_trace_') ? name.slice('btf_trace_'.length) : name;
}

/** BPF_LINE_INFO_LINE_NUM: the column is in the lower ten bits. */
function lineNumber(column: number): number {
  return column >>> 10;
}

/** `undefined` for what is no time that ECMAScript can tell. */
export function isoTime(milliseconds: number): string | undefined {
  return Math.abs(milliseconds) <= 8.64e15 ? new Date(milliseconds).toISOString() : undefined;
}
