#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
#
# A hostile host on the same switch: broken and lying datagrams, a flood of stacks that do not exist, VXLAN frames of one who
# is no peer. Nothing becomes a route, nobody crashes, memory stays bounded, peers stay peers; and others' use of the
# VXLAN port is not touched.
. "$(dirname "$0")/faults/common.sh"

# without Docker's rules: then nothing tracks connections, and puts fragments together, before our rules see them
faults_begin dockerd=--iptables=false
flows_ready
evil() {
	inside evil python3 "$FAULTS/evil.py" "$@"
}
pid=$(role_pid h1 discovery)
rss() { # ROLE [VmHWM]
	sed -n "s/^${2:-VmRSS}:[^0-9]*\([0-9]*\).*/\1/p" "/proc/$(role_pid h1 "$1")/status"
}
holds() { # ROLE KB
	[ "$(rss "$1")" -le "$2" ]
}
asan=''
! grep -q asan "/proc/$pid/maps" || asan=1
counts() { # the counters of discovery on h1: "received=7 own=1 ..."
	local n
	n=$(lines h1 "discovery: datagrams ")
	kill -USR1 "$pid"
	wait_until "the counters" 3 counted $((n + 1))
	grep 'discovery: datagrams ' "$DIR/h1/router.log" | tail -n 1 | sed 's/.*datagrams //'
}
counted() { # COUNT
	[ "$(lines h1 "discovery: datagrams ")" -ge "$1" ]
}
refused() { # the number of all that were refused
	counts | tr ' ' '\n' | awk -F = '$1 ~ /^(shape|version|field|sender|identity|claim|part)$/ { n += $2 } END { print n }'
}
peers() { # of h1: who, and where
	on h1 docker-router peers --format json | jq -r '.peers[] | "\(.vni) \(.stack_id) \(.host_ip // .address) \(.subnets) \(.status)"' | sort
}
held h1 >"$FILES/held"
peers >"$FILES/peers"
id1=$(cat "$DIR/h1/state/host_id") id2=$(cat "$DIR/h2/state/host_id")

step "VXLAN frames: those of a peer arrive, those of others do not"
mac=$(in_vni h1 1000 ip -j link show dev vx1000 | jq -r '.[0].address')
one=$(pid_of h1 one)
proc_start "$FILES/hears.proc" "$FILES/heard" nsenter --net="/proc/$one/ns/net" -- socat -u UDP4-RECV:9999 STDOUT
at_exit proc_end "$FILES/hears.proc"
listens() { nsenter --net="/proc/$one/ns/net" -- ss -Huln 'sport = :9999' | grep -q .; }
wait_until "a listener in one" 5 listens
heard() { grep -qaF "$1" "$FILES/heard"; }
in_frame() { # NODE TEXT [SOURCE SIZE]
	inside "$1" python3 "$FAULTS/evil.py" frame 192.0.2.1 1000 "$mac" 10.72.0.10 10.71.0.10 9999 "<$2>" "${@:3}"
}
in_frame evil "of a stranger"
for size in 8 16 24; do # with 8, the first fragment does not hold the VNI
	in_frame evil "of a stranger in fragments" 192.0.2.66 $size
done
in_frame h2 "of a peer in fragments" 192.0.2.2 16
in_frame h2 "of a peer"
wait_until "the frame of a peer" 5 heard "<of a peer>"
wait_until "that in fragments" 5 heard "<of a peer in fragments>"
must_fail heard stranger

step "another VNI on the same port is not our business"
for h in h1:192.0.2.1:192.0.2.66:1 evil:192.0.2.66:192.0.2.1:2; do
	IFS=: read -r h local remote n <<<"$h"
	inside "$h" ip link add dev vx77 type vxlan id 77 dstport 4789 local "$local" remote "$remote"
	inside "$h" ip addr add "198.51.100.$n/24" dev vx77
	inside "$h" ip link set dev vx77 up
done
wait_until "VNI 77" 5 inside h1 ping -c 1 -W 1 198.51.100.2
inside evil ping -q -c 3 -i 0.2 -W 1 198.51.100.1 >/dev/null || fail "VNI 77 is disturbed"
inside h1 ip link del dev vx77
all_talk

step "hostile datagrams, of which none may have any effect"
flows_start
refused_before=$(refused)
n=$(evil send refused 192.0.2.1 "$id1" "$id2")
[ "$n" -ge 50 ] || fail "$n datagrams sent"
all_refused() { [ $(($(refused) - refused_before)) -ge "$n" ]; }
wait_until "$n refusals" 5 all_refused
must_equal "discovery" "$pid" "$(role_pid h1 discovery)"
peers | diff "$FILES/peers" - || fail "the peers are not as before"
held_must "after hostile datagrams" h1 "$FILES/held"
grep -o 'datagram refused: [a-z A-Z_0-9]*' "$DIR/h1/router.log" | sort | uniq -c
grep -o 'datagram refused: [^=]* from=' "$DIR/h1/router.log" | sort -u >"$FILES/kinds"
while read -r line; do # one each ten seconds
	[ "$(lines h1 "discovery: $line")" -le 2 ] || fail "$(lines h1 "discovery: $line") lines within seconds: $line"
done <"$FILES/kinds"
must_contain "the log" 'cloned disk' "$(grep 'datagram refused' "$DIR/h1/router.log")"

step "subnets that nobody may have, or somebody has"
evil send subnets 192.0.2.1 "$id1" "$id2"
evil_known() { [ "$(peers | grep -c evil)" -ge 14 ]; }
wait_until "the evil stacks" 5 evil_known
must_not_route() {
	held h1 | grep -E '(10\.66|0\.0\.0\.0/|128\.0\.0\.0|192\.0\.0\.0/16|192\.0\.2\.[0-9/]* via|::/0|10\.71\.0\.8/29|10\.72\.0\.10 |172\.17\.0\.0/16 via)' || true
}
must_equal "routes" '' "$(must_not_route)"
refused_by_router() { [ "$(jq '[.refused[].stack_id] | sort | unique | join(" ")' "$DIR/h1/state/router.json")" = '"evil-docker evil-one evil-own evil-part evil-peer"' ]; }
wait_until "the refusals of the router" 5 refused_by_router
for net in 0.0.0.0/0 0.0.0.0/1 ::/0 192.0.2.0/24 192.0.2.2/32 192.0.0.0/16 127.0.0.0/8 224.0.0.0/4 169.254.0.0/16; do
	must_equal "lines about $net" 1 "$(lines h1 "subnet $net is refused")"
done
flows_must

step "a flood of 20,000 stacks from 64 addresses, all of them each 4 seconds"
for n in $(seq 100 163); do
	echo "addr add 192.0.2.$n/24 dev eth0"
done | ip -n "$(ns evil)" -batch -
flows_start
echo "resident before: discovery $(rss discovery), router $(rss router) kB"
# on and on: what a slow receiver's socket drops comes again, as from hosts that announce
began=$SECONDS
proc_start "$FILES/flood.proc" "$FILES/flood.log" nsenter --net="/run/netns/$(ns evil)" -- \
	python3 "$FAULTS/evil.py" flood 192.0.2.1 4 20000 64 1000
at_exit proc_end "$FILES/flood.proc"
many=${asan:+2000} # the sanitizers' discovery is not as fast as the flood, of which it is to take some of everything
many=${many:-10000}
known() { [ "$(grep -c '"status"' "$DIR/h1/state/discovery.json")" -ge "$many" ]; } # jq takes long for a megabyte
wait_until "$many peers" 60 known
proc_end "$FILES/flood.proc"
echo "resident after: discovery $(rss discovery), router $(rss router) kB, inventory $(rss inventory) kB; $(counts)"
must_equal "discovery" "$pid" "$(role_pid h1 discovery)"
number=$(jq '.peers | length' "$DIR/h1/state/discovery.json")
[ "$number" -le 16384 ] || fail "$number peers"
if [ -z "$asan" ]; then
	echo "at most: discovery $(rss discovery VmHWM), router $(rss router VmHWM) kB"
	# while a file is written its text is there as well
	wait_until "discovery has 24 MB resident at most" 15 holds discovery 24576
	wait_until "router has 80 MB resident at most" 15 holds router 81920
	[ "$(rss discovery VmHWM)" -le 65536 ] || fail "discovery had $(rss discovery VmHWM) kB resident"
fi
number=$(lines h1 "discovery: peer appeared")
# some hundred at once, then 20 a second
[ "$number" -le $((300 + 20 * (SECONDS - began + 2))) ] || fail "$number lines about peers that appeared in $((SECONDS - began)) s"
flows_must
must_contain "the peers" '^1000 two 192.0.2.2 .*active$' "$(peers)"
must_contain "the peers" '^2000 four 192.0.2.2 .*active$' "$(peers)"
all_talk
