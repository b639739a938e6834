#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: debian-v6
# timeout: 480
#
# ENCRYPTION=wireguard on two hosts, by wireguard-go where the kernel has none; a third that has the key and does not
# encrypt; a hostile node on their switch. Full-size packets pass, the switch sees neither clear text nor VXLAN, frames in
# clear and handshakes of strangers get nowhere, roles and wireguard-go may die, keys may change under a flow. With LONG=1 also the
# handshake that takes the new pre-shared key, two minutes after it has changed (make rekey).
. "$(dirname "$0")/faults/common.sh"

command -v wireguard-go >/dev/null || skip "there is no wireguard-go"
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"

umask 077
for k in first second; do
	"$DOCKER_ROUTER" keygen >"$FILES/$k.key"
done
for h in h1 h2 h3; do
	cp "$FILES/first.key" "$FILES/$h.key"
done
umask 022
net=192.0.2 len=24 mtu=1366
if [ $UNDERLAY = v6 ]; then
	net=2001:db8:: len=64 mtu=1350
fi
a() { # NUMBER: the address of a host
	[ $UNDERLAY = v6 ] && echo "$net$1" || echo "$net.$1"
}
settings="ANNOUNCE_INTERVAL=2 PEER_TIMEOUT=20"
[ $UNDERLAY = v4 ] || settings="$settings MULTICAST_GROUP=ff15::4790"
{
	echo "switch sw"
	echo "host h1 $(a 1)/$len $settings ENCRYPTION=wireguard CLUSTER_KEY_FILE=$FILES/h1.key"
	echo "host h2 $(a 2)/$len $settings ENCRYPTION=wireguard CLUSTER_KEY_FILE=$FILES/h2.key"
	[ $UNDERLAY = v6 ] || echo "host h3 $(a 3)/$len $settings CLUSTER_KEY_FILE=$FILES/h3.key"
	echo "node evil $(a 66)/$len"
} >"$FILES/topology"
lab_begin "$FILES/topology"
stack h1 one 1000 71
stack h2 two 1000 72
container_on h2 web two --ip 10.72.0.20

wg_ns() { # HOST
	echo "$DIR/$1/run"/*/wireguard
}
in_wg() { # HOST CMD...
	local n
	n=$(wg_ns "$1")
	shift
	nsenter --net="$n" -- "$@"
}
device() { # HOST
	jq -r .wireguard.device "$DIR/$1/state/router.json"
}
go_pid() { # HOST: its wireguard-go
	local p
	for p in $(lab_pids); do
		[ "$(cut -d' ' -f2 "/proc/$p/stat" 2>/dev/null)" = "(wireguard-go)" ] && [ "/proc/$p/ns/net" -ef "$(host_ns "$1")" ] && echo "$p"
	done
	true
}
proc_start "$FILES/pcap.proc" "$FILES/pcap.log" "$TOP/lab/pcap" sw "$FILES/wire.pcap" udp
at_exit proc_end "$FILES/pcap.proc"
listening() { [ -s "$FILES/wire.pcap" ] || grep -q listening "$FILES/pcap.log"; }
wait_until "the capture" 10 listening

step "containers talk through the tunnel, in full-size packets"
reach h1 one 10.72.0.20
reach_ping h2 two 10.71.0.10
reach_full_size h1 one 10.72.0.10 $mtu
must_equal "bytes by TCP" 1000000 "$(in_container h1 one sh -c 'nc -w 30 10.72.0.20 81 </dev/null | wc -c')"
for h in h1 h2; do
	must_equal "mode of the key of $h" "600 root" "$(stat -c '%a %U' "$DIR/$h/state/keys/wireguard.key")"
	must_equal "mode of the folder" 700 "$(stat -c %a "$DIR/$h/state/keys")"
	must_fail grep -qF "$(cat "$DIR/$h/state/keys/wireguard.key")" "$DIR/$h/state"/*.json
done
must_contain "the device of h1" 'mtu 14(36|20)' "$(in_wg h1 ip -o link show "$(device h1)")"

if [ -n "$(go_pid h1)" ]; then
	step "what wireguard-go hands over is put together"
	gathers() { # HOST
		[ "$(nsenter --net="$(echo "$DIR/$1/run"/*/vni-1000)" unshare --mount sh -c \
			'mount -t sysfs sysfs /sys && cat /sys/class/net/vx1000wg/gro_flush_timeout')" = 100000 ]
	}
	wait_until "GRO on h1" 5 gathers h1
	wait_until "GRO on h2" 5 gathers h2
fi

step "the switch sees neither clear text nor VXLAN"
in_container h1 one sh -c 'yes SecretMessageOne | head -c 100000 | nc -w 2 10.72.0.20 80' >/dev/null || true
packets() { # FILTER
	tcpdump -nr "$FILES/wire.pcap" "$1" 2>/dev/null | wc -l
}
many() { [ "$(packets 'udp port 51820')" -ge 50 ]; }
wait_until "packets of WireGuard on the switch" 5 many
must_equal "VXLAN on the switch" 0 "$(packets 'udp port 4789')"
must_equal "fragments on the switch" 0 "$(packets 'ip[6:2] & 0x3fff != 0 or ip6[6] = 44')"
must_fail grep -qa SecretMessage "$FILES/wire.pcap"
must_fail grep -qaF "$(jq -r .wireguard.key "$DIR/h1/state/router.json")" "$FILES/wire.pcap"

step "frames in clear are dropped, and counted"
dropped() { # HOST CHAIN: packets that the rule for clear text has counted
	nsenter --net="$(host_ns "$1")" -- nft -j list chain inet docker-router "$2" | jq '[.nftables[].rule?.expr[]?.counter?.packets // empty] | add // 0'
}
before=$(dropped h1 prerouting)
frame=$(printf '\x08\x00\x00\x00\x00\x03\xe8\x00' | base64)
clear() { # HOST TO: a VXLAN frame of VNI 1000, whatever is in it
	inside "$1" python3 -c 'import base64,socket,sys
s=socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,socket.SOCK_DGRAM)
for i in range(10):
    try: s.sendto(base64.b64decode(sys.argv[2])+bytes(60),(sys.argv[1],4789))
    except PermissionError: pass' "$2" "$frame"
}
clear evil "$(a 1)"
counted() { [ "$(dropped h1 prerouting)" -ge $((before + 10)) ]; }
wait_until "the counter" 5 counted
before=$(dropped h1 output)
clear h1 "$(a 2)"
must_equal "frames that did not leave" $((before + 10)) "$(dropped h1 output)"
must_equal "VXLAN of ours on the switch" 0 "$(packets "udp port 4789 and src host $(a 1)")"

if [ $UNDERLAY = v4 ]; then
	step "what has passed is said again, changed, from elsewhere: no trace"
	settle
	one=$(pid_of h1 one)
	proc_start "$FILES/hears.proc" "$FILES/heard" nsenter --net="/proc/$one/ns/net" -- socat -u UDP4-RECV:9999 STDOUT
	at_exit proc_end "$FILES/hears.proc"
	listens() { nsenter --net="/proc/$one/ns/net" -- ss -Huln 'sport = :9999' | grep -q .; }
	wait_until "a listener in one" 10 listens
	echo "<once>" | nsenter --net="/proc/$(pid_of h2 two)/ns/net" -- socat -u STDIN UDP4-SENDTO:10.71.0.10:9999
	heard() { [ "$(grep -caF '<once>' "$FILES/heard")" -ge 1 ]; }
	wait_until "a datagram of two" 10 heard
	tcpdump -Z root -nr "$FILES/wire.pcap" -w "$FILES/all.pcap" 'udp dst port 51820 and src 192.0.2.2' 2>/dev/null
	n=$(tcpdump -nr "$FILES/all.pcap" 2>/dev/null | wc -l)
	# the handshake, and the last ones, that datagram among them
	{ head -c 24 "$FILES/all.pcap" && tcpdump -Z root -nr "$FILES/all.pcap" -c 20 -w - 2>/dev/null | tail -c +25 &&
		tcpdump -Z root -nr "$FILES/all.pcap" -w - 2>/dev/null | python3 -c 'import struct,sys
d=sys.stdin.buffer.read();a=24;v=[]
while a+16<=len(d):
    n=16+struct.unpack_from("<I",d,a+8)[0];v.append(d[a:a+n]);a+=n
sys.stdout.buffer.write(b"".join(v[-80:]))'; } >"$FILES/h2.pcap"
	must_contain "the first datagram of h2, one of a handshake" 'length (92|148)$' "$(tcpdump -nr "$FILES/h2.pcap" -c 1 2>/dev/null)"
	snapshot() { # what h1 knows and its kernel holds, without times
		jq -S 'del(.last_update, .self.seq, .problems, .peers[].last_seen, .peers[].seq)' "$DIR/h1/state/discovery.json"
		jq -S '.wireguard | del(.peers[].handshake)' "$DIR/h1/state/router.json"
		wg show "$(device h1)" endpoints
		wg show "$(device h1)" allowed-ips
		held h1
		held_in "$(wg_ns h1)"
	}
	snapshot >"$FILES/before"
	for how in replay change own; do
		must_equal "datagrams said again ($how), at least" yes "$([ "$(inside evil python3 "$TEST_DIR/sealed/again.py" $how \
			"$FILES/h2.pcap" 192.0.2.1 51820)" -ge 50 ] && echo yes)"
	done
	reach_ping h1 one 10.72.0.10 # what came after those has been worked on
	snapshot | diff "$FILES/before" - || fail "it left a trace"
	must_equal "times that the datagram was heard" 1 "$(grep -caF '<once>' "$FILES/heard")"
	must_equal "datagrams of h2 in the capture, at least" yes "$([ "$n" -gt 50 ] && echo yes)"

	step "a member that does not encrypt is named, and gets nothing"
	stack h3 three 1000 73
	pending() { # HOST PATTERN
		jq -r '.pending[] | .operation + ": " + .why' "$DIR/$1/state/router.json" | grep -qE -- "$2"
	}
	wait_until "h1 names h3" 10 pending h1 '192\.0\.2\.3.*has told no WireGuard key'
	wait_until "h3 names h1" 10 pending h3 '192\.0\.2\.1.*encrypts and this host does not'
	must_contain "status of h1" 'has told no WireGuard key' "$(on h1 docker-router status || true)"
	must_contain "doctor of h1" 'has told no WireGuard key' "$(on h1 docker-router doctor || true)"
	unreach h1 one 10.73.0.10
	unreach h3 three 10.71.0.10
	must_equal "VXLAN on the switch" 0 "$(packets "udp port 4789 and not src host $(a 66)")"
	service_of h3 router stop

	step "a stranger with a key of his own is refused"
	stranger=$(wg genkey)
	foreign() { jq -r .wireguard.key "$DIR/h1/state/router.json"; }
	proc_start "$FILES/evil.proc" "$FILES/evil.log" nsenter --net="$(host_ns evil)" -- \
		env LOG_LEVEL=silent WG_PROCESS_FOREGROUND=1 wireguard-go -f "evil$$"
	at_exit proc_end "$FILES/evil.proc"
	evil_up() { [ -S "/var/run/wireguard/evil$$.sock" ]; }
	wait_until "the stranger's device" 5 evil_up
	inside evil wg set "evil$$" private-key <(echo "$stranger") peer "$(foreign)" endpoint "$(a 1):51820" allowed-ips ::/0 persistent-keepalive 1
	inside evil ip link set "evil$$" up
	asked() { [ "$(packets "udp port 51820 and src host $(a 66)")" -ge 2 ]; }
	wait_until "handshakes of the stranger" 15 asked
	must_equal "handshakes" 0 "$(inside evil wg show "evil$$" latest-handshakes | cut -f2)"
	must_equal "peers of h1" 1 "$(wg show "$(device h1)" peers | wc -l)"
	proc_end "$FILES/evil.proc"
fi

step "what is deleted comes back"
go=$(go_pid h1)
nsenter --net="$(wg_ns h1)" -- ip -6 addr flush dev "$(device h1)"
reach_ping h1 one 10.72.0.10
nsenter --net="$(wg_ns h1)" -- nft delete table inet docker-router
back() { nsenter --net="$(wg_ns h1)" -- nft list table inet docker-router >/dev/null 2>&1; }
wait_until "the table" 5 back
must_equal "wireguard-go" "$go" "$(go_pid h1)"

step "router, discovery and host are killed under 1,000 datagrams a second: none is lost"
probe_make
echo_on h2 two
flow_start a h1 one 10.72.0.10
for role in router discovery; do
	old=$(role_pid h1 $role) file=$(file_of h1 $role)
	kill -9 "$old"
	wait_until "$role is back" 10 role_back h1 $role "$old" "$file"
done
host_restart h1 kill
must_equal "wireguard-go" "$go" "$(go_pid h1)"

step "the cluster key changes under the flow"
for h in h1 h2; do
	on $h docker-router key add "$FILES/second.key" >/dev/null
done
second=$(on h1 docker-router key list --format json | jq -r '.keys[1].id')
first=$(on h1 docker-router key list --format json | jq -r '.keys[0].id')
psk() { # HOST: what its device has
	printf 'get=1\n\n' | timeout 2 socat - "UNIX-CONNECT:/var/run/wireguard/$(device "$1").sock" | sed -n 's/^preshared_key=//p'
}
was=$(psk h1)
must_equal "the other end" "$was" "$(psk h2)"
on h1 docker-router key use "$second" >/dev/null
on h2 docker-router key use "$second" >/dev/null
same() { [ "$(psk h1)" = "$(psk h2)" ] && [ "$(psk h1)" != "$was" ]; }
wait_until "another pre-shared key on both" 10 same
for h in h1 h2; do
	on $h docker-router key remove "$first" >/dev/null
done
if [ -n "${LONG:-}" ]; then # the pre-shared key counts from the next handshake on, which comes two minutes after the last
	changed=$(date +%s)
	rekeyed() { [ "$(wg show "$(device h1)" latest-handshakes | cut -f2)" -gt $((changed + 1)) ]; }
	wait_until "a handshake with the new pre-shared key" 200 rekeyed
	got() { wg show "$(device h1)" transfer | cut -f2; }
	had=$(got)
	further() { [ "$(got)" -gt $((had + 300000)) ]; }
	wait_until "more of the flow, by the new session" 60 further
fi
flow_must a

step "both hosts get another private key under the flow, one after the other and at once"
renewed() { # HOST KEY-BEFORE: another key, and one device
	[ "$(jq -r '.wireguard | .key + " " + (.next.key // "none")' "$DIR/$1/state/router.json")" != "$2 none" ] &&
		[ "$(jq -r '.wireguard.next.key // "none"' "$DIR/$1/state/router.json")" = none ] &&
		[ "$(in_wg "$1" ip -o link | grep -c drwg)" = 1 ]
}
key_of() { jq -r .wireguard.key "$DIR/$1/state/router.json"; }
flow_start a h1 one 10.72.0.10
for who in h1 h2 "h1 h2"; do
	for h in $who; do
		key_of $h >"$FILES/$h.was"
		on $h docker-router key renew >/dev/null
	done
	for h in $who; do
		wait_until "another key of $h" 90 renewed $h "$(cat "$FILES/$h.was")"
	done
done
must_fail on h1 docker-router key renew extra
[ ! -e "$DIR/h1/state/keys/wireguard.next.key" ] || fail "the key that was to follow is left"
flow_must a
must_equal "VXLAN of ours on the switch" 0 "$(packets "udp port 4789 and src host $(a 1)")"

step "wireguard-go is killed, and another takes its place"
go=$(go_pid h1)
kill -9 "$go"
new() { [ -n "$(go_pid h1)" ] && [ "$(go_pid h1)" != "$go" ]; }
wait_until "another wireguard-go" 10 new
wait_until "one on h1 pings 10.72.0.10" 20 pings h1 one 10.72.0.10

step "status, peers and doctor tell of it"
by='wireguard-go'
! inside h1 ip link add dev wgtest type wireguard 2>/dev/null || { inside h1 ip link del dev wgtest && by="the kernel's"; }
tells() { on h1 docker-router status | grep -qE "Encrypted +by WireGuard \(drwg.*$by\), UDP port 51820.* 1 host, a handshake with 1"; }
wait_until "status tells of the handshake" 15 tells
must_contain "peers of h1" '^ *1000 +two .*multicast +[0-9]+s$' "$(on h1 docker-router peers)"

step "down takes all away"
docker_on h1 rm -f one >/dev/null
on h1 docker-router down >/dev/null
gone() { [ -z "$(go_pid h1)" ]; }
wait_until "the end of wireguard-go" 5 gone
[ ! -e "$DIR/h1/state/wireguard.json" ] || fail "wireguard.json is left"
[ ! -e "$DIR/h1/state/keys" ] || fail "the keys are left"
must_equal "pins" '' "$(ls "$DIR/h1/run")"
