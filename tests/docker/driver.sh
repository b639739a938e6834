#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4 sid-v4
# more: trixie-v4
# timeout: 300
#
# The network driver with a real dockerd and a real DHCP server on the LAN (udhcpd, with leases of 20 seconds): addresses before
# the program starts, MACs that stay, renewal inside the container, bridge and macvlan, static addresses; kill -9 of driver
# and dockerd; a dockerd that starts while the driver is dead or hangs; and nothing is left behind.
. "$(dirname "$0")/lib.sh"

DRIVER=dr-$LAB
ROUTER_ENV="ROLES=inventory,discovery,router,driver DRIVER_SOCKET=/run/docker/plugins/$DRIVER.sock LOG_LEVEL=debug"
export ROUTER_ENV
at_exit rm -f "/run/docker/plugins/$DRIVER.sock"
lab_begin lan

# --- the LAN: a bridge of the host with a port in it, and a second interface for macvlan ---

inside h1 sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-arptables=0
ip -n "$(ns h1)" link add dev br-lan type bridge
ip -n "$(ns h1)" addr flush dev eth1
ip -n "$(ns h1)" link set dev eth1 master br-lan
ip -n "$(ns h1)" addr add 198.51.100.2/24 dev br-lan
ip -n "$(ns h1)" link set dev br-lan up
ip link add dev h1-nic netns "$(ns lan)" type veth peer name nic netns "$(ns h1)"
ip -n "$(ns lan)" link set dev h1-nic master br0 up
ip -n "$(ns h1)" link set dev nic up

server_start() {
	cat >"$DIR/udhcpd.conf" <<-END
		start 198.51.100.50
		end 198.51.100.99
		interface eth0
		lease_file $DIR/leases
		pidfile $DIR/udhcpd.pid
		min_lease 10
		offer_time 5
		opt lease 20
		opt subnet 255.255.255.0
		opt router 198.51.100.1
	END
	touch "$DIR/leases"
	proc_start "$DIR/udhcpd.proc" "$DIR/gw/udhcpd.log" nsenter --net="/run/netns/$(ns gw)" -- busybox udhcpd -f -a 0 "$DIR/udhcpd.conf"
}
at_exit proc_end "$DIR/udhcpd.proc"
server_start

d() {
	docker_on h1 "$@"
}
address() { # CONTAINER
	in_container h1 "$1" ip -4 addr show dev eth0 | sed -n 's/.*inet \([0-9.]*\)\/.*/\1/p'
}
mac() { # CONTAINER
	in_container h1 "$1" cat /sys/class/net/eth0/address
}
driver_pid() {
	jq -r '.roles[] | select(.role == "driver") | .pid' "$DIR/h1/state/host.json"
}
driver_up() {
	local pid
	pid=$(driver_pid) && [ "$pid" -gt 0 ] && kill -0 "$pid" 2>/dev/null && [ "$pid" != "${1:-}" ]
}
links() { # of the driver, on the host
	ip -n "$(ns h1)" -o link | grep -oE 'dr[pq][0-9a-f]{8}' | sort -u || true
}
endpoints() {
	jq '.endpoints | length' "$DIR/h1/state/driver.json"
}
no_endpoints() {
	[ "$(endpoints)" = 0 ]
}
is_lan() {
	[[ $1 =~ ^198\.51\.100\.[5-9][0-9]$ ]] || fail "'$1' is no address of the LAN's DHCP server"
}

# --- networks ---

step "networks: what Docker's own IPAM would spoil is refused, with the cure"
wait_until "the driver runs" 30 driver_up
said=$(d network create -d "$DRIVER" -o parent=br-lan -o ipam=dhcp lan 2>&1) && fail "a network with Docker's addresses on the LAN"
must_contain "refusal" '--ipam-driver null' "$said"
said=$(d network create -d "$DRIVER" --ipam-driver null -o parnt=br-lan lan 2>&1) && fail "an unknown option"
must_contain "refusal" 'did you mean parent' "$said"
d network create -d "$DRIVER" --ipam-driver null -o parent=br-lan -o ipam=dhcp lan >/dev/null
d network create -d "$DRIVER" --ipam-driver null -o parent=nothing -o wait=1 later >/dev/null
said=$(d run --rm --network later lab:1 true 2>&1) && fail "a container on a bridge that is not there"
must_contain "refusal" 'nothing: no such interface' "$said"

step "the address is there before the program: it is the program's first word"
said=$(d run --rm --network lan lab:1 ip -4 addr show dev eth0)
must_contain "first word" 'inet 198\.51\.100\.[5-9][0-9]/24' "$said"
wait_until "nothing of it is left" 10 no_endpoints
must_equal "links left" '' "$(links)"

step "MACs and addresses stay over restarts; a name gives its own; the LAN is reached"
d run -d --name one --network lan lab:1 "${IDLE[@]}" >/dev/null
is_lan "$(address one)"
before="$(mac one) $(address one)"
d restart -t 0 one >/dev/null
must_equal "one after a restart" "$before" "$(mac one) $(address one)"
named() {
	d run -d --name two --network "name=lan,driver-opt=docker-router.name=${1:-bee}" lab:1 "${IDLE[@]}" >/dev/null
}
named
before="$(mac two) $(address two)"
said=$(d run --rm --network name=lan,driver-opt=docker-router.name=bee lab:1 true 2>&1) && fail "two containers with one name"
must_contain "refusal" 'docker-router.name=bee is in use' "$said"
d rm -f two >/dev/null
d run -d --name other --network lan lab:1 "${IDLE[@]}" >/dev/null # does not take it meanwhile
named
must_equal "two, made anew" "$before" "$(mac two) $(address two)"
must_equal "default route" "198.51.100.1" "$(in_container h1 two ip route | sed -n 's/^default via \([0-9.]*\).*/\1/p')"
wait_until "two pings the gateway" 10 pings h1 two 198.51.100.1
wait_until "two pings the host" 10 pings h1 two 198.51.100.2
wait_until "two pings one" 10 pings h1 two "$(address one)"
must_equal "what Docker says" "$(address two)" "$(d inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' two)"
d rm -f other >/dev/null
must_contain "the verb nics" "^bee +\(network\) +veth +br-lan +ready +$(address two)/24 " "$(on h1 docker-router nics)"
inside h1 ip link set dev br-lan down
said=$(on h1 docker-router doctor 2>&1 || true)
inside h1 ip link set dev br-lan up
must_contain "doctor" 'bee \(network\): br-lan is down' "$said"

step "leases are renewed inside, also after kill -9 of the driver"
since() {
	jq -r '.endpoints[] | select(.name == "bee") | .lease.since' "$DIR/h1/state/driver.json"
}
renewed() {
	[ "$(since)" != "$was" ]
}
was=$(since)
wait_until "the lease is renewed" 60 renewed
old=$(driver_pid)
kill -KILL "$old"
wait_until "another driver runs" 30 driver_up "$old"
was=$(since)
wait_until "the lease is renewed by the next driver" 60 renewed
must_equal "address after it" "${before#* }" "$(address two)"

step "a server that is away: the container starts, and gets its address when there is one"
proc_end "$DIR/udhcpd.proc"
two_left() { # one and two: the host's ends of their links
	[ "$(links | wc -l)" = 2 ] && [ "$(endpoints)" = 2 ]
}
half_made() {
	[ "$(endpoints)" = 3 ]
}
d run --rm --network lan lab:1 true >"$DIR/middle.log" 2>&1 &
middle=$!
wait_until "an endpoint waits for the server" 20 half_made
old=$(driver_pid)
kill -KILL "$old"
wait_until "another driver runs" 30 driver_up "$old"
! wait $middle || fail "a container whose endpoint was lost in the middle is said to have run"
wait_until "nothing of that endpoint is left" 60 two_left
d network create -d "$DRIVER" --ipam-driver null -o parent=br-lan -o wait=1 -o kind=bridge patient >/dev/null
d run -d --name three --network patient lab:1 "${IDLE[@]}" >/dev/null
must_equal "address without server" '' "$(address three)"
server_start
has_address() {
	[ -n "$(address three)" ]
}
wait_until "three has an address" 60 has_address
is_lan "$(address three)"
wait_until "three pings the gateway" 10 pings h1 three 198.51.100.1
d rm -f three >/dev/null

step "macvlan on an interface"
d network create -d "$DRIVER" --ipam-driver null -o parent=nic mac >/dev/null
d run -d --name four --network mac lab:1 "${IDLE[@]}" >/dev/null
is_lan "$(address four)"
wait_until "four pings the gateway" 10 pings h1 four 198.51.100.1
wait_until "four pings one" 10 pings h1 four "$(address one)"
d rm -f four >/dev/null

step "static addresses, given by Docker"
said=$(d network create -d "$DRIVER" --subnet 198.51.100.0/24 -o parent=br-lan fixed 2>&1) && fail "a subnet without ipam=static"
must_contain "refusal" 'ipam=static' "$said"
d network create -d "$DRIVER" -o ipam=static --subnet 198.51.100.0/24 --ip-range 198.51.100.192/27 --gateway 198.51.100.1 \
	-o parent=br-lan fixed >/dev/null
d run -d --name five --network fixed --ip 198.51.100.200 lab:1 "${IDLE[@]}" >/dev/null
must_equal "static address" 198.51.100.200 "$(address five)"
wait_until "five pings the gateway" 10 pings h1 five 198.51.100.1
before=$(mac five)
d rm -f five >/dev/null
d run -d --name five --network fixed --ip 198.51.100.200 lab:1 "${IDLE[@]}" >/dev/null
must_equal "MAC of a static address" "$before" "$(mac five)"

step "Compose"
mkdir -p "$DIR/compose"
cat >"$DIR/compose/docker-compose.yml" <<-END
	version: "3.7"
	services:
	  web:
	    image: lab:1
	    command: tail -f /dev/null
	    networks: [lan]
	networks:
	  lan:
	    driver: $DRIVER
	    driver_opts: {parent: br-lan}
	    ipam: {driver: "null"}
END
compose_on h1 -f "$DIR/compose/docker-compose.yml" -p shop up -d >/dev/null 2>&1
is_lan "$(address "$(container_of h1 shop web)")"
compose_on h1 -f "$DIR/compose/docker-compose.yml" -p shop down >/dev/null 2>&1

# --- dockerd ---

restart_dockerd() { # SIGNAL WORDS: must answer without having waited for the driver
	local from
	from=$(wc -c <"$DIR/h1/dockerd.log")
	proc_end "$DIR/h1/dockerd.proc" "$1"
	dockerd_start h1
	dockerd_wait h1 60
	said=$(tail -c "+$((from + 1))" "$DIR/h1/dockerd.log" | grep -aE "Unable to (locate|connect to) plugin" || true)
	must_equal "dockerd waited for the driver, $2" '' "$said"
}
step "dockerd starts as ever with the driver dead, and with one that hangs"
d stop -t 0 one two five >/dev/null
pid=$(driver_pid)
kill -STOP "$pid"
restart_dockerd TERM "which hangs"
must_contain "networks" 'lan' "$(d network ls)"
kill -KILL "$pid"
wait_until "another driver runs" 30 driver_up "$pid"
service_of h1 router stop
[ ! -e "/run/docker/plugins/$DRIVER.sock" ] || fail "a driver that was stopped leaves its socket"
restart_dockerd TERM "which is dead"
router_start h1
wait_until "the driver runs" 30 driver_up
d start one two five >/dev/null
is_lan "$(address one)"
must_equal "static address after a restart of all" 198.51.100.200 "$(address five)"

step "kill -9 of dockerd: what it forgets is forgotten here too"
proc_end "$DIR/h1/dockerd.proc" KILL
dockerd_start h1
dockerd_wait h1 60
d rm -f one two five >/dev/null
wait_until "no endpoint is remembered" 60 no_endpoints
must_equal "links left" '' "$(links)"
for n in lan later patient mac fixed; do
	d network rm "$n" >/dev/null
done
must_equal "networks left" '[0,0]' "$(jq -c '[(.networks | length), (.kept | length)]' "$DIR/h1/state/driver.json")"
