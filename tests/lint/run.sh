#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# `make lint`: tests/lint/run.sh [--results FILE] [CHECK...]: formatting, static analysis, shell scripts, man pages,
# spelling, the rules of the layers. A check whose tool is missing is skipped, and says so.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
results=/dev/null status=0
if [ "${1:-}" = --results ]; then
	results=$2
	shift 2
fi
only=" $* "

c_files() {
	git ls-files -co --exclude-standard '*.c' '*.h'
}
shell_files() { # by their first line, whatever they are called
	git ls-files -co --exclude-standard | while read -r f; do
		[ -f "$f" ] || continue
		case $(head -c 40 "$f" | head -n 1 | tr -d '\0') in
		'#!/bin/sh'* | '#!/usr/bin/env bash'* | '#!/bin/bash'* | '# shellcheck shell='*) echo "$f" ;;
		esac
	done
}

check() { # NAME TOOL FUNCTION
	local log begin=$SECONDS
	[ "$only" = "  " ] || [[ $only == *" $1 "* ]] || return
	if ! command -v "$2" >/dev/null; then
		echo "skip $1: no $2 here"
		echo "skip lint $1" >>"$results"
		return
	fi
	log=$(mktemp)
	if "$3" >"$log" 2>&1; then
		echo "ok $1 ($((SECONDS - begin)) s)"
		echo "ok lint $1" >>"$results"
	else
		echo "not ok $1 ($((SECONDS - begin)) s)"
		echo "not ok lint $1" >>"$results"
		tail -n 60 "$log" | sed 's/^/    /'
		status=1
	fi
	rm -f "$log"
}

formatting() {
	c_files | xargs clang-format --dry-run -Werror
}

tidy() { # what gcc was told, less what clang does not know; a file that was clean is not looked at again until it changes
	[ -f "$BUILD/compile_commands.json" ] || { echo "no $BUILD/compile_commands.json: make build first"; return 1; }
	local result=0 headers
	mkdir -p "$BUILD/tidy"
	sed -E 's/-fsanitize=[a-z,]*//g' "$BUILD/compile_commands.json" >"$BUILD/tidy/compile_commands.json"
	headers=$(cat .clang-tidy src/*/*.h | sha256sum)
	jq -r '.[].file' "$BUILD/tidy/compile_commands.json" | grep -oE '(^|/)src/.*\.c$' | sed 's,^/,,' | sort -u |
		while read -r f; do
			[ ! -f "$f" ] || echo "$BUILD/tidy/$( (echo "$headers" && cat "$f") | sha256sum | cut -c1-32) $f"
		done | while read -r clean f; do [ -f "$clean" ] || echo "$clean $f"; done |
		xargs -P "$(nproc)" -n 2 sh -c 'clang-tidy --quiet -p "$0/tidy" --warnings-as-errors="*" "$2" 2>&1 && touch "$1"' \
			"$BUILD" >"$BUILD/tidy/log" || result=1
	grep -E '(error|warning): ' "$BUILD/tidy/log" | sort -u
	return "$result"
}

cppcheck_all() {
	cppcheck --quiet --std=c17 --language=c --enable=warning,portability --inline-suppr --error-exitcode=1 -j "$(nproc)" \
		--suppressions-list=tests/lint/cppcheck.txt -D_GNU_SOURCE -D__linux__ -DRELEASE='""' -DLIBEXEC='""' -Isrc src
}

shell() {
	shell_files | xargs -P "$(nproc)" -n 8 shellcheck -S warning -x -P SCRIPTDIR
}

musl() { # the C library of OpenWrt and Alpine; libraries' headers are those of this machine
	find src -name '*.c' -print0 | xargs -0 -P "$(nproc)" -n 16 musl-gcc -std=gnu17 -Wall -Werror -fsyntax-only -D_GNU_SOURCE \
		-DRELEASE='""' -DLIBEXEC='""' -Isrc -idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)"
}

man_pages() {
	local f found=
	for f in "$BUILD"/man/*.[1-8]; do
		[ -f "$f" ] || continue
		found=1
		# scdoc puts a paragraph macro before every block: mandoc calls those empty, and passes them over
		! mandoc -Tlint -W warning "$f" | grep -v 'skipping paragraph macro' || return 1
	done
	[ -n "$found" ] || { echo "no man pages in $BUILD/man"; return 1; }
}

spelling() {
	git ls-files -co --exclude-standard | grep -vE '^(LICENSE|tests/(fuzz|golden)/)' | while read -r f; do
		[ -f "$f" ] && echo "$f"
	done | xargs codespell -I tests/lint/codespell.txt
}

docs() {
	BUILD=$BUILD tests/lint/docs.sh
}

layers() {
	tests/lint/layers.sh
}

check formatting clang-format formatting
# minutes on two processors: `make lint` takes them, `make check` does not
[ -n "${FAST:-}" ] || check clang-tidy clang-tidy tidy
check cppcheck cppcheck cppcheck_all
check shellcheck shellcheck shell
check musl musl-gcc musl
check man mandoc man_pages
check spelling codespell spelling
check layers sh layers
check docs sh docs
exit $status
