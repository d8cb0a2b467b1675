// Code that is in no file: systemd puts its programs together in its memory, and there they are found.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LiveReport, live } from '../../src/index.ts';
import { attachedBelow } from './programs.ts';
import { type Systemd, startSystemd, UNABLE, VERSION } from './systemd-root.ts';

/** By unit and direction: the instructions that systemd 252 makes of these settings, and both of their tags. */
const CODE = [
  { unit: 'account', hook: 'cgroup_inet_egress', slots: 29, sha1: '7dc8126e8768ea37', sha256: '6144bc3db46d80b4' },
  { unit: 'account', hook: 'cgroup_inet_ingress', slots: 29, sha1: '7dc8126e8768ea37', sha256: '6144bc3db46d80b4' },
  { unit: 'address', hook: 'cgroup_inet_egress', slots: 59, sha1: '45838e6308508c1f', sha256: '382499396e4288b0' },
  { unit: 'address', hook: 'cgroup_inet_ingress', slots: 59, sha1: 'd246aedc957a78d9', sha256: 'dc4440985c3e9697' },
  { unit: 'device', hook: 'cgroup_device', slots: 55, sha1: '283d43910608f0b5', sha256: '0ac0c611c43126fa' },
] as const;

describe.skipIf(UNABLE !== undefined)(`the programs of systemd${UNABLE ? ` (skipped: ${UNABLE})` : ''}`, () => {
  let systemd: Systemd;
  const seen = new Set<number>();
  beforeAll(async () => {
    systemd = await startSystemd();
  });
  afterAll(() => systemd?.stop());

  test.each([
    ['after its start', async () => {}],
    ['after it executed itself anew', () => systemd.reexecute()],
    ['after it read its units again', () => systemd.reload()],
  ])('come from its heap %s', async (_, change) => {
    await change();
    const held = systemd.programs();
    for (const id of held) expect(seen).not.toContain(id);
    for (const id of held) seen.add(id);
    const report = await live({ jobs: 1 });
    const programs = ours(report);
    console.log(
      `${programs.length} programs of systemd, ${report.summary.programs} in all: ${report.summary.elapsedMs} ms`,
    );
    expect(programs.map(({ id }) => id)).toEqual(held);
    expect(attachedBelow(systemd.cgroup)).toEqual(held);
    for (const program of programs) {
      expect(program.origin, `${program.name} ${program.tag}`).toMatchObject({
        evidence: 'tag',
        relation: 'origin',
        object: {
          kind: 'instructions',
          source: { kind: 'process', pid: systemd.pid, comm: 'systemd', namespacePid: 1 },
          address: expect.stringMatching(/^0x[0-9a-f]+$/),
          region: { path: '[heap]' },
        },
        ...(program.mapIds.length > 0 && { mapsAgree: true }),
      });
      expect(program.origin?.object.repaired).toBeUndefined();
    }
  });

  test.skipIf(VERSION !== 252)(`are those that version 252 generates (here it is ${VERSION})`, async () => {
    const programs = ours(await live({ jobs: 1 }));
    const code = programs.flatMap(({ tag, attachments, origin }) =>
      attachments.map(({ target, attachType }) => ({
        unit: /\/(\w+)\.service$/.exec(target ?? '')?.[1],
        hook: attachType,
        slots: (origin?.object.size ?? 0) / 8,
        algorithm: origin?.algorithm,
        tag,
      })),
    );
    // Kernels since 6.18 take the tag from SHA-256.
    const algorithm = code[0]?.algorithm ?? 'sha256';
    const expected = CODE.map(({ unit, hook, slots, ...tags }) => ({
      unit,
      hook,
      slots,
      algorithm,
      tag: tags[algorithm],
    }));
    expect(new Set(code)).toEqual(new Set(expected));
  });

  test.skipIf(VERSION !== 252)(`are recognised without its memory (here it is ${VERSION})`, async () => {
    const programs = ours(await live({ jobs: 1, searchMemory: false }));
    expect(programs).toHaveLength(CODE.length);
    for (const { origin } of programs) expect(origin).toBeUndefined();
    const known = programs.flatMap(({ sameBytesAs = [] }) => sameBytesAs);
    const devices = ['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '0:0'].map((device) => `char ${device} rwm`);
    expect(known.map(({ generator, what }) => `${generator}: ${what}`).sort()).toEqual([
      'systemd: IP accounting',
      'systemd: IP accounting',
      'systemd: address filter, egress: deny IPv4, allow IPv4, with accounting',
      'systemd: address filter, ingress: deny IPv4, allow IPv4, with accounting',
      `systemd: device filter: ${[...devices, 'block 0:0 rwm', 'char 136:* rw', 'char 1:3 rw'].join(', ')}`,
    ]);
  });

  /** What is held by this systemd or attached below its control group, by id. */
  function ours({ programs }: LiveReport) {
    const isOurs = (program: LiveReport['programs'][number]) =>
      program.holders.some(({ pid }) => pid === systemd.pid) ||
      program.attachments.some(({ target }) => target?.startsWith(systemd.cgroup));
    return programs.filter(isOurs).sort((a, b) => (a.id ?? 0) - (b.id ?? 0));
  }
});
