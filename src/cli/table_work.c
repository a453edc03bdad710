/* SPDX-License-Identifier: Apache-2.0 */
/* What is done in sandboxes: programs, Python, tools, pages, terminals, files, ports. */
#include "cli/options.h"
#include "cli/tables.h"

#define EXEC(member) OPTION_AT(struct exec_options, member)

static const struct command_option exec_options[] = {
	{ "stdin", 'i', OPTION_FLAG, EXEC(input), .help = "give it this program's standard input" },
	{ "tty", 't', OPTION_FLAG, EXEC(tty), .help = "on a terminal of its own" },
	{ "detach", 'd', OPTION_FLAG, EXEC(detach),
		.help = "print the process's id as soon as it is started; see cay logs" },
	{ "env", 'e', OPTION_TEXTS, EXEC(env), "NAME[=VALUE]",
		"set a variable, or pass the caller's on; may be given often" },
	{ "workdir", 'w', OPTION_TEXT, EXEC(workdir), "PATH",
		"where it starts (default: the sandbox's)" },
	{ "user", 'u', OPTION_TEXT, EXEC(user), "USER",
		"who it runs as, by name or number (default: the sandbox's)" },
	{ "timeout", 0, OPTION_DURATION, EXEC(timeout_ms), "TIME",
		"kill it after this long; 0: never", .standard = "0" },
	RAW(struct exec_options),
	{ 0 },
};

static const struct command_argument exec_arguments[] = {
	ONE_SANDBOX,
	{ "COMMAND", ARGUMENT_COMMAND, COMPLETE_NOTHING, "the program to run, and its arguments" },
	{ 0 },
};

const struct command command_exec = {
	.name = "exec",
	.group = "Sandboxes",
	.summary = "run a program in a sandbox",
	.also = "ssh",
	.description =
		"Its output comes as it is written, its exit status becomes that of this command (128+N when signal "
		"N ended it). SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed on to it. When cay itself fails, the "
		"status is 125. With --json one object with exit_code, stdout and stderr is printed at the end.",
	.examples = (const struct command_example[]){ { "cay exec demo -- gcc --version",
							      "One program:" },
		{ "tar -c src | cay exec -i demo -- tar -x -C /workspace", "With input:" }, { 0 } },
	.arguments = exec_arguments,
	.failure_exit = OWN_FAILURE,
	.options = { exec_options, server_options, json_options },
	.values_size = sizeof(struct exec_options),
};

#define TOOL(member) OPTION_AT(struct tool_options, member)

static const struct command_option tool_options[] = {
	{ "http", 0, OPTION_TEXT, TOOL(http), "URL",
		"ls, call, wait: of this tool server (CAMEL's api.py, or cay tool serve) and not of a sandbox; it is "
		"shown CAY_TOOL_TOKEN" },
	{ "name", 0, OPTION_TEXT, TOOL(name), "NAME",
		"add: the tool NAME is the program that follows" },
	{ "description", 0, OPTION_TEXT, TOOL(description), "TEXT", "add: what such a tool does" },
	{ "parameters", 0, OPTION_TEXT, TOOL(parameters), "SCHEMA",
		"add: JSON Schema of its arguments" },
	{ "action", 0, OPTION_TEXT, TOOL(action), "ACTION",
		"add: an action of the sandbox, such as run, is the tool" },
	{ "endpoint", 0, OPTION_TEXT, TOOL(endpoint), "URL",
		"add: the tool --name is an HTTP endpoint, which the server asks; with --mcp an MCP server's" },
	{ "server", 0, OPTION_TEXT, TOOL(server), "URL",
		"add: every tool of that tool server (CAMEL's api.py, or cay tool serve)" },
	{ "header", 0, OPTION_TEXTS, TOOL(headers), "NAME=VALUE",
		"add: for --endpoint and --server; the sandbox does not see it; may be given often" },
	{ "mcp", 0, OPTION_FLAG, TOOL(mcp),
		.help = "add: the program that follows, or with --endpoint who is there, is an MCP server, whose name is "
			"--name" },
	{ "path", 0, OPTION_TEXTS, TOOL(paths), "DIR",
		"add: a directory of the sandbox with Python modules; host: one of this machine, which the sandbox "
		"sees; may be given often" },
	{ "python", 0, OPTION_TEXT, TOOL(python), "PROGRAM",
		"add, host: the sandbox's interpreter (default: python3); host: or that of an environment of this "
		"machine, as a relative path: .venv/bin/python" },
	{ "api", 0, OPTION_TEXT, TOOL(api), "FILE",
		"host: CAMEL's api.py, beside which CAMEL itself is found, in the place of which it serves" },
	{ "env", 'e', OPTION_TEXTS, TOOL(env), "NAME[=VALUE]",
		"add: set a variable, or pass the caller's on; may be given often" },
	{ "replace", 0, OPTION_FLAG, TOOL(replace),
		.help = "add: in the place of the pack of this name" },
	{ "timeout", 0, OPTION_DURATION, TOOL(timeout_ms), "TIME",
		"call: give up after this long; add: the deadline of calls (default: 10m); wait: for an answer "
		"(default: 10s)",
		.standard = "0" },
	{ "listen", 0, OPTION_TEXT, TOOL(listen), "HOST:PORT",
		"serve, host: where (default: CAY_TOOL_LISTEN, else 127.0.0.1:8000); an address that other machines "
		"reach wants CAY_TOOL_TOKEN" },
	{ 0 },
};

static const struct command_argument tool_arguments[] = {
	{ "VERB", 0, COMPLETE_NOTHING, "add, ls, call, rm, reset, serve, host or wait" },
	{ "SANDBOX", ARGUMENT_OPTIONAL, COMPLETE_SANDBOX,
		"its name or id; not with --http, nor with host" },
	{ "WORD", ARGUMENT_OPTIONAL | ARGUMENT_MANY, COMPLETE_NOTHING,
		"add: the entrypoint, or a program; call: the tool, then VALUE and NAME=VALUE; rm: a tool or a "
		"pack; reset: a pack (default: all); host: entrypoints" },
	{ 0 },
};

const struct command command_tool = {
	.name = "tool",
	.group = "Sandboxes",
	.summary = "give a sandbox tools, call them, and serve them to agents",
	.description =
		"A tool is a named function with a schema. Tools come in packs: a Python entrypoint "
		"(module.attribute, or module.Class{\"argument\": 1}), loaded into an interpreter of its own in "
		"the sandbox, whose state lasts; a program that takes and gives JSON; an action; an HTTP endpoint, "
		"another tool server or an MCP server. A VALUE that is "
		"JSON is that, any other is a string.\n\n"
		"serve listens as CAMEL's tool server until it is ended, so that its RemoteHttpRuntime works "
		"unmodified. host does that in a sandbox of its own, with these packs, which goes with it. The "
		"directory in which it is started and --path are seen in there, read-only.\n\n"
		"RemoteHttpRuntime(\"127.0.0.1\", python_exec=\"cay\") starts `cay …/api.py ENTRYPOINT…`: that is host.",
	.examples =
		(const struct command_example[]){
			{ "cay tool add demo camel.toolkits.MathToolkit",
				"A toolkit that the sandbox's Python has:" },
			{ "cay tool call demo math_add 1 b=2", "A call:" },
			{ "cay tool add demo --name count -- wc -l", "A program as a tool:" },
			{ "cay tool serve demo --listen 127.0.0.1:8000",
				"For RemoteHttpRuntime(\"127.0.0.1\"):" },
			{ "cay tool host kit.Counter kit.shout",
				"The tools of kit.py in this directory:" },
			{ 0 } },
	.arguments = tool_arguments,
	.options = { tool_options, server_options, json_options },
	.values_size = sizeof(struct tool_options),
};

#define PY(member) OPTION_AT(struct py_options, member)

static const struct command_option py_options[] = {
	{ "kernel", 'k', OPTION_TEXT, PY(kernel), "NAME",
		"which interpreter; made by its first use", .standard = "default" },
	{ "spec", 0, OPTION_TEXT, PY(spec), "SPEC",
		"what a new kernel is: python, the path of a Python interpreter, or a Jupyter kernel of the "
		"sandbox (default: python)" },
	{ "workdir", 'w', OPTION_TEXT, PY(workdir), "PATH", "change to this directory first" },
	{ "timeout", 0, OPTION_DURATION, PY(timeout_ms), "TIME",
		"interrupt it after this long; 0: never", .standard = "0" },
	RAW(struct py_options),
	{ 0 },
};

static const struct command_argument py_arguments[] = {
	ONE_SANDBOX,
	{ "CODE", ARGUMENT_OPTIONAL, COMPLETE_NOTHING, "what to run (default: standard input)" },
	{ 0 },
};

const struct command command_py = {
	.name = "py",
	.group = "Sandboxes",
	.summary = "run Python in an interpreter that stays alive in a sandbox",
	.also = "python",
	.description =
		"Variables, imports and the directory survive from one call to the next. What the code prints comes "
		"as it is printed, then the value of its last expression; of pictures only their description is "
		"shown, --json has them. C-c interrupts the code, not the interpreter. The status is 0, 1 after an "
		"exception, 124 after a timeout, 130 after an interrupt.",
	.examples = (const struct command_example[]){ { "cay py demo 'x = 6 * 7'",
							      "A first cell:" },
		{ "cay py demo x", "It knows what was before:" },
		{ "cay py demo < analysis.py", "Code from a file:" }, { 0 } },
	.arguments = py_arguments,
	.options = { py_options, server_options, json_options },
	.values_size = sizeof(struct py_options),
};

#define BROWSE(member) OPTION_AT(struct browse_options, member)

static const struct command_option browse_options[] = {
	{ "program", 'p', OPTION_TEXT, BROWSE(program), "CALLS",
		"what to do there, such as 'fill(\"12\", \"text\") click(\"15\")'" },
	{ "tree", 't', OPTION_FLAG, BROWSE(tree),
		.help = "print the accessibility tree, with the ids that CALLS use, and not the text" },
	{ "screenshot", 'o', OPTION_TEXT, BROWSE(picture), "FILE",
		"write a picture of the page, as PNG", .complete = COMPLETE_FILE },
	{ "marks", 0, OPTION_FLAG, BROWSE(marks),
		.help = "in the picture, mark what can be clicked with its id" },
	{ "timeout", 0, OPTION_DURATION, BROWSE(timeout_ms), "TIME", "give up after this long",
		.standard = "60s", .min = 1000, .max = 600000 },
	RAW(struct browse_options),
	{ 0 },
};

static const struct command_argument browse_arguments[] = {
	ONE_SANDBOX,
	{ "URL", ARGUMENT_OPTIONAL, COMPLETE_NOTHING, "the page to go to (default: stay)" },
	{ 0 },
};

const struct command command_browse = {
	.name = "browse",
	.group = "Sandboxes",
	.summary = "look at a page in a sandbox's browser, and act there",
	.description =
		"The browser is the sandbox's own Chromium: it starts with the first call and keeps its page and its "
		"tabs for the next. The page is printed as Markdown. CALLS are goto, click, dblclick, hover, fill, "
		"clear, type, press, focus, select_option, scroll, drag_and_drop, upload_file, new_tab, tab_focus, "
		"tab_close, go_back, go_forward and noop, in Python's syntax. The status is 1 if one fails.",
	.examples = (const struct command_example[]){ { "cay browse demo http://localhost:8000/",
							      "A server in the sandbox:" },
		{ "cay browse -t demo", "What can be acted upon:" },
		{ "cay browse -p 'click(\"12\")' -o page.png --marks demo",
			"Click, and take a picture:" },
		{ 0 } },
	.arguments = browse_arguments,
	.options = { browse_options, server_options, json_options },
	.values_size = sizeof(struct browse_options),
};

static const struct command_argument act_arguments[] = {
	ONE_SANDBOX,
	{ "ACTION", ARGUMENT_OPTIONAL, COMPLETE_NOTHING,
		"its name, or PLUGIN/NAME of one that a plugin adds (default: list them)" },
	{ "NAME=VALUE", ARGUMENT_OPTIONAL | ARGUMENT_MANY, COMPLETE_NOTHING,
		"its parameters, or all of them as one JSON object" },
	{ 0 },
};

const struct command command_act = {
	.name = "act",
	.group = "Sandboxes",
	.summary = "perform any action by its name, also a plugin's",
	.also = "action",
	.description =
		"The parameters are those of POST /v1/sandboxes/ID/actions/ACTION, which /v1/openapi.json describes; "
		"where no string is wanted, a VALUE that is JSON is that. The result is printed as JSON. The status "
		"is 1 where a plugin says that its action failed.",
	.examples = (const struct command_example[]){ { "cay act demo", "What can be done:" },
		{ "cay act demo glob pattern='**/*.c'", "An action:" },
		{ "cay act demo run '{\"command\": \"make\", \"timeout_ms\": 600000}'",
			"All parameters at once:" },
		{ "cay act demo wordcount/count path=/workspace/README.md", "One of a plugin:" },
		{ 0 } },
	.arguments = act_arguments,
	.options = { server_options, help_options },
	.values_size = sizeof(struct common_options),
};

static const struct command_option shell_options[] = {
	{ "detach-key", 0, OPTION_TEXT, OPTION_AT(struct shell_options, detach_key), "KEY",
		"the key that leaves, ^A to ^_", .standard = "^]" },
	{ 0 },
};

static const struct command_argument shell_arguments[] = {
	ONE_SANDBOX,
	{ "SESSION", ARGUMENT_OPTIONAL, COMPLETE_NOTHING, "the session's name (default: main)" },
	{ 0 },
};

const struct command command_shell = {
	.name = "shell",
	.group = "Sandboxes",
	.summary = "connect this terminal to a shell session",
	.also = "attach bash enter",
	.description =
		"The session may be one that an agent works in: both see and type the same. The detach key leaves "
		"it as it is; what runs goes on. Ctrl-D or exit ends the shell itself.",
	.examples = (const struct command_example[]){ { "cay shell demo", "The session `main`:" },
		{ 0 } },
	.arguments = shell_arguments,
	.options = { shell_options, server_options, help_options },
	.values_size = sizeof(struct shell_options),
};

static const struct command_argument cp_arguments[] = {
	{ "FROM", 0, COMPLETE_PLACE, "a path, or SANDBOX:PATH, or - for standard input" },
	{ "TO", 0, COMPLETE_PLACE, "SANDBOX:PATH, or a path, or - for standard output" },
	{ 0 },
};

const struct command command_cp = {
	.name = "cp",
	.group = "Sandboxes",
	.summary = "copy files and directories into and out of a sandbox",
	.also = "copy upload download",
	.description =
		"One of the two is in a sandbox. A directory is copied with all that is in it. If TO is a directory "
		"that is there, the copy goes into it under its own name; else TO is the copy's name. From and to - "
		"a file's bytes are read and written, of a directory a tar archive is written.\n\n"
		"What comes out of a sandbox is not trusted: nothing is written but beneath TO, links are made as they "
		"are and never followed, devices and set-id bits are left out, and zeros take no room on the disk.",
	.examples = (const struct command_example[]){ { "cay cp ./src demo:/workspace",
							      "Into it, as /workspace/src:" },
		{ "cay cp demo:/workspace/report.pdf .", "And out:" },
		{ "cay cp demo:/var/log - | tar -t", "As an archive:" }, { 0 } },
	.arguments = cp_arguments,
	.options = { server_options, help_options },
	.values_size = sizeof(struct cp_options),
};

static const struct command_option port_options[] = {
	{ "listen", 0, OPTION_TEXT, OPTION_AT(struct port_options, listen), "[HOST:]PORT",
		"where to accept connections; 0: any free port (default: the same port, on "
		"127.0.0.1)" },
	{ "link", 0, OPTION_FLAG, OPTION_AT(struct port_options, link),
		.help = "forward nothing: print a link through the server, which lets a browser in" },
	{ 0 },
};

static const struct command_argument port_arguments[] = {
	ONE_SANDBOX,
	{ "PORT", 0, COMPLETE_NOTHING, "the TCP port inside" },
	{ 0 },
};

const struct command command_port = {
	.name = "port",
	.group = "Sandboxes",
	.summary = "connect a port of this machine to one inside a sandbox",
	.also = "forward port-forward",
	.description =
		"Prints the address it listens on and forwards connections until it is interrupted. Any protocol "
		"over TCP will do. Nothing has to be open between the sandbox and the outside.",
	.examples =
		(const struct command_example[]){
			{ "cay port demo 8080", "What listens on 8080 in it, on 127.0.0.1:8080:" },
			{ "cay port demo 3000 --listen 0", "The same on a port that is free:" },
			{ "xdg-open $(cay port demo 8080 --link)", "In a browser:" }, { 0 } },
	.arguments = port_arguments,
	.options = { port_options, server_options, help_options },
	.values_size = sizeof(struct port_options),
};

static const struct command_argument mcp_arguments[] = {
	{ "SANDBOX", ARGUMENT_OPTIONAL, COMPLETE_SANDBOX,
		"name or id of one that is there; without it one is made, and removed at the end" },
	{ 0 },
};

const struct command command_mcp = {
	.name = "mcp",
	.group = "Server",
	.summary = "be an MCP server on standard input and output",
	.description =
		"For hosts that start their MCP servers themselves: this is the command line to give them. The "
		"tools are the actions of a sandbox. The options say what a new sandbox is like. A running `cay serve` "
		"is needed; over HTTP it offers the same at /mcp.",
	.examples =
		(const struct command_example[]){
			{ "cay mcp",
				"A sandbox that lives as long as the host keeps this running:" },
			{ "cay mcp --workspace ~/project:copy --network none",
				"One that works on a copy of a project:" },
			{ "cay mcp demo", "The sandbox called demo, which stays:" }, { 0 } },
	.arguments = mcp_arguments,
	.options = { create_options, spec_options, server_options, help_options },
	.values_size = sizeof(struct create_options),
};

static const struct command_option token_options[] = {
	{ "for", 0, OPTION_DURATION, OPTION_AT(struct token_options, lifetime_ms), "TIME",
		"how long it is good, such as 10m or 7d, 30 days at most", .standard = "1h" },
	{ "write", 0, OPTION_FLAG, OPTION_AT(struct token_options, write),
		.help = "with PATH: to upload the file, not to download it" },
	{ 0 },
};

static const struct command_argument token_arguments[] = {
	ONE_SANDBOX,
	{ "PATH", ARGUMENT_OPTIONAL, COMPLETE_NOTHING, "a file in it" },
	{ 0 },
};

const struct command command_token = {
	.name = "token",
	.group = "Sandboxes",
	.summary = "make a token for one sandbox, or a link for one file of it",
	.description =
		"The token, shown in place of the server's (CAY_TOKEN, or a bearer token), is good for everything in "
		"that sandbox and about it, and for nothing else. With PATH a link is printed by which anybody who has "
		"it downloads that file, or with --write uploads it, without any token.\n\n"
		"Neither is kept anywhere. Both end at their time, with the sandbox, or when the server gets another "
		"token, and no sooner.",
	.examples =
		(const struct command_example[]){ { "CAY_TOKEN=$(cay token demo) cay exec demo ls",
							  "As somebody who may do nothing else:" },
			{ "curl -OJ $(cay token demo report.pdf --for 10m)",
				"A file, for ten minutes:" },
			{ 0 } },
	.arguments = token_arguments,
	.options = { token_options, server_options, json_options },
	.values_size = sizeof(struct token_options),
};
