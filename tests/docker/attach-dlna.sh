#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# timeout: 240
#
# A minidlna with an address of its own on the LAN, by DHCP: gssdp-discover on the LAN finds it as it finds any device, at that
# address, with nothing relayed; also after it was made anew.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/attach-lib.sh"

command -v dnsmasq >/dev/null || skip "no dnsmasq here (package dnsmasq-base)"
command -v minidlnad >/dev/null || skip "no minidlnad here (package minidlna)"
command -v gssdp-discover >/dev/null || skip "no gssdp-discover here (package gupnp-tools)"
attach_lab

step "an image with minidlna"
. "$TOP/packaging/docker/rootfs.sh"
mkdir -p "$DIR/image/etc" "$DIR/image/tmp" "$DIR/image/var/cache" "$DIR/image/bin" "$DIR/image/proc" "$DIR/music"
rootfs_program "$DIR/image" minidlnad
cp "$(command -v busybox)" "$DIR/image/bin/busybox"
ln -s busybox "$DIR/image/bin/sh"
echo 'root:x:0:0:root:/:/bin/sh' >"$DIR/image/etc/passwd"
chmod 1777 "$DIR/image/tmp"
tar -C "$DIR/image" -c . | docker_on h1 import - minidlna:test >/dev/null

nsenter --net="/run/netns/$(ns lan)" -- dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=lan0 \
	--bind-interfaces --dhcp-leasefile="$DIR/leases" --dhcp-authoritative --pid-file= --no-ping \
	--dhcp-range=198.51.100.100,198.51.100.120,3600 --log-facility="$DIR/dnsmasq.log" &
server=$!
at_exit end $server

media() {
	docker_on h1 run -d --name dlna --network none -e NETWORKWAIT=1 --label docker-router.attach=br-lan:lan0 \
		--label docker-router.attach.lan0.address=dhcp -v "$DIR/music:/opt:ro" minidlna:test sh -c '
		until [ -f /tmp/.nsnetsetup ]; do busybox sleep 0.1; done
		busybox mkdir -p /tmp/log /tmp/db && busybox ln -sf /dev/stdout /tmp/log/minidlna.log
		printf "%s\n" media_dir=A,/opt port=8200 friendly_name=lab notify_interval=895 db_dir=/tmp/db log_dir=/tmp/log \
			>/tmp/minidlna.conf
		exec minidlnad -S -f /tmp/minidlna.conf -P /tmp/minidlna.pid' >/dev/null
}
found() { # ADDRESS
	inside lan timeout 10 gssdp-discover -i lan0 -n 3 -t upnp:rootdevice 2>&1 | grep -q "http://$1:8200/"
}

step "found on the LAN, at its own address"
media
ready dlna lan0
address=$(nic dlna lan0 'leases[0].address')
wait_until "gssdp-discover finds it" 60 found "${address%/*}"

step "made anew: at the same address"
docker_on h1 rm -f dlna >/dev/null
media
ready dlna lan0
must_equal "its address" "$address" "$(nic dlna lan0 'leases[0].address')"
wait_until "gssdp-discover finds it again" 60 found "${address%/*}"
docker_on h1 rm -f dlna >/dev/null

step "examples/lan-dhcp as it stands, on that image"
ln -sf busybox "$DIR/image/bin/sleep"
mkdir -p "$DIR/image/run"
cp "$TOP/examples/minidlna/minidlna.conf" "$DIR/image/etc/minidlna.conf"
for name in lan_minidlna lan-minidlna; do # as Compose 1 and 2 call what they would build
	tar -C "$DIR/image" -c . | docker_on h1 import - "$name" >/dev/null
done
example() {
	MUSIC_PATH=$DIR/music compose_on h1 -p lan -f "$TOP/examples/lan-dhcp/docker-compose.yml" "$@"
}
example up -d --no-build >"$DIR/compose.log" 2>&1 || fail "$(cat "$DIR/compose.log")"
name=$(container_of h1 lan minidlna)
ready "$name" lan0
address=$(nic "$name" lan0 'leases[0].address')
wait_until "gssdp-discover finds it" 60 found "${address%/*}"
example down -v -t 0 >/dev/null 2>&1

step "examples/openwrt: its container in OpenWrt's file, and its Compose file"
service_of h1 router restart "ATTACH_UCI=$TOP/examples/openwrt/config.docker" >/dev/null
run mqtt
ready mqtt eth1
must_equal "on OpenWrt's bridge" br-lan "$(master_of mqtt eth1)"
said=$(compose_on h1 -f "$TOP/examples/openwrt/docker-compose.yml" config 2>&1) || true
case $said in
*docker-router.name*mqtt*) must_contain "its network" 'parent: br-lan' "$said" ;;
*) must_contain "an older Compose refuses driver_opts, as the guide says" 'driver_opts' "$said" ;;
esac
