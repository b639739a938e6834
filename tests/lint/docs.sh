#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Does the documentation say what is so? Paths that it names exist; options of the roles and docker-router.conf(5) are the
# same; every command has its place in docker-router(1); man pages are in order. BUILD is the build folder.
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
program=$BUILD/src/docker-router
status=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

complain() {
	echo "$*" >&2
	status=1
}

# --- paths -----------------------------------------------------------------------------------------------------------

# In `code` anything that begins with a folder of ours, and the targets of links; a word with * may match many.
paths() { # FILE
	grep -oE '(^|[^A-Za-z0-9_./-])(src|tests|man|docs|lab|examples|scripts|packaging)/[A-Za-z0-9_.*/-]*[A-Za-z0-9_*/]' "$1" |
		sed -E 's,^[^a-z]+,,'
	grep -oE '\]\([^)#:]+\)' "$1" | sed 's,^](\(.*\))$,\1,'
}

for doc in README.md ARCHITECTURE.md CONTRIBUTING.md tests/README.md docs/*.md docs/decisions/*.md examples/*/README.md; do
	[ -f "$doc" ] || continue
	dir=$(dirname "$doc")
	for p in $(paths "$doc" | sort -u); do
		found=
		for candidate in "$p" "$dir/$p"; do
			# shellcheck disable=SC2086 # globs are meant
			for match in $candidate; do
				[ ! -e "$match" ] || found=1
			done
		done
		[ -n "$found" ] || complain "$doc names $p, which does not exist"
	done
done

# and what our own words send people to
grep -hoE '(packaging|docs|examples|scripts)/[A-Za-z0-9_./-]*[A-Za-z0-9]' src/*/*.c src/*.c | sort -u >"$tmp/said"
while read -r p; do
	[ -e "$p" ] || complain "src/ names $p, which does not exist"
done <"$tmp/said"

# ARCHITECTURE.md stays what one reads in a sitting: three pages
[ "$(wc -l <ARCHITECTURE.md)" -le 165 ] || complain "ARCHITECTURE.md is longer than three pages (165 lines)"

# --- options and commands --------------------------------------------------------------------------------------------

if [ -x "$program" ]; then
	for role in host inventory discovery router names status; do
		"$program" "$role" --help >"$tmp/help" 2>&1 || complain "$role --help ends with an error"
		sed -nE 's/^  --([a-z-]+).*, ([A-Z_]+)$/\2 \1/p' "$tmp/help"
	done | sort -u >"$tmp/program"
	sed -nE 's/^\*([A-Z_]+)\*, \*--([a-z-]+)\*.*$/\1 \2/p' man/docker-router.conf.5.scd | sort >"$tmp/page"
	[ -s "$tmp/program" ] || complain "no option was found in --help"
	comm -23 "$tmp/program" "$tmp/page" | while read -r name flag; do
		echo "docker-router.conf(5) says nothing about --$flag, $name"
	done >"$tmp/told"
	comm -13 "$tmp/program" "$tmp/page" | while read -r name flag; do
		echo "docker-router.conf(5) names --$flag, $name, which no role knows"
	done >>"$tmp/told"

	# a role's page lists exactly what it reads
	for role in inventory discovery router names; do
		"$program" "$role" --help | sed -nE 's/^  --([a-z-]+).*, [A-Z_]+$/\1/p' | sort -u >"$tmp/reads"
		sed -n '/^# OPTIONS/,/^# [A-NP-Z]/p' "man/docker-router-$role.8.scd" | grep -oE -- '\*--[a-z-]+' | sed 's/^\*--//' |
			sort -u >"$tmp/listed"
		comm -23 "$tmp/reads" "$tmp/listed" | sed "s/^/docker-router-$role(8) does not list --/" >>"$tmp/told"
		comm -13 "$tmp/reads" "$tmp/listed" | grep -vx say-goodbye |
			sed "s/^/docker-router-$role(8) lists what the role does not read: --/" >>"$tmp/told" || true
	done

	# and every option of a verb stands in docker-router(1), but for settings
	for verb in status peers routes stacks map doctor down version; do
		"$program" "$verb" --help | grep -vE ', [A-Z_]+$' | sed -nE 's/^  (--[a-z-]+)( .*)?$/\1/p' | sort -u | while read -r flag; do
			grep -qF -- "*$flag" man/docker-router.1.scd || echo "docker-router(1) says nothing about $flag of $verb"
		done >>"$tmp/told"
	done

	"$program" --help | sed -nE 's/^  ([a-z]+) +.*/\1/p' >"$tmp/commands"
	[ -s "$tmp/commands" ] || complain "no command was found in --help"
	while read -r command; do
		grep -qE "^\*$command\*( |$)" man/docker-router.1.scd || echo "docker-router(1) has no paragraph *$command*"
	done <"$tmp/commands" >>"$tmp/told"
	while read -r line; do
		complain "$line"
	done <"$tmp/told"
else
	complain "no $program: run 'make build' first"
fi

# --- man pages -------------------------------------------------------------------------------------------------------

for page in man/*.scd; do
	name=$(basename "$page" .scd)
	grep -q "'$name'" man/meson.build || complain "$page is not in man/meson.build"
	[ "$(head -n 1 "$page")" = "${name%.*}(${name##*.})" ] || complain "$page: the first line is not ${name%.*}(${name##*.})"
	# references among our own pages lead somewhere
	for other in $(grep -oE '\*docker-router[a-z.-]*\*\([0-9]\)' "$page" | tr -d '*)' | tr '(' '.' | sort -u); do
		[ -f "man/$other.scd" ] || complain "$page refers to $other, which does not exist"
	done
	command -v scdoc >/dev/null || continue
	scdoc <"$page" >"$tmp/$name" || {
		complain "$page: scdoc refuses it"
		continue
	}
	command -v mandoc >/dev/null || continue
	# scdoc puts paragraph macros where mandoc finds them idle, and today's date as it likes
	mandoc -Tlint -W warning "$tmp/$name" | grep -vE 'skipping paragraph macro|date' >"$tmp/lint" || true
	[ ! -s "$tmp/lint" ] || complain "$(cat "$tmp/lint")"
done

[ $status = 0 ] && echo "docs: as they should be"
exit $status
