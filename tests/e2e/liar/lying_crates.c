/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a lying executor gives for a layer: names that lead out, links to what is not its own, sizes
 * and holes that cannot be, ends that are none.
 */
#include "lying.h"

#include "base/auto.h"
#include "wire/crate.h"

void __real_crate_put_item(struct buf *out, const struct pack_item *item);
void __wrap_crate_put_item(struct buf *out, const struct pack_item *item);
void __real_crate_put_piece(struct buf *out, int64_t offset, int64_t length);
void __wrap_crate_put_piece(struct buf *out, int64_t offset, int64_t length);

static const char *const names[] = { "../../../escaped", "/escaped", "..", ".", "a/../../escaped",
	".wh.", ".wh...", ".wh..wh..opq", "up", "up/escaped", "up/../escaped",
	"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", "names\nof\xff" };
static const int64_t numbers[] = { -1, 1, 4095, 4096, 4097, 1 << 30, INT64_MAX, INT64_MIN,
	INT64_MAX - 4095, (int64_t)1 << 40, ((int64_t)1 << 40) + 1 };

void __wrap_crate_put_item(struct buf *out, const struct pack_item *item)
{
	struct pack_item lie = *item;
	if (!lies()) {
		__real_crate_put_item(out, item);
		return;
	}
	switch (draw(6)) {
	case 0:
		lie.path = names[draw(ARRAY_LEN(names))];
		break;
	case 1:
		lie.kind = PACK_SYMLINK;
		lie.path = "up";
		lie.target = draw(2) ? "../.." : "/";
		break;
	case 2:
		lie.kind = PACK_HARDLINK;
		lie.target = draw(2) ? "up/names" : names[draw(ARRAY_LEN(names))];
		break;
	case 3:
		lie.size = numbers[draw(ARRAY_LEN(numbers))];
		break;
	case 4:
		lie.kind = (enum pack_kind)draw(256); /* the end, too */
		break;
	default:
		lie.mode = (uint32_t)draw(UINT32_MAX);
	}
	__real_crate_put_item(out, &lie);
}

void __wrap_crate_put_piece(struct buf *out, int64_t offset, int64_t length)
{
	if (draw(4) == 0 && lies())
		*(draw(2) ? &offset : &length) = numbers[draw(ARRAY_LEN(numbers))];
	__real_crate_put_piece(out, offset, length);
}
