/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: what the options of each command are decoded into. Every struct begins with struct
 * common_options; those that describe a sandbox with struct spec_options. The rows are in
 * cli/table_*.c.
 */
#pragma once

#include "cli/command.h"

struct common_options {
	bool help;
	bool json;
	const char *url; /* of the server; NULL: CAY_URL or the default socket */
};

/* A wish for a sandbox, as text: cli/wish.h makes a struct spec or a JSON body of it. */
struct spec_options {
	struct common_options common;
	const char *image;     /* "host" or a directory */
	const char *workspace; /* DIR[:copy|rw|ro], seen at the workdir */
	const char *workdir;
	struct option_texts mounts; /* SOURCE:TARGET[:ro|rw|copy] */
	struct option_texts env;    /* NAME=VALUE, or NAME: the caller's own value */
	const char *user;           /* "agent" or "root" */
	const char *network;
	const char *hostname;
	int64_t memory_bytes, pids, cpu_milli, disk_bytes, disk_inodes; /* -1: unlimited */
	int64_t timeout_ms;
	struct option_texts require; /* names of controls, also a,b,c */
};

struct run_options {
	struct spec_options spec;
	const char *backend;
	bool dry_run;
	bool tty;
};

struct config_options {
	struct common_options common;
	const char *config; /* a file; NULL: where it usually is */
	bool all;
};

struct serve_options {
	struct common_options common;
	const char *config;
	const char *state, *socket, *docker;
	const char *backend;
	struct option_texts listen; /* HOST:PORT, or none */
	struct option_texts host_path;
	int64_t pool;
	int64_t ready_fd; /* 0: none */
	bool log_json;
};

struct image_options {
	struct common_options common;
	bool force, quiet, no_cache;
	const char *file, *target, *platform, *network;
	struct option_texts tags, args, labels, allow, extras;
	int64_t memory_bytes, disk_bytes, timeout_ms; /* 0: not given */
};

struct create_options {
	struct spec_options spec;
	const char *name;
	struct option_texts labels; /* KEY=VALUE */
	struct option_texts allow;  /* wire/allow.h */
	const char *network_name;
	const char *guard;           /* "off", "rules", "llm"; NULL: as the server has it */
	const char *guard_threshold; /* "0" to "3"; NULL: as the server has it */
	bool confirm;
	struct option_texts secrets; /* NAME[=VALUE] */
	struct option_texts swaps;   /* config/swap.h */
	const char *repo, *branch, *token_env;
	bool no_setup;
	const char *gpus;
	int64_t idle_timeout_ms;
	struct option_texts plugins; /* NAME, or a directory with plugin.json */
};

struct snapshot_options {
	struct common_options common;
	bool live;
};

struct fork_options {
	struct common_options common;
	const char *name;
	int64_t count;
	struct option_texts env;
	int64_t timeout_ms, idle_timeout_ms; /* 0: not given */
	bool live;
};

struct git_options {
	struct common_options common;
	const char *directory, *branch, *host;
	const char *token_env; /* name of the variable that holds a token */
	bool force, create;
	int64_t depth;
};

struct confirm_options {
	struct common_options common;
	const char *reason;
};

struct exec_options {
	struct common_options common;
	bool input, tty, detach, raw;
	struct option_texts env;
	const char *workdir;
	const char *user;
	int64_t timeout_ms;
};

struct tool_options {
	struct common_options common;
	const char *http; /* a tool server; NULL: a sandbox of ours */
	const char *name, *description, *parameters, *action, *python, *listen, *api;
	const char *endpoint, *server;
	struct option_texts paths, env, headers;
	bool mcp;
	bool replace;
	int64_t timeout_ms; /* 0: not given */
};

struct py_options {
	struct common_options common;
	const char *kernel, *spec, *workdir;
	int64_t timeout_ms;
	bool raw;
};

struct browse_options {
	struct common_options common;
	const char *program, *picture;
	bool tree, marks, raw;
	int64_t timeout_ms;
};

struct shell_options {
	struct common_options common;
	const char *detach_key; /* "^]" */
};

struct cp_options {
	struct common_options common;
};

struct logs_options {
	struct common_options common;
	bool follow, raw;
};

struct events_options {
	struct common_options common;
	bool follow, raw;
	int64_t after;
};

struct port_options {
	struct common_options common;
	const char *listen; /* [HOST:]PORT; NULL: the same port */
	bool link;
};

struct token_options {
	struct common_options common;
	bool write;
	int64_t lifetime_ms;
};

struct ls_options {
	struct common_options common;
	bool all, quiet;
};

struct rm_options {
	struct common_options common;
	bool all;
};

struct doctor_options {
	struct common_options common;
	const char *state;
	bool attack;
};

struct gc_options {
	struct common_options common;
	const char *engine, *state;
	bool dry_run;
};
