/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_image: the set of marks: a screenshot with a dashed box and a label with the bid for each
 * marked element. The only file that knows libpng.
 */
#pragma once

#include "executor/browser_page.h"

enum { IMAGE_PIXELS_MAX = 16 * 1024 * 1024 };

/* png: the screenshot. Appends another PNG. ERROR_INVALID if it is none, ERROR_TOO_LARGE. */
int image_put_marks(const struct page *page, struct str bytes, struct buf *ret_png,
	struct error *err);
