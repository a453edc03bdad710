/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting, by descriptors. A tree is a mount that hangs nowhere yet: cloned from the host
 * (open_tree) or made new (fsmount). It gets its attributes while nobody can reach it and is then
 * hung onto a descriptor (move_mount), so no path is looked up twice and nothing can be swapped in
 * between.
 *
 * Who clones a tree depends on who we are. Root clones before pid 1 exists, since pid 1, with the
 * ids of the sandbox, may not reach a path beneath /root; and idmaps it afterwards, since the map
 * is that of pid 1's user namespace. The descriptor is the same open file on both sides. An
 * ordinary user may clone only inside the user namespace, where pid 1 still is that user.
 *
 * Lower layers hang beneath the work area just as long as it takes to name them to overlayfs by a
 * name that tells nothing: overlayfs keeps private clones, and the names vanish with the host's
 * tree.
 */
#include "sandbox/step.h"

#include "base/auto.h"
#include "base/buf.h"
#include "sandbox/nslimit.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { LAYER_SIZE = 32, NOBODY = 65534 };

int mounts_attach(int tree_fd, int target_fd, struct error *err)
{
	if (move_mount(tree_fd, "", target_fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return nslimit_sys(err, errno, "attach");
	return 0;
}

static int attach_beneath(int tree_fd, int dir_fd, const char *name, struct error *err)
{
	if (move_mount(tree_fd, "", dir_fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return nslimit_sys(err, errno, "attach to %s", name);
	return 0;
}

/* The kernel explains a refusal in words, if it does; the first message is the cause. */
static int explain(int fs_fd, int sys, const char *what, struct error *err)
{
	char words[160];
	ssize_t n = read(fs_fd, words, sizeof(words) - 1);
	if (n <= 2)
		return error_sys(err, sys, "%s", what);
	struct str text = str_trim(str_from_len(words + 2, (size_t)n - 2)); /* "e overlay: …" */
	return error_sys(err, sys, "%s: %.*s", what, STR_ARG(text));
}

static int set_option(int fs_fd, struct str option, struct error *err)
{
	char text[256];
	if (option.len >= sizeof(text))
		return error_set(err, ERROR_TOO_LARGE, "option '%.*s'",
			STR_ARG(str_first(option, 40)));
	memcpy(text, option.ptr, option.len);
	text[option.len] = '\0';
	char *value = strchr(text, '=');
	if (value)
		*value++ = '\0';
	unsigned command = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
	if (fsconfig(fs_fd, command, text, value, 0) < 0)
		return explain(fs_fd, errno, text, err);
	return 0;
}

int mounts_make(const char *type, const char *options, unsigned attributes, int *ret_fd,
	struct error *err)
{
	auto_fd int fs_fd = fsopen(type, FSOPEN_CLOEXEC);
	if (fs_fd < 0)
		return error_sys(err, errno, "open file system %s", type);
	struct str rest = str_from(options), option;
	while (rest.len && str_split(&rest, ',', &option))
		if (set_option(fs_fd, option, err) < 0)
			return error_wrap(err, "%s", type);
	if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return explain(fs_fd, errno, type, err);
	int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, attributes);
	if (fd < 0)
		return explain(fs_fd, errno, type, err);
	*ret_fd = fd;
	return 0;
}

static int look_at_tree(struct build *b, const struct step *s, int fd, struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat");
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "neither a directory nor a regular file");
	b->tree_owners[s->tree] = st.st_uid;
	b->tree_groups[s->tree] = st.st_gid;
	b->is_tree_dir[s->tree] = S_ISDIR(st.st_mode);
	return 0;
}

static enum hostpath_use use_of(const struct step *s)
{
	if (s->flags & STEP_LENT)
		return s->flags & STEP_READ_ONLY ? HOSTPATH_READ : HOSTPATH_MOUNT;
	return s->flags & STEP_STAGED ? HOSTPATH_LAYER : HOSTPATH_IMAGE;
}

int mounts_tree(struct build *b, const struct step *s, struct error *err)
{
	const char *source = s->source ? s->source : b->etc_path;
	unsigned depth = s->flags & STEP_RECURSIVE ? AT_RECURSIVE : 0;
	auto_fd int place_fd = -1;
	if (hostpaths_open(s->flags & STEP_ASKED ? b->plan->paths : NULL, source, use_of(s),
		    &place_fd, err) < 0)
		return -1;
	auto_fd int fd = open_tree(place_fd, "",
		AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth);
	if (fd < 0 && errno == EINVAL && !b->plan->host.is_root)
		return error_set(err, ERROR_UNSUPPORTED,
			"something is mounted beneath it, and only root may look under it");
	if (fd < 0)
		return nslimit_sys(err, errno, "open");
	if (look_at_tree(b, s, fd, err) < 0)
		return -1;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	if (s->flags & STEP_READ_ONLY)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | depth, &attr, sizeof(attr)) < 0)
		return error_sys(err, errno, "set mount attributes");
	b->tree_fds[s->tree] = take_fd(&fd);
	return 0;
}

int mounts_private(struct build *b, const struct step *s, struct error *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_sys(err, errno, "make all mounts private");
	return 0;
}

/*
 * Over /tmp, as good a place as any: all trees are open by now. Not over "/": letting go of the
 * host's tree would then let go of the work area only.
 */
int mounts_work(struct build *b, const struct step *s, struct error *err)
{
	if (mounts_make("tmpfs", s->data, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &b->work_fd, err) <
		0)
		return -1;
	if (attach_beneath(b->work_fd, AT_FDCWD, "/tmp", err) < 0)
		return -1;
	if (fchdir(b->work_fd) < 0)
		return error_sys(err, errno, "enter the work area");
	return 0;
}

static int make_layer_dir(const struct build *b, const char *kind, const char *name,
	const struct stat *like, struct error *err)
{
	char path[LAYER_SIZE];
	snprintf(path, sizeof(path), "%s/%s", kind, name);
	mode_t mode = like ? like->st_mode & 07777 : 0755;
	for (char *slash = path + strlen(kind); (slash = strchr(slash + 1, '/')); *slash = '/') {
		*slash = '\0';
		if (mkdirat(b->work_fd, path, 0755) < 0 && errno != EEXIST)
			return error_sys(err, errno, "mkdir %s", path);
	}
	if (mkdirat(b->work_fd, path, mode) < 0 && errno != EEXIST)
		return error_sys(err, errno, "mkdir %s", path);
	/* An owner that is not mapped shows as nobody: then it stays ours. */
	if (like && like->st_uid != 0 && like->st_uid != NOBODY &&
		fchownat(b->work_fd, path, like->st_uid, like->st_gid, 0) < 0)
		return error_sys(err, errno, "chown %s", path);
	return 0;
}

static int hang_lower(const struct build *b, int tree, const char *name, struct stat *ret,
	struct error *err)
{
	char path[LAYER_SIZE];
	snprintf(path, sizeof(path), "lower/%s", name);
	if (make_layer_dir(b, "lower", name, NULL, err) < 0)
		return -1;
	if (attach_beneath(b->tree_fds[tree], b->work_fd, path, err) < 0)
		return -1;
	if (fstatat(b->work_fd, path, ret, 0) < 0)
		return error_sys(err, errno, "stat %s", path);
	return 0;
}

/* What lies below the upper layer of an overlay: names beneath "lower", the lowest first. */
struct pile {
	char names[1 + SPEC_LAYERS_MAX][LAYER_SIZE];
	uint32_t n;
	struct stat top; /* of the topmost */
};

static int pile_add(struct pile *p, const struct build *b, int tree, const char *name,
	struct error *err)
{
	if (!b->is_tree_dir[tree])
		return error_set(err, ERROR_INVALID, "only a directory can be copied on write");
	snprintf(p->names[p->n++], LAYER_SIZE, "lower/%s", name);
	return hang_lower(b, tree, name, &p->top, err);
}

/*
 * `source` in layer i, where it is a directory. Who made the layer is a stranger: no link is
 * followed, and what was found is cloned by its descriptor.
 */
static int pile_add_part(struct pile *p, const struct build *b, uint32_t i, const char *source,
	struct error *err)
{
	char path[LAYER_SIZE];
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	auto_fd int fd = (int)syscall(SYS_openat2, b->tree_fds[b->plan->layers_tree + (int)i],
		source, &how, sizeof(how));
	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR))
		return 0;
	auto_fd int part = fd < 0
		? -1
		: open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (part < 0)
		return nslimit_sys(err, errno, "open %s of layer %u", source, i + 1);
	snprintf(path, sizeof(path), "lower/%s.%u", source, i);
	if (mkdirat(b->work_fd, path, 0755) < 0)
		return error_sys(err, errno, "mkdir %s", path);
	if (attach_beneath(part, b->work_fd, path, err) < 0)
		return -1;
	if (fstatat(b->work_fd, path, &p->top, 0) < 0)
		return error_sys(err, errno, "stat %s", path);
	memcpy(p->names[p->n++], path, LAYER_SIZE);
	return 0;
}

/*
 * lowerdir names them all, the topmost first, but the kernel takes no more than 255 bytes for one
 * option. For more layers there is lowerdir+ (since Linux 6.5), once for each.
 */
static void put_lowers(const struct pile *p, struct buf *b)
{
	auto_buf struct buf joined = BUF_INIT(4096);
	for (uint32_t i = p->n; i-- > 0;)
		buf_printf(&joined, "%s%s", joined.len ? ":" : "", p->names[i]);
	if (joined.len < 256 - sizeof("lowerdir=")) {
		buf_printf(b, "lowerdir=%s", joined.ptr);
		return;
	}
	for (uint32_t i = p->n; i-- > 0;)
		buf_printf(b, "%slowerdir+=%s", b->len ? "," : "", p->names[i]);
}

/*
 * userxattr: overlayfs' own marks are in user.overlay.*, the only ones that a user namespace may
 * write; marks forged in a lower layer for the host's overlayfs (trusted.*) mean nothing then. With
 * it, redirects and metacopy are off. The upper layer's top directory shows in the merged one,
 * hence its owner.
 */
static int pile_mount(const struct pile *p, const struct build *b, const char *name, int *ret_fd,
	struct error *err)
{
	auto_buf struct buf options = BUF_INIT(8192);
	if (make_layer_dir(b, "upper", name, &p->top, err) < 0 ||
		make_layer_dir(b, "work", name, NULL, err) < 0)
		return -1;
	put_lowers(p, &options);
	buf_printf(&options, ",upperdir=upper/%s,workdir=work/%s,userxattr,index=off,xino=off",
		name, name);
	return mounts_make("overlay", options.ptr, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, ret_fd,
		err);
}

int mounts_overlay(struct build *b, const struct step *s, struct error *err)
{
	struct pile pile = { .n = 0 };
	auto_fd int fd = -1, target = -1;
	uint32_t n = s->flags & STEP_LAYERED ? b->plan->spec.n_layers : 0;
	if (pile_add(&pile, b, s->tree, s->source, err) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		if (pile_add_part(&pile, b, i, s->source, err) < 0)
			return -1;
	if (pile_mount(&pile, b, s->source, &fd, err) < 0 ||
		files_target_dir(b, s->path, 0755, 0, &target, err) < 0)
		return -1;
	return mounts_attach(fd, target, err);
}

static int make_root(const struct build *b, const struct step *s, int *ret_fd, struct error *err)
{
	struct pile pile = { .n = 0 };
	if (s->flags & STEP_ON_WORK) {
		snprintf(pile.names[pile.n++], LAYER_SIZE, "root");
		if (fstatat(b->work_fd, "root", &pile.top, 0) < 0)
			return error_sys(err, errno, "stat root");
	}
	for (uint32_t i = 0; i < s->count; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%u", i);
		if (pile_add(&pile, b, s->tree + (int)i, name, err) < 0)
			return error_wrap(err, "layer %u", i + 1);
	}
	return pile_mount(&pile, b, s->source, ret_fd, err);
}

int mounts_bind(struct build *b, const struct step *s, struct error *err)
{
	auto_fd int target = -1;
	int r = b->is_tree_dir[s->tree] ? files_target_dir(b, s->path, 0755, 0, &target, err)
					: files_target_file(b, s->path, &target, err);
	return r < 0 ? -1 : mounts_attach(b->tree_fds[s->tree], target, err);
}

int mounts_root(struct build *b, const struct step *s, struct error *err)
{
	if (s->count || (s->flags & STEP_ON_WORK)) {
		if (make_root(b, s, &b->root_fd, err) < 0)
			return -1;
	} else {
		b->root_fd = open_tree(b->work_fd, "root", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (b->root_fd < 0)
			return nslimit_sys(err, errno, "clone the root");
	}
	return attach_beneath(b->root_fd, b->work_fd, "root", err);
}

/*
 * By a descriptor, which outlives the work area's place in the tree: nothing in the sandbox finds a
 * path to it. What is written is beneath "upper", and where "/" is no overlay beneath "root".
 */
int mounts_layer(struct build *b, const struct step *s, struct error *err)
{
	b->layer_fd = openat(b->work_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return b->layer_fd < 0 ? error_sys(err, errno, "open the work area") : 0;
}

/* What was the host's tree must be out of reach: ".." of "/" is "/", and "/" is what we built. */
static int check_root(const struct build *b, struct error *err)
{
	struct stat built, root, above;
	if (fstat(b->root_fd, &built) < 0 || stat("/", &root) < 0 || stat("/..", &above) < 0)
		return error_sys(err, errno, "stat /");
	if (root.st_ino != built.st_ino || root.st_dev != built.st_dev)
		return error_set(err, ERROR_INTERNAL, "/ is not what was built");
	if (root.st_ino != above.st_ino || root.st_dev != above.st_dev)
		return error_set(err, ERROR_INTERNAL, "/.. is not /");
	return 0;
}

/* https://man7.org/linux/man-pages/man2/pivot_root.2.html, pivot_root(".", ".") */
int mounts_pivot(struct build *b, const struct step *s, struct error *err)
{
	if (fchdir(b->root_fd) < 0)
		return error_sys(err, errno, "enter the root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return error_sys(err, errno, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return error_sys(err, errno, "let go of the host's tree");
	if (chdir("/") < 0)
		return error_sys(err, errno, "chdir /");
	return check_root(b, err);
}
