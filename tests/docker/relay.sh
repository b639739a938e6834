#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: debian-v6
# timeout: 300
#
# Two Docker hosts, each behind a NAT that gives every destination another port and drops what it does not know, and a
# third that both reach: it relays, without a stack of their VNI. Full-size packets pass, nothing in clear text, and
# routers may die meanwhile; peers and status tell of it. A NAT that changes its address is followed. When the way between the
# two opens, they use it.
#
#	h1 198.51.100.10 - n1 (NAT) 192.0.2.11 --+-- 192.0.2.3 relay	IPv6: 2001:db8::, 2001:db8:1::, 2001:db8:2::
#	h2 203.0.113.10  - n2 (NAT) 192.0.2.12 --+
. "$(dirname "$0")/faults/common.sh"

command -v wireguard-go >/dev/null || skip "there is no wireguard-go"
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
command -v etcd >/dev/null || skip "there is no etcd"

(umask 077 && "$DOCKER_ROUTER" keygen >"$FILES/cluster.key")
w=192.0.2. a=198.51.100. b=203.0.113. len=24 ip=ip mtu=1366 nodad=""
url() { echo "http://$1:2379"; }
port_of() { echo "$1:"; }
if [ $UNDERLAY = v6 ]; then
	w=2001:db8:: a=2001:db8:1:: b=2001:db8:2:: len=64 ip=ip6 mtu=1350 nodad=nodad
	url() { echo "http://[$1]:2379"; }
	port_of() { echo "[$1]:"; }
fi
net() { # its addresses begin so
	[ $UNDERLAY = v6 ] && echo "$1/64" || echo "${1}0/24"
}
settings="ENCRYPTION=wireguard CLUSTER_KEY_FILE=$FILES/cluster.key DISCOVERY_MODE=etcd ETCD_ENDPOINTS=$(url ${w}3)"
cat >"$FILES/topology" <<-END
	switch sw
	switch lan1
	switch lan2
	node n1 ${w}11/$len ${a}1/$len@lan1
	node n2 ${w}12/$len ${b}1/$len@lan2
	host relay ${w}3/$len HOST_IP=${w}3 $settings WIREGUARD_RELAY=on
	host h1 ${a}10/$len@lan1 via=${a}1 HOST_IP=${a}10 $settings
	host h2 ${b}10/$len@lan2 via=${b}1 HOST_IP=${b}10 $settings
END
ROUTER=0 lab_begin "$FILES/topology"
for n in n1 n2; do
	inside $n nft -f - <<-END
		table $ip nat { chain out { type nat hook postrouting priority 100; oifname eth0 masquerade fully-random; }; }
		table $ip guard { chain in { type filter hook forward priority 0; policy accept
			iifname eth0 ct state established,related accept; iifname eth0 drop; }; }
	END
done
proc_start "$FILES/etcd.proc" "$FILES/etcd.log" nsenter --net="$(host_ns relay)" -- etcd --data-dir "$FILES/etcd" --log-level error \
	--listen-client-urls "$(url ${w}3)" --advertise-client-urls "$(url ${w}3)"
at_exit proc_end "$FILES/etcd.proc"
for h in relay h1 h2; do
	service_of $h router start
done
proc_start "$FILES/pcap.proc" "$FILES/pcap.log" "$TOP/lab/pcap" sw "$FILES/wire.pcap" udp
at_exit proc_end "$FILES/pcap.proc"
stack h1 one 1000 71
stack h2 two 1000 72
stack relay three 2000 73
container_on h2 web two --ip 10.72.0.20

of_peer() { # HOST PEER FIELD: of WireGuard in router.json
	jq -r --arg h "$2" ".wireguard.peers[] | select(.host_name == \$h) | .$3 // \"none\"" "$DIR/$1/state/router.json"
}
device() { # HOST
	jq -r .wireguard.device "$DIR/$1/state/router.json"
}

step "the two reach each other by the third"
relayed() { [ "$(of_peer h1 h2 relay_name)" = relay ] && [ "$(of_peer h2 h1 relay_name)" = relay ]; }
wait_until "a relay is taken at both ends" 90 relayed
reach_ping h1 one 10.72.0.10
reach h1 one 10.72.0.20
reach_full_size h1 one 10.72.0.10 $mtu
must_equal "bytes by TCP" 1000000 "$(in_container h1 one sh -c 'nc -w 30 10.72.0.20 81 </dev/null | wc -c')"
must_contain "peers of h1" '^ *1000 +two .* relay$' "$(on h1 docker-router peers)"
must_contain "status of h1" '1 of them by way of a relay' "$(on h1 docker-router status || true)"
must_contain "status of the relay" 'this host relays' "$(on relay docker-router status || true)"
must_equal "keepalives of h1" 25 "$(wg show "$(device h1)" persistent-keepalive | cut -f2 | sort -u)"
packets() { # FILTER
	tcpdump -nr "$FILES/wire.pcap" "$1" 2>/dev/null | wc -l
}
in_container h1 one sh -c 'yes SecretMessageOne | head -c 100000 | nc -w 2 10.72.0.20 80' >/dev/null || true
many() { [ "$(packets 'udp port 51820')" -ge 100 ]; }
wait_until "packets of WireGuard on the switch" 10 many
must_equal "VXLAN on the switch" 0 "$(packets 'udp port 4789')"
must_fail grep -qa SecretMessage "$FILES/wire.pcap"
must_equal "namespaces of the relay" "vni-2000 wireguard" "$(cd "$DIR/relay/run"/* && ls | tr "\n" " " | sed "s/ \$//")"

step "the relay passes on nothing but that"
# from its prefix to its own address, and from a host's own address: by the rules, and WireGuard's
n=$(echo "$DIR/relay/run"/*/wireguard)
must_equal "forwarding" 1 "$(nsenter --net="$n" -- sysctl -n net.ipv6.conf.all.forwarding)"
must_equal "what the others forward" 0 "$(nsenter --net="$(echo "$DIR/h1/run"/*/wireguard)" -- sysctl -n net.ipv6.conf.all.forwarding)"
must_equal "rules that forward" 1 "$(nsenter --net="$n" -- nft list chain inet docker-router forward | grep -c 'ip6 saddr fd64:7279:.* ip6 daddr fd64:7279:.* accept')"

step "routers and discovery are killed under 1,000 datagrams a second: none is lost"
probe_make
echo_on h2 two
flow_start a h1 one 10.72.0.10
for h in h1 relay h2; do
	for role in router discovery; do
		old=$(role_pid $h $role) file=$(file_of $h $role)
		kill -9 "$old"
		wait_until "$role of $h is back" 20 role_back $h $role "$old" "$file"
	done
done
flow_must a
must_equal "the relay" relay "$(of_peer h1 h2 relay_name)"

step "the NAT in front of h1 gets another address, and is followed"
endpoint() { # OF-WHOM: as the relay's device tells it
	wg show "$(device relay)" endpoints | grep -cF "$(port_of "$1")"
}
must_equal "the old address" 1 "$(endpoint ${w}11)"
ip -n "$(ns n1)" addr add ${w}21/$len dev eth0 $nodad
ip -n "$(ns n1)" addr del ${w}11/$len dev eth0
ip -n "$(ns n1)" addr add ${w}21/$len dev eth0 $nodad 2>/dev/null || true
moved() { [ "$(endpoint ${w}21)" = 1 ]; }
wait_until "the relay knows the new address, by a keepalive" 60 moved
wait_until "one on h1 pings 10.72.0.10" 30 pings h1 one 10.72.0.10

step "the way between the two opens, and they take it"
for n in n1 n2; do
	# each try would keep what the NAT made of the one before
	inside $n sysctl -qw net.netfilter.nf_conntrack_udp_timeout=2
	inside $n nft -f - <<-END
		insert rule $ip nat out $ip daddr { $(net $a), $(net $b) } accept
		insert rule $ip guard in $ip saddr { $(net $a), $(net $b) } accept
	END
done
ip -n "$(ns n1)" route add "$(net $b)" via ${w}12
ip -n "$(ns n2)" route add "$(net $a)" via ${w}21
direct() { [ "$(of_peer h1 h2 relay)" = none ] && [ "$(of_peer h2 h1 relay)" = none ]; }
flow_start b h1 one 10.72.0.10
wait_until "both send directly" 90 direct
flow_must b
[[ "$(of_peer h1 h2 endpoint)" == "$(port_of ${b}10)"* ]] || fail "the endpoint of h2 is $(of_peer h1 h2 endpoint)"
