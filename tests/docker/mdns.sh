#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# timeout: 120
#
# A real avahi-daemon in a container's namespace is found from the LAN, and one on the LAN from a container; by clients that ask
# from port 5353 and by simple ones; again when the role was killed, and when the network was made anew. Nothing passes without
# the label, and nothing goes round.
. "$(dirname "$0")/lib.sh"

command -v avahi-daemon >/dev/null || skip "no avahi-daemon here (package avahi-daemon)"
cat >"/tmp/$LAB.topology" <<-END
	switch sw
	node tv 192.0.2.50/24
	host h1 192.0.2.1/24
END
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"
ASK=$TEST_DIR/mdns.py
. "$TEST_DIR/mdns/lib.sh"

net_of() { # WHO: tv, or a container
	if [ "$1" = tv ]; then
		echo "/run/netns/$(ns tv)"
	else
		echo "/proc/$(pid_of h1 "$1")/ns/net"
	fi
}
asked() { # WHO ADDRESS TYPE SECONDS [one-shot]
	nsenter --net="$(net_of "$1")" "$ASK" "${@:2}"
}

network_on h1 plain - 10.71.0.0/24
container_on h1 quiet plain --ip 10.71.0.9
avahi quiet hidden _http._tcp
must_fail asked tv 192.0.2.50 _http._tcp.local 3

both() { # WHEN: each finds the other
	must_equal "$1: the LAN asks" printer._ipp._tcp.local "$(asked tv 192.0.2.50 _ipp._tcp.local 20)"
	must_equal "$1: a container asks" player._googlecast._tcp.local "$(asked inside "$2" _googlecast._tcp.local 20)"
}

step "from the LAN"
network_on h1 home - 10.72.0.0/24 -- --label docker-router.multicast=mdns
container_on h1 inside home --ip 10.72.0.2
avahi inside printer _ipp._tcp
for how in '' one-shot; do
	must_equal "the LAN asks ${how:-from 5353}" printer._ipp._tcp.local "$(asked tv 192.0.2.50 _ipp._tcp.local 20 $how)"
done
must_fail asked tv 192.0.2.50 _http._tcp.local 3

step "from a container"
avahi tv player _googlecast._tcp
for how in '' one-shot; do
	must_equal "a container asks ${how:-from 5353}" player._googlecast._tcp.local \
		"$(asked inside 10.72.0.2 _googlecast._tcp.local 20 $how)"
done

step "the role is killed"
role_pid() {
	jq -r '.roles[] | select(.role == "multicast") | .pid' "$DIR/h1/state/host.json"
}
pid=$(role_pid)
kill -9 "$pid"
is_new() { [ "$(role_pid)" != "$pid" ]; }
wait_until "it runs again" 10 is_new
both "after kill -9" 10.72.0.2

step "the container, then dockerd, are started anew"
proc_end "$DIR/avahi-printer.proc"
docker_on h1 restart -t 0 inside >/dev/null
avahi inside printer _ipp._tcp
both "after the container's restart" 10.72.0.2
proc_end "$DIR/avahi-printer.proc"
service_of h1 dockerd restart
docker_on h1 start inside >/dev/null
avahi inside printer _ipp._tcp
both "after dockerd's restart" 10.72.0.2

step "the network is made anew, with another subnet"
proc_end "$DIR/avahi-printer.proc"
docker_on h1 rm -f inside >/dev/null
docker_on h1 network rm home >/dev/null
network_on h1 home - 10.73.0.0/24 -- --label docker-router.multicast=mdns
container_on h1 inside home --ip 10.73.0.2
avahi inside printer _ipp._tcp
both "in a new network" 10.73.0.2

step "nothing goes round"
# what was said once does not come again and again: a few datagrams a second at most, where a loop makes thousands
sent=$(inside h1 ip -j -s link show dev eth0 | jq '.[0].stats64.tx.packets')
[ "$sent" -lt 1000 ] || fail "$sent packets left the host"
