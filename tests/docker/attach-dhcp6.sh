#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 300
#
# IPv6 of the LAN for containers: SLAAC by dnsmasq's advertisements, and DHCPv6 by kea: address, name servers and route; the same
# name to the server when made anew; client and role killed; renewal, a server that is away until the lease is over, release.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/attach-lib.sh"

for need in dnsmasq dhcpcd kea-dhcp6; do
	command -v $need >/dev/null || skip "no $need here (packages dnsmasq-base, dhcpcd-base, kea-dhcp6-server)"
done
attach_lab
dnsmasq_prepare
kea_start() { # VALID-SECONDS: DHCPv6
	cat >"$DIR/kea.json" <<-END
		{"Dhcp6": {"data-directory": "$DIR", "interfaces-config": {"interfaces": ["lan0"]},
		 "lease-database": {"type": "memfile", "name": "$DIR/leases6", "lfc-interval": 0},
		 "preferred-lifetime": $1, "valid-lifetime": $1, "renew-timer": $(($1 / 3)), "rebind-timer": $(($1 / 2)),
		 "option-data": [{"name": "dns-servers", "data": "2001:db8:77::53"}, {"name": "domain-search", "data": "six.example"}],
		 "subnet6": [{"subnet": "2001:db8:77::/64", "interface": "lan0", "pools": [{"pool": "2001:db8:77::d000-2001:db8:77::dfff"}]}]}}
	END
	proc_start "$DIR/kea.proc" "$DIR/kea.log" nsenter --net="/run/netns/$(ns lan)" -- \
		env KEA_LOCKFILE_DIR=none "KEA_PIDFILE_DIR=$DIR" kea-dhcp6 -c "$DIR/kea.json"
}
kea_stop() {
	proc_end "$DIR/kea.proc"
}
at_exit kea_stop

step "SLAAC: a router's advertisement gives address and route"
inside lan ip addr add 2001:db8:77::1/64 dev lan0 nodad
inside lan sysctl -q -w net.ipv6.conf.all.forwarding=1
dnsmasq_start --enable-ra --dhcp-range=2001:db8:77::,ra-only,64
run six --label docker-router.attach=br-lan:lan0 --label docker-router.attach.lan0.address=slaac
ready six lan0
must_contain "address" '2001:db8:77:' "$(in_container h1 six ip -6 addr show lan0)"
v6=$(nic six lan0 'addresses[0]')
inside lan ping -c 1 -W 5 "${v6%/*}" >/dev/null
must_contain "route" 'default via fe80' "$(in_container h1 six ip -6 route)"

docker_on h1 rm -f six >/dev/null

step "DHCPv6: an address and name servers of kea, the route of the advertisement; by the same name when made anew"
dhcp6() {
	run six --label docker-router.attach=br-lan:lan0 --label docker-router.attach.lan0.address=dhcp6 \
		--label com.docker.compose.project=shop --label com.docker.compose.service=six
	ready six lan0
}
rm -f "$DIR/leases6"
kea_start 3600
dhcp6
v6=$(nic six lan0 'leases[0].address')
must_contain "address" '^2001:db8:77::d[0-9a-f]{3}/128$' "$v6"
wait_until "reached from the LAN" 20 inside lan ping -c 1 -W 5 "${v6%/*}"
must_equal "no other address than that" 1 "$(in_container h1 six ip -6 addr show lan0 scope global | grep -c inet6)"
default6() { in_container h1 six ip -6 route | grep -q 'default via fe80'; }
wait_until "route" 20 default6
resolv6() { in_container h1 six cat /etc/resolv.conf | grep -q "$1"; }
wait_until "name server" 10 resolv6 'nameserver 2001:db8:77::53'
wait_until "domain" 10 resolv6 'search six.example'
must_contain "the verb nics" 'six +lan0 +veth +br-lan +ready +'"$v6" "$(on h1 docker-router nics)"
must_equal "links make their own addresses as ever" 0 "$(nsenter --net="/proc/$(pid_of h1 six)/ns/net" \
	ip -d link show lan0 | grep -c 'addrgenmode none' || true)"
must_equal "nothing of dhcpcd's is on the host" "" "$(find /run/dhcpcd /var/lib/dhcpcd -type f 2>/dev/null)"
old=$(client_of six docker-router-dhcp6)
old=${old%%$'\n'*}
kill -9 "$old"
anew6() { [ "$(client_of six docker-router-dhcp6 | wc -l)" = 2 ] && ! [ -e "/proc/$old" ]; }
wait_until "another client" 30 anew6
old=$(client_of six docker-router-dhcp6)
old=${old%%$'\n'*}
kill -9 "$(role_pid)"
wait_until "ready again" 20 state_is six lan0 ready
in_container h1 six ip addr show lan0 | grep -q "inet6 $v6" || fail "the address went with the client"
wait_until "asked by its name again" 20 anew6
duids() { awk -F, 'NR > 1 { print $2 }' "$DIR/leases6" | sort -u; }
taken() { [ "$(awk -F, -v a="$1" '$1 == a { t = $3 } END { print t }' "$DIR/leases6")" != 0 ]; }
taken "${v6%/*}" || fail "the lease was given back while the container runs"
docker_on h1 rm -f six >/dev/null
given_back() { ! taken "${v6%/*}"; }
wait_until "the lease was given back" 20 given_back
dhcp6
must_equal "the name that the server sees stays" 1 "$(duids | wc -l)"
docker_on h1 rm -f six >/dev/null
kea_stop

step "short leases: renewal, the server away until the lease is over, and back"
kea_start 30
run short --label docker-router.attach=br-lan:lan0 --label docker-router.attach.lan0.address=dhcp6
ready short lan0
was=$(nic short lan0 'leases[0].address')
since=$(nic short lan0 'leases[0].since')
renewed() { [ "$(nic short lan0 'leases[0].since')" != "$since" ]; }
wait_until "renewal" 60 renewed
must_equal "address after renewal" "$was" "$(nic short lan0 'leases[0].address')"
kea_stop
over() { ! in_container h1 short ip addr show lan0 | grep -q "inet6 ${was%/*}" && state_is short lan0 waiting; }
wait_until "the lease is over, and the address is away" 90 over
must_contain "why" 'lease is over' "$(nic short lan0 why)"
kea_start 30
wait_until "the server is back" 90 state_is short lan0 ready
docker_on h1 rm -f short >/dev/null
kea_stop
server_stop

step "nobody is left when all have gone"
gone() { [ "$(ends)" = 0 ]; }
wait_until "host ends" 20 gone
