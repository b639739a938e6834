# SPDX-License-Identifier: Apache-2.0
# A facade: Meson builds, scripts do the rest. `make help` tells what there is.

BUILD ?= build
BUILD_ASAN ?= build-asan
BUILD_FUZZ ?= build-fuzz
JOBS ?= $(shell nproc)
WERROR ?=
T ?= two-hosts
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60

# -O1 takes half as long to compile; its guesses at truncation are worse than those of -O2, which the ordinary build hears
SANITIZE = -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dc_args=-Wno-format-truncation
MESON_OPTIONS = --prefix=$(PREFIX) $(if $(WERROR),-Dwerror=true)
ROLES = inventory discovery router host cli

# --quiet says "no work to do" all the same; what is built is asked first, since a pipe would hide a failure
ninja = ninja -C $(1) -n --quiet | grep -q "no work to do" || ninja -C $(1) -j $(JOBS) --quiet

.PHONY: help packages build asan demo check test sim vm rekey bench lab fuzz lint clean install golden-update

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

packages:
	@if [ "$$(id -u)" = 0 ]; then packaging/packages.sh build; fi

build: packages ## compile (installs what it needs when run as root); the command is build/docker-router
	@[ -f $(BUILD)/build.ninja ] || { echo "compiling into $(BUILD), half a minute or so"; \
		meson setup $(MESON_OPTIONS) $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }; \
		echo "$(PREFIX)" >$(BUILD)/prefix; }
	@rm -f $(BUILD).log
	@[ "$$(cat $(BUILD)/prefix 2>/dev/null)" = "$(PREFIX)" ] || { meson configure $(BUILD) --prefix=$(PREFIX) && \
		echo "$(PREFIX)" >$(BUILD)/prefix; }
	@$(call ninja,$(BUILD))
	@ln -sfn src/docker-router $(BUILD)/docker-router

asan: packages ## the same with the address and undefined-behaviour sanitizers, in build-asan
	@[ -f $(BUILD_ASAN)/build.ninja ] || meson setup $(MESON_OPTIONS) $(SANITIZE) $(BUILD_ASAN) >$(BUILD_ASAN).log 2>&1 || { cat $(BUILD_ASAN).log; exit 1; }
	@rm -f $(BUILD_ASAN).log
	@$(call ninja,$(BUILD_ASAN))
	@ln -sfn src/docker-router $(BUILD_ASAN)/docker-router

demo: build ## root: two Docker hosts on this machine whose stacks reach each other by name (KEEP=1 leaves them up)
	@packaging/packages.sh lab
	@DOCKER_ROUTER=$(abspath $(BUILD))/docker-router lab/demo.sh

lab: build ## root: bring up a lab to play with: make lab T=three-hosts
	@packaging/packages.sh lab
	@DOCKER_ROUTER=$(abspath $(BUILD))/docker-router lab/up $(T)

check: ## root: every test, with real dockerds, and once more under the sanitizers
	@packaging/packages.sh build check vm
	@BUILD=$(BUILD) BUILD_ASAN=$(BUILD_ASAN) tests/check.sh

test: build ## the tests that need neither root nor Docker: unit tests, and the rules of the layers
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs --quiet
	@tests/lint/layers.sh

sim: build ## gossip: all 1,000 schedules of faults, up to 5,000 nodes (an hour or more); one: build/tests/sim/sim --seed N --nodes N --trace
	@$(BUILD)/tests/sim/sim --full

vm: build ## WireGuard of a real kernel, in an emulated machine (a minute or two; downloads that kernel once)
	@packaging/packages.sh vm
	@DOCKER_ROUTER=$(abspath $(BUILD))/docker-router tests/vm/wireguard.sh

rekey: build ## root: no packet is lost by the handshake after the cluster key has changed (WireGuard; four minutes)
	@packaging/packages.sh lab
	@DOCKER_ROUTER=$(abspath $(BUILD))/docker-router LONG=1 tests/docker/run.sh wireguard/debian-v4

bench: build ## root: measure, side by side with Docker Swarm's overlay
	@packaging/packages.sh lab bench
	@BUILD=$(BUILD) tests/bench/run.sh

fuzz: ## every fuzzer for FUZZ_SECONDS (60)
	@packaging/packages.sh build fuzz
	@[ -f $(BUILD_FUZZ)/build.ninja ] || CC=clang meson setup -Dfuzz=true -Dtests=false $(BUILD_FUZZ) >/dev/null
	@$(call ninja,$(BUILD_FUZZ))
	@BUILD=$(BUILD_FUZZ) tests/fuzz/run.sh $(FUZZ_SECONDS)

lint: build ## formatting, static analysis, shell scripts, man pages, spelling, the rules of the layers
	@packaging/packages.sh check
	@BUILD=$(BUILD) tests/lint/run.sh

golden-update: build ## write what the verbs print now into tests/golden
	@BUILD=$(BUILD) tests/golden/run.sh --update

install: build ## into PREFIX (/usr/local), as a plugin of docker too, with a systemd unit (DESTDIR is honoured)
	@meson install -C $(BUILD) --no-rebuild --quiet
	@mkdir -p $(DESTDIR)/usr/local/lib/docker/cli-plugins $(DESTDIR)/usr/lib/systemd/system $(DESTDIR)/usr/lib/sysusers.d
	@ln -sfn $(PREFIX)/bin/docker-router $(DESTDIR)/usr/local/lib/docker/cli-plugins/docker-router
	@sed 's,/usr/bin/docker-router,$(PREFIX)/bin/docker-router,' packaging/systemd/docker-router.service \
		>$(DESTDIR)/usr/lib/systemd/system/docker-router.service
	@cp packaging/sysusers/docker-router.conf $(DESTDIR)/usr/lib/sysusers.d/docker-router.conf
	@[ -n "$(DESTDIR)" ] || ! command -v systemd-sysusers >/dev/null || systemd-sysusers docker-router.conf
	@[ -n "$(DESTDIR)" ] || ! [ -d /run/systemd/system ] || systemctl daemon-reload
	@echo "installed: docker-router, docker router; systemctl enable --now docker-router starts it"

clean: ## remove what was built
	rm -rf $(BUILD) $(BUILD_ASAN) $(BUILD_FUZZ)
