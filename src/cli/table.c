/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every command, once. A value of `standard` that depends on who calls (state directory, socket) is set by
 * base/home.h and told in the help in words.
 */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/tables.h"

static const struct command_option help_options[] = {
	{ "help", 'h', OPTION_FLAG, OPTION_AT(struct common_options, help),
		.help = "show this text" },
	{ 0 },
};

const struct command_option json_options[] = {
	{ "json", 0, OPTION_FLAG, OPTION_AT(struct common_options, json),
		.help = "print JSON, for programs" },
	{ "help", 'h', OPTION_FLAG, OPTION_AT(struct common_options, help),
		.help = "show this text" },
	{ 0 },
};

const struct command_option server_options[] = {
	{ "url", 0, OPTION_TEXT, OPTION_AT(struct common_options, url), "URL",
		"where the server is: http://HOST:PORT, https://HOST or unix:/PATH; openhands+http://HOST for "
		"an OpenHands Remote Runtime API, action+http://HOST for an action execution server (default: "
		"CAY_URL, or the socket of a server on this machine)" },
	{ 0 },
};

static const char *const users[] = { "agent", "root", NULL };
static const char *const networks[] = { "loopback", "none", "host", "proxy", "bridge", "pasta",
	NULL };

/* Where the exit status is another program's, ours is what env, timeout and docker use for their own. */
enum { OWN_FAILURE = 125 };

#define SPEC(member) OPTION_AT(struct spec_options, member)

static const struct command_option spec_options[] = {
	{ "image", 0, OPTION_TEXT, SPEC(image), "IMAGE",
		"what the root is made of: host, a curated view of this machine's own toolchain, a "
		"directory, or a tar archive (plain, gzip, bzip2, xz, zstd), which is unpacked "
		"once, in a sandbox; for a server also the name of an image of its own (cay image); all "
		"copy-on-write",
		.standard = "host", .complete = COMPLETE_FILE },
	{ "workspace", 0, OPTION_TEXT, SPEC(workspace), "DIR[:MODE]",
		"a directory to start in; MODE is copy (the standard: its owner sees no change), rw "
		"or ro",
		.complete = COMPLETE_DIR },
	{ "workdir", 'w', OPTION_TEXT, SPEC(workdir), "PATH", "where programs start in the sandbox",
		.standard = "/workspace" },
	{ "mount", 'v', OPTION_TEXTS, SPEC(mounts), "SOURCE:TARGET[:MODE]",
		"show a file or directory in the sandbox; MODE is ro, rw or copy; may be given often",
		.complete = COMPLETE_FILE },
	{ "env", 'e', OPTION_TEXTS, SPEC(env), "NAME[=VALUE]",
		"set a variable, or pass the caller's on; may be given often" },
	{ "user", 'u', OPTION_TEXT, SPEC(user), "USER",
		"agent, without any privilege, or root, who may install packages; neither is root of "
		"the host",
		.standard = "agent", .words = users },
	{ "network", 0, OPTION_TEXT, SPEC(network), "NETWORK",
		"loopback, none, host: the host's own network, without any wall; or, of a server, proxy: what is allowed by name, "
		"bridge (as root) and pasta (else): what is allowed by address",
		.standard = "loopback", .words = networks },
	{ "hostname", 0, OPTION_TEXT, SPEC(hostname), "NAME", "the sandbox's own host name",
		.standard = "cay" },
	{ "memory", 'm', OPTION_SIZE, SPEC(memory_bytes), "SIZE",
		"limit of memory, such as 512M, or unlimited (default: 1G)", OPTION_UNLIMITED },
	{ "pids", 0, OPTION_INT, SPEC(pids), "N", "limit of processes and threads (default: 512)",
		OPTION_UNLIMITED, 1, 4194304 },
	{ "cpu", 0, OPTION_CPU, SPEC(cpu_milli), "CORES",
		"limit of processor time, such as 0.5 (default: all cores)", OPTION_UNLIMITED },
	{ "disk", 0, OPTION_SIZE, SPEC(disk_bytes), "SIZE",
		"limit of what the sandbox writes (default: 1G)", OPTION_UNLIMITED },
	{ "inodes", 0, OPTION_INT, SPEC(disk_inodes), "N",
		"limit of files the sandbox makes (default: 262144)", OPTION_UNLIMITED, 1,
		INT64_MAX },
	{ "timeout", 0, OPTION_DURATION, SPEC(timeout_ms), "TIME",
		"end the sandbox after this long, such as 30s or 2h; 0: never", .standard = "0" },
	{ "require", 0, OPTION_TEXTS, SPEC(require), "CONTROL",
		"fail rather than go without this control of `cay doctor`; may be given often",
		.complete = COMPLETE_CONTROL },
	{ 0 },
};

static const struct command_argument program_argument[] = {
	{ "COMMAND", ARGUMENT_COMMAND, COMPLETE_PROGRAM, "the program to run, and its arguments" },
	{ 0 },
};
static const struct command_argument some_sandboxes_argument[] = {
	{ "SANDBOX", ARGUMENT_MANY, COMPLETE_SANDBOX,
		"names, ids, or the first 4 or more characters of ids" },
	{ 0 },
};
static const struct command_argument sandboxes_argument[] = {
	{ "SANDBOX", ARGUMENT_OPTIONAL | ARGUMENT_MANY, COMPLETE_SANDBOX,
		"names, ids, or the first 4 or more characters of ids" },
	{ 0 },
};

#define RUN(member) OPTION_AT(struct run_options, member)

static const char *const run_backends[] = { "native", "local", "cli", NULL };

static const struct command_option run_options[] = {
	{ "backend", 0, OPTION_TEXT, RUN(backend), "BACKEND",
		"native, a sandbox; or local or cli: on this machine itself, as this user, without any "
		"isolation, in a temporary directory or in --workspace DIR:rw",
		.standard = "native", .words = run_backends },
	{ "dry-run", 'n', OPTION_FLAG, RUN(dry_run),
		.help = "print the plan, step by step, and do nothing" },
	{ "tty", 't', OPTION_FLAG, RUN(tty),
		.help = "give the command a terminal (the standard where input and output are one)" },
	{ 0 },
};

static const struct command run_command = {
	.name = "run",
	.group = "One command",
	.summary = "run a command in a fresh sandbox that is gone afterwards",
	.description =
		"Needs no server. Standard input, output and error are the caller's own, the exit status is the "
		"command's (128+N when signal N ended it). When cay itself fails, that is one line on standard "
		"error, and the status is 125.",
	.examples = "cay run -- python3 -c 'print(6*7)'\0One command:\0"
		    "cay run --workspace . --network none -- make test\0"
		    "The tests of this directory; what they write, nobody sees:\0",
	.arguments = program_argument,
	.failure_exit = OWN_FAILURE,
	.options = { run_options, spec_options, json_options },
	.values_size = sizeof(struct run_options),
};

#define SERVE(member) OPTION_AT(struct serve_options, member)

static const struct command_option serve_options[] = {
	{ "listen", 0, OPTION_TEXTS, SERVE(listen), "HOST:PORT",
		"where to accept TCP connections (default: 127.0.0.1:8000), or none; may be given "
		"often" },
	{ "socket", 0, OPTION_TEXT, SERVE(socket), "PATH",
		"the Unix socket, or none (default: /run/cay/cay.sock for root, $XDG_RUNTIME_DIR/cay/cay.sock for "
		"others)",
		.complete = COMPLETE_FILE },
	{ "state", 0, OPTION_TEXT, SERVE(state), "DIR",
		"where state and token are kept (default: /var/lib/cay for root, "
		"$XDG_STATE_HOME/cay or ~/.local/state/cay for others)",
		.complete = COMPLETE_DIR },
	{ "docker", 0, OPTION_TEXT, SERVE(docker), "unix:PATH",
		"serve the Docker Engine API too, on a Unix socket of its own: whoever may open it needs no token",
		.complete = COMPLETE_FILE },
	{ "backend", 0, OPTION_TEXT, SERVE(backend), "BACKEND",
		"where sandboxes live: native; local or cli, which need no namespaces and give no "
		"isolation at all (cli: a new shell for each command); openhands+http://HOST:PORT, those of "
		"an OpenHands Remote Runtime API (its key: SANDBOX_API_KEY); action+http://HOST:PORT, "
		"that of an action execution server (SESSION_API_KEY); http://HOST:PORT or unix:PATH, those of "
		"another cay server (CAY_REMOTE_TOKEN); docker or docker=PATH: containers of the engine (docker, podman) "
		"behind that Unix socket, see docs/engine.md",
		.standard = "native" },
	{ "pool", 0, OPTION_INT, SERVE(pool), "N",
		"how many sandboxes to keep ready (default: 2 for root with native, else 0)",
		.min = 0, .max = 1024 },
	{ "ready-fd", 0, OPTION_INT, SERVE(ready_fd), "FD",
		"write one byte to this descriptor when requests are accepted", .min = 3,
		.max = 1048576 },
	{ "config", 0, OPTION_TEXT, SERVE(config), "FILE",
		"read this file (default: ./cay.toml, else ~/.config/cay/cay.toml, if there is one); see "
		"cay.toml(5)",
		.complete = COMPLETE_FILE },
	{ "log-json", 0, OPTION_FLAG, SERVE(log_json), .help = "log JSON, one object per line" },
	{ 0 },
};

static const struct command_option config_options[] = {
	{ "config", 0, OPTION_TEXT, OPTION_AT(struct config_options, config), "FILE",
		"read this file instead of ./cay.toml or ~/.config/cay/cay.toml",
		.complete = COMPLETE_FILE },
	{ "all", 'a', OPTION_FLAG, OPTION_AT(struct config_options, all),
		.help = "also those keys of OpenHands that mean nothing to a server" },
	{ 0 },
};

static const struct command config_command = {
	.name = "config",
	.group = "Server",
	.summary = "print what a server would be configured with, and where each value comes from",
	.description =
		"What it prints is a cay.toml. The environment counts more than the file, and the command line of "
		"`cay serve` more than both. Secrets are not shown.",
	.examples = "cay config --config ./cay.toml\0What this file comes to:\0",
	.options = { config_options, json_options },
	.values_size = sizeof(struct config_options),
};

static const struct command serve_command = {
	.name = "serve",
	.group = "Server",
	.summary = "serve sandboxes over HTTP",
	.description =
		"Runs in the foreground until it gets SIGINT or SIGTERM, and takes every sandbox down then. Who "
		"connects shows the token: CAY_TOKEN, or what the file `token` in the state directory holds; it is "
		"made at the first start and only its owner can read it.",
	.examples = "cay serve\0Serve this machine:\0"
		    "cay serve --listen none --pool 16\0"
		    "On the Unix socket only, with 16 sandboxes ready to be handed out:\0",
	.options = { serve_options, help_options },
	.values_size = sizeof(struct serve_options),
};

#define CREATE(member) OPTION_AT(struct create_options, member)

static const char *const guard_modes[] = { "off", "rules", "llm", NULL };
static const char *const guard_thresholds[] = { "0", "1", "2", "3", NULL };

static const struct command_option create_options[] = {
	{ "name", 0, OPTION_TEXT, CREATE(name), "NAME", "a name to call it by" },
	{ "label", 0, OPTION_TEXTS, CREATE(labels), "KEY=VALUE",
		"a note that is kept with it; may be given often" },
	{ "allow", 0, OPTION_TEXTS, CREATE(allow), "TARGET",
		"what it may connect to: with --network proxy NAME, *.NAME, ADDRESS or ADDRESS/BITS, with bridge and pasta "
		"addresses alone, each with :PORT, or without for 80 and 443; may be given often" },
	{ "network-name", 0, OPTION_TEXT, CREATE(network_name), "NAME",
		"with --network bridge: sandboxes of the same name reach each other" },
	{ "plugin", 0, OPTION_TEXTS, CREATE(plugins), "NAME|DIR",
		"what is loaded before it is ready: agent_skills, browser, jupyter, vscode, or a directory "
		"(./DIR) with the plugin.json of one's own; may be given often",
		.complete = COMPLETE_DIR },
	{ "idle-timeout", 0, OPTION_DURATION, CREATE(idle_timeout_ms), "TIME",
		"end it when nothing was done in it for so long; 0: never", .standard = "0" },
	{ "gpus", 0, OPTION_TEXT, CREATE(gpus), "GPUS",
		"of a server whose backend has some (docker): all, a number, or names with commas between" },
	{ "secret", 0, OPTION_TEXTS, CREATE(secrets), "NAME[=VALUE]",
		"set a variable, or pass the caller's on, whose value is hidden in all that is reported; "
		"may be given often" },
	{ "swap", 0, OPTION_TEXTS, CREATE(swaps), "NAME[=FROM]@HOST[,HOST]...[#HEADER]",
		"with --network proxy: set NAME to a placeholder, which becomes a secret in requests to these hosts, in that header "
		"(Authorization), and nowhere else; the secret is the value of the caller's variable NAME, or FROM, or with a / in "
		"it the content of the file FROM; a HOST is NAME or *.NAME (over TLS) or http://NAME, each with :PORT or without; "
		"may be given often" },
	{ "repo", 0, OPTION_TEXT, CREATE(repo), "URL",
		"clone this repository, a URL or OWNER/NAME of GitHub, and run its .openhands/setup.sh" },
	{ "branch", 0, OPTION_TEXT, CREATE(branch), "NAME",
		"check this branch of it out, or make it if there is none" },
	{ "git-token", 0, OPTION_TEXT, CREATE(token_env), "VARIABLE",
		"the variable that holds a token for it, which nobody gets to see",
		.standard = "CAY_GIT_TOKEN" },
	{ "no-setup", 0, OPTION_FLAG, CREATE(no_setup),
		.help = "run no script of the repository, and install no hook of it" },
	{ "guard", 0, OPTION_TEXT, CREATE(guard), "MODE",
		"look at actions before they are performed: rules, or llm (a language model, too), or off; "
		"never less than the server's guard.mode",
		.words = guard_modes },
	{ "guard-threshold", 0, OPTION_TEXT, CREATE(guard_threshold), "N",
		"the highest risk that is let through: 0 nothing, 1 LOW, 2 MEDIUM, 3 everything "
		"(default: the server's, else 2)",
		.words = guard_thresholds },
	{ "confirm", 0, OPTION_FLAG, CREATE(confirm),
		.help = "what is not let through waits for `cay confirm` instead of being refused" },
	{ 0 },
};

static const struct command create_command = {
	.name = "create",
	.group = "Sandboxes",
	.summary = "create a sandbox and print its id",
	.description =
		"Paths of --image, --workspace and --mount are those of the server's machine.",
	.examples = "cay create --name demo --memory 2G\0A sandbox called demo:\0"
		    "id=$(cay create --workspace ~/project --require seccomp)\0"
		    "A copy-on-write view of a project, or nothing if there is no seccomp:\0",
	.options = { create_options, spec_options, server_options, json_options },
	.values_size = sizeof(struct create_options),
};

#define RAW(type)                                                                         \
	{                                                                                 \
		"raw", 0, OPTION_FLAG, OPTION_AT(type, raw),                              \
			.help = "on a terminal too, print control characters as they are" \
	}

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

static const struct command exec_command = {
	.name = "exec",
	.group = "Sandboxes",
	.summary = "run a program in a sandbox",
	.description =
		"Its output comes as it is written, its exit status becomes that of this command (128+N when signal "
		"N ended it). SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed on to it. When cay itself fails, the "
		"status is 125. With --json one object with exit_code, stdout and stderr is printed at the end.",
	.examples = "cay exec demo -- gcc --version\0One program:\0"
		    "tar -c src | cay exec -i demo -- tar -x -C /workspace\0With input:\0",
	.arguments = exec_arguments,
	.failure_exit = OWN_FAILURE,
	.options = { exec_options, server_options, json_options },
	.values_size = sizeof(struct exec_options),
};

#define TOOL(member) OPTION_AT(struct tool_options, member)

static const struct command_option tool_options[] = {
	{ "http", 0, OPTION_TEXT, TOOL(http), "URL",
		"ls, call: of this tool server (CAMEL's api.py, or cay tool serve) and not of a sandbox; it is "
		"shown CAY_TOOL_TOKEN" },
	{ "name", 0, OPTION_TEXT, TOOL(name), "NAME",
		"add: the tool NAME is the program that follows" },
	{ "description", 0, OPTION_TEXT, TOOL(description), "TEXT", "add: what such a tool does" },
	{ "parameters", 0, OPTION_TEXT, TOOL(parameters), "SCHEMA",
		"add: JSON Schema of its arguments" },
	{ "action", 0, OPTION_TEXT, TOOL(action), "ACTION",
		"add: an action of the sandbox, such as run, is the tool" },
	{ "endpoint", 0, OPTION_TEXT, TOOL(endpoint), "URL",
		"add: the tool --name is an HTTP endpoint, which the server asks" },
	{ "server", 0, OPTION_TEXT, TOOL(server), "URL",
		"add: every tool of that tool server (CAMEL's api.py, or cay tool serve)" },
	{ "header", 0, OPTION_TEXTS, TOOL(headers), "NAME=VALUE",
		"add: for --endpoint and --server; the sandbox does not see it; may be given often" },
	{ "mcp", 0, OPTION_FLAG, TOOL(mcp),
		.help = "add: the program that follows is an MCP server, whose name is --name" },
	{ "path", 0, OPTION_TEXTS, TOOL(paths), "DIR",
		"add: a directory of the sandbox with Python modules; host: one of this machine, which the sandbox "
		"sees; may be given often" },
	{ "python", 0, OPTION_TEXT, TOOL(python), "PROGRAM",
		"add, host: the sandbox's interpreter (default: python3)" },
	{ "api", 0, OPTION_TEXT, TOOL(api), "FILE",
		"host: CAMEL's api.py, beside which CAMEL itself is found, in the place of which it serves" },
	{ "env", 'e', OPTION_TEXTS, TOOL(env), "NAME[=VALUE]",
		"add: set a variable, or pass the caller's on; may be given often" },
	{ "replace", 0, OPTION_FLAG, TOOL(replace),
		.help = "add: in the place of the pack of this name" },
	{ "timeout", 0, OPTION_DURATION, TOOL(timeout_ms), "TIME",
		"call: give up after this long; add: the deadline of calls (default: 10m)",
		.standard = "0" },
	{ "listen", 0, OPTION_TEXT, TOOL(listen), "HOST:PORT",
		"serve, host: where (default: CAY_TOOL_LISTEN, else 127.0.0.1:8000); an address that other machines "
		"reach wants CAY_TOOL_TOKEN" },
	{ 0 },
};

static const struct command_argument tool_arguments[] = {
	{ "VERB", 0, COMPLETE_NOTHING, "add, ls, call, rm, reset, serve or host" },
	{ "SANDBOX", ARGUMENT_OPTIONAL, COMPLETE_SANDBOX,
		"its name or id; not with --http, nor with host" },
	{ "WORD", ARGUMENT_OPTIONAL | ARGUMENT_MANY, COMPLETE_NOTHING,
		"add: the entrypoint, or a program; call: the tool, then VALUE and NAME=VALUE; rm: a tool or a "
		"pack; reset: a pack (default: all); host: entrypoints" },
	{ 0 },
};

static const struct command tool_command = {
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
		"cay tool add demo camel.toolkits.MathToolkit\0A toolkit that the sandbox's Python has:\0"
		"cay tool call demo math_add 1 b=2\0A call:\0"
		"cay tool add demo --name count -- wc -l\0A program as a tool:\0"
		"cay tool serve demo --listen 127.0.0.1:8000\0For RemoteHttpRuntime(\"127.0.0.1\"):\0"
		"cay tool host kit.Counter kit.shout\0The tools of kit.py in this directory:\0",
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

static const struct command py_command = {
	.name = "py",
	.group = "Sandboxes",
	.summary = "run Python in an interpreter that stays alive in a sandbox",
	.description =
		"Variables, imports and the directory survive from one call to the next. What the code prints comes "
		"as it is printed, then the value of its last expression; of pictures only their description is "
		"shown, --json has them. C-c interrupts the code, not the interpreter. The status is 0, 1 after an "
		"exception, 124 after a timeout, 130 after an interrupt.",
	.examples = "cay py demo 'x = 6 * 7'\0A first cell:\0"
		    "cay py demo x\0It knows what was before:\0"
		    "cay py demo < analysis.py\0Code from a file:\0",
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

static const struct command browse_command = {
	.name = "browse",
	.group = "Sandboxes",
	.summary = "look at a page in a sandbox's browser, and act there",
	.description =
		"The browser is the sandbox's own Chromium: it starts with the first call and keeps its page and its "
		"tabs for the next. The page is printed as Markdown. CALLS are goto, click, dblclick, hover, fill, "
		"clear, type, press, focus, select_option, scroll, drag_and_drop, upload_file, new_tab, tab_focus, "
		"tab_close, go_back, go_forward and noop, in Python's syntax. The status is 1 if one fails.",
	.examples =
		"cay browse demo http://localhost:8000/\0A server in the sandbox:\0"
		"cay browse -t demo\0What can be acted upon:\0"
		"cay browse -p 'click(\"12\")' -o page.png --marks demo\0Click, and take a picture:\0",
	.arguments = browse_arguments,
	.options = { browse_options, server_options, json_options },
	.values_size = sizeof(struct browse_options),
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

static const struct command shell_command = {
	.name = "shell",
	.group = "Sandboxes",
	.summary = "connect this terminal to a shell session",
	.description =
		"The session may be one that an agent works in: both see and type the same. The detach key leaves "
		"it as it is; what runs goes on. Ctrl-D or exit ends the shell itself.",
	.examples = "cay shell demo\0The session `main`:\0",
	.arguments = shell_arguments,
	.options = { shell_options, server_options, help_options },
	.values_size = sizeof(struct shell_options),
};

static const struct command_argument cp_arguments[] = {
	{ "FROM", 0, COMPLETE_PLACE, "a path, or SANDBOX:PATH, or - for standard input" },
	{ "TO", 0, COMPLETE_PLACE, "SANDBOX:PATH, or a path, or - for standard output" },
	{ 0 },
};

static const struct command cp_command = {
	.name = "cp",
	.group = "Sandboxes",
	.summary = "copy files and directories into and out of a sandbox",
	.description =
		"One of the two is in a sandbox. A directory is copied with all that is in it. If TO is a directory "
		"that is there, the copy goes into it under its own name; else TO is the copy's name. From and to - "
		"a file's bytes are read and written, of a directory a tar archive is written.\n\n"
		"What comes out of a sandbox is not trusted: nothing is written but beneath TO, links are made as they "
		"are and never followed, and devices and set-id bits are left out.",
	.examples = "cay cp ./src demo:/workspace\0Into it, as /workspace/src:\0"
		    "cay cp demo:/workspace/report.pdf .\0And out:\0"
		    "cay cp demo:/var/log - | tar -t\0As an archive:\0",
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

static const struct command port_command = {
	.name = "port",
	.group = "Sandboxes",
	.summary = "connect a port of this machine to one inside a sandbox",
	.description =
		"Prints the address it listens on and forwards connections until it is interrupted. Any protocol "
		"over TCP will do. Nothing has to be open between the sandbox and the outside.",
	.examples = "cay port demo 8080\0What listens on 8080 in it, on 127.0.0.1:8080:\0"
		    "cay port demo 3000 --listen 0\0The same on a port that is free:\0"
		    "xdg-open $(cay port demo 8080 --link)\0In a browser:\0",
	.arguments = port_arguments,
	.options = { port_options, server_options, help_options },
	.values_size = sizeof(struct port_options),
};

static const struct command_option image_options[] = {
	{ "force", 'f', OPTION_FLAG, OPTION_AT(struct image_options, force),
		.help = "rm: by its id also where it has several names" },
	{ 0 },
};

static const struct command_argument image_arguments[] = {
	{ "VERB", 0, COMPLETE_NOTHING, "import, ls, inspect, exists, tag, rm or gc" },
	{ "ARGUMENT", ARGUMENT_OPTIONAL | ARGUMENT_MANY, COMPLETE_FILE,
		"import FILE|DIR|- [NAME], inspect IMAGE, exists IMAGE, tag IMAGE NAME, rm IMAGE…" },
	{ 0 },
};

static const struct command image_command = {
	.name = "image",
	.group = "Server",
	.summary = "take in, list and remove the images that the server keeps",
	.description =
		"What is imported is a directory, or a tar archive (plain, gzip, bzip2, xz, zstd) of a root file "
		"system, of docker save, or of an OCI layout. It is unpacked in a sandbox of its own; layers are kept "
		"once, by their digest. A sandbox of an image has its layers below its own changes: nothing is "
		"copied. gc removes images without a name and a sandbox. exists says it by its status, 0 or 1. Of a server whose "
		"backend is docker all this is about its engine's images, and pull fetches one.",
	.examples = "cay image import rootfs.tar tools:1\0Take it in under a name:\0"
		    "docker save python:3.12 | cay image import -\0Under the names it has:\0"
		    "cay create --image tools:1 --name demo\0And use it:\0",
	.arguments = image_arguments,
	.options = { image_options, server_options, json_options },
	.values_size = sizeof(struct image_options),
};

static const struct command_argument mcp_arguments[] = {
	{ "SANDBOX", ARGUMENT_OPTIONAL, COMPLETE_SANDBOX,
		"name or id of one that is there; without it one is made, and removed at the end" },
	{ 0 },
};

static const struct command mcp_command = {
	.name = "mcp",
	.group = "Server",
	.summary = "be an MCP server on standard input and output",
	.description =
		"For hosts that start their MCP servers themselves: this is the command line to give them. The "
		"tools are the actions of a sandbox. The options say what a new sandbox is like. A running `cay serve` "
		"is needed; over HTTP it offers the same at /mcp.",
	.examples = "cay mcp\0A sandbox that lives as long as the host keeps this running:\0"
		    "cay mcp --workspace ~/project:copy --network none\0"
		    "One that works on a copy of a project:\0"
		    "cay mcp demo\0The sandbox called demo, which stays:\0",
	.arguments = mcp_arguments,
	.options = { create_options, spec_options, server_options, help_options },
	.values_size = sizeof(struct create_options),
};

static const struct command_option logs_options[] = {
	{ "follow", 'f', OPTION_FLAG, OPTION_AT(struct logs_options, follow),
		.help = "go on until the process has ended" },
	RAW(struct logs_options),
	{ 0 },
};

static const struct command_argument logs_arguments[] = {
	ONE_SANDBOX,
	{ "PROCESS", ARGUMENT_OPTIONAL, COMPLETE_NOTHING,
		"its id or name; without it they are listed" },
	{ 0 },
};

static const struct command logs_command = {
	.name = "logs",
	.group = "Sandboxes",
	.summary = "show what a process wrote, or list the processes",
	.examples = "cay logs -f demo p1\0Follow the first process:\0",
	.arguments = logs_arguments,
	.options = { logs_options, server_options, json_options },
	.values_size = sizeof(struct logs_options),
};

static const struct command_option events_options[] = {
	{ "follow", 'f', OPTION_FLAG, OPTION_AT(struct events_options, follow),
		.help = "go on with what happens from now on" },
	{ "after", 0, OPTION_INT, OPTION_AT(struct events_options, after), "N",
		"only events with a number above N", .min = 0, .max = INT64_MAX, .standard = "0" },
	RAW(struct events_options),
	{ 0 },
};

static const struct command_argument events_arguments[] = {
	{ "SANDBOX", ARGUMENT_OPTIONAL, COMPLETE_SANDBOX,
		"name or id; without it, of all sandboxes" },
	{ 0 },
};

static const struct command events_command = {
	.name = "events",
	.group = "Sandboxes",
	.summary = "show what was done, and what came of it",
	.description = "One line per event; with --json one object per line.",
	.examples = "cay events -f demo\0Watch an agent at work:\0",
	.arguments = events_arguments,
	.options = { events_options, server_options, json_options },
	.values_size = sizeof(struct events_options),
};

static const struct command_option ls_options[] = {
	{ "all", 'a', OPTION_FLAG, OPTION_AT(struct ls_options, all),
		.help = "those that ended, too" },
	{ "quiet", 'q', OPTION_FLAG, OPTION_AT(struct ls_options, quiet), .help = "only the ids" },
	{ 0 },
};

static const struct command ls_command = {
	.name = "ls",
	.group = "Sandboxes",
	.summary = "list the sandboxes",
	.options = { ls_options, server_options, json_options },
	.values_size = sizeof(struct ls_options),
};

static const struct command stats_command = {
	.name = "stats",
	.group = "Sandboxes",
	.summary = "show what sandboxes use",
	.description = "Without an argument: every sandbox that lives.",
	.arguments = sandboxes_argument,
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command pause_command = {
	.name = "pause",
	.group = "Sandboxes",
	.summary = "freeze everything that runs in sandboxes",
	.description = "Memory and files stay; actions are refused until cay resume.",
	.arguments = some_sandboxes_argument,
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command resume_command = {
	.name = "resume",
	.group = "Sandboxes",
	.summary = "let frozen sandboxes go on",
	.arguments = some_sandboxes_argument,
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command stop_command = {
	.name = "stop",
	.group = "Sandboxes",
	.summary = "end everything that runs in sandboxes",
	.description = "What is known of them stays until cay rm.",
	.arguments = some_sandboxes_argument,
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command_option rm_options[] = {
	{ "all", 'a', OPTION_FLAG, OPTION_AT(struct rm_options, all), .help = "every sandbox" },
	{ 0 },
};

static const struct command rm_command = {
	.name = "rm",
	.group = "Sandboxes",
	.summary = "remove sandboxes with all that is in them",
	.description = "Returns when nothing of them is left. Their events stay.",
	.arguments = sandboxes_argument,
	.options = { rm_options, server_options, json_options },
	.values_size = sizeof(struct rm_options),
};

#define GIT(member) OPTION_AT(struct git_options, member)

static const struct command_option git_options[] = {
	{ "directory", 'C', OPTION_TEXT, GIT(directory), "DIR",
		"where the repository is, or where to clone to; relative to the workdir" },
	{ "branch", 'b', OPTION_TEXT, GIT(branch), "NAME", "clone, pull, push: this branch" },
	{ "git-token", 0, OPTION_TEXT, GIT(token_env), "VARIABLE",
		"the variable that holds a token, which nobody gets to see",
		.standard = "CAY_GIT_TOKEN" },
	{ "host", 0, OPTION_TEXT, GIT(host), "https://HOST",
		"pull, push: who the token is for; without it none is used" },
	{ "force", 0, OPTION_FLAG, GIT(force),
		.help = "push: overwrite what nobody else has changed meanwhile" },
	{ "create", 0, OPTION_FLAG, GIT(create), .help = "branch: make it" },
	{ "depth", 0, OPTION_INT, GIT(depth), "N", "clone: only so many commits", .min = 1,
		.max = 1000000 },
	{ 0 },
};

static const struct command_argument git_arguments[] = {
	ONE_SANDBOX,
	{ "VERB", 0, COMPLETE_NOTHING, "branch, changes, clone, init, pull or push" },
	{ "ARGUMENT", ARGUMENT_OPTIONAL, COMPLETE_NOTHING,
		"clone: the URL; branch: its name; pull and push: the remote (origin)" },
	{ 0 },
};

static const struct command git_command = {
	.name = "git",
	.group = "Sandboxes",
	.summary = "work with a repository of a sandbox",
	.description =
		"Runs the sandbox's own git, inside. A token goes to git for one host, and becomes part of no URL, "
		"file, variable, event or log. changes lists what differs from where the branch left its origin: A "
		"(added or untracked), M, D, U.",
	.examples =
		"CAY_GIT_TOKEN=$(gh auth token) cay git demo clone me/project\0Clone a private repository:\0"
		"cay git demo changes -C project\0What an agent has changed:\0",
	.arguments = git_arguments,
	.options = { git_options, server_options, json_options },
	.values_size = sizeof(struct git_options),
};

static const struct command confirmations_command = {
	.name = "confirmations",
	.group = "Guard",
	.summary = "list the actions that wait to be confirmed",
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command_option confirm_options[] = {
	{ "reason", 0, OPTION_TEXT, OPTION_AT(struct confirm_options, reason), "TEXT",
		"why; it stands in the events" },
	{ 0 },
};

static const struct command_argument confirm_arguments[] = {
	{ "ID", ARGUMENT_MANY, COMPLETE_NOTHING, "of `cay confirmations`" },
	{ 0 },
};

static const struct command confirm_command = {
	.name = "confirm",
	.group = "Guard",
	.summary = "let actions be performed that a guard holds back",
	.description =
		"Shows the approver's token, CAY_APPROVER_TOKEN or the file approver-token in the state directory: "
		"who may act in sandboxes may not confirm.",
	.examples = "cay confirmations\0What waits:\0"
		    "cay confirm 01J… --reason \"asked for it\"\0Let it happen:\0",
	.arguments = confirm_arguments,
	.options = { confirm_options, server_options, help_options },
	.values_size = sizeof(struct confirm_options),
};

static const struct command reject_command = {
	.name = "reject",
	.group = "Guard",
	.summary = "refuse actions that a guard holds back",
	.arguments = confirm_arguments,
	.options = { confirm_options, server_options, help_options },
	.values_size = sizeof(struct confirm_options),
};

static const struct command_option doctor_options[] = {
	{ "attack", 0, OPTION_FLAG, OPTION_AT(struct doctor_options, attack),
		.help = "attack a sandbox from within and tell what got through: should be nothing" },
	{ 0 },
};

static const struct command doctor_command = {
	.name = "doctor",
	.group = "Host",
	.summary = "tell what this machine gives, and what would lift each lack",
	.options = { doctor_options, json_options },
	.values_size = sizeof(struct doctor_options),
};

static const struct command_option gc_options[] = {
	{ "dry-run", 'n', OPTION_FLAG, OPTION_AT(struct gc_options, dry_run),
		.help = "print what would be removed, and remove nothing" },
	{ "engine", 0, OPTION_TEXT, OPTION_AT(struct gc_options, engine), "SOCKET",
		"the Docker engine whose containers are looked through (default: that of DOCKER_HOST, or whose socket is "
		"where it usually is, if it answers)",
		.complete = COMPLETE_FILE },
	{ 0 },
};

static const struct command gc_command = {
	.name = "gc",
	.group = "Host",
	.summary = "remove what crashed servers and killed commands left behind",
	.description =
		"Prints one line for each thing, and normally nothing: whatever a sandbox had is gone with it.",
	.options = { gc_options, json_options },
	.values_size = sizeof(struct gc_options),
};

static const struct command version_command = {
	.name = "version",
	.group = "Host",
	.summary = "print the version",
	.options = { json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command_argument help_arguments[] = {
	{ "COMMAND", ARGUMENT_OPTIONAL, COMPLETE_COMMAND, "the command to tell about" },
	{ 0 },
};

static const struct command help_command = {
	.name = "help",
	.group = "Host",
	.summary = "tell about the commands, or about one of them",
	.arguments = help_arguments,
	.options = { help_options },
	.values_size = sizeof(struct common_options),
};

const struct command *const command_table[] = {
	&run_command,
	&serve_command,
	&image_command,
	&mcp_command,
	&config_command,
	&create_command,
	&exec_command,
	&py_command,
	&tool_command,
	&browse_command,
	&shell_command,
	&cp_command,
	&port_command,
	&token_command,
	&logs_command,
	&events_command,
	&ls_command,
	&stats_command,
	&pause_command,
	&resume_command,
	&stop_command,
	&rm_command,
	&git_command,
	&confirmations_command,
	&confirm_command,
	&reject_command,
	&doctor_command,
	&gc_command,
	&version_command,
	&help_command,
	NULL,
};
