#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# OpenWrt's scripts off the device, with busybox ash: what the init script tells procd, what is made of /etc/config/docker when
# dockerd answers, and what in these files is not believed. UCI and procd are those of openwrt/functions.sh, docker is a
# script that writes down how it was called. TAP on stdout.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
HERE=$PWD/tests/netns/openwrt FILES=$PWD/packaging/openwrt/files

command -v busybox >/dev/null || {
	echo "1..0 # SKIP needs busybox"
	exit 77
}
T=$(mktemp -d /tmp/docker-router-openwrt.XXXXXX)
trap 'rm -rf "$T"' EXIT
export UCI=$T/uci TOLD=$T/told FUNCTIONS=$HERE/functions.sh DOCKER=$T/docker
mkdir -p "$UCI" "$T/there"
touch "$T/--env=FILES=1" # what a pattern would find
n=0 failed=0

ok() { # WORDS CMD...
	local words=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $words"
	else
		failed=$((failed + 1))
		echo "not ok $n - $words"
		sed 's/^/# /' "$TOLD"
	fi
}
told() { # PATTERN: a whole line
	grep -qxE -- "$1" "$TOLD"
}
not_told() {
	! grep -qE -- "$1" "$TOLD"
}
ash() {
	busybox ash "$@"
}
init() { # FUNCTION
	: >"$TOLD"
	ash -c '. "$FUNCTIONS"; . "$0"; "$1"' "$FILES/docker-router.init" "$1"
}
containers() {
	: >"$TOLD"
	(cd "$T" && WAIT=${WAIT:-10} ash "$FILES/containers.sh")
}

# --- the init script ---

cp "$FILES/docker-router.config" "$UCI/docker-router"
init start_service
ok "what is shipped starts host" told 'set command /usr/bin/docker-router host'
ok "with its roles" told 'append env ROLES=inventory,discovery,router,names,multicast,attach,driver'
ok "its state on storage" told 'append env STATE_DIR=/opt/docker-router'
ok "respawned" told 'set respawn 3600 5 0'
ok "and made anew when the file changes" told 'set file /etc/config/docker-router'
ok "beside it what makes the containers" told 'set command /usr/lib/docker-router/containers'
cat >"$UCI/docker-router" <<'END'
config host 'main'
	option enabled '1'
	option peers '192.0.2.2, 192.0.2.3'
	list env 'ANNOUNCE_INTERVAL=10'
	list env 'not this'
END
init start_service
ok "a value keeps its blanks" told 'append env PEERS=192\.0\.2\.2, 192\.0\.2\.3'
ok "any setting as env" told 'append env ANNOUNCE_INTERVAL=10'
ok "nonsense is told" told "log: .*env 'not this' is not understood.*"
ok "and goes no further" not_told 'append env not'
printf "config host 'main'\n\toption enabled '0'\n" >"$UCI/docker-router"
init start_service
ok "switched off: nothing runs" not_told command
init service_triggers
ok "reload by what it depends on" told 'trigger docker-router docker network firewall'
cp "$FILES/docker-router.config" "$UCI/docker-router"
init reload_service
ok "reload tells host" told 'signal docker-router host HUP'
ok "before dockerd" test "$(sed -n 's/^START=//p' "$FILES/docker-router.init")" -lt 99

# --- containers ---

cat >"$DOCKER" <<'END'
#!/bin/sh
printf 'docker' >>"$TOLD"
for a; do printf ' [%s]' "$a" >>"$TOLD"; done
echo >>"$TOLD"
T=$(dirname "$0")
case $1 in
version) [ "$(cat "$T/away")" = 0 ] || { echo $(($(cat "$T/away") - 1)) >"$T/away"; exit 1; } ;;
container) [ -e "$T/there/$3" ] ;;
create) [ ! -e "$T/broken" ] ;;
esac
END
chmod 755 "$DOCKER"
echo 0 >"$T/away"
rm -f "$UCI/docker"
containers
ok "no file: nothing is asked" not_told docker
cat >"$UCI/docker" <<'END'
config daemon
	option enable '1'
config container 'only_nics'
	option network 'lan:eth1'
END
containers
ok "a container that somebody else makes is left to him" not_told docker
cat >>"$UCI/docker" <<'END'
config container 'openwrt'
	option image 'registry.example.org/openwrt:arm64'
	option network 'lan:eth1 containerlan:eth0'
	list env 'GREETING=hello $(reboot) *'
	list env 'FILES=*'
	list volume '/opt/my data:/data'
	list create '--cap-add=NET_ADMIN'
	list create 'rm -rf /'
config container 'plain'
	option image 'lab:1'
	option start '0'
END
echo 2 >"$T/away"
containers
ok "dockerd is waited for" test "$(grep -c 'docker \[version\]' "$TOLD")" = 3
ok "made with its settings, waiting for its network" told 'docker \[create\] \[--restart=unless-stopped\] \[--name=openwrt\] \[--network=none\] \[--env=NETWORKWAIT=1\] \[--env=GREETING=hello \$\(reboot\) \*\] \[--env=FILES=\*\] \[--volume=/opt/my data:/data\] \[--cap-add=NET_ADMIN\] \[--\] \[registry\.example\.org/openwrt:arm64\]'
ok "and started" told 'docker \[start\] \[openwrt\]'
ok "no option, no argument" told "log: .*create 'rm -rf /' is not understood.*"
ok "without network Docker's own, and no waiting" told 'docker \[create\] \[--restart=unless-stopped\] \[--name=plain\] \[--\] \[lab:1\]'
ok "start 0: made only" not_told 'docker \[start\] \[plain\]'
touch "$T/there/openwrt" "$T/there/plain"
containers
ok "one that is there is started" told 'docker \[start\] \[openwrt\]'
ok "and not made again" not_told 'create'
rm "$T"/there/*
touch "$T/broken"
containers && status=0 || status=$?
ok "one that cannot be made is told" told "log: .*container 'openwrt' cannot be made of registry.*"
ok "and the others are tried" told 'docker \[create\] .*\[lab:1\]'
ok "status says so" test "$status" = 1
rm "$T/broken"
cat >"$UCI/docker" <<'END'
config container 'ab'
	option image '--privileged'
config container 'cd'
	option image 'a b'
END
containers
ok "an image is no option" not_told 'create'
ok "nor two words" test "$(grep -c 'is not understood' "$TOLD")" = 2
printf "config container 'ab'\n\toption image 'lab:1'\n" >"$UCI/docker"
echo 1000 >"$T/away"
WAIT=1 containers && status=0 || status=$?
ok "a dockerd that never answers is given up" test "$status" = 1
ok "and that is told" told 'log: .*dockerd does not answer after 1 s.*'

# --- the first start ---

ok "all of them are sound for ash" ash -n "$FILES/docker-router.init" && ash -n "$FILES/containers.sh" && ash -n "$FILES/docker-router.defaults"
cat >"$T/uci-command" <<'END'
#!/bin/sh
echo "uci $*" >>"$TOLD"
case $* in
'-q get docker-router.main.state_dir') cat "$STATE_DIR_NOW" ;;
'-q set docker-router.main.state_dir='*) echo "${3#*=}" >"$STATE_DIR_NOW" ;;
'-q get dockerd.globals.data_root') echo /mnt/disk/docker ;;
'-q get firewall.docker_router') exit 1 ;;
'-q batch') sed 's/^/batch: /' >>"$TOLD" ;;
esac
END
mkdir "$T/bin"
mv "$T/uci-command" "$T/bin/uci"
chmod 755 "$T/bin/uci"
: >"$TOLD"
echo /opt/docker-router >"$T/state_dir"
defaults() {
	STATE_DIR_NOW=$T/state_dir CONFIG=$T/etc/docker-router.yaml PATH=$T/bin:$PATH ash "$FILES/docker-router.defaults"
}
defaults
ok "the state goes beside Docker's data" told 'uci -q set docker-router.main.state_dir=/mnt/disk/docker-router'
ok "where the verbs look too" grep -qx 'state_dir: /mnt/disk/docker-router' "$T/etc/docker-router.yaml"
echo "datapath: leg" >"$T/etc/docker-router.yaml"
defaults
ok "a file that is there stays" grep -qx 'datapath: leg' "$T/etc/docker-router.yaml"
ok "the LAN may speak to the hosts' ports" told "batch: .*dest_port='4789 4790'"

# --- what the package needs ---

lacks() { # options of the kernel that doctor asks for, and that neither OpenWrt has nor a line of diffconfig brings
	local o given
	# in OpenWrt's kernels anyway, or with the kmod of the same line
	given=" NET BRIDGE INET NETFILTER UNIX INOTIFY_USER IP_ADVANCED_ROUTER IP_MULTIPLE_TABLES IP_MULTICAST NF_CONNTRACK
		NF_TABLES NF_TABLES_INET NFT_CT NFT_FIB_IPV4 NFT_FIB_IPV6 NFT_FIB_INET NF_TABLES_NETDEV NFT_FWD_NETDEV NFT_DUP_NETDEV
		VETH VXLAN WIREGUARD MACVLAN PACKET "
	"${DOCKER_ROUTER:-build/docker-router}" doctor --kernel-options | sed -n 's/^CONFIG_\([A-Z0-9_]*\) .*/\1/p' | while read -r o; do
		grep -qx "CONFIG_KERNEL_$o=y" packaging/openwrt/diffconfig || grep -qw "$o" <<<"$given" || echo "# $o"
	done
}
ok "diffconfig has what doctor asks for" test -z "$(lacks)"

echo "1..$n"
[ $failed = 0 ]
