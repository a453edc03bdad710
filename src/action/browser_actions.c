/* SPDX-License-Identifier: Apache-2.0 */
#include "action/browser_actions.h"

static const struct field browse_fields[] = {
	{ "url", FIELD_STRING, FIELD_AT(struct browse_params, url),
		.help = "go there first: http, https, file, data or about:blank" },
	{ "program", FIELD_STRING, FIELD_AT(struct browse_params, program),
		.help = "calls to perform, such as click(\"12\") or fill(\"7\", \"text\"), one after the "
			"other" },
	{ "parts", FIELD_STRINGS, FIELD_AT(struct browse_params, parts),
		.help = "what to look at: axtree, content, screenshot, marks, axtree_object, elements; "
			"standard: the first four" },
	{ "screenshot_path", FIELD_STRING, FIELD_AT(struct browse_params, screenshot_path),
		.help = "write the screenshot there, too; directories are made" },
	{ "download_dir", FIELD_STRING, FIELD_AT(struct browse_params, download_dir),
		.standard = ".downloads", .help = "where downloads go" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct browse_params, timeout_ms), .min = 1000,
		.max = BROWSE_TIMEOUT_MAX_MS, .standard = "60000",
		.help = "deadline for the whole step" },
	{ "width", FIELD_INT, FIELD_AT(struct browse_params, width), .min = 200, .max = 4096,
		.standard = "1280", .help = "of the viewport, in pixels" },
	{ "height", FIELD_INT, FIELD_AT(struct browse_params, height), .min = 200, .max = 4096,
		.standard = "720", .help = "of the viewport, in pixels" },
	{ 0 },
};

const struct action browse_action = {
	.name = "browse",
	.group = "browser",
	.summary = "act in a browser, and look at its page",
	.result =
		"url, title, pages (an array of url), active (its index, or -1), focused (a bid or empty), error "
		"(of the call that failed, or empty), axtree (text), content (Markdown), screenshot and marks (PNG in "
		"base64), screenshot_path (if written), axtree_object, elements (by bid: visibility, bbox, clickable, "
		"set_of_marks), downloads (path, url, state), dialogs (type, message, accepted), messages (kind, "
		"text), truncated (names of parts that did not fit), duration_ms",
	.fields = browse_fields,
	.params_size = sizeof(struct browse_params),
};

static const struct field close_fields[] = { { 0 } };

const struct action browser_close_action = {
	.name = "browser_close",
	.group = "browser",
	.summary = "end the browser and forget its profile",
	.result = "was_running",
	.fields = close_fields,
	.params_size = sizeof(struct browser_close_params),
};
