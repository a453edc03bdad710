# SPDX-License-Identifier: Apache-2.0
# The front door. Meson and ninja do the work; every target works from a bare clone.
BUILD ?= build

.PHONY: all setup try check clients lint bench bless fuzz escape soak install clean

all: setup
	@tools/build $(BUILD)

setup:
	@tools/setup

try: all
	@tools/try $(BUILD)

check: setup
	@tools/check

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

# Ten thousand lives, a thousand kills, half an hour of load: hours. A hundredth of it is part of check.
soak: all
	@SCALE=$${SCALE:-100} tools/test $(BUILD) soak

install: all
	@ninja -C $(BUILD) install

clean:
	rm -rf build build-*
