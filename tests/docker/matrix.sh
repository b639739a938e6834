#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: sid-v4 debian-v6 trixie-v4
# more: debian-v4 sid-v6 trixie-v6
#
# Three hosts, two VNIs, two stacks of each VNI on each host: every pair of containers of one VNI talks, on other hosts and
# on the same one, IPv4 and IPv6 inside, by ping, by TCP, by the largest packets that fit, and sees the other's true address;
# no pair of different VNIs does. One stack of each VNI has the same subnets. All that by the path that auto takes between
# container and overlay, and by leg or route.
. "$(dirname "$0")/lib.sh"

FILES=$(mktemp -d)
at_exit rm -rf "$FILES"
at_exit wait
{
	echo "switch sw"
	for n in 1 2 3; do
		echo 'datapath: auto' >"$FILES/h$n.yaml"
		words="CONFIG=$FILES/h$n.yaml dockerd=--experimental,--ip6tables"
		if [ $UNDERLAY = v6 ]; then
			echo "host h$n 2001:db8::$n/64 MULTICAST_GROUP=ff05::4790 $words"
		else
			echo "host h$n 192.0.2.$n/24 $words"
		fi
	done
} >"$FILES/topology"
lab_begin "$FILES/topology"
mtu=$(overlay_mtu)

step "twelve stacks"
stacks=() # NAME HOST VNI NET: 10.NET.0/24 and fd00:NET::/64, its container is number 10 there
for h in 1 2 3; do
	for s in 1 2; do
		stacks+=("a$h$s h$h 100 61.$h$s" "b$h$s h$h 200 62.$h$s")
	done
done
twin="b21 h2 200 61.11" # the subnets of a11, in the other VNI
stacks=("${stacks[@]/#b21 */$twin}")
for h in h1 h2 h3; do
	for s in "${stacks[@]}"; do
		read -r name host vni net <<<"$s"
		[ "$host" = $h ] || continue
		network_on $h "$name" "$vni" "10.$net.0/24" "fd00:${net/./:}::/64"
		container_on $h "$name" "$name" --ip "10.$net.10" --ip6 "fd00:${net/./:}::10"
	done &
done
wait
for h in h1 h2 h3; do
	must_equal "containers of $h" 4 "$(docker_on $h ps -q | wc -l)"
	"$TOP/lab/drops" $h
done

# One script for each container. Its tests run side by side, each with a deadline, and say what failed.
# shellcheck disable=SC2016 # for the shell inside
PRELUDE='
ask() { timeout 2 nc -w 1 "$1" 80 </dev/null 2>/dev/null; }
lost() { # how often TCP waited in vain for an answer, and how often a packet of ours was too large
	awk "\$1 == before { for (i = 2; i <= NF; i++) if (name[i] ~ /^(TCPTimeouts|InDestUnreachs)\$/) print name[i], \$i; before = \"\"; next }
		/^(TcpExt|Icmp):/ { before = \$1; split(\$0, name) }
		/^Icmp6InPktTooBigs/ { print }" /proc/net/netstat /proc/net/snmp /proc/net/snmp6 | xargs
}
talk() { # ADDRESS NAME SEEN SIZE
	end=$(($(date +%s) + 60))
	until ping -q -c 1 -W 1 "$1" >/dev/null 2>&1 && ping -q -c 1 -W 1 -M do -s "$4" "$1" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $end ] || { echo "$me does not reach $2, $1, by ping of $4 bytes"; return; }
	done
	until got=$(ask "$1") && [ -n "$got" ]; do
		[ "$(date +%s)" -lt $end ] || { echo "$me does not reach $2, $1, by TCP"; return; }
	done
	[ "$got" = "$2 $3" ] || echo "$me asks for $2, that is to see $3, at $1, and there is: $got"
}
bulk() { # ADDRESS NAME
	got=$(timeout 60 nc -w 30 "$1" 81 </dev/null | wc -c)
	[ "$got" = 1000000 ] || echo "$me gets $got bytes of 1000000 from $2, $1"
}
large() { # ADDRESS NAME SIZE MTU: ping of SIZE is too large, and somebody says so
	got=$(ping -c 2 -i 0.2 -W 1 -M do -s "$3" "$1" 2>&1) && echo "$me reaches $2, $1, by ping of $3 bytes"
	echo "$got" | grep -qE "mtu[ =:]*$4" || echo "$me is not told that $3 bytes are too large for $2, $1: $got"
}
apart() { # ADDRESS NAME
	! ping -q -c 2 -i 0.2 -W 1 "$1" >/dev/null 2>&1 || echo "$me reaches $2, $1, by ping" &
	got=$(ask "$1")
	[ -z "$got" ] || echo "$me reaches $2, $1, by TCP: $got"
	wait
}
'
script_of() { # NAME HOST VNI NET
	local me=$1 host=$2 vni=$3 net=$4 name o_host o_vni o_net size a4 a6 s talk='' bulk='' rest=''
	for s in "${stacks[@]}"; do
		read -r name o_host o_vni o_net <<<"$s"
		a4=10.$o_net.10 a6=fd00:${o_net/./:}::10
		if [ "$name" = "$me" ]; then
			continue
		elif [ "$vni" = "$o_vni" ]; then
			size=1500
			[ "$o_host" = "$host" ] || size=$mtu
			talk+="talk $a4 $name 10.$net.10 $((size - 28)) & talk $a6 $name $(ip6_long "fd00:${net/./:}::10") $((size - 48)) & "
			bulk+="bulk $a4 $name & bulk $a6 $name & "
			rest+="large $a4 $name $((size - 27)) $size & large $a6 $name $((size - 47)) $size & "
		elif [ "$o_net" != 61.11 ]; then # in both VNIs: that is a matter of who answers
			rest+="apart $a4 $name & apart $a6 $name & "
		fi
	done
	cat <<-END
		me=$me
		ping() { $(command -v ping) "\$@"; } # busybox has one of its own
		$PRELUDE
		$talk wait
		before=\$(lost)
		$bulk wait
		after=\$(lost)
		[ "\$after" = "\$before" ] || echo "\$me lost packets or time by TCP: \$before, then \$after"
		$rest wait
	END
}
everybody() {
	local name host vni net
	for s in "${stacks[@]}"; do
		read -r name host vni net <<<"$s"
		script_of "$name" "$host" "$vni" "$net" | "$TOP/lab/docker" "$host" exec -i "$name" sh -s >"$FILES/$name.out" 2>&1 ||
			echo "$name: the script failed" >>"$FILES/$name.out" &
	done
	wait
	cat "$FILES"/*.out >"$FILES/all"
	[ ! -s "$FILES/all" ] || fail "$(wc -l <"$FILES/all") times: $(head -n 30 "$FILES/all")"
}

declare -A pid
for s in "${stacks[@]}"; do
	read -r name host _ _ <<<"$s"
	pid[$name]=$(pid_of "$host" "$name")
done
path_of() { # NAME: how it sends to another host
	local to=10.61.31.10
	[[ $1 != a3* ]] || to=10.61.21.10
	[[ $1 != b* ]] || to=10.62.31.10
	[[ $1 != b3* ]] || to=10.62.12.10
	case $(nsenter --net="/proc/${pid[$1]}/ns/net" ip route get $to) in
	*" dev dr"*) echo nic ;;
	*" via 169.254.77.77 dev eth0 "*) echo route ;;
	*" via 10."*) echo leg ;;
	esac
}
paths_are() { # PATH
	for s in "${stacks[@]}"; do
		[ "$(path_of "${s%% *}")" = "$1" ] || return
	done
}

case $VARIANT in
debian-v6 | sid-v4 | trixie-v4) other=leg ;;
*) other=route ;;
esac
for grade in auto $other; do
	step "datapath $grade"
	path=$grade
	[ "$grade" != auto ] || path=nic
	for h in h1 h2 h3; do
		echo "datapath: $grade" >"$FILES/$h.yaml"
		kill -HUP "$(service_of $h router pid)"
	done
	wait_until "path $path of all containers" 10 paths_are "$path"
	everybody
done
