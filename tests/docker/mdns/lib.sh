# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A real avahi-daemon, with the network of a container or another machine, for tests that have net_of().

avahi() { # WHO NAME TYPE: offers that service there
	local etc=$DIR/avahi-$2
	rm -f "$DIR/avahi-$2.log"
	mkdir -p "$etc/services"
	printf '[server]\nhost-name=%s\nenable-dbus=no\nuse-ipv6=no\n[publish]\npublish-workstation=no\n' "$2" >"$etc/avahi-daemon.conf"
	printf '<service-group><name>%s</name><service><type>%s</type><port>80</port></service></service-group>\n' "$2" "$3" \
		>"$etc/services/one.service"
	chmod -R a+rX "$etc"
	# shellcheck disable=SC2016 # for the shell inside
	proc_start "$DIR/avahi-$2.proc" "$DIR/avahi-$2.log" nsenter --net="$(net_of "$1")" -- unshare --mount -- sh -c '
		mount -t tmpfs tmpfs /run && mount --bind "$1" /etc/avahi || exit
		exec avahi-daemon --no-drop-root --no-chroot --no-rlimits' sh "$etc"
	at_exit proc_end "$DIR/avahi-$2.proc"
	wait_until "avahi offers $2" 15 grep -q 'successfully established' "$DIR/avahi-$2.log"
}
