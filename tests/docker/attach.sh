#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 240
#
# NICs of containers, by label, config file, /etc/config/docker and by hand: on a bridge with addresses, routes, MAC and MTU; after
# restarts of the container, of dockerd and of the role; a bridge that comes later; a container that goes.
. "$(dirname "$0")/lib.sh"

cat >"/tmp/$LAB.topology" <<-END
	switch sw
	node lan 198.51.100.1/24
	host h1 192.0.2.1/24
END
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"

bridge() { # NAME [ADDRESS]
	inside h1 ip link add name "$1" type bridge
	inside h1 ip link set "$1" up
	[ -z "${2:-}" ] || inside h1 ip addr add "$2" dev "$1"
}
nic() { # CONTAINER NIC FIELD: of attach.json
	jq -r --arg c "$1" --arg n "$2" '.nics[] | select(.name == $c and .nic == $n) | .'"$3" "$DIR/h1/state/attach.json"
}
state_is() { # CONTAINER NIC STATE
	[ "$(nic "$1" "$2" state)" = "$3" ]
}
run() { # NAME [OPTIONS...]
	local name=$1
	shift
	docker_on h1 run -d --name "$name" --network none "$@" lab:1 sleep 100000 >/dev/null
}
role_pid() {
	jq -r '.roles[] | select(.role == "attach") | .pid' "$DIR/h1/state/host.json"
}
ends() { # how many host ends there are
	inside h1 ip -o link show type veth | grep -c ': dra[0-9a-f]\{10\}@' || true
}

step "one label: a NIC on a bridge, with addresses"
bridge br-lan 198.51.100.254/24
run web --label docker-router.attach=br-lan:eth1 --label docker-router.attach.eth1.address=198.51.100.5/24,2001:db8:5::5/64 \
	--label docker-router.attach.eth1.gateway=198.51.100.254 --label docker-router.attach.eth1.mtu=1400 \
	--label "docker-router.attach.eth1.routes=203.0.113.0/24 via 198.51.100.9"
wait_until "the NIC is ready" 20 state_is web eth1 ready
inside h1 ping -c 1 -W 2 198.51.100.5 >/dev/null
in_container h1 web ip addr
in_container h1 web ip route
