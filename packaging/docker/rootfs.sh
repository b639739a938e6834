# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Root file systems from this machine's own programs, for images where no registry can be reached.

rootfs_static() { # PROGRAM: is it linked statically?
	[[ $(ldd "$1" 2>&1) =~ not\ a\ dynamic|statically\ linked ]] # ldd itself fails on one
}

rootfs_libraries() { # ROOT PROGRAM: copy the libraries that PROGRAM needs, where it looks for them
	local library
	! rootfs_static "$2" || return 0
	ldd "$2" | grep -o '/[^ ]*' | while read -r library; do
		[ -e "$1$library" ] && continue
		mkdir -p "$1${library%/*}"
		cp -L "$library" "$1$library"
	done
}

rootfs_program() { # ROOT PROGRAM: copy it from PATH to its place, with its libraries
	local path
	path=$(command -v "$2") || return 1
	mkdir -p "$1${path%/*}"
	cp -L "$path" "$1$path"
	rootfs_libraries "$1" "$path"
}
