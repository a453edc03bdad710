/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Python file of this machine, run in a sandbox with arguments and variables, its output as it comes:
 *
 *	cc exec_python_file.c -o exec_python_file $(pkg-config --cflags --libs cay)
 *	./exec_python_file local script.py
 */
#include <cay/cay.h>
#include <stdio.h>
#include <string.h>

static void on_data(void *arg, int channel, const void *bytes, size_t len)
{
	fwrite(bytes, 1, len, channel == 2 ? stderr : stdout);
}

static void on_result(void *arg, const char *json, size_t len)
{
	const char *code = strstr(json, "\"exit_code\":");
	printf("%.*s\n", code ? (int)strcspn(code, ",}") : 0, code ? code : "");
}

static void on_error(void *arg, const struct cay_error *err)
{
	fprintf(stderr, "%s: %s\n", cay_code_name(err->code), err->text);
}

static int run(struct cay *cay, const char *id, struct cay_error *err)
{
	static const struct cay_sink sink = { .data = on_data,
		.result = on_result,
		.error = on_error };
	static const char params[] =
		"{\"argv\":[\"python3\",\"-u\",\"script.py\",\"first\",\"second one\"],"
		"\"env\":{\"PYTHONUNBUFFERED\":\"1\",\"OWN\":\"value\"}}";
	struct cay_call *call = cay_start(cay, id, "exec", params, &sink, NULL, err);
	return call ? cay_call_wait(call, err) : -1;
}

int main(int argc, char **argv)
{
	struct cay_error err;
	struct cay *cay = cay_open(argc > 1 ? argv[1] : "local", NULL, &err);
	char *id = cay ? cay_create(cay, "{}", &err) : NULL;
	char *written = id
		? cay_perform(cay, id, "write",
			  "{\"path\":\"script.py\",\"content\":\"import os, sys\\n"
			  "print(sys.argv[1:], os.environ['OWN'])\\nsys.exit(3)\\n\"}",
			  &err)
		: NULL;
	int status = written ? run(cay, id, &err) : -1;
	if (status < 0)
		fprintf(stderr, "%s: %s\n", cay_code_name(err.code), err.text);
	cay_free(written);
	if (id)
		cay_destroy(cay, id, &err);
	cay_free(id);
	cay_close(cay);
	return status < 0;
}
