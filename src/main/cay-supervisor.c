/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only privileged program. See sandbox/supervise.h for what it does, `cay serve` for how it is
 * started.
 */
#include "base/auto.h"
#include "base/log.h"
#include "base/num.h"
#include "base/program.h"
#include "sandbox/host.h"
#include "sandbox/supervise.h"
#include "sandbox/uplink.h"

#include <fcntl.h>
#include <getopt.h>

static const struct option options[] = {
	{ "state", required_argument, NULL, 's' },
	{ "socket", required_argument, NULL, 'u' },
	{ "listen", required_argument, NULL, 'l' },
	{ "docker", required_argument, NULL, 'd' },
	{ "host-path", required_argument, NULL, 'o' },
	{ "pool", required_argument, NULL, 'p' },
	{ "backend", required_argument, NULL, 'b' },
	{ "ready-fd", required_argument, NULL, 'r' },
	{ "libexec", required_argument, NULL, 'x' },
	{ "try-network", required_argument, NULL, 't' },
	{ "log-json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char usage[] =
	"usage: cay-supervisor [--state DIR] [--socket PATH|none] [--listen HOST:PORT|none]... [--pool N]\n"
	"                      [--docker unix:PATH] [--backend BACKEND] [--host-path DIR|any|none]...\n"
	"                      [--ready-fd FD] [--libexec DIR] [--log-json]\n"
	"Started by `cay serve`, which see.\n";

static const char *try_network; /* `cay doctor` wants to know */

static int try_it(void)
{
	struct host host;
	struct error err;
	uint32_t network = strcmp(try_network, "pasta") == 0 ? NETWORK_PASTA : NETWORK_BRIDGE;
	if (host_init(&host, &err) == 0 && uplink_probe(network, host.run_dir, &err) == 0)
		return 0;
	printf("%s\n", err.text);
	return error_exit(err.code);
}

static int parse_number(const char *name, int64_t max, int *ret, struct error *err)
{
	int64_t value;
	if (num_parse_i64(str_from(optarg), 0, max, &value, err) < 0)
		return error_wrap(err, "--%s", name);
	*ret = (int)value;
	return 0;
}

static int add_listen(struct supervise_config *config, struct error *err)
{
	if (config->n_listen == (int)ARRAY_LEN(config->listen))
		return error_set(err, ERROR_INVALID, "--listen: more than %d", config->n_listen);
	config->listen[config->n_listen++] = optarg;
	return 0;
}

static int parse_one(int letter, struct supervise_config *config, struct error *err)
{
	switch (letter) {
	case 's':
		config->state_dir = optarg;
		return 0;
	case 'u':
		config->socket_path = optarg;
		return 0;
	case 'l':
		return add_listen(config, err);
	case 'd':
		config->docker = optarg;
		return 0;
	case 'o':
		return hostpaths_add(&config->host_paths, optarg, err) < 0
			? error_wrap(err, "--host-path")
			: 0;
	case 'p':
		return parse_number("pool", 1024, &config->pool, err);
	case 'b':
		config->backend = strcmp(optarg, "native") == 0 ? NULL : optarg;
		return 0;
	case 'r':
		return parse_number("ready-fd", 1 << 20, &config->ready_fd, err);
	case 'x':
		program_set_dir(optarg);
		return 0;
	case 't':
		try_network = optarg;
		return 0;
	case 'j':
		log_set_json(true);
		return 0;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		return error_set(err, ERROR_INVALID, "see --help");
	}
}

static int parse(int argc, char **argv, struct supervise_config *config, struct error *err)
{
	int letter;
	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (parse_one(letter, config, err) < 0)
			return -1;
	if (optind < argc)
		return error_set(err, ERROR_INVALID, "%s: no arguments are taken", argv[optind]);
	if (config->ready_fd >= 0 && fcntl(config->ready_fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_sys(err, errno, "--ready-fd %d", config->ready_fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct supervise_config config = { .pool = -1, .ready_fd = -1 };
	struct error err;
	log_init("cay-supervisor");
	int r = parse(argc, argv, &config, &err);
	if (r == 0 && try_network)
		return try_it();
	if (r < 0 || supervise(&config, &err) < 0) {
		fprintf(stderr, "cay: serve: %s\n", err.text);
		return error_exit(err.code);
	}
	return 0;
}
