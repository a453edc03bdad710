/* SPDX-License-Identifier: Apache-2.0 */
#include "action/kernel_actions.h"

#define KERNEL_FIELD(type)                                         \
	{                                                          \
		"kernel", FIELD_STRING, FIELD_AT(type, kernel),    \
			.standard = "default",                     \
			.help = "name of the kernel; made by its " \
				"first use"                        \
	}
#define SPEC_FIELD(type)                                                                            \
	{                                                                                           \
		"spec", FIELD_STRING, FIELD_AT(type, spec),                                         \
			.help = "what a new kernel is: python (IPython where it is installed), "    \
				"the path of a Python interpreter, or a Jupyter kernel that is "    \
				"installed in the sandbox; standard: that of the kernel, or python" \
	}
#define KERNEL_RESULT \
	"the kernel: kernel, spec, pid, status (idle, busy, ended), n_cells, n_waiting, created_ms"

static const struct field cell_fields[] = {
	{ "code", FIELD_STRING, FIELD_AT(struct cell_params, code), FIELD_REQUIRED,
		.help = "what the kernel shall run" },
	KERNEL_FIELD(struct cell_params),
	SPEC_FIELD(struct cell_params),
	{ "cwd", FIELD_STRING, FIELD_AT(struct cell_params, cwd),
		.help = "change to this directory first; it stays the kernel's" },
	{ "env", FIELD_MAP, FIELD_AT(struct cell_params, env), FIELD_SECRET,
		.help = "variables of the environment for this cell alone; of Python" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct cell_params, timeout_ms), .min = 0,
		.max = 86400000, .standard = "120000",
		.help = "interrupt it after this long; 0: never" },
	{ "history", FIELD_BOOL, FIELD_AT(struct cell_params, history), .standard = "true",
		.help = "count it, and keep its value in Out" },
	{ "capture", FIELD_BOOL, FIELD_AT(struct cell_params, capture), .standard = "false",
		.help = "put the outputs into the result, instead of sending data and events" },
	{ "output_bytes", FIELD_INT, FIELD_AT(struct cell_params, output_bytes), .min = 1024,
		.max = CELL_OUTPUT_MAX, .standard = "1048576",
		.help = "how much text to report: the first and the last half of it" },
	{ 0 },
};

const struct action cell_action = {
	.name = "cell",
	.group = "kernel",
	.summary = "run code in an interpreter that stays alive",
	.result =
		"status (ok, error, interrupted, timed_out, ended), execution_count or null, error (name, "
		"value, traceback) or null, text, truncated_bytes, kernel, spec, python, is_new_kernel, "
		"duration_ms; with capture also outputs. Data: channel 1 stdout, channel 2 stderr, unless "
		"capture; events: every other output. Control: {\"signal\":\"INT\"}, whichever signal. A caller that goes "
		"away leaves the cell running",
	.fields = cell_fields,
	.params_size = sizeof(struct cell_params),
	.flags = ACTION_STREAMS_OUT | ACTION_KEEPS,
};

static const struct field open_fields[] = {
	KERNEL_FIELD(struct kernel_open_params),
	SPEC_FIELD(struct kernel_open_params),
	{ "cwd", FIELD_STRING, FIELD_AT(struct kernel_open_params, cwd),
		.help = "where it starts; standard: the sandbox's workdir" },
	{ "skills", FIELD_BOOL, FIELD_AT(struct kernel_open_params, skills), .standard = "false",
		.help = "with the functions for agents: open_file, search_dir, file_editor, …" },
	{ "wait", FIELD_BOOL, FIELD_AT(struct kernel_open_params, wait), .standard = "true",
		.help = "give the result when the kernel is ready for its first cell" },
	{ 0 },
};

const struct action kernel_open_action = {
	.name = "kernel_open",
	.group = "kernel",
	.summary = "start a kernel before its first cell",
	.result = KERNEL_RESULT,
	.fields = open_fields,
	.params_size = sizeof(struct kernel_open_params),
};

static const struct field name_fields[] = {
	KERNEL_FIELD(struct kernel_name_params),
	{ 0 },
};

const struct action kernel_close_action = {
	.name = "kernel_close",
	.group = "kernel",
	.summary = "end a kernel and forget it",
	.result = "the empty object",
	.fields = name_fields,
	.params_size = sizeof(struct kernel_name_params),
};

const struct action kernel_interrupt_action = {
	.name = "kernel_interrupt",
	.group = "kernel",
	.summary = "interrupt the cell that is running in a kernel",
	.result = KERNEL_RESULT ", as it was when the signal was sent",
	.fields = name_fields,
	.params_size = sizeof(struct kernel_name_params),
};

const struct action kernel_restart_action = {
	.name = "kernel_restart",
	.group = "kernel",
	.summary = "end a kernel and start it anew",
	.result = KERNEL_RESULT,
	.fields = name_fields,
	.params_size = sizeof(struct kernel_name_params),
};

static const struct field list_fields[] = { { 0 } };

const struct action kernel_list_action = {
	.name = "kernel_list",
	.group = "kernel",
	.summary = "list the kernels",
	.result = "kernels: an array of " KERNEL_RESULT,
	.fields = list_fields,
	.params_size = sizeof(struct kernel_list_params),
	.flags = ACTION_READS,
};
