#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The mode gossip with real processes: five hosts on one bridge, that join by key file, token and name, leave, die, are
# cut off from each other, start again all together; a host with another key, one with none, and one that only means
# harm. In namespaces of the test's own. TAP on stdout; exit 77 when something is missing here.
#
#	h1 .1   h2 .2   h3 .3   h4 .4   h5 .5      192.0.2.0/24, 2001:db8::/64; h9 .9: hostile
#
# Environment: DOCKER_ROUTER (the command; default: build/docker-router), ARTIFACTS (where logs are kept after a failure).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

DOCKER_ROUTER=${DOCKER_ROUTER:-$PWD/build/docker-router}
TOOL=$PWD/tests/netns/gossip.py

skip() {
	echo "1..0 # SKIP $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip jq nft nsenter python3 unshare; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "$DOCKER_ROUTER" ] || skip "$DOCKER_ROUTER is not built"
if [ "${1:-}" != inside ]; then
	unshare --net --mount --propagation private true || skip "no namespaces here"
	# as PID 1 of its own this script takes everything along that it leaves, whatever happens
	exec unshare --net --mount --propagation private --pid --fork --mount-proc --kill-child "$0" inside
fi
{ mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns; } || skip "no mounts here"

. tests/netns/lib.sh

not() {
	! "$@"
}

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

in_ns() { # HOST CMD...
	local h=$1
	shift
	nsenter --net="/run/netns/$h" "$@"
}

ip link add name br0 type bridge mcast_snooping 0 || skip "no bridges here"
ip link set dev br0 up
for i in 1 2 3 4 5 9; do
	ip netns add "h$i" || skip "no network namespaces here"
	ip -n "h$i" link set dev lo up
	ip link add name "p$i" type veth peer name eth0 netns "h$i" || skip "no veth here"
	ip link set dev "p$i" master br0 up
	ip -n "h$i" address add "192.0.2.$i/24" dev eth0
	ip -n "h$i" address add "2001:db8::$i/64" dev eth0 nodad
	ip -n "h$i" link set dev eth0 up
done
printf '127.0.0.1 localhost\n192.0.2.1 first.example\n' >"$T/hosts"
mount --bind "$T/hosts" /etc/hosts

# --- discoveries -------------------------------------------------------------------------------------------------------

KEY=()
start() { # NUMBER [SETTING...]: a discovery alone, with a stack s1, s2, ...
	local i=$1
	shift
	mkdir -p "$T/$i"
	nsenter --net="/run/netns/h$i" env -u CLUSTER_KEY_FILE STATE_DIR="$T/$i" STACK_ID="s$i" VNI=1000 CONFIG= \
		STACK_SUBNETS="10.7$i.0.0/24" HOST_IP="192.0.2.$i" DISCOVERY_MODE=gossip PEER_TIMEOUT=6 ANNOUNCE_INTERVAL=2 \
		"${KEY[@]}" "$@" "$DOCKER_ROUTER" discovery >>"$T/$i.log" 2>&1 &
	PID[$i]=$!
}

file() { # NUMBER FILTER [ARG...]: what its discovery.json says
	local i=$1 filter=$2
	shift 2
	jq -e "$@" "$filter" "$T/$i/discovery.json" >/dev/null 2>&1
}

knows() { # NUMBER STACK...: these and no others, each once, through gossip
	local i=$1
	shift
	file "$i" '($s | split(" ") | sort) as $s | (.peers | length) == ($s | length) and
		([.peers[] | select(.status == "active" and .source == "gossip") | .stack_id] | sort) == $s' --arg s "$*"
}

together() { # NUMBER...: each knows all others of these, and nobody else
	local i k others
	for i; do
		others=()
		for k; do
			[ "$i" = "$k" ] || others+=("s$k")
		done
		knows "$i" "${others[@]}" || return 1
	done
}

complains() { # NUMBER WORDS
	file "$1" 'any(.problems[]; .text | contains($w))' --arg w "$2"
}

verb() { # NUMBER VERB...: in its host
	local i=$1
	shift
	in_ns "h$i" env -u CLUSTER_KEY_FILE STATE_DIR="$T/$i" CONFIG= "$DOCKER_ROUTER" "$@"
}

doctor() { # NUMBER WORDS: a check of doctor, whose cure follows
	local text
	text=$(verb "$1" doctor 2>/dev/null) # which ends with 1
	tr -s ' \n' '  ' <<<"$text" | grep -q "$2"
}

# --- without a key -----------------------------------------------------------------------------------------------------

start 1 GOSSIP_JOIN=192.0.2.1,192.0.2.2
start 2 GOSSIP_JOIN=192.0.2.1,192.0.2.2
start 3 GOSSIP_JOIN=first.example
ok "by address and by name, the same list for all" within 15 together 1 2 3
ok "that it is not sealed is said" grep -q "not sealed" "$T/1.log"
ok "status lists the members" eval "verb 1 status | grep -q 'with 2 other members'"
end TERM 3
ok "who leaves is gone at once" within 2 together 1 2
ok "as one that has left" file 1 'any(.gossip.members[]; .status == "left")'
start 3 GOSSIP_JOIN=nowhere.example
ok "a name that is not found is told" within 10 complains 3 "the name is not found"
ok "and who was known is found without it" within 10 together 1 2 3
end KILL 3
ok "who is killed is gone, soon" within 8 together 1 2
end TERM 1 2
rm -r "$T"/[123]

# --- keys and tokens ---------------------------------------------------------------------------------------------------

(umask 077 && "$DOCKER_ROUTER" keygen >"$T/key" && "$DOCKER_ROUTER" keygen >"$T/other")
KEY=(CLUSTER_KEY_FILE="$T/key")
start 1
start 2 GOSSIP_JOIN=192.0.2.1
ok "with a key" within 10 together 1 2
(umask 077 && verb 1 token --cluster-key-file "$T/key" >"$T/token" 2>/dev/null)
KEY=()
start 3
within 5 file 3 .gossip
ok "a new host joins with a token alone" verb 3 join --token-file "$T/token"
ok "and all know it" within 10 together 1 2 3
ok "its keys are root's alone" [ "$(stat -c '%u %a' "$T/3/keys" "$T/3/keys/cluster.key" | tr '\n' ' ')" = "0 700 0 600 " ]
secret=$(grep -v '^#' "$T/key" | cut -d' ' -f1)
ok "and in no file that others read, and no log" not grep -rqF -e "$secret" -e "$(cat "$T/token")" "$T/3" "$T"/3.log \
	--exclude=cluster.key
end TERM 3
start 3
ok "it needs no token to be back" within 10 together 1 2 3
ok "a token on stdin" eval 'verb 4 join <"$T/token" | grep -q "does not run here yet"'
start 4
ok "before discovery has ever started" within 10 together 1 2 3 4
(umask 077 && verb 1 token --cluster-key-file "$T/key" --expires 1s >"$T/late" 2>/dev/null)
within 5 eval '[ "$(date +%s)" -gt $(($(stat -c %Y "$T/late") + 1)) ]'
ok "an expired token is refused, for what it is" eval '! verb 5 join --token-file "$T/late" 2>"$T/why" && grep -q "the token has expired" "$T/why"'
start 5
ok "it stays known" within 5 complains 5 "the token has expired"
ok "and doctor names it" doctor 5 "the last attempt was refused: the token has expired"
ok "a token on the command line is refused" not verb 5 join "$(cat "$T/late")" 2>/dev/null
end TERM 5
rm -r "$T/5"

# --- who does not belong here ------------------------------------------------------------------------------------------

KEY=(CLUSTER_KEY_FILE="$T/other")
start 5 GOSSIP_JOIN=192.0.2.1
ok "another key is told by its cause, on both sides" within 15 eval \
	'complains 5 "seals with another key than ours" && complains 1 "seals with another key than ours"'
ok "and keeps it out" eval "together 1 2 3 4 && knows 5"
end TERM 5
KEY=()
start 5 GOSSIP_JOIN=192.0.2.1
ok "no key too" within 15 eval 'complains 5 "sealed there" && complains 1 "speaks without a seal"'
ok "and it stays out" eval "together 1 2 3 4 && knows 5"
end TERM 5
rm -r "$T/5"
in_ns h9 python3 "$TOOL" harm 192.0.2.9 192.0.2.1 - "$(verb 1 status --format json | jq -r .host.host_id)" &
PID[hostile]=$!
wait "${PID[hostile]}"
status=$?
unset "PID[hostile]"
ok "garbage, forgeries and half streams are read and forgotten" [ "$status" = 0 ]
ok "nobody is lost by it" throughout 3 together 1 2 3 4
start 5 CLUSTER_KEY_FILE="$T/key" GOSSIP_JOIN=192.0.2.1
ok "and who is slow on TCP does not keep others from joining" within 10 together 1 2 3 4 5
end TERM 5

# --- the network -------------------------------------------------------------------------------------------------------

cut() { # HOST RULE...: what its firewall drops
	local h=$1 rule
	shift
	in_ns "$h" nft add table inet cut
	in_ns "$h" nft add chain inet cut in '{ type filter hook input priority 0; }'
	for rule; do
		in_ns "$h" nft add rule inet cut in "$rule" drop
	done
}
whole() { # HOST...
	local h
	for h; do
		in_ns "$h" nft delete table inet cut
	done
}
cut h1 'ip saddr { 192.0.2.3, 192.0.2.4 }'
cut h2 'ip saddr { 192.0.2.3, 192.0.2.4 }'
ok "cut in two, each half knows itself" within 20 eval "together 1 2 && together 3 4"
whole h1 h2
ok "and whole again all know all" within 30 together 1 2 3 4
cut h4 'udp dport 4791'
ok "a blocked UDP port is told" within 30 complains 4 "UDP does not get through"
ok "and doctor names it" doctor 4 "UDP does not get through.*Open GOSSIP_PORT"
ok "and TCP holds it all together" within 20 together 1 2 3 4
whole h4
cut h4 'tcp dport 4791'
rm -r "$T/5"
start 5 CLUSTER_KEY_FILE="$T/key" GOSSIP_JOIN=192.0.2.4
ok "a blocked TCP port is told" within 30 complains 5 "TCP does not get through"
ok "and doctor names it" doctor 5 "TCP does not get through.*Open GOSSIP_PORT"
end TERM 5
whole h4
ip -n h2 address add 192.0.2.22/24 dev eth0
end TERM 2
KEY=(CLUSTER_KEY_FILE="$T/key")
start 2 HOST_IP=192.0.2.22
ok "who has another address is one peer there" within 10 eval 'together 1 2 3 4 &&
	file 1 '\''any(.peers[]; .stack_id == "s2" and .host_ip == "192.0.2.22")'\'''

# --- all at once -------------------------------------------------------------------------------------------------------

end KILL 1 2 3 4
for i in 1 2 3 4; do
	start "$i" CLUSTER_KEY_FILE="$T/key"
done
ok "all killed and started again find each other, with nobody to join by" within 20 together 1 2 3 4
end TERM 1 2 3 4
for i in 4 3 2 1; do
	start "$i" CLUSTER_KEY_FILE="$T/key"
done
ok "and all stopped in good order too" within 20 together 1 2 3 4
start 5 CLUSTER_KEY_FILE="$T/key" GOSSIP_JOIN=192.0.2.3 GOODBYE=never
within 10 together 1 2 3 4 5
end TERM 5
five_is() { # STATUS: to all others
	local n id
	id=$(cat "$T/5/host_id")
	for n in 1 2 3 4; do
		file "$n" 'any(.gossip.members[]; .host_id == $id and .status == $s)' --arg id "$id" --arg s "$1" || return 1
	done
}
ok "with GOODBYE=never nobody is told" within 15 five_is dead
start 5 CLUSTER_KEY_FILE="$T/key" GOODBYE=never
within 10 together 1 2 3 4 5
end TERM 5
in_ns h5 env STATE_DIR="$T/5" CONFIG= DISCOVERY_MODE=gossip CLUSTER_KEY_FILE="$T/key" "$DOCKER_ROUTER" discovery \
	--say-goodbye >>"$T/5.log" 2>&1
ok "until goodbye is said for it" within 15 five_is left
end TERM 1 2 3 4

# --- IPv6 --------------------------------------------------------------------------------------------------------------

rm -r "$T"/[1-5]
start 1 HOST_IP=2001:db8::1
start 2 HOST_IP=2001:db8::2 "GOSSIP_JOIN=[2001:db8::1]:4791"
start 3 HOST_IP=2001:db8::3 GOSSIP_JOIN=2001:db8::2
ok "IPv6" within 10 together 1 2 3
start 4 HOST_IP=192.0.2.4 GOSSIP_JOIN=2001:db8::2
ok "another family is told" within 5 complains 4 "it has no IPv4 address"
end TERM 1 2 3 4

echo "1..$n_tests"
[ "$n_failed" = 0 ]
