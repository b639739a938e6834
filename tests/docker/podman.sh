#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
#
# Podman's compatible socket: a host with Docker and one with Podman, a stack on each. They reach each other, also after
# the container was made anew and while the Podman service was away; Docker's side knows the other by name.
. "$(dirname "$0")/lib.sh"
command -v podman >/dev/null || skip "podman is not installed"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
printf 'switch sw\nhost h1 192.0.2.1/24\nnode p 192.0.2.2/24\n' >"$FILES/topology"
lab_begin "$FILES/topology"
D=$DIR/p
mkdir -p "$D"/{state,run,store,store-run,tmp,networks}
# nothing of the machine's own Podman: neither its settings nor its store
cat >"$D/containers.conf" <<-END
	[engine]
	cgroup_manager = "cgroupfs"
	events_logger = "file"
	runtime = "runc"
	tmp_dir = "$D/tmp"
	[network]
	network_backend = "netavark"
	network_config_dir = "$D/networks"
	[containers]
	default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
END
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/store"\nrunroot = "%s/store-run"\n' "$D" "$D" >"$D/storage.conf"
export CONTAINERS_CONF=$D/containers.conf CONTAINERS_STORAGE_CONF=$D/storage.conf
podman_on() {
	inside p podman "$@"
}
service_start() {
	rm -f "$D/podman.sock"
	proc_start "$D/podman.proc" "$D/podman.log" nsenter --net="$(ip_netns p)" -- podman system service --time 0 "unix://$D/podman.sock"
	wait_until "the socket of Podman" 15 test -S "$D/podman.sock"
}
ip_netns() {
	echo "/run/netns/$(ns "$1")"
}
engine_is() { # STATE
	STATE_DIR=$D/state "$DOCKER_ROUTER" status --format json | jq -e --arg s "$1" '.engines[0].state == $s'
}

step "$(podman --version), with FORWARD DROP"
service_start
at_exit podman_on rm -fa -t 0
inside p iptables -P FORWARD DROP
podman_on import --change 'CMD ["sh"]' "$("$TOP/lab/image.sh")" lab:1 >/dev/null 2>&1
# Podman keeps a machine-wide table of addresses by the network's name, so that it is one that nobody else has
podman_on network create --label docker-router.vni=1000 --label docker-router.stack=two --subnet 10.72.0.0/24 "$LAB-two" >/dev/null
two_start() {
	podman_on run -d --name two --network "$LAB-two" --ip 10.72.0.10 lab:1 sh -c "$WHO" >/dev/null
}
two_start
proc_start "$D/router.proc" "$D/router.log" nsenter --net="$(ip_netns p)" -- env STATE_DIR="$D/state" RUN_DIR="$D/run" \
	DOCKER_HOST="unix://$D/podman.sock" "$DOCKER_ROUTER" host
network_on h1 one 1000 10.71.0.0/24
container_on h1 one one --ip 10.71.0.10
wait_until "the engine is connected" 15 engine_is connected

from_podman() {
	podman_on exec two timeout 3 nc -w 2 10.71.0.10 80 </dev/null
}
both_ways() {
	reach h1 one 10.72.0.10
	must_contain "what two says" '10.71.0.10$' "$(ask h1 one 10.72.0.10)"
	wait_until "two reaches one" 10 from_podman
	must_equal "what one says" "one 10.72.0.10" "$(from_podman)"
}

step "both ways, by full-size packets, by name"
both_ways
reach_full_size h1 one 10.72.0.10 1450
resolves() {
	in_container h1 one nslookup two.two | grep -q 10.72.0.10
}
wait_until "one knows two by name" 10 resolves

step "a container made anew"
podman_on rm -f -t 0 two >/dev/null
two_start
both_ways

step "the service goes and comes; traffic goes on"
proc_end "$D/podman.proc"
wait_until "the engine is missed" 10 grep -q "engine lost" "$D/router.log"
both_ways
service_start
wait_until "the engine is back" 30 engine_is connected
both_ways

step "down leaves nothing in the container"
must_contain "links in two" 'dr' "$(podman_on exec two ip -o link)"
STATE_DIR=$D/state inside p "$DOCKER_ROUTER" down >/dev/null
must_equal "links in two" 0 "$(podman_on exec two ip -o link | grep -c ': dr' || true)"
must_equal "links of ours" '' "$(inside p ip -br link | grep -E '^(drl|vx)' || true)"
