/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/observation.h"

#include "base/arena.h"
#include "base/auto.h"
#include "wire/json.h"

/* What stands before and after the one name in a message. */
static void put_message(struct jsonw *w, const char *before, struct str name, const char *after)
{
	auto_buf struct buf text = BUF_INIT(w->b->limit);
	buf_puts(&text, before);
	buf_put(&text, name);
	buf_puts(&text, after);
	jsonw_key_str(w, "message", buf_str(&text));
}

static void put_head(struct jsonw *w, const char *kind, struct str content)
{
	jsonw_key_str(w, "observation", str_from(kind));
	jsonw_key_str(w, "content", content);
	jsonw_key(w, "extras");
	jsonw_open(w);
}

static void put_str(struct jsonw *w, const char *key, struct str s)
{
	jsonw_key(w, key);
	if (s.ptr)
		jsonw_str(w, s);
	else
		jsonw_null(w);
}

void observation_put_error(struct buf *b, struct str text)
{
	observation_put_error_id(b, text, "");
}

void observation_put_error_id(struct buf *b, struct str text, const char *id)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "message", text);
	put_head(&w, "error", text);
	jsonw_key_str(&w, "error_id", str_from(id));
	jsonw_close(&w);
	jsonw_close(&w);
}

static void put_metadata(struct jsonw *w, const struct run_observation *o)
{
	jsonw_key(w, "metadata");
	jsonw_open(w);
	jsonw_key_int(w, "exit_code", o->exit_code);
	jsonw_key_int(w, "pid", o->pid);
	put_str(w, "username", o->username);
	put_str(w, "hostname", o->hostname);
	put_str(w, "working_dir", o->workdir);
	put_str(w, "py_interpreter_path", o->python);
	jsonw_key_str(w, "prefix", o->prefix);
	jsonw_key_str(w, "suffix", o->suffix);
	jsonw_close(w);
}

void observation_put_run(struct buf *b, const struct run_observation *o)
{
	char after[64];
	struct jsonw w = JSONW(b);
	snprintf(after, sizeof(after), "` executed with exit code %lld.", (long long)o->exit_code);
	jsonw_open(&w);
	put_message(&w, "Command `", o->command, after);
	put_head(&w, "run", o->content);
	jsonw_key_str(&w, "command", o->command);
	put_metadata(&w, o);
	jsonw_key_bool(&w, "hidden", o->is_hidden);
	jsonw_close(&w);
	jsonw_key_bool(&w, "success", o->exit_code == 0);
	jsonw_close(&w);
}

static void put_images(struct jsonw *w, const struct field_strings *images)
{
	jsonw_key(w, "image_urls");
	if (images->n == 0) {
		jsonw_null(w);
		return;
	}
	jsonw_open_array(w);
	for (size_t i = 0; i < images->n; i++) {
		auto_buf struct buf url = BUF_INIT(w->b->limit);
		buf_puts(&url, "data:image/png;base64,");
		buf_put(&url, images->items[i]);
		jsonw_str(w, buf_str(&url));
	}
	jsonw_close_array(w);
}

void observation_put_ipython(struct buf *b, const struct ipython_observation *o)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "message", STR("Code executed in IPython cell."));
	put_head(&w, "run_ipython", o->content);
	jsonw_key_str(&w, "code", o->code);
	put_images(&w, &o->images);
	jsonw_close(&w);
	jsonw_key_bool(&w, "success", true);
	jsonw_close(&w);
}

void observation_put_read(struct buf *b, struct str path, struct str impl_source,
	struct str content)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	put_message(&w, "I read the file ", path, ".");
	put_head(&w, "read", content);
	jsonw_key_str(&w, "path", path);
	jsonw_key_str(&w, "impl_source", impl_source);
	jsonw_close(&w);
	jsonw_close(&w);
}

void observation_put_write(struct buf *b, struct str path)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	put_message(&w, "I wrote to the file ", path, ".");
	put_head(&w, "write", STR(""));
	jsonw_key_str(&w, "path", path);
	jsonw_close(&w);
	jsonw_close(&w);
}

void observation_put_edit(struct buf *b, const struct edit_observation *o)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	put_message(&w, "I edited the file ", o->path, ".");
	put_head(&w, "edit", o->content);
	jsonw_key_str(&w, "path", o->path);
	jsonw_key_bool(&w, "prev_exist", false);
	put_str(&w, "old_content", o->old_content);
	put_str(&w, "new_content", o->new_content);
	jsonw_key_str(&w, "impl_source", STR("oh_aci"));
	put_str(&w, "diff", o->diff);
	put_str(&w, "_diff_cache", STR_NONE);
	jsonw_close(&w);
	jsonw_close(&w);
}
