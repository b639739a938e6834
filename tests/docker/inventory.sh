#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# more: trixie-v4
# timeout: 240
#
# The role inventory alone, beside a real dockerd: every change is in inventory.json, soon and right; a dockerd that is
# stopped, started, killed, or not there leaves the file as it was, and correct afterwards.
. "$(dirname "$0")/lib.sh"
export ROUTER=0
program=$(router_program)

echo 'host h1 192.0.2.1/24' >"/tmp/$LAB.topology"
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"
D=$DIR/h1
STATE=$D/state
FILE=$STATE/inventory.json
LOG=$D/inventory.log

start() { # the role, with an endpoint behind which nobody is
	(
		eval "$(host_env h1)"
		export CONFIG=$D/config.yaml LOG_LEVEL=debug LOG_FORMAT=json STATE_DIR=$STATE
		proc_start "$D/inventory.proc" "$LOG" nsenter --net="/run/netns/$(ns h1)" -- "$program" inventory \
			--docker-host="unix://$D/docker.sock,unix://$D/nobody.sock"
	)
}
kill_it() {
	kill -9 "$(proc_pid "$D/inventory.proc")"
	wait_until "the end of the role" 5 proc_gone "$D/inventory.proc"
}
at_exit proc_end "$D/inventory.proc"

q() { # JQ-FILTER [ARGS...]: of the file, as one line each
	jq -rc "$@" "$FILE"
}
stack() { # NAME: "container:service:addresses ..." of a stack, sorted by name
	q --arg s "$1" '[.stacks[] | select(.stack_id == $s) | .containers[] | .name + ":" + .service + ":" +
		([.interfaces[].addresses[]] | join(","))] | sort | join(" ")'
}
stack_is() { # NAME WANTED
	[ "$(stack "$1")" = "$2" ]
}
stacks_are() { # NAMES
	[ "$(q '[.stacks[].stack_id] | sort | join(" ")')" = "$1" ]
}
engine_is() { # STATE [NUMBER]
	[ "$(q ".engines[${2:-0}].state")" = "$1" ]
}
container_field() { # NAME FIELD
	q --arg n "$1" "[.stacks[].containers[] | select(.name == \$n) | .$2][0]"
}
problem() { # PATTERN: of "object: text"
	q '.problems[] | .object + ": " + .text' | grep -qE -- "$1"
}
no_problem() {
	! problem "$1"
}
soon() { # WHAT CMD...: within what a loaded machine needs for some milliseconds
	local what=$1
	shift
	wait_until "$what" 2 "$@"
}
docker() { # ARGS...
	docker_on h1 "$@" >/dev/null
}
inspect() { # NAME FORMAT
	docker_on h1 inspect -f "$2" "$1"
}

step "start"
echo '{}' >"$D/config.yaml"
start
wait_until "the file" 5 test -s "$FILE"
soon "the engine" engine_is connected
engine_is connecting 1 || fail "an engine that was never there is $(q '.engines[1]')"
must_contain "error of the second engine" 'nobody.sock' "$(q '.engines[1].error')"
must_equal "capabilities" 0000000000000000 "$(sed -n 's/^CapEff:\t//p' "/proc/$(proc_pid "$D/inventory.proc")/status")"

step "a network, containers on it, and what the file says about them"
docker network create --subnet 10.71.0.0/24 --label docker-router.vni=1000 --label com.docker.compose.project=shop shop_default
soon "the stack" stacks_are shop
must_equal "the network" '["shop_default","br-'"$(inspect shop_default '{{slice .Id 0 12}}')"'",["10.71.0.0/24"],["10.71.0.1"],true,1500]' \
	"$(q '.stacks[0].networks[0] | [.name, .bridge, .subnets, .gateways, .icc, .mtu]')"
docker run -d --name web --network shop_default --label com.docker.compose.service=web lab:1 "${IDLE[@]}"
soon "web" stack_is shop "web:web:10.71.0.2"
must_equal "pid" "$(inspect web '{{.State.Pid}}')" "$(container_field web pid)"
must_equal "sandbox" "$(inspect web '{{.NetworkSettings.SandboxKey}}')" "$(container_field web sandbox)"
must_equal "MAC" "$(inspect web '{{(index .NetworkSettings.Networks "shop_default").MacAddress}}')" \
	"$(container_field web 'interfaces[0].mac')"
[ -e "$(container_field web sandbox)" ] || fail "no such sandbox"
docker run -d --name alone --network none lab:1 "${IDLE[@]}"
docker run -d --name plain lab:1 "${IDLE[@]}"
docker run -d --name beside --network container:web lab:1 "${IDLE[@]}"
must_equal "stack" "web:web:10.71.0.2" "$(stack shop)"

step "connect, disconnect, rename, stop, start"
docker network create --subnet 10.72.0.0/24 --internal --label docker-router.vni=2000 --label docker-router.stack=back back
docker network connect back web
soon "web on the second network" stack_is back "web:web:10.72.0.2"
stack_is shop "web:web:10.71.0.2" || fail "the first stack has '$(stack shop)'"
docker network disconnect back web
soon "web off it" stack_is back ""
docker rename web www
soon "the new name" stack_is shop "www:web:10.71.0.2"
docker stop -t 0 www
soon "www stopped" stack_is shop ""
docker start www
soon "www started" stack_is shop "www:web:10.71.0.2"
must_equal "new pid" "$(inspect www '{{.State.Pid}}')" "$(container_field www pid)"
docker network create --ipv6 --subnet 10.73.0.0/24 --subnet fd00:73::/64 --label docker-router.vni=1000 both
docker run -d --name six --network both lab:1 "${IDLE[@]}"
soon "both families" stack_is both "six::10.73.0.2,fd00:73::2"
docker rm -f six
soon "six removed" stack_is both ""
docker network rm both
soon "its network removed" stacks_are "back shop"

step "mistakes"
docker network create --label docker-router.vni=0x10 --label docker-router.foo=1 wrong
soon "a problem with the label" problem 'network wrong: label docker-router.vni is "0x10"; allowed are whole numbers from 1 to 16777215'
problem 'network wrong: unknown label docker-router.foo; known' || fail "no problem about docker-router.foo"
stacks_are "back shop" || fail "a wrong network became a stack"
docker network rm wrong
soon "no problem any more" no_problem 'network wrong'
docker run -d --name labelled --network shop_default --label docker-router.vni=5 --label docker-router.publish=80 lab:1 "${IDLE[@]}"
soon "a network's label on a container" problem 'container labelled: unknown label docker-router.vni'
no_problem 'docker-router.publish;' || fail "a known label was reported"
docker rm -f labelled

step "the config file reaches Docker's own bridge"
printf 'networks:\n  docker0: {vni: 3000, stack: default}\n  nosuch: {vni: 5}\n' >"$D/config.yaml"
kill -HUP "$(proc_pid "$D/inventory.proc")"
soon "stack default" stacks_are "back default shop"
must_contain "containers of it" '^plain::172\.' "$(stack default)"
printf 'networks: [\n' >"$D/config.yaml"
kill -HUP "$(proc_pid "$D/inventory.proc")"
soon "a log line" grep -q 'new config is refused' "$LOG"
stacks_are "back default shop" || fail "a broken config file changed the stacks"
echo '{}' >"$D/config.yaml"
kill -HUP "$(proc_pid "$D/inventory.proc")"
soon "default gone" stacks_are "back shop"

step "from Docker's event to the file"
: >"$D/events"
(
	eval "$(host_env h1)"
	proc_start "$D/events.proc" "$D/events" docker events --filter type=container --format '{{json .}}'
)
at_exit proc_end "$D/events.proc"
plain=$(inspect plain '{{.Id}}')
marked() {
	grep -q '"Action":"rename"' "$D/events" && return
	docker rename "$plain" "plain$RANDOM"
	return 1
}
wait_until "docker events" 5 marked
for _ in 1 2 3 4 5 6 7 8 9 10 11; do
	docker run -d --name lat --network shop_default lab:1 "${IDLE[@]}"
	soon "lat" stack_is shop "lat::10.71.0.3 www:web:10.71.0.2"
	docker rm -f lat
	soon "no lat" stack_is shop "www:web:10.71.0.2"
done
proc_end "$D/events.proc"
latencies() { # ACTION: milliseconds from each such event to the write that follows it, sorted
	jq -rn --arg action "$1" --slurpfile events "$D/events" '
		def ms: (.[0:19] + "Z" | fromdate) * 1000 + (.[20:23] | tonumber);
		[inputs | select(.msg == "inventory.json written") | .time | ms] as $w
		| [$events[] | select(.Action == $action and .Actor.Attributes.name == "lat") | .timeNano / 1000000] as $e
		| [$e[] as $t | first($w[] | select(. >= $t - 1)) - $t | if . < 0 then 0 else . end | . * 10 | round / 10] | sort
		| join(" ")' "$LOG"
}
started=$(latencies start)
echo "start event -> file, ms: $started"
echo "die event -> file, ms: $(latencies die)"
# shellcheck disable=SC2086 # a list of numbers
set -- $started
[ $# = 11 ] || fail "$# starts of 11 were measured"
[ "${6%.*}" -lt 20 ] || fail "a median of ${6} ms"

step "memory, and sleep"
pid=$(proc_pid "$D/inventory.proc")
rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
echo "resident: $rss kB"
grep -q asan "/proc/$pid/maps" || [ "$rss" -le 12288 ] || fail "$rss kB resident, and 12288 are allowed"

step "the file is ours"
rm "$FILE"
soon "the deleted file" stack_is shop "www:web:10.71.0.2"
kill -STOP "$(proc_pid "$D/inventory.proc")" # or it is faster than we are
rm "$FILE"
mkdir -p "$FILE/in/the/way"
kill -CONT "$(proc_pid "$D/inventory.proc")"
docker run -d --name more --network shop_default lab:1 "${IDLE[@]}"
wait_until "a log line" 5 grep -q 'cannot be written' "$LOG"
rm -r "$FILE"
wait_until "the file after a folder in its place" 5 stack_is shop "more::10.71.0.3 www:web:10.71.0.2"
docker rm -f more
soon "no more" stack_is shop "www:web:10.71.0.2"

step "a full disk: the old file stays whole"
kill_it
mkdir -p "$D/small"
mount -t tmpfs -o size=64k lab "$D/small"
at_exit umount -l "$D/small"
STATE=$D/small FILE=$D/small/inventory.json
start
soon "the file" stack_is shop "www:web:10.71.0.2"
lines=$(grep -c 'cannot be written' "$LOG")
dd if=/dev/zero of="$D/small/fill" bs=4k >/dev/null 2>&1 || true
docker run -d --name more --network shop_default lab:1 "${IDLE[@]}"
said() { [ "$(grep -c 'cannot be written' "$LOG")" -gt "$lines" ]; }
wait_until "a log line" 5 said
stack_is shop "www:web:10.71.0.2" || fail "the file is not the old one"
rm "$D/small/fill"
wait_until "the file, with room again" 5 stack_is shop "more::10.71.0.3 www:web:10.71.0.2"
must_equal "log lines about it" $((lines + 1)) "$(grep -c 'cannot be written' "$LOG")"
docker rm -f more
kill_it
STATE=$D/state FILE=$D/state/inventory.json
start
soon "the file" stack_is shop "www:web:10.71.0.2"

step "dockerd stops and starts"
docker run -d --name always --restart always --network shop_default lab:1 "${IDLE[@]}"
soon "always" stack_is shop "always::10.71.0.3 www:web:10.71.0.2"
service_of h1 dockerd stop
soon "lost" engine_is lost
stacks_are "back shop" || fail "stacks of a lost engine: $(q '[.stacks[].stack_id]')"
must_equal "containers after their die events" "" "$(stack shop)"
kill_it
start # while dockerd is away
has_error() { [ -n "$(q '.engines[0].error')" ]; }
soon "the file of a new run" has_error
engine_is lost || fail "after a restart of ours the engine is $(q '.engines[0]')"
stacks_are "back shop" || fail "our restart took the stacks away"
service_of h1 dockerd start
soon "connected" engine_is connected
always_runs() { [ "$(container_field always pid)" = "$(inspect always '{{.State.Pid}}')" ]; }
wait_until "always is back with its new pid" 10 always_runs
docker start www
soon "www" grep -q '"www"' "$FILE"

step "dockerd is killed"
before=$(stack shop)
service_of h1 dockerd kill
soon "lost" engine_is lost
must_equal "what stays" "$before" "$(stack shop)"
service_of h1 dockerd start
wait_until "connected" 5 engine_is connected
file_is_right() { # the containers that Docker says run on the network are those of the file
	[ "$(docker_on h1 network inspect shop_default | jq -r '[.[0].Containers[] | .Name + " " + .IPv4Address[:-3] + " " + .MacAddress] | sort | join(",")')" = \
		"$(q '[.stacks[] | select(.stack_id == "shop") | .containers[] | .name + " " + .interfaces[0].addresses[0] + " " + .interfaces[0].mac] | sort | join(",")')" ]
}
wait_until "the file is right again" 10 file_is_right

step "a burst"
for i in 1 2 3 4 5 6 7 8; do
	docker run -d --name "burst$i" --network shop_default lab:1 "${IDLE[@]}" &
done
wait
soon "the file is right" file_is_right
docker_on h1 ps -aq | xargs "$TOP/lab/docker" h1 rm -f >/dev/null
soon "no container" stack_is shop ""
docker network rm back shop_default
soon "no stack" stacks_are ""

step "the end"
kill -TERM "$(proc_pid "$D/inventory.proc")"
wait_until "the end of the role" 2 proc_gone "$D/inventory.proc"
must_fail grep -q '"level":"error".*cannot start' "$LOG"
