/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This process becomes the supervisor, so that whoever started it signals and waits for the right
 * one. Who then greets? A herald: a process forked before, and away from the supervisor's children,
 * that waits for the line on the supervisor's --ready-fd, prints the greeting, passes the line on
 * to the caller's own --ready-fd and is gone. The line holds the ports that the kernel chose, which
 * nobody knew before. If the supervisor ends first, the herald reads the end of its pipe and so
 * does who waits for the caller's descriptor.
 */
#include "cli/serve.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/home.h"
#include "base/program.h"
#include "cli/options.h"
#include "config/settings.h"
#include "sandbox/delegation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

enum { PATH_BYTES_MAX = 4096, GREETING_MAX = 16 * 1024, PORTS_MAX = 256, SETTINGS_MAX = 96 * 1024 };

extern char **environ;

/* ":8000" is on this machine alone, like what is not said at all. */
static void put_url(struct buf *b, const char *where)
{
	buf_printf(b, "http://%s%s", where[0] == ':' ? "127.0.0.1" : "", where);
}

static void put_addresses(struct buf *b, const struct option_texts *listen, const char *socket)
{
	for (int i = 0; i < listen->n; i++) {
		buf_putc(b, ' ');
		put_url(b, listen->items[i]);
	}
	if (strcmp(socket, "none") != 0)
		buf_printf(b, " unix:%s", socket);
}

/* For a shell, which takes it as it is: quoted only where it has to be. */
static void put_word(struct buf *b, const char *prefix, const char *path, const char *name)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,=";
	bool is_plain = strspn(path, plain) == strlen(path);
	buf_printf(b, "%s%s", is_plain ? "" : "'", prefix);
	for (const char *c = path; *c; c++)
		if (*c == '\'')
			buf_puts(b, "'\\''");
		else
			buf_putc(b, *c);
	buf_printf(b, "%s%s", name, is_plain ? "" : "'");
}

static void put_token_of(struct buf *b, const char *state)
{
	buf_puts(b, "$(cat ");
	put_word(b, "", state, "/token");
	buf_putc(b, ')');
}

static void put_curl(struct buf *b, const char *state, const char *url, const char *socket)
{
	buf_puts(b, "  curl          curl -H \"Authorization: Bearer ");
	if (getenv("CAY_TOKEN"))
		buf_puts(b, "$CAY_TOKEN\"");
	else {
		put_token_of(b, state);
		buf_putc(b, '"');
	}
	if (!url[0]) {
		buf_puts(b, " --unix-socket ");
		put_word(b, "", socket, "");
	}
	buf_printf(b, " %s/v1/sandboxes -d '{}'\n", url[0] ? url : "http://localhost");
}

static void put_docker(struct buf *b, const char *where)
{
	const char *path = !strncmp(where, "unix:", 5) ? where + 5 : where;
	buf_puts(b, "  docker        DOCKER_HOST=");
	put_word(b, "unix://", path, "");
	buf_putc(b, '\n');
}

/* Their keys are the token that curl shows. */
static void put_clients(struct buf *b, const char *url)
{
	buf_printf(b,
		"  OpenHands     RUNTIME=remote SANDBOX_REMOTE_RUNTIME_API_URL=%s"
		" SANDBOX_RUNTIME_CONTAINER_IMAGE=host SANDBOX_API_KEY=TOKEN\n",
		url);
	buf_printf(b, "  Daytona       DAYTONA_API_URL=%s/daytona/api DAYTONA_API_KEY=TOKEN\n",
		url);
	buf_printf(b,
		"  SWE-ReX       RemoteDeployment(host=\"%s/swerex/new/host/NAME\", auth_token=TOKEN)\n",
		url);
	buf_printf(b,
		"  E2B           E2B_API_URL=%s/e2b E2B_SANDBOX_URL=%s/e2b E2B_API_KEY=TOKEN\n",
		url, url);
	buf_printf(b,
		"  OpenSandbox   OPEN_SANDBOX_DOMAIN=%s/opensandbox OPEN_SANDBOX_API_KEY=TOKEN\n",
		url);
	buf_printf(b, "  MCP           cay mcp, or %s/mcp\n", url);
	buf_printf(b, "  any other     %s/v1/openapi.json says everything\n", url);
}

/* What the command line would not find by itself. */
static void put_differences(struct buf *b, const char *state, const char *url, const char *socket)
{
	auto_buf struct buf usual_socket = BUF_INIT(PATH_BYTES_MAX),
			    usual_state = BUF_INIT(PATH_BYTES_MAX),
			    more = BUF_INIT(4 * PATH_BYTES_MAX);
	home_put_socket(&usual_socket, NULL);
	home_put_state(&usual_state, NULL);
	if (!strcmp(socket, "none"))
		buf_printf(&more, " CAY_URL=%s", url);
	else if (strcmp(usual_socket.ptr, socket) != 0) {
		buf_puts(&more, " CAY_URL=");
		put_word(&more, "unix:", socket, "");
	}
	if (!getenv("CAY_TOKEN") && strcmp(usual_state.ptr, state) != 0) {
		buf_puts(&more, " CAY_TOKEN=");
		put_token_of(&more, state);
	}
	if (more.len)
		buf_printf(b, "                with%s\n", more.ptr);
}

void serve_put_greeting(struct buf *b, const struct serve_options *o, const char *state,
	const char *socket)
{
	const char *usual_listen = "127.0.0.1:8000";
	struct option_texts listen = o->listen.n ? o->listen
						 : (struct option_texts){ &usual_listen, 1 };
	auto_buf struct buf url = BUF_INIT(PATH_BYTES_MAX);
	if (!strcmp(listen.items[0], "none"))
		listen.n = 0;
	else
		put_url(&url, listen.items[0]);

	buf_puts(b, "cay serves.");
	put_addresses(b, &listen, socket);
	buf_puts(b, "\n\n  command line  cay create --name demo && cay shell demo\n");
	put_differences(b, state, url.ptr, socket);
	put_curl(b, state, url.ptr, socket);
	if (o->docker)
		put_docker(b, o->docker);
	if (listen.n)
		put_clients(b, url.ptr);
}

/* `line`: a port for each address with port 0, each after a blank. */
static void set_ports(struct serve_options *o, struct arena *arena, struct str line)
{
	struct str port = STR_NONE;
	for (int i = 0; i < o->listen.n; i++) {
		struct str where = str_from(o->listen.items[i]);
		if (!str_ends(where, STR(":0")))
			continue;
		while (str_split(&line, ' ', &port) && !port.len)
			;
		if (port.len)
			o->listen.items[i] = arena_printf(arena, "%.*s%.*s", (int)where.len - 1,
				where.ptr, STR_ARG(port));
	}
}

static bool read_line(int fd, struct buf *ret)
{
	char byte;
	ssize_t n;
	while ((n = read(fd, &byte, 1)) == 1 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		if (byte == '\n')
			return true;
		buf_putc(ret, byte);
	}
	return false;
}

/* In a process of its own. */
static _Noreturn void herald(int from_fd, int to_fd, struct serve_options *o, const char *state,
	const char *socket)
{
	auto_arena struct arena arena = ARENA_INIT(GREETING_MAX);
	auto_buf struct buf line = BUF_INIT(PORTS_MAX), greeting = BUF_INIT(GREETING_MAX);
	if (read_line(from_fd, &line)) {
		set_ports(o, &arena, buf_str(&line));
		serve_put_greeting(&greeting, o, state, socket);
		file_write_all(STDOUT_FILENO, buf_str(&greeting), NULL);
		buf_putc(&line, '\n');
		if (to_fd > 0)
			file_write_all(to_fd, buf_str(&line), NULL);
	}
	_exit(0);
}

/* Forked twice: it is no child of who becomes the supervisor. */
static int start_herald(struct serve_options *o, const char *state, const char *socket, int *ret_fd,
	struct error *err)
{
	int fds[2], to_fd = (int)o->ready_fd;
	if (pipe(fds) < 0)
		return error_sys(err, errno, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[1]);
		if (fork() == 0)
			herald(fds[0], to_fd, o, state, socket);
		_exit(0);
	}
	close(fds[0]);
	*ret_fd = fds[1];
	if (pid < 0)
		return error_sys(err, errno, "fork");
	waitpid(pid, NULL, 0);
	if (to_fd > 0)
		close(to_fd);
	return 0;
}

static int absolute(const char *path, struct buf *ret, struct error *err)
{
	auto_free char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
	if (path[0] != '/' && !here)
		return error_sys(err, errno, "the current directory");
	buf_printf(ret, "%s%s%s", here ? here : "", here ? "/" : "", path);
	return ret->is_full ? error_set(err, ERROR_INVALID, "%.60s…: too long", path) : 0;
}

static int find_places(const struct serve_options *o, struct buf *state, struct buf *socket,
	struct error *err)
{
	if ((o->state ? absolute(o->state, state, err) : home_put_state(state, err)) < 0)
		return error_wrap(err, "--state");
	if (!o->socket)
		return home_put_socket_of(socket, state->ptr, err);
	if (!strcmp(o->socket, "none"))
		return buf_puts(socket, "none");
	return absolute(o->socket, socket, err) < 0 ? error_wrap(err, "--socket") : 0;
}

/* The option, for each item of a list. */
static int add_each(const char **words, const char *option, const struct toml *list)
{
	int n = 0;
	for (const struct toml *item = list->first; item; item = item->next) {
		words[n++] = option;
		words[n++] = item->text.ptr;
	}
	return n;
}

/* The supervisor's options are spelt as ours; where one comes twice, the last one counts. */
static const char **make_words(struct invocation *in, const struct config *c,
	const struct serve_options *said, const char *state, const char *socket, int ready_fd)
{
	const struct toml *listen = config_value(c, KEY_SERVE_LISTEN);
	const struct toml *paths = config_value(c, KEY_SERVE_HOST_PATHS);
	const char **words = arena_new_n(&in->arena, const char *,
		(size_t)in->argc + 2 * (size_t)(listen->n + paths->n) + 14);
	int n = 0;
	words[n++] = "cay-supervisor";
	if (!said->listen.n)
		n += add_each(words + n, "--listen", listen);
	if (!said->host_path.n)
		n += add_each(words + n, "--host-path", paths);
	auto_buf struct buf backend = BUF_INIT(PATH_BYTES_MAX);
	config_put_backend(c, &backend);
	if (backend.len) {
		words[n++] = "--backend"; /* one on the command line comes later, and counts */
		words[n++] = arena_str(&in->arena, buf_str(&backend));
	}
	if (config_text(c, KEY_SERVE_DOCKER).len) {
		words[n++] = "--docker";
		words[n++] = config_text(c, KEY_SERVE_DOCKER).ptr;
	}
	if (config_is_set(c, KEY_SERVE_POOL)) {
		words[n++] = "--pool";
		words[n++] = arena_printf(&in->arena, "%lld",
			(long long)config_int(c, KEY_SERVE_POOL));
	}
	for (int i = 0; i < in->argc; i++) {
		bool is_ours = !strcmp(in->argv[i], "--config");
		i += is_ours;
		if (!is_ours && strncmp(in->argv[i], "--config=", 9) != 0)
			words[n++] = in->argv[i];
	}
	words[n++] = "--state";
	words[n++] = arena_str(&in->arena, str_from(state));
	words[n++] = "--socket";
	words[n++] = arena_str(&in->arena, str_from(socket));
	words[n++] = "--ready-fd";
	words[n++] = arena_printf(&in->arena, "%d", ready_fd);
	return words;
}

/* What the command line leaves open is the configuration's. */
static void apply(const struct config *c, struct arena *arena, struct serve_options *o)
{
	const struct toml *listen = config_value(c, KEY_SERVE_LISTEN);
	if (!o->state && config_text(c, KEY_SERVE_STATE).len)
		o->state = config_text(c, KEY_SERVE_STATE).ptr;
	if (!o->socket && config_text(c, KEY_SERVE_SOCKET).len)
		o->socket = config_text(c, KEY_SERVE_SOCKET).ptr;
	if (o->listen.n)
		return;
	o->listen.items = arena_new_n(arena, const char *, (size_t)listen->n + 1);
	for (const struct toml *item = listen->first; item; item = item->next)
		o->listen.items[o->listen.n++] = item->text.ptr;
}

static int configure(struct config *c, const struct serve_options *o, struct error *err)
{
	auto_buf struct buf backend = BUF_INIT(PATH_BYTES_MAX);
	auto_buf struct buf settings = BUF_INIT(SETTINGS_MAX);
	if (config_load(c, o->config, (const char *const *)environ, err) < 0)
		return error_wrap(err, "configuration");
	config_put_backend(c, &backend);
	if (config_put_settings(c, o->backend ?: backend.ptr ?: "", &settings, err) < 0)
		return error_wrap(err, "configuration");
	for (int i = 0; i < c->n_warnings; i++)
		fprintf(stderr, "cay: warning: %s\n", c->warnings[i]);
	const char *key = config_text(c, KEY_SANDBOX_API_KEY).ptr;
	if (key && setenv("SANDBOX_API_KEY", key, 1) < 0)
		return error_sys(err, errno, "hand the key on");
	if (setenv("CAY_SETTINGS", settings.ptr, 1) < 0)
		return error_sys(err, errno, "hand the configuration on");
	return 0;
}

int serve_main(struct invocation *in, struct error *err)
{
	struct serve_options *o = in->values;
	auto_config struct config config = CONFIG_INIT;
	auto_buf struct buf state = BUF_INIT(PATH_BYTES_MAX), socket = BUF_INIT(PATH_BYTES_MAX);
	auto_fd int program_fd = -1;
	int ready_fd = -1;
	if (o->ready_fd && fcntl((int)o->ready_fd, F_GETFD) < 0)
		return error_sys(err, errno, "--ready-fd %d", (int)o->ready_fd);
	if (configure(&config, o, err) < 0)
		return -1;
	const struct serve_options said = *o;
	apply(&config, &in->arena, o);
	if (find_places(o, &state, &socket, err) < 0 ||
		program_open("cay-supervisor", &program_fd, err) < 0)
		return -1;
	if (delegation_settle(err) < 0 ||
		start_herald(o, state.ptr, socket.ptr, &ready_fd, err) < 0)
		return -1;
	const char **words = make_words(in, &config, &said, state.ptr, socket.ptr, ready_fd);
	fexecve(program_fd, (char *const *)(uintptr_t)words, environ);
	return error_sys(err, errno, "run cay-supervisor");
}
