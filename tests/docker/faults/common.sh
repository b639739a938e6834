# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the tests of faults share: two hosts, two VNIs, a container of each on each host, and "evil" on the same switch;
# a steady flow of which no packet may be lost; what the kernel holds, as text that compares.
#
#	h1: one 10.71.0.10, three 10.81.0.10      VNI 1000: one, two
#	h2: two 10.72.0.10, four  10.82.0.10      VNI 2000: three, four
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
FAULTS=$TEST_DIR/faults
FILES=$(mktemp -d)
at_exit rm -rf "$FILES"

faults_begin() { # [WORDS...]: added to the line of each host
	printf 'switch sw\nhost h1 192.0.2.1/24 %s\nhost h2 192.0.2.2/24 %s\nnode evil 192.0.2.66/24\n' "$*" "$*" >"$FILES/topology"
	lab_begin "$FILES/topology"
	stack h1 one 1000 71
	stack h2 two 1000 72
	stack h1 three 2000 81
	stack h2 four 2000 82
	reach_ping h1 one 10.72.0.10
	reach_ping h1 three 10.82.0.10
	settle
}

stack() { # HOST NAME VNI NUMBER
	docker_on "$1" network create --label "docker-router.vni=$3" --subnet "10.$4.0.0/24" "$2" >/dev/null
	docker_on "$1" run -d --name "$2" --network "$2" --ip "10.$4.0.10" "${STACK_OPTIONS[@]}" lab:1 "${IDLE[@]}" >/dev/null
}
STACK_OPTIONS=(--stop-signal KILL)

reach_ping() { # HOST CONTAINER ADDRESS
	wait_until "$2 on $1 pings $3" 10 pings "$1" "$2" "$3"
}

all_talk() {
	reach_ping h1 one 10.72.0.10
	reach_ping h2 two 10.71.0.10
	reach_ping h1 three 10.82.0.10
	reach_ping h2 four 10.81.0.10
}

host_ns() { # HOST
	echo "/run/netns/$(ns "$1")"
}

vni_ns() { # HOST VNI
	echo "$DIR/$1/run"/*/"vni-$2"
}

in_vni() { # HOST VNI CMD...
	local n
	n=$(vni_ns "$1" "$2")
	shift 2
	nsenter --net="$n" -- "$@"
}

role_pid() { # HOST ROLE
	if [ "$2" = host ]; then
		jq -r .pid "$DIR/$1/state/host.json"
	else
		jq -r --arg r "$2" '.roles[] | select(.role == $r) | .pid' "$DIR/$1/state/host.json"
	fi
}

file_of() { # HOST ROLE: inode and time, which a new version changes
	local file=$2
	[ "$file" != names ] || file=records
	stat -c '%i %.9Y' "$DIR/$1/state/$file.json" 2>/dev/null
}

role_back() { # HOST ROLE OLD-PID OLD-FILE: another process, and it has written its file
	local now
	now=$(role_pid "$1" "$2")
	[ -n "$now" ] && [ "$now" != 0 ] && [ "$now" != "$3" ] && [ -d "/proc/$now" ] && [ "$(file_of "$1" "$2")" != "$4" ]
}

host_restart() { # HOST stop|kill [PROGRAM]: and wait until every role has written its file
	local i d r
	i=$(file_of "$1" inventory) d=$(file_of "$1" discovery) r=$(file_of "$1" router)
	service_of "$1" router "$2"
	DOCKER_ROUTER=${3:-$DOCKER_ROUTER} service_of "$1" router start
	wait_until "inventory of $1" 5 role_back "$1" inventory 0 "$i"
	wait_until "discovery of $1" 5 role_back "$1" discovery 0 "$d"
	wait_until "router of $1" 5 role_back "$1" router 0 "$r"
}

lines() { # HOST PATTERN: how many of its log lines match
	grep -cE -- "$2" "$DIR/$1/router.log" || true
}

# --- what the kernel holds -------------------------------------------------------------------------------------------

# shellcheck disable=SC2016 # for the shell inside
HELD='ip -d -o link show type vxlan
	ip -o link show type veth
	ip -o addr | sed "s/^/addr /"
	ip rule | sed "s/^/v4 rule /"
	ip -6 rule | sed "s/^/v6 rule /"
	ip route show table all proto 212
	ip -6 route show table all proto 212
	ip neigh show nud permanent
	bridge fdb | grep " dst "
	nft -nn list table inet docker-router 2>/dev/null
	true'

heal() { # ARGS...: see there
	python3 "$FAULTS/heal.py" "$@"
}

held_in() { # NAMESPACE: all that is ours or could be, without numbers that change when a thing is made again
	nsenter --net="$1" -- sh -c "$HELD" | sed -E 's/^(addr )?[0-9]+: /\1/; s/@[^ :]+//; s/ valid_lft.*//; s/ tentative//
		s/ qdisc .* mode / /; s/ link-netnsid [0-9]+//g; s/ linkdown//g; s/(LOWER|NO-|,M-)[A-Z_-]*//g
		/^(veth|br-|docker0|eth|lo)/d; /^addr (veth|br-|docker0|eth|lo|other)/d
		/^drl-/s#link/ether [^ ]+##' | sort || true # the end at the bridge has a random MAC
}

containers_learn() { # HOST: whose namespaces are looked into, from now on
	local c
	for c in $(docker_on "$1" ps --format '{{.Names}}' | sort); do
		echo "$c $(pid_of "$1" "$c")"
	done >"$FILES/$1.containers"
}

held() { # HOST: in its namespace, the router namespaces, the containers
	local n c pid
	held_in "$(host_ns "$1")" | sed 's/^/host: /'
	for n in "$DIR/$1/run"/*/vni-*; do
		[ ! -e "$n" ] || held_in "$n" | sed "s/^/$(basename "$n"): /"
	done
	[ -f "$FILES/$1.containers" ] || containers_learn "$1"
	while read -r c pid; do
		held_in "/proc/$pid/ns/net" | sed "s/^/$c: /"
	done <"$FILES/$1.containers"
}

held_is() { # HOST FILE
	held "$1" >"$2.now"
	cmp -s "$2" "$2.now"
}

held_must() { # WHAT HOST FILE: within 3 s
	wait_for "$1" $((3 * PATIENCE)) held_is "$2" "$3" && return
	diff "$3" "$3.now" || true
	fail "$1: the kernel of $2 is not as before, see the lines above"
}

# settle: until the kernel's state of every host is twice the same
settle() {
	local h
	for h in $(nodes host); do
		settled "$h" || true
		wait_until "$h settles" 10 settled "$h"
	done
}
settled() { # HOST
	local was
	was=$(cat "$FILES/$1.settled" 2>/dev/null || true)
	held "$1" >"$FILES/$1.settled"
	[ "$was" = "$(cat "$FILES/$1.settled")" ]
}

ours_in() { # NAMESPACE: what in it carries our marks, one line each
	# shellcheck disable=SC2016 # for the shell inside
	nsenter --net="$1" -- sh -c 'ip -d link | grep docker-router
		ip -o link | grep -E " (drl|leg|nic)-[0-9a-f]{8}| (vx|dr)[0-9]+[:@]"
		ip rule | grep "proto 212"
		ip -6 rule | grep "proto 212"
		ip route show table all proto 212
		ip -6 route show table all proto 212
		ip neigh show nud permanent | grep "proto 212"
		ip -6 neigh show nud permanent | grep "proto 212"
		nft list tables 2>/dev/null | grep docker-router
		true'
}

traces() { # HOST: of ours in its namespace, in those of containers, among mounts, processes and files
	local pid
	ours_in "$(host_ns "$1")" | sed 's/^/host: /'
	for pid in $(docker_on "$1" ps -q | xargs -r "$TOP/lab/docker" "$1" inspect -f '{{.State.Pid}}'); do
		ours_in "/proc/$pid/ns/net" | sed 's/^/container: /'
	done
	awk -v d="$DIR/$1/run" 'index($5, d) == 1 { print "mount: " $5 }' /proc/self/mountinfo
	for pid in $(lab_pids); do
		! [ "/proc/$pid/ns/net" -ef "$(host_ns "$1")" ] || readlink "/proc/$pid/exe" | sed -n 's/.*docker-router/process: &/p'
	done
	find "$DIR/$1/state" "$DIR/$1/run" -mindepth 1 -printf 'file: %f\n' 2>/dev/null || true
}

# --- a flow ----------------------------------------------------------------------------------------------------------

probe_make() {
	gcc -O2 -static -o "$FILES/probe" "$TOP/tests/bench/probe.c"
}

echo_on() { # HOST CONTAINER: answers UDP port 7 in its namespace, whatever happens to Docker
	local pid
	pid=$(pid_of "$1" "$2")
	proc_start "$FILES/echo-$2.proc" "$FILES/echo.log" nsenter --net="/proc/$pid/ns/net" -- chrt -r 10 "$FILES/probe" echo 7
	at_exit proc_end "$FILES/echo-$2.proc" KILL
}

flow_start() { # NAME HOST CONTAINER ADDRESS: 1,000 datagrams a second there and back, until flow_must
	local pid
	pid=$(pid_of "$2" "$3")
	: >"$FILES/flow-$1"
	: >"$FILES/flow-$1.on"
	# shellcheck disable=SC2016 # for the shell inside
	proc_start "$FILES/flow-$1.proc" "$FILES/flow-$1" nsenter --net="/proc/$pid/ns/net" -- chrt -r 10 \
		sh -c 'while [ -e "$1" ]; do "$0" pps "$2" 7 1000 1 || exit; done' "$FILES/probe" "$FILES/flow-$1.on" "$4"
	at_exit flow_end "$1"
}

flow_end() { # NAME
	rm -f "$FILES/flow-$1.on"
	wait_until "the end of flow $1" 10 proc_gone "$FILES/flow-$1.proc"
}

flow_must() { # NAME: nothing was lost
	local sent received gap
	flow_end "$1"
	sent=$(awk '{ n += $1 } END { print n + 0 }' "$FILES/flow-$1")
	received=$(awk '{ n += $2 } END { print n + 0 }' "$FILES/flow-$1")
	gap=$(sort -n -k 3 "$FILES/flow-$1" | tail -n 1 | cut -d' ' -f3)
	echo "flow $1: sent $sent, received $received, longest gap $gap ms"
	[ "$sent" -gt 0 ] || fail "flow $1 sent nothing"
	[ "$sent" = "$received" ] || fail "flow $1 lost $((sent - received)) of $sent; the longest gap was $gap ms"
}

flows_start() { # both VNIs, both directions in VNI 1000
	flow_start 1to2 h1 one 10.72.0.10
	flow_start 2to1 h2 two 10.71.0.10
	flow_start 3to4 h1 three 10.82.0.10
}

flows_must() { # none of them lost anything
	local f
	rm -f "$FILES"/flow-*.on
	for f in 1to2 2to1 3to4; do
		flow_must $f
	done
}

flows_ready() { # once
	probe_make
	echo_on h2 two
	echo_on h1 one
	echo_on h2 four
	wait_until "a machine that loses nothing when nothing happens" 30 flows_idle
}
flows_idle() {
	flows_start
	wait_for "a second of it" $((10 * PATIENCE)) test -s "$FILES/flow-3to4"
	(flows_must)
}

# --- writes ----------------------------------------------------------------------------------------------------------

writes_start() { # HOST: of whatever is ours, in all its namespaces, from now on
	local n=("$(host_ns "$1")") pid
	n+=("$DIR/$1/run"/*/vni-*)
	while read -r _ pid; do
		n+=("/proc/$pid/ns/net")
	done <"$FILES/$1.containers"
	rm -f "$FILES/ready"
	proc_start "$FILES/writes.proc" "$FILES/writes" python3 "$FAULTS/heal.py" writes "$FILES/ready" "${n[@]}"
	at_exit proc_end "$FILES/writes.proc"
	wait_until "the kernel's events" 10 test -e "$FILES/ready"
}

writes() { # those so far that only we make
	# the tables for names go with the role, by design
	grep -E ' (...TABLE|...CHAIN|...SET|...ELEM|...RULE) .*docker-router| proto 212|alias docker-router|169\.254\.77|fe80::77:77|state 0x80 ' "$FILES/writes" | grep -v docker-router-names || true
}
