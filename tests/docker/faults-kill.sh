#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# alone: milliseconds and lost packets are counted
#
# Roles and host killed, stopped, started, and another build started in their place, under 1,000 datagrams a second in each
# of three flows: none is lost, and what starts again changes nothing in the kernel.
. "$(dirname "$0")/faults/common.sh"

faults_begin
flows_ready
held h1 >"$FILES/held"
writes_start h1

step "each role is killed and started again"
flows_start
for role in inventory discovery router names; do
	old=$(role_pid h1 $role) file=$(file_of h1 $role)
	kill -9 "$old"
	wait_until "$role is back" 5 role_back h1 $role "$old" "$file"
	must_equal "log lines about its end" 1 "$(lines h1 "role ended role=$role how=\"?signal 9")"
done
flows_must
must_equal "writes of restarted roles" '' "$(writes)"
held_must "after the roles were killed" h1 "$FILES/held"

step "host is killed, and its roles with it, and started again"
flows_start
roles=$(jq -r '.roles[].pid' "$DIR/h1/state/host.json")
host_restart h1 kill
ended() {
	local p
	for p in $roles; do
		! proc_time "$p" >/dev/null || return 1
	done
}
wait_until "the end of the roles of the killed host" 5 ended
ours() { # programs of docker-router on h1; the process that reads keys for discovery is a child of it, and its program
	local p
	for p in $(lab_pids); do
		[ "/proc/$p/ns/net" -ef "$(host_ns h1)" ] || continue
		[ "/proc/$(ps -o ppid= -p "$p" | tr -d ' ')/exe" -ef "/proc/$p/exe" ] || readlink "/proc/$p/exe"
	done | grep docker-router | xargs -n 1 basename | sort | xargs
}
must_equal "programs that run" \
	"$({ echo host && jq -r '.roles[].role' "$DIR/h1/state/host.json"; } | sed 's/^/docker-router-/' | sort | xargs)" "$(ours)"

step "host is stopped and started again"
host_restart h1 stop

step "another build takes over"
mkdir "$FILES/upgrade"
find "$(dirname "$DOCKER_ROUTER")" -type f -perm -u+x -name 'docker-router*' -exec cp {} "$FILES/upgrade" \;
host_restart h1 stop "$FILES/upgrade/docker-router"
must_equal "program" "$FILES/upgrade/docker-router-host" "$(readlink "/proc/$(service_of h1 router pid)/exe")"
flows_must
must_equal "writes of restarted hosts" '' "$(writes)"
held_must "after the hosts were killed" h1 "$FILES/held"

step "they work: what is deleted while nobody runs comes back"
service_of h1 router kill
in_vni h1 1000 ip route del 10.72.0.0/24
service_of h1 router start
held_must "after a route was deleted" h1 "$FILES/held"
must_contain "the writes" 'NEWROUTE 10.72.0.0/24' "$(writes)"
