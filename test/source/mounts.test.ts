import { describe, expect, test } from 'vitest';
import { Mounts, readMounts } from '../../src/source/mounts.ts';

const mounts = new Mounts(
  [
    '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw',
    '23 22 0:21 / /proc rw - proc proc rw',
    '24 22 0:22 / /mnt/with\\040space rw shared:3 master:1 - fuse.sshfs host:/ rw',
    '25 22 0:23 / /tmp rw - tmpfs tmpfs rw',
    '26 25 0:24 / /tmp/a\\134b rw - nfs4 server:/ rw',
    '27 22 0:25 / /home/user/odd\\012line rw - 9p share rw',
    'damaged line',
    '',
  ].join('\n'),
);

describe('filesystems by their mounts', () => {
  test('those of the kernel are known at their mount points only', () => {
    expect(mounts.isKernel('/proc')).toBe(true);
    expect(mounts.isKernel('/proc/1')).toBe(false);
    expect(mounts.isKernel('/tmp')).toBe(false);
  });

  test.each([
    ['/', false],
    ['/usr/lib', false],
    ['/tmp/x/y', false],
    ['/tmpx', false],
    ['/mnt/with space/x', true],
    ['/mnt/with', false],
    ['/tmp/a\\b/c', true],
    ['/home/user/odd\nline', true],
    ['/proc/1/maps', true],
  ])('reads below %j may come up short: %s', (path, short) => {
    expect(mounts.hasShortReads(path)).toBe(short);
  });

  test('without any known mount every read is made to its end', () => {
    expect(new Mounts('').hasShortReads('/a/b')).toBe(true);
    expect(new Mounts('').isKernel('/proc')).toBe(false);
  });

  test('of this machine include /proc', () => {
    expect(readMounts().isKernel('/proc')).toBe(true);
  });
});

test('of two mounts at one place the later one counts', () => {
  const twice = new Mounts('1 0 0:1 / /x rw - proc proc rw\n2 1 0:2 / /x rw - ext4 /dev/a rw\n');
  expect(twice.isKernel('/x')).toBe(false);
});

test('names beyond ASCII are those of the directories', () => {
  const named = new Mounts('1 0 0:1 / /mnt/é rw - proc proc rw\n');
  expect(named.isKernel('/mnt/é')).toBe(true);
});
