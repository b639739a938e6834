#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Discovery with real processes on a real network: four hosts (network namespaces) on one bridge, IPv4 and IPv6 groups,
# static lists, loopback; what comes, goes, moves, dies and lies. TAP on stdout; exit 77 when something is missing here.
#
#	      h1          h2          h3          h4
#	    eth0 .1     eth0 .2     eth0 .3     eth0 .4 (hostile)       192.0.2.0/24, 2001:db8::/64
#	      |           |           |           |
#	      +-----------+--- br0 ---+-----------+
#
# Environment: DISCOVERY (the role's executable; default: what DOCKER_ROUTER, or build/docker-router, starts),
# ARTIFACTS (where logs are kept after a failure).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

DOCKER_ROUTER=${DOCKER_ROUTER_OPEN:-${DOCKER_ROUTER:-$PWD/build/docker-router}} # also for a user of its own
TOOL=$PWD/tests/netns/discovery.py
read -r -a ROLE <<<"${DISCOVERY:-$DOCKER_ROUTER discovery}"

skip() {
	echo "1..0 # SKIP $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip nsenter jq python3 setpriv; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "${ROLE[0]}" ] || skip "${ROLE[0]} is not built"

TAG=drd$$
T=$(mktemp -d /tmp/docker-router-discovery.XXXXXX)
chmod 755 "$T"
declare -A PID=()
n_tests=0 n_failed=0 failed=

# --- the network and the processes -----------------------------------------------------------------------------------

in_ns() { # HOST CMD...
	local h=$1
	shift
	nsenter --net="/run/netns/$TAG-$h" "$@"
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
	local h
	# a child that a signal meets before it has become its program would run this as well
	[ "$BASHPID" = $$ ] || exit
	trap - EXIT
	end "${!PID[@]}"
	mountpoint -q "$T/full" && umount "$T/full"
	for h in h1 h2 h3 h4 sw; do
		ip netns del "$TAG-$h" 2>/dev/null
	done
	if [ "$n_failed" -gt 0 ] && [ -n "${ARTIFACTS:-}" ]; then
		mkdir -p "$ARTIFACTS" && cp -r "$T" "$ARTIFACTS/"
	fi
	rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

address_add() { # HOST ADDRESS: usable at once
	if [[ $2 == *:* ]]; then
		ip -n "$TAG-$1" address add "$2" dev eth0 nodad
	else
		ip -n "$TAG-$1" address add "$2" dev eth0
	fi
}

plug() { # HOST NUMBER: a link to the switch, with addresses
	ip link add name "p$2" netns "$TAG-sw" type veth peer name eth0 netns "$TAG-$1" || return
	ip -n "$TAG-sw" link set dev "p$2" master br0 up
	ip -n "$TAG-$1" address add "192.0.2.$2/24" dev eth0
	ip -n "$TAG-$1" address add "2001:db8::$2/64" dev eth0 nodad
	ip -n "$TAG-$1" link set dev eth0 up
}

for h in h1 h2 h3 h4 sw; do
	ip netns add "$TAG-$h" || skip "no network namespaces here"
	ip -n "$TAG-$h" link set dev lo up
done
ip -n "$TAG-sw" link add name br0 type bridge mcast_snooping 0 || skip "no bridges here"
ip -n "$TAG-sw" link set dev br0 up
for i in 1 2 4; do # h3 comes later
	plug "h$i" "$i" || skip "no veth here"
done

# run NAME HOST [VAR=VALUE...] [-- PREFIX...]: the role in that host, with a STATE_DIR of that name
run() {
	local name=$1 host=$2 vars=()
	shift 2
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		vars+=("$1")
		shift
	done
	[ $# -gt 0 ] && shift
	mkdir -p "$T/$name"
	# no function call here: the process must be our child itself, to be killed and waited for
	nsenter --net="/run/netns/$TAG-$host" env -u STACK_ID -u VNI "STATE_DIR=$T/$name" CONFIG= DOCKER_ROUTER_HOST=1 \
		"${vars[@]}" "$@" "${ROLE[@]}" >>"$T/$name.log" 2>&1 &
	PID[$name]=$!
}

inventory() { # NAME [STACK VNI SUBNET]...: its inventory.json, replaced as the role inventory does it
	local name=$1 stacks=() IFS=,
	shift
	mkdir -p "$T/$name"
	while [ $# -gt 0 ]; do
		stacks+=('{"stack_id":"'"$1"'","vni":'"$2"',"networks":[{"name":"'"$1"'_default","id":"'"$1"'","bridge":"br-0",
			"endpoint":"unix:///x","subnets":["'"$3"'"],"gateways":[],"internal":false,"icc":true,"mtu":1500}],
			"uplink":"","containers":[]}')
		shift 3
	done
	echo '{"version":1,"last_update":"2024-01-15T10:30:00Z","engines":[],"stacks":['"${stacks[*]}"'],"problems":[]}' \
		>"$T/$name/.inventory.new"
	mv "$T/$name/.inventory.new" "$T/$name/inventory.json"
}

# --- looking ---------------------------------------------------------------------------------------------------------

state() { # NAME FILTER: a truth about its discovery.json
	[ "$(jq -r "$2" "$T/$1/discovery.json" 2>/dev/null)" = true ]
}
knows() { # NAME STACK: an active peer of that name
	state "$1" 'any(.peers[]; .stack_id == "'"$2"'" and .status == "active")'
}
knows_not() {
	state "$1" 'all(.peers[]; .stack_id != "'"$2"'")'
}
said() { # NAME WORDS: in its log
	grep -q -- "$2" "$T/$1.log"
}
lines() { # NAME WORDS: how often
	grep -c -- "$2" "$T/$1.log"
}
alive() {
	kill -0 "${PID[$1]}" 2>/dev/null
}

. lab/grep.sh

within() { # SECONDS CMD...: until it is true; three times as long where others run beside it
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * ${PATIENCE:-3} * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/[.,]/}" -lt $end ] || return 1
		sleep 0.05
	done
}

count() { # NAME COUNTER: of datagrams, asked for by signal
	local before
	before=$(lines "$1" "datagrams received")
	kill -USR1 "${PID[$1]}"
	within 5 counted "$1" "$before" || return
	sed -n 's/.*datagrams received=/received=/p' "$T/$1.log" | tail -n 1 | tr ' ' '\n' | sed -n "s/^$2=//p"
}
counted() {
	[ "$(lines "$1" "datagrams received")" -gt "$2" ]
}

# check WORDS CMD...: one point
check() {
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
	failed+=" $n_tests"
	return 1
}

# --- what is checked -------------------------------------------------------------------------------------------------

both_know() {
	knows h1 blog && knows h2 shop
}

# basics FAMILY VAR...: two hosts, stacks that come, change and go
basics() {
	local family=$1 figures
	shift
	inventory h1 shop 1000 10.71.0.0/24
	inventory h2
	run h2 h2 "$@"
	within 5 said h2 started
	run h1 h1 "$@"
	check "$family: a host without stacks hears of one with" within 5 knows h2 shop
	check "$family: and is not heard of itself" state h1 '.peers == []'
	inventory h2 blog 1000 10.72.0.0/24
	check "$family: both know each other" within 5 both_know
	check "$family: with subnet, endpoint and next hop" state h1 '.peers[0] | .subnets == ["10.72.0.0/24"] and
		(.vxlan_endpoint | test(":4789$")) and (.vtep_ip | startswith("fe80::")) and .source == "multicast"'
	check "$family: each knows itself" state h1 '(.self.host_ip | length) > 0 and .self.stacks[0].stack_id == "shop"'
	figures=$(python3 "$TOOL" measure "$T/h1" "$T/h2") ||
		{
			echo "# $figures"
			figures=
		}
	check "$family: a new stack is known in milliseconds, and gone as fast: $figures" [ -n "$figures" ]
	inventory h1 shop 1000 10.71.0.0/24
	within 5 state h2 '[.peers[].stack_id] == ["shop"]'
}

processes_of_users() { # FAMILY VAR...
	local family=$1
	shift
	mkdir -p "$T/other"
	chown 1234:1234 "$T/other"
	run other h1 STACK_ID=other VNI=1000 STACK_SUBNETS=10.73.0.0/24 "$@" -- \
		setpriv --reuid 1234 --regid 1234 --clear-groups
	check "$family: another user's process on the host is known outside" within 5 knows h2 other
	check "$family: and beside" within 5 knows h1 other
	check "$family: it knows both" within 5 state other '[.peers[].stack_id] | sort == ["blog","shop"]'
	check "$family: one has the port, the other another" [ "$(lines other 'sending.* port=4790')" = 0 ]
	kill -TERM "${PID[other]}"
	check "$family: its goodbye takes only its own" within 2 knows_not h2 other
	check "$family: not its neighbour" knows h2 shop
	end other
}

seq_of() {
	jq .self.seq "$T/$1/discovery.json"
}

# While a process is killed and started the file never lacks the peer
killed_and_back() { # FAMILY VAR...
	local family=$1 before
	shift
	before=$(seq_of h1)
	end h1
	python3 "$TOOL" never-lacks "$T/h1/discovery.json" blog 2 >"$T/lacks" &
	PID[watch]=$!
	run h1 h1 "$@"
	check "$family: after kill -9 it speaks on" within 5 state h2 \
		'any(.peers[]; .stack_id == "shop" and .seq > '"$before"')'
	wait "${PID[watch]}"
	check "$family: and has lost nobody meanwhile" [ "$(cat "$T/lacks")" = never ]
	unset "PID[watch]"
}

goodbyes() { # FAMILY VAR...
	local family=$1
	shift
	kill -TERM "${PID[h2]}"
	check "$family: SIGTERM says goodbye" within 2 knows_not h1 blog
	wait "${PID[h2]}"
	check "$family: and ends with status 0" [ $? = 0 ]
	unset "PID[h2]"
	run h2 h2 "$@"
	within 5 knows h1 blog
	end h2
	check "$family: kill -9 says nothing" knows h1 blog
	in_ns h2 env "STATE_DIR=$T/h2" CONFIG= "$@" "${ROLE[@]}" --say-goodbye 2>>"$T/h2.log"
	check "$family: --say-goodbye says it for the dead" within 2 knows_not h1 blog
	run h2 h2 "$@"
	check "$family: and the next start is believed" within 5 knows h1 blog
	end h2
	: >"$T/h2.log"
	run h2 h2 GOODBYE=never "$@"
	within 5 said h2 started
	kill -TERM "${PID[h2]}"
	wait "${PID[h2]}"
	unset "PID[h2]"
	check "$family: GOODBYE=never says nothing" knows h1 blog
	run h2 h2 "$@"
	within 5 both_know
}

address_changes() { # FAMILY OLD NEW VAR...
	local family=$1 old=$2 new=$3
	shift 3
	# first off, then on: a second IPv4 address of a network goes with its first
	ip -n "$TAG-h2" address del "$old" dev eth0
	address_add h2 "$new"
	check "$family: an address that changes is told" within 5 state h1 \
		'any(.peers[]; .stack_id == "blog" and .host_ip == "'"${new%/*}"'")'
	check "$family: and written of ourselves" within 2 state h2 '.self.host_ip == "'"${new%/*}"'"'
	check "$family: nobody is known twice" state h1 '[.peers[].stack_id] == ["blog"]'
	ip -n "$TAG-h2" address del "$new" dev eth0
	address_add h2 "$old"
	within 5 state h1 'any(.peers[]; .stack_id == "blog" and .host_ip == "'"${old%/*}"'")'
}

hot_plug() { # FAMILY VAR...
	local family=$1
	shift
	ip -n "$TAG-h3" link del dev eth0 2>/dev/null
	run h3 h3 STACK_ID=late VNI=1000 STACK_SUBNETS=10.74.0.0/24 "$@"
	check "$family: without a network it waits" within 5 said h3 "waiting for one"
	plug h3 3
	check "$family: a network that comes is used" within 5 knows h1 late
	check "$family: and all are found" within 5 state h3 '[.peers[].stack_id] | sort == ["blog","shop"]'
	ip -n "$TAG-h3" link del dev eth0
	check "$family: it survives that the network goes" within 5 state h3 '.self.host_ip // "" | . == ""'
	plug h3 3
	check "$family: and comes again" within 5 knows h3 shop
	end h3
	ip -n "$TAG-h3" link del dev eth0
}

check_hostile() {
	local before
	before=$(jq -c '[.peers[] | select(.host_ip != "192.0.2.4") | {stack_id, host_ip, subnets, vxlan_endpoint}]' \
		"$T/h1/discovery.json")
	in_ns h4 python3 "$TOOL" hostile 192.0.2.4 192.0.2.1 "$(jq -r .self.host_id "$T/h1/discovery.json")" \
		"$(jq -r .self.host_id "$T/h2/discovery.json")"
	check "hostile: all arrived" within 5 all_arrived
	check "hostile: what was known is as it was" [ "$before" = "$(jq -c '[.peers[] |
		select(.host_ip != "192.0.2.4") | {stack_id, host_ip, subnets, vxlan_endpoint}]' "$T/h1/discovery.json")" ]
	check "hostile: of the stranger only good subnets are kept" within 5 state h1 \
		'[.peers[] | select(.stack_id == "mixed") | .subnets[]] == ["10.99.0.0/24"]'
	check "hostile: broken ones are counted" [ "$(count h1 shape)" -ge 5 ]
	check "hostile: so are wrong fields" [ "$(count h1 field)" -ge 8 ]
	check "hostile: and another version" [ "$(count h1 version)" -ge 1 ]
	check "hostile: and who is not the sender" [ "$(count h1 sender)" -ge 1 ]
	check "hostile: our identity from elsewhere is a problem" within 5 state h1 \
		'any(.problems[]; .text | test("cloned disk"))'
	check "hostile: it is said once" [ "$(lines h1 "another host uses our host_id")" = 2 ]
	check "hostile: one line for the malformed" [ "$(lines h1 "datagram refused: malformed")" = 1 ]
	check "hostile: the line names field, value and what is allowed" said h1 \
		'datagram refused: field.*from=192.0.2.4:.*\(allowed\|missing\|expected\|not\|must\)'
	check "hostile: a host_id is not taken from who has it" within 5 said h1 "it still answers at 192.0.2.2"
	in_ns h4 python3 "$TOOL" flood 192.0.2.4 192.0.2.1 5000
	check "flood: cut to the rate of one source" within 10 flooded
	check "flood: bounded to 256 peers" within 5 state h1 '[.peers[] | select(.host_ip == "192.0.2.4")] | length == 256'
	check "flood: those who were known stay" knows h1 blog
	check "flood: the process lives" alive h1
}
all_arrived() {
	[ "$(count h1 identity)" -ge 2 ]
}
flooded() {
	[ "$(count h1 rate)" -ge 3000 ]
}

check_older_program() {
	in_ns h4 python3 "$TOOL" older 192.0.2.4 >"$T/older"
	check "older program: its QUERY is answered" grep -q "RESPONSE shop" "$T/older"
	check "older program: and by multicast, where it listens" grep -q "ANNOUNCE shop" "$T/older"
	check "older program: it is listed, without subnets" state h1 \
		'any(.peers[]; .stack_id == "stack-a" and (.subnets // []) == [])'
}

check_files() {
	local dir=$T/h1
	echo '{"version":1,"stacks":[' >"$dir/inventory.json"
	check "files: a broken inventory.json is said" within 5 said h1 "inventory.json cannot be used"
	rm "$dir/inventory.json"
	mkdir "$dir/inventory.json"
	check "files: a directory in its place does no harm" state h1 '.self.stacks[0].stack_id == "shop"'
	rmdir "$dir/inventory.json"
	echo '{"version":1,"stacks":[]}' >"$dir/.x" && chown 1234:1234 "$dir/.x" && mv "$dir/.x" "$dir/inventory.json"
	inventory h1 shop 1000 10.71.0.0/24 "new" 1000 10.75.0.0/24
	check "files: a good one again is read" within 5 knows h2 new
	inventory h1 shop 1000 10.71.0.0/24
	check "files: and its change too" within 5 knows_not h2 new
	check "files: the stack was never gone" [ "$(lines h2 'goodbye.*shop@')" = "$goodbyes_before" ]
	end h1
	echo 'no json at all' >"$dir/discovery.json"
	run h1 h1
	check "files: a broken discovery.json is replaced" within 5 knows h1 blog
	end h1
	rm "$dir/discovery.json"
	mkdir "$dir/discovery.json"
	run h1 h1
	check "files: a directory in its place is said" within 5 said h1 "discovery.json cannot be written"
	check "files: and others still hear of us" within 5 knows h2 shop
	rmdir "$dir/discovery.json"
	check "files: when it has gone the file is back" within 10 knows h1 blog
	end h1
}

check_full_disk() {
	mkdir -p "$T/full"
	mount -t tmpfs -o size=40k,mode=755 none "$T/full" || return
	run full h3 STACK_ID=full VNI=1000
	within 5 state full '.self.stacks[0].stack_id == "full"'
	head -c 100000 /dev/zero >"$T/full/filler" 2>/dev/null
	plug h3 3
	check "full disk: it is said" within 10 said full "cannot be written"
	check "full disk: the old file is whole" state full '.version == 1'
	check "full disk: others hear of us" within 5 knows h2 full
	rm "$T/full/filler"
	check "full disk: with room again the file is right" within 10 knows full blog
	end full
	umount "$T/full"
	ip -n "$TAG-h3" link del dev eth0
}

# With a bare network, INTERFACE=lo and static lists
check_static() {
	end h1 h2
	run h1 h1 DISCOVERY_MODE=static PEERS=192.0.2.2
	run h2 h2 DISCOVERY_MODE=static PEERS=192.0.2.1:4790,192.0.2.2
	check "static: both know each other" within 5 both_know
	check "static: it is said how" state h1 '.self.modes == ["static"] and
		any(.peers[]; .stack_id == "blog" and .source == "static")'
	inventory h1 shop 1000 10.71.0.0/24 more 1000 10.76.0.0/24
	check "static: a new stack is told at once" within 2 knows h2 more
	inventory h1 shop 1000 10.71.0.0/24
	check "static: and one that goes" within 2 knows_not h2 more
	end h2
	run h2 h2 DISCOVERY_MODE=static PEERS= # knows nobody, but who knows it speaks to it
	inventory h2 blog 1000 10.72.0.0/24 back 1000 10.77.0.0/24
	check "static: a list on one side is enough" within 40 knows h1 back
	inventory h2 blog 1000 10.72.0.0/24
	end h1 h2
	run h1 h1 DISCOVERY_MODE=multicast,static PEERS=192.0.2.2
	run h2 h2
	check "multicast and static together" within 5 both_know
	check "multicast and static together: told once, as multicast" within 5 state h1 \
		'[.peers[] | select(.stack_id == "blog") | .source] == ["multicast"]'
	end h1 h2
	inventory lo1 a 7 10.81.0.0/24
	inventory lo2 b 7 10.82.0.0/24
	run lo1 h3 INTERFACE=lo
	run lo2 h3 INTERFACE=lo
	check "loopback: two processes find each other" within 5 knows lo1 b
	check "loopback: from 127.0.0.1" within 5 state lo2 '.peers[0].host_ip == "127.0.0.1"'
	end lo1 lo2
	run lo1 h3 INTERFACE=lo DISCOVERY_MODE=static "PEERS=[::1]:4790"
	within 5 said lo1 "port=4790"
	run lo2 h3 INTERFACE=lo DISCOVERY_MODE=static "PEERS=[::1]:4790"
	check "loopback: by IPv6 too, from a list" within 5 state lo1 'any(.peers[]; .stack_id == "b" and .host_ip == "::1")'
	end lo1 lo2
	run lo1 h3 INTERFACE=lo DISCOVERY_MODE=static PEERS=127.0.0.1:4790
	within 5 said lo1 "port=4790"
	run lo2 h3 INTERFACE=lo DISCOVERY_MODE=static PEERS=127.0.0.1:4790
	check "loopback: by a list too" within 5 knows lo1 b
	end lo1 lo2
}

check_stop_without_network() {
	run waiting h3 STACK_ID=waiting VNI=1000
	within 5 said waiting started
	kill -TERM "${PID[waiting]}"
	wait "${PID[waiting]}"
	check "without a network: SIGTERM ends it" [ $? = 0 ]
	unset "PID[waiting]"
}

sanitizers_silent() {
	! grep -h -A 20 -e "runtime error" -e "Sanitizer" "$T"/*.log
}

check_usage() {
	local out
	mkdir -p "$T/alone"
	out=$(env -u STACK_ID -u VNI -u DOCKER_ROUTER_HOST CONFIG= "STATE_DIR=$T/alone" "${ROLE[@]}" 2>&1)
	check "alone: without STACK_ID status 2" [ $? = 2 ]
	check "alone: and words" grep -q "STACK_ID is required.*VNI is required" <<<"$out"
	out=$(env -u STACK_ID -u VNI -u DOCKER_ROUTER_HOST CONFIG= "STATE_DIR=$T/alone" STACK_ID=x "${ROLE[@]}" 2>&1)
	check "alone: without VNI status 2" [ $? = 2 ]
	check "alone: and words too" grep -q "VNI" <<<"$out"
}

value() { # NAME FIELD: of /proc/PID/status
	sed -n "s/^$2:[[:space:]]*\([0-9a-fA-F]*\).*/\1/p" "/proc/${PID[$1]}/status"
}
wakeups() {
	value "$1" voluntary_ctxt_switches
}

check_costs() {
	local before rss sanitized=
	grep -q libasan "/proc/${PID[h1]}/maps" && sanitized=1
	check "costs: no capability" [ "$(value h1 CapPrm)$(value h1 CapEff)$(value h1 CapAmb)" = \
		"000000000000000000000000000000000000000000000000" ]
	check "costs: not root" [ "$(value h1 Uid)" != 0 ]
	rss=$(value h1 VmRSS)
	[ -n "$sanitized" ] || check "costs: resident with 2 hosts: $rss kB, allowed 6144" [ "$rss" -le 6144 ]
	# everything about the start has been said when the last resend is through; idleness can only be seen by waiting
	sleep 2
	before=$(wakeups h1)
	sleep 5
	before=$(($(wakeups h1) - before))
	check "costs: wake-ups in 5 s idle: $before, allowed 10" [ "$before" -lt 10 ]
	in_ns h4 python3 "$TOOL" crowd 192.0.2.1 10000
	check "costs: 10,000 peers are known" within 20 state h1 '[.peers[] | select(.vni == 77)] | length == 10000'
	rss=$(value h1 VmRSS)
	[ -n "$sanitized" ] || check "costs: resident with 10,000 peers: $rss kB, allowed 40960" [ "$rss" -le 40960 ]
	check "costs: a stack that comes then is still known at once" within 3 knows_after h2 crowded
	inventory h2 blog 1000 10.72.0.0/24
}
knows_after() { # the stack is announced by h2 with the first call
	grep -q "$2" "$T/$1/inventory.json" || inventory "$1" blog 1000 10.72.0.0/24 "$2" 1000 10.78.0.0/24
	knows h1 "$2"
}

mapped_as() { # NAME: what its first stack is mapped to, or nothing
	jq -r '.self.stacks[0].mapped[0].as // empty' "$T/$1/discovery.json" 2>/dev/null
}
both_mapped() {
	local a b
	a=$(mapped_as h1) b=$(mapped_as h2)
	[ -n "$a" ] && [ -n "$b" ] && [ "$a" != "$b" ] && state h1 '.peers[0].mapped[0].as == "'"$b"'"' &&
		state h2 '.peers[0].mapped[0].as == "'"$a"'"'
}
moved_from() { # NAME PREFIX
	[ "$(mapped_as "$1")" != "$2" ] && both_mapped
}

# Two hosts with what Docker gives; routes of a host that are in the way
check_mapped() {
	local before
	inventory h1 shop 1000 172.18.0.0/16
	inventory h2 blog 1000 172.18.0.0/16
	run h1 h1
	run h2 h2
	check "mapped: both came up on one subnet, and have one more each" within 5 both_mapped
	check "mapped: beside their own" state h1 '.self.stacks[0].subnets == ["172.18.0.0/16"]'
	check "mapped: the log says why" said h1 'stack has a mapped subnet.*shop.*blog@.* has 172.18.0.0/16'
	before=$(mapped_as h1)
	end h1
	run h1 h1
	within 5 said h2 'peer changed'
	check "mapped: a restart keeps it" within 5 state h1 '.self.stacks[0].mapped[0].as == "'"$before"'" and
		(.peers | length) == 1'
	in_ns h1 ip route add 10.9.0.0/16 dev lo
	inventory h2 blog 1000 10.9.1.0/24
	check "mapped: a route of a member is told to the others" within 5 state h2 '.peers[0].avoid == ["10.9.0.0/16"]'
	check "mapped: and what is new is mapped at once" state h2 '.self.stacks[0].mapped[0].subnet == "10.9.1.0/24"'
	before=$(mapped_as h2)
	in_ns h1 ip route add "$before" dev lo
	check "mapped: away from where a route goes" within 5 moved_from h2 "$before"
	in_ns h1 ip route del "$before" dev lo
	in_ns h1 ip route del 10.9.0.0/16 dev lo
	end h1 h2
	rm -rf "${T:?}"/*/
	inventory h1 shop 1000 172.18.0.0/16
	run h1 h1 MAPPING=always
	check "MAPPING=always: mapped without a clash" within 5 state h1 \
		'.self.stacks[0] | .subnets == [] and (.mapped | length) == 1'
	end h1
	inventory h2 blog 1000 10.0.0.0/9
	run h2 h2 MAPPING=always
	check "mapped: what is too large is told" within 5 state h2 'any(.problems[]; .object == "stack blog" and
		(.text | test("10.0.0.0/9 cannot be mapped")))'
	end h2
	rm -rf "${T:?}"/*/
}

# --- the order of things ---------------------------------------------------------------------------------------------

basics IPv4
processes_of_users IPv4
killed_and_back IPv4
goodbyes IPv4
address_changes IPv4 192.0.2.2/24 192.0.2.22/24
hot_plug IPv4
check_older_program
check_hostile
goodbyes_before=$(lines h2 'goodbye.*shop@')
check_files
check_full_disk
check_static
end h1 h2
run h1 h1
run h2 h2
within 5 both_know
check_costs
end h1 h2
rm -rf "${T:?}"/*/
check_mapped

V6=(MULTICAST_GROUP=ff15::4790)
basics IPv6 "${V6[@]}"
processes_of_users IPv6 "${V6[@]}"
killed_and_back IPv6 "${V6[@]}"
goodbyes IPv6 "${V6[@]}"
address_changes IPv6 2001:db8::2/64 2001:db8::22/64
hot_plug IPv6 "${V6[@]}"
end h1 h2
rm -rf "${T:?}"/*/
basics "IPv6, group of link scope" MULTICAST_GROUP=ff12::4790
end h1 h2
check_usage
check_stop_without_network
check "no sanitizer has a word to say" sanitizers_silent

echo "1..$n_tests"
if [ "$n_failed" -gt 0 ]; then
	echo "# failed:$failed"
	for log in "$T"/*.log; do
		echo "# --- ${log##*/}"
		tail -n 40 "$log" | sed 's/^/# /'
	done
	exit 1
fi
