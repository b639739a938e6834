#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What every mode of discovery has to do, whichever it is: find each other, follow a change, leave, notice a death, start
# again with newer and with older sequence numbers, carry names, and stand beside another mode without doubling anybody.
# Two or three discoveries on lo, in a network, mount and PID namespace of the test's own. TAP; exit 77 skips.
#
#	tests/netns/modes.sh [MODE...]		without: all of them; what a mode lacks here is skipped with a reason
#
# To add a mode: settings_MODE, and where it needs somebody to ask, begin_MODE.
# Environment: DOCKER_ROUTER (the command; default: build/docker-router), ARTIFACTS (where logs are kept after a failure).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

DOCKER_ROUTER=${DOCKER_ROUTER:-$PWD/build/docker-router}
ALL_MODES=(multicast static gossip gossip-sealed etcd etcd-sealed dns dns-sealed)

skip() {
	echo "1..0 # SKIP $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip jq unshare; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "$DOCKER_ROUTER" ] || skip "$DOCKER_ROUTER is not built"
if [ "${1:-}" != inside ]; then
	unshare --net --mount --propagation private true || skip "no namespaces here"
	# as PID 1 of its own this script takes everything along that it leaves, whatever happens
	exec unshare --net --mount --propagation private --pid --fork --mount-proc --kill-child "$0" inside "$@"
fi
shift
[ $# -gt 0 ] || set -- "${ALL_MODES[@]}"
ip link set dev lo up
ip link set dev lo multicast on
ip route add 224.0.0.0/4 dev lo
for i in 1 2 3 9; do
	ip address add "10.99.0.$i/24" dev lo
done

. tests/netns/lib.sh

end() { # SIGNAL NAME...: and wait for them
	local n signal=$1
	shift
	for n; do
		kill "-$signal" "${PID[$n]}"
	done
	for n; do
		wait "${PID[$n]}" 2>/dev/null
		unset "PID[$n]"
	done
}

# --- modes: settings_MODE NUMBER prints VAR=VALUE lines ----------------------------------------------------------------

settings_multicast() {
	echo DISCOVERY_MODE=multicast
}
settings_static() {
	echo DISCOVERY_MODE=static
	echo PEERS=10.99.0.1,10.99.0.2,10.99.0.3
}
settings_gossip() {
	echo DISCOVERY_MODE=gossip
	echo GOSSIP_JOIN=10.99.0.1,10.99.0.2
}
settings_gossip-sealed() {
	settings_gossip
	echo "CLUSTER_KEY_FILE=$T/key"
}
begin_gossip-sealed() {
	(umask 077 && "$DOCKER_ROUTER" keygen >"$T/key")
}
settings_etcd() {
	echo DISCOVERY_MODE=etcd
	echo ETCD_ENDPOINTS=http://10.99.0.9:2379
	echo ETCD_LEASE_TTL=5
}
begin_etcd() {
	command -v etcd >/dev/null || {
		echo "needs etcd"
		return 1
	}
	etcd --name m --data-dir "$T/etcd" --logger zap --log-level error --listen-client-urls http://10.99.0.9:2379 \
		--advertise-client-urls http://10.99.0.9:2379 --listen-peer-urls http://10.99.0.9:2380 \
		--initial-advertise-peer-urls http://10.99.0.9:2380 --initial-cluster m=http://10.99.0.9:2380 >"$T/etcd.log" 2>&1 &
	PID[etcd]=$!
}
settings_etcd-sealed() {
	settings_etcd
	echo "CLUSTER_KEY_FILE=$T/key"
}
begin_etcd-sealed() {
	begin_gossip-sealed
	begin_etcd
}
settings_dns() {
	echo DISCOVERY_MODE=dns
	echo DNS_DOMAIN=router.example
	echo DNS_SERVER=10.99.0.9
	echo DNS_UPDATE=10.99.0.9
	echo DNS_TTL=2
}
begin_dns() {
	command -v knotd >/dev/null && command -v nsupdate >/dev/null || {
		echo "needs knotd and nsupdate"
		return 1
	}
	rm -rf "$T/knot" && mkdir "$T/knot"
	printf '@ SOA ns.router.example. admin.router.example. 1 60 60 600 2\n@ NS ns\nns A 10.99.0.9\n' >"$T/knot/zone"
	cat >"$T/knot/conf" <<-END
		server:
		    rundir: $T/knot
		    listen: 10.99.0.9@53
		database:
		    storage: $T/knot
		acl:
		  - id: update
		    address: 10.99.0.0/24
		    action: update
		zone:
		  - domain: router.example
		    file: $T/knot/zone
		    acl: update
	END
	knotd -c "$T/knot/conf" >"$T/knot.log" 2>&1 &
	PID[knot]=$!
}
settings_dns-sealed() {
	settings_dns
	echo "CLUSTER_KEY_FILE=$T/key"
}
begin_dns-sealed() {
	begin_gossip-sealed
	begin_dns
}
no_deaths=(dns) # a record stays though its host does not: somebody has to take it away
no_names=() # these carry no names of containers: that is what another mode beside them is for

# --- discoveries -------------------------------------------------------------------------------------------------------

inventory() { # NAME NUMBER SUBNET [CONTAINER]: replaced as the role inventory does it
	local d=$T/$MODE/$1 containers='[]'
	mkdir -p "$d"
	[ $# -lt 4 ] || containers='[{"id":"'"$4"'","name":"'"$4"'","service":"'"$4"'","pid":1,"sandbox":"","health":"none",
		"interfaces":[{"network":"'"$1"'","mac":"02:42:00:00:00:02","addresses":["'"${3%.*}"'.2"],"aliases":[]}]}]'
	echo '{"version":1,"last_update":"2024-01-15T10:30:00Z","engines":[],"problems":[],"stacks":[{"stack_id":"'"$1"'","vni":1000,
		"uplink":"","networks":[{"name":"'"$1"'","id":"'"$1"'","bridge":"br-0","endpoint":"unix:///x","subnets":["'"$3"'"],
		"gateways":[],"internal":false,"icc":true,"mtu":1500}],"containers":'"$containers"'}]}' >"$d/.inventory.new"
	mv "$d/.inventory.new" "$d/inventory.json"
}

start() { # NAME NUMBER [SETTING...]
	local name=$1 number=$2 settings
	shift 2
	mapfile -t settings < <("settings_$MODE" "$number")
	# no function call here: the process must be our child itself, to be killed and waited for
	env -u STACK_ID -u VNI STATE_DIR="$T/$MODE/$name" CONFIG= HOST_IP="10.99.0.$number" INTERFACE=lo DOCKER_ROUTER_HOST=1 \
		ANNOUNCE_INTERVAL=2 PEER_TIMEOUT=6 "${settings[@]}" "$@" "$DOCKER_ROUTER" discovery >>"$T/$MODE/$name.log" 2>&1 &
	PID[$name]=$!
}

file() { # NAME FILTER [ARG...]: what its discovery.json says
	local name=$1 filter=$2
	shift 2
	jq -e "$@" "$filter" "$T/$MODE/$name/discovery.json" >/dev/null 2>&1
}

knows() { # NAME STACK SUBNET: once, and well
	file "$1" '[.peers[] | select(.stack_id == $s)] | length == 1 and .[0].status == "active" and .[0].subnets == [$p]' \
		--arg s "$2" --arg p "$3"
}

lost() { # NAME STACK
	file "$1" 'any(.peers[]; .stack_id == $s) | not' --arg s "$2"
}

named() { # NAME STACK CONTAINER ADDRESS
	jq -e --arg s "$2" --arg n "$3" --arg a "$4" \
		'any(.stacks[]; .stack_id == $s and any(.names[]; .name == $n and .addresses == [$a]))' \
		"$T/$MODE/$1/names.json" >/dev/null 2>&1
}

nameless() { # NAME STACK
	jq -e --arg s "$2" 'any(.stacks[]; .stack_id == $s) | not' "$T/$MODE/$1/names.json" >/dev/null 2>&1
}

lacks() { # MODE...: is this one of them?
	local m
	for m; do
		[ "${MODE%%-*}" != "$m" ] || return 0
	done
	return 1
}

carries_names() {
	! lacks "${no_names[@]}"
}

put_ahead() { # NAME: in its place, for where fs.protected_regular is set not even root writes into a file that a role owns
	local of=$T/$MODE/$1/discovery.json
	jq '.self.seq += 86400000' "$of" >"$T/ahead" && chown --reference="$of" "$T/ahead" && mv "$T/ahead" "$of"
}

suite() {
	local source=${MODE%%-*}
	mkdir -p "$T/$MODE"
	if declare -F "begin_$MODE" >/dev/null; then
		"begin_$MODE" >"$T/why" || {
			n_tests=$((n_tests + 1))
			echo "ok $n_tests - $MODE # SKIP $(cat "$T/why")"
			return
		}
	fi
	inventory shop 1 10.71.0.0/24
	inventory blog 2 10.72.0.0/24
	start shop 1
	start blog 2
	ok "two hosts find each other" within 30 eval "knows shop blog 10.72.0.0/24 && knows blog shop 10.71.0.0/24"
	# who asks DNS first speaks to the other, who may hear that before he reads it there himself
	ok "and by this mode" within 20 file shop '.peers[0].source == $m and (.self.modes | index($m))' --arg m "$source"
	inventory shop 1 10.81.0.0/24
	ok "a change is followed" within 10 knows blog shop 10.81.0.0/24
	if carries_names; then
		inventory shop 1 10.81.0.0/24 web
		ok "names of containers are known" within 10 named blog shop web 10.81.0.2
		inventory shop 1 10.81.0.0/24
		ok "and known no more" within 10 nameless blog shop
		inventory shop 1 10.81.0.0/24 web
		within 10 named blog shop web 10.81.0.2
	fi

	end TERM shop
	ok "who leaves is gone at once" at_once lost blog shop
	! carries_names || ok "with his names" at_once nameless blog shop
	start shop 1
	ok "and is back" within 10 knows blog shop 10.81.0.0/24
	! carries_names || ok "with his names" within 10 named blog shop web 10.81.0.2

	end KILL shop
	inventory shop 1 10.82.0.0/24
	start shop 1
	ok "killed and started again he is what he says then" within 15 knows blog shop 10.82.0.0/24
	end KILL shop
	ok "as if his clock had been ahead by a day" put_ahead shop
	inventory shop 1 10.83.0.0/24
	start shop 1
	ok "with much newer numbers too" within 15 knows blog shop 10.83.0.0/24
	end KILL shop
	rm "$T/$MODE/shop/discovery.json"
	inventory shop 1 10.84.0.0/24
	start shop 1
	ok "and with older ones in the end" within 30 knows blog shop 10.84.0.0/24
	end KILL shop
	lacks "${no_deaths[@]}" || ok "who dies is gone in time" within 20 lost blog shop
	start shop 1
	within 15 knows blog shop 10.84.0.0/24

	end KILL blog
	: >"$T/$MODE/blog.log"
	start blog 2
	within 15 grep -q started "$T/$MODE/blog.log"
	ok "who was killed knows the others again" within 15 knows blog shop 10.84.0.0/24
	end TERM blog
	ok "and can leave" at_once lost shop blog

	local second=multicast
	[ "$source" != multicast ] || second=static
	inventory wiki 3 10.73.0.0/24
	start blog 2 DISCOVERY_MODE="$source,$second" PEERS=10.99.0.1,10.99.0.3
	start wiki 3 DISCOVERY_MODE="$second" PEERS=10.99.0.1,10.99.0.2
	ok "beside $second nobody is there twice" within 30 eval \
		"knows blog shop 10.84.0.0/24 && knows blog wiki 10.73.0.0/24 && file blog '.peers | length == 2'"
	inventory blog 2 10.74.0.0/24
	ok "and both hear what is new" within 10 eval "knows shop blog 10.74.0.0/24 && knows wiki blog 10.74.0.0/24"
	end TERM blog
	ok "and that he left" at_once eval "lost shop blog && lost wiki blog"
	end TERM shop wiki
	[ -z "${PID[etcd]:-}" ] || end KILL etcd
	[ -z "${PID[knot]:-}" ] || end KILL knot
}

for MODE; do
	declare -F "settings_$MODE" >/dev/null || {
		echo "modes.sh: $MODE: one of ${ALL_MODES[*]}" >&2
		exit 2
	}
	suite
done

echo "1..$n_tests"
[ "$n_failed" = 0 ]
