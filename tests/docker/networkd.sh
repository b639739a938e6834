#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
#
# A real systemd-networkd on a host, restarted. With the snippets of packaging/networkd it leaves our links, rules and routes
# alone, and not one packet is lost. Without them it takes them away, and the router puts them back.
. "$(dirname "$0")/lib.sh"

program=/lib/systemd/systemd-networkd
[ -x $program ] || skip "no systemd-networkd here (package systemd)"
id systemd-network >/dev/null 2>&1 || skip "no user systemd-network here, which systemd-networkd becomes"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
export ROUTER_ENV="DATAPATH=leg" # the path that needs the host's rules
lab_begin two-hosts
for n in 1 2; do
	network_on h$n net 100 10.7$n.0.0/24
	container_on h$n c$n net --ip 10.7$n.0.10
	"$TOP/lab/drops" h$n
done
reach h1 c1 10.72.0.10
reach h2 c2 10.71.0.10
leg=$(jq -r '.vnis[0].legs[0].name' "$DIR/h1/state/router.json")
inside h1 ip link add dev lan0 type veth peer name lan0p
inside h1 ip link set dev lan0p up

# Not PID 1's child, and without a bus: it asks for neither. It waits for links that udev does not know, so they are made known,
# and reads /sys and writes /run of its own.
mkdir -p "$FILES/etc/network" "$FILES/etc/networkd.conf.d"
printf '[Match]\nName=lan0 drl-*\n[Network]\nAddress=198.51.100.1/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
	>"$FILES/etc/network/50-lan.network" # as somebody's that matches more than was thought of
record=$DIR/h1/networkd.proc
log=$DIR/h1/networkd.log
networkd_start() {
	# shellcheck disable=SC2016 # for the shell inside
	proc_start "$record" "$log" nsenter --net="/run/netns/$(ns h1)" -- unshare --mount -- sh -c '
		mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run && mount --bind "$1" /etc/systemd || exit
		mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp /run/udev/data
		chown -R systemd-network: /run/systemd/netif
		for n in /sys/class/net/*/ifindex; do
			echo I:1 >"/run/udev/data/n$(cat "$n")"
		done
		exec env SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console "$2"' sh "$FILES/etc" $program
}
admin_state() { # LINK: what networkd says of it
	local index
	index=$(inside h1 ip -j link show dev "$1" | jq '.[0].ifindex')
	sed -n 's/^ADMIN_STATE=//p' "/proc/$(proc_pid "$record")/root/run/systemd/netif/links/$index"
}
configured() {
	proc_gone "$record" || [ "$(admin_state lan0)" = configured ]
}
networkd_restart() {
	proc_end "$record"
	: >"$log"
	networkd_start
	wait_until "systemd-networkd configures lan0" 15 configured
	! proc_gone "$record" || skip "systemd-networkd does not run here: $(tail -n 1 "$log")"
}
at_exit proc_end "$record"

ours() { # all that is ours on h1
	inside h1 ip rule show | grep 'proto 212'
	inside h1 ip -6 rule show | grep 'proto 212' || true
	inside h1 ip route show table all | grep 'proto 212'
	inside h1 ip -o link show "$leg" | grep -oE ' mtu .*'
	inside h1 ip neigh show nud permanent | grep -F 169.254.77.77
}
whole() {
	[ "$(ours)" = "$before" ]
}
before=$(ours)
echo "$before"
pid=$(pid_of h1 c1)
watch_start() { # what is removed, and a ping
	nsenter --net="/run/netns/$(ns h1)" -- stdbuf -oL ip monitor rule route link neigh >"$FILES/monitor" &
	monitor=$!
	nsenter --net="/proc/$pid/ns/net" ping -q -i 0.005 -W 1 10.72.0.10 >"$FILES/ping" &
	ping=$!
	at_exit end $monitor
	at_exit end $ping
	heard() { # it listens when it tells of what we do
		inside h1 ip route replace 203.0.113.0/24 dev lan0p proto 99
		grep -q '203\.0\.113\.0' "$FILES/monitor" && return
		inside h1 ip route del 203.0.113.0/24 dev lan0p
		return 1
	}
	wait_until "ip monitor" 5 heard
	inside h1 ip route del 203.0.113.0/24 dev lan0p
}
watch_end() {
	kill $monitor
	kill -INT $ping
	wait $monitor $ping || true
	tail -n 2 "$FILES/ping"
}
removed() { # what was ours and was removed
	grep -E "^Deleted .*proto 212|^Deleted .*169\.254\.77\.77|^Deleted .*$leg" "$FILES/monitor"
}

step "with the snippets"
cp "$TOP/packaging/networkd/10-docker-router.network" "$FILES/etc/network/"
cp "$TOP/packaging/networkd/docker-router.conf" "$FILES/etc/networkd.conf.d/"
networkd_restart
watch_start
networkd_restart
wait_until "what is ours is whole" 5 whole
must_equal "what networkd thinks of $leg" unmanaged "$(admin_state "$leg")"
must_contain "version" 'systemd [0-9]+' "$($program --version)"
watch_end
must_equal "what was removed" "" "$(removed || true)"
must_contain "ping meanwhile" ' [1-9][0-9]+ received, 0% packet loss' "$(cat "$FILES/ping")"

step "without them"
rm "$FILES/etc/network/10-docker-router.network" "$FILES/etc/networkd.conf.d/docker-router.conf"
watch_start
networkd_restart
must_equal "what networkd thinks of $leg" configured "$(admin_state "$leg")"
wait_until "what is ours is back" 5 whole
watch_end
echo "removed: $(removed)"
must_contain "what was removed" "^Deleted 4789:" "$(removed)"
must_contain "what was removed" "^Deleted 4791:" "$(removed)"
reach h1 c1 10.72.0.10
reach h2 c2 10.71.0.10
