#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# more: sid-v4
# timeout: 300
#
# docker-router-init in containers of a real dockerd: mounted into an image with musl's or no libc and into one with glibc,
# as PID 1 and as the init of dockerd; minidlna's log in `docker logs`; docker stop; a container that waits for a NIC and
# one that shares the network of a holder, which stays when the program is started again.
. "$(dirname "$0")/lib.sh"
INIT=$(dirname "$(readlink -f "$DOCKER_ROUTER")")/init/docker-router-init
[ -x "$INIT" ] || INIT=$(dirname "$(readlink -f "$DOCKER_ROUTER")")/docker-router-init
[ -x "$INIT" ] || skip "docker-router-init was not built (package musl-tools)"
. "$TOP/packaging/docker/rootfs.sh"
rootfs_static "$INIT" || skip "this build of docker-router-init is not static"
export ROUTER=0

printf 'switch sw\nhost h1 192.0.2.1/24\n' >"/tmp/$LAB.topology"
at_exit rm -f "/tmp/$LAB.topology"
lab_begin "/tmp/$LAB.topology"
cp "$INIT" "$DIR/init" # where every user can run it
chmod 755 "$DIR/init"

run() { # NAME IMAGE ARGS...: with init mounted
	local name=$1
	shift
	docker_on h1 run --name "$name" -v "$DIR/init:/init:ro" --entrypoint /init "$@"
}
logs_have() { # NAME PATTERN
	docker_on h1 logs "$1" 2>&1 | grep -qE -- "$2"
}
exit_of() { # NAME
	docker_on h1 inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$1"
}
exited() {
	[[ $(exit_of "$1") = exited* ]]
}

step "images: busybox, busybox and nothing else, one with glibc and minidlna"
mkdir -p "$DIR/scratch/bin" "$DIR/glibc/bin" "$DIR/glibc/etc" "$DIR/glibc/tmp" "$DIR/glibc/var/cache" "$DIR/glibc/proc" "$DIR/music"
cp "$(command -v busybox)" "$DIR/scratch/bin/busybox"
tar -C "$DIR/scratch" -c . | docker_on h1 import - scratch:1 >/dev/null
cp "$(command -v busybox)" "$DIR/glibc/bin/busybox"
ln -s busybox "$DIR/glibc/bin/sh"
echo 'root:x:0:0:root:/:/bin/sh' >"$DIR/glibc/etc/passwd"
chmod 1777 "$DIR/glibc/tmp"
rootfs_program "$DIR/glibc" date
! command -v minidlnad >/dev/null || rootfs_program "$DIR/glibc" minidlnad
tar -C "$DIR/glibc" -c . | docker_on h1 import - glibc:1 >/dev/null
must_equal "in busybox" 3 "$(run a1 --rm lab:1 -- sh -c 'echo $((1 + 2))')"
must_equal "with nothing else" 4 "$(run a2 --rm scratch:1 -- /bin/busybox echo 4)"
must_contain "with glibc" '^[0-9]+$' "$(run a3 --rm glibc:1 -- date +%s)"
must_equal "without rights and without a file to write" 5 \
	"$(run a4 --rm --user 65534:65534 --read-only --cap-drop ALL --security-opt no-new-privileges lab:1 -- echo 5)"
must_equal "who is PID 1" init "$(run a5 --rm lab:1 -- sh -c 'cat /proc/1/comm')"

step "exit status, docker stop, docker kill"
status=0
run b1 lab:1 -- sh -c 'exit 42' || status=$?
must_equal "exit status" 42 $status
run b2 -d lab:1 -- sleep 1000 >/dev/null
begin=$SECONDS
docker_on h1 stop -t 60 b2 >/dev/null
((SECONDS - begin < 50)) || fail "docker stop was not heeded"
must_equal "after docker stop" "exited 143" "$(exit_of b2)"
run b3 -d lab:1 -- sh -c 'trap "echo hup" HUP; while :; do sleep 0.1; done' >/dev/null
hup() {
	docker_on h1 kill -s HUP b3 >/dev/null
	logs_have b3 hup
}
wait_until "SIGHUP comes through" 20 hup

step "a tty"
must_contain "with docker run -t" 'pts|console|tty' "$(run c1 --rm -t lab:1 -- tty)"

step "what others leave is reaped"
run d1 -d lab:1 -- sh -c 'i=0; while [ $i -lt 50 ]; do (sleep 0.01 & ) ; i=$((i + 1)); done; echo made; exec sleep 1000' >/dev/null
wait_until "orphans are made" 20 logs_have d1 made
no_zombies() {
	! in_container h1 d1 sh -c 'grep -l "^State:.Z" /proc/[0-9]*/status' | grep -q .
}
wait_until "no zombie is left" 20 no_zombies
kb=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(pid_of h1 d1)/status")
echo "init: $kb kB resident"
[ "$kb" -le 1024 ] || fail "init takes $kb kB"

step "a log file in docker logs, also when the program gave up root, rotates, and after docker restart"
# shellcheck disable=SC2016
run e1 -d lab:1 --log /var/log/x/app.log -- sh -c '
	chmod 777 /var/log/x; n=$(date +%s%N)
	echo "first $n" >>/var/log/x/app.log
	su -s /bin/sh nobody -c "echo nobody >>/var/log/x/app.log" 2>/dev/null || echo nobody >>/var/log/x/app.log
	mv /var/log/x/app.log /var/log/x/app.log.1
	echo "second $n" >>/var/log/x/app.log
	exec sleep 1000' >/dev/null
for words in '^first ' '^nobody' '^second '; do
	wait_until "'$words' in docker logs" 20 logs_have e1 "$words"
done
docker_on h1 restart -t 20 e1 >/dev/null
twice() { [ "$(docker_on h1 logs e1 2>&1 | grep -c '^second ')" = 2 ]; }
wait_until "the log after docker restart" 20 twice

step "50,000 lines, none lost, the last one before the end"
run e2 lab:1 --log-full=block --log /tmp/app.log -- sh -c 'seq 50000 >/tmp/app.log' >/dev/null
docker_on h1 logs e2 >"$DIR/e2.log" 2>&1
seq 50000 | cmp - "$DIR/e2.log" || fail "docker logs is not what was written"

if command -v minidlnad >/dev/null; then
	step "minidlna"
	run f1 -d -v "$DIR/music:/opt:ro" glibc:1 --log /tmp/log/minidlna.log -- sh -c '
		busybox mkdir -p /tmp/db
		printf "%s\n" media_dir=A,/opt port=8200 friendly_name=lab db_dir=/tmp/db log_dir=/tmp/log >/tmp/minidlna.conf
		exec minidlnad -S -f /tmp/minidlna.conf -P /tmp/minidlna.pid' >/dev/null
	wait_until "its log in docker logs" 60 logs_have f1 'Starting MiniDLNA|HTTP listening on port 8200'
	docker_on h1 exec f1 busybox test -p /tmp/log/minidlna.log || fail "its log is no FIFO"
	# as it is without: nothing of that is on its stdout
	run f2 -d -v "$DIR/music:/opt:ro" glibc:1 -- sh -c '
		busybox mkdir -p /tmp/db /tmp/log
		printf "%s\n" media_dir=A,/opt port=8200 friendly_name=lab db_dir=/tmp/db log_dir=/tmp/log >/tmp/minidlna.conf
		exec minidlnad -S -f /tmp/minidlna.conf -P /tmp/minidlna.pid' >/dev/null
	wait_until "its log in a file" 60 docker_on h1 exec f2 busybox grep -qE 'Starting MiniDLNA|HTTP listening' /tmp/log/minidlna.log
	must_fail logs_have f2 'Starting MiniDLNA|HTTP listening on port 8200'
	docker_on h1 stop -t 60 f1 f2 >/dev/null
fi

step "a NIC that comes later"
run g1 -d --network none lab:1 --wait-if eth1 --wait-address -- sh -c 'echo "started with $(ip -o -4 addr show dev eth1)"; exec sleep 1000' >/dev/null
wait_until "it waits" 20 logs_have g1 'waiting for="interface eth1"'
must_fail logs_have g1 '^started'
pid=$(pid_of h1 g1)
inside h1 ip link add name "g1-host" type veth peer name eth1 netns "$pid"
inside h1 ip link set g1-host up
nsenter -t "$pid" -n ip link set eth1 up
nsenter -t "$pid" -n ip addr add 198.51.100.9/24 dev eth1
wait_until "the program starts" 20 logs_have g1 '^started with .*198.51.100.9'

step "NETWORKWAIT and an entry point that is a script"
run g2 -d -e NETWORKWAIT=1 lab:1 -- sh -c '/init wait-net --if lo && echo went && exec sleep 1000' >/dev/null
must_fail logs_have g2 '^went'
docker_on h1 exec g2 touch /tmp/.nsnetsetup
wait_until "the entry point goes on" 20 logs_have g2 '^went'

step "a holder: the network stays when the program is started again, and another joins"
run hold -d --network bridge lab:1 hold >/dev/null
address=$(docker_on h1 inspect -f '{{.NetworkSettings.IPAddress}}' hold)
[ -n "$address" ] || address=$(docker_on h1 inspect -f '{{.NetworkSettings.Networks.bridge.IPAddress}}' hold)
inside h1 ip link add name "hold-host" type veth peer name eth1 netns "$(pid_of h1 hold)"
docker_on h1 run -d --name server --network container:hold lab:1 sh -c 'mkdir -p /tmp/w && echo here >/tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w' >/dev/null
answers() {
	[ "$(inside h1 wget -qO- -T 2 "http://$address/" 2>/dev/null || inside h1 busybox wget -qO- "http://$address/")" = here ]
}
wait_until "the server answers at the holder's address" 20 answers
mac=$(in_container h1 server cat /sys/class/net/eth0/address)
for how in "restart -t 1" "kill" "rm -f"; do
	# shellcheck disable=SC2086 # words
	docker_on h1 $how server >/dev/null
	case $how in
	kill) docker_on h1 start server >/dev/null ;;
	rm*) docker_on h1 run -d --name server --network container:hold lab:1 sh -c 'mkdir -p /tmp/w && echo here >/tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w' >/dev/null ;;
	esac
	wait_until "after docker $how the server answers at the same address" 20 answers
	must_equal "MAC after $how" "$mac" "$(in_container h1 server cat /sys/class/net/eth0/address)"
	must_equal "the NIC from outside after $how" eth1 "$(in_container h1 server sh -c 'cd /sys/class/net && echo eth1*')"
done
status=0
docker_on h1 exec hold /init wait-net --if eth0 --address --timeout 20 || status=$?
must_equal "its health check" 0 $status
docker_on h1 rm -f server >/dev/null
docker_on h1 stop -t 60 hold >/dev/null
must_equal "the holder after docker stop" "exited 0" "$(exit_of hold)"

step "as the init of dockerd itself: docker run --init"
echo --init-path "$DIR/init" >>"$DIR/h1/dockerd.args"
tr '\n' ' ' <"$DIR/h1/dockerd.args" >"$DIR/args" && cp "$DIR/args" "$DIR/h1/dockerd.args"
service_of h1 dockerd restart
# shellcheck disable=SC2016 # for the shell inside
must_equal "docker run --init" "0 docker-router-init" \
	"$(docker_on h1 run --rm --init lab:1 sh -c 'echo $(kill -0 1; echo $?) $(/sbin/docker-init --version | cut -d" " -f1)')"
