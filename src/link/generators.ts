// Code that is in no file because programs put it together when they run, and that is the same on every machine.
// A tag says that these are the same bytes; who loaded them it does not say.

import { CLASS, MODE, OPCODE, PSEUDO, SIZE } from '../insn/opcodes.ts';
import { add64, assemble, callHelper, copy64, exit, mov64, type Slot } from './assemble.ts';
import {
  type DeviceRule,
  deviceProgram,
  type Firewall,
  firewallProgram,
  readDeviceProgram,
  STATIC_DEVICES,
} from './systemd.ts';
import { type CodeTags, tagCode } from './tag.ts';

export interface GeneratedCode {
  /** Whose code this is: `systemd`, `libbpf`; `any` for what everybody writes. */
  readonly generator: 'systemd' | 'libbpf' | 'any';
  /** For people: `IP accounting`, `address filter, egress: deny IPv4, allow IPv4, with accounting`. */
  readonly what: string;
  readonly slots: number;
  readonly tags: CodeTags;
  readonly code: Uint8Array;
}

/** What is known to generate code with this tag, 16 hexadecimal digits, on a machine of this byte order. Usually none, at most a few. */
export function generatorsOf(tag: string, little = true): readonly GeneratedCode[] {
  return index(little).get(tag) ?? [];
}

/**
 * What is known to generate code of this form, whatever it was told to put in. Code that has another tag than the program was
 * rewritten by the kernel, and says nothing.
 */
export function generatorsOfCode(code: Uint8Array, tag: string, little = true): readonly GeneratedCode[] {
  if (!Object.values(tagCode(code, little)).includes(tag)) return [];
  const rules = readDeviceProgram(code, little) ?? [];
  return rules.length === 0 ? [] : [describe('systemd', deviceText(rules), code, little)];
}

/** `device filter: char 1:3 rwm, char 136:* rw`, rules as DeviceAllow= of systemd would have them in numbers. */
function deviceText(rules: readonly DeviceRule[]): string {
  const words = rules.map(({ type, major, minor, access }) => `${type} ${major ?? '*'}:${minor ?? '*'} ${access}`);
  return `device filter: ${words.join(', ')}`;
}

/** All of them. */
export function generatedCode(little = true): readonly GeneratedCode[] {
  return [...systemd(little), ...libbpf(little), ...trivial(little)];
}

const INDEXES = new Map<boolean, ReadonlyMap<string, GeneratedCode[]>>();

function index(little: boolean): ReadonlyMap<string, readonly GeneratedCode[]> {
  const known = INDEXES.get(little);
  if (known !== undefined) return known;
  const byTag = new Map<string, GeneratedCode[]>();
  for (const each of generatedCode(little)) {
    for (const tag of Object.values(each.tags)) byTag.set(tag, [...(byTag.get(tag) ?? []), each]);
  }
  INDEXES.set(little, byTag);
  return byTag;
}

function describe(
  generator: GeneratedCode['generator'],
  what: string,
  code: Uint8Array,
  little: boolean,
): GeneratedCode {
  return { generator, what, slots: code.length / 8, tags: tagCode(code, little), code };
}

function systemd(little: boolean): GeneratedCode[] {
  const firewalls = allFirewalls().map((settings) =>
    describe('systemd', firewallText(settings), firewallProgram(settings, little), little),
  );
  const devices = allDeviceFilters().map((rules) =>
    describe('systemd', deviceText(rules), deviceProgram(rules, little), little),
  );
  return [...distinct(firewalls), ...distinct(devices)];
}

/** Devices of fixed numbers (Documentation/admin-guide/devices.txt) that units and their drop-ins often allow. */
const ALLOWED = [
  [1, 3], // null
  [5, 1], // console
  [10, 200], // net/tun
  [10, 229], // fuse
  [10, 232], // kvm
  [10, 237], // loop-control
  [10, 238], // vhost-net
  [10, 242], // rfkill
] as const;
const ACCESSES = ['r', 'rw', 'rwm'] as const;

/** A closed policy, alone or with one device more; of its own devices one may be missing, as /dev/ptmx is in containers. */
function allDeviceFilters(): readonly DeviceRule[][] {
  const allowed = ALLOWED.flatMap(([major, minor]) =>
    ACCESSES.map((access): DeviceRule[] => [{ type: 'char', major, minor, access }]),
  );
  return [undefined, ...STATIC_DEVICES.keys()].flatMap((missing) => {
    const rules = STATIC_DEVICES.filter((_, place) => place !== missing);
    return [[], ...allowed].map((more) => [...rules, ...more]);
  });
}

/** Accounting alone is the same in both directions. */
function distinct(codes: readonly GeneratedCode[]): GeneratedCode[] {
  const byTag = new Map<string, GeneratedCode>();
  for (const each of codes) if (!byTag.has(each.tags.sha256)) byTag.set(each.tags.sha256, each);
  return [...byTag.values()];
}

const SETTINGS = ['deny4', 'deny6', 'allow4', 'allow6', 'allowAny', 'denyAny'] as const;
const WORDS = {
  deny4: 'deny IPv4',
  deny6: 'deny IPv6',
  allow4: 'allow IPv4',
  allow6: 'allow IPv6',
  allowAny: 'allow any',
  denyAny: 'deny any',
} as const;

function allFirewalls(): Firewall[] {
  const subsets = Array.from({ length: 1 << SETTINGS.length }, (_, bits) =>
    SETTINGS.filter((_setting, place) => bits & (1 << place)),
  );
  return subsets.flatMap((subset) =>
    (['ingress', 'egress'] as const).flatMap((direction) =>
      [true, false]
        .filter((accounting) => accounting || subset.length > 0)
        .map((accounting) => ({
          direction,
          accounting,
          ...Object.fromEntries(subset.map((setting) => [setting, true])),
        })),
    ),
  );
}

function firewallText(settings: Firewall): string {
  const lists = SETTINGS.filter((setting) => settings[setting]).map((setting) => WORDS[setting]);
  if (lists.length === 0) return 'IP accounting';
  const accounting = settings.accounting ? ', with accounting' : '';
  return `address filter, ${settings.direction}: ${lists.join(', ')}${accounting}`;
}

const HELPER = { PROBE_READ_KERNEL: 113, KTIME_GET_COARSE_NS: 160, GET_ATTACH_COOKIE: 174 } as const;

/** What libbpf 1.x loads to see what the kernel can do, before anything else. */
function libbpf(little: boolean): GeneratedCode[] {
  const probes: [what: string, slots: Slot[]][] = [
    [
      'probe for bpf_probe_read_kernel',
      [copy64(1, 10), add64(1, -8), mov64(2, 8), mov64(3, 0), callHelper(HELPER.PROBE_READ_KERNEL), exit],
    ],
    [
      'probe for global data',
      [
        { opcode: OPCODE.LD_IMM64, dst: 1, src: PSEUDO.MAP_VALUE },
        {},
        { opcode: CLASS.ST | MODE.MEM | SIZE.DW, dst: 1, imm: 42 },
        mov64(0, 0),
        exit,
      ],
    ],
    ['probe for memory accounting', [callHelper(HELPER.KTIME_GET_COARSE_NS), exit]],
    ['probe for attach cookies', [callHelper(HELPER.GET_ATTACH_COOKIE), exit]],
  ];
  return probes.map(([what, slots]) => describe('libbpf', what, assemble(slots, little), little));
}

function trivial(little: boolean): GeneratedCode[] {
  return [0, 1].map((value) =>
    describe(
      'any',
      `return ${value}: probes of many kinds, and programs that do nothing`,
      assemble([mov64(0, value), exit], little),
      little,
    ),
  );
}
