#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
#
# State files that are broken, missing, somebody else's, not files at all, or cannot be written because the disk is full:
# a clear line in the log, no packet lost, nothing taken away, and all is well when the file is. The writer of a file puts
# it right by itself; here it is held while the others have to live with what they find.
. "$(dirname "$0")/faults/common.sh"

faults_begin
flows_ready
held h1 >"$FILES/held"
S=$DIR/h1/state

damage() { # KIND FILE: in one step where that is possible
	local f=$S/$2 new=$S/.new
	# given to the owner at the end: where fs.protected_regular is set, as on Debian, not even root writes into a file of
	# somebody else's in a sticky folder
	cp "$f" "$new" 2>/dev/null || true
	case $1 in
	truncated) truncate -s $(($(stat -c %s "$f") / 2)) "$new" ;;
	empty) truncate -s 0 "$new" ;;
	garbage) head -c 5000 /dev/urandom >"$new" ;;
	nested) printf '[%.0s' {1..100000} >"$new" ;;
	"wrong type") echo '{"version":1,"stacks":7,"peers":{},"self":[],"networks":"none"}' >"$new" ;;
	"other version") sed 's/"version": *1\b/"version":99/' "$f" >"$new" ;;
	"40 MB") truncate -s 40M "$new" ;;
	"somebody else's") chown 12345 "$new" ;;
	FIFO) rm "$new" && mkfifo "$new" ;;
	symlink) ln -sf "$FILES/copy" "$new" ;;
	missing) rm "$new" "$f" && return ;;
	directory) rm "$new" "$f" && mkdir -p "$f/in/the/way" && return ;;
	esac
	case $1 in
	"somebody else's" | FIFO | symlink) ;;
	*)
		[ ! -e "$f" ] || chown --reference="$f" "$new"
		chmod --reference="$f" "$new" 2>/dev/null || true
		;;
	esac
	mv -fT "$new" "$f"
}

sound() { # FILE: a regular file again, as its writer makes it
	[ -f "$S/$1" ] && [ ! -L "$S/$1" ] && [ "$(stat -c %u "$S/$1")" = "$owner" ] && jq -e '.version == 1 and (.stacks // .peers | type == "array")' "$S/$1"
}

said() { # PATTERN COUNT: at least so many lines
	[ "$(lines h1 "$1")" -ge "$2" ]
}

for role in inventory discovery; do
	file=$role.json
	step "$file"
	flows_start
	pid=$(role_pid h1 $role)
	owner=$(stat -c %u "$S/$file")
	cp "$S/$file" "$FILES/copy"
	for kind in truncated empty garbage nested "wrong type" "other version" "40 MB" "somebody else's" FIFO symlink missing directory; do
		kill -STOP "$pid"
		pattern="router: $file not taken over"
		before=$(lines h1 "$pattern")
		damage "$kind" $file
		wait_until "a log line of the router: $kind" 3 said "$pattern" $((before + 1))
		[ $role = discovery ] || wait_until "a log line of discovery: $kind" 3 said "discovery: inventory.json cannot be used" 1
		rest=$(($(lines h1 "$pattern") - before))
		[ "$rest" -le 2 ] || fail "$rest lines about one file, $kind: $(grep "$pattern" "$DIR/h1/router.log" | tail -n 5)"
		echo "$kind: $(grep "$pattern" "$DIR/h1/router.log" | tail -n 1 | sed 's/.*why=//')"
		before=$(lines h1 "$role: $file cannot be written")
		kill -CONT "$pid"
		# STATE_DIR is sticky: discovery, which is not root, cannot replace what belongs to others
		if [ "$kind" = directory ] || [[ $role,$kind =~ ^discovery,(somebody|FIFO|symlink) ]]; then
			wait_until "a log line of $role" 5 said "$role: $file cannot be written" $((before + 1))
			rm -r "${S:?}/$file"
		fi
		wait_until "$file is whole again after: $kind" 5 sound $file
	done
	flows_must
	held_must "after $file was damaged" h1 "$FILES/held"
done

step "router started while both files are broken, then discovery: nothing goes"
flows_start
kill -STOP "$(role_pid h1 inventory)" "$(role_pid h1 discovery)"
damage garbage inventory.json
damage garbage discovery.json
before=$(lines h1 "router: waiting for|router: .*json not taken over")
kill -9 "$(role_pid h1 router)"
wait_until "the new router has seen both" 5 said "router: waiting for|router: .*json not taken over" $((before + 2))
before=$(lines h1 "discovery.json cannot be used, starting with nobody known")
kill -9 "$(role_pid h1 discovery)"
wait_until "the new discovery has seen its file" 5 said "discovery.json cannot be used, starting with nobody known" $((before + 1))
owner=$(id -u nobody)
! wait_for "a list of peers, of nobody's knowledge" 2 sound discovery.json || fail "discovery wrote a file without knowing its stacks"
kill -CONT "$(role_pid h1 inventory)"
wait_until "discovery.json is there" 5 sound discovery.json
owner=0
wait_until "inventory.json is there" 5 sound inventory.json
flows_must
held_must "after both were broken" h1 "$FILES/held"

step "discovery started while inventory.json is broken"
flows_start
pid=$(role_pid h1 inventory)
kill -STOP "$pid"
damage garbage inventory.json
old=$(role_pid h1 discovery) before=$(lines h1 "discovery: inventory.json cannot be used") file=$(file_of h1 discovery)
kill -9 "$old"
wait_until "discovery has started" 5 role_back h1 discovery "$old" "$file"
wait_until "the new discovery has seen it" 5 said "discovery: inventory.json cannot be used" $((before + 1))
kill -CONT "$pid"
owner=0
wait_until "inventory.json is there" 5 sound inventory.json
flows_must
held_must "after that" h1 "$FILES/held"

step "discovery started without its file"
flows_start
old=$(role_pid h1 discovery)
kill -STOP "$old"
rm "$S/discovery.json"
kill -9 "$old"
owner=$(id -u nobody)
wait_until "discovery.json is there" 5 sound discovery.json
flows_must
held_must "after discovery.json was deleted" h1 "$FILES/held"

step "a full disk"
service_of h1 router stop
mkdir "$FILES/state"
cp -a "$S/." "$FILES/state"
mount -t tmpfs -o size=256k,mode=1771 lab "$S"
at_exit umount -l "$S"
cp -a "$FILES/state/." "$S"
service_of h1 router start
held_must "after the move to a small disk" h1 "$FILES/held"
flows_start
dd if=/dev/zero of="$S/fill" bs=1k >/dev/null 2>&1 || true
stack h1 five 1000 75
stack h2 six 1000 76
for role in inventory discovery; do
	wait_until "a log line of $role" 5 said "$role: $role.json cannot be written.*No space" 1
done
containers_learn h1
old=$(role_pid h1 router)
kill -9 "$old"
wait_until "a log line of host" 5 said "host.json cannot be written.*No space" 1
flows_must
rm "$S/fill"
for role in inventory discovery; do
	wait_until "$role.json again" 5 said "$role.json is written again" 1
	must_equal "lines about $role.json" 1 "$(lines h1 "$role: $role.json cannot be written.*No space")"
done
wait_until "host.json again" 5 said "host.json is written again" 1
[ "$(role_pid h1 router)" != "$old" ] || fail "host.json names the old router"
reach_ping h1 five 10.72.0.10
reach_ping h1 five 10.76.0.10
all_talk

step "router.json alone cannot be written"
before=$(lines h1 "router: router.json not written") again=$(lines h1 "router: router.json is written again")
in_the_way() { # it may just have been written again
	rm -f "$S/router.json"
	mkdir -p "$S/router.json/in/the/way"
}
wait_until "a folder where router.json is to be" 5 in_the_way
stack h2 seven 1000 77
wait_until "a log line of the router" 5 said "router: router.json not written" $((before + 1))
reach_ping h1 five 10.77.0.10
rm -r "$S/router.json"
wait_until "router.json again" 5 said "router: router.json is written again" $((again + 1))
[ -f "$S/router.json" ] || fail "no router.json"
must_equal "lines about router.json" $((before + 1)) "$(lines h1 "router: router.json not written")"

step "what is removed while nothing changes comes back"
for f in inventory discovery router records; do
	rm "$S/$f.json"
	wait_until "$f.json" 5 test -s "$S/$f.json"
done
