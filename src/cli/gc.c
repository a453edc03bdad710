/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "cli/doctor.h"
#include "cli/engine.h"
#include "cli/options.h"
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
		r = engine_sweep(options->engine, options->dry_run, found, &f, err);
	if (f.is_json) {
		jsonw_close_array(&f.json);
		buf_putc(&f.lines, '\n');
	}
	fwrite(f.lines.ptr, 1, f.lines.len, stdout);
	buf_fini(&f.lines);
	return r;
}
