#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 300
#
# NICs of containers, by label, config file, /etc/config/docker and by hand: on a bridge with addresses, routes, MAC and MTU; after
# restarts of the container, of dockerd and of the role; a bridge that comes later; a container that goes; what is wrong is
# told, and costs only the NIC that it is about.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/attach-lib.sh"

attach_lab
printf 'attach:\n  configured:\n    nics: br-lan:cfg0\n    cfg0: {address: 198.51.100.7/24}\n' >"$DIR/h1/router.yaml"
printf "config daemon\n\toption enable 1\nconfig container 'openwrt'\n\toption network 'lan:eth1 late:eth2'\n\toption eth1_address '198.51.100.8/24'\n" \
	>"$DIR/h1/uci"
service_of h1 router restart "CONFIG=$DIR/h1/router.yaml" "ATTACH_UCI=$DIR/h1/uci" >/dev/null

step "by label: a NIC on a bridge, with all that can be said of it"
run web --label docker-router.attach=br-lan:eth1 --label docker-router.attach.eth1.address=198.51.100.5/24,2001:db8:5::5/64 \
	--label docker-router.attach.eth1.gateway=198.51.100.1 --label docker-router.attach.eth1.mtu=1400 \
	--label "docker-router.attach.eth1.routes=203.0.113.0/24 via 198.51.100.9" --label docker-router.attach.eth1.metric=7
ready web eth1
inside lan ping -c 1 -W 5 198.51.100.5 >/dev/null
link=$(in_container h1 web ip link show eth1)
must_contain "MTU" 'mtu 1400' "$link"
must_contain "the NIC is up" 'UP,LOWER_UP' "$link"
route=$(in_container h1 web ip route)
must_contain "gateway" 'default via 198\.51\.100\.1 dev eth1.* metric 7' "$route"
must_contain "route" '203\.0\.113\.0/24 via 198\.51\.100\.9' "$route"
must_contain "IPv6 address" '2001:db8:5::5/64' "$(in_container h1 web ip addr show eth1)"
mac=$(nic web eth1 mac)
must_contain "the verb nics" '^web +eth1 +veth +br-lan +ready +198\.51\.100\.5/24' "$(on h1 docker-router nics)"

step "in the config file, in /etc/config/docker, and by hand"
must_contain "what is waited for" 'does not run; it is waited for' "$(nic openwrt eth1 why)"
run configured
run openwrt
run plugged
on h1 docker-router plug plugged "br-lan:eth7 address=198.51.100.9/24 routes=203.0.113.0/24 via 198.51.100.1"
ready configured cfg0
ready openwrt eth1
ready plugged eth7
inside lan ping -c 1 -W 5 198.51.100.7 >/dev/null
inside lan ping -c 1 -W 5 198.51.100.8 >/dev/null
inside lan ping -c 1 -W 5 198.51.100.9 >/dev/null
on h1 docker-router unplug plugged
gone() { ! in_container h1 plugged ip link show eth7; }
wait_until "unplugged" 20 gone
must_fail on h1 docker-router unplug plugged

step "a bridge that is missing is waited for, comes, goes and comes again"
must_contain "why" 'br-late does not exist; it is waited for' "$(nic openwrt eth2 why)"
doctor=$(on h1 docker-router doctor 2>&1 || true)
must_contain "doctor" 'openwrt eth2: there is no br-late' "$doctor"
bridge br-late
ready openwrt eth2
must_equal "its host end is a port" br-late "$(master_of openwrt eth2)"
inside h1 ip link del br-late
wait_until "the bridge is missed" 20 state_is openwrt eth2 waiting
bridge br-late
ready openwrt eth2
wait_until "port again" 20 is_port openwrt eth2 br-late

step "what somebody deletes or changes comes back"
in_container h1 web true
inside h1 ip link del "$(nic web eth1 host)"
wait_until "made anew" 20 reached 198.51.100.5
pid=$(pid_of h1 web)
nsenter --net="/proc/$pid/ns/net" ip addr flush dev eth1 || true # it flushes again what is back already
wait_until "addresses again" 20 reached 198.51.100.5
nsenter --net="/proc/$pid/ns/net" ip link set eth1 down
wait_until "up again" 20 reached 198.51.100.5
nsenter --net="/proc/$pid/ns/net" ip addr add 198.51.100.77/24 dev eth1
inside h1 ip link set "$(nic web eth1 host)" nomaster
wait_until "a port again" 20 is_port web eth1 br-lan
must_contain "a stranger's address stays" '198\.51\.100\.77/24' "$(in_container h1 web ip addr show eth1)"

step "network connect, restart of the container: the same MAC; a stop leaves nothing"
docker_on h1 network create extra >/dev/null
docker_on h1 network create more >/dev/null
docker_on h1 run -d --name both --network extra --label docker-router.attach=br-lan:lan0 \
	--label docker-router.attach.lan0.address=198.51.100.31/24 --label docker-router.attach.lan0.dns=198.51.100.53 \
	lab:1 "${IDLE[@]}" >/dev/null
ready both lan0
index=$(in_container h1 both cat /sys/class/net/lan0/ifindex)
docker_on h1 network connect more both
must_contain "Docker's own is there" 'eth1' "$(in_container h1 both ip link show eth1)"
wait_until "after network connect" 20 reached 198.51.100.31
docker_on h1 network disconnect more both
wait_until "after network disconnect" 20 reached 198.51.100.31
must_equal "it is the same interface" "$index" "$(in_container h1 both cat /sys/class/net/lan0/ifindex)"
state_is both lan0 ready || fail "it is no longer ready"
docker_on h1 restart -t 0 web >/dev/null
wait_until "after a restart" 20 reached 198.51.100.5
must_equal "its MAC" "$mac" "$(nic web eth1 mac)"
before=$(ends)
docker_on h1 rm -f configured >/dev/null
fewer() { [ "$(ends)" = $((before - 1)) ]; }
wait_until "its host end is gone" 20 fewer

step "name servers of a label: also where Docker's resolver was, never in a file of somebody else"
resolv() { # CONTAINER WORDS
	in_container h1 "$1" cat /etc/resolv.conf | grep -q "$2"
}
wait_until "beside Docker's resolver" 20 resolv both 'nameserver 198.51.100.53'
run named --label docker-router.attach=br-lan:lan0 --label docker-router.attach.lan0.address=198.51.100.32/24 \
	--label docker-router.attach.lan0.dns=198.51.100.53,2001:db8::53
wait_until "without any network" 20 resolv named 'nameserver 2001:db8::53'
echo 'nameserver 192.0.2.66' >"$DIR/h1/resolv.conf"
run mounted -v "$DIR/h1/resolv.conf:/etc/resolv.conf" --label docker-router.attach=br-lan:lan0 \
	--label docker-router.attach.lan0.address=198.51.100.33/24 --label docker-router.attach.lan0.dns=198.51.100.53
ready mounted lan0
told() { grep -q 'resolv.conf of a container cannot be written.*container=mounted' "$DIR/h1/router.log"; }
wait_until "a file that is mounted there: said so" 20 told
must_equal "and it is left alone" 'nameserver 192.0.2.66' "$(cat "$DIR/h1/resolv.conf")"
docker_on h1 rm -f both named mounted >/dev/null

step "a namespace that somebody keeps does not keep the host's ends; both go together"
on h1 docker-router plug web br-lan:eth2
ready web eth2
pid=$(pid_of h1 web)
stay "/proc/$pid/ns/net"
holder=$stays
end=$(nic web eth1 host) second=$(nic web eth2 host)
docker_on h1 stop -t 0 web >/dev/null
end_gone() { ! inside h1 ip link show "$end" && ! inside h1 ip link show "$second"; }
wait_until "the host's ends are gone" 20 end_gone
kill $holder
on h1 docker-router unplug web
docker_on h1 start web >/dev/null
wait_until "started again" 20 reached 198.51.100.5

step "killed in the middle, killed and started: NICs stay, and nothing is there twice"
for i in 1 2 3; do
	kill -9 "$(role_pid)"
	docker_on h1 restart -t 0 openwrt >/dev/null
	inside lan ping -c 1 -W 5 198.51.100.5 >/dev/null
done
ready openwrt eth1
wait_until "reached" 20 reached 198.51.100.8
wait_until "one host end for each" 20 ends_are_true

step "a restart of dockerd"
service_of h1 dockerd kill
inside lan ping -c 1 -W 5 198.51.100.5 >/dev/null
service_of h1 dockerd start
docker_on h1 start web openwrt >/dev/null
wait_until "web" 30 reached 198.51.100.5
wait_until "openwrt" 30 reached 198.51.100.8
wait_until "one host end for each" 20 ends_are_true

step "what is wrong is told, and costs nothing else"
docker_on h1 run -d --name hostly --network host --label docker-router.attach=br-lan:eth9 lab:1 "${IDLE[@]}" >/dev/null
wait_until "host network" 20 state_is hostly eth9 refused
must_contain "why" "uses the host's network" "$(nic hostly eth9 why)"
run bad --label docker-router.attach="br-lan:good br-lan:lan1 br-lan:lan2 br-lan:lan3" \
	--label docker-router.attach.good.address=198.51.100.20/24 --label docker-router.attach.lan1.mac=01:00:5e:00:00:01 \
	--label docker-router.attach.lan2.mtu=0 --label docker-router.attach.lan3.address=198.51.100.300/24
ready bad good
status=$(on h1 docker-router status)
must_contain "MAC" 'lan1\.mac: .*is no MAC of one interface' "$status"
must_contain "MTU" 'lan2\.mtu: .*576 to 65535' "$status"
must_contain "CIDR" 'lan3\.address: .*is not allowed' "$status"
docker_on h1 run -d --name owned --network extra --label docker-router.attach=br-lan:eth0 lab:1 "${IDLE[@]}" >/dev/null
wait_until "eth0 is Docker's" 20 state_is owned eth0 failed
must_contain "why" 'has an interface eth0 that is not ours' "$(nic owned eth0 why)"
run twice --label docker-router.attach="br-lan:eth1 br-late:eth1"
told() { on h1 docker-router status | grep -q 'is the name of two NICs'; }
wait_until "two NICs of one name" 20 told
run nobridge --label docker-router.attach=eth0:eth1
wait_until "no bridge" 20 state_is nobridge eth1 refused
must_contain "why" 'eth0 is no bridge' "$(nic nobridge eth1 why)"

step "paused: it gets its NIC all the same"
run pausing
docker_on h1 pause pausing >/dev/null
on h1 docker-router plug pausing "br-lan:eth1 address=198.51.100.30/24" >/dev/null
ready pausing eth1
docker_on h1 unpause pausing >/dev/null
wait_until "reached" 20 reached 198.51.100.30

step "isolated ports do not see each other"
run iso1 --label docker-router.attach=br-lan:eth1 --label docker-router.attach.eth1.address=198.51.100.41/24 \
	--label docker-router.attach.eth1.isolated=true
run iso2 --label docker-router.attach=br-lan:eth1 --label docker-router.attach.eth1.address=198.51.100.42/24 \
	--label docker-router.attach.eth1.isolated=true
wait_until "iso1" 20 reached 198.51.100.41
wait_until "iso2" 20 reached 198.51.100.42
must_fail in_container h1 iso1 ping -c 1 -W 1 198.51.100.42

step "macvlan: LAN and host reach it; private: the LAN only; an interface is lent and comes back"
run mac --label docker-router.attach=lan0:eth1 --label docker-router.attach.eth1.kind=macvlan \
	--label docker-router.attach.eth1.address=198.51.100.50/24
run priv --label docker-router.attach=br-lan:eth1 --label docker-router.attach.eth1.kind=macvlan-private \
	--label docker-router.attach.eth1.address=198.51.100.51/24
why() { nic mac eth1 why | grep -q .; }
wait_until "a port of a bridge is busy" 20 why
docker_on h1 rm -f mac >/dev/null
inside h1 ip link set lan0 nomaster
run mac --label docker-router.attach=lan0:eth1 --label docker-router.attach.eth1.kind=macvlan \
	--label docker-router.attach.eth1.address=198.51.100.50/24
ready mac eth1
wait_until "from the LAN" 20 reached 198.51.100.50
host_reaches() { inside h1 ping -c 1 -W 2 198.51.100.50; }
inside h1 ip addr flush dev br-lan
inside h1 ip addr add 198.51.100.254/24 dev lan0
wait_until "from the host" 20 host_reaches
docker_on h1 rm -f mac >/dev/null
no_shim() { ! inside h1 ip -o link show type macvlan | grep -q dras; }
wait_until "the host's macvlan goes too" 20 no_shim
inside h1 ip link add name spare type veth peer name spare-peer
run lent --label docker-router.attach=spare:wan --label docker-router.attach.wan.kind=physical
ready lent wan
must_fail inside h1 ip link show spare
docker_on h1 rm -f lent >/dev/null
home() { inside h1 ip link show spare; }
wait_until "the interface is back" 20 home
must_equal "its alias is gone" "" "$(inside h1 ip -j link show spare | jq -r '.[0].ifalias // ""')"

step "a pid that somebody else has by now: he is not touched"
stay "/run/netns/$(ns lan)"
stranger=$stays
links_of_lan() { inside lan ip -o link | awk -F': ' '{ print $2 }'; }
before=$(links_of_lan)
inventory=$(jq -r '.roles[] | select(.role == "inventory") | .pid' "$DIR/h1/state/host.json")
kill -STOP "$inventory" # what it said before the container died, and the pid was given away
at_exit kill -CONT "$inventory"
cp -p "$DIR/h1/state/inventory.json" "$DIR/h1/state/inventory.json.old"
jq -c --argjson pid $stranger '(.attach[] | select(.container.name == "pausing") | .container) |= (.pid = $pid | .sandbox = "")' \
	"$DIR/h1/state/inventory.json" >"$DIR/inventory.json"
cat "$DIR/inventory.json" >"$DIR/h1/state/inventory.json.old" # owner and mode stay
mv "$DIR/h1/state/inventory.json.old" "$DIR/h1/state/inventory.json"
wait_until "it is not taken for the container" 20 state_is pausing eth1 waiting
must_equal "links where the stranger is" "$before" "$(links_of_lan)"
kill -CONT "$inventory"
service_of h1 router restart >/dev/null
ready pausing eth1

step "down leaves nothing"
run lent2 --label docker-router.attach=spare:wan --label docker-router.attach.wan.kind=physical
ready lent2 wan
on h1 docker-router down >"$DIR/down.out"
cat "$DIR/down.out"
must_equal "host ends" 0 "$(ends)"
must_equal "aliases on the host" 0 "$(inside h1 ip -d link | grep -c docker-router-attach || true)"
home
must_fail in_container h1 priv ip link show eth1
must_fail test -e "$DIR/h1/state/attach.json"
