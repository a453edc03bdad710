/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line. What needs no server is done here, in a static program that starts at once; every
 * other command is the business of cay-client, which has a place to be dynamic.
 */
#include "base/program.h"
#include "cli/command.h"
#include "cli/doctor.h"
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

int main(int argc, char **argv)
{
	arguments = argv;
	if (open_missing() < 0)
		return 125;
	return command_main(bindings, exec_client, argc, argv);
}
