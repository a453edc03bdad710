/* SPDX-License-Identifier: Apache-2.0 */
#include "main/faces.h"

#include "base/auto.h"
#include "face/camel/camel.h"
#include "face/daytona/daytona.h"
#include "face/e2b/e2b.h"
#include "face/mcp/mcp.h"
#include "face/openhands/openhands.h"
#include "face/opensandbox/opensandbox.h"
#include "main/settings.h"
#include "face/rest/ports.h"
#include "face/rest/rest.h"
#include "face/swerex/swerex.h"
#include "http/server.h"
#include "version.h"

static struct rest rest = { .version = CAY_VERSION };
static const struct http_face rest_face = {
	.name = "rest",
	.prefix = "/v1/",
	.routes = rest_routes,
	.arg = &rest,
	.authorize = rest_authorize,
	.sandbox_of = rest_sandbox_of,
	.sandbox_param = "id",
};

void faces_set_guard(struct guard *guard, const char *approver_token)
{
	rest.guard = guard;
	rest.approver_token = approver_token;
}

static const struct http_face *rest_open(struct runtime *rt)
{
	rest.runtime = rt;
	return &rest_face;
}

static const struct http_face *ports_open(struct runtime *rt)
{
	static struct http_face face;
	ports_face_init(&face, &rest);
	return &face;
}

static struct openhands *openhands;

static const struct http_face *openhands_open(struct runtime *rt)
{
	const struct json *settings = settings_of_server("openhands");
	const struct json *browser = json_find(settings, "browser");
	openhands = openhands_new(rt, json_int(json_find(settings, "warm")),
		!browser || json_bool(browser));
	return openhands_face(openhands);
}

static void openhands_close(void)
{
	openhands_free(take_ptr(openhands));
}

static struct mcp_face *mcp;

static const struct http_face *mcp_open(struct runtime *rt)
{
	mcp = mcp_face_new(rt, CAY_VERSION);
	return mcp_face_http(mcp);
}

static void mcp_close(void)
{
	mcp_face_free(take_ptr(mcp));
}

static const struct http_face *camel_open(struct runtime *rt)
{
	rest.camel = camel_new(rt);
	return camel_face(rest.camel);
}

static void camel_close(void)
{
	camel_free(take_ptr(rest.camel));
}

static struct daytona *daytona;

static const struct http_face *daytona_open(struct runtime *rt)
{
	daytona = daytona_new(rt);
	return daytona_face(daytona);
}

static void daytona_close(void)
{
	daytona_free(take_ptr(daytona));
}

static struct swerex *swerex;

static const struct http_face *swerex_open(struct runtime *rt)
{
	swerex = swerex_new(rt);
	return swerex_face(swerex);
}

static void swerex_end(void)
{
	swerex_free(take_ptr(swerex));
}

static struct e2b *e2b;

static const struct http_face *e2b_open(struct runtime *rt)
{
	e2b = e2b_new(rt);
	return e2b_face(e2b);
}

static void e2b_close(void)
{
	e2b_free(take_ptr(e2b));
}

static struct osb *osb;

static const struct http_face *osb_open(struct runtime *rt)
{
	osb = osb_new(rt);
	return osb_face(osb);
}

static void osb_close(void)
{
	osb_free(take_ptr(osb));
}

static const struct {
	const struct http_face *(*open)(struct runtime *rt);
	void (*close)(void); /* also of one that was never opened */
} rows[] = {
	{ rest_open, NULL },
	{ camel_open, camel_close },
	{ daytona_open, daytona_close },
	{ e2b_open, e2b_close },
	{ mcp_open, mcp_close },
	{ openhands_open, openhands_close },
	{ osb_open, osb_close },
	{ swerex_open, swerex_end },
	/* After rest, whose runtime it shares, and last: it takes any PORT-ID. */
	{ ports_open, NULL },
};

void faces_open(struct runtime *rt, struct http_server *http)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		http_server_add_face(http, rows[i].open(rt));
}

void faces_close(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].close)
			rows[i].close();
}
