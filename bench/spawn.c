/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: spawn ROUNDS NAME cmd arg… +++ NAME cmd arg… +++ …
 *
 * Starts the commands in turn (A B C A B C …), ROUNDS times each after three rounds of warming up,
 * and prints two lines for each: NAME.first_byte, from before the fork to the first byte on its
 * standard output, and NAME.whole, until it was reaped. A command that fails ends the run.
 */
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMANDS_MAX = 16, WARM_UP = 3 };

extern char **environ;

struct command {
	const char *name;
	char **argv;
	int64_t *first_byte_ns, *whole_ns;
};

static int run_once(const struct command *c, int64_t *ret_first_ns, int64_t *ret_whole_ns)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);

	int64_t begin = stats_now_ns();
	pid_t pid;
	int r = posix_spawnp(&pid, c->argv[0], &actions, NULL, c->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);
	if (r != 0) {
		close(pipe_fds[0]);
		errno = r;
		return -1;
	}
	char byte;
	ssize_t n = read(pipe_fds[0], &byte, 1);
	*ret_first_ns = stats_now_ns() - begin;
	char rest[4096];
	while (read(pipe_fds[0], rest, sizeof(rest)) > 0)
		;
	close(pipe_fds[0]);
	int status;
	waitpid(pid, &status, 0);
	*ret_whole_ns = stats_now_ns() - begin;
	return n == 1 && status == 0 ? 0 : -1;
}

static int split_commands(char **argv, struct command *commands)
{
	int n = 0;
	while (*argv && n < COMMANDS_MAX) {
		commands[n].name = *argv++;
		commands[n++].argv = argv;
		while (*argv && strcmp(*argv, "+++") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	return n;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: spawn ROUNDS NAME cmd arg… [+++ NAME cmd arg…]…\n");
		return 2;
	}
	int rounds = (int)strtol(argv[1], NULL, 10);
	struct command commands[COMMANDS_MAX];
	int n = split_commands(argv + 2, commands);
	for (int i = 0; i < n; i++) {
		commands[i].first_byte_ns = stats_samples((size_t)rounds);
		commands[i].whole_ns = stats_samples((size_t)rounds);
	}
	for (int round = -WARM_UP; round < rounds; round++) {
		for (int i = 0; i < n; i++) {
			int64_t first, whole;
			if (run_once(&commands[i], &first, &whole) < 0) {
				fprintf(stderr, "spawn: %s failed\n", commands[i].name);
				return 1;
			}
			if (round >= 0) {
				commands[i].first_byte_ns[round] = first;
				commands[i].whole_ns[round] = whole;
			}
		}
	}
	for (int i = 0; i < n; i++) {
		char name[80];
		snprintf(name, sizeof(name), "%s.first_byte", commands[i].name);
		stats_print(name, commands[i].first_byte_ns, (size_t)rounds);
		snprintf(name, sizeof(name), "%s.whole", commands[i].name);
		stats_print(name, commands[i].whole_ns, (size_t)rounds);
	}
	return 0;
}
