# SPDX-License-Identifier: Apache-2.0
# The front door. Meson and ninja do the work; every target works from a bare clone.
BUILD ?= build

.PHONY: all setup try check lint bench bless fuzz escape install clean

all: setup
	@tools/build $(BUILD)

setup:
	@tools/setup

try: all
	@tools/try $(BUILD)

check: setup
	@tools/check

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

install: all
	@ninja -C $(BUILD) install

clean:
	rm -rf build build-*
