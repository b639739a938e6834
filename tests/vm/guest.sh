#!/bin/busybox sh
# shellcheck shell=dash disable=SC2086,SC2317 # names of ours have no spaces; functions are called by name
# SPDX-License-Identifier: Apache-2.0
#
# The first process of the virtual machine of wireguard.sh: two hosts, h1 and h2, as namespaces on one cable, in the end also h3,
# which relays between them; in each a bridge with a "container" behind it, and docker-router router, which is fed with state files made here. It says ok or not ok of
# each thing that must hold, "# all is well" when all did, and turns the machine off.
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/prog:/bin
# this shell takes its own commands first, and its ip knows no namespaces
ip() {
	/prog/ip "$@"
}
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/netns /var/run
echo 1 >/proc/sys/kernel/panic_on_oops
while read -r m; do
	insmod "/modules/$m" 2>/dev/null
done </modules/order
ip link set dev lo up

end() { # WORDS
	echo "# $*"
	sync
	poweroff -f
	sleep 60
}
fail() {
	echo "not ok $*"
	for h in h1 h2 h3; do
		[ -f /tmp/$h.log ] || continue
		echo "# log of $h"
		sed 's/^/#   /' /tmp/$h.log
		ip netns exec $h nft list ruleset 2>&1 | sed 's/^/#   /'
	done
	end "something is not well"
}
wait_until() { # WHAT SECONDS CMD...
	what=$1 until=$(($(date +%s) + $2))
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $until ] || fail "$what"
		sleep 0.2
	done
	echo "ok $what"
}
must() { # WHAT CMD...
	what=$1
	shift
	"$@" >/dev/null 2>&1 || fail "$what"
	echo "ok $what"
}

ring=0101010101010101010101010101010101010101010101010101010101010101
other=0202020202020202020202020202020202020202020202020202020202020202

host() { # NAME NUMBER
	ip netns add "$1"
	ip -n "$1" link set dev lo up
	ip netns exec "$1" sysctl -qw net.ipv4.ip_forward=1
	ip -n "$1" link add dev br-stack type bridge
	ip -n "$1" addr add 10.7$2.0.1/24 dev br-stack
	ip -n "$1" link set dev br-stack up
	ip netns add "$1c"
	ip -n "$1" link add dev port master br-stack type veth peer name eth0 netns "$1c"
	ip -n "$1" link set dev port up
	ip -n "$1c" addr add 10.7$2.0.10/24 dev eth0
	ip -n "$1c" link set dev eth0 up
	ip -n "$1c" link set dev lo up
	ip -n "$1c" route add default via 10.7$2.0.1
	mkdir -p /tmp/$1
	echo "$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2$2" >/tmp/$1/host_id
	(umask 077 && echo $ring >/tmp/$1.key)
	cat >/tmp/$1/inventory.json <<-END
		{"version":1,"last_update":"2026-01-01T00:00:00Z","engines":[],"stacks":[{"stack_id":"s$2","vni":1000,
		"networks":[{"name":"n","id":"net$2","bridge":"br-stack","endpoint":"unix:///x","subnets":["10.7$2.0.0/24"],
		"gateways":["10.7$2.0.1"],"internal":false,"icc":true,"mtu":1500}],"containers":[]}],"problems":[]}
	END
}
router() { # NAME; never by "ip netns exec", whose mounts, our pins among them, go with the process
	STATE_DIR=/tmp/$1 RUN_DIR=/run/$1 ENCRYPTION=wireguard CLUSTER_KEY_FILE=/tmp/$1.key DATAPATH=leg LEG_SHORTCUT=off LOG_LEVEL=info WIREGUARD_RELAY=${relay:-off} \
		nsenter --net="/run/netns/$1" /prog/docker-router router >>/tmp/$1.log 2>&1 &
	echo $! >/tmp/$1.pid
}
discovery() { # NAME NUMBER OTHER-NAME OTHER-NUMBER: what discovery would have heard
	say=$(tr -d '\n' </tmp/$3/wireguard.json | sed 's/"version": *1,//')
	cat >/tmp/$1/new <<-END
		{"version":1,"last_update":"2026-01-01T00:00:00Z","self":{"host_id":"$(cat /tmp/$1/host_id)","host_name":"$1",
		"host_ip":"192.0.2.$2","vxlan_port":4789,"seq":1,"modes":["static"],"stacks":[]},"peers":[{"stack_id":"s$4",
		"host_ip":"192.0.2.$4","vxlan_endpoint":"192.0.2.$4:4789","vni":1000,"last_seen":"2026-01-01T00:00:00Z",
		"status":"active","subnets":["10.7$4.0.0/24"],"host_id":"$(cat /tmp/$3/host_id)","host_name":"$3","seq":1,
		"wireguard":$say,"source":"static"}],"problems":[]}
	END
	mv /tmp/$1/new /tmp/$1/discovery.json
}
pings() { # HOST ADDRESS [OPTIONS]
	h=$1 a=$2
	shift 2
	ip netns exec "${h}c" ping -q -c 1 -W 2 "$@" "$a"
}
rule() { # HOST CHAIN: the counter of clear text
	ip netns exec "$1" nft list chain inet docker-router "$2" | grep 'counter packets' | sed 's/.*packets \([0-9]*\).*/\1/'
}

host h1 1
host h2 2
ip link add dev cable1 netns h1 type veth peer name cable2 netns h2
for n in 1 2; do
	ip -n h$n addr add 192.0.2.$n/24 dev cable$n
	ip -n h$n link set dev cable$n up
done
# who watches the cable: what passes, by port
ip netns exec h2 nft -f - <<-END
	table netdev watch {
		chain in {
			type filter hook ingress device cable2 priority 0;
			udp dport 51820 counter
			udp dport 4789 counter
		}
	}
END
seen() { # PORT
	ip netns exec h2 nft list table netdev watch | grep "dport $1" | sed 's/.*packets \([0-9]*\).*/\1/'
}

router h1
router h2
wait_until "public keys are told" 30 test -s /tmp/h1/wireguard.json -a -s /tmp/h2/wireguard.json
discovery h1 1 h2 2
discovery h2 2 h1 1
wait_until "containers talk" 60 pings h1 10.72.0.10
must "and the other way" pings h2 10.71.0.10
for h in h1 h2; do
	must "the table of $h" ip netns exec $h nft list table inet docker-router
done
must "full size" pings h1 10.72.0.10 -s 1338
must "the kernel's WireGuard is used" grep -q '"in_kernel": *true' /tmp/h1/router.json
handshake() { grep -q '"handshake"' /tmp/h1/router.json; }
wait_until "a handshake is told" 40 handshake
[ "$(seen 51820)" -gt 2 ] || fail "packets of WireGuard on the cable: $(seen 51820)"
[ "$(seen 4789)" = 0 ] || fail "VXLAN on the cable: $(seen 4789)"
echo "ok no VXLAN on the cable"

# from a container, past h1's own rule: h1 only forwards it
printf '\010\000\000\000\000\003\350\000xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' >/tmp/frame
must "a frame from a container" ip netns exec h1c socat -u FILE:/tmp/frame UDP4-SENDTO:192.0.2.2:4789
ip netns exec h1 socat -u FILE:/tmp/frame UDP4-SENDTO:192.0.2.2:4789 >/dev/null 2>&1
counted() { [ "$(rule h2 prerouting)" -gt 0 ] && [ "$(rule h1 output)" -gt 0 ]; }
wait_until "frames in clear are dropped on both ends" 10 counted
ip netns exec h1 nft delete table inet docker-router
back() { ip netns exec h1 nft list table inet docker-router; }
wait_until "a table that was deleted is back" 10 back

device=drwg11111111
in_wg() {
	nsenter --net=/run/h1/11111111/wireguard "$@"
}
echoes() { ip netns exec h1c awk '$1 == "Icmp:" { if (n) print $n; else for (i = 2; i <= NF; i++) if ($i == "OutEchos") n = i }' /proc/net/snmp; }
begun=$(echoes)
ip netns exec h1c sh -c 'ping -i 0.05 10.72.0.10 >/tmp/flow 2>&1 & echo $! >/tmp/flow.pid'
kill -9 "$(cat /tmp/h1.pid)"
must "a killed router interrupts nothing" pings h1 10.72.0.10
file=$(ls -i /tmp/h1/router.json)
router h1
adopted() { [ "$(ls -i /tmp/h1/router.json)" != "$file" ]; }
wait_until "another router" 20 adopted

# another key in the ring, first here, then there: the pre-shared key changes, the flow does not stop
for h in h1 h2; do
	printf '%s\n%s\n' $other $ring >/tmp/$h.key
	kill -HUP "$(cat /tmp/$h.pid)"
done
two() { [ "$(grep -cE '^ *"[0-9a-f]{8}",?$' /tmp/h1/wireguard.json)" = 2 ] && [ "$(grep -cE '^ *"[0-9a-f]{8}",?$' /tmp/h2/wireguard.json)" = 2 ]; }
wait_until "both tell two keys" 20 two
discovery h1 1 h2 2
discovery h2 2 h1 1
changed() { grep -q 'first="wireguard wireguard peer [0-9a-f]* preshared-key' /tmp/h1.log && grep -q 'first="wireguard wireguard peer [0-9a-f]* preshared-key' /tmp/h2.log; }
wait_until "another pre-shared key on both" 20 changed
must "the session goes on" pings h1 10.72.0.10
long() { [ "$(echoes)" -gt $((begun + 30)) ]; }
wait_until "a flow of thirty packets and more" 60 long
kill -INT "$(cat /tmp/flow.pid)"
told() { grep 'packets transmitted' /tmp/flow; }
wait_until "the flow's report" 10 told
told | sed 's/^/# /'
# what was on its way at the end may be missing, and nothing before it
gaps() { sed -n 's/.*seq=\([0-9]*\).*/\1/p' /tmp/flow | sort -n | awk '{ if ($1 > n) m += $1 - n; n = $1 + 1 } END { print m + 0, n + 0 }'; }
[ "$(gaps | cut -d' ' -f1)" = 0 ] && [ "$(gaps | cut -d' ' -f2)" -gt 20 ] || fail "the flow lost packets (missing, last): $(gaps)"
echo "ok nothing was lost"

# another private key of h1's: a second device in the kernel, and the flow goes over to it
begun=$(echoes)
ip netns exec h1c sh -c 'ping -i 0.02 10.72.0.10 >/tmp/flow 2>&1 & echo $! >/tmp/flow.pid'
must "another key is made" env STATE_DIR=/tmp/h1 /prog/docker-router key renew
kill -HUP "$(cat /tmp/h1.pid)"
tells() { grep -q '"next"' /tmp/h1/wireguard.json; }
wait_until "both keys are told" 20 tells
discovery h2 2 h1 1
two_devices() { [ "$(in_wg ip -o link | grep -c drwg)" = 2 ]; }
wait_until "two devices" 10 two_devices
one_key() { ! grep -q '"next"' /tmp/h1/wireguard.json; }
wait_until "the new key has taken over" 90 one_key
discovery h2 2 h1 1
one_device() { [ "$(in_wg ip -o link | grep -c drwg)" = 1 ] && ! in_wg ip link show dev $device; }
wait_until "the old device is gone" 20 one_device
device=${device}b
kept=$(echoes)
further() { [ "$(echoes)" -gt $((kept + 50)) ]; }
wait_until "the flow goes on" 60 further
kill -INT "$(cat /tmp/flow.pid)"
wait_until "the flow's report" 10 told
told | sed 's/^/# /'
[ "$(gaps | cut -d' ' -f1)" = 0 ] && [ "$(gaps | cut -d' ' -f2)" -gt 100 ] || fail "the flow lost packets (missing, last): $(gaps)"
echo "ok nothing was lost by it"

in_wg ip link del dev $device
wait_until "a device that was deleted comes back, with a handshake by the new key" 40 pings h1 10.72.0.10

# --- a third host, which relays ---
host h3 3
sed -i 's/"vni":1000/"vni":2000/' /tmp/h3/inventory.json
cp /tmp/h1.key /tmp/h3.key
ip -n h3 addr add 192.0.2.3/32 dev lo
for n in 1 2; do
	ip link add dev to3 netns h$n type veth peer name to$n netns h3
	ip -n h$n link set dev to3 up
	ip -n h3 link set dev to$n up
	ip -n h$n route add 192.0.2.3 dev to3 src 192.0.2.$n
	ip -n h3 route add 192.0.2.$n dev to$n src 192.0.2.3
done
relay=on router h3
wait_until "the relay tells its key" 30 test -s /tmp/h3/wireguard.json
peer() { # NUMBER: as the others hear of it
	cat <<-END
		{"stack_id":"s$1","host_ip":"192.0.2.$1","vxlan_endpoint":"192.0.2.$1:4789","vni":$([ $1 = 3 ] && echo 2000 || echo 1000),
		"last_seen":"2026-01-01T00:00:00Z","status":"active","subnets":["10.7$1.0.0/24"],"host_id":"$(cat /tmp/h$1/host_id)",
		"host_name":"h$1","seq":1,"wireguard":$(tr -d '\n' </tmp/h$1/wireguard.json | sed 's/"version": *1,//'),"source":"static"}
	END
}
all_heard() { # what discovery does with all that changes
	for n in 1 2 3; do
		others=
		for m in 1 2 3; do
			[ $m = $n ] || others="$others${others:+,}$(peer $m)"
		done
		cat >/tmp/h$n/new <<-END
			{"version":1,"last_update":"2026-01-01T00:00:00Z","self":{"host_id":"$(cat /tmp/h$n/host_id)","host_name":"h$n",
			"host_ip":"192.0.2.$n","vxlan_port":4789,"seq":1,"modes":["static"],"stacks":[]},"peers":[$others],"problems":[]}
		END
		cmp -s /tmp/h$n/new /tmp/h$n/discovery.json || mv /tmp/h$n/new /tmp/h$n/discovery.json
	done
}
sessions() {
	all_heard
	grep -q '"by"' /tmp/h1/wireguard.json && grep -q '"by"' /tmp/h2/wireguard.json
}
# cut off from each other, and without the session that they had, which would count for three minutes
for n in 1 2; do
	ip netns exec h$n nft "table netdev cut { chain in { type filter hook ingress device cable$n priority -10; drop; }; }"
done
in_wg ip link del dev $device
nsenter --net=/run/h2/22222222/wireguard ip link del dev drwg22222222
wait_until "both have a session with the relay" 60 sessions
relayed() {
	all_heard
	pings h1 10.72.0.10
	grep -q '"relay_name": *"h3"' /tmp/h1/router.json && grep -q '"relay_name": *"h3"' /tmp/h2/router.json
}
wait_until "h1 and h2 take the relay" 90 relayed
wait_until "containers talk by way of it" 20 pings h1 10.72.0.10
must "full size" pings h1 10.72.0.10 -s 1338
must "and the other way" pings h2 10.71.0.10
for n in 1 2; do
	ip netns exec h$n nft delete table netdev cut
done
direct() {
	all_heard
	! grep -q '"relay_name"' /tmp/h1/router.json /tmp/h2/router.json
}
wait_until "when they reach each other again, they do without" 90 direct
must "containers talk" pings h1 10.72.0.10
end "all is well"
