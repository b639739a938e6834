#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4 trixie-v4
# timeout: 240
#
# Names inside containers of one host: who is told what; what Docker's own resolver and its upstream say stays as it was,
# to the byte; nothing is lost when names is killed, and all is back when it is started again; containers that restart,
# that listen on port 53 themselves, or whose dockerd restarts below them.
. "$(dirname "$0")/lib.sh"

cat >"/tmp/$LAB.topology" <<-END
	host h1 192.0.2.1/24 CONFIG=/tmp/$LAB.yaml dockerd=--dns=192.0.2.1,--live-restore,--bip=10.79.0.1/24
END
# docker0 is there before docker-router, 10.79.0.77 comes later
cat >"/tmp/$LAB.yaml" <<-'END'
	names_listen: 127.0.0.1:4753,10.79.0.1:53,10.79.0.77:53
	networks:
	  docker0: {vni: 1000, stack: plain}
END
at_exit rm -f "/tmp/$LAB.topology" "/tmp/$LAB.yaml"
DNS=$TEST_DIR/dns.py
# somebody sits where the host's resolver is to be served
lab_begin_with_port_taken() {
	export ROUTER=0
	lab_begin "/tmp/$LAB.topology"
	unset ROUTER
	"$TOP/lab/exec" h1 socat -u UDP4-RECV:4753,bind=127.0.0.1 STDOUT >/dev/null &
	squatter=$!
	"$TOP/lab/exec" h1 "$DNS" serve 192.0.2.1 "$DIR/upstream" >"$DIR/upstream.out" &
	upstream=$!
	at_exit end $upstream # lab/down ends the other, where it still is there
	wait_until "the upstream listens" 5 grep -q listening "$DIR/upstream.out"
	service_of h1 router start
}
lab_begin_with_port_taken

net_of() { # CONTAINER: its network namespace
	echo "/proc/$(pid_of h1 "$1")/ns/net"
}
in_ns() { # CONTAINER CMD...: a program of ours in there
	local net
	net=$(net_of "$1")
	shift
	nsenter --net="$net" -- "$@"
}
asked() { # CONTAINER NAME [TYPE] [MORE...]: what it is told
	local c=$1 name=$2 type=${3:-A}
	shift $(($# < 3 ? $# : 3))
	in_ns "$c" "$DNS" ask 127.0.0.11 "$name" "$type" "$@"
}
is_told() { # CONTAINER NAME TYPE WANTED
	[ "$(asked "$1" "$2" "$3")" = "$4" ]
}
must_tell() { # CONTAINER NAME TYPE WANTED
	must_equal "$1 asks $2 $3" "$4" "$(asked "$1" "$2" "$3")"
}
records() { # JQ...
	jq -r "$@" "$DIR/h1/state/records.json"
}
answered() { # CONTAINER true|false
	[ "$(records --arg n "$1" '.containers[] | select(.name == $n) | .answered')" = "$2" ]
}
rule_in() { # CONTAINER
	in_ns "$1" nft list tables | grep -q docker-router-names
}
no_rule_in() { ! rule_in "$1"; }
names_pid() {
	jq -r '.roles[] | select(.role == "names") | .pid' "$DIR/h1/state/host.json"
}

step "stacks in two VNIs, and a container in none"
network_on h1 shop_default 1000 10.71.0.0/24 fd71::/64 -- --label docker-router.stack=shop
network_on h1 blog_default 1000 10.72.0.0/24 -- --label docker-router.stack=blog
network_on h1 secret_default 2000 10.73.0.0/24 -- --label docker-router.stack=secret
docker_on h1 network create --subnet 10.74.0.0/24 apart >/dev/null
container_on h1 web shop_default --ip 10.71.0.2 --ip6 fd71::2 --network-alias WWW \
	--label com.docker.compose.service=front
container_on h1 client shop_default --ip 10.71.0.3
container_on h1 wp blog_default --ip 10.72.0.2
container_on h1 box secret_default --ip 10.73.0.2
container_on h1 plain apart --ip 10.74.0.2
for c in web client wp box; do
	wait_until "$c is answered" 10 answered $c true
	rule_in $c || fail "no rule in $c"
done
no_rule_in plain || fail "a rule in a container that is in no stack"

step "names of stacks, in all their forms"
wait_until "wp is told web.shop" 5 is_told wp web.shop A "NOERROR 10.71.0.2"
for name in WEB.Shop front.shop www.shop web.shop@h1 web.shop.h1 web.shop.docker-router.internal \
	front.shop@h1.docker-router.internal web.shop.h1.docker-router.internal; do
	must_tell wp $name A "NOERROR 10.71.0.2"
done
must_tell wp shop A "NOERROR 10.71.0.2 10.71.0.3"
must_tell wp web.shop AAAA "NOERROR fd71::2"
must_tell wp wp.blog.docker-router.internal AAAA "NOERROR ns:docker-router.internal"
must_tell wp web.shop HTTPS "NOERROR"
must_tell wp 2.0.71.10.in-addr.arpa PTR "NOERROR web.shop.docker-router.internal"
must_tell wp nobody.shop.docker-router.internal A "NXDOMAIN ns:docker-router.internal"
must_contain "libc is told too" '10\.71\.0\.2' "$(in_container h1 wp ping -c 1 -W 2 web.shop)"

step "nobody of another VNI is told"
must_tell box web.shop.docker-router.internal A "NXDOMAIN ns:docker-router.internal"
must_tell box web.shop A "NOERROR 198.51.100.53" # what the upstream says to everything
must_tell wp box.secret A "NOERROR 198.51.100.53"
must_tell plain web.shop A "NOERROR 198.51.100.53"

step "Docker's own names are as before"
must_tell client web A "NOERROR 10.71.0.2"
must_tell client www A "NOERROR 10.71.0.2"
must_contain "Docker's PTR" 'NOERROR web\.shop_default' "$(asked client 2.0.71.10.in-addr.arpa PTR)"
must_tell wp wp A "NOERROR 10.72.0.2"

step "what the upstream gets and says is as before"
must_tell client nx.example.org A "NXDOMAIN"
for c in client plain; do
	: >"$DIR/upstream"
	for words in "Example.ORG A" "Example.ORG A edns=1400 hex=000a00080102030405060708" "big.example.org TXT edns=4096"; do
		# shellcheck disable=SC2086 # words
		asked $c $words
	done >"$DIR/said.$c"
	cp "$DIR/upstream" "$DIR/seen.$c"
done
[ "$(wc -l <"$DIR/seen.plain")" = 3 ] || fail "the upstream was not asked: $(cat "$DIR/seen.plain")"
diff "$DIR/seen.plain" "$DIR/seen.client" || fail "the upstream gets other queries"
diff "$DIR/said.plain" "$DIR/said.client" || fail "other answers come back"
must_contain "a large answer" 'NOERROR 1809bytes' "$(cat "$DIR/said.client")"
must_equal "TCP is Docker's" "NOERROR 10.71.0.2" "$(asked client web A tcp)"

step "the host: told why its resolver is not served, and served when it can be"
must_contain "what is said about port 4753" '127\.0\.0\.1:4753: .*in use' "$(records .listen_error)"
must_contain "what is said about 10.79.0.77" '10\.79\.0\.77:53: no interface has this address yet' "$(records .listen_error)"
kill $squatter
host_told() { [ "$(on h1 "$DNS" ask 127.0.0.1:4753 "$1" A)" = "$2" ]; }
wait_until "the host is told" 15 host_told web.shop.docker-router.internal "NOERROR 10.71.0.2"
host_told box.secret "NOERROR 10.73.0.2" || fail "the host sees all of its VNIs"
host_told example.org "REFUSED" || fail "what is not ours is to be refused"
on h1 ip addr add 10.79.0.77/32 dev docker0
error_gone() { [ -z "$(records .listen_error)" ]; }
wait_until "and nothing is said about it any more" 10 error_gone

step "on Docker's default bridge: by dns:, at an address that NAMES_LISTEN has"
asks_stub() { # CONTAINER ADDRESS NAME WANTED
	[ "$(in_ns "$1" "$DNS" ask "$2" "$3" A)" = "$4" ]
}
container_on h1 withdns bridge --dns 10.79.0.1
container_on h1 nodns bridge
why_of() { # CONTAINER
	records --arg n "$1" '.containers[] | select(.name == $n) | .why'
}
wait_until "withdns counts as answered" 10 answered withdns true
must_equal "how" "by NAMES_LISTEN" "$(why_of withdns)"
asks_stub withdns 10.79.0.1 web.shop "NOERROR 10.71.0.2" || fail "withdns is not told"
asks_stub withdns 10.79.0.77 web.shop "NOERROR 10.71.0.2" || fail "not at the address that came later"
in_container h1 withdns grep -q 'nameserver 10\.79\.0\.1' /etc/resolv.conf || fail "it has another name server"
says_why() { why_of nodns | grep -q NAMES_LISTEN; }
wait_until "nodns is told what it lacks" 10 says_why
answered nodns false || fail "nodns asks nobody of ours"
docker_on h1 rm -f withdns nodns >/dev/null

step "on a network of no stack too: bare names are Docker's there"
docker_on h1 network create --subnet 10.76.0.0/24 private >/dev/null
container_on h1 blog private --ip 10.76.0.9 # called like a stack
docker_on h1 network connect private client
wait_until "client is told of its own" 5 is_told client blog A "NOERROR 10.76.0.9"
must_tell client wp.blog A "NOERROR 10.72.0.2"
must_tell client blog.docker-router.internal A "NOERROR 10.72.0.2"
docker_on h1 network disconnect private client
wait_until "client is told of the stack" 5 is_told client blog A "NOERROR 10.72.0.2"
docker_on h1 rm -f blog >/dev/null

step "search domains"
container_on h1 seeker blog_default --dns-search shop.docker-router.internal
wait_until "it is answered" 10 answered seeker true
must_contain "web by search domain" '10\.71\.0\.2' "$(in_container h1 seeker ping -c 1 -W 2 web)"

step "who is not healthy has no name, and is back when it is"
container_on h1 sick shop_default --ip 10.71.0.9 --health-cmd 'test -e /tmp/ok' --health-interval 200ms --health-retries 2
wait_until "sick is answered itself" 10 answered sick true
must_tell wp sick.shop.docker-router.internal A "NXDOMAIN ns:docker-router.internal"
in_container h1 sick touch /tmp/ok
wait_until "sick has a name" 10 is_told wp sick.shop A "NOERROR 10.71.0.9"
in_container h1 sick rm /tmp/ok
wait_until "sick has none" 10 is_told wp sick.shop.docker-router.internal A "NXDOMAIN ns:docker-router.internal"

step "a container that is restarted, one that goes"
docker_on h1 restart -t 0 wp >/dev/null
wait_until "wp is told again" 10 is_told wp web.shop A "NOERROR 10.71.0.2"
docker_on h1 rm -f sick >/dev/null
gone() { [ -z "$(records '.containers[] | select(.name == "sick")')" ]; }
wait_until "nothing is known of sick" 5 gone

step "a container with a name server of its own"
nsenter --net="$(net_of client)" -- "$DNS" serve 0.0.0.0 "$DIR/own" >"$DIR/own.out" &
at_exit end $!
wait_until "it listens" 5 grep -q listening "$DIR/own.out"
must_tell client wp.blog A "NOERROR 10.72.0.2"
must_tell client web A "NOERROR 10.71.0.2"
must_equal "its own server" "NOERROR 198.51.100.53" "$(in_ns web "$DNS" ask 10.71.0.3 wp.blog A)"

step "what is no query harms nobody"
before=$(names_pid)
in_ns wp "$DNS" garbage 127.0.0.11 3000
on h1 "$DNS" garbage 127.0.0.1:4753 3000
must_tell wp web.shop A "NOERROR 10.71.0.2"
must_equal "names still runs" "$before" "$(names_pid)"

step "killed: Docker's names go on, the rule goes; started again: all is back"
nsenter --net="$(net_of client)" -- "$DNS" loop 127.0.0.11 web "NOERROR 10.71.0.2" >"$DIR/loop" &
loop=$!
for _ in 1 2 3; do
	pid=$(names_pid)
	kill -9 "$pid"
	again() { [ "$(names_pid)" != "$pid" ] && [ "$(names_pid)" != 0 ]; }
	wait_until "names is started again" 10 again
	wait_until "wp is told again" 5 is_told wp web.shop A "NOERROR 10.71.0.2"
done
# its supervisor cannot start it while it sleeps itself
host=$(service_of h1 router pid)
kill -STOP "$host"
at_exit kill -CONT "$host"
kill -9 "$(names_pid)"
for c in client wp; do
	wait_until "no rule in $c" 5 no_rule_in $c
done
must_tell client web A "NOERROR 10.71.0.2"
must_tell wp web.shop A "NOERROR 198.51.100.53"
kill -CONT "$host"
wait_until "wp is told again" 10 is_told wp web.shop A "NOERROR 10.71.0.2"
kill $loop
wait $loop || true
must_contain "lookups meanwhile" '^[0-9]+ lookups$' "$(cat "$DIR/loop")"

step "a port that was used before leads to where queries go now"
same_port() { # CONTAINER NAME WANTED: from one port, every time
	must_equal "$1 asks $2 from the same port" "$3" "$(asked "$1" "$2" A from=20053)"
}
same_port client web "NOERROR 10.71.0.2"
same_port wp web.shop "NOERROR 10.71.0.2"
pid=$(names_pid)
[ "$pid" -gt 1 ] || fail "names does not run"
kill -9 "$pid"
wait_until "wp is told again" 10 is_told wp web.shop A "NOERROR 10.71.0.2"
same_port client web "NOERROR 10.71.0.2"
same_port wp web.shop "NOERROR 10.71.0.2"

step "dockerd restarts below its containers: its resolver has another port then"
wp_net=$(net_of wp) client_net=$(net_of client)
service_of h1 dockerd stop
for _ in 1 2 3 4; do
	must_equal "what dockerd would know" timeout "$(nsenter --net="$wp_net" -- "$DNS" ask 127.0.0.11 example.org A wait=0.2)"
done
must_equal "wp is told without dockerd" "NOERROR 10.71.0.2" "$(nsenter --net="$wp_net" -- "$DNS" ask 127.0.0.11 web.shop A)"
nsenter --net="$client_net" -- "$DNS" ask 127.0.0.11 example.org A wait=18 >"$DIR/waited" &
waited=$!
service_of h1 dockerd start
wait_until "client is told by Docker" 15 is_told client web A "NOERROR 10.71.0.2"
wait $waited
must_equal "what was asked meanwhile" "NOERROR 198.51.100.53" "$(cat "$DIR/waited")"
for _ in 1 2 3 4 5; do
	must_tell client web A "NOERROR 10.71.0.2"
	must_tell wp web.shop A "NOERROR 10.71.0.2"
done
same_port client web "NOERROR 10.71.0.2"
same_port wp web.shop "NOERROR 10.71.0.2"

if [ "$ENGINE" = sid ]; then
	step "a stack with IPv6 only"
	docker_on h1 network create --ipv4=false --ipv6 --subnet fd75::/64 --label docker-router.vni=1000 \
		--label docker-router.stack=six six_default >/dev/null
	container_on h1 only6 six_default --ip6 fd75::2
	wait_until "its name" 10 is_told wp only6.six AAAA "NOERROR fd75::2"
	must_tell wp only6.six A "NOERROR"
	wait_until "it is answered itself" 10 is_told only6 web.shop AAAA "NOERROR fd71::2"
fi

step "stopped: nothing is left in a container"
service_of h1 router stop
for c in web client wp box; do
	no_rule_in $c || fail "a rule in $c"
done
must_tell client web A "NOERROR 10.71.0.2"
