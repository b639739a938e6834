#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# packaging/packages.sh build|lab|check|bench|fuzz|vm...: install the Debian packages that a target of the Makefile needs, when
# any is missing and we are root; says which are missing otherwise. The one list of them.
set -eu

packages_build="gcc libc6-dev musl-tools make meson ninja-build pkg-config scdoc libuv1-dev libmnl-dev libjansson-dev
	libcurl4-openssl-dev libc-ares-dev libyaml-dev libcap-ng-dev libsodium-dev libseccomp-dev libcmocka-dev"
packages_lab="iproute2 nftables iptables procps util-linux jq busybox-static iperf3 iputils-ping socat tcpdump curl
	wireguard-go wireguard-tools"
# beside which make bench measures
packages_bench="serf smcroute igmpproxy dnsmasq-base tini dumb-init"
packages_check="$packages_lab clang-format clang-tidy cppcheck shellcheck codespell mandoc git openssh-client libwrap0
	dnsmasq-base etcd-server etcd-client openssl knot bind9-dnsutils podman netavark minidlna gupnp-tools avahi-daemon
	dhcpcd-base kea-dhcp6-server"
# of these, what would run as a service from then on: tests start their own, in namespaces
quiet="etcd-server knot podman minidlna avahi-daemon kea-dhcp6-server serf smcroute igmpproxy"
packages_fuzz="clang llvm"
packages_vm="qemu-system-x86 cpio kmod busybox-static socat nftables iproute2"

want=
for set; do
	case $set in
	build) want="$want $packages_build" ;;
	lab) want="$want $packages_lab" ;;
	check) want="$want $packages_check" ;;
	fuzz) want="$want $packages_fuzz" ;;
	bench) want="$want $packages_bench" ;;
	vm) want="$want $packages_vm" ;;
	*)
		echo "usage: packaging/packages.sh build|lab|check|bench|fuzz|vm..." >&2
		exit 2
		;;
	esac
	# somebody's own Docker is left alone: Debian's would take its place
	case $set in
	lab | check)
		command -v dockerd >/dev/null || want="$want docker.io"
		command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || want="$want docker-compose"
		;;
	esac
done

command -v dpkg-query >/dev/null || exit 0 # no Debian: the packages are the user's to find
missing=
for p in $want; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "missing packages; as root: apt-get install$missing" >&2
	exit 1
fi
echo "installing packages:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp) policy=/usr/sbin/policy-rc.d
[ ! -e $policy ] || policy=
# shellcheck disable=SC2086 # $policy is a file or nothing
trap 'rm -f "$log" $policy' EXIT
[ -z "$policy" ] || {
	printf '#!/bin/sh\ncase $1 in\netcd*|knot*|podman*|minidlna*|avahi*|kea*|serf*|smcroute*|igmpproxy*) exit 101 ;;\nesac\n' >"$policy"
	chmod 755 "$policy"
}
# --no-remove: rather fail than take away something that this machine has
get() {
	apt-get -qq -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 --no-install-recommends --no-remove "$@" </dev/null >"$log" 2>&1
}
# shellcheck disable=SC2086 # a list
get install $missing || { get update && get install $missing; } || {
	tail -n 20 "$log" >&2
	echo "could not install:$missing" >&2
	exit 1
}
[ -d /run/systemd/system ] || exit 0
for p in $quiet; do
	case " $missing " in
	*" $p "*)
		dpkg -L "$p" | sed -n 's,^.*/systemd/system/\([^/@]*\.\(service\|socket\|timer\)\)$,\1,p' |
			xargs -r systemctl --quiet disable --now >/dev/null 2>&1 || true
		;;
	esac
done
