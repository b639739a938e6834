#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 240
#
# Mapped subnets: three hosts with the same subnet; who talked by true addresses before the clash goes on without a lost
# packet; source addresses arrive as the mapped ones; a subnet that is a route of one host; a partition in which both sides choose
# the same prefix; a pool that is exhausted; MAPPING=always and never.
. "$(dirname "$0")/lib.sh"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
# the first half, for mapped prefixes, has room for four networks of /16
export ROUTER_ENV="SHADOW_POOL=241.0.0.0/13,fd64:7264::/32"
lab_begin three-hosts

mapped_of() { # HOST STACK [SUBNET]: the mapped prefix, as its own host has chosen it
	jq -r --arg s "$2" --arg n "${3:-}" '.self.stacks[] | select(.stack_id == $s) | .mapped // [] | .[] |
		select($n == "" or .subnet == $n) | .as' "$DIR/$1/state/discovery.json"
}
is_mapped() { # HOST STACK
	[ -n "$(mapped_of "$@")" ]
}
seen_as() { # HOST STACK: as a peer has announced it
	jq -r --arg s "$2" '.peers[] | select(.stack_id == $s) | .mapped // [] | .[].as' "$DIR/$1/state/discovery.json"
}
map_ip() { # ADDRESS PREFIX/16: the address in that prefix
	echo "$(cut -d. -f1-2 <<<"$2").$(cut -d. -f3-4 <<<"$1")"
}
rewritten() { # HOST STACK: its router has it
	[ "$(jq -r --arg p "$(mapped_of "$1" "$2")" '[.vnis[].routes[] | select(.prefix == $p)] | length' "$DIR/$1/state/router.json")" = 1 ]
}

step "a stack and a bystander, that talk by true addresses"
network_on h1 first 1000 172.18.0.0/16
container_on h1 first first --ip 172.18.0.10
network_on h3 calm 1000 10.83.0.0/24
container_on h3 calm calm --ip 10.83.0.10
reach h3 calm 172.18.0.10
must_equal "no clash, no mapping" '' "$(mapped_of h1 first)"
# what is so for three seconds is established (decisions/08), and then no newcomer takes it, whatever its id
in_container h3 calm ping -i 0.01 -c 330 -q 172.18.0.10 >/dev/null
in_container h3 calm ping -i 0.01 -w 8 -q 172.18.0.10 >"$FILES/ping" 2>&1 &
ping=$!

step "a second one with the same subnet: both are mapped, and reach each other"
network_on h2 second 1000 172.18.0.0/16
container_on h2 second second --ip 172.18.0.10
for s in "h1 first" "h2 second" "h3 calm"; do
	read -r h name <<<"$s"
	wait_until "$name is mapped" 5 is_mapped "$h" "$name"
	wait_until "$name is rewritten" 5 rewritten "$h" "$name"
done
first=$(map_ip 172.18.0.10 "$(mapped_of h1 first)") second=$(map_ip 172.18.0.10 "$(mapped_of h2 second)")
must_contain "in the first half of the pool" '^241\.[0-3]\.' "$first"
calm=$(mapped_of h3 calm)
calm=${calm%.0/24}.10
reach h1 first "$second"
reach h2 second "$first"
reach h3 calm "$first"
reach h3 calm "$second"
reach h1 first "$calm"
reach_full_size h1 first "$second" "$(overlay_mtu)"
must_equal "1 MB" 1000000 "$(in_container h1 first sh -c "timeout 60 nc $second 81 </dev/null | wc -c")"
must_contain "source, mapped to mapped" "^second $first" "$(ask h1 first "$second")"
must_contain "source, true to true" "^first 10\.83\.0\.10" "$(ask h3 calm 172.18.0.10)"

step "the bystander's packets all arrived, by the true address"
wait $ping
must_contain "ping of first by calm" ' [1-9][0-9]{2,} received, 0% packet loss' "$(cat "$FILES/ping")"

step "a host of its own, twice on one: two stacks of h3, and their addresses"
network_on h3 third 1000 172.19.0.0/16
container_on h3 third third --ip 172.19.0.10
wait_until "third is mapped" 5 is_mapped h3 third
wait_until "third is rewritten" 5 rewritten h3 third
third=$(map_ip 172.19.0.10 "$(mapped_of h3 third)")
reach h3 calm "$third"
reach h3 third "$calm"
reach h1 first "$third"
reach h3 third "$first"

step "a route of one host, and it alone: mapped because of it"
network_on h1 lan 3000 10.55.7.0/24
container_on h1 lan lan --ip 10.55.7.10
network_on h2 near 3000 10.56.7.0/24
container_on h2 near near --ip 10.56.7.10
reach h2 near 10.55.7.10
docker_on h2 network create --subnet 10.55.0.0/16 private >/dev/null
wait_until "lan is mapped" 5 is_mapped h1 lan
lan=$(mapped_of h1 lan)
reach h2 near "${lan%.0/24}.10"

step "the pool is exhausted: said, and nobody else is harmed"
for i in 4 5; do
	network_on h2 "extra$i" 1000 172.2$i.0.0/16
done
exhausted() { jq -e '.problems[] | select(.text | test("SHADOW_POOL|pool"))' "$DIR/h2/state/discovery.json" >/dev/null; }
wait_until "a problem names it" 5 exhausted
must_contain "doctor of h2" 'SHADOW_POOL' "$(on h2 docker-router doctor || true)"
reach h1 first "$second"
docker_on h2 network rm extra4 extra5 >/dev/null

step "apart and together: two that choose at the same time come to different prefixes"
"$TOP/lab/cut" h1 h2
network_on h1 left 4000 172.30.5.0/24
network_on h2 right 4000 172.30.5.0/24
"$TOP/lab/heal" h1 h2
for s in "h1 left" "h2 right"; do
	read -r h name <<<"$s"
	wait_until "$name is mapped" 40 is_mapped "$h" "$name"
done
container_on h1 left left --ip 172.30.5.10
container_on h2 right right --ip 172.30.5.10
[ "$(mapped_of h1 left)" != "$(mapped_of h2 right)" ] || fail "both have $(mapped_of h1 left)"
known_alike() { [ "$(mapped_of h2 right)" = "$(seen_as h1 right)" ]; }
wait_until "right's prefix is what h1 knows" 10 known_alike
at_right=$(mapped_of h2 right)
reach h1 left "${at_right%.0/24}.10"

step "MAPPING=never and always"
service_of h3 router restart MAPPING=never
unmapped() { ! is_mapped h3 calm; }
wait_until "calm is not mapped" 5 unmapped
reach h3 calm 172.18.0.10
service_of h3 router restart MAPPING=always
wait_until "calm is mapped" 5 is_mapped h3 calm
wait_until "its true subnet is not offered" 10 jq -e '.peers[] | select(.stack_id == "calm") | .subnets == []' "$DIR/h1/state/discovery.json"
calm=$(mapped_of h3 calm)
reach h1 first "${calm%.0/24}.10"

step "nothing is left of it"
on h1 docker-router down >/dev/null
must_equal "tables of h1" '' "$(inside h1 nft list tables 2>/dev/null | grep docker-router || true)"
