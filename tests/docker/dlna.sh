#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 300
#
# A television on the LAN and a minidlna in a bridge network, with one label and nothing else: it is found by searches of TTL
# 1 and 4, by its NOTIFY after a restart, its description and list of music are read, and a title is played to the byte;
# again, and its NOTIFY heard, when its network was made anew, when dockerd and the role were started again. FORWARD is
# DROP, Docker 28's drops are in place, and the host's own firewall lets in nothing but the relay's ports.
. "$(dirname "$0")/lib.sh"

command -v minidlnad >/dev/null || skip "no minidlnad here (package minidlna)"
cat >"/tmp/$LAB.topology" <<-END
	switch sw
	node r 192.0.2.254/24
	node tv 192.0.2.50/24
	host h1 192.0.2.1/24
END
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"
for n in tv h1; do # the home router
	inside $n ip route replace default via 192.0.2.254
done
TV=$TEST_DIR/dlna.py
. "$TEST_DIR/dlna/lib.sh"
minidlna_image h1

inside h1 iptables -P INPUT DROP # what is heard is heard in front of it
inside h1 iptables -A INPUT -i lo -j ACCEPT
inside h1 iptables -A INPUT -p tcp --dport 61900:61999 -j ACCEPT
inside h1 iptables -A INPUT -m state --state ESTABLISHED -j ACCEPT

media_up() { # SUBNET
	network_on h1 media_default - "$1" -- --label docker-router.multicast=ssdp
	minidlna_run h1 minidlna media_default
}
role_pid() {
	jq -r '.roles[] | select(.role == "multicast") | .pid' "$DIR/h1/state/host.json"
}

step "nobody is found before the label is there"
wait_until "the role runs" 10 test -s "$DIR/h1/state/multicast.json"
must_fail inside tv timeout 4 "$TV" search 192.0.2.50 4

step "a network with the label"
media_up 172.30.0.0/24
whole "first"
if command -v gssdp-discover >/dev/null; then
	inside tv timeout 10 gssdp-discover -i eth0 -n 5 -t upnp:rootdevice >"$DIR/gssdp" 2>&1 || true
	must_contain "gssdp-discover" 'http://192\.0\.2\.1:619' "$(cat "$DIR/gssdp")"
fi

groups=$(on h1 docker-router groups)
echo "$groups"
must_contain "the verb groups" '^minidlna +media_default +http://172\.30\.0\.2:8200/rootDesc\.xml +192\.0\.2\.1:619' "$groups"
doctor=$(on h1 docker-router doctor 2>&1 || true)
must_contain "doctor, of TTL" 'groups are joined on all 2 interfaces; searches pass whatever their TTL' "$doctor"
must_contain "doctor" '172\.30\.0\.2:8200 answers, the LAN reaches it at 192\.0\.2\.1:619' "$doctor"
docker_on h1 stop -t 2 minidlna >/dev/null
doctor=$(on h1 docker-router doctor 2>&1 || true)
must_contain "doctor, of a server that does not run" '172\.30\.0\.2:8200.*nobody answers there|no device has announced' "$doctor"
docker_on h1 start minidlna >/dev/null
minidlna_drops h1
whole "started again"

step "a restart of the container is heard"
inside tv "$TV" listen 192.0.2.50 300 >"$DIR/heard" &
ear=$!
at_exit end $ear
wait_until "the television listens" 5 grep -q listening "$DIR/heard"
heard() { # how often it was announced
	grep -cE '^ssdp:alive http://192\.0\.2\.1:619[0-9]{2}/rootDesc.xml 192.0.2.1' "$DIR/heard" || true
}
alive() { [ "$(heard)" -gt "$1" ]; }
restarted() { # and heard
	local n
	n=$(heard)
	docker_on h1 restart -t 2 minidlna >/dev/null
	minidlna_drops h1
	wait_until "NOTIFY on the LAN" 30 alive "$n"
}
restarted
echo "NOTIFY $(since_start minidlna "$(awk '/^ssdp:alive/ { print $4; exit }' "$DIR/heard")")"
whole "after a restart"

step "the network is made anew, with another subnet"
docker_on h1 rm -f minidlna >/dev/null
docker_on h1 network rm media_default >/dev/null
n=$(heard)
media_up 172.31.7.0/24
wait_until "NOTIFY on the LAN" 30 alive "$n"
whole "after the network was made anew"

step "the role is killed"
pid=$(role_pid)
kill -9 "$pid"
is_new() { [ "$(role_pid)" != "$pid" ]; }
wait_until "it runs again" 10 is_new
whole "after kill -9"
restarted

step "the LAN's interface goes and comes back"
inside h1 ip link set dev eth0 down
must_fail inside tv timeout 4 "$TV" search 192.0.2.50 4
inside h1 ip link set dev eth0 up
inside h1 ip route replace default via 192.0.2.254
whole "after the cable was out"

step "dockerd is started again"
service_of h1 dockerd restart
inside h1 iptables -P FORWARD DROP
n=$(heard)
docker_on h1 start minidlna >/dev/null
minidlna_drops h1
wait_until "NOTIFY on the LAN" 30 alive "$n"
whole "after dockerd was started again"

step "without the label nothing is left"
docker_on h1 rm -f minidlna >/dev/null
docker_on h1 network rm media_default >/dev/null
no_legs() { [ "$(jq '.legs | length' "$DIR/h1/state/multicast.json")" = 0 ]; }
wait_until "no leg is left" 10 no_legs
must_equal "groups joined on eth0" 0 "$(inside h1 ip maddr show dev eth0 | grep -c 239.255.255.250 || true)"
