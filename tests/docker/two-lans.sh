#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4 debian-v6
# timeout: 240
#
# Two LANs with a router between them that forwards no multicast: two Docker hosts on the one, one on the other, made a
# cluster by the commands of README.md, word by word, while docker-router runs; nothing is started again. Containers talk
# across, in full-size packets. A host that leaves is gone, a cut between the LANs heals. The IPv6 variant encrypts as
# well: the router between sees no VXLAN, and without a key nothing goes out at all.
. "$(dirname "$0")/faults/common.sh"

settings="DISCOVERY_MODE=gossip" mtu=1450 port=4789 a=192.0.2. b=198.51.100. len=24
if [ $UNDERLAY = v6 ]; then
	command -v wireguard-go >/dev/null || skip "there is no wireguard-go"
	[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
	settings="$settings ENCRYPTION=wireguard"
	mtu=1350 port=51820 a=2001:db8:1:: b=2001:db8:2:: len=64
fi
host_line() { # NAME ADDRESS SWITCH ROUTER
	echo "host $1 $2/$len@$3 via=$4 HOST_IP=$2 $settings"
}
case $UNDERLAY in
v4) r1=${a}254 r2=${b}254 ;;
v6) r1=${a}fffe r2=${b}fffe ;;
esac
{
	printf 'switch sw\nswitch sw2\nnode r %s/%s %s/%s@sw2\n' $r1 $len $r2 $len
	host_line h1 ${a}1 sw $r1
	host_line h2 ${a}2 sw $r1
	host_line h3 ${b}3 sw2 $r2
} >"$FILES/topology"
lab_begin "$FILES/topology"
inside r nft 'add table inet seen; add chain inet seen forward { type filter hook forward priority 0; }
	add rule inet seen forward udp dport 4789 counter; add rule inet seen forward udp dport 51820 counter'
seen() { # PORT: packets that the router between has forwarded to it
	inside r nft -j list chain inet seen forward |
		jq --argjson p "$1" '.nftables[].rule? | select(. and .expr[0].match.right == $p) | .expr[1].counter.packets'
}
stack h1 one 1000 71
stack h2 two 1000 72
stack h3 three 1000 73
for h in h1 h2 h3; do
	docker_on $h exec -d "$(docker_on $h ps --format '{{.Names}}' | head -n 1)" sh -c 'while :; do echo hello | nc -l -p 80; done'
done
knows() { # HOST STACK...: these and no others
	local h=$1
	shift
	[ "$(jq -r '[.peers[].stack_id] | sort | join(" ")' "$DIR/$h/state/discovery.json")" = "$*" ]
}
together() {
	knows h1 three two && knows h2 one three && knows h3 one two
}

step "without a key and without having joined nobody knows anybody"
settle
for h in h1 h2 h3; do
	knows $h || fail "$h knows somebody"
	must_contain "doctor of $h" 'sealing +warning +discovery is not sealed' "$(on $h docker-router doctor || true)"
	[ $UNDERLAY = v4 ] || must_contain "doctor of $h" 'WireGuard: there is no cluster key yet' "$(on $h docker-router doctor || true)"
done

step "the commands of README.md"
pids() { # HOST: of its roles
	jq -c '[.roles[] | [.role, .pid]]' "$DIR/$1/state/host.json"
}
for h in h1 h2 h3; do
	pids $h >"$FILES/pids.$h"
	mkdir "$FILES/$h"
done
# the code block: what is between the two comments is for the first host, what follows for each of the others
block=$(sed -n '/^# on the first host, once$/,/^```$/p' "$TOP/README.md")
first=$(sed '/^# on each of the other/,$d' <<<"$block")
others=$(sed '1,/^# on each of the other/d; /^```$/d' <<<"$block")
grep -q 'key add' <<<"$first" && grep -q ' token ' <<<"$first" && grep -q ' join ' <<<"$others" || fail "README.md has no such block: $block"
typed() { # HOST COMMANDS
	on "$1" bash -euo pipefail -c "sudo() { \"\$@\"; }; cd '$FILES/$1'; $2"
}
typed h1 "$first"
for h in h2 h3; do
	cp -p "$FILES/h1/token" "$FILES/$h/"
	typed $h "$others"
	[ ! -e "$FILES/$h/token" ] || fail "the token is left on $h"
done
wait_until "all know all" 30 together
must_fail grep -rqF "$(cat "$FILES/h1/token")" "$DIR"/h[123]/state/*.json "$DIR"/h[123]/router.log
for h in h1 h2 h3; do
	must_equal "roles of $h: none was started again" "$(cat "$FILES/pids.$h")" "$(pids $h)"
	must_contain "doctor of $h" 'sealing +ok +discovery is sealed with key' "$(on $h docker-router doctor || true)"
done
must_contain "status of h3" 'with 2 other members' "$(on h3 docker-router status)"

step "containers talk across, in full-size packets"
all_across() {
	reach h1 one 10.73.0.10
	reach h3 three 10.71.0.10
	reach h3 three 10.72.0.10
	reach h2 two 10.71.0.10
}
all_across
reach_full_size h1 one 10.73.0.10 $mtu
reach_full_size h3 three 10.72.0.10 $mtu
[ "$(seen $port)" -gt 4 ] || fail "the router between has forwarded $(seen $port) packets to port $port"
[ $port = 4789 ] || must_equal "VXLAN that the router between has seen" 0 "$(seen 4789)"

step "a host that leaves is gone, and back without another token"
on h2 docker-router down >/dev/null
wait_until "h1 and h3 know it no more" 10 eval "knows h1 three && knows h3 one"
no_route() { ! in_vni h3 1000 ip route | grep -q '10\.72\.0\.0/24'; }
wait_until "its route is gone too" 10 no_route
reach_ping h3 three 10.71.0.10
service_of h2 router start
wait_until "all know all" 30 together

step "a cut between the LANs heals"
"$TOP/lab/cut" r
apart() { knows h1 two && knows h2 one && knows h3; }
wait_until "each LAN knows itself" 60 apart
reach_ping h1 one 10.72.0.10
"$TOP/lab/heal" r
wait_until "all know all" 60 together
all_across
reach_full_size h1 one 10.73.0.10 $mtu
