# SPDX-License-Identifier: Apache-2.0
# The front door. Meson and ninja do the work; every target works from a bare clone.
BUILD ?= build

.PHONY: all setup try check sanitize clients lint bench bless fuzz escape fault soak vm vm-systemd install uninstall clean

all: setup
	@tools/build $(BUILD)

setup:
	@tools/setup

try: all
	@tools/try $(BUILD)

check: setup
	@tools/check

# The end-to-end tests over programs with sanitizers; a report of theirs fails the test whose server it came from.
sanitize: setup
	@CC=clang tools/build build-asan -Db_sanitize=address,undefined -Db_lundef=false
	@ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 tools/test build-asan e2e

clients: all
	@tools/clients $(BUILD)

lint: setup
	@tools/lint

bench: all
	@bench/run $(BUILD)

bless: all
	@BLESS=1 tools/test $(BUILD) golden

fuzz: setup
	@tools/fuzz

escape: all
	@tools/test $(BUILD) escape

# Calls and allocations that fail, a hundred times as many as in check.
fault: all
	@SCALE=$${SCALE:-100} tools/test $(BUILD) fault

# What asks for cgroups, and the escape suite, where v2 is the only hierarchy: in a guest, as root and as two users.
vm: all
	@tools/vm $(BUILD)

# The installed service where systemd is process 1: two minutes.
vm-systemd: all
	@tools/vm $(BUILD) --systemd

# Ten thousand lives, a thousand kills, half an hour of load: hours. A hundredth of it is part of check.
soak: all
	@SCALE=$${SCALE:-100} tools/test $(BUILD) soak

# make install PREFIX=/opt/cay, DESTDIR=…
install: all
	@$(if $(PREFIX),meson configure $(BUILD) "-Dprefix=$(PREFIX)")
	@ninja -C $(BUILD) install

# What the last `make install` of this BUILD has put there.
uninstall:
	@ninja -C $(BUILD) uninstall

clean:
	rm -rf build build-*
