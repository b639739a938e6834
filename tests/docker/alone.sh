#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4 sid-v4 trixie-v4
# timeout: 240
#
# The two-container form, with examples/simple-test and examples/multi-stack as they stand: two stacks of one host and one
# of another reach each other by ping and TCP, know each other in discovery.json, reach the world outside, and are back
# within seconds when a router was killed (its namespace goes with its container), although packets kept coming.
. "$(dirname "$0")/lib.sh"
export ROUTER=0

lab_begin two-hosts
images_on h1 h2
stack() { # HOST LETTER ARGS...
	local h=$1 l=$2
	shift 2
	compose_on "$h" -f "$EXAMPLES/multi-stack/docker-compose.stack-$l.yml" "$@"
}
discovery_of() { # HOST LETTER
	stack "$1" "$2" exec -T "test-$2" cat /shared/discovery.json
}
knows() { # HOST LETTER OTHER
	discovery_of "$1" "$2" | jq -e --arg s "stack-$3" '.peers[] | select(.stack_id == $s and .status == "active")'
}

step "one stack on its own: examples/simple-test"
compose_on h1 -f "$EXAMPLES/simple-test/docker-compose.yml" up -d
alone() { compose_on h1 -f "$EXAMPLES/simple-test/docker-compose.yml" "$@"; }
told() { alone exec -T test cat /shared/discovery.json | jq -e '.version == 1 and (.peers | length) == 0'; }
wait_until "discovery.json, with nobody in it" 20 told
alone down -v

step "stacks a and b on h1, c on h2"
stack h1 a up -d
stack h1 b up -d
stack h2 c up -d
wait_until "a knows b" 20 knows h1 a b
wait_until "a knows c" 20 knows h1 a c
wait_until "b knows c" 20 knows h1 b c
wait_until "c knows a" 20 knows h2 c a
wait_until "c knows b" 20 knows h2 c b
peer=$(discovery_of h1 a | jq -c '.peers[] | select(.stack_id == "stack-c")')
must_equal "fields of stack-c" '192.0.2.2 192.0.2.2:4801 1000' "$(jq -r '[.host_ip, .vxlan_endpoint, .vni] | join(" ")' <<<"$peer")"

a=$(container_of h1 multi-stack test-a) b=$(container_of h1 multi-stack test-b) c=$(container_of h2 multi-stack test-c)
step "between hosts"
reach h1 "$a" 10.83.0.10
reach h1 "$b" 10.83.0.10
reach h2 "$c" 10.81.0.10
reach h2 "$c" 10.82.0.10
step "on one host"
reach h1 "$a" 10.82.0.10
reach h1 "$b" 10.81.0.10
step "full size between hosts"
reach_full_size h1 "$a" 10.83.0.10 1450

# translated addresses whose sums happen to be the same hide a broken checksum, so from and to each of two stacks
step "TCP between hosts"
must_equal "page of a at c" "hello from stack-a" "$(in_container h2 "$c" timeout 60 wget -q -O- http://10.81.0.10/)"
must_equal "page of b at c" "hello from stack-b" "$(in_container h2 "$c" timeout 60 wget -q -O- http://10.82.0.10/)"
must_equal "page of c at b" "hello from stack-c" "$(in_container h1 "$b" timeout 60 wget -q -O- http://10.83.0.10/)"

step "a page larger than any packet arrives whole, between hosts and on one"
for x in "h1 $a" "h2 $c"; do
	read -r h name <<<"$x"
	in_container "$h" "$name" sh -c 'head -c 3000000 /dev/urandom >/www/large && cat /www/large | sha256sum' >"$DIR/$h.sum"
done
must_equal "page of c at a" "$(cat "$DIR/h2.sum")" \
	"$(in_container h1 "$a" sh -c 'timeout 60 wget -q -O- http://10.83.0.10/large | sha256sum')"
must_equal "page of a at b" "$(cat "$DIR/h1.sum")" \
	"$(in_container h1 "$b" sh -c 'timeout 60 wget -q -O- http://10.81.0.10/large | sha256sum')"

step "the world outside, through the uplink"
on h2 busybox httpd -p 192.0.2.2:8080 -h "$DIR/h2/run"
reach h1 "$a" 192.0.2.2 8080

step "the router is killed under traffic, and comes back"
router=$(container_of h1 multi-stack router-a)
ping_log=$DIR/ping.log
in_container h1 "$a" ping -q -i 0.01 -c 300 -W 2 10.83.0.10 >"$ping_log" || true &
pinging=$!
pid=$(pid_of h1 "$router")
kill -9 "$pid"
back() { [ "$(docker_on h1 inspect -f '{{.State.Running}} {{.State.Pid}}' "$router")" != "true $pid" ] &&
	[ "$(docker_on h1 inspect -f '{{.State.Running}}' "$router")" = true ]; }
wait_until "router-a runs again" 20 back
reach h1 "$a" 10.83.0.10
reach h2 "$c" 10.81.0.10
wait $pinging
cat "$ping_log"

step "a stack that goes"
stack h2 c down -v
forgot() { ! knows h1 a c; }
wait_until "a forgot c" 10 forgot
reach h1 "$a" 10.82.0.10
