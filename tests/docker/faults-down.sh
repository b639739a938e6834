#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
#
# `docker-router down`, with host running, after it was stopped, killed, and hangs; twice; with --dry-run and --purge: nothing
# of ours is left, the peers know at once, and what Docker made works as before.
. "$(dirname "$0")/faults/common.sh"

faults_begin
docker_on h1 run -d --name plain -p 192.0.2.1:8080:80 lab:1 httpd -f -p 80 >/dev/null

own_works() { # what containers can do without us
	reach_ping h1 one 10.71.0.1
	reach_ping h1 one 192.0.2.2
	reach_ping h1 plain 192.0.2.2
	must_contain "the default route of one" 'default via 10.71.0.1' "$(docker_on h1 exec one ip route)"
	on h2 busybox nc -w 10 192.0.2.1 8080 </dev/null || fail "the published port does not answer"
}
forgotten() { # by h2
	! on h2 docker-router peers --format json | jq -e '.peers[] | select(.host_name == "h1" and .status != "gone")' >/dev/null
}
runs_again() {
	service_of h1 router start
	all_talk
}
down() { # ARGS...
	on h1 docker-router down "$@" >"$FILES/down"
}

own_works
docker_on h1 exec one ip route >"$FILES/route"
settle
held h1 >"$FILES/held"

step "a dry run removes nothing"
down --dry-run
must_contain "its words" 'would be removed' "$(cat "$FILES/down")"
held_must "after the dry run" h1 "$FILES/held"
[ -n "$(service_of h1 router pid)" ] || fail "host was stopped by a dry run"

step "while host runs"
id=$(cat "$DIR/h1/state/host_id")
down
must_equal "what is left" 'file: host_id' "$(traces h1)"
wait_until "h2 knows" 1 forgotten
own_works
must_equal "routes of one" "$(grep -v 'dev dr' "$FILES/route")" "$(docker_on h1 exec one ip route)"
must_fail pings h1 one 10.72.0.10

step "once more: there is nothing to do"
down
must_equal "its words" 'nothing to remove' "$(cat "$FILES/down")"

step "after a stop"
runs_again
must_equal "host id" "$id" "$(cat "$DIR/h1/state/host_id")"
service_of h1 router stop
[ -n "$(ours_in "$(host_ns h1)")" ] || fail "a stop took things away"
down
must_equal "what is left" 'file: host_id' "$(traces h1)"
wait_until "h2 knows" 1 forgotten

step "after kill -9 of host"
runs_again
service_of h1 router kill
down
must_equal "what is left" 'file: host_id' "$(traces h1)"
wait_until "h2 knows" 1 forgotten
own_works

step "after kill -9 of all, with a container less, broken files and a half-written one"
runs_again
# shellcheck disable=SC2046 # numbers
kill -9 $(jq '.roles[].pid' "$DIR/h1/state/host.json") "$(service_of h1 router pid)"
wait_until "the end of host" 5 proc_gone "$DIR/h1/router.proc"
docker_on h1 rm -f plain >/dev/null
rm "$DIR/h1/state/discovery.json" # somebody else's: see damage() in faults-state.sh
echo '{' >"$DIR/h1/state/discovery.json"
echo 'nonsense' >"$DIR/h1/state/host.json"
: >"$DIR/h1/state/.router.json.0123456789abcdef"
down
must_equal "what is left" 'file: host_id' "$(traces h1)"

step "while host hangs"
runs_again
kill -STOP "$(service_of h1 router pid)"
status=0
down || status=$?
if [ $status = 0 ]; then
	must_equal "what is left" 'file: host_id' "$(traces h1)"
else
	kill -CONT "$(service_of h1 router pid)"
	fail "exit $status: $(cat "$FILES/down")"
fi

step "purge"
runs_again
down --purge
wait_until "the end of host" 5 proc_gone "$DIR/h1/router.proc"
[ ! -e "$DIR/h1/state" ] || fail "left: $(ls -la "$DIR/h1/state")"
mkdir "$DIR/h1/state"
must_equal "what is left" '' "$(traces h1)"
down
must_equal "its words" 'nothing to remove' "$(cat "$FILES/down")"

step "the other host lost nothing of its own"
reach_ping h2 two 10.72.0.1
must_contain "ours on h2" 'docker-router' "$(ours_in "$(host_ns h2)")"
