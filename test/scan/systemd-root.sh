#!/bin/sh
# Runs inside namespaces of its own: makes the directory $1, which has etc/ already, a root that systemd starts in.
# What it mounts is seen nowhere else and is gone with the namespace.
set -eu
cd "$1"
mount --bind . .
cd "$1"
mkdir -p usr proc sys dev run tmp var old
mount --bind /usr usr
mount -o remount,bind,ro usr
for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done

# This kernel is everybody's: its settings can be read.
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup

# A filter of devices names those that exist: all that units may always use, without /dev/ptmx.
mount -t tmpfs -o mode=755 none dev
for name in null zero full random urandom tty; do
  touch "dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done

# Nothing is generated: the units in etc/ are all there are.
mount -t tmpfs none usr/lib/systemd/system-generators

pivot_root . old
umount -l old
exec env -i container=other PATH=/bin SYSTEMD_UNIT_PATH=/etc/systemd/system \
  /usr/lib/systemd/systemd --system --log-target=console
