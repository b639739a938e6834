#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: trixie-v4 debian-v6 sid-v4
#
# DATAPATH=leg and its shortcut: most of a connection passes neither the host's forwarding nor its bridge, but what opens
# and closes it does, and what the firewall forbids stays forbidden. It comes with a container, comes back when it is
# deleted, goes with its setting, and with down.
. "$(dirname "$0")/lib.sh"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
GROUP=239.1.1.1
[ "$UNDERLAY" = v4 ] || GROUP=ff05::4790
cat >"$FILES/topology" <<-END
	switch sw
	host h1 192.0.2.1/24 2001:db8::1/64 DATAPATH=leg MULTICAST_GROUP=$GROUP dockerd=--experimental,--ip6tables
	host h2 192.0.2.2/24 2001:db8::2/64 DATAPATH=leg MULTICAST_GROUP=$GROUP dockerd=--experimental,--ip6tables
END
lab_begin "$FILES/topology"
"$TOP/lab/drops" h1
"$TOP/lab/drops" h2

step "a stack on each host, and one whose containers may not talk to each other"
network_on h1 shop 100 10.71.0.0/24 fd00:71::/64
network_on h1 mute 100 10.74.0.0/24 -- -o com.docker.network.bridge.enable_icc=false
network_on h2 blog 100 10.72.0.0/24 fd00:72::/64
container_on h1 shop shop --ip 10.71.0.10 --ip6 fd00:71::10
container_on h1 mute mute --ip 10.74.0.10
container_on h2 blog blog --ip 10.72.0.10 --ip6 fd00:72::10
reach h1 shop 10.72.0.10
reach h1 shop fd00:72::10
reach h2 blog 10.71.0.10
reach_full_size h1 shop 10.72.0.10 "$(overlay_mtu)"
reach_full_size h2 blog 10.71.0.10 "$(overlay_mtu)"

# The page of port 81 has a megabyte. It goes out by the host's forwarding on one host, in by the bridge on the other.
SPY='add table inet spy; delete table inet spy; add table inet spy; add chain inet spy f { type filter hook forward priority 0; }
	add rule inet spy f tcp sport 81 counter
	add table bridge spy; delete table bridge spy; add table bridge spy; add chain bridge spy f { type filter hook forward priority 0; }
	add rule bridge spy f tcp sport 81 counter'
bytes() { # HOST FAMILY: of pages, that its firewall has seen
	on "$1" nft list chain "$2" spy f | sed -n 's/.* bytes \([0-9]*\).*/\1/p'
}
fetch() { # HOST CONTAINER ADDRESS: pages, whole
	local i
	for i in 1 2 3; do
		must_equal "bytes of a page" 1000000 \
			"$(in_container "$1" "$2" sh -c "timeout 60 nc -w 30 $3 81 </dev/null | wc -c")"
	done
}
seen() { # FROM-HOST CONTAINER TO-HOST ADDRESS: bytes on the way out of TO-HOST and into FROM-HOST, of three pages
	on "$1" nft "$SPY"
	on "$3" nft "$SPY"
	fetch "$1" "$2" "$4"
	out=$(bytes "$3" inet) in=$(bytes "$1" bridge)
}
taken() { # FROM-HOST CONTAINER TO-HOST ADDRESS
	seen "$@"
	[ "$out" -gt 0 ] && [ "$in" -gt 0 ] || fail "the firewalls saw nothing of $4: $out bytes out, $in in"
	[ "$out" -lt 1000000 ] && [ "$in" -lt 1000000 ] ||
		fail "of three pages of $4, 3 MB, the firewalls saw $out bytes on the way out, $in on the way in"
}
has_table() { # HOST
	on "$1" nft list table netdev docker-router >/dev/null 2>&1
}
step "most of a page is seen by no firewall, but something of each"
taken h1 shop h2 10.72.0.10
taken h2 blog h1 10.71.0.10
taken h1 shop h2 fd00:72::10

step "a container that was restarted has it again, within milliseconds"
docker_on h2 restart -t 0 blog >/dev/null
reach h1 shop 10.72.0.10
port() { # HOST: is the port of the one container in it?
	local port
	port=$(on "$1" ip -br link show type veth | sed -n 's/^\(veth[^@]*\)@.*/\1/p' | head -n 1)
	on "$1" nft list table netdev docker-router 2>/dev/null | grep -q "\"*$port\"*"
}
wait_until "the new port of blog is in the table" 5 port h2
taken h1 shop h2 10.72.0.10

step "deleted, it comes back; so does a rule"
rules() { on h2 nft -a list table netdev docker-router 2>/dev/null | grep -c 'handle [0-9]*$'; }
before=$(rules)
on h2 nft delete table netdev docker-router
wait_until "the table of h2" 5 has_table h2
for chain in $(on h2 nft list table netdev docker-router | sed -n 's/.*chain \(from-leg-[^ ]*\).*/\1/p'); do
	on h2 nft flush chain netdev docker-router "$chain"
done
whole() { [ "$(rules)" = "$before" ]; }
wait_until "the rules of h2" 5 whole
taken h1 shop h2 10.72.0.10

step "what the firewall forbids stays forbidden"
must_fail connects h1 mute 10.72.0.10
docker_on h2 exec -d blog sh -c 'socat -u TCP-LISTEN:9000,reuseaddr,fork CREATE:/heard'
docker_on h1 exec -d shop sh -c 'while echo x; do sleep 0.1; done | socat -u - TCP:10.72.0.10:9000,retry=50,interval=0.1'
heard() { in_container h2 blog sh -c 'wc -c </heard 2>/dev/null || echo 0'; }
grows() {
	local was
	was=$(heard)
	sleep 1
	[ "$(heard)" -gt "$was" ]
}
stopped() { ! grows; }
wait_until "what shop sends arrives" 20 grows
on h1 iptables -I FORWARD -p tcp --dport 9000 -j DROP
wait_until "a rule that comes later ends the connection" 30 stopped
must_fail connects h1 shop 10.72.0.10 9000
on h1 iptables -D FORWARD -p tcp --dport 9000 -j DROP
wait_until "without the rule it goes on" 60 grows

step "grade route has it too"
for h in h1 h2; do
	service_of $h router restart DATAPATH=route
done
routed() { on "$1" docker-router stacks | grep -q route; }
wait_until "grade route on h1" 10 routed h1
wait_until "grade route on h2" 10 routed h2
reach h1 shop 10.72.0.10
taken h1 shop h2 10.72.0.10
for h in h1 h2; do
	service_of $h router restart DATAPATH=leg
done

step "with auto there is none; switched off there is none"
service_of h2 router restart LEG_SHORTCUT=off
gone() { ! has_table "$1"; }
wait_until "no table on h2" 10 gone h2
reach h1 shop 10.72.0.10
seen h1 shop h2 10.72.0.10
[ "$out" -ge 3000000 ] || fail "of 3 MB the firewall of h2 saw $out bytes, with LEG_SHORTCUT=off"
service_of h1 router restart DATAPATH=auto
wait_until "no table on h1" 10 gone h1
service_of h1 router restart DATAPATH=leg
wait_until "the table of h1" 10 has_table h1

step "down leaves nothing"
on h1 docker-router down >/dev/null
must_equal "tables of ours on h1" '' "$(on h1 nft list tables | grep docker-router || true)"
