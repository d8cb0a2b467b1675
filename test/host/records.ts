// Recorded answers: `sched_switch` of runqlat on Linux 6.18 as bpf(2) told it, in the byte order a test asks for.
import { type FakeObject, hexToBytes, Struct } from './fake-kernel.ts';

export const TAG = '728b54ba4a67dede';
export const FUNCTION_TAGS = ['0f829183cf873632', '4b25b6ef0e55ecb5'];
export const MAP_IDS = [69, 65, 66];
export const ADDRESSES = [0xffffffffc0025f14n, 0xffffffffc0026000n];
const GPL_LITTLE = 1;
const GPL_BIG = 0x8000_0000;

/** A BTF with two functions, `sched_switch` and `handle_switch`, types 2 and 3, and a file name. */
function functionBtf(little = true): Uint8Array {
  const strings = '\0sched_switch\0handle_switch\0/build/runqlat.bpf.c\0';
  const types = new Struct(36, little);
  types.u32(0, 0, 0x0d00_0000, 0);
  types.u32(12, 1, 0x0c00_0000, 1);
  types.u32(24, 14, 0x0c00_0000, 1);
  const header = new Struct(24, little);
  header.raw(0, little ? Uint8Array.of(0x9f, 0xeb) : Uint8Array.of(0xeb, 0x9f));
  header.raw(2, Uint8Array.of(1, 0)).u32(4, 24, 0, 36, 36, strings.length);
  return Uint8Array.from([...header.bytes, ...types.bytes, ...new TextEncoder().encode(strings)]);
}
const FILE_NAME_OFFSET = 28;

export function btfObject(little = true): FakeObject {
  const content = functionBtf(little);
  return {
    info: new Struct(32, little).u32(8, content.length).u32(12, 78).bytes,
    arrays: { 0: { content, count: 8, size: 1 } },
  };
}

/** `denied`: pointers to addresses come back as zero, as they do without CAP_SYSLOG. */
export function schedSwitch(little = true, denied = false): FakeObject {
  const info = new Struct(232, little)
    .u32(0, 26, 175)
    .raw(8, hexToBytes(TAG))
    .u32(16, 926, 1632)
    .u64(40, 1_930_124_416_241n)
    .u32(48, 1000)
    .u32(52, MAP_IDS.length)
    .raw(64, 'sched_switch')
    .u32(84, little ? GPL_LITTLE : GPL_BIG)
    .u32(104, 2, 2)
    .u32(128, 78, 8)
    .u32(144, 2, 3)
    .u32(172, 16)
    .u32(180, 2)
    .u64(192, 5000n, 7n)
    .u32(216, 815);
  return {
    info: info.bytes,
    arrays: {
      56: { content: new Struct(12, little).u32(0, ...MAP_IDS).bytes, count: 52, size: 4 },
      ...(!denied && { 112: { content: new Struct(16, little).u64(0, ...ADDRESSES).bytes, count: 104, size: 8 } }),
      136: { content: new Struct(16, little).u32(0, 0, 2, 5, 3).bytes, count: 144, size: 8 },
      152: {
        content: new Struct(48, little).u32(0, 0, FILE_NAME_OFFSET, 1, (146 << 10) | 5).bytes,
        count: 148,
        size: 16,
      },
      184: { content: hexToBytes(FUNCTION_TAGS.join('')), count: 180, size: 8 },
    },
    fdinfo: `pos:\t0\nprog_type:\t26\nprog_tag:\t${TAG}\nmemlock:\t4096\nprog_id:\t175\n`,
  };
}

export function eventsMap(little = true): FakeObject {
  return {
    info: new Struct(104, little).u32(0, 4, 69, 4, 4, 8, 0).raw(24, 'events').bytes,
    fdinfo: 'pos:\t0\nmap_type:\t4\nmemlock:\t344\nmap_id:\t69\nfrozen:\t1\nowner_prog_type:\t17\nowner_jited:\t1\n',
  };
}

export function cgroupLink(little = true): FakeObject {
  return { info: new Struct(64, little).u32(0, 3, 104, 175).u64(16, 44n).u32(24, 1).bytes };
}

export function tracepointLink(little = true): FakeObject {
  const name = new TextEncoder().encode('sched_switch\0');
  return {
    info: new Struct(64, little).u32(0, 1, 105, 175).u64(32, 0x1122_3344_5566_7788n).bytes,
    arrays: { 16: { content: name, count: 24, size: 1 } },
  };
}
