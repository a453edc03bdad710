/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/secrets.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/internal.h"
#include "wire/swaphost.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { MESSAGE_MAX = 160 * 1024, EVENT_MAX = 64 * 1024, READY_MS = 10000 };

struct secrets {
	struct sandbox *sandbox;
	struct swaphost *hosts; /* of all of them */
	size_t n_hosts;
	char *message; /* with the values; wiped once it is sent */
	int fd;        /* the boundary's socket; -1: not yet, or not any more */
	struct watch *watch;
	struct timer *timer; /* for its first answer */
	secrets_fn *done;
	void *arg;
};

/* ---- the wish ---- */

static void put_strings(struct jsonw *w, const char *key, const struct field_strings *list)
{
	jsonw_key(w, key);
	jsonw_open_array(w);
	for (size_t i = 0; i < list->n; i++)
		jsonw_str(w, list->items[i]);
	jsonw_close_array(w);
}

static char *make_message(const struct sandbox *s, const struct create *create)
{
	struct buf b = BUF_INIT(MESSAGE_MAX);
	struct jsonw w = JSONW(&b);
	auto_free char *title = mem_printf("cay boundary of sandbox %s", s->id);
	jsonw_open(&w);
	jsonw_key_str(&w, "op", STR("secrets"));
	jsonw_key_str(&w, "title", str_from(title));
	jsonw_key(&w, "secrets");
	jsonw_open_array(&w);
	for (size_t i = 0; i < create->n_swaps; i++) {
		const struct create_swap *swap = &create->swaps[i];
		jsonw_open(&w);
		jsonw_key_str(&w, "name", swap->name);
		jsonw_key_str(&w, "placeholder", str_from(swap->placeholder));
		jsonw_key_str(&w, "value", swap->value);
		jsonw_key_str(&w, "header", swap->header);
		put_strings(&w, "hosts", &swap->hosts);
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
	return buf_take(&b); /* create_check_swaps has seen to its size */
}

static struct secrets *make(struct sandbox *s)
{
	struct secrets *x = mem_new(struct secrets);
	x->sandbox = s;
	x->fd = -1;
	return x;
}

static void add_host(struct secrets *x, struct str text)
{
	x->hosts = mem_realloc(x->hosts, (x->n_hosts + 1) * sizeof(*x->hosts));
	if (swaphost_parse(text, &x->hosts[x->n_hosts], NULL) == 0)
		x->n_hosts++;
}

struct secrets *secrets_new(struct sandbox *s, const struct create *create)
{
	if (!create->n_swaps)
		return NULL;
	struct secrets *x = make(s);
	x->message = make_message(s, create);
	for (size_t i = 0; i < create->n_swaps; i++)
		for (size_t k = 0; k < create->swaps[i].hosts.n; k++)
			add_host(x, create->swaps[i].hosts.items[k]);
	return x;
}

static void forget_values(struct secrets *x)
{
	if (x->message)
		explicit_bzero(x->message, strlen(x->message));
	free(take_ptr(x->message));
}

/* ---- what the boundary says ---- */

static void hang_up(struct secrets *x)
{
	watch_free(take_ptr(x->watch));
	x->fd = close_fd(x->fd);
}

static void answer(struct secrets *x, struct str certificate, const struct error *err)
{
	secrets_fn *done = take_ptr(x->done);
	timer_free(take_ptr(x->timer));
	if (done)
		done(x->arg, certificate, err);
}

static void copy_text(struct jsonw *w, const struct json *from, const char *key)
{
	struct str text = json_str(json_find(from, key));
	if (text.len)
		jsonw_key_str(w, key, str_first(text, 2 * DNS_NAME_SIZE));
}

static void audit(struct secrets *x, const char *decision, const struct json *message)
{
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "decision", str_from(decision));
	copy_text(&w, message, "secret");
	copy_text(&w, message, "name");
	jsonw_key_int(&w, "port", json_int(json_find(message, "port")));
	copy_text(&w, message, "reason");
	jsonw_close(&w);
	audit_network(x->sandbox, &b);
}

static void handle(struct secrets *x, const struct json *message)
{
	struct error err;
	struct str event = json_str(json_find(message, "event"));
	if (str_is(event, "used")) {
		audit(x, "swapped", message);
	} else if (str_is(event, "refused")) {
		audit(x, "denied", message);
	} else if (str_is(event, "ready")) {
		answer(x, json_str(json_find(message, "certificate")), NULL);
	} else if (str_is(event, "failed")) {
		struct str why = json_str(json_find(message, "reason"));
		error_set(&err, ERROR_INTERNAL, "secrets: %.*s", STR_ARG(str_first(why, 160)));
		answer(x, STR_NONE, &err);
	}
}

static void on_message(void *arg, int events)
{
	static char bytes[EVENT_MAX];
	struct secrets *x = arg;
	struct error err;
	int n_fds = 0;
	auto_json struct json *message = NULL;
	ssize_t n = fd_recv(x->fd, bytes, sizeof(bytes), NULL, &n_fds, &err);
	if (n < 0 && (err.sys == EAGAIN || err.sys == EINTR))
		return;
	if (n <= 0) {
		log_warn("boundary.ended", "id=%s", x->sandbox->id);
		audit_network_closed(x->sandbox,
			"what swaps its secrets in has ended, and they with it");
		hang_up(x);
		error_set(&err, ERROR_UNAVAILABLE, "secrets: what swaps them in has ended");
		answer(x, STR_NONE, &err);
	} else if (json_parse(str_from_len(bytes, (size_t)n), &message, NULL) == 0) {
		handle(x, message); /* x may be gone */
	}
}

static int take_socket(struct secrets *x, int fd, struct error *err)
{
	x->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (x->fd < 0 || fd_set_nonblock(x->fd, err) < 0)
		return error_sys(err, errno, "secrets: keep the boundary's socket");
	x->watch = watch_new(x->sandbox->runtime->loop, x->fd, LOOP_READ, on_message, x);
	return 0;
}

/* ---- opening ---- */

static void on_late(void *arg)
{
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "secrets: what swaps them in does not answer");
	answer(arg, STR_NONE, &err);
}

static void on_boundary(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	struct secrets *x = s ? s->secrets : NULL;
	struct error err = reply->error;
	step_free(step);
	if (!x || !x->message)
		return;
	if (err.code == ERROR_OK && take_socket(x, reply->fd, &err) == 0 &&
		fd_send(x->fd, str_from(x->message), NULL, 0, &err) == 0) {
		timer_set(x->timer, READY_MS);
		forget_values(x);
		return;
	}
	forget_values(x);
	answer(x, STR_NONE, &err);
}

void secrets_open(struct sandbox *s, secrets_fn *done, void *arg)
{
	struct backend *b = s->runtime->backend;
	struct secrets *x = s->secrets;
	x->done = done;
	x->arg = arg;
	x->timer = timer_new(s->runtime->loop, on_late, x);
	b->ops->boundary(b, s->backend_id, on_boundary, step_new(s->runtime, s, NULL));
}

void secrets_adopt(struct sandbox *s, int fd)
{
	auto_json struct json *spec = NULL;
	struct error err;
	if (s->secrets || json_parse(str_from(s->spec_json), &spec, NULL) < 0)
		return;
	const struct json *list = json_find(spec, "swapped");
	if (json_len(list) == 0)
		return;
	s->secrets = make(s);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *hosts = json_find(json_at(list, i), "hosts");
		for (size_t k = 0; k < json_len(hosts); k++)
			add_host(s->secrets, json_str(json_at(hosts, k)));
	}
	if (fd < 0 || take_socket(s->secrets, fd, &err) < 0)
		log_warn("boundary.lost", "id=%s", s->id);
}

/* ---- connections ---- */

bool secrets_want(const struct sandbox *s, const char *name, int port)
{
	for (size_t i = 0; s->secrets && i < s->secrets->n_hosts; i++)
		if (swaphost_is(&s->secrets->hosts[i], name, port))
			return true;
	return false;
}

static int has_ended(struct error *err)
{
	return error_set(err, ERROR_UNAVAILABLE,
		"what swaps its secrets in has ended, and they with it");
}

int secrets_pass(struct sandbox *s, const char *name, int port, int *fd, struct error *err)
{
	struct secrets *x = s->secrets;
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	int ends[2];
	if (x->fd < 0)
		return has_ended(err);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_sys(err, errno, "make a socket");
	auto_fd int ours = ends[0], theirs = ends[1];
	jsonw_open(&w);
	jsonw_key_str(&w, "op", STR("connect"));
	jsonw_key_str(&w, "name", str_from(name));
	jsonw_key_int(&w, "port", port);
	jsonw_close(&w);
	const int fds[2] = { theirs, *fd };
	struct error failure;
	if (fd_send(x->fd, buf_str(&b), fds, 2, &failure) < 0) {
		if (failure.sys == EPIPE || failure.sys == ECONNRESET)
			return has_ended(err); /* and we have not heard of it yet */
		*err = failure;
		return error_wrap(err, "what swaps secrets in takes no more now");
	}
	close(*fd);
	*fd = take_fd(&ours);
	return 0;
}

void secrets_close(struct sandbox *s)
{
	struct secrets *x = take_ptr(s->secrets);
	if (!x)
		return;
	hang_up(x);
	timer_free(x->timer);
	forget_values(x);
	free(x->hosts);
	free(x);
}
