/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/dial.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

struct dial {
	struct executor *executor;
	char *path;
	int64_t lease_ms;
	char secret[DIAL_SECRET_SIZE];
	bool has_secret;
	struct signal_watch *hangup;
	struct timer *lease; /* runs while there is no server */
};

int dial_connect(const char *path, struct str secret, int *ret_fd, struct error *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char hello[1 + DIAL_SECRET_SIZE] = { DIAL_HELLO };
	if (strlen(path) >= sizeof(to.sun_path) || secret.len > DIAL_SECRET_SIZE)
		return error_set(err, ERROR_INVALID, "%.60s…: too long for a socket", path);
	memcpy(to.sun_path, path, strlen(path) + 1);
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return error_sys(err, errno, "connect to the server");
	if (secret.len)
		memcpy(hello + 1, secret.ptr, secret.len);
	if (fd_send(fd, str_from_len(hello, 1 + secret.len), NULL, 0, err) < 0)
		return error_wrap(err, "greet the server");
	*ret_fd = take_fd(&fd);
	return 0;
}

int dial_tell_ready(int fd, struct error *err)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%c%u:%u", DIAL_READY, getuid(), getgid());
	return fd_send(fd, str_from_len(text, (size_t)n), NULL, 0, err);
}

void dial_tell_failure(int fd, const struct error *failure)
{
	struct error err;
	char text[1 + DIAL_TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%c%s", DIAL_FAILED, failure->text);
	if (fd_send(fd, str_from_len(text, MIN((size_t)n, sizeof(text) - 1)), NULL, 0, &err) < 0)
		log_error("executor.dial", "%s", err.text);
}

/* One that has a server stays with it. */
static void on_hangup(void *arg)
{
	struct dial *d = arg;
	struct error err;
	int fd;
	if (d->executor->control_fd >= 0 || !d->has_secret)
		return;
	if (dial_connect(d->path, str_from_len(d->secret, sizeof(d->secret)), &fd, &err) < 0) {
		log_error("executor.dial", "%s", err.text);
		return;
	}
	if (dial_tell_ready(fd, &err) < 0) {
		log_error("executor.dial", "%s", err.text);
		close(fd);
		return;
	}
	timer_clear(d->lease);
	executor_set_control(d->executor, fd);
}

static void on_lease(void *arg)
{
	struct dial *d = arg;
	log_warn("executor.dial", "no server for %lld ms", (long long)d->lease_ms);
	loop_stop(d->executor->loop);
}

void dial_take(struct dial *d, struct str message)
{
	if (message.len != 1 + DIAL_SECRET_SIZE || message.ptr[0] != DIAL_SECRET || d->has_secret)
		return;
	memcpy(d->secret, message.ptr + 1, sizeof(d->secret));
	d->has_secret = true;
}

/* Nobody was told of one without a secret, and nobody can find it again. */
void dial_lost(struct dial *d)
{
	if (d->has_secret)
		timer_set(d->lease, d->lease_ms);
	else
		loop_stop(d->executor->loop);
}

struct dial *dial_new(struct executor *e, const char *path, int64_t lease_ms)
{
	struct dial *d = mem_new(struct dial);
	d->executor = e;
	d->path = mem_strdup(path);
	d->lease_ms = lease_ms;
	d->hangup = signal_new(e->loop, SIGHUP, on_hangup, d);
	d->lease = timer_new(e->loop, on_lease, d);
	return d;
}

void dial_free(struct dial *d)
{
	if (!d)
		return;
	signal_free(d->hangup);
	timer_free(d->lease);
	explicit_bzero(d->secret, sizeof(d->secret));
	free(d->path);
	free(d);
}
