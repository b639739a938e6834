#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
#
# What changes around us while we run: netlink overrun, the host's addresses and links, a peer's address, an
# administrator's firewall commands, sysctls, the wall clock. What need not lose packets loses none; the rest heals.
. "$(dirname "$0")/faults/common.sh"

faults_begin
flows_ready
H=$(host_ns h1)
inH=(nsenter "--net=$H" --)
bridge=br-$(docker_on h1 network inspect -f '{{slice .Id 0 12}}' one)
held h1 >"$FILES/held"
pid=$(role_pid h1 router)
same() { # WHAT: nothing lost, all as before, the same router
	flows_must
	held_must "after $1" h1 "$FILES/held"
	must_equal "pid of the router" "$pid" "$(role_pid h1 router)"
}

step "netlink overrun: 60,000 changes by somebody else, and one of ours goes in the midst of them"
flows_start
for i in $(seq 0 9999); do
	echo "route add 203.$((i / 250)).$((i % 250)).0/24 dev lo"
done >"$FILES/routes"
for i in $(seq 0 9999); do
	echo "neigh add 192.18.$((i / 250)).$((i % 250)) lladdr 02:00:00:00:00:01 dev eth0 nud permanent"
done >"$FILES/neighbours"
table=$("${inH[@]}" ip rule | sed -n "s/.*iif $bridge lookup \([0-9]*\).*/\1/p")
overruns() { # events that the router's sockets had no room for
	local inodes
	inodes=$(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n' | xargs)
	"${inH[@]}" awk -v ours=" $inodes " 'index(ours, " " $NF " ") { n += $9 } END { print n + 0 }' /proc/net/netlink
}
before=$(overruns)
kill -STOP "$pid" # or it keeps up
"${inH[@]}" ip -batch "$FILES/routes"
"${inH[@]}" ip -batch "$FILES/neighbours" 2>/dev/null || true # where gc_thresh3 is smaller
"${inH[@]}" ip route del 10.72.0.0/24 table "$table"
"${inH[@]}" ip route flush root 203.0.0.0/8
"${inH[@]}" ip neigh flush dev eth0 to 192.18.0.0/16 nud permanent 2>/dev/null || true
after=$(overruns)
[ "$after" -gt "$before" ] || fail "no overrun: $before, $after"
kill -CONT "$pid"
wait_until "the route" 3 sh -c "${inH[*]} ip route show table $table | grep -q 10.72.0.0/24"
sed 's/^route add/route replace/' "$FILES/routes" | "${inH[@]}" ip -batch -
"${inH[@]}" ip route del 10.72.0.0/24 table "$table"
"${inH[@]}" ip route flush root 203.0.0.0/8
same "an overrun"

step "an administrator's commands: iptables -F, nft flush ruleset, a reload of dockerd"
flows_start
for t in filter nat mangle raw; do
	"${inH[@]}" iptables -t $t -F
	"${inH[@]}" ip6tables -t $t -F 2>/dev/null || true
done
held_must "after iptables -F" h1 "$FILES/held"
"${inH[@]}" nft flush ruleset
held_must "after nft flush ruleset" h1 "$FILES/held"
kill -HUP "$(service_of h1 dockerd pid)"
same "all that"
service_of h1 dockerd restart # it makes its rules again
containers_return() {
	docker_on h1 start one three >/dev/null 2>&1 && pings h1 one 10.72.0.10
}
wait_until "containers of h1" 20 containers_return
all_talk
rm "$FILES/h1.containers"
settle
held h1 >"$FILES/held"
proc_end "$FILES/echo-one.proc" KILL
echo_on h1 one

step "br_netfilter toggled, IPv6 off and on on the bridge"
flows_start
if "${inH[@]}" test -e /proc/sys/net/bridge/bridge-nf-call-iptables; then
	was=$("${inH[@]}" sysctl -n net.bridge.bridge-nf-call-iptables)
	for v in 0 1 0 "$was"; do
		"${inH[@]}" sysctl -qw "net.bridge.bridge-nf-call-iptables=$v" "net.bridge.bridge-nf-call-ip6tables=$v"
		reach_ping h1 one 10.72.0.10
		reach_ping h2 two 10.71.0.10
	done
fi
for v in 1 0; do
	"${inH[@]}" sysctl -qw "net.ipv6.conf.$bridge.disable_ipv6=$v"
	reach_ping h1 one 10.72.0.10
	reach_ping h2 two 10.71.0.10
done
same "sysctls"

step "IPv6 off and on where the overlay needs it"
in_vni h1 1000 sysctl -qw net.ipv6.conf.vx1000.disable_ipv6=1
in_vni h1 1000 sysctl -qw net.ipv6.conf.vx1000.disable_ipv6=0
held_must "after IPv6 was off in the router namespace" h1 "$FILES/held"
all_talk

step "a second address comes and goes: nothing of ours changes"
flows_start
"${inH[@]}" ip addr add 198.51.100.1/24 dev eth0
"${inH[@]}" ip addr add 192.0.2.11/24 dev eth0
all_talk
"${inH[@]}" ip addr del 192.0.2.11/24 dev eth0
"${inH[@]}" ip addr del 198.51.100.1/24 dev eth0
same "other addresses"

step "the cable is pulled, the link set down and up"
"$TOP/lab/cut" h1
must_fail pings h1 one 10.72.0.10
"$TOP/lab/heal" h1
all_talk
"${inH[@]}" ip link set dev eth0 down
must_fail pings h1 one 10.72.0.10
"${inH[@]}" ip link set dev eth0 up
all_talk
held_must "after that" h1 "$FILES/held"

step "our own address goes and comes back"
"${inH[@]}" ip addr del 192.0.2.1/24 dev eth0
must_fail pings h1 one 10.72.0.10
"${inH[@]}" ip addr add 192.0.2.1/24 dev eth0
all_talk
held_must "after that" h1 "$FILES/held"

step "our address changes, and a peer's"
for h in 1 2; do
	inside h$h ip addr add 192.0.2.2$h/24 dev eth0
	inside h$h ip addr del 192.0.2.$h/24 dev eth0
	inside h$h ip addr add 192.0.2.2$h/24 dev eth0 2>/dev/null || true # a secondary one went with the first
	all_talk
	must_contain "address of h$h at the other" "192.0.2.2$h" "$(on h$((3 - h)) docker-router peers)"
done
for h in 2 1; do
	inside h$h ip addr add 192.0.2.$h/24 dev eth0
	inside h$h ip addr del 192.0.2.2$h/24 dev eth0
	inside h$h ip addr add 192.0.2.$h/24 dev eth0 2>/dev/null || true
	all_talk
done
held_must "after all are back" h1 "$FILES/held"

step "the wall clock is set back an hour, then forth"
if grep -q asan "/proc/$(role_pid h1 discovery)/maps"; then
	echo "not with ASan, which must be loaded first"
else
	gcc -O2 -shared -fPIC -o "$FILES/clock.so" "$FAULTS/clock.c"
	chmod 755 "$FILES" # discovery is not root
	echo 0 >"$FILES/late"
	service_of h1 router stop
	service_of h1 router start "LD_PRELOAD=$FILES/clock.so" "CLOCK_LATE=$FILES/late"
	all_talk
	held_must "with another clock" h1 "$FILES/held"
	flows_start
	echo 3600 >"$FILES/late"
	stack h1 nine 1000 79
	reach_ping h2 two 10.79.0.10
	stack h2 ten 1000 80
	reach_ping h1 nine 10.80.0.10
	must_contain "the log" "^$(date -u -d '1 hour ago' +%FT%H):" "$(tail -n 1 "$DIR/h1/router.log")"
	old=$(role_pid h1 discovery) file=$(file_of h1 discovery)
	kill -9 "$old"
	wait_until "discovery" 5 role_back h1 discovery "$old" "$file"
	stack h1 eleven 1000 91 # told with numbers that are not smaller than before
	reach_ping h2 two 10.91.0.10
	docker_on h1 rm -f eleven >/dev/null
	docker_on h1 network rm eleven >/dev/null
	gone() { ! on h2 docker-router peers | grep -q eleven; }
	wait_until "the end of eleven at h2" 5 gone
	echo 0 >"$FILES/late"
	stack h2 twelve 1000 92
	reach_ping h1 nine 10.92.0.10
	must_fail grep -q stale <(on h1 docker-router peers)
	flows_must
	all_talk
fi
