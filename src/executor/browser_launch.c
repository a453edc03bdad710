/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Chromium runs as the agent's user with the sandbox's locks, as any other
 * program; so --no-sandbox is right: the sandbox is around it, and layers of its own need
 * namespaces that no agent may make. Without isolation of sites every frame of a page is in one
 * process, which takes a third of the memory and lets one session see all of the page; what that
 * guards against is other sites' data in the memory of one process, and all of it is this one
 * agent's.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/browser.h"
#include "executor/browser_driver.h"
#include "executor/worker.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/*
 * In the order in which they are tried. Debian's launcher is a shell script: past it, the start is
 * faster.
 */
static const char *const programs[] = { "/usr/lib/chromium/chromium", "chromium",
	"chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "headless_shell" };

static const char *const flags[] = {
	"--headless",
	"--no-sandbox",
	"--remote-debugging-pipe",
	"--no-first-run",
	"--no-default-browser-check",
	"--password-store=basic",
	"--use-mock-keychain",
	/* Nothing goes out that the agent did not ask for. */
	"--disable-background-networking",
	"--disable-breakpad",
	"--disable-client-side-phishing-detection",
	"--disable-component-extensions-with-background-pages",
	"--disable-component-update",
	"--disable-crash-reporter",
	"--disable-default-apps",
	"--disable-domain-reliability",
	"--disable-extensions",
	"--disable-quic",
	"--disable-search-engine-choice-screen",
	"--disable-sync",
	"--metrics-recording-only",
	/* One process for all of a page, and no page that sleeps because nobody looks at it. */
	"--disable-site-isolation-trials",
	("--disable-features=IsolateOrigins,site-per-process,Translate,MediaRouter,OptimizationHints,"
	 "DialMediaRouteProvider,HttpsUpgrades,PaintHolding,DestroyProfileOnBrowserClose,"
	 "GlobalMediaControls,RenderDocument"),
	"--disable-back-forward-cache",
	"--disable-background-timer-throttling",
	"--disable-backgrounding-occluded-windows",
	"--disable-renderer-backgrounding",
	"--disable-hang-monitor",
	"--disable-ipc-flooding-protection",
	"--disable-popup-blocking",
	"--disable-smooth-scrolling",
	/* No graphics card; shared memory in /tmp, whose limit is the sandbox's. */
	"--disable-gpu",
	"--disable-dev-shm-usage",
	"--font-render-hinting=none",
	"--force-color-profile=srgb",
	"--hide-scrollbars",
	"--mute-audio",
	"--window-size=1280,720",
};

enum { ARGUMENTS_MAX = ARRAY_LEN(flags) + 4 };

struct pipes {
	int to_browser[2], from_browser[2]; /* read, write */
	int socket[2];                      /* ours, the driver's */
};

static void close_pipes(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		p->to_browser[i] = close_fd(p->to_browser[i]);
		p->from_browser[i] = close_fd(p->from_browser[i]);
		p->socket[i] = close_fd(p->socket[i]);
	}
}

static int open_pipes(struct pipes *p, struct error *err)
{
	*p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(p->to_browser, O_CLOEXEC) == 0 && pipe2(p->from_browser, O_CLOEXEC) == 0 &&
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p->socket) == 0)
		return 0;
	error_sys(err, errno, "make pipes to the browser");
	close_pipes(p);
	return -1;
}

/* Settings and caches go where they are forgotten with the profile. */
static void make_env(const struct executor *e, const char *profile_dir, struct env *env)
{
	env_copy(env, &e->env);
	env_set(env, STR("XDG_CONFIG_HOME"), str_from(profile_dir), NULL);
	env_set(env, STR("XDG_CACHE_HOME"), str_from(profile_dir), NULL);
	env_set(env, STR("DBUS_SESSION_BUS_ADDRESS"), STR("disabled:"), NULL);
}

static int try_program(const struct executor *e, const char *program, const char *profile_dir,
	const struct pipes *p, struct child *ret, struct error *err)
{
	const char *argv[ARGUMENTS_MAX];
	auto_env struct env env = { 0 };
	auto_free char *profile = mem_printf("--user-data-dir=%s", profile_dir);
	size_t n = 0;
	argv[n++] = program;
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		argv[n++] = flags[i];
	argv[n++] = profile;
	argv[n++] = "about:blank";
	argv[n] = NULL;
	make_env(e, profile_dir, &env);
	const int pipe_fds[] = { p->to_browser[0], p->from_browser[1] };
	struct spawn_plan plan = {
		.argv = argv,
		.envp = env_vector(&env),
		.path = env_get(&env, STR("PATH")),
		.cwd = "/",
		.stdio_fds = { -1, -1, -1 },
		.more_fds = pipe_fds,
		.n_more_fds = ARRAY_LEN(pipe_fds),
		.user = &e->user,
		.confine = &e->confine,
	};
	return spawn(&plan, ret, err);
}

static int start_chromium(const struct executor *e, const char *profile_dir, const struct pipes *p,
	struct child *ret, struct error *err)
{
	const char *wish = env_get(&e->env, STR("CAY_BROWSER"));
	if (wish)
		return try_program(e, wish, profile_dir, p, ret, err);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		int r = try_program(e, programs[i], profile_dir, p, ret, err);
		if (r == 0 || err->code != ERROR_NOT_FOUND)
			return r;
	}
	return error_set(err, ERROR_UNSUPPORTED,
		"there is no browser in this sandbox: its image has no chromium");
}

static int become(const struct user *u, struct error *err)
{
	if (!u->is_other)
		return 0;
	if (setgroups((size_t)u->n_groups, u->groups) < 0 ||
		setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
		return error_sys(err, errno, "become user %s", u->name);
	return 0;
}

/* What cannot be told over the socket shows as its end. */
_Noreturn static void driver_child(const struct executor *e, const struct pipes *p,
	const char *profile_dir, const char *old_profile_dir)
{
	const int keep[] = { p->to_browser[1], p->from_browser[0], p->socket[1] };
	struct driver_options options = {
		.socket_fd = p->socket[1],
		.in_fd = p->from_browser[0],
		.out_fd = p->to_browser[1],
		.profile_dir = profile_dir,
		.old_profile_dir = old_profile_dir,
		.workdir = e->workdir,
	};
	if (become(&e->user, NULL) < 0 ||
		worker_enter(&e->confine, "cay-browser", keep, ARRAY_LEN(keep), 0, NULL) < 0)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	driver_main(&options);
}

int browser_launch(const struct executor *e, const char *profile_dir, const char *old_profile_dir,
	struct browser_children *ret, struct error *err)
{
	struct pipes p;
	struct browser_children c = { .driver_pidfd = -1, .socket_fd = -1 };
	if (open_pipes(&p, err) < 0)
		return -1;
	if (start_chromium(e, profile_dir, &p, &c.chromium, err) < 0) {
		close_pipes(&p);
		return -1;
	}
	int pid = worker_fork(&e->confine, &c.driver_pidfd);
	if (pid == 0)
		driver_child(e, &p, profile_dir, old_profile_dir);
	if (pid < 0) {
		error_sys(err, errno, "fork the browser's driver");
		close_pipes(&p);
		child_signal(&c.chromium, SIGKILL, true, NULL);
		child_wait(&c.chromium);
		return -1;
	}
	c.socket_fd = take_fd(&p.socket[0]);
	close_pipes(&p);
	*ret = c;
	return 0;
}

void browser_kill(const struct browser_children *c)
{
	child_signal(&c->chromium, SIGKILL, true, NULL);
	syscall(SYS_pidfd_send_signal, c->driver_pidfd, SIGKILL, NULL, 0);
}
