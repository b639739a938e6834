#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 200
#
# Streams to groups that a label names: LAN to container, container to LAN, container to container of another network, with a TTL
# of 1, below FORWARD policy DROP. Nothing goes to who does not listen, or to groups that are not named. Networks made
# anew and listeners that come late are served at once; nothing is lost when the role is killed; in the end nothing is
# left.
. "$(dirname "$0")/lib.sh"

cat >"/tmp/$LAB.topology" <<-END
	switch sw
	node tv 192.0.2.50/24
	host h1 192.0.2.1/24
END
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"
STREAM=$TEST_DIR/stream.py
number=0

net_of() { # WHO: tv, or a container
	if [ "$1" = tv ]; then
		echo "/run/netns/$(ns tv)"
	else
		echo "/proc/$(pid_of h1 "$1")/ns/net"
	fi
}
address_of() { # WHO
	if [ "$1" = tv ]; then
		echo 192.0.2.50
	else
		docker_on h1 inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"
	fi
}
listen() { # WHO GROUP SECONDS [COUNT]: its words in $heard
	number=$((number + 1))
	heard=$DIR/heard.$number
	nsenter --net="$(net_of "$1")" "$STREAM" hear "$(address_of "$1")" "$2" "${@:3}" >"$heard" &
	ear=$!
	at_exit end $ear
	wait_until "$1 listens" 5 grep -q listening "$heard"
}
send() { # WHO GROUP COUNT RATE TTL
	nsenter --net="$(net_of "$1")" "$STREAM" send "$(address_of "$1")" "${@:2}"
}
copied() { # GROUP FROM TO: the kernel has that rule
	local rules
	rules=$(inside h1 nft list table netdev docker-router-multicast 2>/dev/null) || return 1
	awk -v chain="from-$2" -v rule="daddr $1 .*dup to \"$3\"" '/chain/ { on = $2 == chain } on && $0 ~ rule { found = 1 } END { exit !found }' \
		<<<"$rules"
}
passes() { # FROM TO GROUP [TTL]: 200 datagrams arrive, all of them, from who sent them
	local rule_from=eth0 rule_to=eth0
	[ "$1" = tv ] || rule_from=$(bridge_of "$1")
	[ "$2" = tv ] || rule_to=$(bridge_of "$2")
	listen "$2" "$3" 60 200
	wait_until "$3 is copied from $rule_from to $rule_to" 10 copied "$3" "$rule_from" "$rule_to"
	send "$1" "$3" 200 1000 "${4:-1}"
	wait $ear
	must_equal "$3 from $1 to $2" "200 $(address_of "$1")" "$(tail -n 1 "$heard")"
}
sent_by() { # INTERFACE: packets
	inside h1 ip -j -s link show dev "$1" | jq '.[0].stats64.tx.packets'
}
bridge_of() { # CONTAINER
	local id
	id=$(docker_on h1 inspect -f '{{range .NetworkSettings.Networks}}{{.NetworkID}}{{end}}' "$1")
	echo "br-${id:0:12}"
}
net_up() { # NUMBER
	network_on h1 "net$1" - "10.7$1.0.0/24" -- --label docker-router.multicast=239.1.0.0/16
	container_on h1 "c$1" "net$1"
}

step "LAN to container and back, and to another network"
net_up 1
net_up 2
passes tv c1 239.1.2.3
passes tv c1 239.1.2.3 4
passes c1 tv 239.1.2.4
passes c1 c2 239.1.2.5
must_contain "groups" '"group": "239.1.2.5"' "$(cat "$DIR/h1/state/multicast.json")"

step "not what nobody named, nor where nobody listens"
listen c1 239.2.2.2 8
must_fail copied 239.2.2.2 eth0 "$(bridge_of c1)"
send tv 239.2.2.2 100 1000 4
kill -0 $ear || fail "c1 did not listen long enough"
wait $ear
must_equal "a group that is not named" 0 "$(tail -n 1 "$heard")"
before=$(sent_by "$(bridge_of c2)")
listen c1 239.1.2.6 60 500
wait_until "239.1.2.6 is copied" 10 copied 239.1.2.6 eth0 "$(bridge_of c1)"
send tv 239.1.2.6 500 2000 4
wait $ear
after=$(sent_by "$(bridge_of c2)")
[ $((after - before)) -lt 50 ] || fail "a bridge without listener sent $((after - before)) packets"

step "nothing is lost when the role is killed, and it goes on after that"
listen c1 239.1.2.7 180 4000
wait_until "239.1.2.7 is copied" 10 copied 239.1.2.7 eth0 "$(bridge_of c1)"
forgotten() { ! copied 239.1.2.6 eth0 "$(bridge_of c1)"; }
wait_until "239.1.2.6 is copied no more" 30 forgotten
table() { inside h1 nft -a list table netdev docker-router-multicast | awk "NR == 1"; }
before=$(table)
send tv 239.1.2.7 4000 1000 1 &
pid=$(jq -r '.roles[] | select(.role == "multicast") | .pid' "$DIR/h1/state/host.json")
kill -9 "$pid"
wait $ear
must_equal "datagrams while the role was killed" "4000 192.0.2.50" "$(tail -n 1 "$heard")"
must_equal "the table, which was right, by its handle" "$before" "$(table)"
listen tv 239.1.2.7 120 3000
wait_until "239.1.2.7 is copied to the LAN" 10 copied 239.1.2.7 "$(bridge_of c1)" eth0
wait_until "that is in the file" 10 jq -e '[.groups[] | select(.group == "239.1.2.7" and .reporter == "192.0.2.50")] | length > 0' "$DIR/h1/state/multicast.json"
send c1 239.1.2.7 3000 1000 1 &
kill -9 "$(jq -r '.roles[] | select(.role == "multicast") | .pid' "$DIR/h1/state/host.json")"
wait $ear
must_equal "datagrams to the LAN while the role was killed" "3000 $(address_of c1)" "$(tail -n 1 "$heard")"
passes tv c1 239.1.2.8

step "the container, then dockerd, are started anew"
docker_on h1 restart -t 0 c1 >/dev/null
passes tv c1 239.1.2.8
service_of h1 dockerd restart
docker_on h1 start c1 c2 >/dev/null
passes tv c1 239.1.2.8
passes c1 tv 239.1.2.8
passes c1 c2 239.1.2.8

step "a network that is made anew"
docker_on h1 rm -f c1 >/dev/null
docker_on h1 network rm net1 >/dev/null
net_up 1
passes tv c1 239.1.2.9
passes c1 tv 239.1.2.9

step "down removes it, and the next start brings it back"
no_table() { ! inside h1 nft list tables | grep -q docker-router-multicast; }
listen c1 239.1.2.10 180
wait_until "239.1.2.10 is copied" 10 copied 239.1.2.10 eth0 "$(bridge_of c1)"
service_of h1 router stop
copied 239.1.2.10 eth0 "$(bridge_of c1)" || fail "stopping the service took the rules away"
on h1 docker-router down >/dev/null
no_table || fail "down left the table"
service_of h1 router start
wait_until "239.1.2.10 is copied again" 15 copied 239.1.2.10 eth0 "$(bridge_of c1)"

step "without labels nothing is left"
for n in 1 2; do
	docker_on h1 rm -f c$n >/dev/null
	docker_on h1 network rm net$n >/dev/null
done
wait_until "the table is gone" 10 no_table
no_joins() { ! inside h1 ip maddr show dev eth0 | grep -q '239\.1\.2\.'; }
wait_until "nothing is joined" 10 no_joins
