# shellcheck shell=dash disable=SC1090,SC2034,SC2154,SC3043
# SPDX-License-Identifier: Apache-2.0
#
# As much of OpenWrt's /lib/functions.sh and /lib/functions/procd.sh as the scripts in packaging/openwrt use. A file of UCI is
# read the way OpenWrt reads `uci export`: as commands. What procd is told is written to $TOLD.

config() { # TYPE [NAME]
	N=$((${N:-0} + 1))
	SECTION=${2:-cfg$N}
	SECTIONS="$SECTIONS $1:$SECTION"
}
option() { # NAME VALUE
	eval "CONFIG_${SECTION}_$1=\$2"
}
list() { # NAME VALUE
	eval "L=\$((\${LENGTH_${SECTION}_$1:-0} + 1)); LENGTH_${SECTION}_$1=\$L"
	eval "ITEM_${SECTION}_$1_$L=\$2"
}
config_load() { # FILE
	SECTIONS=''
	[ ! -f "$UCI/$1" ] || . "$UCI/$1"
}
config_foreach() { # FUNCTION TYPE
	local s
	for s in $SECTIONS; do
		[ "${s%%:*}" != "$2" ] || "$1" "${s#*:}"
	done
}
config_get() { # VARIABLE SECTION OPTION [DEFAULT]
	eval "$1=\${CONFIG_$2_$3:-\${4:-}}"
}
config_get_bool() {
	eval "$1=\${CONFIG_$2_$3:-\${4:-0}}"
	eval "case \$$1 in 1 | on | true | yes | enabled) $1=1 ;; *) $1=0 ;; esac"
}
config_list_foreach() { # SECTION LIST FUNCTION
	local i=1 length item
	eval "length=\${LENGTH_$1_$2:-0}"
	while [ "$i" -le "$length" ]; do
		eval "item=\$ITEM_$1_$2_$i"
		"$3" "$item"
		i=$((i + 1))
	done
}
logger() {
	echo "log: $*" >>"$TOLD"
}
procd_open_instance() {
	echo "instance $1" >>"$TOLD"
}
procd_set_param() {
	echo "set $*" >>"$TOLD"
}
procd_append_param() {
	echo "append $*" >>"$TOLD"
}
procd_close_instance() {
	echo close >>"$TOLD"
}
procd_add_reload_trigger() {
	echo "trigger $*" >>"$TOLD"
}
procd_send_signal() {
	echo "signal $*" >>"$TOLD"
}
start() {
	start_service
}
