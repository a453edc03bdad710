/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wish.h"

#include "base/auto.h"

static const char *const modes[] = {
	[MOUNT_READ_ONLY] = "ro",
	[MOUNT_WRITABLE] = "rw",
	[MOUNT_COPY] = "copy",
};

const char *wish_mode_word(enum mount_mode mode)
{
	return modes[mode];
}

static int find_mode(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (str_is(word, modes[i]))
			return (int)i;
	return -1;
}

static int copy_path(struct str path, char ret[SPEC_PATH_SIZE], struct error *err)
{
	if (path.len == 0)
		return error_set(err, ERROR_INVALID, "an empty path");
	if (path.len >= SPEC_PATH_SIZE)
		return error_set(err, ERROR_INVALID, "%.40s…: a path of %zu bytes; the limit is %d",
			path.ptr, path.len, SPEC_PATH_SIZE - 1);
	memcpy(ret, path.ptr, path.len);
	ret[path.len] = '\0';
	return 0;
}

/*
 * An absolute path stays as it is (it may be of another machine); a relative one has to be there.
 */
static int host_path(struct str path, char ret[SPEC_PATH_SIZE], struct error *err)
{
	char relative[SPEC_PATH_SIZE];
	if (path.len && path.ptr[0] == '/')
		return copy_path(path, ret, err);
	if (copy_path(path, relative, err) < 0)
		return -1;
	auto_free char *absolute = realpath(relative, NULL);
	if (!absolute)
		return error_sys(err, errno, "%s", relative);
	return copy_path(str_from(absolute), ret, err);
}

int wish_image(const char *text, char ret_path[SPEC_PATH_SIZE], struct error *err)
{
	ret_path[0] = '\0';
	if (!strcmp(text, "host"))
		return 0;
	if (host_path(str_from(text), ret_path, err) == 0)
		return 0;
	if (err->code == ERROR_NOT_FOUND && !strchr(text, '/'))
		return error_set(err, ERROR_NOT_FOUND,
			"--image: %s: No such file or directory; images by name are a server's: cay create",
			text);
	return error_wrap(err, "--image");
}

static int parse_mount(const char *text, struct spec_mount *ret, struct error *err)
{
	struct str rest = str_from(text), source, target, word;
	if (!str_split(&rest, ':', &source) || !str_split(&rest, ':', &target))
		return error_set(err, ERROR_INVALID, "'%.100s' is not SOURCE:TARGET[:MODE]", text);
	int mode = MOUNT_READ_ONLY;
	if (str_split(&rest, ':', &word) && (mode = find_mode(word)) < 0)
		return error_set(err, ERROR_INVALID, "the mode must be ro, rw or copy, not '%.*s'",
			STR_ARG(str_first(word, 40)));
	if (str_split(&rest, ':', &word))
		return error_set(err, ERROR_INVALID, "'%.100s' is not SOURCE:TARGET[:MODE]", text);
	ret->mode = (uint32_t)mode;
	if (host_path(source, ret->source, err) < 0)
		return -1;
	return copy_path(target, ret->target, err);
}

static int parse_workspace(const char *text, const char *workdir, struct spec_mount *ret,
	struct error *err)
{
	struct str source = str_from(text);
	const char *colon = strrchr(text, ':');
	int mode = colon ? find_mode(str_from(colon + 1)) : -1;
	if (mode >= 0)
		source = str_first(source, (size_t)(colon - text));
	ret->mode = (uint32_t)(mode >= 0 ? mode : MOUNT_COPY);
	if (host_path(source, ret->source, err) < 0)
		return -1;
	return copy_path(str_from(workdir), ret->target, err);
}

int wish_mounts(const struct spec_options *o, struct spec_mount ret[SPEC_MOUNTS_MAX],
	struct error *err)
{
	int n = o->mounts.n + (o->workspace ? 1 : 0);
	if (n > SPEC_MOUNTS_MAX)
		return error_set(err, ERROR_INVALID, "%d mounts; the limit is %d", n,
			SPEC_MOUNTS_MAX);
	for (int i = 0; i < o->mounts.n; i++)
		if (parse_mount(o->mounts.items[i], &ret[i], err) < 0)
			return error_wrap(err, "--mount");
	if (o->workspace && parse_workspace(o->workspace, o->workdir, &ret[n - 1], err) < 0)
		return error_wrap(err, "--workspace");
	return n;
}

int wish_variable(const char *text, struct str *ret_name, struct str *ret_value, struct error *err)
{
	const char *eq = strchr(text, '=');
	*ret_name = eq ? str_from_len(text, (size_t)(eq - text)) : str_from(text);
	*ret_value = str_from(eq ? eq + 1 : getenv(text));
	if (ret_name->len == 0)
		return error_set(err, ERROR_INVALID, "--env: '%.60s' has no name", text);
	return 0;
}

static int find_word(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(text, words[i]))
			return (int)i;
	return 0; /* the parser has let no other word through */
}

static int parse_required(const struct option_texts *texts, uint64_t *ret, struct error *err)
{
	for (int i = 0; i < texts->n; i++) {
		struct str rest = str_from(texts->items[i]), word;
		while (str_split(&rest, ',', &word)) {
			auto_free char *name = str_dup(word);
			enum control control;
			if (control_parse(name, &control, err) < 0)
				return error_wrap(err, "--require");
			*ret |= 1ULL << control;
		}
	}
	return 0;
}

int wish_spec(const struct spec_options *o, struct spec *ret, struct error *err)
{
	static const char *const networks[] = { [NETWORK_LOOPBACK] = "loopback",
		[NETWORK_NONE] = "none",
		[NETWORK_HOST] = "host",
		[NETWORK_PROXY] = "proxy",
		[NETWORK_BRIDGE] = "bridge",
		[NETWORK_PASTA] = "pasta" };
	static const char *const users[] = { [USER_AGENT] = "agent", [USER_ROOT] = "root" };

	*ret = (struct spec){
		.network = (uint32_t)find_word(o->network, networks, ARRAY_LEN(networks)),
		.user = (uint32_t)find_word(o->user, users, ARRAY_LEN(users)),
		.limits = { o->memory_bytes, o->pids, o->cpu_milli, o->disk_bytes, o->disk_inodes },
	};
	if (wish_image(o->image, ret->image_path, err) < 0)
		return -1;
	ret->image = ret->image_path[0] ? IMAGE_DIR : IMAGE_HOST;
	if (copy_path(str_from(o->workdir), ret->workdir, err) < 0)
		return error_wrap(err, "--workdir");
	if (strlen(o->hostname) >= sizeof(ret->hostname))
		return error_set(err, ERROR_INVALID, "--hostname: longer than %zu bytes",
			sizeof(ret->hostname) - 1);
	memcpy(ret->hostname, o->hostname, strlen(o->hostname) + 1);
	int n = wish_mounts(o, ret->mounts, err);
	if (n < 0)
		return -1;
	ret->n_mounts = (uint32_t)n;
	return parse_required(&o->require, &ret->required, err);
}
