#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4 debian-v6 debian-v4-wireguard
# timeout: 400
#
# Groups over the overlay, among containers of three hosts: from each to each, IPv4 and IPv6, of one source, larger than the
# tunnel's MTU. A host without a listener gets no packet; who comes late gets it, and who leaves gets it no more. Hosts on
# one LAN that carry a group both ways do not feed each other, and nothing comes twice. gssdp-discover and simple mDNS
# clients find minidlna and avahi of another host. Nothing is lost when roles are killed, what somebody takes away is healed,
# and in the end nothing is left. The variant wireguard does it encrypted, with hosts that know each other by gossip.
. "$(dirname "$0")/lib.sh"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
group=239.1.1.1 host=192.0.2.
[ "$UNDERLAY" = v4 ] || group=ff05::4790 host=2001:db8::
encrypted=
[[ $VARIANT != *-wireguard ]] || encrypted=1
if [ $encrypted ]; then
	command -v wireguard-go >/dev/null || skip "there is no wireguard-go"
	[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
	(umask 077 && "$DOCKER_ROUTER" keygen >"$FILES/cluster.key")
fi
{
	echo "switch sw"
	for n in 1 2 3; do
		echo "multicast_group: $group" >"$FILES/h$n.yaml"
		[ ! $encrypted ] || cat >>"$FILES/h$n.yaml" <<-END
			encryption: wireguard
			cluster_key_file: $FILES/cluster.key
			discovery_mode: gossip
			gossip_join: 192.0.2.1
		END
		echo "host h$n 192.0.2.$n/24 2001:db8::$n/64 CONFIG=$FILES/h$n.yaml dockerd=--experimental,--ip6tables"
	done
	echo "node tv 192.0.2.50/24 2001:db8::50/64"
} >"$FILES/topology"
lab_begin "$FILES/topology"
STREAM=$TEST_DIR/stream.py
. "$TEST_DIR/mdns/lib.sh"
VNI=4242
number=0

# WHO is tv, or a container: h1 stands for ch1 on h1, d1 for another one there
net_of() { # WHO
	if [ "$1" = tv ]; then
		echo "/run/netns/$(ns tv)"
	else
		echo "/proc/$(pid_of "h${1#?}" "c$1")/ns/net"
	fi
}
address_of() { # WHO [GROUP]: in the group's family
	local which=IPAddress
	if [ "$1" = tv ]; then
		echo 192.0.2.50
		return
	fi
	[[ ${2:-} != *:* ]] || which=GlobalIPv6Address
	docker_on "h${1#?}" inspect -f "{{range .NetworkSettings.Networks}}{{.$which}}{{end}}" "c$1"
}
listen() { # WHO GROUP SECONDS [COUNT [SOURCE]]: its words in $heard
	number=$((number + 1))
	heard=$DIR/heard.$number
	nsenter --net="$(net_of "$1")" "$STREAM" hear "$(address_of "$1" "$2")" "$2" "${@:3}" >"$heard" &
	ear=$!
	at_exit end $ear
	wait_until "$1 listens" 10 grep -q listening "$heard"
}
send() { # WHO GROUP COUNT RATE [TTL [BYTES]]
	nsenter --net="$(net_of "$1")" "$STREAM" send "$(address_of "$1" "$2")" "${@:2:3}" "${5:-1}" "${@:6}"
}
tunnel() { # HOST CMD...: in the router namespace
	local h=$1
	shift
	nsenter --net="$(jq -r '.vnis[0].namespace' "$DIR/$h/state/router.json")" "$@"
}
hardware() { # GROUP: its Ethernet address
	python3 -c '
import socket, sys
g = sys.argv[1]
b = socket.inet_pton(socket.AF_INET6, g)[12:] if ":" in g else socket.inet_aton(g)
head = [0x33, 0x33] if ":" in g else [1, 0, 0x5e]
print(":".join("%02x" % x for x in head + ([b[1] & 0x7f, *b[2:]] if len(head) == 3 else list(b))))' "$1"
}
underlay_of() { # HOST: where others send to
	if [ $encrypted ]; then
		jq -r '.wireguard.address' "$DIR/$1/state/router.json"
	else
		echo "$host${1#h}"
	fi
}
leads() { # FROM-HOST GROUP TO-HOST: is it sent there?
	tunnel "$1" bridge fdb show | grep -q "^$(hardware "$2") .* dst $(underlay_of "$3") "
}
leads_not() {
	! leads "$@"
}
received() { # HOST: VXLAN packets since its lab began
	tunnel "$1" ip -j -s link | jq '[.[] | select(.ifname | startswith("vx")) | .stats64.rx.packets] | add'
}
passes() { # FROM TO GROUP [BYTES]: 200 datagrams arrive, each once, from who sent them
	listen "$2" "$3" 60 200
	wait_until "$1 sends $3 to $2" 20 leads "$1" "$3" "$2"
	send "$1" "$3" 200 1000 1 "${4:-1200}"
	wait $ear
	must_equal "$3 from $1 to $2" "200 $(address_of "$1" "$3")" "$(tail -n 1 "$heard")"
}

n=0
for h in h1 h2 h3; do
	n=$((n + 1))
	network_on $h net$n $VNI "10.7$n.0.0/24" "fd00:7$n::/64" -- --label docker-router.stack=s$n \
		--label docker-router.multicast=overlay,239.1.0.0/16,ff05::/16,ssdp,mdns
	container_on $h c$h net$n
done
for h in h2 h3; do
	reach h1 ch1 "$(address_of $h)"
	reach $h c$h "$(address_of h1)"
done

step "each to each, and a host without a listener gets nothing"
before=$(received h3)
passes h1 h2 239.1.2.3
passes h2 h1 239.1.2.4
after=$(received h3)
[ $((after - before)) -lt 50 ] || fail "h3, where nobody listens, got $((after - before)) packets of 400"
passes h3 h1 239.1.2.5
passes h1 h3 ff05::1:2
# by IPv4 the tunnel's packets are fragmented where they must be, by IPv6 they are not
large=1472
[ "$UNDERLAY" = v4 ] || large=$(($(overlay_mtu) - 28))
[ ! $encrypted ] || large=$((1366 - 28))
passes h1 h2 239.1.2.6 $large
must_contain "groups" 'h1 +s1' "$(on h2 docker-router groups)"

step "servers and clients as there are: minidlna and avahi on h1, who looks for them on h2; and a service of h2 on h1"
if command -v minidlnad gssdp-discover >/dev/null; then
	mkdir -p "$FILES/dlna/media"
	printf '%s\n' "media_dir=A,$FILES/dlna/media" port=8200 friendly_name=lab notify_interval=895 "db_dir=$FILES/dlna" \
		"log_dir=$FILES/dlna" >"$FILES/dlna/conf"
	# it binds to eth0, and so hears what is announced to the group, but no answer that comes by the NIC
	nsenter --net="$(net_of h2)" -- timeout 150 gssdp-discover -i eth0 -t upnp:rootdevice >"$FILES/gssdp" 2>&1 &
	discover=$!
	at_exit end $discover
	joined() { nsenter --net="$(net_of h2)" -- ip maddr show dev eth0 | grep -qw 'inet *239.255.255.250'; }
	wait_until "gssdp-discover listens on h2" 20 joined
	proc_start "$FILES/dlna.proc" "$FILES/dlna.log" nsenter --net="$(net_of h1)" -- minidlnad -S -f "$FILES/dlna/conf" \
		-P "$FILES/dlna/pid"
	at_exit proc_end "$FILES/dlna.proc"
	wait_until "gssdp-discover on h2 finds minidlna on h1" 60 grep -qF "http://$(address_of h1):8200/rootDesc.xml" "$FILES/gssdp"
	end $discover
	must_equal "a search of h2, with a TTL of 1" "http://$(address_of h1):8200/rootDesc.xml $(address_of h1)" \
		"$(nsenter --net="$(net_of h2)" -- "$TEST_DIR/dlna.py" search "$(address_of h2)" 1)"
	nsenter --net="$(net_of h2)" -- python3 -c 'import sys, urllib.request
assert b"<friendlyName>lab" in urllib.request.urlopen(sys.argv[1], timeout=10).read()' "http://$(address_of h1):8200/rootDesc.xml"
	proc_end "$FILES/dlna.proc"
fi
if command -v avahi-daemon >/dev/null; then
	avahi h1 printer _ipp._tcp
	must_equal "h2 asks by mDNS" printer._ipp._tcp.local \
		"$(nsenter --net="$(net_of h2)" -- "$TEST_DIR/mdns.py" "$(address_of h2)" _ipp._tcp.local 30)"
	avahi h2 player _googlecast._tcp
	must_equal "h1 asks by mDNS" player._googlecast._tcp.local \
		"$(nsenter --net="$(net_of h1)" -- "$TEST_DIR/mdns.py" "$(address_of h1)" _googlecast._tcp.local 30)"
	proc_end "$DIR/avahi-printer.proc"
	proc_end "$DIR/avahi-player.proc"
fi

step "one who comes late, one who leaves"
listen h2 239.1.2.7 180 9000
wait_until "h1 sends to h2" 20 leads h1 239.1.2.7 h2
send h1 239.1.2.7 4000 1000 &
flow=$! first=$ear first_heard=$heard
listen h3 239.1.2.7 60 1000
wait_until "h1 sends to h3 too" 20 leads h1 239.1.2.7 h3
send h1 239.1.2.7 1000 1000 # however little is left of the flow
wait $flow
send h1 239.1.2.7 3000 1000 &
flow=$!
wait $ear
must_equal "what the late one heard" "1000 $(address_of h1)" "$(awk '{ print ($1 >= 1000 ? 1000 : $1), $2 }' <<<"$(tail -n 1 "$heard")")"
wait_until "h1 sends to h3 no more" 30 leads_not h1 239.1.2.7 h3
leads h1 239.1.2.7 h2 || fail "h2 lost the group as h3 left it"
wait $flow
send h1 239.1.2.7 1000 1000
wait $first
must_equal "what the first one heard" "9000 $(address_of h1)" "$(tail -n 1 "$first_heard")"

step "of one source"
listen h3 239.1.2.8 60 200 "$(address_of h1)"
wait_until "h1 sends to h3" 20 leads h1 239.1.2.8 h3
wait_until "h2 sends to h3" 20 leads h2 239.1.2.8 h3
send h2 239.1.2.8 100 1000
send h1 239.1.2.8 200 1000
wait $ear
must_equal "what h3 heard" "200 $(address_of h1)" "$(tail -n 1 "$heard")"

step "on the LAN as well: nothing twice, nothing round and round"
for n in 1 2; do
	network_on h$n lan$n $VNI "10.8$n.0.0/24" -- --label docker-router.stack=d$n \
		--label docker-router.multicast=lan,overlay,239.3.0.0/16
	container_on h$n cd$n lan$n
done
copied() { # GROUP FROM TO: the kernel of h1 or h2 has that rule
	inside "h${4:-1}" nft list table netdev docker-router-multicast 2>/dev/null |
		awk -v chain="from-$2" -v rule="daddr $1 .*dup to \"$3\"" '/chain/ { on = $2 == chain } on && $0 ~ rule { found = 1 } END { exit !found }'
}
bridge_of() { # WHO
	local id
	id=$(docker_on "h${1#?}" inspect -f '{{range .NetworkSettings.Networks}}{{.NetworkID}}{{end}}' "c$1")
	echo "br-${id:0:12}"
}
for group in 239.3.1.1 239.3.1.2; do # from a container, then from the LAN
	ears=() files=()
	for who in d1 d2 tv; do
		listen $who $group 200 400
		ears+=("$ear") files+=("$heard")
	done
	for n in 1 2; do
		wait_until "$group goes to d$n" 20 copied $group eth0 "$(bridge_of d$n)" $n
		wait_until "$group goes to the LAN" 20 copied $group "$(bridge_of d$n)" eth0 $n
	done
	wait_until "h1 sends to h2" 20 leads h1 $group h2
	from=d1
	[ $group = 239.3.1.1 ] || from=tv
	send $from $group 400 1000
	wait "${ears[@]}"
	for f in "${files[@]}"; do
		must_equal "$group from $from" "400 $(address_of $from)" "$(tail -n 1 "$f")"
	done
done

step "not what no label names"
listen h2 239.2.2.2 6
send h1 239.2.2.2 100 1000
kill -0 $ear || fail "h2 did not listen long enough"
wait $ear
must_equal "a group that is not named" 0 "$(tail -n 1 "$heard")"

step "nothing is lost when roles are killed"
listen h2 239.1.2.9 120 4000
wait_until "h1 sends to h2" 20 leads h1 239.1.2.9 h2
send h1 239.1.2.9 4000 1000 &
for role in multicast router discovery; do
	for h in h1 h2; do
		kill -9 "$(jq -r --arg role $role '.roles[] | select(.role == $role) | .pid' "$DIR/$h/state/host.json")"
	done
done
wait $ear
must_equal "datagrams while roles were killed" "4000 $(address_of h1)" "$(tail -n 1 "$heard")"
passes h2 h1 239.1.2.10

step "what is taken away comes back"
listen h2 239.1.2.11 300
wait_until "h1 sends to h2" 20 leads h1 239.1.2.11 h2
tunnel h1 bridge fdb del "$(hardware 239.1.2.11)" dev "$(jq -r ".vnis[0].devices[0].name" "$DIR/h1/state/router.json")" dst "$(underlay_of h2)"
wait_until "the entry is back" 10 leads h1 239.1.2.11 h2
tunnel h1 nft delete table netdev docker-router
has_table() { tunnel "$1" nft list table netdev docker-router 2>/dev/null | grep -q dup; }
wait_until "the table is back" 10 has_table h1
end $ear
passes h1 h2 239.1.2.12

step "down takes it away, the next start brings it back"
listen h2 239.1.2.13 300
wait_until "h1 sends to h2" 20 leads h1 239.1.2.13 h2
service_of h2 router stop
leads h1 239.1.2.13 h2 || fail "stopping the service ended the stream"
on h2 env CONFIG="$FILES/h2.yaml" docker-router down >/dev/null # the group to say goodbye to
wait_until "h1 sends to h2 no more" 20 leads_not h1 239.1.2.13 h2
must_equal "ports of a leg" "" "$(inside h2 ip -br link | grep drl- || true)"
service_of h2 router start
wait_until "h1 sends to h2 again" 30 leads h1 239.1.2.13 h2
end $ear
passes h1 h2 239.1.2.14

# last: from now on all are mapped
step "stacks with the same subnet, whose containers have the same MAC; another stack of the host"
for n in 1 2; do
	network_on h$n same$n $VNI 10.90.0.0/24 -- --label docker-router.stack=e$n --label docker-router.multicast=overlay,239.1.0.0/16
	container_on h$n ce$n same$n
done
mapped() { # N: the prefix that e$n is known by
	jq -r --arg stack "e$1" '.self.stacks[] | select(.stack_id == $stack) | .mapped[0].as // empty' "$DIR/h$1/state/discovery.json"
}
is_mapped() { [ -n "$(mapped 1)" ] && [ -n "$(mapped 2)" ]; }
wait_until "both are mapped" 20 is_mapped
as=$(mapped 1)
as=${as%.*}.2
reach h2 ce2 "$as"
ears=() files=()
for who in e2 h1; do
	listen $who 239.1.4.1 200 200
	ears+=("$ear") files+=("$heard")
done
wait_until "h1 sends to h2" 20 leads h1 239.1.4.1 h2
from_mapped() { tunnel h1 nft list table netdev docker-router | grep -q "10.90.0"; }
wait_until "h1 maps the source" 20 from_mapped
send e1 239.1.4.1 200 1000
wait "${ears[@]}"
for f in "${files[@]}"; do
	must_equal "239.1.4.1 from e1" "200 $as" "$(tail -n 1 "$f")"
done
reach h2 ce2 "$as"
