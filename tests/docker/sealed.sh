#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# timeout: 300
#
# Sealed discovery: two hosts with one key, one without, a hostile node on their switch. The two reach each other, the
# third sees nothing and is not seen; the wire carries no clear text; what is recorded and said again, changed, or said
# from elsewhere leaves no trace. Then the third becomes a member, is away while the key is changed under a flow, comes
# back with the old one, and nobody loses anybody. doctor names each cause.
. "$(dirname "$0")/faults/common.sh"

umask 077
"$DOCKER_ROUTER" keygen >"$FILES/first.key"
"$DOCKER_ROUTER" keygen >"$FILES/second.key"
for h in h1 h2; do
	cp "$FILES/first.key" "$FILES/$h.key"
done
umask 022
settings="ANNOUNCE_INTERVAL=2 PEER_TIMEOUT=10"
{
	echo "switch sw"
	echo "host h1 192.0.2.1/24 $settings CLUSTER_KEY_FILE=$FILES/h1.key"
	echo "host h2 192.0.2.2/24 $settings CLUSTER_KEY_FILE=$FILES/h2.key"
	echo "host h3 192.0.2.3/24 $settings"
	echo "node evil 192.0.2.66/24"
} >"$FILES/topology"
ROUTER=0 lab_begin "$FILES/topology"
export ROUTER=1
proc_start "$FILES/pcap.proc" "$FILES/pcap.log" "$TOP/lab/pcap" sw "$FILES/wire.pcap" udp
at_exit proc_end "$FILES/pcap.proc"
listening() { [ -s "$FILES/wire.pcap" ] || grep -q listening "$FILES/pcap.log"; }
wait_until "the capture" 10 listening
for h in h1 h2 h3; do
	service_of $h router start
done

stack h1 one 1000 71
stack h2 two 1000 72
stack h3 three 1000 73
peers_of() { # HOST: the stacks that it knows
	on "$1" docker-router peers --format json | jq -r '[.peers[].stack_id] | sort | join(" ")'
}
knows() { # HOST STACKS
	[ "$(peers_of "$1")" = "$2" ]
}
problem_on() { # HOST PATTERN
	jq -r '.problems[] | .object + " " + .text' "$DIR/$1/state/discovery.json" | grep -qE -- "$2"
}

step "members reach each other"
reach_ping h1 one 10.72.0.10
reach_ping h2 two 10.71.0.10

step "who has no key gets nothing, and is not believed"
wait_until "h1 says that h3 is not sealed" 10 problem_on h1 '192.0.2.3 speaks without a seal'
wait_until "h3 says that the others are" 10 problem_on h3 '192.0.2.1 discovery is sealed there'
must_equal "peers of h3" '' "$(peers_of h3)"
must_equal "peers of h1" two "$(peers_of h1)"
unreach h3 three 10.71.0.10
unreach h1 one 10.73.0.10

step "status and doctor say so"
first=$(on h1 docker-router key list --format json | jq -r '.keys[0].id')
must_contain "status of h1" "sealed with key $first" "$(on h1 docker-router status)"
must_contain "status of h3" 'NOT SEALED' "$(on h3 docker-router status)"
report=$(on h1 docker-router doctor || true)
must_contain "doctor of h1" "sealing +ok +discovery is sealed with key $first" "$report"
must_contain "doctor of h1" 'discovery port +ok +1 host answered' "$report"
must_contain "doctor of h1" '192.0.2.3: speaks without a seal' "$report"
must_contain "doctor of h3" 'sealing +warning +discovery is not sealed' "$(on h3 docker-router doctor || true)"
must_fail grep -rqF "$(tail -n 1 "$FILES/first.key" | cut -d' ' -f1)" "$DIR/h1/state" "$DIR/h1/router.log"

step "nothing can be read on the wire of h1 and h2"
service_of h3 router stop
tcpdump -Z root -nr "$FILES/wire.pcap" -w "$FILES/members.pcap" 'udp port 4790 and (src 192.0.2.1 or src 192.0.2.2)' 2>/dev/null
[ "$(tcpdump -nr "$FILES/members.pcap" 2>/dev/null | wc -l)" -ge 6 ] || fail "the capture has no datagrams"
must_equal "words in clear" '' "$(grep -aoE 'ANNOUNCE|QUERY|stack_id|subnets|10\.7[12]' "$FILES/members.pcap" | sort -u || true)"
grep -aq stack_id "$FILES/wire.pcap" || fail "the words of h3, which is not sealed, are not in the capture"

step "said again, changed, from elsewhere: no trace"
# those of h2: what comes in from outside with an address of h1 itself, the kernel drops
tcpdump -Z root -nr "$FILES/members.pcap" -w "$FILES/h2.pcap" src 192.0.2.2 2>/dev/null
counts() { # of h1: "received=7 own=1 ..."
	local n
	n=$(lines h1 "discovery: datagrams ")
	kill -USR1 "$(role_pid h1 discovery)"
	wait_until "the counters" 3 counted $((n + 1))
	grep 'discovery: datagrams ' "$DIR/h1/router.log" | tail -n 1 | sed 's/.*datagrams //'
}
counted() { [ "$(lines h1 "discovery: datagrams ")" -ge "$1" ]; }
count() { # NAME
	counts | tr ' ' '\n' | sed -n "s/^$1=//p"
}
evil_says() { # HOW COUNTER
	local before n
	before=$(count "$2")
	n=$(inside evil python3 "$TEST_DIR/sealed/again.py" "$1" "$FILES/h2.pcap" 192.0.2.1)
	[ "$n" -gt 10 ] || fail "$n datagrams said again"
	refused() { [ $(($(count "$1") - $2)) -ge "$3" ]; }
	wait_until "$n datagrams ($1) are refused" 5 refused "$2" "$before" "$((n * 9 / 10))"
}
snapshot() { # what h1 knows, without times
	jq -S 'del(.last_update, .self.seq, .problems, .peers[].last_seen, .peers[].seq)' "$DIR/h1/state/discovery.json"
	held h1
}
settle
snapshot >"$FILES/before"
evil_says replay again
evil_says change forged
evil_says own forged
snapshot | diff "$FILES/before" - || fail "it left a trace"
knows h1 two || fail "h1 knows $(peers_of h1)"

step "a host that has left is not raised from the dead by what it said"
must_contain "down of h2" 'peers +told goodbye' "$(on h2 docker-router down)"
wait_until "h2 is gone" 3 knows h1 ''
grep -q 'peer said goodbye.*two@h2' "$DIR/h1/router.log" || fail "h2 is gone by a timeout"
evil_says replay again
knows h1 '' || fail "h1 knows $(peers_of h1)"
service_of h2 router start
wait_until "h2 is back" 10 knows h1 two

step "the third becomes a member, by a key that is added while it runs"
service_of h3 router start
h3_runs() { [ "$(role_pid h3 discovery)" != 0 ]; }
wait_until "host.json of h3 tells of discovery" 10 h3_runs
unsealed=$(role_pid h3 discovery)
on h3 docker-router key add "$FILES/second.key" >/dev/null
must_equal "mode of the file that this made" "600 root 700 root" \
	"$(stat -c '%a %U' "$DIR/h3/state/keys/cluster.key" "$DIR/h3/state/keys" | xargs)"
wait_until "h1 names the wrong key of h3" 10 problem_on h1 '192.0.2.3 seals with another key'
must_contain "doctor of h1" '192.0.2.3: seals with another key' "$(on h1 docker-router doctor || true)"
on h3 docker-router key add "$FILES/first.key" >/dev/null
on h3 docker-router key use "$first" >/dev/null
second=$(on h3 docker-router key list --format json | jq -r '.keys[1].id')
on h3 docker-router key remove "$second" >/dev/null
wait_until "h1 knows both" 10 knows h1 "three two"
wait_until "h3 knows both" 10 knows h3 "one two"
must_equal "discovery of h3" "$unsealed" "$(role_pid h3 discovery)"
reach_ping h3 three 10.71.0.10

step "another key, under a flow, while the third is away"
gone_lines() { grep -cE 'discovery: peer (has gone|said goodbye|is stale)' "$DIR/$1/router.log" || true; }
service_of h3 router stop
wait_until "h3 is gone" 25 knows h1 two
wait_until "h3 is gone for h2 too" 25 knows h2 one # each has a timer of its own
gone1=$(gone_lines h1) gone2=$(gone_lines h2)
docker_on h1 exec -d one sh -c 'ping -i 0.02 10.72.0.10 >/tmp/flow 2>&1'
for h in h1 h2; do
	on $h docker-router key add "$FILES/second.key" >/dev/null
done
seals() { # HOST KEY
	[ "$(jq -r .self.key_id "$DIR/$1/state/discovery.json")" = "$2" ]
}
for h in h1 h2; do
	on $h docker-router key use "$second" >/dev/null
	wait_until "$h seals with the new key" 5 seals $h "$second"
done

step "it comes back with the old one, and is heard and hears"
service_of h3 router start
wait_until "h1 knows both" 10 knows h1 "three two"
wait_until "h3 knows both" 10 knows h3 "one two"
on h3 docker-router key add "$FILES/second.key" >/dev/null
on h3 docker-router key use "$second" >/dev/null
wait_until "h3 seals with the new key" 5 seals h3 "$second"
for h in h1 h2 h3; do
	on $h docker-router key remove "$first" >/dev/null
done
gone3=$(gone_lines h3)
now=$(date +%s)
heard_since() { # HOST: all of its peers, later than PEER_TIMEOUT after the last change
	jq -e --argjson t $((now + 11)) '.peers | length == 2 and all(.last_seen | fromdate >= $t)' "$DIR/$1/state/discovery.json"
}
for h in h1 h2 h3; do
	wait_until "$h hears both with the new key alone" 30 heard_since $h
done
must_equal "peers that h1 lost" "$gone1" "$(gone_lines h1)"
must_equal "peers that h2 lost" "$gone2" "$(gone_lines h2)"
must_equal "peers that h3 lost" "$gone3" "$(gone_lines h3)"
docker_on h1 exec one sh -c 'kill -INT $(pidof ping)'
lost() { in_container h1 one cat /tmp/flow | grep -E '[0-9]+ packets transmitted'; }
wait_until "the end of the flow" 5 lost
must_contain "the flow" ' 0% packet loss' "$(lost)"

if ! grep -q asan "/proc/$(role_pid h1 discovery)/maps"; then
	step "a host that starts with another clock is heard, and told of"
	gcc -O2 -shared -fPIC -o "$FILES/clock.so" "$FAULTS/clock.c"
	chmod 755 "$FILES" # discovery is not root
	echo 7500 >"$FILES/late"
	service_of h2 router stop
	service_of h2 router start "LD_PRELOAD=$FILES/clock.so" "CLOCK_LATE=$FILES/late"
	wait_until "h1 says that the clock of h2 is late" 15 problem_on h1 '192.0.2.2 its clock is 2 hours behind ours'
	wait_until "h2 says that the clock of h1 is not its own" 15 problem_on h2 '192.0.2.1 its clock is 2 hours ahead of ours'
	must_contain "doctor of h1" '192.0.2.2: its clock is 2 hours behind' "$(on h1 docker-router doctor || true)"
	must_equal "peers of h1" "three two" "$(peers_of h1)"
	wait_until "h2 knows both" 10 knows h2 "one three"
	now=$(date +%s)
	wait_until "h1 hears both" 30 heard_since h1
fi

step "who was named is not, once it is heard"
unnamed() { ! problem_on h1 '192.0.2.3 (speaks without|seals with another)'; }
wait_until "h1 names h3 no more" 60 unnamed

step "a key file that is broken changes nothing"
cp "$FILES/h1.key" "$FILES/h1.good"
echo "no key" >"$FILES/h1.key"
kill -HUP "$(role_pid h1 discovery)"
stays() { grep -q 'the keys stay as they were' "$DIR/h1/router.log"; }
wait_until "a line about it" 5 stays
must_fail grep -q "no key file.*no key" "$DIR/h1/router.log"
seals h1 "$second" || fail "h1 seals with another key"
cp "$FILES/h1.good" "$FILES/h1.key"
reach_ping h1 one 10.72.0.10
reach_ping h3 three 10.72.0.10
