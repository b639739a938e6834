#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The mode etcd with a real cluster: three members and two discoveries (more where it is said), all in one network,
# mount and PID namespace of the test's own. Members that die or hang, a lease that runs out, compaction, login, TLS;
# TAP on stdout; exit 77 when something is missing here. (How long a change takes, `make bench` measures.)
#
#	members	10.99.1.1 .2 .3, client port 2379, peer port 2380	discoveries	10.99.0.1 .2 ...
#
# variants: debian
# more: sid
# timeout: 300
# A variant is the Debian release that etcd is of: the machine's own, or another one's, downloaded beside it.
# Environment: DOCKER_ROUTER (the command; default: build/docker-router), ARTIFACTS (where logs are kept after a failure).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

DOCKER_ROUTER=${DOCKER_ROUTER:-$PWD/build/docker-router}

skip() {
	echo "1..0 # SKIP $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
if [ "${1:-}" != inside ] && [[ ${VARIANT:--} != [-d]* ]]; then
	dir=${LAB_DIR:-/tmp/docker-router-lab}/cache/etcd-$VARIANT
	if [ ! -x "$dir/usr/bin/etcd" ]; then
		rm -rf "$dir.new"
		why=$(lab/fetch.sh "$VARIANT" "$dir.new" etcd-server etcd-client 2>&1) || skip "$why"
		rm -rf "$dir"
		mv "$dir.new" "$dir"
	fi
	export PATH=$dir/usr/bin:$PATH
fi
for tool in ip jq unshare etcd etcdctl openssl; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "$DOCKER_ROUTER" ] || skip "$DOCKER_ROUTER is not built"
if [ "${1:-}" != inside ]; then
	unshare --net --mount --propagation private true || skip "no namespaces here"
	# as PID 1 of its own this script takes everything along that it leaves, whatever happens
	exec unshare --net --mount --propagation private --pid --fork --mount-proc --kill-child "$0" inside
fi
ip link set dev lo up
for i in 1 2 3 4; do
	ip address add "10.99.0.$i/24" dev lo
	ip address add "10.99.1.$i/24" dev lo
done

. tests/netns/lib.sh
echo "# $(etcd --version | head -n 1)"

not() {
	! "$@"
}

# --- etcd --------------------------------------------------------------------------------------------------------------

SCHEME=http TLS=()
member() { # NUMBER: start it, on what it has
	etcd --name "m$1" --data-dir "$T/data$1" --logger zap --log-level warn --heartbeat-interval 50 --election-timeout 500 \
		--listen-client-urls "$SCHEME://10.99.1.$1:2379" --advertise-client-urls "$SCHEME://10.99.1.$1:2379" \
		--listen-peer-urls "http://10.99.1.$1:2380" --initial-advertise-peer-urls "http://10.99.1.$1:2380" \
		--initial-cluster "$CLUSTER" "${TLS[@]}" >>"$T/member$1.log" 2>&1 &
	PID[m$1]=$!
}

CLUSTER=m1=http://10.99.1.1:2380,m2=http://10.99.1.2:2380,m3=http://10.99.1.3:2380
ALL=http://10.99.1.1:2379,http://10.99.1.2:2379,http://10.99.1.3:2379

ctl() {
	ETCDCTL_API=3 timeout 10 etcdctl --endpoints "${ENDPOINTS:-$ALL}" "$@" 2>>"$T/etcdctl.log"
}

healthy() {
	ctl endpoint health >/dev/null
}

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

keys() {
	ctl get --prefix --keys-only /docker-router/discovery/ | grep -c /
}

# --- discoveries -------------------------------------------------------------------------------------------------------

start() { # NAME NUMBER [SETTING...]: a discovery alone, with a stack of its name
	local name=$1 number=$2
	shift 2
	mkdir -p "$T/$name"
	env STATE_DIR="$T/$name" STACK_ID="$name" VNI=1000 STACK_SUBNETS="10.7$number.0.0/24" HOST_IP="10.99.0.$number" \
		INTERFACE=lo DISCOVERY_MODE=etcd ETCD_ENDPOINTS="$ALL" ETCD_LEASE_TTL=5 "$@" \
		"$DOCKER_ROUTER" discovery >>"$T/$name.log" 2>&1 &
	PID[$name]=$!
}

knows() { # NAME STACK: as a peer of etcd
	jq -e --arg s "$2" 'any(.peers[]; .stack_id == $s and .source == "etcd" and .status == "active")' \
		"$T/$1/discovery.json" >/dev/null 2>&1
}

lost() { # NAME STACK: not even that, and the file can be read
	jq -e --arg s "$2" 'any(.peers[]; .stack_id == $s) | not' "$T/$1/discovery.json" >/dev/null 2>&1
}

complains() { # NAME WORDS
	jq -e --arg w "$2" 'any(.problems[]; .object == "etcd" and (.text | contains($w)))' "$T/$1/discovery.json" \
		>/dev/null 2>&1
}

content() { # NAME
	jq -e '.problems | all(.object != "etcd")' "$T/$1/discovery.json" >/dev/null 2>&1
}

for i in 1 2 3; do
	member "$i"
done
within 30 healthy || skip "etcd does not start here"
start shop 1
start blog 2
ok "two hosts find each other through etcd" within 10 eval "knows shop blog && knows blog shop"
ok "a key for each stack, and no other" [ "$(keys)" = 2 ]
key=$(ctl get --prefix --keys-only /docker-router/discovery/shop/ | head -n 1)
ok "the key is PREFIX/stack/host/vni, its value a peer" eval \
	'[ "$key" = "/docker-router/discovery/shop/$(cat "$T/shop/host_id")/1000" ] &&
	ctl get --print-value-only "$key" | jq -e ".stack_id == \"shop\" and .subnets == [\"10.71.0.0/24\"]" >/dev/null'

# --- names of containers -----------------------------------------------------------------------------------------------

inventory() { # NAME NUMBER [CONTAINER...]: of a discovery that is told its stack by inventory.json
	local name=$1 number=$2
	shift 2
	mkdir -p "$T/$name"
	jq -n --arg s "$name" --arg n "$number" '{version: 1, engines: [], problems: [], stacks: [{stack_id: $s, vni: 1000,
		networks: [{name: "\($s)_default", id: "n1", bridge: "br-\($s)", endpoint: "unix:///x",
			subnets: ["10.7\($n).0.0/24"], gateways: ["10.7\($n).0.1"], internal: false, icc: true, mtu: 1500}],
		containers: [$ARGS.positional | to_entries[] | {id: "c\(.key)", name: "\($s)-\(.value)-1", service: .value,
			health: "none", interfaces: [{network: "n1", mac: "02:42:0a:00:00:0\(.key)",
				addresses: ["10.7\($n).0.\(.key + 2)"]}]}]}]}' \
		--args "$@" >"$T/$name/inventory.new" && mv "$T/$name/inventory.new" "$T/$name/inventory.json"
}

names() { # NAME STACK COUNT: of the services that it knows there
	[ "$(jq --arg s "$2" '[.stacks[] | select(.stack_id == $s) | .names[] | select(.kind == "service")] | length' \
		"$T/$1/names.json" 2>/dev/null || echo 0)" = "$3" ]
}

inventory wiki 3 web db
start wiki 3 STACK_ID= VNI= STACK_SUBNETS=
ok "names of containers come through etcd" within 10 names shop wiki 2
inventory wiki 3 web db cache
ok "and change" within 5 names shop wiki 3
end KILL shop
start shop 1
ok "a discovery that starts has them" within 5 names shop wiki 3
end KILL wiki
ok "they stay as long as the lease of their host" throughout 2 names shop wiki 3
ok "and go with it" within 12 eval "lost shop wiki && names shop wiki 0"
start wiki 3 STACK_ID= VNI= STACK_SUBNETS=
ok "and are back with it" within 10 names shop wiki 3
end TERM wiki
ok "nothing is left of a host that went" at_once eval '[ "$(keys)" = 2 ]'

# --- a change ------------------------------------------------------------------------------------------------------------

peer=$(printf '%032d' 7)
ctl put "/docker-router/discovery/new/$peer/1000" "$(jq -nc --arg h "$peer" '{stack_id: "new", host_ip: "10.99.0.9",
	vni: 1000, host_id: $h, seq: 1, subnets: ["10.100.1.0/24"]}')" >/dev/null
ok "a change in etcd is known soon" within 10 knows shop new
ctl del --prefix /docker-router/discovery/new >/dev/null
ok "and what is deleted there is gone" within 10 lost shop new

# --- hosts that go -----------------------------------------------------------------------------------------------------

end KILL blog
ok "one that crashed stays until its lease runs out" throughout 2 knows shop blog
ok "and is gone then" within 12 lost shop blog
start blog 2 ETCD_LEASE_TTL=60 # which is not what takes them away
ok "and is back" within 5 knows shop blog
end TERM blog
ok "a host that is stopped is gone at once" within 1 lost shop blog
start blog 2 ETCD_LEASE_TTL=60 GOODBYE=never
within 5 knows shop blog
end TERM blog
ok "with GOODBYE=never a host that is stopped stays for the time of its lease" throughout 2 knows shop blog
env STATE_DIR="$T/blog" DISCOVERY_MODE=etcd ETCD_ENDPOINTS="$ALL" INTERFACE=lo "$DOCKER_ROUTER" discovery --say-goodbye \
	>>"$T/blog.log" 2>&1
ok "until goodbye is said for it" within 1 lost shop blog
start blog 2 GOODBYE=never
within 5 knows shop blog
end TERM blog
start blog 2
ok "who starts again within that time takes its place" throughout 7 knows shop blog

# --- the lease of a host runs out in a healthy etcd --------------------------------------------------------------------

lease=$(ctl get -w json "/docker-router/discovery/blog/$(cat "$T/blog/host_id")/1000" | jq -r '.kvs[0].lease')
ctl lease revoke "$(printf '%x' "$lease")" >/dev/null
ok "a host whose lease is gone registers again" within 10 eval "[ \"\$(keys)\" = 2 ] && knows shop blog"
ctl del "$key" >/dev/null
ok "a key that somebody deletes is put again" within 10 eval "[ \"\$(keys)\" = 2 ] && knows blog shop"
kill -STOP "${PID[blog]}"
ok "a host that hangs in a healthy etcd is gone" within 12 lost shop blog
kill -CONT "${PID[blog]}"
ok "and is back when it goes on" within 10 knows shop blog

# --- compaction --------------------------------------------------------------------------------------------------------

kill -STOP "${PID[shop]}"
for i in $(seq 20); do
	ctl put "/elsewhere/$i" x >/dev/null
done
ctl put "/docker-router/discovery/wiki/$(printf '%032d' 8)/1000" \
	"{\"stack_id\":\"wiki\",\"host_ip\":\"10.99.0.8\",\"vni\":1000,\"host_id\":\"$(printf '%032d' 8)\",\"seq\":1}" >/dev/null
revision=$(ctl endpoint status -w json | jq -r '[.[].Status.header.revision] | max')
ctl compact --physical "$revision" >/dev/null
kill -CONT "${PID[shop]}"
ok "after a compaction nothing is missed" within 10 eval "knows shop wiki && knows shop blog"
ctl del --prefix /docker-router/discovery/wiki/ >/dev/null

# --- members that die or hang ------------------------------------------------------------------------------------------

end KILL m1
ok "one of three members dies: nobody is lost" throughout 8 eval "knows shop blog && knows blog shop"
start late 3
ok "and who comes is found" within 10 knows shop late
member 1
within 20 healthy
kill -STOP "${PID[m2]}"
ok "one hangs: nobody is lost" throughout 8 eval "knows shop blog && knows blog shop"
end TERM late
ok "and who goes is gone" within 12 lost shop late
kill -CONT "${PID[m2]}"
within 20 healthy

# a leader that slept may revoke leases when it wakes, in etcd before 3.4.25 and 3.5.8
within 10 eval "[ \"\$(keys)\" = 2 ] && knows shop blog && knows blog shop"
end KILL m1 m2
ok "a majority dies: it is told that there is no leader" within 15 complains shop "no leader"
end KILL m3
ok "the whole etcd dies: it is told" within 20 complains shop "no member of etcd answers"
ok "and longer than a lease nobody is lost" throughout 8 eval "knows shop blog && knows blog shop"
end KILL shop
start shop 1
ok "nor by a discovery that starts meanwhile" throughout 3 knows shop blog
for i in 1 2 3; do
	member "$i"
done
ok "it is back: all is as it was" within 20 eval "content shop && knows shop blog && [ \"\$(keys)\" = 2 ]"

end TERM shop blog

# --- sealed ------------------------------------------------------------------------------------------------------------

"$DOCKER_ROUTER" keygen >"$T/key1"
"$DOCKER_ROUTER" keygen >"$T/key2"
chmod 600 "$T/key1" "$T/key2"
cp "$T/key1" "$T/shop.key"
cp "$T/key1" "$T/wiki.key"
key() { # NAME KEY...: its ring is this now
	local name=$1
	shift
	for k; do cat "$T/$k"; done >"$T/$name.key.new"
	chmod 600 "$T/$name.key.new"
	mv "$T/$name.key.new" "$T/$name.key"
	[ -z "${PID[$name]:-}" ] || kill -HUP "${PID[$name]}"
}
value() { # STACK: as it lies in etcd
	ctl get --print-value-only "/docker-router/discovery/$1/$(cat "$T/$1/host_id")/1000"
}
sealed_with() { # STACK KEY: and with no other
	[ "$(value "$1" | wc -l)" = 1 ] || return 1
	value "$1" | sed 's/^DR1\.//' | base64 -d 2>/dev/null | head -c 4 | od -An -tx1 | tr -d ' \n' | grep -q "$(key_id "$2")"
}
key_id() { # KEY
	CLUSTER_KEY_FILE="$T/$1" "$DOCKER_ROUTER" key list --format json | jq -r '.keys[0].id'
}
start shop 1 CLUSTER_KEY_FILE="$T/shop.key"
start wiki 3 STACK_ID= VNI= STACK_SUBNETS= CLUSTER_KEY_FILE="$T/wiki.key"
start blog 2
ok "sealed: two hosts find each other, with names" within 10 eval "knows shop wiki && knows wiki shop && names shop wiki 3"
ok "nothing in etcd can be read" eval '! ctl get --prefix --print-value-only /docker-router/discovery/ | grep -v blog | grep -qE "stack_id|web"'
ok "who has no key is not believed, and told so" within 5 eval 'complains shop "without a seal" && lost shop blog'
ok "and is told what it misses" within 5 eval 'complains blog "here is no CLUSTER_KEY_FILE" && lost blog shop'
ctl put "/docker-router/discovery/fake/$(cat "$T/wiki/host_id")/1000" "$(value wiki)" >/dev/null
ok "a value that is copied to another key is none" within 5 eval 'complains shop "does not fit" && lost shop fake'
ctl del --prefix /docker-router/discovery/fake/ >/dev/null
end TERM blog
ok "a problem that has gone is told no more" within 5 content shop

# the key is changed: add, use, remove, first here and then there, and wiki is away during the first two steps
seen() { # they never lose each other
	knows shop wiki && knows wiki shop
}
key shop key1 key2
key wiki key1 key2
ok "a key is added: nobody is lost" throughout 1 seen
key shop key2 key1
ok "the first that seals with it is heard" within 5 eval 'sealed_with shop key2 || [ "$(value shop | wc -l)" = 2 ]'
ok "and nobody is lost" throughout 1 seen
end KILL wiki
key wiki key1
: >"$T/wiki.log"
start wiki 3 STACK_ID= VNI= STACK_SUBNETS= CLUSTER_KEY_FILE="$T/wiki.key"
within 5 grep -q started "$T/wiki.log" # now it knows what SIGHUP means
ok "one that has only the old key still hears and is heard" within 5 seen
key wiki key2 key1
ok "it has changed too" within 5 sealed_with wiki key2
key shop key2
key wiki key2
ok "the old key is removed: all is sealed with the new one alone" within 10 eval 'sealed_with shop key2 && sealed_with wiki key2'
ok "and nobody is lost" throughout 6 seen
end TERM shop wiki

# --- login -------------------------------------------------------------------------------------------------------------

ctl del --prefix / >/dev/null
ctl user add root:rootword >/dev/null && ctl user grant-role root root >/dev/null 2>&1
ctl role add router >/dev/null && ctl role grant-permission router readwrite --prefix=true /docker-router/discovery/ >/dev/null
ctl user add router:secret >/dev/null && ctl user grant-role router router >/dev/null
ctl user add other:secret >/dev/null
ctl auth enable >/dev/null
printf 'secret\n' >"$T/password"
chmod 600 "$T/password"
start shop 1 ETCD_USERNAME=router ETCD_PASSWORD_FILE="$T/password"
start blog 2 ETCD_USERNAME=router ETCD_PASSWORD=secret
ok "with user and password, of a file that only root reads" within 10 eval "knows shop blog && knows blog shop"
start wrong 3 ETCD_USERNAME=router ETCD_PASSWORD=guessed
ok "a wrong password is told as such" within 10 complains wrong "refuses user and password"
start none 4
ok "none at all too" within 10 complains none "wants a user and a password"
end TERM none
start none 4 ETCD_USERNAME=other ETCD_PASSWORD=secret
ok "a user without permission too" within 10 complains none "may not read and write"
ok "no password in any log or file" not grep -rqE "guessed|secret" "$T/wrong" "$T/shop" "$T/blog" "$T"/{wrong,shop,blog,none}.log
end TERM wrong none
# which ends what had logged in with the one before, though it is the same
echo secret | ctl --user root:rootword user passwd --interactive=false router >/dev/null
ctl --user root:rootword del --prefix /docker-router/discovery/shop/ >/dev/null
ok "who is logged out logs in again: a key that was deleted is back" within 15 eval \
	'ctl --user root:rootword get --prefix /docker-router/discovery/shop/ --keys-only | grep -q shop && knows blog shop'
end TERM shop blog
end KILL m1 m2 m3

# --- TLS ---------------------------------------------------------------------------------------------------------------

certificate() { # NAME [DAYS]: signed by our own authority
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/$1.key" -out "$T/$1.csr" -subj "/CN=$1" 2>/dev/null
	openssl x509 -req -in "$T/$1.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial -days "${2:-2}" -out "$T/$1.crt" \
		-extfile <(echo "subjectAltName=IP:10.99.1.4") 2>/dev/null
	chmod 600 "$T/$1.key"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca.key" -out "$T/ca.crt" -subj /CN=ca -days 2 2>/dev/null
certificate server
certificate client
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca2.key" -out "$T/ca2.crt" -subj /CN=other -days 2 2>/dev/null
SCHEME=https CLUSTER=m4=http://10.99.1.4:2380 ALL=https://10.99.1.4:2379
TLS=(--cert-file "$T/server.crt" --key-file "$T/server.key" --client-cert-auth --trusted-ca-file "$T/ca.crt")
member 4
mine=("ETCD_CACERT=$T/ca.crt" "ETCD_CERT=$T/client.crt" "ETCD_KEY=$T/client.key")
start shop 1 "${mine[@]}"
start blog 2 "${mine[@]}"
ok "with TLS and certificates, whose keys only root reads" within 20 eval "knows shop blog && knows blog shop"
start wrong 3 "ETCD_CACERT=$T/ca2.crt" "ETCD_CERT=$T/client.crt" "ETCD_KEY=$T/client.key"
ok "an etcd that somebody else signed is not talked to" within 10 complains wrong "TLS with etcd fails"
ok "and is told nothing" lost shop wrong
doctor() { # NAME WORDS: a check of doctor, whose cure follows
	local text
	text=$(STATE_DIR="$T/$1" CONFIG='' timeout 60 "$DOCKER_ROUTER" doctor 2>/dev/null) # which ends with 1
	tr -s ' \n' '  ' <<<"$text" | grep -q "$2"
}
said() { # NAME WORDS: in one line of its log, and in no other
	[ "$(grep -c "$2" "$T/$1.log")" = 1 ]
}
ok "in one line of the log" said wrong "TLS with etcd fails"
ok "doctor names the cause, and what to do" doctor wrong 'TLS with etcd fails.*certificate.*ETCD_CACERT must hold who signed'
end TERM wrong
certificate late -1
start late 3 "ETCD_CACERT=$T/ca.crt" "ETCD_CERT=$T/late.crt" "ETCD_KEY=$T/late.key"
ok "our own certificate has expired: it is told" within 10 complains late "TLS with etcd fails"
ok "in one line" said late "TLS with etcd fails"
ok "as what etcd says of ours" doctor late 'TLS with etcd fails.*etcd does not take our certificate'
end TERM late
end KILL m4
cp "$T/server.crt" "$T/server.good.crt"
cp "$T/server.key" "$T/server.good.key"
certificate server -1
member 4
ok "that of etcd has expired: it is told" within 20 complains shop "certificate has expired"
ok "and longer than a lease nobody is lost" throughout 8 eval "knows shop blog && knows blog shop"
ok "in one line of the log" said shop "certificate has expired"
ok "doctor names the cause, and what to do" doctor shop "certificate has expired.*Renew etcd's certificate"
end KILL m4
cp "$T/server.good.crt" "$T/server.crt"
cp "$T/server.good.key" "$T/server.key"
member 4
ok "with a good one all is as it was" within 30 eval "content shop && knows shop blog && knows blog shop"
end KILL m4
ok "an etcd that cannot be reached is told" within 20 complains shop "no member of etcd answers"
ok "doctor names the cause, and what to do" doctor shop "no member of etcd answers.*Nobody listens there"

echo "1..$n_tests"
[ "$n_failed" = 0 ]
