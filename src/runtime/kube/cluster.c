/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/cluster.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <fcntl.h>

#define BEARER "Authorization: Bearer "

void cluster_doubt_token(struct cluster *c)
{
	c->header_ms = 0;
}

static void on_401(struct questions *questions)
{
	cluster_doubt_token(container_of(questions, struct cluster, questions));
}

void cluster_init(struct cluster *c, struct loop *loop, struct access *access)
{
	*c = (struct cluster){ .loop = loop, .access = *access };
	*access = (struct access){ 0 };
	asker_init(&c->asker, loop);
	questions_init(&c->questions, &c->asker, "cluster");
	c->questions.name = c->access.server;
	c->questions.on_401 = on_401;
	c->tls = (struct fetch_tls){ c->access.authorities, c->access.certificate, c->access.key,
		c->access.believes_anybody };
	if (c->access.token)
		c->header = mem_printf(BEARER "%s", c->access.token);
}

static void drop_header(struct cluster *c)
{
	if (c->header)
		explicit_bzero(c->header, strlen(c->header));
	free(take_ptr(c->header));
}

void cluster_fini(struct cluster *c)
{
	asker_fini(&c->asker);
	questions_fini(&c->questions);
	drop_header(c);
	access_fini(&c->access);
}

/* The cluster puts another token there before the old one ends. */
static void refresh_header(struct cluster *c)
{
	auto_buf struct buf token = BUF_INIT(ACCESS_FILE_MAX);
	struct error err;
	int64_t now = clock_mono_ms();
	if (!c->access.token_file ||
		(c->header && c->header_ms && now - c->header_ms < CLUSTER_TOKEN_MS))
		return;
	if (file_read(AT_FDCWD, c->access.token_file, &token, &err) < 0) {
		log_warn("cluster.token", "%s", err.text);
		return; /* the old one may do */
	}
	struct str text = str_trim(buf_str(&token));
	drop_header(c);
	c->header = mem_printf(BEARER "%.*s", STR_ARG(text));
	c->header_ms = now;
	explicit_bzero(token.ptr, token.len);
}

const char *cluster_token(struct cluster *c)
{
	refresh_header(c);
	return c->header ? c->header + strlen(BEARER) : NULL;
}

void cluster_ask(struct cluster *c, const struct cluster_request *r, answer_fn *done, void *arg)
{
	auto_free char *url = mem_printf("%s%s", c->access.server, r->path);
	refresh_header(c);
	const struct ask_plan plan = {
		.method = r->method,
		.url = url,
		.json = r->body,
		.tls = &c->tls,
		.keys = { c->header },
		.timeout_ms = CLUSTER_MS,
		.tries = CLUSTER_TRIES,
	};
	questions_ask(&c->questions, &plan, NULL, done, arg);
}

struct ask *cluster_stream(struct cluster *c, const char *path, int64_t at_most_ms,
	int (*on_body)(void *arg, struct str piece, struct error *err), ask_fn *done, void *arg)
{
	auto_free char *url = mem_printf("%s%s", c->access.server, path);
	refresh_header(c);
	const struct ask_plan plan = {
		.method = "GET",
		.url = url,
		.tls = &c->tls,
		.keys = { c->header },
		.timeout_ms = at_most_ms,
		.tries = 1,
		.is_harmless = true,
		.on_body = on_body,
		.done = done,
		.arg = arg,
	};
	return ask_new(&c->asker, &plan);
}
