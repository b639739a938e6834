#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The mode dns with a real server (knot) and discoveries that register there by nsupdate, all in one network, mount and
# PID namespace of the test's own: records by hand, TTL, truncated answers, TSIG keys that are wrong, a server that dies.
# TAP on stdout; exit 77 when something is missing here.
#
#	server	10.99.1.1 and 2001:db8:99:1::1, port 53		discoveries	10.99.0.1 .2 ... and 2001:db8:99::1 ::2 ...
#
# Environment: DOCKER_ROUTER (the command; default: build/docker-router), ARTIFACTS (where logs are kept after a failure), FULL=1
# (in the end with BIND as well, where there is one).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

DOCKER_ROUTER=${DOCKER_ROUTER:-$PWD/build/docker-router}

skip() {
	echo "1..0 # SKIP $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip jq unshare knotd knotc kdig nsupdate nft; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "$DOCKER_ROUTER" ] || skip "$DOCKER_ROUTER is not built"
if [ "${1:-}" != inside ]; then
	unshare --net --mount --propagation private true || skip "no namespaces here"
	# as PID 1 of its own this script takes everything along that it leaves, whatever happens
	exec unshare --net --mount --propagation private --pid --fork --mount-proc --kill-child "$0" inside
fi
ip link set dev lo up
for i in 1 2 3 4 5; do
	ip address add "10.99.0.$i/24" dev lo
	ip address add "2001:db8:99::$i/64" dev lo nodad
done
ip address add 10.99.1.1/24 dev lo
ip address add 2001:db8:99:1::1/64 dev lo nodad

. tests/netns/lib.sh

end() { # SIGNAL NAME...: and wait for them
	local n signal=$1
	shift
	for n; do
		kill "-$signal" "${PID[$n]}"
	done
	for n; do
		wait "${PID[$n]}" 2>/dev/null
		unset "PID[$n]"
	done
}

# --- the server --------------------------------------------------------------------------------------------------------

SECRET=$(head -c 32 /dev/urandom | base64) OTHER=$(head -c 32 /dev/urandom | base64)
D=router.example
mkdir "$T/knot"
cat >"$T/knot.conf" <<END
server:
    rundir: $T/knot
    listen: [ 10.99.1.1@53, 2001:db8:99:1::1@53 ]
database:
    storage: $T/knot
log:
  - target: stderr
    any: info
key:
  - id: ours
    algorithm: hmac-sha256
    secret: $SECRET
acl:
  - id: update
    key: ours
    action: update
zone:
  - domain: $D
    file: $T/knot/zone
    acl: update
    zonefile-load: whole
    journal-content: all
END
cat >"$T/zone" <<END
\$ORIGIN $D.
\$TTL 2
@ SOA ns admin 1 60 60 600 2
@ NS ns
ns A 10.99.1.1
END
cp "$T/zone" "$T/knot/zone"
server() { # [VAR=VALUE...]
	env "$@" knotd -c "$T/knot.conf" >>"$T/knot.log" 2>&1 &
	PID[knot]=$!
	within 20 answers
}

ask() { # kdig's arguments
	kdig @10.99.1.1 +short +time=1 +retry=0 "$@" 2>/dev/null
}

answers() {
	[ -n "$(ask "$D" SOA)" ]
}

by_hand() { # nsupdate's commands on stdin
	{
		printf 'server 10.99.1.1\nkey hmac-sha256:ours %s\n' "$SECRET"
		cat
		echo send
	} | nsupdate >>"$T/nsupdate.log" 2>&1
}

records() { # how many SRV records there are
	ask +tcp "_docker-router._udp.$D" SRV | wc -l
}

# --- discoveries -------------------------------------------------------------------------------------------------------

printf 'key "ours" { algorithm hmac-sha256; secret "%s"; };\n' "$SECRET" >"$T/ours.key"
printf 'hmac-sha256:ours:%s\n' "$OTHER" >"$T/badsig.key"
printf 'hmac-sha256:unknown:%s\n' "$SECRET" >"$T/badkey.key"
chmod 600 "$T"/*.key

UPDATE=(DNS_UPDATE=10.99.1.1 "DNS_TSIG_KEY_FILE=$T/ours.key")
start() { # NAME NUMBER [SETTING...]: a discovery alone, with a stack of its name
	local name=$1 number=$2
	shift 2
	mkdir -p "$T/$name"
	env STATE_DIR="$T/$name" STACK_ID="$name" VNI=1000 STACK_SUBNETS="10.7$number.0.0/24" HOST_IP="10.99.0.$number" \
		INTERFACE=lo DISCOVERY_MODE=dns DNS_DOMAIN="$D" DNS_SERVER=10.99.1.1 DNS_TTL=2 "$@" \
		"$DOCKER_ROUTER" discovery >>"$T/$name.log" 2>&1 &
	PID[$name]=$!
}

knows() { # NAME STACK [SOURCE]
	jq -e --arg s "$2" --arg by "${3:-}" 'any(.peers[]; .stack_id == $s and .status == "active" and
		($by == "" or .source == $by))' "$T/$1/discovery.json" >/dev/null 2>&1
}

lost() { # NAME STACK: not even that, and the file can be read
	jq -e --arg s "$2" 'any(.peers[]; .stack_id == $s) | not' "$T/$1/discovery.json" >/dev/null 2>&1
}

complains() { # NAME WORDS
	jq -e --arg w "$2" 'any(.problems[]; (.object | startswith("dns")) and (.text | contains($w)))' \
		"$T/$1/discovery.json" >/dev/null 2>&1
}

content() { # NAME
	jq -e '.problems | all(.object | startswith("dns") | not)' "$T/$1/discovery.json" >/dev/null 2>&1
}

tells() { # NAME WORDS: doctor does, and what to do
	# it fails, since there is no host here
	{ STATE_DIR="$T/$1" "$DOCKER_ROUTER" doctor --format json 2>>"$T/doctor.log" || true; } | jq -e --arg w "$2" \
		'any(.checks[]; .check == "discovery" and (.what | contains($w)) and .cure != "")' >/dev/null
}

block() { # datagrams between the discoveries do not get through
	nft -f - <<END
table ip block { chain in { type filter hook input priority 0; udp dport 4790 drop; }; }
END
}

unblock() {
	nft delete table ip block
}

server || skip "knot does not start here"

# --- records by hand: SRV only -----------------------------------------------------------------------------------------

start shop 1
ok "an empty domain is told" within 15 complains shop "there is no SRV record"
by_hand <<END
update add one.$D. 2 A 10.99.0.1
update add two.$D. 2 A 10.99.0.2
update add _docker-router._udp.$D. 2 SRV 0 0 4790 one.$D.
update add _docker-router._udp.$D. 2 SRV 0 0 4790 two.$D.
END
start blog 2
ok "two hosts whose SRV records were written by hand find each other by datagrams" within 20 \
	eval "knows shop blog && knows blog shop && content shop"
end TERM blog
ok "who is stopped says goodbye" within 10 lost shop blog
end TERM shop
by_hand <<END
update delete one.$D.
update delete two.$D.
update delete _docker-router._udp.$D.
END

# --- registering -------------------------------------------------------------------------------------------------------

block
start shop 1 "${UPDATE[@]}"
start blog 2 "${UPDATE[@]}"
ok "two hosts that register find each other without a datagram" within 30 eval "knows shop blog dns && knows blog shop dns"
own=$(cat "$T/shop/host_id")
ok "as records that people can read" eval \
	'[ "$(records)" = 2 ] && ask +tcp "dr-$own.$D" TXT | grep -q "\"docker-router=1\" \"stack=shop\" \"vni=1000\"" &&
	[ "$(ask "dr-$own.$D" A)" = 10.99.0.1 ] && ask +tcp "_docker-router._udp.$D" SRV | grep -qi "^0 0 4790 dr-$own"'
ok "the key is in no log, state file or argument" eval \
	'! grep -rqF "$SECRET" "$T"/{shop,blog} "$T"/{shop,blog}.log && ! grep -qF "$SECRET" /proc/[0-9]*/cmdline 2>/dev/null'
end TERM blog
ok "a host that is stopped takes its records away" within 5 eval '[ "$(records)" = 1 ]'
ok "and is gone when their time is over" within 20 lost shop blog
start blog 2 "${UPDATE[@]}" GOODBYE=never
within 30 knows shop blog
end KILL blog
ok "one that crashed stays" throughout 5 knows shop blog
env STATE_DIR="$T/blog" DISCOVERY_MODE=dns DNS_DOMAIN="$D" INTERFACE=lo "${UPDATE[@]}" "$DOCKER_ROUTER" discovery \
	--say-goodbye >>"$T/blog.log" 2>&1
ok "until goodbye is said for it" within 20 lost shop blog
by_hand <<END
update delete _docker-router._udp.$D. SRV 0 0 4790 dr-$own.$D.
update delete dr-$own.$D.
END
ok "records that somebody deletes are written again" within 30 eval '[ "$(records)" = 1 ] && [ -n "$(ask +tcp "dr-$own.$D" TXT)" ]'

# --- more than a datagram holds ----------------------------------------------------------------------------------------

for i in $(seq 60); do
	id=$(printf '%032x' "$i")
	echo "update add _docker-router._udp.$D. 2 SRV 0 0 4790 dr-$id.$D."
	echo "update add dr-$id.$D. 2 TXT \"docker-router=1\" \"stack=many$i\" \"vni=1000\" \"host=$id\" \"ip=10.99.2.$i\" \"net=10.100.$i.0/24\""
done | by_hand
all_known() {
	[ "$(jq '[.peers[] | select(.stack_id | startswith("many"))] | length' "$T/shop/discovery.json" 2>/dev/null)" = "$1" ]
}
ok "an answer that is cut off is asked for by TCP: 60 hosts" within 40 all_known 60
for i in $(seq 60); do
	id=$(printf '%032x' "$i")
	echo "update delete dr-$id.$D."
	echo "update delete _docker-router._udp.$D. SRV 0 0 4790 dr-$id.$D."
done | by_hand
ok "and what is no more in a healthy zone is gone" within 30 all_known 0

# --- a server that dies ------------------------------------------------------------------------------------------------

start blog 2 "${UPDATE[@]}"
within 30 eval "knows shop blog dns && knows blog shop dns"
end KILL knot
ok "the server dies: it is told" within 40 complains shop "no DNS server answers"
ok "by doctor too" tells shop "no DNS server answers"
ok "and nobody is lost" throughout 5 eval "knows shop blog && knows blog shop"
end KILL shop
start shop 1 "${UPDATE[@]}"
ok "nor by a discovery that starts meanwhile" throughout 3 knows shop blog
ok "which tells that it cannot register" within 40 complains shop "cannot be written to DNS"
rm -rf "$T/knot" && mkdir "$T/knot" && cp "$T/zone" "$T/knot/zone"
server
ok "it is back with an empty zone: all is as it was" within 150 eval \
	'[ "$(records)" = 2 ] && content shop && content blog && knows shop blog && knows blog shop'
end TERM blog

# --- keys that are wrong -----------------------------------------------------------------------------------------------

keys_refused() { # by the server that runs
	start wrong 3 DNS_UPDATE=10.99.1.1 "DNS_TSIG_KEY_FILE=$T/badsig.key"
	ok "a wrong secret is told as such" within 20 complains wrong "another secret"
	ok "by doctor too" tells wrong "BADSIG"
	end TERM wrong
	start wrong 3 DNS_UPDATE=10.99.1.1 "DNS_TSIG_KEY_FILE=$T/badkey.key"
	ok "a key that the server does not know too" within 20 complains wrong "does not know our TSIG key"
	end TERM wrong
	start wrong 3 DNS_UPDATE=10.99.1.1
	ok "none at all too" within 20 complains wrong "refuses our update"
	end TERM wrong
}
keys_refused
start wrong 3 DNS_UPDATE=10.99.1.1 "DNS_TSIG_KEY_FILE=$T/ours.key" DNS_DOMAIN=elsewhere.example
ok "a domain that the server does not have too" within 20 eval \
	'complains wrong "has no zone for DNS_DOMAIN" && complains wrong "elsewhere.example"'
end TERM wrong
if command -v gcc >/dev/null; then
	gcc -O2 -shared -fPIC -o "$T/clock.so" tests/docker/faults/clock.c
	echo 1000 >"$T/late"
	end KILL knot
	server "LD_PRELOAD=$T/clock.so" "CLOCK_LATE=$T/late"
	start wrong 3 "${UPDATE[@]}"
	ok "a clock that is wrong too" within 20 complains wrong "clocks"
	ok "by doctor too" tells wrong "BADTIME"
	end KILL wrong knot
	server
fi
chmod 644 "$T/badsig.key"
ok "a key file that others can read is refused" eval \
	'start wrong 3 DNS_UPDATE=10.99.1.1 "DNS_TSIG_KEY_FILE=$T/badsig.key"; ! wait "${PID[wrong]}"'
unset 'PID[wrong]'
end TERM shop
unblock

# --- sealed, over IPv6 -------------------------------------------------------------------------------------------------

(umask 077 && "$DOCKER_ROUTER" keygen >"$T/cluster.key" && "$DOCKER_ROUTER" keygen >"$T/other.key")
V6=(DNS_SERVER=2001:db8:99:1::1 "DNS_UPDATE=[2001:db8:99:1::1]:53" "DNS_TSIG_KEY_FILE=$T/ours.key")
start shop 1 "${V6[@]}" HOST_IP=2001:db8:99::1 "CLUSTER_KEY_FILE=$T/cluster.key" MULTICAST_GROUP=ff02::4790
start blog 2 "${V6[@]}" HOST_IP=2001:db8:99::2 "CLUSTER_KEY_FILE=$T/cluster.key" MULTICAST_GROUP=ff02::4790
nft -f - <<END
table ip6 block { chain in { type filter hook input priority 0; udp dport 4790 drop; }; }
END
ok "sealed records, over IPv6" within 30 eval "knows shop blog dns && knows blog shop dns"
own=$(cat "$T/shop/host_id")
ok "say nothing to others" eval 'ask +tcp "dr-$own.$D" TXT | grep -q sealed= && ! ask +tcp "dr-$own.$D" TXT | grep -q shop'
start wrong 3 "${V6[@]}" HOST_IP=2001:db8:99::3 "CLUSTER_KEY_FILE=$T/other.key" MULTICAST_GROUP=ff02::4790
ok "who has another key knows nobody, and is told why" within 30 eval "complains wrong 'cannot be read' && lost wrong shop"
ok "and nobody knows him" eval "lost shop wrong"

end TERM shop blog wrong knot

# --- BIND, with FULL=1 ---------------------------------------------------------------------------------------------------

if [ -n "${FULL:-}" ] && command -v named >/dev/null; then
	nft delete table ip6 block
	mkdir "$T/bind"
	cp "$T/zone" "$T/bind/zone"
	cat >"$T/named.conf" <<END
options { directory "$T/bind"; pid-file none; session-keyfile none; listen-on { 10.99.1.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; };
controls { };
key ours { algorithm hmac-sha256; secret "$SECRET"; };
zone "$D" { type primary; file "zone"; allow-update { key ours; }; };
END
	named -g -n 1 -c "$T/named.conf" >>"$T/named.log" 2>&1 &
	PID[named]=$!
	ok "BIND answers" within 20 answers
	block
	start shop 1 "${UPDATE[@]}"
	start blog 2 "${UPDATE[@]}"
	ok "two hosts that register there find each other" within 30 eval "knows shop blog dns && knows blog shop dns"
	chmod 600 "$T/badsig.key"
	keys_refused
	end TERM blog
	ok "a host that is stopped takes its records away" within 10 eval '[ "$(records)" = 1 ]'
	ok "and is gone when their time is over" within 20 lost shop blog
	end KILL named
	ok "the server dies: it is told, and nobody is lost" within 40 complains shop "no DNS server answers"
fi

echo "1..$n_tests"
[ "$n_failed" = 0 ]
