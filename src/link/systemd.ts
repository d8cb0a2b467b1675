// The programs that systemd puts together for each unit: IP accounting and address filters (bpf-firewall.c) and the device filter
// (bpf-devices.c), in the shape that systemd 252 gives them.
import { InstructionSlots } from '../insn/slots.ts';
import {
  add64,
  and32,
  assemble,
  atomicAdd64,
  callHelper,
  copy32,
  copy64,
  exit,
  jump,
  jumpIfDifferent,
  jumpIfEqual,
  jumpIfNot,
  load32,
  loadMap,
  mov32,
  mov64,
  or32,
  rsh32,
  type Slot,
  store32,
  store32Imm,
} from './assemble.ts';

/** What a unit's settings make of its program. Each list is in a map of its own; `any` needs none. */
export interface Firewall {
  readonly direction: 'ingress' | 'egress';
  readonly accounting: boolean;
  readonly deny4?: boolean;
  readonly deny6?: boolean;
  readonly allow4?: boolean;
  readonly allow6?: boolean;
  readonly allowAny?: boolean;
  readonly denyAny?: boolean;
}

const ALLOWED = 1;
const DENIED = 2;
const HELPER = { MAP_LOOKUP: 1, SKB_LOAD_BYTES: 26 } as const;
/** Offsets in struct __sk_buff. */
const SKB = { LEN: 0, PROTOCOL: 16 } as const;

export function firewallProgram(settings: Firewall, little: boolean): Uint8Array {
  const ingress = settings.direction === 'ingress';
  const look = (family: Family, verdict: number) => lookUp(family, ingress, verdict, little);
  return assemble(
    [
      copy64(6, 1),
      load32(7, 6, SKB.PROTOCOL),
      mov32(8, 0),
      ...(settings.deny4 ? look(IPV4, DENIED) : []),
      ...(settings.deny6 ? look(IPV6, DENIED) : []),
      ...(settings.allow4 ? look(IPV4, ALLOWED) : []),
      ...(settings.allow6 ? look(IPV6, ALLOWED) : []),
      ...(settings.allowAny ? [or32(8, ALLOWED)] : []),
      ...(settings.denyAny ? [or32(8, DENIED)] : []),
      mov64(0, 1),
      jumpIfNot(8, DENIED, 1),
      mov64(0, 0),
      ...(settings.accounting ? account() : []),
      exit,
    ],
    little,
  );
}

interface Family {
  /** ETH_P_*. */
  readonly protocol: number;
  readonly size: number;
  /** Offsets of the addresses in the header. */
  readonly source: number;
  readonly destination: number;
}
const IPV4: Family = { protocol: 0x0800, size: 4, source: 12, destination: 16 };
const IPV6: Family = { protocol: 0x86dd, size: 16, source: 8, destination: 24 };

/** One list of one family: a longest-prefix lookup of the peer's address. */
function lookUp(family: Family, ingress: boolean, verdict: number, little: boolean): Slot[] {
  const { size } = family;
  const body = [
    copy64(1, 6),
    mov32(2, ingress ? family.source : family.destination),
    copy64(3, 10),
    add64(3, -size),
    mov32(4, size),
    callHelper(HELPER.SKB_LOAD_BYTES),
    ...loadMap(1),
    copy64(2, 10),
    add64(2, -size - 4),
    store32Imm(2, 0, size * 8),
    callHelper(HELPER.MAP_LOOKUP),
    jumpIfEqual(0, 0, 1),
    or32(8, verdict),
  ];
  return [jumpIfNot(7, inNetworkOrder(family.protocol, little), body.length), ...body];
}

function inNetworkOrder(value: number, little: boolean): number {
  return little ? ((value & 0xff) << 8) | (value >> 8) : value;
}

function account(): Slot[] {
  const body = [...count(0, mov64(1, 1)), ...count(1, load32(1, 6, SKB.LEN)), mov64(0, 1)];
  return [jumpIfEqual(0, 0, body.length), ...body];
}

/** Adds what `amount` puts into r1 to one of the two counters. */
function count(key: number, amount: Slot): Slot[] {
  return [
    mov64(0, key),
    store32(10, -4, 0),
    copy64(2, 10),
    add64(2, -4),
    ...loadMap(1),
    callHelper(HELPER.MAP_LOOKUP),
    jumpIfEqual(0, 0, 2),
    amount,
    atomicAdd64(0, 1),
  ];
}

/** One device, all of a major number, or all of a type. */
export interface DeviceRule {
  readonly type: 'block' | 'char';
  readonly major?: number;
  readonly minor?: number;
  /** Some of `r`, `w`, `m`. */
  readonly access: string;
}

const ACCESS = { m: 1, r: 2, w: 4 } as const;
const EVERYTHING = 7;
const DEVICE = { block: 1, char: 2 } as const;
/** Offsets in struct bpf_cgroup_dev_ctx. */
const CONTEXT = { ACCESS_TYPE: 0, MAJOR: 4, MINOR: 8 } as const;

/** The filter of a unit that may use only what the rules say. */
export function deviceProgram(rules: readonly DeviceRule[], little: boolean): Uint8Array {
  const before = [
    load32(2, 1, CONTEXT.ACCESS_TYPE),
    and32(2, 0xffff),
    load32(3, 1, CONTEXT.ACCESS_TYPE),
    rsh32(3, 16),
    load32(4, 1, CONTEXT.MAJOR),
    load32(5, 1, CONTEXT.MINOR),
  ];
  const parts = rules.map(permit);
  let rest = parts.reduce((sum, part) => sum + part.length, 0);
  const permits = parts.flatMap((part) => {
    rest -= part.length;
    // Every rule that matches jumps over the refusal behind them all.
    return [...part.slice(0, -1), jump(rest + REFUSAL.length)];
  });
  return assemble([...before, ...permits, ...REFUSAL, mov64(0, 1), exit], little);
}

const REFUSAL = [mov64(0, 0), jump(1)];

function permit({ type, major, minor, access }: DeviceRule): Slot[] {
  const wanted = accessBits(access);
  const compared: [register: number, value: number][] = [[2, DEVICE[type]]];
  if (major !== undefined) compared.push([4, major]);
  if (major !== undefined && minor !== undefined) compared.push([5, minor]);
  const length = compared.length + 1;
  const tests = compared.map(([register, value], index) => jumpIfNot(register, value, length - 1 - index));
  const check = [copy32(1, 3), and32(1, wanted), jumpIfDifferent(1, 3, length)];
  return [...(wanted === EVERYTHING ? [] : check), ...tests, jump(0)];
}

function accessBits(access: string): number {
  return (['m', 'r', 'w'] as const).reduce((bits, letter) => bits | (access.includes(letter) ? ACCESS[letter] : 0), 0);
}

const HEAD_SLOTS = 6;
const TAIL_SLOTS = 4;
const MOST_RULES = 4096;

/**
 * The rules of a device filter, `undefined` for code that is none. What is read is put together again and compared, so
 * that an answer means the same bytes.
 */
export function readDeviceProgram(code: Uint8Array, little: boolean): DeviceRule[] | undefined {
  const slots = new InstructionSlots(code, little);
  const rules: DeviceRule[] = [];
  let slot = HEAD_SLOTS;
  while (slot < slots.count - TAIL_SLOTS && rules.length < MOST_RULES) {
    const hasCheck = slots.opcode(slot) === CHECK_OPCODE;
    const access = hasCheck ? slots.imm(slot + 1) : EVERYTHING;
    if (hasCheck) slot += 3;
    const values: number[] = [];
    while (slot < slots.count && slots.opcode(slot) === COMPARE_OPCODE && values.length < 3)
      values.push(slots.imm(slot++));
    const [type, major, minor] = values;
    if (type !== DEVICE.block && type !== DEVICE.char) return undefined;
    rules.push({
      type: type === DEVICE.block ? 'block' : 'char',
      ...(major !== undefined && { major }),
      ...(minor !== undefined && { minor }),
      access: (['r', 'w', 'm'] as const).filter((letter) => access & ACCESS[letter]).join(''),
    });
    slot++;
  }
  const again = deviceProgram(rules, little);
  return again.length === code.length && again.every((byte, at) => byte === code[at]) ? rules : undefined;
}

const CHECK_OPCODE = copy32(1, 3).opcode;
const COMPARE_OPCODE = jumpIfNot(2, 1, 0).opcode;

/** What a unit with a closed device policy may use: bpf_devices_allow_list_static of 252. */
export const STATIC_DEVICES: readonly DeviceRule[] = [
  ...[3, 5, 7, 8, 9].map((minor): DeviceRule => ({ type: 'char', major: 1, minor, access: 'rwm' })),
  ...[0, 2].map((minor): DeviceRule => ({ type: 'char', major: 5, minor, access: 'rwm' })),
  // /run/systemd/inaccessible/chr and blk.
  { type: 'char', major: 0, minor: 0, access: 'rwm' },
  { type: 'block', major: 0, minor: 0, access: 'rwm' },
  // /dev/pts.
  { type: 'char', major: 136, access: 'rw' },
];
