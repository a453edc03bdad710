/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. What needs no server is done here, in a static program that starts at once;
 * every other command is the business of cay-client, which has a place to be dynamic.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/program.h"
#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/executor_image.h"
#include "cli/help.h"
#include "cli/run.h"
#include "cli/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct command_binding bindings[] = {
	{ "config", config_main },
	{ "doctor", doctor_main },
	{ "executor-image", executor_image_main },
	{ "gc", gc_main },
	{ "help", help_main },
	{ "run", run_main },
	{ "serve", serve_main },
	{ "version", version_main },
	{ 0 },
};

/* argv as it was given to us. */
static char **arguments;

static int exec_client(struct invocation *in, struct error *err)
{
	int fd = -1;
	if (program_open("cay-client", &fd, err) < 0)
		return -1;
	syscall(SYS_execveat, fd, "", arguments, environ, AT_EMPTY_PATH);
	return error_sys(err, errno, "execute cay-client");
}

/* What is opened later must not become anybody's standard input or output. */
static int open_missing(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd < 0 ? -1 : close(fd);
}

/*
 * CAMEL's RemoteHttpRuntime(python_exec="cay") starts `cay …/camel/runtimes/api.py ENTRYPOINT…`. We
 * are no Python; we are that server.
 */
static bool is_for_camel(int argc, char **argv)
{
	return argc > 1 && strchr(argv[1], '/') &&
		str_ends(str_from(argv[1]), STR("/runtimes/api.py"));
}

static char **host_arguments(int argc, char **argv)
{
	static char tool[] = "tool", host[] = "host", api[] = "--api", end[] = "--";
	char *const words[] = { argv[0], tool, host, api, argv[1], end };
	char **all = mem_new_n(char *, ARRAY_LEN(words) + (size_t)argc);
	memcpy(all, words, sizeof(words));
	for (int i = 2; i < argc; i++)
		all[ARRAY_LEN(words) + (size_t)i - 2] = argv[i];
	return all;
}

int main(int argc, char **argv)
{
	if (open_missing() < 0)
		return 125;
	if (is_for_camel(argc, argv)) {
		argv = host_arguments(argc, argv);
		argc += 4;
	}
	arguments = argv;
	return command_main(bindings, exec_client, argc, argv);
}
