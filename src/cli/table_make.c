/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How sandboxes come to be: run, serve, config, create. A value of `standard` that depends on who
 * calls (state directory, socket) is set by base/home.h and told in the help in words.
 */
#include "cli/options.h"
#include "cli/tables.h"

static const char *const users[] = { "agent", "root", NULL };
static const char *const networks[] = { "loopback", "none", "host", "proxy", "bridge", "pasta",
	NULL };

#define SPEC(member) OPTION_AT(struct spec_options, member)

const struct command_option spec_options[] = {
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

const struct command command_run = {
	.name = "run",
	.group = "One command",
	.summary = "run a command in a fresh sandbox that is gone afterwards",
	.description =
		"Needs no server. Standard input, output and error are the caller's own, the exit status is the "
		"command's (128+N when signal N ended it). When cay itself fails, that is one line on standard "
		"error, and the status is 125.",
	.examples = (const struct command_example[]){ { "cay run -- python3 -c 'print(6*7)'",
							      "One command:" },
		{ "cay run --workspace . --network none -- make test",
			"The tests of this directory; what they write, nobody sees:" },
		{ 0 } },
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
		"that of an action execution server (SESSION_API_KEY); daytona or daytona+http://HOST:PORT/api, those of "
		"a Daytona server (DAYTONA_API_URL, DAYTONA_API_KEY); http://HOST:PORT or unix:PATH, those of "
		"another cay server (CAY_REMOTE_TOKEN); docker or docker=PATH: containers of the engine (docker, podman) "
		"behind that Unix socket, see docs/engine.md; kubernetes or kubernetes=KUBECONFIG: pods of a cluster, see docs/kubernetes.md (default: what core.runtime of cay.toml says, else native)" },
	{ "host-path", 0, OPTION_TEXTS, SERVE(host_path), "DIR",
		"a directory of this machine beneath which sandboxes may be given mounts and images; any: all "
		"of it; none: nothing; may be given often (default: all but what belongs to the system, home "
		"directories themselves, and what is hidden in one)",
		.complete = COMPLETE_DIR },
	{ "pool", 0, OPTION_INT, SERVE(pool), "N",
		"how many sandboxes to keep ready (default: 2 for root with native, else 0)",
		.min = 0, .max = 1024 },
	{ "ready-fd", 0, OPTION_INT, SERVE(ready_fd), "FD",
		"write a line to this descriptor when requests are accepted: the ports that were chosen for --listen "
		"HOST:0, each after a blank",
		.min = 3, .max = 1048576 },
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

const struct command command_config = {
	.name = "config",
	.group = "Server",
	.summary = "print what a server would be configured with, and where each value comes from",
	.also = "settings",
	.description =
		"What it prints is a cay.toml. The environment counts more than the file, and the command line of "
		"`cay serve` more than both. Secrets are not shown.",
	.examples = (const struct command_example[]){ { "cay config --config ./cay.toml",
							      "What this file comes to:" },
		{ 0 } },
	.options = { config_options, json_options },
	.values_size = sizeof(struct config_options),
};

const struct command command_serve = {
	.name = "serve",
	.group = "Server",
	.summary = "serve sandboxes over HTTP",
	.also = "server start daemon up",
	.description =
		"Runs in the foreground until it gets SIGINT or SIGTERM, and takes every sandbox down then. Who "
		"connects shows the token: CAY_TOKEN, or what the file `token` in the state directory holds; it is "
		"made at the first start and only its owner can read it.",
	.examples = (const struct command_example[]){ { "cay serve", "Serve this machine:" },
		{ "cay serve --listen none --pool 16",
			"On the Unix socket only, with 16 sandboxes ready to be handed out:" },
		{ 0 } },
	.options = { serve_options, help_options },
	.values_size = sizeof(struct serve_options),
};

#define CREATE(member) OPTION_AT(struct create_options, member)

static const char *const guard_modes[] = { "off", "rules", "llm", NULL };
static const char *const guard_thresholds[] = { "0", "1", "2", "3", NULL };

const struct command_option create_options[] = {
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

const struct command command_create = {
	.name = "create",
	.group = "Sandboxes",
	.summary = "create a sandbox and print its id",
	.also = "new",
	.description =
		"Paths of --image, --workspace and --mount are those of the server's machine.",
	.examples = (const struct command_example[]){ { "cay create --name demo --memory 2G",
							      "A sandbox called demo:" },
		{ "id=$(cay create --workspace ~/project --require seccomp)",
			"A copy-on-write view of a project, or nothing if there is no seccomp:" },
		{ 0 } },
	.options = { create_options, spec_options, server_options, json_options },
	.values_size = sizeof(struct create_options),
};
