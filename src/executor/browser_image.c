/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. libpng's simplified interface gives and takes whole images as RGB. The
 * labels are drawn with letters of 5 by 7 dots, each dot two by two pixels: bids are letters and
 * digits, nothing else. Compression is the fastest: the image goes over a local socket, and time
 * counts.
 */
#include "executor/browser_image.h"

#include "base/auto.h"
#include "base/bug.h"

#include <png.h>

enum {
	LETTER_WIDTH = 5,
	LETTER_HEIGHT = 7,
	DOT = 2,     /* pixels of a dot of a letter */
	PADDING = 3, /* around a label's text */
	LINE = 2,    /* width of a box's border */
	DASH = 4,
	PERIOD = 12, /* of dash and gap */
	CHANNELS = 3,
};

/* By columns, the lowest bit on top. */
static const struct letter {
	char c;
	unsigned char columns[LETTER_WIDTH];
} letters[] = {
	{ '0', { 0x3e, 0x51, 0x49, 0x45, 0x3e } },
	{ '1', { 0x00, 0x42, 0x7f, 0x40, 0x00 } },
	{ '2', { 0x42, 0x61, 0x51, 0x49, 0x46 } },
	{ '3', { 0x21, 0x41, 0x45, 0x4b, 0x31 } },
	{ '4', { 0x18, 0x14, 0x12, 0x7f, 0x10 } },
	{ '5', { 0x27, 0x45, 0x45, 0x45, 0x39 } },
	{ '6', { 0x3c, 0x4a, 0x49, 0x49, 0x30 } },
	{ '7', { 0x01, 0x71, 0x09, 0x05, 0x03 } },
	{ '8', { 0x36, 0x49, 0x49, 0x49, 0x36 } },
	{ '9', { 0x06, 0x49, 0x49, 0x29, 0x1e } },
	{ 'A', { 0x7e, 0x11, 0x11, 0x11, 0x7e } },
	{ 'B', { 0x7f, 0x49, 0x49, 0x49, 0x36 } },
	{ 'C', { 0x3e, 0x41, 0x41, 0x41, 0x22 } },
	{ 'D', { 0x7f, 0x41, 0x41, 0x22, 0x1c } },
	{ 'E', { 0x7f, 0x49, 0x49, 0x49, 0x41 } },
	{ 'F', { 0x7f, 0x09, 0x09, 0x09, 0x01 } },
	{ 'G', { 0x3e, 0x41, 0x49, 0x49, 0x7a } },
	{ 'H', { 0x7f, 0x08, 0x08, 0x08, 0x7f } },
	{ 'I', { 0x00, 0x41, 0x7f, 0x41, 0x00 } },
	{ 'J', { 0x20, 0x40, 0x41, 0x3f, 0x01 } },
	{ 'K', { 0x7f, 0x08, 0x14, 0x22, 0x41 } },
	{ 'L', { 0x7f, 0x40, 0x40, 0x40, 0x40 } },
	{ 'M', { 0x7f, 0x02, 0x0c, 0x02, 0x7f } },
	{ 'N', { 0x7f, 0x04, 0x08, 0x10, 0x7f } },
	{ 'O', { 0x3e, 0x41, 0x41, 0x41, 0x3e } },
	{ 'P', { 0x7f, 0x09, 0x09, 0x09, 0x06 } },
	{ 'Q', { 0x3e, 0x41, 0x51, 0x21, 0x5e } },
	{ 'R', { 0x7f, 0x09, 0x19, 0x29, 0x46 } },
	{ 'S', { 0x46, 0x49, 0x49, 0x49, 0x31 } },
	{ 'T', { 0x01, 0x01, 0x7f, 0x01, 0x01 } },
	{ 'U', { 0x3f, 0x40, 0x40, 0x40, 0x3f } },
	{ 'V', { 0x1f, 0x20, 0x40, 0x20, 0x1f } },
	{ 'W', { 0x3f, 0x40, 0x38, 0x40, 0x3f } },
	{ 'X', { 0x63, 0x14, 0x08, 0x14, 0x63 } },
	{ 'Y', { 0x07, 0x08, 0x70, 0x08, 0x07 } },
	{ 'Z', { 0x61, 0x51, 0x49, 0x45, 0x43 } },
	{ 'a', { 0x20, 0x54, 0x54, 0x54, 0x78 } },
	{ 'b', { 0x7f, 0x48, 0x44, 0x44, 0x38 } },
	{ 'c', { 0x38, 0x44, 0x44, 0x44, 0x20 } },
	{ 'd', { 0x38, 0x44, 0x44, 0x48, 0x7f } },
	{ 'e', { 0x38, 0x54, 0x54, 0x54, 0x18 } },
	{ 'f', { 0x08, 0x7e, 0x09, 0x01, 0x02 } },
	{ 'g', { 0x0c, 0x52, 0x52, 0x52, 0x3e } },
	{ 'h', { 0x7f, 0x08, 0x04, 0x04, 0x78 } },
	{ 'i', { 0x00, 0x44, 0x7d, 0x40, 0x00 } },
	{ 'j', { 0x20, 0x40, 0x44, 0x3d, 0x00 } },
	{ 'k', { 0x7f, 0x10, 0x28, 0x44, 0x00 } },
	{ 'l', { 0x00, 0x41, 0x7f, 0x40, 0x00 } },
	{ 'm', { 0x7c, 0x04, 0x18, 0x04, 0x78 } },
	{ 'n', { 0x7c, 0x08, 0x04, 0x04, 0x78 } },
	{ 'o', { 0x38, 0x44, 0x44, 0x44, 0x38 } },
	{ 'p', { 0x7c, 0x14, 0x14, 0x14, 0x08 } },
	{ 'q', { 0x08, 0x14, 0x14, 0x18, 0x7c } },
	{ 'r', { 0x7c, 0x08, 0x04, 0x04, 0x08 } },
	{ 's', { 0x48, 0x54, 0x54, 0x54, 0x20 } },
	{ 't', { 0x04, 0x3f, 0x44, 0x40, 0x20 } },
	{ 'u', { 0x3c, 0x40, 0x40, 0x20, 0x7c } },
	{ 'v', { 0x1c, 0x20, 0x40, 0x20, 0x1c } },
	{ 'w', { 0x3c, 0x40, 0x30, 0x40, 0x3c } },
	{ 'x', { 0x44, 0x28, 0x10, 0x28, 0x44 } },
	{ 'y', { 0x0c, 0x50, 0x50, 0x50, 0x3c } },
	{ 'z', { 0x44, 0x64, 0x54, 0x4c, 0x44 } },
};

struct image {
	int width, height;
	unsigned char *pixels; /* RGB */
};

static void fill(struct image *image, int x, int y, int width, int height, unsigned char shade)
{
	int from_x = MAX(x, 0), to_x = MIN(x + width, image->width);
	int from_y = MAX(y, 0), to_y = MIN(y + height, image->height);
	for (int row = from_y; row < to_y && from_x < to_x; row++)
		memset(image->pixels +
				((size_t)row * (size_t)image->width + (size_t)from_x) * CHANNELS,
			shade, (size_t)(to_x - from_x) * CHANNELS);
}

static void draw_letter(struct image *image, int x, int y, char c)
{
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (letters[i].c == c)
			for (int bit = 0; bit < LETTER_WIDTH * LETTER_HEIGHT; bit++) {
				int column = bit / LETTER_HEIGHT, row = bit % LETTER_HEIGHT;
				if (letters[i].columns[column] >> row & 1)
					fill(image, x + column * DOT, y + row * DOT, DOT, DOT, 255);
			}
}

static void draw_box(struct image *image, int x, int y, int width, int height)
{
	for (int at = 0; at < width; at += PERIOD) {
		int length = MIN(DASH, width - at);
		fill(image, x + at, y, length, LINE, 0);
		fill(image, x + at, y + height - LINE, length, LINE, 0);
	}
	for (int at = 0; at < height; at += PERIOD) {
		int length = MIN(DASH, height - at);
		fill(image, x, y + at, LINE, length, 0);
		fill(image, x + width - LINE, y + at, LINE, length, 0);
	}
}

/* Above the box, or within it where there is no room. */
static void draw_label(struct image *image, int x, int y, const char *text)
{
	int width = (int)strlen(text) * (LETTER_WIDTH + 1) * DOT - DOT + 2 * PADDING;
	int height = LETTER_HEIGHT * DOT + 2 * PADDING;
	x = MAX(MIN(x, image->width - width), 0);
	y = MAX(y - height, 0);
	fill(image, x, y, width, height, 0);
	for (int i = 0; text[i]; i++)
		draw_letter(image, x + PADDING + i * (LETTER_WIDTH + 1) * DOT, y + PADDING,
			text[i]);
}

/* What is partly out of the picture ends at its edge; a float of a page may be anything. */
static int clamp(float value, int limit)
{
	return value > 0 ? (int)MIN(value, (float)limit) : 0;
}

static void draw_marks(const struct page *page, struct image *image)
{
	for (int32_t i = 0; i < page->n; i++) {
		const struct page_node *node = &page->nodes[i];
		if (!node->is_marked || !*node->bid)
			continue;
		int x = clamp(node->x, image->width), y = clamp(node->y, image->height);
		int right = clamp(node->x + node->width, image->width);
		int bottom = clamp(node->y + node->height, image->height);
		draw_box(image, x, y, right - x, bottom - y);
		draw_label(image, x, y, node->bid);
	}
}

static int write_png(const struct image *image, struct buf *out, struct error *err)
{
	png_image png = { .version = PNG_IMAGE_VERSION,
		.width = (unsigned)image->width,
		.height = (unsigned)image->height,
		.format = PNG_FORMAT_RGB,
		.flags = PNG_IMAGE_FLAG_FAST };
	png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
	auto_free void *bytes = mem_alloc(size);
	if (!png_image_write_to_memory(&png, bytes, &size, 0, image->pixels, 0, NULL))
		return error_set(err, ERROR_INTERNAL, "write an image: %s", png.message);
	if (buf_add(out, bytes, size) < 0)
		return error_set(err, ERROR_TOO_LARGE, "an image of %zu bytes", (size_t)size);
	return 0;
}

int image_put_marks(const struct page *page, struct str bytes, struct buf *ret_png,
	struct error *err)
{
	png_image png = { .version = PNG_IMAGE_VERSION };
	if (!png_image_begin_read_from_memory(&png, bytes.ptr, bytes.len))
		return error_set(err, ERROR_INVALID, "read an image: %s", png.message);
	if ((uint64_t)png.width * png.height > IMAGE_PIXELS_MAX) {
		png_image_free(&png);
		return error_set(err, ERROR_TOO_LARGE, "an image of %u by %u", png.width,
			png.height);
	}
	png.format = PNG_FORMAT_RGB;
	auto_free unsigned char *pixels = mem_alloc(PNG_IMAGE_SIZE(png));
	if (!png_image_finish_read(&png, NULL, pixels, 0, NULL))
		return error_set(err, ERROR_INVALID, "read an image: %s", png.message);
	struct image image = { (int)png.width, (int)png.height, pixels };
	draw_marks(page, &image);
	return write_png(&image, ret_png, err);
}
