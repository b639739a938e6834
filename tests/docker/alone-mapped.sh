#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4 trixie-v4
# timeout: 180
#
# The two-container form where subnets clash: examples/simple-test on two hosts, the same file, so the same stack and the
# same subnet. Each reaches the other by its mapped prefix, by ping, full-size packets and TCP, and still itself and the
# world outside by true addresses.
. "$(dirname "$0")/lib.sh"
export ROUTER=0

lab_begin two-hosts
images_on h1 h2
stack() { # HOST ARGS...
	local h=$1
	shift
	compose_on "$h" -f "$EXAMPLES/simple-test/docker-compose.yml" "$@"
}
discovery_of() { # HOST
	stack "$1" exec -T test cat /shared/discovery.json
}
mapped_of() { # HOST: the prefix that the other host is reached by, as this one sees it
	discovery_of "$1" | jq -er '.peers[] | select(.status == "active") | .mapped[0].as'
}
step "the same file on two hosts"
stack h1 up -d
stack h2 up -d
wait_until "h1 knows the mapped prefix of h2" 30 mapped_of h1
wait_until "h2 knows the mapped prefix of h1" 30 mapped_of h2
of_h2=$(mapped_of h1) of_h1=$(mapped_of h2)
[ "$of_h1" != "$of_h2" ] || fail "both are mapped to $of_h1"
to_h2=${of_h2%.*}.10 to_h1=${of_h1%.*}.10
c1=$(container_of h1 simple-test test) c2=$(container_of h2 simple-test test)

step "both ways: $to_h2, $to_h1"
reach h1 "$c1" "$to_h2"
reach h2 "$c2" "$to_h1"
reach_full_size h1 "$c1" "$to_h2" 1450
for x in "h1 $c1" "h2 $c2"; do
	read -r h name <<<"$x"
	in_container "$h" "$name" sh -c 'head -c 3000000 /dev/urandom >/www/large && sha256sum </www/large' >"$DIR/$h.sum"
done
must_equal "page of h2 at h1" "$(cat "$DIR/h2.sum")" \
	"$(in_container h1 "$c1" sh -c "timeout 60 wget -q -O- http://$to_h2/large | sha256sum")"
must_equal "page of h1 at h2" "$(cat "$DIR/h1.sum")" \
	"$(in_container h2 "$c2" sh -c "timeout 60 wget -q -O- http://$to_h1/large | sha256sum")"

step "itself, and the world outside"
reach h1 "$c1" 10.80.0.10
on h2 busybox httpd -p 192.0.2.2:8080 -h "$DIR/h2/run"
reach h1 "$c1" 192.0.2.2 8080
