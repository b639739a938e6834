#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 120
#
# A network that the home router has a route to (`routed`): the LAN reaches containers at their own addresses, and they the
# LAN, without NAT, past FORWARD DROP and Docker 28's drops; over IPv6 the LAN learns the route by router advertisements.
# Without the word nothing of it is open, and in the end nothing is left.
. "$(dirname "$0")/lib.sh"

cat >"/tmp/$LAB.topology" <<-END
	switch sw
	node tv 192.0.2.50/24 2001:db8::50/64
	node r 192.0.2.254/24
	host h1 192.0.2.1/24 2001:db8::1/64 MULTICAST_ADVERTISE=on
END
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"

# the home router has the route, and the television knows only the router
inside r sysctl -qw net.ipv4.ip_forward=1
inside r ip route add 172.30.0.0/24 via 192.0.2.1
inside r sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
inside tv ip route replace default via 192.0.2.254
inside tv sysctl -qw net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.eth0.accept_ra_rt_info_max_plen=64

bracketed() { # ADDRESS
	case $1 in
	*:*) echo "[$1]" ;;
	*) echo "$1" ;;
	esac
}
tv_asks() { # ADDRESS: who answers, and whom it saw
	inside tv timeout 3 socat -u "TCP:$(bracketed "$1"):80" -
}
drops() { # those of Docker 28, where the engine makes none
	[ "$ENGINE" = debian ] || return 0
	inside h1 iptables -t raw -A PREROUTING -d 172.30.0.2 ! -i "$(bridge)" -j DROP
}
bridge() {
	echo "br-$(docker_on h1 network inspect -f '{{.Id}}' media | cut -c1-12)"
}
up() { # LABEL
	network_on h1 media - 172.30.0.0/24 2001:db8:30::/64 -- --label "docker-router.multicast=$1"
	container_on h1 box media --ip 172.30.0.2 --ip6 2001:db8:30::2
	drops
}
down() {
	docker_on h1 rm -f box >/dev/null
	docker_on h1 network rm media >/dev/null
}
firewall() { # without counters, and the drops of this test
	inside h1 iptables-save | sed 's/\[[0-9:]*\]//; /^#/d; /-d 172.30.0.2/d'
}
rules() {
	inside h1 nft list table netdev docker-router-multicast 2>/dev/null
}
has_way() { rules | grep -q "fwd ip to ip daddr device \"$(bridge)\""; }
has_no_way() { ! rules | grep -q 'fwd ip'; }
answers() { # ADDRESS WORDS
	[ "$(tv_asks "$1" 2>/dev/null)" = "$2" ]
}

step "without the word the LAN does not get in"
up ssdp
wait_until "the network is relayed" 15 jq -e '.legs | length == 2' "$DIR/h1/state/multicast.json"
must_fail tv_asks 172.30.0.2
must_fail inside tv ping -c 1 -W 2 172.30.0.2
down

step "with it, at its own address, and without NAT"
before=$(firewall)
up ssdp,routed
wait_until "there is a way" 15 has_way
wait_until "the LAN is answered" 15 answers 172.30.0.2 'box 192.0.2.50'
inside tv ping -c 1 -W 5 172.30.0.2 >/dev/null
in_container h1 box ping -c 1 -W 5 192.0.2.50 >/dev/null
bytes() { [ "$(inside tv timeout 60 socat -u TCP:172.30.0.2:81 - | wc -c)" = 1000000 ]; }
wait_until "a megabyte arrives" 30 bytes
seen() { # by the television, of a connection from the container
	inside tv timeout 60 socat -u TCP-LISTEN:8080,reuseaddr SYSTEM:'echo $SOCAT_PEERADDR >&2' 2>"$DIR/peer" &
	local listener=$!
	wait_until "the television listens" 5 inside tv sh -c 'ss -Hltn "sport = 8080" | grep -q .'
	in_container h1 box timeout 30 nc -w 25 192.0.2.50 8080 </dev/null || true
	wait $listener || true
	tail -n 1 "$DIR/peer"
}
must_equal "the television sees" 172.30.0.2 "$(seen)"

step "the host itself stays what it is"
inside tv ping -c 1 -W 5 192.0.2.1 >/dev/null
in_container h1 box ping -c 1 -W 5 172.30.0.1 >/dev/null
in_container h1 box ping -c 1 -W 5 192.0.2.1 >/dev/null
must_fail inside tv ping -c 1 -W 2 172.31.0.1

step "IPv6: the route is advertised"
route() { inside tv ip -6 route show 2001:db8:30::/64 proto ra | grep -q 'via fe80'; }
wait_until "the television has the route" 15 route
wait_until "the LAN is answered over IPv6" 15 answers 2001:db8:30::2 "box $(ip6_long 2001:db8::50)"

step "who asks for routers is answered"
# five times within a minute; without asking it would be three after a change, and one a minute
inside tv timeout 100 python3 - eth0 <<-'END' || fail "solicitations are not answered"
	import select, socket, struct, sys, time
	s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
	s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(sys.argv[1]))
	s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
	begin, answers, asked = time.monotonic(), 0, 0
	while answers < 5 and time.monotonic() < begin + 55:
	    if time.monotonic() >= asked + 4:
	        s.sendto(struct.pack("!BBHI", 133, 0, 0, 0), ("ff02::2", 0))
	        asked = time.monotonic()
	    if select.select([s], [], [], 0.2)[0] and s.recv(2000)[0] == 134:
	        answers, asked = answers + 1, 0
	print(answers, "answers in", round(time.monotonic() - begin), "s")
	sys.exit(answers < 5)
END

step "the role is killed: the way stays"
touch "$DIR/killed"
kill -9 "$(jq -r '.roles[] | select(.role == "multicast") | .pid' "$DIR/h1/state/host.json")"
must_equal "who answers" 'box 192.0.2.50' "$(tv_asks 172.30.0.2)"
back() { # with the networks: it takes back only what it has told
	[ "$DIR/h1/state/multicast.json" -nt "$DIR/killed" ] && jq -e '.legs | length > 1' "$DIR/h1/state/multicast.json"
}
wait_until "another role" 15 back

step "all of it is killed, and a network goes meanwhile: its route is taken back, the other's stays"
network_on h1 second - 172.31.0.0/24 2001:db8:31::/64 -- --label docker-router.multicast=ssdp,routed
second() { inside tv ip -6 route show 2001:db8:31::/64 proto ra | grep -q 'via fe80'; }
wait_until "the television has its route" 15 second
told() { jq -e '.advertised | index("2001:db8:31::/64")' "$DIR/h1/state/multicast.json"; }
wait_until "that is in the file" 15 told
service_of h1 router kill
touch "$DIR/killed"
docker_on h1 network rm second >/dev/null
proc_start "$DIR/routes.proc" "$DIR/routes" nsenter --net="/run/netns/$(ns tv)" -- ip -6 monitor route
at_exit proc_end "$DIR/routes.proc"
heard() { # NET
	grep -q "^Deleted 2001:db8:$1::/64" "$DIR/routes"
}
probed() {
	inside tv ip -6 route replace 2001:db8:99::/64 dev lo && inside tv ip -6 route del 2001:db8:99::/64 dev lo && heard 99
}
wait_until "somebody listens to the television's routes" 15 probed
service_of h1 router start
wait_until "the route is taken back" 15 heard 31
wait_until "another role" 15 back
must_fail heard 30

step "the last network too"
route || fail "the first network's route has gone"
service_of h1 router kill
down
service_of h1 router start
wait_until "the route is taken back" 15 heard 30
left() { jq -e '(.legs | length == 0) and (has("advertised") | not)' "$DIR/h1/state/multicast.json"; }
wait_until "it is told three times, and the LAN is left" 30 left
up ssdp,routed
wait_until "the television has the route again" 15 route

step "the end"
down
wait_until "no way is left" 15 has_no_way
gone() { ! route; }
wait_until "the route is taken back" 15 gone
must_equal "rules of the firewall" "$before" "$(firewall)"
