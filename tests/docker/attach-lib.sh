# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the tests of attach share: a host with a bridge br-lan (198.51.100.254) whose port leads to the node lan (198.51.100.1).

attach_lab() {
	cat >"/tmp/$LAB.topology" <<-END
		switch sw
		node lan 192.0.2.9/24
		host h1 192.0.2.1/24
	END
	at_exit rm -f "/tmp/$LAB.topology"
	lab_begin "/tmp/$LAB.topology"
	ip link add name lan0 netns "$(ns h1)" type veth peer name lan0 netns "$(ns lan)"
	inside lan ip addr add 198.51.100.1/24 dev lan0
	inside lan ip link set lan0 up
	inside h1 ip link set lan0 up
	bridge br-lan 198.51.100.254/24
	inside h1 ip link set lan0 master br-lan
	# FORWARD is DROP, and where bridged frames pass iptables that is meant for them too: as doctor says
	inside h1 iptables -I FORWARD -i br-lan -o br-lan -j ACCEPT
	inside h1 ip6tables -I FORWARD -i br-lan -o br-lan -j ACCEPT
}

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
ready() { # CONTAINER NIC
	wait_until "$2 of $1 is ready" 30 state_is "$1" "$2" ready
}
reached() { # ADDRESS: from the LAN
	inside lan ping -c 1 -W 1 "$1"
}
run() { # NAME [OPTIONS...]: on no network of Docker's
	local name=$1
	shift
	docker_on h1 run -d --name "$name" --network none "$@" lab:1 "${IDLE[@]}" >/dev/null
}
stay() { # NAMESPACE: a process that stays there; returns when it is there, its pid in $stays
	nsenter --net="$1" -- "${IDLE[@]}" &
	stays=$!
	at_exit end $stays
	wait_until "a process that stays in $1" 10 stays_in "$1"
}
stays_in() { # NAMESPACE
	[ "$(stat -Lc %i "/proc/$stays/ns/net")" = "$(stat -Lc %i "$1")" ] && [ "$(cat "/proc/$stays/comm")" = "${IDLE[0]}" ]
}
role_pid() {
	jq -r '.roles[] | select(.role == "attach") | .pid' "$DIR/h1/state/host.json"
}
ends() { # how many host ends there are
	inside h1 ip -o link show type veth | grep -c ': dra[0-9a-f]\{10\}@' || true
}
ends_are_true() { # as many as NICs that are ready
	[ "$(ends)" = "$(jq '[.nics[] | select(.state == "ready" and .kind == "veth")] | length' "$DIR/h1/state/attach.json")" ]
}
master_of() { # CONTAINER NIC
	inside h1 ip -j link show "$(nic "$1" "$2" host)" | jq -r '.[0].master'
}
is_port() { # CONTAINER NIC BRIDGE
	[ "$(master_of "$1" "$2")" = "$3" ]
}

# --- a DHCP server on the LAN ---

LEASES='' # its file
dnsmasq_prepare() {
	LEASES=$DIR/leases
	at_exit server_stop
}
server_start() { # LOG CMD...: one on the LAN, that server_stop ends
	proc_start "$DIR/server.proc" "$1" nsenter --net="/run/netns/$(ns lan)" -- "${@:2}"
}
dnsmasq_start() { # OPTIONS...
	server_start "$DIR/dnsmasq.out" dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=lan0 --bind-interfaces \
		--dhcp-leasefile="$LEASES" --dhcp-authoritative --log-dhcp --log-facility="$DIR/dnsmasq.log" --pid-file= --no-ping "$@"
}
server_stop() {
	proc_end "$DIR/server.proc"
}
client_of() { # NAME [PROGRAM]: the pid of its client
	local p ns
	ns=$(stat -Lc %i "/proc/$(pid_of h1 "$1")/ns/net")
	for p in /proc/[0-9]*; do
		if [ "$(stat -Lc %i "$p/ns/net" 2>/dev/null || true)" = "$ns" ] && grep -qz "^\(.*/\)\?${2:-udhcpc}$" "$p/cmdline" 2>/dev/null; then
			basename "$p"
		fi
	done
}
