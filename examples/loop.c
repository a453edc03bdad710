/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two programs at once, their output as it comes, from a poll(2) loop of our own:
 *
 *	cc loop.c -o loop $(pkg-config --cflags --libs cay) && ./loop local
 */
#include <cay/cay.h>
#include <poll.h>
#include <stdio.h>

static int n_running;

static void on_data(void *arg, int channel, const void *bytes, size_t len)
{
	printf("%s %d: %.*s", (const char *)arg, channel, (int)len, (const char *)bytes);
}

static void on_result(void *arg, const char *json, size_t len)
{
	printf("%s ended\n", (const char *)arg);
	n_running--;
}

static void on_error(void *arg, const struct cay_error *err)
{
	printf("%s: %s\n", (const char *)arg, err->text);
	n_running--;
}

int main(int argc, char **argv)
{
	static const struct cay_sink sink = { .data = on_data,
		.result = on_result,
		.error = on_error };
	static char first[] = "first", second[] = "second";
	struct cay_error err;
	struct cay *cay = cay_open(argc > 1 ? argv[1] : "local", NULL, &err);
	char *id = cay ? cay_create(cay, "{}", &err) : NULL;
	if (!id) {
		fprintf(stderr, "%s\n", err.text);
		cay_close(cay);
		return 1;
	}
	struct cay_call *cat = cay_start(cay, id, "exec", "{\"argv\":[\"cat\"],\"stdin\":true}",
		&sink, first, &err);
	struct cay_call *seq = cay_start(cay, id, "exec", "{\"argv\":[\"seq\",\"3\"]}", &sink,
		second, &err);
	n_running = !!cat + !!seq;
	cay_call_send(cat, 0, "through the loop\n", 17);
	cay_call_eof(cat, 0);
	while (n_running > 0) {
		struct pollfd p = { .fd = cay_fd(cay), .events = POLLIN };
		poll(&p, 1, cay_timeout_ms(cay));
		if (cay_turn(cay, 0, &err) < 0)
			break;
	}
	cay_free(id);
	cay_close(cay);
	return 0;
}
