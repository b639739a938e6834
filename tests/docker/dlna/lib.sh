# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the tests of DLNA share: an image with minidlna and one title, its container, and a television that looks for it, reads
# its list and plays the title. TV is dlna.py; the television is the node tv, 192.0.2.50, the host h1, 192.0.2.1.

MUSIC=$DIR/music
found=$DIR/found

minidlna_image() { # HOST
	. "$TOP/packaging/docker/rootfs.sh"
	step "an image with minidlna, and a title"
	mkdir -p "$DIR/image/etc" "$DIR/image/tmp" "$DIR/image/var/cache" "$DIR/image/bin" "$DIR/image/proc" "$MUSIC"
	rootfs_program "$DIR/image" minidlnad
	cp "$(command -v busybox)" "$DIR/image/bin/busybox"
	ln -s busybox "$DIR/image/bin/sh"
	echo 'root:x:0:0:root:/:/bin/sh' >"$DIR/image/etc/passwd"
	chmod 1777 "$DIR/image/tmp"
	tar -C "$DIR/image" -c . | docker_on "$1" import - minidlna:test >/dev/null
	python3 - "$MUSIC/title.wav" <<-'END'
		import random, sys, wave
		with wave.open(sys.argv[1], "wb") as w:
		    w.setparams((1, 2, 8000, 0, "NONE", ""))
		    w.writeframes(random.Random(1).randbytes(400000))
	END
}
minidlna_run() { # HOST NAME NETWORK: it announces itself once when it starts, and next after a quarter of an hour
	docker_on "$1" run -d --name "$2" --network "$3" -v "$MUSIC:/opt:ro" minidlna:test sh -c '
		busybox mkdir -p /tmp/log /tmp/db && busybox ln -sf /dev/stdout /tmp/log/minidlna.log
		printf "%s\n" media_dir=A,/opt port=8200 friendly_name=lab notify_interval=895 root_container=. db_dir=/tmp/db \
			log_dir=/tmp/log >/tmp/minidlna.conf
		busybox rm -f /tmp/minidlna.pid
		exec minidlnad -S -f /tmp/minidlna.conf -P /tmp/minidlna.pid' >/dev/null
	minidlna_drops "$1"
}
minidlna_drops() { # HOST: those of Docker 28, for containers as they are now, where the engine makes none
	[ "$ENGINE" != debian ] || "$TOP/lab/drops" "$1"
}
found() { # TTL
	inside tv "$TV" search 192.0.2.50 "$1" >"$found" && grep -q '^http://192.0.2.1:' "$found"
}
plays() {
	local location
	location=$(head -n 1 "$found" | cut -d' ' -f1)
	inside tv "$TV" play "$location" "$DIR/played.wav" >"$DIR/play.out" 2>&1 && cmp -s "$MUSIC/title.wav" "$DIR/played.wav"
}
whole() { # WHEN
	wait_until "$1: found by a search of TTL 4" 30 found 4
	wait_until "$1: found by a search of TTL 1" 15 found 1
	must_equal "$1: who answers" 192.0.2.1 "$(head -n 1 "$found" | cut -d' ' -f2)"
	wait_until "$1: a title is played" 30 plays
	must_contain "$1: the address of the title" '^http://192\.0\.2\.1:619[0-9]{2}/MediaItems/' "$(cat "$DIR/play.out")"
}
since_start() { # CONTAINER TIME: milliseconds after the container ran, for the log
	python3 - "$(docker_on h1 inspect -f '{{.State.StartedAt}}' "$1")" "$2" <<-'END'
		import datetime, re, sys
		at = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", sys.argv[1])).timestamp()
		print(round((float(sys.argv[2]) - at) * 1000), "ms after the container ran")
	END
}
