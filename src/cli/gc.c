/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/home.h"
#include "cli/doctor.h"
#include "cli/engine.h"
#include "cli/options.h"
#include "runtime/leftover.h"
#include "sandbox/launch.h"
#include "wire/json.h"

struct finds {
	struct buf lines;
	struct jsonw json;
	bool is_json;
};

static void found(void *ctx, const char *what)
{
	struct finds *f = ctx;
	if (f->is_json)
		jsonw_str(&f->json, str_from(what));
	else
		buf_printf(&f->lines, "%s\n", what);
}

/* Of a server that is not there any more. */
static int sweep_state(const struct gc_options *options, struct finds *f, struct error *err)
{
	auto_buf struct buf path = BUF_INIT(4096);
	if (options->state)
		buf_puts(&path, options->state);
	else if (home_put_state(&path, NULL) < 0)
		return 0; /* then nobody has had one there */
	return leftover_sweep(path.ptr, options->dry_run, found, f, err);
}

int gc_main(struct invocation *in, struct error *err)
{
	const struct gc_options *options = in->values;
	struct host host;
	struct finds f = { .lines = BUF_INIT(16 << 20), .is_json = options->common.json };
	f.json = JSONW(&f.lines);
	if (host_init(&host, err) < 0)
		return -1;
	if (f.is_json)
		jsonw_open_array(&f.json);
	int r = launch_sweep(&host, options->dry_run, found, &f, err);
	if (r == 0)
		r = sweep_state(options, &f, err);
	if (r == 0)
		r = engine_sweep(options->engine, options->dry_run, found, &f, err);
	if (f.is_json) {
		jsonw_close_array(&f.json);
		buf_putc(&f.lines, '\n');
	}
	fwrite(f.lines.ptr, 1, f.lines.len, stdout);
	buf_fini(&f.lines);
	return r;
}
