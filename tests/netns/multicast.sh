#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The role multicast alone, with networks that are bridges of ours: SSDP over IPv4 and IPv6 and mDNS both ways, with avahi
# where there is one; two routers on one LAN, and then on two common links; storms and garbage. TAP on stdout; exit 77 when
# something is missing here.
#
#	tv .50     r1 .1 -- br-one 172.30.1.0/24 -- c1
#	   |         |                                :
#	   +- sw ----+                                : later one link
#	             |                                :
#	           r2 .2 -- br-two 172.30.2.0/24 -- c2
#
# Environment: DOCKER_ROUTER (the command), ARTIFACTS (where logs are kept after a failure).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

DOCKER_ROUTER=${DOCKER_ROUTER:-$PWD/build/docker-router}
TOOL=$PWD/tests/netns/multicast.py

skip() {
	echo "1..0 # SKIP $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip nsenter jq python3 nft; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "$DOCKER_ROUTER" ] || skip "$DOCKER_ROUTER is not built"

TAG=drm$$
T=$(mktemp -d /tmp/docker-router-multicast.XXXXXX)
chmod 755 "$T"
declare -A PID=()
n_tests=0 n_failed=0
NODES="sw tv r1 r2 c1 c2"

in_ns() { # NODE CMD...
	local n=$1
	shift
	nsenter --net="/run/netns/$TAG-$n" "$@"
}

end() { # NAME...: end these processes and wait for them
	local n
	for n; do
		[ -n "${PID[$n]:-}" ] || continue
		kill -9 "${PID[$n]}" 2>/dev/null
		wait "${PID[$n]}" 2>/dev/null
		unset "PID[$n]"
	done
}

cleanup() {
	local n
	# a child that a signal meets before it has become its program would run this as well
	[ "$BASHPID" = $$ ] || exit
	trap - EXIT
	end "${!PID[@]}"
	for n in $NODES; do
		ip netns del "$TAG-$n" 2>/dev/null
	done
	if [ "$n_failed" -gt 0 ] && [ -n "${ARTIFACTS:-}" ]; then
		mkdir -p "$ARTIFACTS" && cp -r "$T" "$ARTIFACTS/"
	fi
	rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

for n in $NODES; do
	ip netns add "$TAG-$n" || skip "no network namespaces here"
	ip -n "$TAG-$n" link set dev lo up
done

link() { # NODE PORT-NODE BRIDGE PORT ADDRESS...: eth0 of the node into a bridge of the other
	local node=$1 on=$2 bridge=$3 port=$4 a
	shift 4
	ip link add name "$port" netns "$TAG-$on" type veth peer name eth0 netns "$TAG-$node" || skip "no veth here"
	ip -n "$TAG-$on" link set dev "$port" master "$bridge" up
	for a; do
		ip -n "$TAG-$node" address add "$a" dev eth0
	done
	ip -n "$TAG-$node" link set dev eth0 addrgenmode eui64 up
}
bridge() { # NODE NAME [ADDRESS]
	ip -n "$TAG-$1" link add name "$2" type bridge || skip "no bridges here"
	[ -z "${3:-}" ] || ip -n "$TAG-$1" address add "$3" dev "$2"
	ip -n "$TAG-$1" link set dev "$2" up
}
bridge sw lan
bridge r1 br-one 172.30.1.1/24
bridge r2 br-two 172.30.2.1/24
link tv sw lan p1 192.0.2.50/24
link r1 sw lan p2 192.0.2.1/24
link r2 sw lan p3 192.0.2.2/24
link c1 r1 br-one q1 172.30.1.9/24
link c2 r2 br-two q2 172.30.2.9/24
# nothing of it needs forwarding, or an open door for what comes in
for n in r1 r2; do
	in_ns $n nft -f - <<-'END'
		table ip test {
			chain in { type filter hook input priority 0; policy drop; iifname "lo" accept; }
			chain forward { type filter hook forward priority 0; policy drop; }
		}
	END
done

inventory() { # ROUTER BRIDGE SUBNET LABEL
	mkdir -p "$T/$1"
	cat >"$T/$1/.inventory.new" <<-END
		{"version":1,"last_update":"2024-01-15T10:30:00Z","engines":[],"stacks":[],"multicast":[{"network":{"name":"$2",
		"id":"$2","bridge":"$2","endpoint":"unix:///x","subnets":["$3"],"gateways":[],"internal":false,"icc":true,"mtu":1500},
		"label":"$4","containers":[]}],"problems":[]}
	END
	mv "$T/$1/.inventory.new" "$T/$1/inventory.json"
}
role() { # ROUTER
	nsenter --net="/run/netns/$TAG-$1" env "STATE_DIR=$T/$1" CONFIG= INTERFACE=eth0 "$DOCKER_ROUTER" multicast \
		>>"$T/$1.log" 2>&1 &
	PID[$1]=$!
}
device() { # NODE
	(cd "$T" && exec nsenter --net="/run/netns/$TAG-$1" "$TOOL" device "$1" >"$T/$1.out" 2>&1) &
	PID[$1]=$!
	within 10 grep -qs ready "$T/$1.out"
}

# --- looking ---------------------------------------------------------------------------------------------------------

. lab/grep.sh

within() { # SECONDS CMD...: until it is true; three times as long where others run beside it
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * ${PATIENCE:-3} * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/[.,]/}" -lt $end ] || return 1
		sleep 0.05
	done
}
check() { # WORDS CMD...: one point
	local words=$1
	shift
	n_tests=$((n_tests + 1))
	if "$@"; then
		echo "ok $n_tests - $words"
		return 0
	fi
	echo "not ok $n_tests - $words"
	echo "# failed: $*"
	n_failed=$((n_failed + 1))
	return 1
}
legs() { # ROUTER COUNT
	[ "$(jq '.legs | length' "$T/$1/multicast.json" 2>/dev/null)" = "$2" ]
}
heard() { # FILE FILTER: a truth about a tool's output
	[ "$(jq -r "$2" "$T/$1" 2>/dev/null)" = true ]
}
finds() { # NODE FAMILY TTL DEVICE...: a search is answered by exactly these, once each
	local node=$1 family=$2 ttl=$3 want
	shift 3
	want=$(printf '%s\n' "$@" | sed 's/.*/uuid:&::upnp:rootdevice/' | sort)
	in_ns "$node" "$TOOL" search "$family" "$ttl" >"$T/found" 2>>"$T/tools.log"
	[ "$(jq -r '.[].usn' "$T/found" | sort)" = "$want" ]
}
answers() { # NODE FILTER VERB ARGS...: what the tool says fulfils the filter
	local node=$1 filter=$2
	shift 2
	in_ns "$node" "$TOOL" "$@" >"$T/answers" 2>>"$T/tools.log"
	heard answers "$filter"
}
alive() {
	kill -0 "${PID[$1]}" 2>/dev/null
}
counted() { # DEVICE WHAT
	jq -r ".$2" "$T/$1.count" 2>/dev/null || echo 0
}
at_most() { # WHAT NUMBER LIMIT
	echo "# $1: $2"
	[ "$2" -le "$3" ]
}

# --- one router ------------------------------------------------------------------------------------------------------

inventory r1 br-one 172.30.1.0/24 ssdp,mdns
role r1
check "the role has a leg on the LAN and one on the network" within 10 legs r1 2
device c1
check "a search of TTL 4 finds the container" within 20 finds tv 4 4 c1
check "it is answered by the router" heard found 'all(.[]; .from == "192.0.2.1")'
check "and LOCATION names a port of the router" heard found 'all(.[]; .location | test("^http://192.0.2.1:619[0-9][0-9]/c1.xml$"))'
check "a search of TTL 1 finds it" finds tv 4 1 c1
check "IPv6: a search on the link finds it" within 20 finds tv 6 1 c1
check "mDNS: a question to all is answered to all" answers tv 'any(.[]; .[2] == "172.30.1.9")' ask 5353 c1.local
check "mDNS: one from any port is answered to who asked" answers tv 'any(.[]; .[2] == "172.30.1.9")' ask any c1.local
check "mDNS: services are found" answers tv 'any(.[]; .[2] == "c1._test._tcp.local")' browse _test._tcp.local
device tv
check "a container finds what is on the LAN" finds c1 4 2 tv
check "mDNS: and asks for it" answers c1 'any(.[]; .[2] == "192.0.2.50")' ask any tv.local
end tv

avahi() { # NODE NAME: the real one, with a service; /etc/avahi and /run of its own
	mkdir -p "$T/avahi-$1/etc/services" "$T/avahi-$1/run"
	printf '[server]\nhost-name=%s\nuse-ipv6=no\nenable-dbus=no\n[wide-area]\nenable-wide-area=no\n' "$2" \
		>"$T/avahi-$1/etc/avahi-daemon.conf"
	printf '%s\n' '<service-group><name>'"$2"'</name><service><type>_http._tcp</type><port>80</port></service></service-group>' \
		>"$T/avahi-$1/etc/services/http.service"
	# shellcheck disable=SC2016 # for the shell inside
	nsenter --net="/run/netns/$TAG-$1" unshare -m sh -c 'mount --bind "$0/etc" /etc/avahi && mount --bind "$0/run" /run &&
		exec avahi-daemon --no-drop-root --no-chroot --no-rlimits' "$T/avahi-$1" >"$T/avahi-$1.log" 2>&1 &
	PID[avahi-$1]=$!
}
if command -v avahi-daemon >/dev/null && [ -d /etc/avahi ]; then
	end c1
	avahi c1 box
	avahi tv telly
	check "avahi in the container is found from the LAN" \
		within 20 answers tv 'any(.[]; .[2] == "box._http._tcp.local")' browse _http._tcp.local
	check "avahi on the LAN is found from the container" \
		within 20 answers c1 'any(.[]; .[2] == "telly._http._tcp.local")' browse _http._tcp.local
	end avahi-c1 avahi-tv
	device c1
else
	echo "# no avahi-daemon here: not tried with it"
fi

# --- storms ----------------------------------------------------------------------------------------------------------

before=$(counted c1 search)
in_ns tv "$TOOL" storm 2 >"$T/storm" 2>>"$T/tools.log"
check "of a storm of searches the container hears little" \
	at_most "of $(cat "$T/storm") searches" $(($(counted c1 search) - ${before:-0})) 200
in_ns tv "$TOOL" garbage 2>>"$T/tools.log"
in_ns c1 "$TOOL" garbage 2>>"$T/tools.log"
check "the role lives on" alive r1
check "and finds when the storm is over" within 30 finds tv 4 4 c1
rss=$(awk '/VmRSS/ { print $2 }' "/proc/${PID[r1]}/status")
# sanitizers need more by far
[ -n "${ASAN_OPTIONS:-}" ] || check "it has not grown" at_most "resident kB" "$rss" 12000

inventory r1 br-one 172.30.1.0/24 ssdp,mdns,239.0.0.0/8
has_groups() { jq -e 'any(.legs[]; .wants | contains("239.0.0.0/8"))' "$T/r1/multicast.json" >/dev/null; }
within 20 has_groups
before=$(counted c1 mdns)
in_ns tv "$TOOL" mdns-storm 2 >"$T/storm" 2>>"$T/tools.log"
check "of a storm of questions the container hears little" \
	at_most "of $(cat "$T/storm") questions" $(($(counted c1 mdns) - ${before:-0})) 800
in_ns tv "$TOOL" gmp 2>>"$T/tools.log"
groups_known() { # at least so many; 256 of one host on the LAN, 1024 of a bridge are let in
	[ "$(jq '.groups | length' "$T/r1/multicast.json")" -ge "$1" ]
}
in_ns c1 "$TOOL" gmp 2>>"$T/tools.log"
within 60 groups_known 100
echo "# groups known: $(jq '.groups | length' "$T/r1/multicast.json")"
check "10,000 groups of one host are some hundred" eval "groups_known 100 && ! groups_known 1300"
check "and the role lives on" alive r1
inventory r1 br-one 172.30.1.0/24 ssdp,mdns

# --- the LAN's interface, and many networks ---

told() { jq -e --arg text "$1" 'any(.problems[]; .text | contains($text))' "$T/r1/multicast.json" >/dev/null; }
ip -n "$TAG-r1" address flush dev eth0
check "an interface without an address is told" within 20 told "has no address"
ip -n "$TAG-r1" address add 192.0.2.1/24 dev eth0
ip -n "$TAG-r1" link set dev eth0 addrgenmode eui64 down
check "one that is down is told" within 20 told "is down"
ip -n "$TAG-r1" link set dev eth0 up
check "and all is well when it is back" within 30 finds tv 4 4 c1

many=40 # more than the 31 networks for which the kernel's multicast routing has interfaces
networks=$(for i in $(seq $many); do
	ip -n "$TAG-r1" link add name "br-m$i" type bridge
	ip -n "$TAG-r1" address add "172.30.$((100 + i)).1/24" dev "br-m$i"
	ip -n "$TAG-r1" link set dev "br-m$i" up
	printf ',{"network":{"name":"m%s","id":"m%s","bridge":"br-m%s","endpoint":"unix:///x","subnets":["172.30.%s.0/24"],"gateways":[],
		"internal":false,"icc":true,"mtu":1500},"label":"ssdp,mdns,239.1.0.0/16","containers":[]}' "$i" "$i" "$i" $((100 + i))
done)
sed "s|\"containers\":\[\]}\]|\"containers\":[]}$(tr -d '\n\t' <<<"$networks")]|" "$T/r1/inventory.json" >"$T/r1/.inventory.new"
mv "$T/r1/.inventory.new" "$T/r1/inventory.json"
check "40 networks beside it have a leg each" within 30 legs r1 $((many + 2))
check "and the first is found" within 30 finds tv 4 4 c1
inventory r1 br-one 172.30.1.0/24 ssdp,mdns
check "and go" within 30 legs r1 2

# --- two routers -----------------------------------------------------------------------------------------------------

inventory r2 br-two 172.30.2.0/24 ssdp,mdns
role r2
check "a second router on the LAN" within 10 legs r2 2
device c2
check "each finds its own container, once" within 20 finds tv 4 4 c1 c2
check "a container finds that of the other router" within 20 finds c1 4 2 c2

# a second link that both have: whatever one says on either, the other hears on both
ip link add name loop netns "$TAG-r1" type veth peer name loop netns "$TAG-r2"
ip -n "$TAG-r1" link set dev loop master br-one up
ip -n "$TAG-r2" link set dev loop master br-two up
ip -n "$TAG-r2" address add 172.30.1.2/24 dev br-two
inventory r2 br-two 172.30.1.0/24 ssdp,mdns
within 10 legs r2 2
in_ns c1 "$TOOL" count 6 >"$T/counts" 2>>"$T/tools.log" &
PID[count]=$!
within 10 grep -qs ready "$T/counts"
for words in "search 4 4" "ask 5353 nobody.local" "ask any nobody.local"; do
	# shellcheck disable=SC2086 # several words
	in_ns tv "$TOOL" $words >/dev/null 2>>"$T/tools.log"
done
wait "${PID[count]}"
unset "PID[count]"
check "with two common links a search does not go round" at_most "searches heard" "$(tail -n 1 "$T/counts" | jq .ssdp)" 2
check "nor do four questions" at_most "questions heard" "$(tail -n 1 "$T/counts" | jq .mdns)" 6
check "both roles live" eval 'alive r1 && alive r2'
ip -n "$TAG-r1" link del dev loop

# --- the end ---------------------------------------------------------------------------------------------------------

inventory r1 br-one 172.30.1.0/24 mdns
no_ssdp() { ! finds tv 4 4 c1 c2; }
check "without the label ssdp the network is not found any more" within 20 no_ssdp
end r1 r2
check "nothing was joined for longer" eval '! in_ns r1 ip maddr show dev eth0 | grep -qE "239.255.255.250|224.0.0.251"'
silent() { ! grep -qE 'runtime error|ERROR: (Address|Leak)Sanitizer' "$T"/*.log; }
check "no sanitizer has a word to say" silent

echo "1..$n_tests"
if [ "$n_failed" -gt 0 ]; then
	for log in "$T"/*.log; do
		echo "# --- ${log##*/}"
		tail -n 30 "$log" | sed 's/^/# /'
	done
	exit 1
fi
