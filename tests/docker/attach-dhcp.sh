#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 300
#
# DHCP for containers, with dnsmasq and busybox udhcpd: the same address for the same service, name and routes and name
# servers of the lease, renewal, a changed lease, an address that is taken back, a server that is away until the lease is
# over, ones that offer nonsense or are hostile, release at the end; a client that is killed, the role killed; the flag of NETWORKWAIT.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/attach-lib.sh"

command -v dnsmasq >/dev/null || skip "no dnsmasq here (package dnsmasq-base)"
attach_lab
dnsmasq_prepare
udhcpd_start() { # LINES...: leases as short as they are told
	printf '%s\n' "start 198.51.100.150" "end 198.51.100.160" "interface lan0" "option subnet 255.255.255.0" \
		"min_lease 5" "lease_file $DIR/udhcpd.leases" "pidfile $DIR/udhcpd.pid" \
		"conflict_time 1" "offer_time 1" "$@" >"$DIR/udhcpd.conf"
	[[ $* == *"option router"* ]] || echo "option router 198.51.100.1" >>"$DIR/udhcpd.conf"
	: >>"$DIR/udhcpd.leases"
	server_start "$DIR/udhcpd.log" busybox udhcpd -f -I 198.51.100.1 "$DIR/udhcpd.conf"
}
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
	--label docker-router.attach.lan0.address=dhcp --label 'com.docker.compose.service=$(reboot)' lab:1 "${IDLE[@]}" >/dev/null
ready 'a.B_c-.' lan0
for i in 1 2 3 4 5; do
	docker_on h1 create --name "many$i" --network none --label docker-router.attach=br-lan:lan0 \
		--label docker-router.attach.lan0.address=dhcp lab:1 "${IDLE[@]}" >/dev/null
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
dhcp short
ready short lan0
was=$(address short)
since=$(nic short lan0 'leases[0].since')
renewed() { [ "$(nic short lan0 'leases[0].since')" != "$since" ]; }
wait_until "renewal" 60 renewed
must_equal "address after renewal" "$was" "$(address short)"
server_stop
over() { ! has_address short "${was%/*}" && state_is short lan0 waiting; }
wait_until "the lease is over, and the address is away" 90 over
must_contain "why" 'lease is over|no DHCP server' "$(nic short lan0 why)"
rm -f "$DIR/udhcpd.leases"
udhcpd_start "option lease 30" "start 198.51.100.170" "end 198.51.100.175"
wait_until "the server is back" 90 state_is short lan0 ready
moved() { [[ $(address short) == 198.51.100.17* ]] && has_address short 198.51.100.17; }
wait_until "another address of it" 60 moved
has_address short "${was%/*}" && fail "the old address is still there"
server_stop

step "a server that offers nonsense is not followed, and named"
docker_on h1 rm -f short >/dev/null
udhcpd_start "option lease 60" "option router 203.0.113.1" "option domain bad|domain;x"
dhcp odd
wait_until "bound" 30 state_is odd lan0 ready
must_contain "its gateway is no neighbour" 'gateway is not in the subnet' "$(nic odd lan0 why)"
must_equal "and is not taken" 0 "$(in_container h1 odd ip route | grep -c default || true)"
docker_on h1 rm -f odd >/dev/null
server_stop

step "a server that is hostile: nothing of it is believed, and the next one is"
hostile() { # MODE
	echo "$1" >"$DIR/dhcp.mode.new"
	mv "$DIR/dhcp.mode.new" "$DIR/dhcp.mode"
}
because() { # WORDS
	nic odd lan0 why | grep -q "$1"
}
hostile overrun
server_start "$DIR/dhcp.py.log" python3 "$TOP/tests/docker/dhcp.py" "$DIR/dhcp.mode" lan0
role=$(role_pid)
dhcp odd
wait_until "an option that is longer than its packet" 60 because 'no DHCP server answers'
must_equal "addresses" 0 "$(in_container h1 odd ip addr show lan0 | grep -c 'inet ' || true)"
hostile mask
wait_until "a mask of no bits" 60 because 'no subnet mask that can be used'
must_equal "addresses" 0 "$(in_container h1 odd ip addr show lan0 | grep -c 'inet ' || true)"
hostile outside
kill "$(client_of odd)" || true # if it has just ended by itself, the next one begins anew too
wait_until "bound all the same" 60 state_is odd lan0 ready
must_contain "and what is not taken is named" 'gateway|route|name server|domain' "$(nic odd lan0 why)"
must_equal "no route by a stranger" 0 "$(in_container h1 odd ip route | grep -c via || true)"
must_equal "no words of its own in resolv.conf" 0 "$(in_container h1 odd cat /etc/resolv.conf | grep -cE '203\.0\.113|reboot' || true)"
hostile lease
renew() { # it asks at once when told to
	because "$1" || { kill -USR1 "$(client_of odd)" && false; }
}
wait_until "a lease of no seconds" 60 renew 'lease of 0 seconds'
must_contain "which is taken for longer" '^(30|[4-9][0-9])$' "$(nic odd lan0 'leases[0].seconds')"
hostile nak
taken_back() { ! has_address odd 198.51.100.201 && state_is odd lan0 waiting; }
renew_nak() { { taken_back || kill -USR1 "$(client_of odd)"; } && taken_back; }
wait_until "the address is taken back" 60 renew_nak
hostile good
wait_until "and given again" 60 state_is odd lan0 ready
has_address odd 198.51.100.201 || fail "no address"
must_equal "the role lives on" "$role" "$(role_pid)"
docker_on h1 rm -f odd >/dev/null
server_stop

step "nobody is left when all have gone"
gone() { [ "$(ends)" = 0 ]; }
wait_until "host ends" 20 gone
