/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and cells as results (action/kernel_actions.h). */
#include "base/auto.h"
#include "base/clock.h"
#include "executor/kernel.h"
#include "executor/mask.h"
#include "executor/ring.h"
#include "wire/frame.h"

enum { TEXT_SURE_MAX = FRAME_PAYLOAD_MAX / 6 / 4 }; /* a byte becomes up to 6 in JSON */

static const char *const status_names[] = {
	[CELL_OK] = "ok",
	[CELL_ERROR] = "error",
	[CELL_INTERRUPTED] = "interrupted",
	[CELL_TIMED_OUT] = "timed_out",
	[CELL_ENDED] = "ended",
};

void kernel_put(const struct kernel *k, struct jsonw *w)
{
	const struct cell *first = list_first(&k->cells, struct cell, link);
	bool is_busy = first && first->is_running;
	jsonw_open(w);
	jsonw_key_str(w, "kernel", str_from(k->name));
	jsonw_key_str(w, "spec", str_from(k->spec));
	jsonw_key_int(w, "pid", k->guest ? guest_pid(k->guest) : -1);
	jsonw_key_str(w, "status", !k->guest ? STR("ended") : is_busy ? STR("busy") : STR("idle"));
	jsonw_key_int(w, "n_cells", (int64_t)k->n_done);
	jsonw_key_int(w, "n_waiting", (int64_t)k->n_cells - is_busy);
	jsonw_key_int(w, "created_ms", k->created_ms);
	jsonw_close(w);
}

struct shown {
	struct str text;
	uint64_t truncated_bytes;
	bool is_short; /* without outputs */
};

static void put_error(const struct cell *cell, struct jsonw *w)
{
	jsonw_key(w, "error");
	if (!cell->error_json) {
		jsonw_null(w);
		return;
	}
	auto_buf struct buf b = BUF_INIT(SIZE_MAX / 2);
	buf_puts(&b, cell->error_json);
	mask_secrets(cell->kernel->executor, &b);
	jsonw_raw(w, buf_str(&b));
}

static void put(const struct cell *cell, const struct shown *shown, struct jsonw *w)
{
	const struct kernel *k = cell->kernel;
	jsonw_open(w);
	jsonw_key_str(w, "status", str_from(status_names[cell->status]));
	if (cell->limit)
		jsonw_key_str(w, "limit", str_from(cell->limit));
	jsonw_key(w, "execution_count");
	if (cell->execution_count >= 0)
		jsonw_int(w, cell->execution_count);
	else
		jsonw_null(w);
	put_error(cell, w);
	jsonw_key_str(w, "text", shown->text);
	if (cell->keeps_outputs) {
		jsonw_key(w, "outputs");
		if (shown->is_short)
			jsonw_raw(w, STR("[]"));
		else
			outputs_put(&cell->outputs, k->executor, w);
	}
	jsonw_key_int(w, "truncated_bytes", (int64_t)shown->truncated_bytes);
	jsonw_key_str(w, "kernel", str_from(k->name));
	jsonw_key_str(w, "spec", str_from(k->spec));
	jsonw_key_str(w, "python", str_from(cell->python ? cell->python : ""));
	jsonw_key_bool(w, "is_new_kernel", cell->is_first);
	jsonw_key_int(w, "duration_ms", clock_mono_ms() - cell->began_ms);
	jsonw_close(w);
}

/* What does not fit into a result at all is told as text alone, and less of it. */
void cell_put(const struct cell *cell, struct buf *out)
{
	auto_buf struct buf text = BUF_INIT(SIZE_MAX / 2);
	outputs_put_text(&cell->outputs, cell->kernel->executor, &text);
	struct shown shown = { .text = buf_str(&text),
		.truncated_bytes = cell->outputs.dropped_bytes };
	struct jsonw w = JSONW(out);
	put(cell, &shown, &w);
	if (!out->is_full)
		return;

	struct ring ring;
	auto_buf struct buf shorter = BUF_INIT(SIZE_MAX / 2);
	ring_init(&ring, TEXT_SURE_MAX);
	ring_add(&ring, buf_str(&text));
	shown.truncated_bytes += ring_put(&ring, &shorter).bytes;
	ring_fini(&ring);
	shown.text = buf_str(&shorter);
	shown.is_short = true;
	buf_reset(out);
	w = JSONW(out);
	put(cell, &shown, &w);
}
