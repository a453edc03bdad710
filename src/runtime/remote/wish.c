/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/wish.h"

#include "base/auto.h"
#include "base/num.h"
#include "runtime/sandbox.h"
#include "wire/sha1.h"
#include "wire/url.h"

#define STANDARD_IMAGE "ghcr.io/openhands/runtime:0.62-nikolaik"

static int refuse(struct error *err, const char *what)
{
	return error_set(err, ERROR_UNSUPPORTED, "an OpenHands runtime API takes no %s", what);
}

int wish_check(const struct spec *spec, struct error *err)
{
	const struct spec_limits *limits = &spec->limits;
	const int64_t asked[] = { limits->memory_bytes, limits->pids, limits->cpu_milli,
		limits->disk_bytes, limits->disk_inodes };
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		if (asked[i] > 0)
			return refuse(err, "limit; the label resource_factor makes a larger one");
	if (spec->required)
		return refuse(err, "required control");
	if (spec->n_mounts)
		return refuse(err, "mount");
	if (spec->image != IMAGE_HOST)
		return refuse(err,
			"image of this machine; the label runtime_image names one of its");
	if (spec->network == NETWORK_NONE)
		return refuse(err, "network policy");
	return 0;
}

static void put_label_or(struct jsonw *w, const struct sandbox *s, const char *label,
	const char *standard)
{
	struct str value = sandbox_label(s, str_from(label));
	jsonw_str(w, value.ptr ? value : str_from(standard));
}

static void put_words(struct jsonw *w, struct str words)
{
	struct str word;
	while (str_split(&words, ' ', &word))
		if (word.len)
			jsonw_str(w, word);
}

static void put_command(struct jsonw *w, const struct sandbox *s, const struct spec *spec)
{
	struct str plugins = sandbox_label(s, STR("plugins"));
	bool is_root = spec->user == USER_ROOT;
	jsonw_key(w, "command");
	jsonw_open_array(w);
	put_words(w,
		STR("/openhands/micromamba/bin/micromamba run -n openhands poetry run python -u -m "
		    "openhands.runtime.action_execution_server 60000 --working-dir"));
	jsonw_str(w, str_from(spec->workdir[0] ? spec->workdir : "/workspace"));
	plugins = plugins.ptr ? plugins : STR("agent_skills jupyter");
	if (plugins.len)
		jsonw_str(w, STR("--plugins"));
	put_words(w, plugins);
	put_words(w,
		is_root ? STR("--username root --user-id 0")
			: STR("--username openhands --user-id 1000"));
	if (str_is(sandbox_label(s, STR("browser")), "no"))
		jsonw_str(w, STR("--no-enable-browser"));
	jsonw_close_array(w);
}

void wish_put_start(struct buf *b, const char *session, const struct sandbox *s,
	const struct spec *spec)
{
	const char *image = getenv("SANDBOX_RUNTIME_CONTAINER_IMAGE");
	struct jsonw w = JSONW(b);
	int64_t factor = 1;
	num_parse_i64(sandbox_label(s, STR("resource_factor")), 1, 64, &factor, NULL);
	jsonw_open(&w);
	jsonw_key(&w, "image");
	put_label_or(&w, s, "runtime_image", image && image[0] ? image : STANDARD_IMAGE);
	put_command(&w, s, spec);
	jsonw_key_str(&w, "working_dir", STR("/openhands/code/"));
	jsonw_key(&w, "environment");
	jsonw_open(&w);
	jsonw_close(&w);
	jsonw_key_str(&w, "session_id", str_from(session));
	jsonw_key_int(&w, "resource_factor", factor);
	jsonw_close(&w);
}

void wish_id(struct str session, char ret_id[ID_SIZE])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t digest[SHA1_SIZE];
	unsigned bits = 0, n_bits = 0;
	size_t at = 0;
	if (id_is_valid(session)) {
		snprintf(ret_id, ID_SIZE, "%.*s", STR_ARG(session));
		return;
	}
	sha1(session, digest);
	for (int i = 0; i < ID_LEN; i++) {
		if (n_bits < 5) {
			bits = bits << 8 | digest[at++];
			n_bits += 8;
		}
		n_bits -= 5;
		ret_id[i] = alphabet[bits >> n_bits & 31];
	}
	ret_id[ID_LEN] = '\0';
}

void wish_put_segment(struct buf *b, const char *text)
{
	url_encode(str_from(text), b);
}

int wish_trim_url(struct str *url, struct error *err)
{
	while (str_ends(*url, STR("/")))
		url->len--;
	if (str_starts(*url, STR("http://")) || str_starts(*url, STR("https://")))
		return 0;
	return error_set(err, ERROR_INVALID, "'%.*s' is no http:// or https:// URL",
		STR_ARG(str_first(*url, 100)));
}
