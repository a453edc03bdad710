/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/errand.h"

#include "base/auto.h"
#include "base/bug.h"
#include "sandbox/launch.h"

#include <signal.h>

/* Its wait status by the box's status_fd. One that cannot be told was killed with its sandbox. */
static int await(struct box *box)
{
	int status = -1;
	ssize_t n;
	do
		n = read(box->status_fd, &status, sizeof(status));
	while (n < 0 && errno == EINTR);
	launch_kill(box);
	launch_reap(box, NULL);
	return n == (ssize_t)sizeof(status) ? status : SIGKILL;
}

int errand_run(const struct errand *e, int *ret_status, struct error *err)
{
	static const char *const envp[] = { "PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL };
	auto_free struct plan *plan = mem_new(struct plan);
	struct launch_command command = {
		.argv = (char *const *)(uintptr_t)e->argv,
		.envp = (char *const *)(uintptr_t)envp,
	};
	struct box box = BOX_INIT;
	struct lock lock;
	for (int i = 0; i < 3; i++)
		command.stdio_fds[i] = e->stdio_fds[i];
	if (plan_make(e->spec, e->host, 0, plan, err) < 0)
		return -1;
	int r = lock_make(&plan->spec, &lock, err);
	if (r == 0)
		r = launch_start(plan, &lock, &command, NULL, &box, NULL, err);
	plan_fini(plan);
	if (r == 0)
		*ret_status = await(&box);
	return r;
}
