#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 300
#
# dockerd, bridge, DHCP server, docker-router and container come in different orders, each before and after each other
# one, and what the container and the host's bridge have at the end is the same. With FULL=1 all 120 orders.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/attach-lib.sh"

command -v dnsmasq >/dev/null || skip "no dnsmasq here (package dnsmasq-base)"
attach_lab
dnsmasq_prepare

begin() { # one of: dockerd bridge server router container
	case $1 in
	dockerd) service_of h1 dockerd start ;;
	bridge)
		bridge br-lan 198.51.100.254/24
		inside h1 ip link set lan0 master br-lan
		;;
	server) dnsmasq_start --dhcp-range=198.51.100.100,198.51.100.120,3600 --dhcp-option=option:router,198.51.100.1 ;;
	router) service_of h1 router start ;;
	container) container_begin ;;
	esac
}
container_begin() {
	run web --restart always --label docker-router.attach="br-lan:lan0 br-lan:lan1" \
		--label docker-router.attach.lan0.address=dhcp --label docker-router.attach.lan1.address=198.51.100.9/24 \
		--label "docker-router.attach.lan1.routes=203.0.113.0/24 via 198.51.100.7"
}
outlives() { # ORDER...: is the container there before dockerd?
	[[ "$* " == *"container "*"dockerd "* ]]
}
# All of it down; where the order has the container before dockerd it is what a killed dockerd leaves running
all_end() { # ORDER...
	service_of h1 router stop
	server_stop
	rm -f "$LEASES"
	docker_on h1 rm -f web >/dev/null 2>&1 || true
	inside h1 ip link del br-lan
	if outlives "$@"; then
		container_begin
		service_of h1 dockerd kill
	else
		service_of h1 dockerd stop
	fi
}
state() { # what does not depend on numbers that the kernel gives
	local pid
	pid=$(pid_of h1 web)
	nsenter --net="/proc/$pid/ns/net" ip -j addr | jq -cS '[.[] | {ifname, address, mtu, up: (.flags | contains(["UP"])),
		addresses: [.addr_info[] | select(.scope == "global") | "\(.local)/\(.prefixlen)"] | sort}] | sort_by(.ifname)'
	nsenter --net="/proc/$pid/ns/net" ip -j route | jq -cS '[.[] | {dst, gateway, dev, metric, prefsrc}] | sort_by(.dst, .dev)'
	inside h1 ip -j -d link show master br-lan |
		jq -cS '[.[] | {kind: .linkinfo.info_kind, mtu, up: (.flags | contains(["UP"])), alias: (.ifalias // "" | sub(":[0-9a-f]+:"; ":id:"))}] | sort_by(.alias)'
	jq -cS '[.nics[] | {nic, state, why, addresses, gateways, mac}]' "$DIR/h1/state/attach.json"
}
settled() {
	state_is web lan0 ready && state_is web lan1 ready && [ "$(ends)" = 2 ] && reached 198.51.100.9 &&
		reached "$(nic web lan0 'leases[0].address' | cut -d/ -f1)"
}

order() {
	step "order: $*"
	all_end "$@"
	for what; do
		[ "$what" = container ] && outlives "$@" || begin "$what"
	done
	wait_until "all is as it is to be" 90 settled
	state >"$DIR/state.now"
	[ -f "$DIR/state.first" ] || cp "$DIR/state.now" "$DIR/state.first"
	diff "$DIR/state.first" "$DIR/state.now" || fail "another state than with the first order"
}

# The second is the first backwards, so that these two have each pair in both orders
orders=("dockerd bridge server router container" "container router server bridge dockerd" "router dockerd container server bridge"
	"bridge server container dockerd router" "server router dockerd container bridge" "dockerd container bridge router server")
[ -z "${FULL:-}" ] || mapfile -t orders < <(python3 -c 'import itertools
for p in itertools.permutations("dockerd bridge server router container".split()):
    print(*p)')
for o in "${orders[@]}"; do
	# shellcheck disable=SC2086 # five words
	order $o
done

must_contain "what was compared" '"address":"02:.*198\.51\.100\.1[0-2][0-9]/24.*198\.51\.100\.9/24' "$(head -1 "$DIR/state.first")"
must_contain "what was compared" '203\.0\.113\.0/24' "$(cat "$DIR/state.first")"

step "nobody is left when all have gone"
docker_on h1 rm -f web >/dev/null
gone() { [ "$(ends)" = 0 ]; }
wait_until "host ends" 20 gone
