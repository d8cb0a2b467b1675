// Skeletons that the installed bpftool does not make: the oldest, signed ones, those for machines of the other byte order.
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { memoryReader } from '../../src/bytes/reader.ts';
import { carveLightSkeletons, type LightProgram, type LightSkeleton } from '../../src/carve/light-skeleton.ts';
import { decodeInstructions } from '../../src/insn/decode.ts';
import type { Target } from '../../src/link/kernel.ts';
import { predictLightTags } from '../../src/link/light-skeleton-tags.ts';
import { GROUPS } from '../link/objects.ts';
import { bigEndian, type Form, signed } from './skeleton-forms.ts';
import { generateSkeleton, NO_SKELETONS, prologuesIn } from './skeletons.ts';
import { BY_BPFTOOL_5_15, SIGNED_BY_BPFTOOL_7_8 } from './skeletons-of-releases.ts';

const KERNEL: Target = { modules: [], release: '6.18.0' };

/** Newer bpftool writes two arrays, which gcc lays out the loader first. */
function carved({ loader, data }: Form): LightSkeleton {
  const bytes = new Uint8Array(Buffer.concat([Buffer.alloc(24), loader, data, Buffer.alloc(512, 0xcc)]));
  const { skeletons, limited } = carveLightSkeletons(memoryReader(bytes), prologuesIn(bytes));
  const [skeleton] = skeletons;
  if (skeleton === undefined || skeletons.length > 1 || limited) throw new Error(`${skeletons.length} skeletons`);
  expect(skeleton.data).toEqual({ offset: 24 + loader.length, size: data.length });
  expect(skeleton.loader.slots).toBe(loader.length / 8);
  expect(skeleton.diagnostics).toEqual([]);
  return skeleton;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe.each(['little', 'big'] as const)('a %s-endian skeleton that bpftool 7.8 signed', (order) => {
  const form = SIGNED_BY_BPFTOOL_7_8[order];
  const skeleton = carved(form);

  test('is one loader, of which the signature speaks', () => {
    expect(skeleton.endianness).toBe(order);
    expect(sha256(skeleton.loader.code)).toBe(form.loaderHash);
  });

  test('says which data the loader accepts', () => {
    expect(skeleton.digest).toBe(sha256(form.data));
  });

  test('has the programs and the map of its source', () => {
    expect(skeleton.programs.map(({ name, type, attachType, license }) => [name, type, attachType, license])).toEqual([
      ['account_ingress', 8, 0, 'GPL'],
      ['account_egress', 8, 1, 'GPL'],
    ]);
    expect(skeleton.maps).toEqual([
      { name: 'accounting', type: 6, keySize: 4, valueSize: 16, maxEntries: 2, flags: 0, frozen: false },
    ]);
  });
});

test('the signed programs get the tags that kernel 6.18 showed when their loader had checked its data', () => {
  const predicted = predictLightTags(carved(SIGNED_BY_BPFTOOL_7_8.little), KERNEL);
  expect(predicted.map((each) => 'tags' in each && each.tags.sha256)).toEqual(['e8b058b114ba00c6', '5beba4aeefff5de7']);
});

test('either byte order has the same instructions', () => {
  const [little, big] = (['little', 'big'] as const).map((order) => carved(SIGNED_BY_BPFTOOL_7_8[order]));
  expect(big?.programs.map((each) => instructions(each, false))).toEqual(
    little?.programs.map((each) => instructions(each, true)),
  );
});

describe('a skeleton of libbpf 0.5, whose pieces are not aligned', () => {
  const skeleton = carved(BY_BPFTOOL_5_15);

  test('has the maps that its stack lists, without the inner one', () => {
    expect(skeleton.maps.map(({ name, type, frozen, content }) => [name, type, frozen, content])).toEqual([
      ['outer', 12, false, undefined],
      ['plain', 1, false, undefined],
      ['sample.rodata', 2, true, Uint8Array.of(7, 0, 0, 0)],
      ['sample.bss', 2, false, new Uint8Array(4)],
    ]);
  });

  test('tells what a program attaches to from what it refers to', () => {
    expect(skeleton.programs.map(({ name, attachTo, references }) => [name, attachTo, references])).toEqual([
      [
        'calls',
        undefined,
        [
          { slot: 2, kind: 'variable', name: 'bpf_prog_active' },
          { slot: slotOfCall(skeleton, 0), kind: 'function', name: 'bpf_rcu_read_lock' },
          { slot: slotOfCall(skeleton, 1), kind: 'function', name: 'bpf_rcu_read_unlock' },
        ],
      ],
      ['enter', 'bpf_fentry_test1', [{ slot: 5, kind: 'variable', name: 'bpf_prog_active' }]],
    ]);
  });
});

/** Of the first program: the slot of its call to a kernel function, of the first or the second one. */
function slotOfCall({ programs }: LightSkeleton, which: number): number | undefined {
  const code = programs[0]?.code ?? new Uint8Array(0);
  const slots = Array.from({ length: code.length / 8 }, (_, slot) => slot);
  return slots.filter((slot) => code[8 * slot] === 0x85 && (code[8 * slot + 1] ?? 0) >> 4 === 2)[which];
}

const OBJECTS = GROUPS.filter(({ group }) => ['libbpf-tools', 'our samples'].includes(group)).flatMap(
  ({ objects }) => objects,
);
const reason = NO_SKELETONS ?? (OBJECTS.length < 20 ? 'libbpf-tools is not installed' : undefined);
const skipped = reason ? ` (skipped: ${reason})` : '';

describe('skeletons of real objects', () => {
  const forms: { name: string; form: Form }[] = [];
  beforeAll(() => {
    if (reason !== undefined) return;
    for (const { name, bytes } of OBJECTS) {
      const form = generateSkeleton(bytes);
      if (form !== undefined) forms.push({ name, form });
    }
  }, 120_000);

  test.skipIf(reason !== undefined)(`are many${skipped}`, () => {
    expect(forms.length).toBeGreaterThanOrEqual(20);
  });

  test.skipIf(reason !== undefined)(
    `with the check of a signed one say what they did without, and the digest${skipped}`,
    () => {
      for (const { name, form } of forms) {
        const { digest, ...rest } = facts(carved(signed(form)), form.loader.length + 33 * 8);
        expect([name, digest, rest]).toEqual([name, sha256(form.data), facts(carved(form), form.loader.length)]);
      }
    },
  );

  test.skipIf(reason !== undefined)(`in the other byte order say the same${skipped}`, () => {
    for (const { name, form } of forms) {
      const [little, big] = [carved(form), carved(bigEndian(form))];
      expect([name, big.endianness, facts(big, form.loader.length)]).toEqual([
        name,
        'big',
        facts(little, form.loader.length),
      ]);
    }
  });

  test.skipIf(reason !== undefined)(`with three words of a hash are not signed${skipped}`, () => {
    const [first] = forms;
    if (first === undefined) throw new Error('no skeleton');
    const { data, loader } = signed(first.form);
    const code = loader.slice();
    const at = Buffer.from(code).indexOf(Buffer.from('7912180000000000', 'hex'));
    code[at + 2] = 16;
    expect(carved({ data, loader: code })).not.toHaveProperty('digest');
  });
});

/** Without places, which depend on the length of the loader, and with instructions instead of bytes. */
function facts({ programs, maps, btf, digest, endianness }: LightSkeleton, loader: number) {
  return {
    maps,
    btf: btf && [btf.offset - loader, btf.bytes.length],
    ...(digest !== undefined && { digest }),
    programs: programs.map((program) => {
      const { code, offset, ...rest } = program;
      return { ...rest, offset: offset - loader, instructions: instructions(program, endianness === 'little') };
    }),
  };
}

function instructions({ code }: LightProgram, little: boolean) {
  return decodeInstructions(code, little);
}
