#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: sid-v4
#
# Two `docker-router host` on one machine, in two network namespaces, with one RUN_DIR, the same VNI and the same names: they
# meet over the wire and nowhere else. With the wire cut, neither knows of the other; what one takes down, the other keeps.
. "$(dirname "$0")/lib.sh"

FILES=$(mktemp -d)
chmod 755 "$FILES" # the roles are users of their own
RUN=$FILES/run
mkdir "$RUN"
at_exit rm -rf "$FILES"
unpin() { # when the test ends early
	local f
	for f in "$RUN"/*/* "$RUN"/* "$RUN"; do
		umount -l "$f" 2>/dev/null
	done
}
at_exit unpin
for n in 1 2; do
	echo "host h$n 192.0.2.$n/24 RUN_DIR=$RUN ANNOUNCE_INTERVAL=1 PEER_TIMEOUT=3"
done >"$FILES/topology"
sed -i '1i switch sw' "$FILES/topology"
lab_begin "$FILES/topology"
router() { # HOST VERB ARGS...
	local h=$1
	shift
	on "$h" env RUN_DIR="$RUN" docker-router "$@"
}
state() { # HOST FILE FILTER
	jq -rc "$3" "$DIR/$1/state/$2.json"
}
hosts_of() { # HOST: whom it knows
	state "$1" discovery '[.peers[].host_name] | unique | join(" ")'
}
knows() { # HOST WANTED
	[ "$(hosts_of "$1")" = "$2" ]
}

step "the same stacks on both, and no wire"
"$TOP/lab/cut" h1 h2
for n in 1 2; do
	network_on h$n shop 100 10.7$n.1.0/24
	network_on h$n blog 100 10.7$n.2.0/24
	container_on h$n shop shop --ip 10.7$n.1.10
	container_on h$n blog blog --ip 10.7$n.2.10
	"$TOP/lab/drops" h$n
done
for n in 1 2; do
	reach h$n shop 10.7$n.2.10
	reach h$n blog 10.7$n.1.10
	must_equal "whom h$n knows" "" "$(hosts_of h$n)"
done
unreach h1 shop 10.72.1.10
unreach h2 shop 10.71.1.10

step "the wire"
"$TOP/lab/heal"
wait_until "h1 knows h2" 5 knows h1 h2
wait_until "h2 knows h1" 5 knows h2 h1
reach h1 shop 10.72.1.10
reach h2 blog 10.71.1.10

step "nothing is shared"
[ "$(state h1 discovery .self.host_id)" != "$(state h2 discovery .self.host_id)" ] || fail "one host_id for both"
pin1=$(state h1 router '.vnis[0].namespace') pin2=$(state h2 router '.vnis[0].namespace')
must_equal "namespaces pinned in RUN_DIR" "$(printf '%s\n' "$pin1" "$pin2" | sort)" "$(ls -d "$RUN"/*/vni-*)"
[ "$(stat -Lc %i "$pin1")" != "$(stat -Lc %i "$pin2")" ] || fail "$pin1 and $pin2 are one namespace"
links() { # PIN: what each link is for
	nsenter --net="$1" ip -j -d link | jq -r '.[] | select(.ifalias) | .ifalias' | sort | xargs
}
for p in "$pin1" "$pin2"; do
	must_equal "links in $p" "docker-router:leg:blog docker-router:leg:shop docker-router:nic:blog docker-router:nic:shop docker-router:vxlan:100" \
		"$(links "$p")"
	must_equal "stranger's links" 1 "$(nsenter --net="$p" ip -j link | jq '[.[] | select(.ifalias | not)] | length')" # lo
done
answer=$(ask h1 shop 10.72.1.10)
must_equal "who answers" "shop 10.71.1.10" "$answer"
"$TOP/lab/pcap" sw "$FILES/sw.pcap" udp port 4789 2>"$FILES/pcap.err" &
pcap=$!
wait_until "tcpdump listens" 5 grep -q listening "$FILES/pcap.err"
crosses() {
	pings h1 shop 10.72.1.10
	tcpdump -nr "$FILES/sw.pcap" 2>/dev/null | grep -q 'IP 10.71.1.10 > 10.72.1.10: ICMP echo request'
}
wait_until "a ping in VXLAN on the wire" 5 crosses
kill $pcap
wait $pcap || true

step "the wire is cut"
"$TOP/lab/cut" h1 h2
unreach h1 shop 10.72.1.10
unreach h2 blog 10.71.1.10
wait_until "h1 forgets h2" 10 knows h1 ""
wait_until "h2 forgets h1" 10 knows h2 ""
reach h1 shop 10.71.2.10
reach h2 shop 10.72.2.10
"$TOP/lab/heal"
wait_until "h1 knows h2 again" 5 knows h1 h2
reach h1 shop 10.72.1.10

step "h1 gets a new host_id, then loses all of STATE_DIR: nothing of the old one is in the way"
pins() {
	find "$RUN" -mindepth 2 -name 'vni-*' | sort | xargs
}
waits_for_nothing() { # HOST
	[ "$(state "$1" router '.pending // [] | length')" = 0 ]
}
renewed() { # HOST OLD-PIN: the overlay is back, with one router namespace for each host
	local pin
	reach h1 shop 10.72.1.10
	reach h1 blog 10.71.1.10
	reach h2 blog 10.71.1.10
	wait_until "$1 waits for nothing" 5 waits_for_nothing "$1"
	pin=$(state "$1" router '.vnis[0].namespace')
	[ "$pin" != "$2" ] || fail "$1 has the old router namespace"
	must_equal "namespaces pinned in RUN_DIR" "$(printf '%s\n' "$pin" "$pin2" | sort | xargs)" "$(pins)"
	must_equal "what is in RUN_DIR" "$(printf '%s\n' "${pin%/*}" "${pin2%/*}" | sort | xargs)" "$(echo "$RUN"/*)"
}
inode2=$(stat -Lc %i "$pin2")
service_of h1 router stop
rm "$DIR/h1/state/host_id"
service_of h1 router start
renewed h1 "$pin1"
pin1=$(state h1 router '.vnis[0].namespace')
service_of h1 router kill
find "$DIR/h1/state" -mindepth 1 -delete
service_of h1 router start
renewed h1 "$pin1"
must_equal "router namespace of h2" "$inode2" "$(stat -Lc %i "$pin2")"

step "down without a host_id finds it too, and leaves what the other has, also when that is stopped"
service_of h1 router stop
service_of h2 router stop
find "$DIR/h1/state" -mindepth 1 -delete
router h1 down >"$FILES/down"
must_equal "namespaces pinned in RUN_DIR" "$pin2" "$(pins)"
must_equal "links of h1" "" "$(inside h1 ip -j -d link | jq -r '.[] | select((.ifalias // "") | startswith("docker-router:")) | .ifname')"
must_equal "its words, once more" 'nothing to remove' "$(router h1 down)"
reach h2 shop 10.72.2.10
service_of h2 router start
service_of h1 router start
reach h1 shop 10.72.1.10
must_equal "router namespace of h2" "$inode2" "$(stat -Lc %i "$pin2")"

step "one is taken down"
pid=$(service_of h2 router pid)
ping_pid=$(pid_of h2 shop)
nsenter --net="/proc/$ping_pid/ns/net" ping -q -i 0.01 -W 1 10.72.2.10 >"$FILES/ping" &
ping=$!
at_exit end $ping
router h1 down
must_fail service_of h1 router pid
must_equal "namespaces pinned in RUN_DIR" "$pin2" "$(ls -d "$RUN"/*/vni-* 2>/dev/null)"
must_equal "links of h1" "" "$(inside h1 ip -j -d link | jq -r '.[] | select((.ifalias // "") | startswith("docker-router:")) | .ifname')"
must_equal "rules of h1" "" "$(inside h1 ip -j rule | jq -c '.[] | select(.protocol == "212")')"
must_equal "pid of h2" "$pid" "$(service_of h2 router pid)"
must_equal "stacks of h2" "blog shop" "$(state h2 router '[.vnis[].legs[].stack_id] | sort | join(" ")')"
wait_until "h2 knows nobody" 5 knows h2 ""
grep -q 'peer said goodbye' "$DIR/h2/router.log" || fail "h2 was not told goodbye"
reach h2 shop 10.72.2.10
kill -INT $ping
wait $ping || true
must_contain "ping between the stacks of h2 meanwhile" ' [1-9][0-9]* received, 0% packet loss' "$(cat "$FILES/ping")"
router h2 down
must_equal "what is left in RUN_DIR" "" "$(find "$RUN" -mindepth 1 2>/dev/null || true)"
