#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 240
#
# A home as it is: a switch that watches IGMP and MLD, floods nothing and asks nobody, behind it a home router with the default
# route. minidlna is found by NOTIFY although its container had only just started, by IPv6, in two networks, and still when the
# switch has forgotten everybody who was not asked about (its ageing is seconds here). `down` leaves the host as it was.
. "$(dirname "$0")/lib.sh"

command -v minidlnad >/dev/null || skip "no minidlnad here (package minidlna)"
cat >"/tmp/$LAB.topology" <<-END
	switch sw
	node r 192.0.2.254/24
	node tv 192.0.2.50/24 2001:db8::50/64
	host h1 192.0.2.1/24 2001:db8::1/64 MULTICAST_QUERY_INTERVAL=2
END
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"
TV=$TEST_DIR/dlna.py
. "$TEST_DIR/dlna/lib.sh"
minidlna_image h1

state_of() { # of the host's network, as far as multicast could change it
	local f
	inside h1 nft list ruleset | grep -v '^#' | sed 's/packets [0-9]* bytes [0-9]*//'
	inside h1 ip rule
	inside h1 ip -6 rule
	inside h1 ip route show table all | sed 's/expires [0-9]*sec//' | grep -v '^fe80\|^anycast\|^local\|^multicast\|^broadcast'
	inside h1 ip mroute show table all
	inside h1 ip -6 mroute show table all
	for f in /proc/net/ip_mr_vif /proc/net/ip6_mr_vif; do
		inside h1 cat "$f" 2>/dev/null || true
	done
	inside h1 ip maddr show dev eth0
	inside h1 ip -br link | grep -v '^veth'
}
step "what the host was"
service_of h1 router stop
network_on h1 media_default - 172.30.0.0/24 2001:db8:30::/64 -- --label docker-router.multicast=ssdp
network_on h1 second - 172.31.0.0/24 -- --label docker-router.multicast=ssdp,mdns,239.5.0.0/16
state_of >"$DIR/before"

step "a switch that watches, and forgets within six seconds"
# one that has heard a query sends groups only to who has asked for them, or queries, as a switch in a home does always
inside sw ip link set dev br0 type bridge mcast_snooping 1 mcast_querier 0 mcast_membership_interval 600 \
	mcast_querier_interval 25500 mcast_last_member_interval 20
has_port() { # NODE GROUP: does the switch send it there?
	inside sw bridge mdb show | grep -q "port $1 grp $2 "
}

step "the role asks, so that the switch knows"
service_of h1 router start
wait_until "both networks are relayed" 20 jq -e '.legs | length == 3' "$DIR/h1/state/multicast.json"
inside tv "$TV" listen 192.0.2.50 600 >"$DIR/heard" &
ear=$!
at_exit end $ear
wait_until "the television listens" 10 grep -q listening "$DIR/heard"
minidlna_run h1 minidlna media_default
alive() { # COUNT: announced to the LAN so often, at least
	[ "$(grep -cE '^ssdp:alive http://192\.0\.2\.1:619[0-9]{2}/rootDesc.xml 192.0.2.1' "$DIR/heard")" -ge "$1" ]
}
wait_until "NOTIFY of a container that has just started" 30 alive 1
wait_until "the switch knows that the television listens" 20 has_port tv 239.255.255.250
whole "through the switch"

step "IPv6"
container_on h1 box media_default --ip6 2001:db8:30::6
nsenter --net="/proc/$(pid_of h1 box)/ns/net" "$TV" device6 eth0 2001:db8:30::6 >"$DIR/six" &
six=$!
at_exit end $six
wait_until "a device of IPv6" 10 grep -q ready "$DIR/six"
found6() { # GROUP
	inside tv "$TV" search6 eth0 "$1" >"$found" && grep -qE '^http://\[2001:db8::1\]:619[0-9]{2}/six.xml fe80' "$found"
}
wait_until "found by a search on the link (ff02::c)" 30 found6 ff02::c
found6_site() { # what is wider than the link comes from an address that is, too
	inside tv "$TV" search6 eth0 ff05::c >"$found" && grep -qE '^http://\[2001:db8::1\]:619[0-9]{2}/six.xml ' "$found"
}
wait_until "found by a search of the site (ff05::c)" 30 found6_site
mkdir -p "$DIR/six.d"
echo "<root>six</root>" >"$DIR/six.d/six.xml"
proc_start "$DIR/six.proc" "$DIR/six.log" nsenter --net="/proc/$(pid_of h1 box)/ns/net" -- \
	python3 -m http.server --bind 2001:db8:30::6 --directory "$DIR/six.d" 8200
at_exit proc_end "$DIR/six.proc"
fetched() { # over IPv6, at what was found
	inside tv timeout 5 python3 -c 'import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())' "$(head -n 1 "$found" | cut -d' ' -f1)" >"$DIR/six.got" 2>/dev/null &&
		cmp -s "$DIR/six.d/six.xml" "$DIR/six.got"
}
wait_until "its description is fetched" 20 fetched
proc_end "$DIR/six.proc"
end $six
docker_on h1 rm -f box >/dev/null

step "longer than the switch remembers"
container_on h1 late second
late_net=/proc/$(pid_of h1 late)/ns/net
nsenter --net="$late_net" "$TEST_DIR/stream.py" hear \
	"$(docker_on h1 inspect -f '{{.NetworkSettings.Networks.second.IPAddress}}' late)" 239.5.1.2 120 200 >"$DIR/late" &
late=$!
at_exit end $late
wait_until "the switch knows that a container listens to a stream" 20 has_port h1 239.5.1.2
begin=$SECONDS
aged() { [ $((SECONDS - begin)) -ge 14 ]; }
wait_until "two times the switch's memory" 30 aged
has_port tv 239.255.255.250 || fail "the switch has forgotten that the television listens"
has_port h1 239.5.1.2 || fail "the switch has forgotten that a container listens to a stream"
inside tv "$TEST_DIR/stream.py" send 192.0.2.50 239.5.1.2 200 1000 1
wait $late
must_equal "a stream after ageing" "200 192.0.2.50" "$(tail -n 1 "$DIR/late")"
docker_on h1 rm -f late >/dev/null
whole "after ageing"

step "a second network, and the container restarted"
docker_on h1 network connect second minidlna
n=$(grep -c '^ssdp:alive' "$DIR/heard" || true)
docker_on h1 restart -t 2 minidlna >/dev/null
minidlna_drops h1
wait_until "NOTIFY after a restart" 30 alive $((n + 1))
whole "in two networks"

step "without the role the switch forgets, so that it was the role that kept it"
kill -STOP "$(jq -r '.roles[] | select(.role == "multicast") | .pid' "$DIR/h1/state/host.json")"
forgotten() { ! has_port tv 239.255.255.250; }
wait_until "the switch forgets" 30 forgotten
kill -CONT "$(jq -r '.roles[] | select(.role == "multicast") | .pid' "$DIR/h1/state/host.json")"
wait_until "and learns again" 20 has_port tv 239.255.255.250

step "doctor names a group that is not joined"
service_of h1 router stop
must_contain "doctor" '239\.255\.255\.250 is not joined on eth0' "$(on h1 docker-router doctor 2>&1 || true)"
service_of h1 router start

step "down leaves the host as it was, streams to a listener on the LAN among it"
docker_on h1 rm -f minidlna >/dev/null
inside tv "$TEST_DIR/stream.py" hear 192.0.2.50 239.5.1.1 120 >"$DIR/stream" &
stream=$!
at_exit end $stream
copies() { inside h1 nft list table netdev docker-router-multicast 2>/dev/null | grep -q 'daddr 239.5.1.1 .*dup to "eth0"'; }
wait_until "the kernel copies a stream" 30 copies
on h1 docker-router down >/dev/null
restored() {
	# the drops are this test's own, or Docker's, which leaves empty tables
	inside h1 nft 'delete table ip raw; delete table ip6 raw' 2>/dev/null || true
	state_of >"$DIR/after"
	diff "$DIR/before" "$DIR/after" >"$DIR/diff"
}
wait_for "nothing is left" $((20 * PATIENCE)) restored || fail "left: $(cat "$DIR/diff")"
