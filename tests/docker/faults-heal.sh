#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: debian-v4
# alone: milliseconds and lost packets are counted
#
# Whatever of ours somebody deletes or changes is back within HEAL_MS (default 50) of the kernel's event, the median of
# TRIES (default 3); then all is exactly as before, and what belongs to others, beside ours, was not touched.
# shellcheck disable=SC2086 # inH, inV, inC are several words
. "$(dirname "$0")/faults/common.sh"
HEAL_MS=${HEAL_MS:-50} TRIES=${TRIES:-3}

faults_begin
H=$(host_ns h1) V=$(vni_ns h1 1000) C=/proc/$(pid_of h1 one)/ns/net
inH="nsenter --net=$H --" inV="nsenter --net=$V --" inC="nsenter --net=$C --"
bridge=br-$(docker_on h1 network inspect -f '{{slice .Id 0 12}}' one)
table=$($inH ip rule | sed -n "s/.*iif $bridge lookup \([0-9]*\).*/\1/p")
drl=$($inH ip -j link | jq -r ".[] | select(.master == \"$bridge\" and (.ifalias // \"\" | startswith(\"docker-router:\"))) | .ifname")
leg=leg-${drl#drl-}
nic=$($inV ip -j link | jq -r '.[] | select(.ifname | startswith("nic-")) | .ifname')
gateway=$($inV ip -j -6 neigh show nud permanent dev vx1000 | jq -r '.[0].dst')
peer=$($inV ip -j -6 neigh show nud permanent dev vx1000 | jq -r '.[0].lladdr')

settle
held h1 >"$FILES/alone"

step "what others have beside ours"
$inH ip route add 203.0.113.0/24 via 192.0.2.2
$inH ip route add 203.0.113.0/24 via 192.0.2.2 table "$table"
$inH ip rule add pref 4789 from 203.0.113.1 table main
$inH ip rule add pref 100 iif "$bridge" table main suppress_prefixlength 0
$inH ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent
$inH ip link add dev other0 type veth peer name other1
$inH ip link set dev other0 master "$bridge" up
$inH ip addr add 198.51.100.1/24 dev other1
$inH nft -f - <<-'END2'
	table inet other {
		set s { type ipv4_addr; elements = { 192.0.2.2 }; }
		chain prerouting { type filter hook prerouting priority -320; ip saddr @s accept; }
	}
END2
foreign() { # without counters, and without the host's own changes
	$inH ip route show
	$inH ip route show table "$table" | grep -v 'proto 212'
	$inH ip rule | grep -v 'proto 212'
	$inH ip -o addr show dev eth0 | sed 's/valid_lft.*//'
	$inH ip neigh show nud permanent | grep -v 'proto 212'
	$inH ip -o link show | grep -E 'other|eth0|docker0' | sed 's/ mode .*//'
	$inH nft list table inet other
	$inH iptables-save | grep -v '^#' | sed 's/\[[0-9:]*\]//'
	$inC ip route | grep -v 'proto 212'
	$inC ip -o addr show dev eth0 | sed 's/valid_lft.*//'
}
settle
foreign >"$FILES/foreign"
held h1 >"$FILES/held"
errors=$(lines h1 'level=(error|warning)| (error|warning) ')

slow=''
heals() { # WHAT NAMESPACE GONE BACK CMD...
	local what=$1 median
	median=$(heal time "$2" "$3" "$4" "$TRIES" "${@:5}") || fail "$what does not come back"
	printf '%-46s %s ms\n' "$what" "$median"
	[ "$(printf '%.0f' "${median%% *}")" -le "$HEAL_MS" ] || slow+="; $what: ${median%% *} ms"
	held_must "after '$what'" h1 "$FILES/held"
}

in_place() { # LINK "NSENTER..." ARGS...: heals, and it is the same link afterwards
	local link=$1 in=$2 before
	before=$($in ip -j link show dev "$link" | jq '.[0].ifindex')
	heals "${@:3}"
	must_equal "the link after '$3'" "$before" "$($in ip -j link show dev "$link" | jq '.[0].ifindex')"
}

step "entries of the host's namespace (medians, then each, from the kernel's event to the kernel's event)"
r=10.72.0.0/24
heals "route of the stack's table" "$H" "DELROUTE $r table $table" "NEWROUTE $r table $table" $inH ip route del $r table "$table"
heals "all routes of that table" "$H" "DELROUTE $r table $table" "NEWROUTE $r table $table" $inH ip route flush table "$table" proto 212
heals "route, replaced by another's" "$H" "NEWROUTE $r table $table .*proto 4" "NEWROUTE $r table $table .*proto 212" \
	$inH ip route replace blackhole $r table "$table" proto static
heals "rule of the bridge" "$H" "DELRULE pref 4789 iif $bridge" "NEWRULE pref 4789 iif $bridge" $inH ip rule del pref 4789 iif "$bridge" table "$table"
heals "rule of the host's own" "$H" "DELRULE pref 4791" "NEWRULE pref 4791" $inH ip rule del pref 4791
heals "neighbour" "$H" "DELNEIGH 169.254.77.77 dev $bridge" "NEWNEIGH 169.254.77.77 dev $bridge .* lladdr 02" $inH ip neigh del 169.254.77.77 dev "$bridge"
heals "neighbour, changed" "$H" "NEWNEIGH 169.254.77.77 .*lladdr 02:00:00:00:00:01" "NEWNEIGH 169.254.77.77 .*lladdr 02:(?!00:00:00:00:01)" \
	$inH ip neigh replace 169.254.77.77 lladdr 02:00:00:00:00:01 dev "$bridge" nud permanent

step "links of the host's namespace"
heals "leg, host's end set down" "$H" "NEWLINK $drl down" "NEWLINK $drl up" $inH ip link set dev "$drl" down
heals "leg, out of its bridge" "$H" "NEWLINK $drl .* master -" "NEWLINK $drl .* master br-" $inH ip link set dev "$drl" nomaster
heals "leg, its MTU" "$H" "NEWLINK $drl .*mtu 1280" "NEWLINK $drl .*mtu 1500" $inH ip link set dev "$drl" mtu 1280
heals "leg, its alias" "$H" "NEWLINK $drl .*alias (?!docker)" "NEWLINK $drl .*alias docker" $inH ip link set dev "$drl" alias ''
heals "leg, deleted" "$H" "DELLINK $drl" "NEWLINK $drl up .*master br-" $inH ip link del dev "$drl"
in_place "$drl" "$inH" "leg, renamed" "$H" "NEWLINK foo" "NEWLINK $drl up .*master br-" \
	sh -c "$inH ip link set dev $drl down; $inH ip link set dev $drl name foo"

step "the router namespace"
heals "route to the peer" "$V" "DELROUTE $r" "NEWROUTE $r" $inV ip route del $r
heals "route of the stack" "$V" "DELROUTE 10.71.0.0/24" "NEWROUTE 10.71.0.0/24" $inV ip route del 10.71.0.0/24
heals "neighbour of the peer" "$V" "DELNEIGH $gateway" "NEWNEIGH $gateway .*lladdr $peer" $inV ip neigh del "$gateway" dev vx1000
heals "FDB entry of the peer" "$V" "DELNEIGH fdb $peer" "NEWNEIGH fdb $peer .*dst 192.0.2.2" $inV bridge fdb del "$peer" dev vx1000
heals "FDB entry, sent elsewhere" "$V" "NEWNEIGH fdb $peer .*dst 192.0.2.66" "NEWNEIGH fdb $peer .*dst 192.0.2.2 " \
	$inV bridge fdb replace "$peer" dev vx1000 dst 192.0.2.66 self permanent
heals "IPv4 address of the leg" "$V" "DELADDR 169.254.77.77" "NEWADDR 169.254.77.77" $inV ip addr del 169.254.77.77/32 dev "$leg"
heals "IPv6 address of the leg" "$V" "DELADDR fe80::77:77" "NEWADDR fe80::77:77" $inV ip addr del fe80::77:77/64 dev "$leg"
heals "all addresses of the VXLAN device" "$V" "DELADDR fe80.* vx1000" "NEWADDR fe80.* vx1000" $inV ip addr flush dev vx1000
heals "VXLAN device, set down" "$V" "NEWLINK vx1000 down" "NEWROUTE $r" $inV ip link set dev vx1000 down
heals "VXLAN device, its MTU" "$V" "NEWLINK vx1000 .*mtu 1300" "NEWLINK vx1000 .*mtu 1450" $inV ip link set dev vx1000 mtu 1300
heals "VXLAN device, an MTU too small for IPv6" "$V" "NEWLINK vx1000 .*mtu 1000" "NEWADDR fe80.* vx1000" $inV ip link set dev vx1000 mtu 1000
heals "VXLAN device, its MAC" "$V" "NEWLINK vx1000 .*mac 02:00:00:00:00:09" "NEWLINK vx1000 .*mac (?!02:00:00:00:00:09)" \
	$inV ip link set dev vx1000 address 02:00:00:00:00:09
in_place vx1000 "$inV" "VXLAN device, learning" "$V" "NEWLINK vx1000 .* learning" "NEWLINK vx1000 .* nolearning" $inV ip link set dev vx1000 type vxlan learning
in_place vx1000 "$inV" "VXLAN device, renamed" "$V" "NEWLINK foo" "NEWLINK vx1000 up" \
	sh -c "$inV ip link set dev vx1000 down; $inV ip link set dev vx1000 name foo"
heals "VXLAN device, deleted" "$V" "DELLINK vx1000" "NEWROUTE $r" $inV ip link del dev vx1000
$inV ip link set dev vx1000 netns "$(ns evil)" # its socket keeps the VNI occupied until it is gone there
ip -n "$(ns evil)" link del dev vx1000
held_must "after the VXLAN device was moved away" h1 "$FILES/held"
heals "leg, deleted" "$V" "DELLINK $leg" "NEWROUTE 10.71.0.0/24" $inV ip link del dev "$leg"
in_place "$leg" "$inV" "leg, renamed" "$V" "NEWLINK foo" "NEWLINK $leg up" \
	sh -c "$inV ip link set dev $leg down; $inV ip link set dev $leg name foo"
heals "leg, set down" "$V" "NEWLINK $leg down" "NEWROUTE 10.71.0.0/24" $inV ip link set dev "$leg" down

step "the container's NIC"
heals "NIC, deleted" "$V" "DELLINK $nic" "NEWROUTE 10.71.0.10/32" $inV ip link del dev "$nic"
heals "NIC, deleted inside" "$C" "DELLINK dr1000" "NEWROUTE $r" $inC ip link del dev dr1000
in_place dr1000 "$inC" "NIC, renamed inside" "$C" "NEWLINK foo" "NEWLINK dr1000 up" \
	sh -c "$inC ip link set dev dr1000 down; $inC ip link set dev dr1000 name foo"
heals "NIC, set down inside" "$C" "NEWLINK dr1000 down" "NEWROUTE $r" $inC ip link set dev dr1000 down
inside=$($inC ip rule | sed -n 's/^4789:.* lookup \([0-9]*\).*/\1/p') # the overlay's table
heals "route inside" "$C" "DELROUTE $r" "NEWROUTE $r" $inC ip route del $r table "$inside"
heals "rule inside" "$C" "DELRULE" "NEWRULE" $inC ip rule del pref 4789
heals "neighbour inside" "$C" "DELNEIGH 169.254.77.77 dev dr1000" "NEWNEIGH 169.254.77.77 dev dr1000" $inC ip neigh del 169.254.77.77 dev dr1000

step "nftables"
t="inet docker-router"
heals "table" "$H" "DELTABLE docker-router" "NEWTABLE docker-router" $inH nft delete table $t
heals "all rules" "$H" "DELRULE docker-router" "NEWRULE docker-router" $inH nft flush table $t
heals "one rule" "$H" "DELRULE docker-router vni-1000" "NEWRULE docker-router vni-1000" \
	sh -c "$inH nft delete rule $t vni-1000 handle \$($inH nft -a list chain $t vni-1000 | sed -n 's/.*drop # handle //p')"
heals "one rule more" "$H" "NEWRULE docker-router vni-1000" "DELRULE docker-router vni-1000" $inH nft insert rule $t vni-1000 accept
heals "one element" "$H" "DELELEM docker-router peers4-1000" "NEWELEM docker-router peers4-1000" $inH nft delete element $t peers4-1000 '{ 192.0.2.2 }'
heals "one element more" "$H" "NEWELEM docker-router peers4-1000" "DELELEM docker-router peers4-1000" $inH nft add element $t peers4-1000 '{ 192.0.2.66 }'
heals "a set flushed" "$H" "DELELEM docker-router overlay4" "NEWELEM docker-router overlay4" $inH nft flush set $t overlay4
heals "table of the router namespace" "$V" "DELTABLE docker-router" "NEWTABLE docker-router" $inV nft delete table $t

step "others' things are as they were, and traffic flows"
foreign >"$FILES/foreign.now"
diff "$FILES/foreign" "$FILES/foreign.now" || fail "something of somebody else was changed"
$inH ip route del 203.0.113.0/24 table "$table"
$inH ip rule del pref 4789 from 203.0.113.1
$inH ip link del dev other0
$inH nft delete table inet other
$inH ip rule del pref 100
$inH ip neigh del 192.0.2.77 dev eth0
held_must "after others took theirs away" h1 "$FILES/alone"
all_talk
must_equal "warnings and errors in the log" "$errors" "$(lines h1 'level=(error|warning)| (error|warning) ')"
[ -z "$slow" ] || fail "slower than $HEAL_MS ms${slow#;}"
