#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: trixie-v4 sid-v4
#
# The lab itself: hosts with real dockerds that talk to each other, cables that can be cut, and an end that leaves
# nothing, also after kill -9.
. "$(dirname "$0")/lib.sh"
export ROUTER=0

cat >"/tmp/$LAB.topology" <<-'END'
	switch sw
	switch sw2
	node r 192.0.2.254/24 198.51.100.254/24@sw2
	host h1 192.0.2.1/24 2001:db8::1/64
	host h2 192.0.2.2/24 2001:db8::2/64 NAME=value dockerd=--debug
	host h3 198.51.100.3/24@sw2 mtu=9000
END
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"
nodes_answer() { # FROM ADDRESS
	on "$1" ping -c 1 -W 1 "$2" >/dev/null
}

step "dockerd of each host is the engine asked for, and of the host alone"
for h in h1 h2 h3; do
	version=$(docker_on $h version --format '{{.Server.Version}}')
	echo "$h: Docker $version, $(compose_on $h version | sed -n 1p)"
	case $ENGINE in
	debian) must_contain "engine of $h" '^20\.10' "$version" ;;
	trixie) must_contain "engine of $h" '^26\.' "$version" ;;
	sid) must_contain "engine of $h" '^2[89]\.|^[3-9]' "$version" ;;
	esac
	docker_on $h network create only-$h >/dev/null
	must_contain "networks of $h" "only-$h" "$(docker_on $h network ls)"
	for policy in "$(on $h iptables -S FORWARD)" "$(on $h ip6tables -S FORWARD)"; do
		must_contain "FORWARD of $h" '^-P FORWARD DROP' "$policy"
	done
done
must_fail grep -q only-h2 <(docker_on h1 network ls)
must_equal "MTU of h3" 9000 "$(on h3 ip -j link show dev eth0 | jq '.[0].mtu')"
must_equal "router environment of h2" NAME=value "$(cat "$DIR/h2/router.env")"

step "hosts reach each other, through a router too"
nodes_answer h1 192.0.2.2
nodes_answer h2 2001:db8::1
nodes_answer h3 192.0.2.1

step "containers run the lab's image and reach the other host"
docker_on h1 run -d --name aa lab:1 httpd -f -p 80 >/dev/null
must_equal "containers on h2" '' "$(docker_on h2 ps -q)"
docker_on h1 exec aa ping -c 1 -W 2 192.0.2.2
docker_on h1 exec aa iperf3 --version >/dev/null
connects h1 aa 127.0.0.1 || fail "no httpd in the image"
must_fail connects h1 aa 127.0.0.1 81

step "cut and heal"
"$TOP/lab/cut" h1 h2
must_fail nodes_answer h1 192.0.2.2
must_fail nodes_answer h2 2001:db8::1
nodes_answer h1 198.51.100.3
"$TOP/lab/heal" h2 h1
nodes_answer h1 192.0.2.2
"$TOP/lab/cut" h1
must_fail nodes_answer h1 198.51.100.3
"$TOP/lab/heal"
wait_until "h1 is back" 5 nodes_answer h1 198.51.100.3
nodes_answer h1 192.0.2.2 # so that they know each other's MAC, by unicast
nodes_answer h2 192.0.2.1
"$TOP/lab/cut" h1 h2 30 # of each way: half of the echoes come back
received=$(on h1 ping -q -c 60 -i 0.01 -W 1 192.0.2.2 | sed -n 's/.* \([0-9]*\) received.*/\1/p')
[ "$received" -gt 0 ] && [ "$received" -lt 60 ] || fail "$received of 60 echoes with 30 % of the packets lost"
"$TOP/lab/heal"
nodes_answer h1 192.0.2.2

step "a capture"
"$TOP/lab/pcap" sw "$DIR/sw.pcap" icmp 2>"$DIR/pcap.err" &
pcap=$!
wait_until "tcpdump listens" 5 grep -q listening "$DIR/pcap.err"
nodes_answer h1 192.0.2.2
captured() { tcpdump -r "$DIR/sw.pcap" 2>/dev/null | grep -q 'echo reply'; }
wait_until "an echo in the capture" 5 captured
kill $pcap
wait $pcap || true

step "dockerd stops, starts, is killed"
must_contain "status" "dockerd [0-9]" "$("$TOP/lab/status")"
service_of h2 dockerd restart
pid=$(service_of h2 dockerd pid)
service_of h2 dockerd kill
must_fail service_of h2 dockerd pid
service_of h2 dockerd start
[ "$pid" != "$(service_of h2 dockerd pid)" ] || fail "the same dockerd"

step "a second lab of the same name is refused, one of another name is apart"
must_fail "$TOP/lab/up" two-hosts
must_fail "$TOP/lab/exec" h9 true
at_exit env LAB="$LAB-b" "$TOP/lab/down"
LAB=$LAB-b "$TOP/lab/up" two-hosts
must_equal "containers of the other lab" '' "$(LAB=$LAB-b docker_on h1 ps -q)"
LAB=$LAB-b "$TOP/lab/down"
must_equal "containers of this lab" aa "$(docker_on h1 ps --format '{{.Names}}')"

step "the end, with everything killed before"
docker_on h2 run -d --name bb lab:1 "${IDLE[@]}" >/dev/null
shim=$(lab_pids | while read -r p; do ! grep -qsa containerd-shim "/proc/$p/cmdline" || echo "$p"; done)
[ -n "$shim" ] || fail "no shim among the processes of the lab: $(lab_pids | xargs)"
service_of h1 dockerd kill
service_of h2 dockerd kill
# shellcheck disable=SC2086 # a list
kill -9 $shim
"$TOP/lab/down"
must_equal "processes" '' "$(lab_pids)"
must_equal "mounts" '' "$(lab_mounts)"
must_equal "namespaces" '' "$(find /run/netns -name "dr-$LAB-*" 2>/dev/null)"
[ ! -e "$DIR" ] || fail "$DIR is left"
