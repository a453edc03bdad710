/* SPDX-License-Identifier: Apache-2.0 */
#include "action/document_actions.h"

static const struct field convert_fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(struct convert_params, path), FIELD_REQUIRED | FIELD_PATH,
		.help = "a document: .pdf, .docx, .pptx or .xlsx" },
	{ 0 },
};

const struct action convert_action = {
	.name = "convert",
	.group = "file",
	.summary = "give the text of a document as Markdown",
	.result = "markdown",
	.fields = convert_fields,
	.params_size = sizeof(struct convert_params),
	.flags = ACTION_READS,
};

static const struct field lint_fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(struct lint_params, path), FIELD_REQUIRED | FIELD_PATH,
		.help = "the file, as it is after the change" },
	{ "diff", FIELD_STRING, FIELD_AT(struct lint_params, diff), .standard = "",
		.help = "the change, as a unified diff without context: what was wrong before is not told" },
	{ 0 },
};

const struct action lint_action = {
	.name = "lint",
	.group = "file",
	.summary = "tell what a change broke in a file, by the linters that are in the sandbox",
	.result =
		"linted (false: there is no linter for such a file), issues: an array of line, column, message",
	.fields = lint_fields,
	.params_size = sizeof(struct lint_params),
	.flags = ACTION_READS,
};
