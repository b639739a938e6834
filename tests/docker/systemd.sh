#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# timeout: 240
#
# docker-router as `make install` puts it, a service of a real systemd that also runs Debian's own docker.service: enabled, started,
# reloaded, stopped, killed, started anew, while a ping to the other host loses nothing. systemd is PID 1 of namespaces
# made here, below an overlay of this machine's root, in the network namespace of h1.
. "$(dirname "$0")/lib.sh"

for f in /lib/systemd/systemd /lib/systemd/system/docker.service /lib/systemd/system/containerd.service; do
	[ -e $f ] || skip "no $f here"
done
build=$(dirname "$(readlink -f "$DOCKER_ROUTER")")
build=${build%/src}
[ "$(cat "$build/prefix" 2>/dev/null)" = /usr/local ] || skip "the build is not for /usr/local"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
CGROUP=drt-systemd-$LAB

lab_begin two-hosts
service_of h1 router stop
service_of h1 dockerd stop

# --- systemd ---
# A group of our own in each hierarchy, and a namespace with that as root: what systemd and docker make stays below.
cgroups() { # the hierarchies: FOLDER OPTIONS
	awk '$3 == "cgroup" { n = split($4, o, ","); print $2, o[n] } $3 == "cgroup2" { print $2, "" }' /proc/mounts | sort -u
}
cgroups_gone() {
	local d gone=0
	while read -r d _; do
		find "$d/$CGROUP" -depth -type d -exec rmdir {} \; 2>/dev/null
		[ ! -e "$d/$CGROUP" ] || gone=1
	done < <(cgroups)
	return $gone
}
cgroups_end() { # the last of their processes may not be reaped yet
	wait_for "the end of cgroup $CGROUP" 15 cgroups_gone || echo "left behind: cgroup $CGROUP"
}
at_exit cgroups_end
ROOT=$FILES/root
mkdir -p "$ROOT" "$FILES/tmp"
cgroups >"$FILES/cgroups"
cat >"$FILES/boot" <<'END'
set -e
FILES=$1 ROOT=$1/root DATA=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$FILES/tmp"
mkdir "$FILES/tmp/upper" "$FILES/tmp/work"
mount -t overlay -o "lowerdir=/,upperdir=$FILES/tmp/upper,workdir=$FILES/tmp/work" overlay "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t sysfs sysfs "$ROOT/sys"
for d in run tmp dev sys/fs/cgroup; do
	mount -t tmpfs tmpfs "$ROOT/$d"
done
while read -r d name; do
	d=$ROOT/sys/fs/cgroup/${d##*/cgroup}
	mkdir -p "$d"
	case $name in
	'') mount -t cgroup2 cgroup2 "$d" ;;
	*) mount -t cgroup -o "$name" cgroup "$d" ;;
	esac
done <"$FILES/cgroups"
for d in null zero full random urandom tty; do
	touch "$ROOT/dev/$d"
	mount --bind "/dev/$d" "$ROOT/dev/$d"
done
mkdir -p "$ROOT/dev/pts" "$ROOT/dev/shm" "$ROOT/dev/net" "$ROOT/var/lib/docker"
ln -s /proc/self/fd "$ROOT/dev/fd"
mount --bind "$DATA" "$ROOT/var/lib/docker"
cp -a "$FILES/install/." "$ROOT/"
# what acts on the machine, which is not this systemd's
cd "$ROOT/etc/systemd/system"
rm -rf -- *.wants "$ROOT"/etc/init.d/*
mkdir -p docker.service.d
printf '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock --ip6tables=false\n' \
	>docker.service.d/lab.conf
for u in systemd-sysctl systemd-modules-load systemd-udevd systemd-udev-trigger systemd-remount-fs systemd-random-seed \
	systemd-update-utmp systemd-sysusers; do
	ln -sf /dev/null $u.service
done
for u in dev-hugepages dev-mqueue sys-kernel-debug sys-kernel-tracing sys-kernel-config sys-fs-fuse-connections; do
	ln -sf /dev/null $u.mount
done
echo h1 >"$ROOT/etc/hostname"
# not chroot: what joins a mount namespace begins at its root, and docker exec would see this machine's
cd "$ROOT"
pivot_root . mnt
exec chroot . /bin/sh -c 'umount --lazy /mnt && exec env -i container=lab PATH="$PATH" /lib/systemd/systemd --system --unit=basic.target'
END

make -s -C "$TOP" install "BUILD=$build" "DESTDIR=$FILES/install" >/dev/null
proc_start "$FILES/systemd.proc" "$FILES/systemd.log" nsenter --net="/run/netns/$(ns h1)" -- sh -c '
	while read -r d _; do
		mkdir -p "$d/$2" && { [ ! -e "$d/cpuset.mems" ] || { cat "$d/cpuset.cpus" >"$d/$2/cpuset.cpus" &&
			cat "$d/cpuset.mems" >"$d/$2/cpuset.mems"; }; } && echo $$ >"$d/$2/cgroup.procs" || exit
	done <"$1/cgroups"
	exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child sh "$1/boot" "$1" "$3"' \
	sh "$FILES" "$CGROUP" "$DIR/h1/data"
pid1=''
systemd_end() { # its end is the end of all that it started
	[ -z "$pid1" ] || ! proc_time "$pid1" >/dev/null || kill -KILL "$pid1"
	proc_end "$FILES/systemd.proc"
}
at_exit systemd_end
sd() { # CMD...: on h1, as its systemd sees it
	nsenter --target "$pid1" --mount --pid --uts --ipc --cgroup --net --root --wd -- "$@"
}
boots() {
	local leader
	leader=$(proc_pid "$FILES/systemd.proc") || return
	pid1=$(tr -d ' ' <"/proc/$leader/task/$leader/children") && [ -n "$pid1" ] &&
		[ "$(cat "/proc/$pid1/comm")" = systemd ] && [ "$(sd systemctl is-active basic.target)" = active ]
}
log_show() { # told only when the test fails
	[ -z "$pid1" ] || sd journalctl --no-pager --output cat -n 40 -u docker-router -u docker || true
}
at_exit log_show
step "systemd"
wait_until "systemd" 60 boots

step "docker.service, and docker-router as README.md says"
sd systemctl enable --now --quiet docker.service
sd systemctl enable --now --quiet docker-router
must_equal "docker-router" active "$(sd systemctl is-active docker-router)"
echo "export DOCKER_HOST=unix:///proc/$pid1/root/run/docker.sock" >>"$DIR/h1/env"
in_container() { # its dockerd counts processes as its systemd does
	docker_on "$1" exec "${@:2}"
}
for n in 1 2; do
	network_on h$n net 1000 10.7$n.0.0/24
	container_on h$n c$n net --ip 10.7$n.0.10
done
reach h1 c1 10.72.0.10
reach h2 c2 10.71.0.10
must_contain "docker router peers" '^1000 +net +h2 +192.0.2.2 +10.72.0.0/24 +active' "$(sd docker router peers)"
must_equal "what systemd thinks of the unit" '' "$(sd systemd-analyze verify docker-router.service 2>&1)"
must_equal "what failed" '' "$(sd systemctl list-units --failed --plain --no-legend)"

# from now on nothing is lost
echo_pid=$(pid_of h2 c2)
nsenter --net="/proc/$echo_pid/ns/net" ping -i 0.01 -W 5 10.71.0.10 >"$FILES/ping" &
ping=$!
at_exit end $ping
main_pid() {
	sd systemctl show --property MainPID --value docker-router
}
active() { # and with another main process than $1, and all roles have it
	[ "$(sd systemctl is-active docker-router)" = active ] && [ "$(main_pid)" != "$1" ]
}
log_has() { # COUNT TEXT
	[ "$(sd journalctl --quiet --output cat -u docker-router | grep -cF "$2")" -ge "$1" ]
}
pid=$(main_pid)
step "reload"
sd sh -c 'mkdir -p /etc/docker-router && echo "log_level: debug" >/etc/docker-router/docker-router.yaml'
sd systemctl reload docker-router
wait_until "the config is read again" 10 log_has 1 "config read again"
must_equal "main process" "$pid" "$(main_pid)"

step "killed"
sd kill -KILL "$pid"
wait_until "systemd starts it again" 20 active "$pid"

step "restarted"
pid=$(main_pid)
sd systemctl restart docker-router
active "$pid" || fail "it is not active after a restart"

step "stopped, and started"
sd systemctl stop docker-router
must_equal "processes left" '' "$(sd pgrep -f libexec/docker-router || true)"
sd systemctl start docker-router
kill -INT $ping
wait $ping || true
tail -n 3 "$FILES/ping"
must_contain "ping" ' 0% packet loss' "$(tail -n 3 "$FILES/ping")"

step "docker.service restarted"
docker_on h1 kill c1 >/dev/null # it takes no other signal
sd systemctl restart docker.service
docker_on h1 start c1 >/dev/null
reach h1 c1 10.72.0.10
reach h2 c2 10.71.0.10

step "down --purge stops the service's process, and leaves nothing"
sd systemctl disable --now --quiet docker-router
sd docker router down --purge
must_equal "rules" '' "$(inside h1 ip rule | grep 'proto 212' || true)"
must_equal "links" '' "$(inside h1 ip -o link | grep -E 'drl-|vx1000' || true)"
must_equal "folders" '' "$(sd find /run /var/lib -maxdepth 1 -name 'docker-router*')"
