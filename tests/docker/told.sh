#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
#
# Names are told as containers are: who becomes healthy is in inventory.json of its own host and in names.json of the
# other one at once, who does not, dies or is paused is not; aliases of either engine come through; a restart of
# discovery loses no name.
. "$(dirname "$0")/lib.sh"

lab_begin two-hosts
step "a stack on each host"
network_on h1 shop_default 1000 10.71.0.0/24 -- --label docker-router.stack=shop
network_on h2 blog_default 1000 10.72.0.0/24 -- --label docker-router.stack=blog
state() { # HOST FILE: the path of its state file
	cat "$DIR/$1/state/$2"
}
names_at() { # HOST: name, kind and addresses that the other host tells, a line each
	state "$1" names.json | jq -r '.stacks[].names[] | "\(.name) \(.kind) \(.addresses | join(","))"' 2>/dev/null
}
knows() { names_at "$1" | grep -qxF -- "$2"; }
knows_not() { ! names_at "$1" | grep -q -- "^$2 "; }
health_at() { # HOST NAME: what its inventory says
	state "$1" inventory.json | jq -r --arg n "$2" '.stacks[].containers[] | select(.name == $n) | .health // "none"'
}
is_health() { [ "$(health_at "$1" "$2")" = "$3" ]; }

step "a container without a health check, with aliases in capitals, and one that no label can be"
container_on h1 plain shop_default --network-alias WWW --network-alias a..b --ip 10.71.0.20 \
	--label com.docker.compose.service=front
wait_until "its name is known to h2" 10 knows h2 "plain container 10.71.0.20"
wait_until "its service" 5 knows h2 "front service 10.71.0.20"
wait_until "its alias" 5 knows h2 "www alias 10.71.0.20"
must_equal "names of plain" 3 "$(names_at h2 | grep -c 10.71.0.20)"
problem=$(state h1 inventory.json | jq -r '.problems[] | .object + ": " + .text')
must_contain "the alias that cannot be" 'container plain: alias "a\.\.b" is not answered; allowed are' "$problem"

step "a container that is not healthy yet"
container_on h1 sick shop_default --ip 10.71.0.30 --health-cmd 'test -e /tmp/ok' --health-interval 100ms \
	--health-timeout 2s --health-retries 2
wait_until "its health is known to h1" 10 is_health h1 sick starting
wait_until "it fails" 10 is_health h1 sick unhealthy
must_fail knows h2 "sick container 10.71.0.30"

step "it becomes healthy, and is known to h2"
docker_on h1 exec sick touch /tmp/ok
wait_until "h2 knows it" 5 knows h2 "sick container 10.71.0.30"
must_equal "health" healthy "$(health_at h1 sick)"

step "it becomes sick, and is not any more"
docker_on h1 exec sick rm /tmp/ok
wait_until "h2 does not know it" 5 knows_not h2 sick
docker_on h1 exec sick touch /tmp/ok
wait_until "h2 knows it again" 5 knows h2 "sick container 10.71.0.30"

step "a paused one is not there"
docker_on h1 pause plain
wait_until "h2 does not know plain" 5 knows_not h2 plain
docker_on h1 unpause plain
wait_until "h2 knows plain again" 5 knows h2 "plain container 10.71.0.20"

step "discovery of h2 is killed: no name is lost"
on h2 sh -c 'kill -9 $(jq -r ".roles[] | select(.role == \"discovery\") | .pid" $STATE_DIR/host.json)'
for _ in $(seq 50); do
	must_equal "names all the time" 4 "$(names_at h2 | grep -c ' 10\.71\.0\.')"
done

step "one that dies is gone"
docker_on h1 kill sick
wait_until "h2 does not know sick" 5 knows_not h2 sick
must_equal "owner and mode of names.json" "$(stat -c '%U %a' "$DIR/h2/state/discovery.json")" \
	"$(stat -c '%U %a' "$DIR/h2/state/names.json")"
docker_on h1 kill plain
wait_until "h2 knows none" 5 knows_not h2 plain

step "how long it takes"
container_on h1 swing shop_default --ip 10.71.0.40 --tmpfs /tmp --health-cmd 'test -e /tmp/ok' --health-interval 100ms
python3 "$TEST_DIR/told/latency.py" "$DIR"
