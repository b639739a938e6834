#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
#
# dockerd stopped, started, restarted and killed, with live-restore (containers go on) and without (they end, and come back):
# what runs is reached all the time, the inventory follows, and hosts that have nothing to do with it lose nothing.
. "$(dirname "$0")/faults/common.sh"

cat >"$FILES/topology" <<-'END2'
	switch sw
	host h1 192.0.2.1/24 dockerd=--live-restore
	host h2 192.0.2.2/24
	host h3 192.0.2.3/24
END2
lab_begin "$FILES/topology"
STACK_OPTIONS=(--restart always --stop-signal KILL)
stack h1 one 1000 71
stack h2 two 1000 72
stack h3 three 1000 73
stack h2 four 2000 82
stack h3 five 2000 83
all_talk() {
	reach_ping h1 one 10.72.0.10
	reach_ping h2 two 10.71.0.10
	reach_ping h2 two 10.73.0.10
	reach_ping h3 three 10.71.0.10
	reach_ping h2 four 10.83.0.10
	reach_ping h3 five 10.82.0.10
}
all_talk
settle
probe_make
echo_on h1 one
echo_on h3 three
flow() { # from h1 to h3 and back
	flow_start 1to3 h1 one 10.73.0.10
	flow_start 3to1 h3 three 10.71.0.10
}
flow_lost_nothing() {
	flow_must 1to3
	flow_must 3to1
}
engine_is() { # HOST STATE
	[ "$(jq -r '.engines[0].state' "$DIR/$1/state/inventory.json")" = "$2" ]
}
containers_are() { # HOST NAMES: those in the inventory run, by Docker's own words
	[ "$(jq -r '[.stacks[].containers[] | "\(.name)=\(.pid)"] | sort | join(" ")' "$DIR/$1/state/inventory.json")" = \
		"$(for n in $2; do echo "$n=$(pid_of "$1" "$n")"; done | sort | xargs)" ]
}
held h1 >"$FILES/held"

step "live-restore: dockerd stops and starts, is restarted, is killed; its socket is a new one each time"
flow
pid1=$(pid_of h1 one) # the flow runs on in this namespace
sockets=$(stat -c %i "$DIR/h1/docker.sock")
service_of h1 dockerd stop
wait_until "the loss of the engine" 5 engine_is h1 lost
held_must "without dockerd" h1 "$FILES/held"
service_of h1 dockerd start
wait_until "the engine" 10 engine_is h1 connected
held_must "with dockerd again" h1 "$FILES/held"
service_of h1 dockerd restart
wait_until "the engine" 10 engine_is h1 connected
service_of h1 dockerd kill
wait_until "the loss of the engine" 5 engine_is h1 lost
service_of h1 dockerd start
wait_until "the engine" 10 engine_is h1 connected
[ "$sockets" != "$(stat -c %i "$DIR/h1/docker.sock")" ] || echo "the new socket has the old one's inode"
must_equal "pid of one" "$pid1" "$(pid_of h1 one)"
held_must "after a kill of dockerd" h1 "$FILES/held"
flow_lost_nothing
must_equal "lines about the lost engine" 3 "$(lines h1 'inventory: engine lost')"

step "what is new is seen as before"
stack h1 six 1000 76
reach_ping h1 six 10.72.0.10
docker_on h1 rm -f six >/dev/null
docker_on h1 network rm six >/dev/null
held_must "without six again" h1 "$FILES/held"

step "without live-restore: containers of h2 end with their dockerd and come back"
flow
service_of h2 dockerd stop
wait_until "the loss of the engine" 5 engine_is h2 lost
must_fail pings h1 one 10.72.0.10
service_of h2 dockerd start
wait_until "the containers in the inventory" 20 containers_are h2 "two four"
all_talk
service_of h2 dockerd kill
wait_until "the loss of the engine" 5 engine_is h2 lost
reach_ping h1 one 10.72.0.10 # it still runs
service_of h2 dockerd start
wait_until "the containers in the inventory" 20 containers_are h2 "two four"
all_talk
flow_lost_nothing
held_must "on h1, which had nothing to do with it" h1 "$FILES/held"
