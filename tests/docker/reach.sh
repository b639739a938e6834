#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: sid-v4 debian-v6
#
# Who else is reached, and what Docker gave before is still there: containers on two networks, on internal ones, on ones
# without icc, on Docker's default bridge and on networks named in the config file; processes of the hosts, behind a
# firewall too; published ports, the way out, Docker's names.
. "$(dirname "$0")/lib.sh"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
group=239.1.1.1
[ "$UNDERLAY" = v4 ] || group=ff05::4790
for n in 1 2; do
	echo "multicast_group: $group" >"$FILES/h$n.yaml"
done
cat >"$FILES/topology" <<-END
	switch sw
	node out 192.0.2.254/24 2001:db8::fffe/64
	host h1 192.0.2.1/24 2001:db8::1/64 CONFIG=$FILES/h1.yaml dockerd=--bip=10.75.0.1/24,--ipv6,--fixed-cidr-v6=fd00:75::/64,--experimental,--ip6tables
	host h2 192.0.2.2/24 2001:db8::2/64 CONFIG=$FILES/h2.yaml dockerd=--bip=10.79.0.1/24,--experimental,--ip6tables
END
lab_begin "$FILES/topology"

answers() { # NODE PORT: something of the node itself that says whom it sees
	local v
	for v in 4 6,ipv6only=1; do
		proc_start "$DIR/$1/answers-$2-${v%%,*}.proc" "$DIR/$1/answers.log" nsenter --net="/run/netns/$(ns "$1")" -- \
			socat "TCP${v%%,*}-LISTEN:$2,fork,reuseaddr${v#?}" "SYSTEM:echo $1 \$SOCAT_PEERADDR"
	done
}
node_ask() { # NODE ADDRESS PORT: asked by the node itself
	inside "$1" timeout 3 busybox nc -w 2 "$2" "$3" </dev/null
}
seen() { # TEXT CMD...: does CMD say TEXT?
	local text=$1
	shift
	[ "$("$@" 2>/dev/null)" = "$text" ]
}
hears() { # TEXT HOST CONTAINER ADDRESS [PORT]: TEXT is what the container is told there
	wait_until "$3 on $2 is to hear '$1' at $4" 8 seen "$1" ask "$2" "$3" "$4" "${5:-80}"
}
node_hears() { # PATTERN NODE ADDRESS PORT
	heard() { [[ $(node_ask "$2" "$3" "$4") =~ ^($1)$ ]]; }
	wait_until "$2 itself is to hear '$1' at $3 port $4" 8 heard "$@"
}
together() { # LINES of commands: side by side, since what does not answer takes its time
	local line pids=() p
	while read -r line; do
		eval "$line" &
		pids+=($!)
	done
	for p in "${pids[@]}"; do
		wait "$p" || fail "one of those"
	done
}
inside out ip addr add 203.0.113.1/32 dev lo
inside out ip addr add 2001:db8:ffff::1/128 dev lo nodad
answers out 80
answers h1 8099

step "stacks and other networks"
network_on h2 blog 100 10.72.0.0/24 fd00:72::/64
container_on h2 blog blog --ip 10.72.0.10 --ip6 fd00:72::10
network_on h1 shop 100 10.71.0.0/24 fd00:71::/64
network_on h1 aaa - 10.70.0.0/24 fd00:70::/64 # sorts before shop: the default gateway of who is on both
network_on h1 inner 100 10.73.0.0/24 fd00:73::/64 -- --internal
network_on h1 mute 100 10.74.0.0/24 fd00:74::/64 -- -o com.docker.network.bridge.enable_icc=false
network_on h1 old - 10.76.0.0/24
container_on h1 web shop --ip 10.71.0.10 --ip6 fd00:71::10 -p 8080:80
container_on h1 web2 shop --ip 10.71.0.11
container_on h1 two aaa --ip 10.70.0.12
docker_on h1 network connect --ip 10.71.0.12 --ip6 fd00:71::12 shop two
container_on h1 alien aaa --ip 10.70.0.13
container_on h1 in inner --ip 10.73.0.10 --ip6 fd00:73::10
container_on h1 mute mute --ip 10.74.0.10 --ip6 fd00:74::10
container_on h1 mute2 mute --ip 10.74.0.11
container_on h1 plain bridge
container_on h1 old old --ip 10.76.0.10
plain4=$(docker_on h1 inspect -f '{{.NetworkSettings.IPAddress}}' plain)
plain6=$(docker_on h1 inspect -f '{{.NetworkSettings.GlobalIPv6Address}}' plain)
"$TOP/lab/drops" h1
"$TOP/lab/drops" h2

step "by labels"
both_ways() { # CONTAINER OF h1, IPV4, IPV6: with blog, by TCP and ping, and each sees the other's own address
	hears "blog $2" h1 "$1" 10.72.0.10
	hears "$1 10.72.0.10" h2 blog "$2"
	pings h1 "$1" 10.72.0.10 || fail "$1 does not ping blog"
	pings h2 blog "$2" || fail "blog does not ping $1"
	[ -n "${3:-}" ] || return 0
	hears "blog $(ip6_long "$3")" h1 "$1" fd00:72::10
	hears "$1 $(ip6_long fd00:72::10)" h2 blog "$3"
}
both_ways web 10.71.0.10 fd00:71::10
step "errors of both router namespaces find their way back"
exceeded() { # ADDRESS HOPS
	grep -qE 'Time to live exceeded|Time exceeded: Hop limit' <<<"$(in_container h1 web ping -c 1 -W 1 -t "$2" "$1" 2>&1 || true)"
}
for hops in 1 2; do
	wait_until "time exceeded, IPv4, hop $hops" 5 exceeded 10.72.0.10 $hops
	wait_until "time exceeded, IPv6, hop $hops" 5 exceeded fd00:72::10 $hops
done
step "on two networks, with the default gateway on the other"
must_contain "default route of two" ' via 10\.70\.0\.1 ' "$(docker_on h1 exec two ip route show default) "
both_ways two 10.71.0.12 fd00:71::12
step "on an internal network"
both_ways in 10.73.0.10 fd00:73::10
step "without icc"
both_ways mute 10.74.0.10 fd00:74::10
step "stacks of this host"
hears "in 10.71.0.12" h1 two 10.73.0.10
hears "mute 10.71.0.10" h1 web 10.74.0.10
step "who is in none, and what Docker keeps apart"
together <<-END
	unreach h1 alien 10.72.0.10
	unreach h1 alien 10.73.0.10
	unreach h1 old 10.72.0.10
	unreach h1 mute2 10.74.0.10
	unreach h1 in 203.0.113.1
END

step "named in the config file: Docker's default bridge, and a network that was there before"
cat >>"$FILES/h1.yaml" <<-END
	networks:
	  bridge: {vni: 100, stack: misc}
	  old: {vni: 100}
END
kill -HUP "$(service_of h1 router pid)"
both_ways plain "$plain4" "$plain6"
both_ways old 10.76.0.10

step "published ports"
node_hears "web 192.0.2.254" out 192.0.2.1 8080
answered() { node_ask "$@" | grep -q '^web '; } # by docker-proxy where ip6tables do not do it: it sees the gateway
wait_until "published port by IPv6" 5 answered out 2001:db8::1 8080
hears "web 192.0.2.2" h2 blog 192.0.2.1 8080
for c in alien web2 two plain; do
	published() { ask h1 "$c" 192.0.2.1 8080 | grep -q '^web '; }
	wait_until "$c of the same host at the published port" 5 published
done

step "the way out, masqueraded"
for c in web two plain old mute; do
	hears "out 192.0.2.1" h1 $c 203.0.113.1
done
hears "out 192.0.2.2" h2 blog 203.0.113.1
hears "out $(ip6_long 2001:db8::1)" h1 web 2001:db8:ffff::1

step "Docker's names"
for c in web2 two; do
	must_contain "what $c knows of web" '10\.71\.0\.10' "$(docker_on h1 exec $c nslookup web 127.0.0.11 || true)"
done

step "processes of the hosts"
hosts_reach() { # by the address that the host has in one of its stacks of the VNI
	node_hears "blog 10\.7[13456]\.0\.1" h1 10.72.0.10 80
	node_hears "web 10.72.0.1" h2 10.71.0.10 80
	node_hears "in 10.72.0.1" h2 10.73.0.10 80
	node_hears "blog .fd00:007[1345]:0000:0000:0000:0000:0000:0001." h1 fd00:72::10 80
	node_hears "web .fd00:0072:0000:0000:0000:0000:0000:0001." h2 fd00:71::10 80
	inside h1 ping -q -c 1 -W 2 10.72.0.10 >/dev/null
	inside h2 ping -q -c 1 -W 2 fd00:71::10 >/dev/null
}
hosts_reach
step "a service of the other host, at the gateway of a stack"
hears "h1 10.72.0.10" h2 blog 10.71.0.1 8099
hears "h1 $(ip6_long fd00:72::10)" h2 blog fd00:71::1 8099
hears "h1 10.71.0.10" h1 web 10.71.0.1 8099
step "the same with rp_filter, and a firewall that lets in only what was asked for, and our ports"
for h in h1 h2; do
	inside $h sh -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 >"$f"; done'
	for t in iptables ip6tables; do
		inside $h $t -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
		inside $h $t -A INPUT -i eth0 -p udp -m multiport --dports 4789,4790 -j ACCEPT
		inside $h $t -A INPUT -i lo -j ACCEPT
		inside $h $t -P INPUT DROP
	done
	inside $h ip6tables -A INPUT -p icmpv6 --icmpv6-type 135 -j ACCEPT
	inside $h ip6tables -A INPUT -p icmpv6 --icmpv6-type 136 -j ACCEPT
done
together <<-END
	must_fail node_ask h2 192.0.2.1 8099
	must_fail ask h2 blog 10.71.0.1 8099
END
hosts_reach
both_ways two 10.71.0.12 fd00:71::12
both_ways plain "$plain4" "$plain6"
hears "out 192.0.2.1" h1 web 203.0.113.1

step "without anything inside containers, those who do not send to the stack's gateway are cut off, and told of"
echo "datapath: leg" >>"$FILES/h1.yaml"
kill -HUP "$(service_of h1 router pid)"
cut_off() { ! connects h1 "$1" 10.72.0.10; }
together <<-END
	wait_until "two is cut off" 5 cut_off two
	wait_until "in is cut off" 5 cut_off in
	wait_until "mute is cut off" 5 cut_off mute
END
both_ways web 10.71.0.10 fd00:71::10
both_ways plain "$plain4" "$plain6"
doctor=$(on h1 docker-router doctor || true)
must_contain "doctor" 'two .*is cut off' "$doctor"
must_contain "doctor" 'container in .*is cut off' "$doctor"
must_contain "doctor" 'network mute .*icc=false' "$doctor"
sed -i 's/^datapath: leg/datapath: route/' "$FILES/h1.yaml"
kill -HUP "$(service_of h1 router pid)"
both_ways two 10.71.0.12 fd00:71::12
both_ways plain "$plain4" "$plain6"
must_contain "doctor" 'network inner .*is internal' "$(on h1 docker-router doctor || true)"
inside h1 sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0
both_ways in 10.73.0.10 fd00:73::10
both_ways mute 10.74.0.10 fd00:74::10
