/* SPDX-License-Identifier: Apache-2.0 */
/* The row of `cay image`. */
#include "cli/options.h"
#include "cli/tables.h"

#define IMAGE(member) OPTION_AT(struct image_options, member)

static const char *const networks[] = { "none", "loopback", "host", "proxy", NULL };

static const struct command_option image_options[] = {
	{ "tag", 't', OPTION_TEXTS, IMAGE(tags), "NAME", "build: a name of the image" },
	{ "file", 'f', OPTION_TEXT, IMAGE(file), "FILE",
		"build: the Dockerfile, or - for standard input (default: DIR/Dockerfile)",
		.complete = COMPLETE_FILE },
	{ "build-arg", 0, OPTION_TEXTS, IMAGE(args), "NAME=VALUE",
		"build: a value of ARG; without =VALUE that of the environment" },
	{ "label", 0, OPTION_TEXTS, IMAGE(labels), "NAME=VALUE", "build: a label of the image" },
	{ "target", 0, OPTION_TEXT, IMAGE(target), "STAGE", "build: the last stage to be built" },
	{ "network", 0, OPTION_TEXT, IMAGE(network), "NETWORK",
		"build: of RUN: none, loopback, proxy: what is allowed, or host: the host's own, without any wall",
		.standard = "none", .words = networks },
	{ "allow", 0, OPTION_TEXTS, IMAGE(allow), "TARGET",
		"build: with --network proxy: what RUN may connect to, as for `cay create`" },
	{ "no-cache", 0, OPTION_FLAG, IMAGE(no_cache), .help = "build: do every step anew" },
	{ "platform", 0, OPTION_TEXT, IMAGE(platform), "PLATFORM",
		"build: that of the machine; every other is refused" },
	{ "memory", 'm', OPTION_SIZE, IMAGE(memory_bytes), "SIZE",
		"build: limit of memory of each step (default: 4G)" },
	{ "disk", 0, OPTION_SIZE, IMAGE(disk_bytes), "SIZE",
		"build: limit of what each step writes (default: 8G)" },
	{ "timeout", 0, OPTION_DURATION, IMAGE(timeout_ms), "TIME",
		"build: give up after this long (default: 1h)" },
	{ "quiet", 'q', OPTION_FLAG, IMAGE(quiet), .help = "build: print nothing but the id" },
	{ "extra", 0, OPTION_TEXTS, IMAGE(extras), "COMMAND",
		"extend: a shell command that adds what is missing, run as root" },
	{ "force", 0, OPTION_FLAG, IMAGE(force),
		.help = "rm: by its id also where it has several names" },
	{ 0 },
};

static const struct command_argument image_arguments[] = {
	{ "VERB", 0, COMPLETE_NOTHING,
		"build, cache-clear, exists, extend, gc, import, inspect, ls, pull, rm or tag" },
	{ "ARGUMENT", ARGUMENT_OPTIONAL | ARGUMENT_MANY, COMPLETE_FILE,
		"build DIR, extend IMAGE, import FILE|DIR|- [NAME], inspect IMAGE, exists IMAGE, pull IMAGE, tag IMAGE NAME, rm IMAGE…" },
	{ 0 },
};

const struct command command_image = {
	.name = "image",
	.group = "Server",
	.summary = "build, take in, list and remove the images that the server keeps",
	.also = "images build pull load import",
	.description =
		"What is imported is a directory, or a tar archive (plain, gzip, bzip2, xz, zstd) of a root file "
		"system, of docker save, or of an OCI layout. It is unpacked in a sandbox of its own; layers are kept "
		"once, by their digest. A sandbox of an image has its layers below its own changes: nothing is "
		"copied. build makes an image from a Dockerfile and the files of DIR that .dockerignore does not name; each "
		"step runs in a sandbox of its own, without a network unless one is asked for, and what was done before is "
		"found again. FROM takes an image, host, scratch or a directory of the server's machine. extend builds from "
		"an image and commands; its names hold a digest of both, so that the same is built once. gc removes images "
		"without a name and a sandbox, cache-clear what builds have kept. exists says it by its status, 0 or 1. Of a "
		"server whose backend is docker all this is about its engine's images, and pull fetches one.",
	.examples = (const struct command_example[]){ { "cay image build -t tools:1 .",
							      "Build what ./Dockerfile says:" },
		{ "cay image build --network proxy --allow deb.debian.org -t app .",
			"With apt-get in RUN:" },
		{ "cay image extend host --extra 'make -C /opt/tool install'",
			"The host's tools and one more:" },
		{ "cay image import rootfs.tar tools:1",
			"Take a root file system in under a name:" },
		{ "docker save python:3.12 | cay image import -", "Under the names it has:" },
		{ "cay create --image tools:1 --name demo", "And use it:" }, { 0 } },
	.arguments = image_arguments,
	.options = { image_options, server_options, json_options },
	.values_size = sizeof(struct image_options),
};
