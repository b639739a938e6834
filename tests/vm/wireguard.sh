#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/vm/wireguard.sh: ENCRYPTION=wireguard with the kernel's own WireGuard, which many test machines lack: in a virtual machine
# with Debian's kernel, emulated (no KVM is needed), with nothing in it but busybox, a few programs, and ours. What
# happens in there is guest.sh: two hosts as namespaces, routers with state files laid by hand, no Docker.
#
# Environment: DOCKER_ROUTER=program, LAB_DIR (its cache holds the kernel, some 70 MB to download once). Exit status 77 where
# the emulator or the kernel is not to be had.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/lab/lib.sh"
program=$(router_program)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() {
	echo "SKIPPED: $*"
	exit 77
}
for p in qemu-system-x86_64 cpio modprobe depmod; do
	command -v $p >/dev/null || skip "there is no $p"
done
[ "$(uname -m)" = x86_64 ] || skip "the virtual machine is an x86_64 one, and runs this machine's programs"
busybox=$(command -v busybox) || skip "there is no busybox"

# --- the kernel ------------------------------------------------------------------------------------------------------

cache=$LAB_DIR/cache/linux
if [ ! -f "$cache/vmlinuz" ]; then
	package() { apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1; }
	[ -n "$(package)" ] || apt-get -qq update >/dev/null 2>&1 || true
	[ -n "$(package)" ] || skip "apt knows no kernel"
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$(package)" >/dev/null 2>&1) || skip "the kernel cannot be downloaded"
	dpkg-deb --fsys-tarfile "$work"/linux-image-*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz*' './lib/modules/*/kernel/net/*' \
		'./lib/modules/*/kernel/drivers/net/*' './lib/modules/*/kernel/lib/*' './lib/modules/*/kernel/crypto/*' \
		'./lib/modules/*/kernel/arch/*' './lib/modules/*/modules.*'
	rm -rf "$cache" "$work"/linux-image-*.deb
	mkdir -p "$cache"
	mv "$work/lib" "$cache"
	depmod -b "$cache" "$(ls "$cache/lib/modules")" 2>/dev/null
	mv "$work"/boot/vmlinuz* "$cache/vmlinuz"
fi
version=$(ls "$cache/lib/modules")

# --- the guest -------------------------------------------------------------------------------------------------------

root=$work/root
mkdir -p "$root/bin" "$root/prog" "$root/modules" "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/etc" "$root/var"
put() { # PROGRAM NAME: with what it is linked to
	cp -L "$1" "$root/prog/$2"
	ldd "$1" 2>/dev/null | grep -oE '/[^ ]+' | while read -r lib; do
		mkdir -p "$root$(dirname "$lib")"
		cp -Ln "$lib" "$root$lib"
	done
}
cp "$busybox" "$root/bin/busybox"
put "$(command -v ip)" ip
put "$(command -v nft)" nft
put "$(command -v socat || skip "there is no socat")" socat
put "$program" docker-router
for p in router cli; do
	put "$(find "$(dirname "$(readlink -f "$program")")" -name "docker-router-$p" -type f | head -n 1)" docker-router-$p
done
cp "$(dirname "$0")/guest.sh" "$root/init"
chmod 755 "$root/init"
printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
for m in veth vxlan bridge wireguard nf_tables nft_ct nft_fib_ipv4 nft_fib_ipv6 nft_fib_inet nft_numgen nft_masq nft_chain_nat nf_conntrack; do
	modprobe -d "$cache" -S "$version" --show-depends $m 2>/dev/null || true
done | sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }' | while read -r file; do
	cp "$file" "$root/modules/"
	basename "$file"
done >"$work/order"
cp "$work/order" "$root/modules/order"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initramfs"

# --- run -------------------------------------------------------------------------------------------------------------

status=0
timeout --foreground 480 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 768 -nodefaults -no-reboot -display none -serial stdio \
	-kernel "$cache/vmlinuz" -initrd "$work/initramfs" -append "console=ttyS0 quiet panic=-1 mitigations=off" \
	</dev/null >"$work/log" 2>&1 || status=$?
tr -d '\r' <"$work/log" | grep -E '^(ok|not ok|#)' || true
if ! tr -d '\r' <"$work/log" | grep -q '^# all is well'; then
	tail -n 60 "$work/log"
	echo "FAILED: wireguard in the virtual machine (qemu: $status)"
	exit 1
fi
