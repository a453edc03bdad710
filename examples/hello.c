/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox, a command, a file:
 *
 *	cc hello.c -o hello $(pkg-config --cflags --libs cay) && ./hello local
 *	CAY_TOKEN=… ./hello http://127.0.0.1:8000
 */
#include <cay/cay.h>
#include <stdio.h>

static void on_status(void *arg, const char *id, const char *status, int is_error, const char *text)
{
	fprintf(stderr, "%.8s %s %s\n", id, status, text);
}

static int fail(const char *what, const struct cay_error *err)
{
	fprintf(stderr, "%s: %s: %s\n", what, cay_code_name(err->code), err->text);
	return 1;
}

static int perform(struct cay *cay, const char *id, const char *action, const char *params)
{
	struct cay_error err;
	char *result = cay_perform(cay, id, action, params, &err);
	if (!result)
		return fail(action, &err);
	puts(result);
	cay_free(result);
	return 0;
}

int main(int argc, char **argv)
{
	struct cay_options options = { .size = sizeof(options), .on_status = on_status };
	struct cay_error err;
	struct cay *cay = cay_open(argc > 1 ? argv[1] : "local", &options, &err);
	if (!cay)
		return fail("open", &err);
	char *id = cay_create(cay, "{}", &err);
	if (!id) {
		cay_close(cay);
		return fail("create", &err);
	}
	int status = perform(cay, id, "run", "{\"command\":\"x=42; echo $((x / 2)) >half\"}") ||
		perform(cay, id, "run", "{\"command\":\"echo $x\"}") ||
		perform(cay, id, "read", "{\"path\":\"half\"}");
	if (cay_destroy(cay, id, &err) < 0)
		status = fail("destroy", &err);
	cay_free(id);
	cay_close(cay);
	return status;
}
