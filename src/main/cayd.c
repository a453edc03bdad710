/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cayd: the server. Started by the supervisor, see sandbox/server.h for what it is given: the
 * monitor's socket, its state directory and listening sockets as descriptors from 3 on. With a
 * --backend of its own it asks nothing of the supervisor, and only tells it that it is up.
 */
#include "base/log.h"
#include "base/num.h"
#include "main/daemon.h"

#include <getopt.h>

static struct daemon_options o;

static int parse_one(int letter, struct error *err)
{
	switch (letter) {
	case 's':
		o.state_dir = optarg;
		return 0;
	case 'b':
		o.backend = optarg;
		return 0;
	case 'd':
		o.has_docker = true;
		return 0;
	case 'n':
		return num_parse_i64(str_from(optarg), 0, DAEMON_LISTENERS_MAX, &o.n_listeners,
			err);
	case 'p':
		return num_parse_i64(str_from(optarg), 0, INT32_MAX, &o.pool, err);
	default:
		return error_set(err, ERROR_INVALID, "cayd is started by `cay serve`");
	}
}

static int parse(int argc, char **argv, struct error *err)
{
	static const struct option options[] = {
		{ "state", required_argument, NULL, 's' },
		{ "listeners", required_argument, NULL, 'n' },
		{ "docker", no_argument, NULL, 'd' },
		{ "backend", required_argument, NULL, 'b' },
		{ "pool", required_argument, NULL, 'p' },
		{ 0 },
	};
	int letter;
	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (parse_one(letter, err) < 0)
			return -1;
	return o.state_dir ? 0 : error_set(err, ERROR_INVALID, "cayd is started by `cay serve`");
}

int main(int argc, char **argv)
{
	struct error err;
	log_init("cayd");
	if (parse(argc, argv, &err) == 0 && daemon_run(&o, &err) == 0)
		return 0;
	log_error("server.failed", "%s", err.text);
	return error_exit(err.code);
}
