#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 300
#
# DHCP for containers, with dnsmasq, busybox udhcpd and kea: the same address for the same service, name and routes and name
# servers of the lease, renewal, a changed lease, an address that is taken back, a server that is away until the lease is
# over, one that offers nonsense, release at the end; a client that is killed, the role killed; the flag of NETWORKWAIT; SLAAC and DHCPv6.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/attach-lib.sh"

for need in dhcpcd kea-dhcp6; do
	command -v $need >/dev/null || skip "no $need here (packages dhcpcd-base, kea-dhcp6-server)"
done
command -v dnsmasq >/dev/null || skip "no dnsmasq here (package dnsmasq-base)"
attach_lab
dnsmasq_prepare
udhcpd_start() { # LINES...: leases as short as they are told
	printf '%s\n' "start 198.51.100.150" "end 198.51.100.160" "interface lan0" "option subnet 255.255.255.0" \
		"min_lease 5" "lease_file $DIR/udhcpd.leases" "pidfile $DIR/udhcpd.pid" \
		"conflict_time 1" "offer_time 1" "$@" >"$DIR/udhcpd.conf"
	[[ $* == *"option router"* ]] || echo "option router 198.51.100.1" >>"$DIR/udhcpd.conf"
	: >>"$DIR/udhcpd.leases"
	nsenter --net="/run/netns/$(ns lan)" -- busybox udhcpd -f -I 198.51.100.1 "$DIR/udhcpd.conf" >>"$DIR/udhcpd.log" 2>&1 &
	LAST=$!
}
KEA=''
kea_start() { # VALID-SECONDS: DHCPv6
	cat >"$DIR/kea.json" <<-END
		{"Dhcp6": {"data-directory": "$DIR", "interfaces-config": {"interfaces": ["lan0"]},
		 "lease-database": {"type": "memfile", "name": "$DIR/leases6", "lfc-interval": 0},
		 "preferred-lifetime": $1, "valid-lifetime": $1, "renew-timer": $(($1 / 3)), "rebind-timer": $(($1 / 2)),
		 "option-data": [{"name": "dns-servers", "data": "2001:db8:77::53"}, {"name": "domain-search", "data": "six.example"}],
		 "subnet6": [{"subnet": "2001:db8:77::/64", "interface": "lan0", "pools": [{"pool": "2001:db8:77::d000-2001:db8:77::dfff"}]}]}}
	END
	KEA_LOCKFILE_DIR=none KEA_PIDFILE_DIR=$DIR nsenter --net="/run/netns/$(ns lan)" -- kea-dhcp6 -c "$DIR/kea.json" >>"$DIR/kea.log" 2>&1 &
	KEA=$!
}
kea_stop() {
	[ -z "$KEA" ] || {
		kill "$KEA" 2>/dev/null || true
		wait "$KEA" 2>/dev/null || true
	}
	KEA=
}
at_exit kea_stop
dhcp() { # NAME [OPTIONS...]
	local name=$1
	shift
	run "$name" --label docker-router.attach=br-lan:lan0 --label docker-router.attach.lan0.address=dhcp "$@"
}
address() { # NAME
	nic "$1" lan0 'leases[0].address'
}
has_address() { # NAME ADDRESS: in the container
	in_container h1 "$1" ip addr show lan0 | grep -q "inet $2"
}
client_of() { # NAME [PROGRAM]: the pid of its client
	local p ns
	ns=$(stat -Lc %i "/proc/$(docker_on h1 inspect -f '{{.State.Pid}}' "$1")/ns/net")
	for p in /proc/[0-9]*; do
		if [ "$(stat -Lc %i "$p/ns/net" 2>/dev/null || true)" = "$ns" ] && grep -qz "^\(.*/\)\?${2:-udhcpc}$" "$p/cmdline" 2>/dev/null; then
			basename "$p"
		fi
	done
}

step "no server yet: it is waited for, and said so; then it comes"
dhcp web --label com.docker.compose.project=shop --label com.docker.compose.service=web -e NETWORKWAIT=1
no_answer() { nic web lan0 why | grep -q 'no DHCP server answers'; }
wait_until "no server" 30 no_answer
must_fail in_container h1 web test -e /tmp/.nsnetsetup
dnsmasq_start --dhcp-range=198.51.100.100,198.51.100.120,3600 --dhcp-option=option:router,198.51.100.1 \
	--dhcp-option=option:dns-server,198.51.100.53 --dhcp-option=option:domain-name,lan.example \
	--dhcp-option=option:classless-static-route,203.0.113.0/24,198.51.100.7,0.0.0.0/0,198.51.100.1
ready web lan0
first=$(address web)
wait_until "the address is there" 10 has_address web "$first"
inside lan ping -c 1 -W 5 "${first%/*}" >/dev/null
route=$(in_container h1 web ip route)
must_contain "gateway" 'default via 198\.51\.100\.1 dev lan0' "$route"
must_contain "classless route" '203\.0\.113\.0/24 via 198\.51\.100\.7' "$route"
resolv() { in_container h1 web cat /etc/resolv.conf | grep -q "$1"; }
wait_until "name server" 10 resolv 'nameserver 198.51.100.53'
wait_until "domain" 10 resolv 'search lan.example'
must_contain "the name that the server sees" ' web ' "$(cat "$LEASES")"
flag() { in_container h1 web test -e /tmp/.nsnetsetup; }
wait_until "the flag of NETWORKWAIT" 10 flag
must_contain "the verb nics" 'web +lan0 +veth +br-lan +ready +'"$first"' +[0-9]+m +198\.51\.100\.1' "$(on h1 docker-router nics)"

step "made anew: the same address; the flag is not there before the NIC"
id=$(docker_on h1 inspect -f '{{.Id}}' web)
docker_on h1 restart -t 0 web >/dev/null
ready web lan0
wait_until "the same address" 20 has_address web "$first"
wait_until "the flag again" 10 flag
docker_on h1 stop -t 0 web >/dev/null
released() { ! grep -q "${first%/*}" "$LEASES"; }
wait_until "the lease was given back" 10 released
flagless() { ! docker_on h1 cp web:/tmp/.nsnetsetup - >/dev/null 2>&1; }
wait_until "the flag went with it" 10 flagless
docker_on h1 rm -f web >/dev/null
dhcp web --label com.docker.compose.project=shop --label com.docker.compose.service=web
ready web lan0
must_equal "the same address in a new container" "$first" "$(address web)"
[ "$id" != "$(docker_on h1 inspect -f '{{.Id}}' web)" ] || fail "it is not a new container"

step "a client that is killed comes back, the role too: the address stays all the time"
old=$(client_of web)
kill -9 "$old"
client_anew() { [ -n "$(client_of web)" ] && [ "$(client_of web)" != "$old" ]; }
wait_until "another client" 20 client_anew
has_address web "$first" || fail "the address went with the client"
kill -9 "$(role_pid)"
has_address web "$first" || fail "the address went with the role"
wait_until "another client" 20 client_anew
wait_until "ready again" 20 state_is web lan0 ready
must_equal "the same address" "$first" "$(address web)"

step "names that are hostile, and many at once"
docker_on h1 run -d --name 'a.B_c-.' --network none --label docker-router.attach=br-lan:lan0 \
	--label docker-router.attach.lan0.address=dhcp --label 'com.docker.compose.service=$(reboot)' lab:1 sleep 100000 >/dev/null
ready 'a.B_c-.' lan0
for i in 1 2 3 4 5; do
	docker_on h1 create --name "many$i" --network none --label docker-router.attach=br-lan:lan0 \
		--label docker-router.attach.lan0.address=dhcp lab:1 sleep 100000 >/dev/null
done
docker_on h1 start many1 many2 many3 many4 many5 >/dev/null
for i in 1 2 3 4 5; do
	ready "many$i" lan0
done
must_equal "all have another address" 5 "$(for i in 1 2 3 4 5; do address "many$i"; done | sort -u | wc -l)"
docker_on h1 rm -f many1 many2 many3 many4 many5 'a.B_c-.' web >/dev/null
server_stop

step "short leases: renewal, another address, the server away until the lease is over, and back"
udhcpd_start "option lease 30" "option dns 198.51.100.54"
kea_start 30
run short6 --label docker-router.attach=br-lan:lan0 --label docker-router.attach.lan0.address=dhcp6
dhcp short
ready short lan0
ready short6 lan0
was6=$(nic short6 lan0 'leases[0].address')
since6=$(nic short6 lan0 'leases[0].since')
was=$(address short)
since=$(nic short lan0 'leases[0].since')
renewed() { [ "$(nic short lan0 'leases[0].since')" != "$since" ]; }
wait_until "renewal" 60 renewed
must_equal "address after renewal" "$was" "$(address short)"
renewed6() { [ "$(nic short6 lan0 'leases[0].since')" != "$since6" ]; }
wait_until "renewal of IPv6" 60 renewed6
must_equal "address after renewal" "$was6" "$(nic short6 lan0 'leases[0].address')"
server_stop
kea_stop
over() { ! has_address short "${was%/*}" && state_is short lan0 waiting; }
wait_until "the lease is over, and the address is away" 90 over
must_contain "why" 'lease is over|no DHCP server' "$(nic short lan0 why)"
over6() { ! in_container h1 short6 ip addr show lan0 | grep -q "inet6 2001" && state_is short6 lan0 waiting; }
wait_until "the lease of IPv6 is over" 90 over6
must_contain "why" 'lease is over' "$(nic short6 lan0 why)"
kea_start 30
rm -f "$DIR/udhcpd.leases"
udhcpd_start "option lease 30" "start 198.51.100.170" "end 198.51.100.175"
wait_until "the server is back" 90 state_is short lan0 ready
moved() { [[ $(address short) == 198.51.100.17* ]] && has_address short 198.51.100.17; }
wait_until "another address of it" 60 moved
has_address short "${was%/*}" && fail "the old address is still there"
server_stop
wait_until "the server of IPv6 is back" 90 state_is short6 lan0 ready
docker_on h1 rm -f short6 >/dev/null
kea_stop

step "a server that offers nonsense is not followed, and named"
docker_on h1 rm -f short >/dev/null
udhcpd_start "option lease 60" "option router 203.0.113.1" "option domain bad|domain;x"
dhcp odd
wait_until "bound" 30 state_is odd lan0 ready
must_contain "its gateway is no neighbour" 'gateway is not in the subnet' "$(nic odd lan0 why)"
must_equal "and is not taken" 0 "$(in_container h1 odd ip route | grep -c default || true)"
docker_on h1 rm -f odd >/dev/null
server_stop
sed -i 's/255.255.255.0/0.0.0.0/; s/^option router.*//' "$DIR/udhcpd.conf"
nsenter --net="/run/netns/$(ns lan)" -- busybox udhcpd -f -I 198.51.100.1 "$DIR/udhcpd.conf" >>"$DIR/udhcpd.log" 2>&1 &
LAST=$!
dhcp odd
refused() { nic odd lan0 why | grep -q 'no subnet mask that can be used'; }
wait_until "a mask of no bits" 30 refused
docker_on h1 rm -f odd >/dev/null
server_stop

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
must_equal "links make their own addresses as ever" 0 "$(nsenter --net="/proc/$(docker_on h1 inspect -f '{{.State.Pid}}' six)/ns/net" \
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

step "nobody is left when all have gone"
wait_until "host ends" 20 test "$(ends)" = 0
