#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# lab/image.sh: print the path of the root file system of the image lab:1 (busybox with all of its names, iperf3, ping, socat,
# tcpdump), made from this machine's programs: a lab has no registry to pull from. Made once, kept in LAB_DIR/cache, and
# anew when one of the programs is another.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$TOP/packaging/docker/rootfs.sh"

programs="iperf3 ping socat tcpdump"
# shellcheck disable=SC2086 # a list
of=$(for p in "$0" $(command -v busybox $programs); do stat -Lc '%n %s %Y' "$p"; done | sha256sum)
tar=$LAB_DIR/cache/lab-1-${of:0:12}.tar
if [ ! -s "$tar" ]; then
	mkdir -p "$LAB_DIR/cache"
	root=$(mktemp -d "$LAB_DIR/cache/root.XXXXXX")
	trap 'rm -rf "$root"' EXIT
	mkdir -p "$root"/{bin,dev,etc,proc,root,run,sys,tmp,usr/bin,usr/sbin,www}
	chmod 755 "$root"
	chmod 1777 "$root/tmp"
	cp "$(command -v busybox)" "$root/bin/busybox"
	rootfs_static "$root/bin/busybox" || die "$(command -v busybox) is not a static one: install busybox-static"
	"$root/bin/busybox" --list | grep -vx busybox | while read -r name; do
		ln -s busybox "$root/bin/$name"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	for program in $programs; do
		! command -v "$program" >/dev/null || rootfs_program "$root" "$program"
	done
	tar -C "$root" --owner=0 --group=0 -c . >"$root.tar"
	mv "$root.tar" "$tar"
fi
echo "$tar"
