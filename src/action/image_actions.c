/* SPDX-License-Identifier: Apache-2.0 */
#include "action/image_actions.h"

static const struct field gather_fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(struct gather_params, path), FIELD_REQUIRED | FIELD_PATH,
		.help = "where to look" },
	{ "sources", FIELD_STRINGS, FIELD_AT(struct gather_params, sources), FIELD_REQUIRED,
		.help = "patterns of paths beneath it" },
	{ "ignore", FIELD_STRING, FIELD_AT(struct gather_params, ignore),
		.help = "what .dockerignore says" },
	{ "name", FIELD_STRING, FIELD_AT(struct gather_params, name), FIELD_PATH,
		.help = "the name of the one file in the archive" },
	{ "mode", FIELD_STRING, FIELD_AT(struct gather_params, mode),
		.help = "octal permissions of all that is given" },
	{ "literal", FIELD_BOOL, FIELD_AT(struct gather_params, is_literal),
		.help = "the sources are paths, not patterns" },
	{ "digest", FIELD_BOOL, FIELD_AT(struct gather_params, is_digest),
		.help = "tell what they are, and give nothing" },
	{ 0 },
};

const struct action gather_action = {
	.name = "gather",
	.group = "image",
	.summary = "give chosen files beneath a directory as a tar archive",
	.result = "items: [{path, kind}]; digest; bytes; entries",
	.fields = gather_fields,
	.params_size = sizeof(struct gather_params),
	.flags = ACTION_STREAMS_OUT | ACTION_READS | ACTION_RAW,
};

static const struct field lay_fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(struct lay_params, path), FIELD_REQUIRED | FIELD_PATH,
		.help = "the directory that becomes the layer" },
	{ "max_bytes", FIELD_INT, FIELD_AT(struct lay_params, max_bytes), FIELD_REQUIRED, .min = 1,
		.max = INT64_MAX / 2, .help = "stop where more than this comes out" },
	{ 0 },
};

const struct action lay_action = {
	.name = "lay",
	.group = "image",
	.summary = "make the files of a layer that another executor gives",
	.result = "entries; written_bytes",
	.fields = lay_fields,
	.params_size = sizeof(struct lay_params),
};

static const struct field layer_fields[] = {
	{ "exclude", FIELD_STRINGS, FIELD_AT(struct layer_params, exclude),
		.help = "paths that do not belong to it" },
	{ "trees", FIELD_STRINGS, FIELD_AT(struct layer_params, trees),
		.help = "directories that are mounted as copies, and belong to it" },
	{ "look", FIELD_BOOL, FIELD_AT(struct layer_params, is_look),
		.help = "tell what it consists of, and give nothing" },
	{ "owners", FIELD_STRINGS, FIELD_AT(struct layer_params, owners),
		.help = "ids that keep what is theirs; the rest is root's" },
	{ "level", FIELD_INT, FIELD_AT(struct layer_params, level), .min = -1, .max = 256,
		.standard = "-1", .help = "of the part that is wanted; -1: all in one" },
	{ "owner", FIELD_INT, FIELD_AT(struct layer_params, owner), .min = 0, .max = UINT32_MAX,
		.standard = "0", .help = "of that part" },
	{ "last", FIELD_BOOL, FIELD_AT(struct layer_params, is_last),
		.help = "it will be the lowest of all parts" },
	{ 0 },
};

const struct action layer_action = {
	.name = "layer",
	.group = "image",
	.summary = "give what was changed in the root as a layer of an image",
	.result =
		"bytes; entries; file_bytes; foreign; of a look owners; parts: [{level, owner}], the topmost first",
	.fields = layer_fields,
	.params_size = sizeof(struct layer_params),
	.flags = ACTION_READS,
};
