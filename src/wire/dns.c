/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dns.h"

#include <string.h>

enum {
	HEADER = 12,
	LABEL_MAX = 63,
	FLAG_REPLY = 0x8000,
	FLAG_OPCODE = 0x7800,
	FLAG_RECURSION_WANTED = 0x0100,
	FLAG_RECURSION_OFFERED = 0x0080,
	CLASS_IN = 1,
	NAME_POINTER = 0xc000 | HEADER, /* the name of the question, repeated */
};

static uint16_t get16(struct str s, size_t at)
{
	return (uint16_t)((uint8_t)s.ptr[at] << 8 | (uint8_t)s.ptr[at + 1]);
}

static void put16(struct buf *b, unsigned value)
{
	buf_putc(b, (char)(value >> 8));
	buf_putc(b, (char)value);
}

static void put32(struct buf *b, uint32_t value)
{
	put16(b, value >> 16);
	put16(b, value & 0xffff);
}

/* The character of a host name, lower-cased; 0: it is none. */
static char name_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
	return is_fine ? c : '\0';
}

static int bad(struct error *err)
{
	return error_set(err, ERROR_INVALID, "a DNS question that is none");
}

/* One label, behind a dot if it is not the first. */
static int put_label(struct str label, char *name, size_t *len, struct error *err)
{
	if (label.len == 0 || label.len > LABEL_MAX ||
		*len + label.len + (*len > 0) >= DNS_NAME_SIZE)
		return error_set(err, ERROR_INVALID,
			"no host name: a label or the whole is too long");
	if (*len > 0)
		name[(*len)++] = '.';
	for (size_t i = 0; i < label.len; i++) {
		char c = name_char(label.ptr[i]);
		if (!c)
			return error_set(err, ERROR_INVALID,
				"no host name: only letters, digits, '-' and '_' are in one");
		name[(*len)++] = c;
	}
	name[*len] = '\0';
	return 0;
}

int dns_name(struct str text, char ret[DNS_NAME_SIZE], struct error *err)
{
	size_t len = 0;
	struct str label;
	if (str_ends(text, STR(".")))
		text.len--;
	ret[0] = '\0';
	while (str_split(&text, '.', &label))
		if (put_label(label, ret, &len, err) < 0)
			return -1;
	return 0;
}

int dns_parse(struct str packet, struct dns_question *ret, struct error *err)
{
	*ret = (struct dns_question){ .end = HEADER };
	if (packet.len < HEADER || packet.len > DNS_PACKET_MAX)
		return bad(err);
	uint16_t flags = get16(packet, 2);
	ret->id = get16(packet, 0);
	ret->wants_recursion = flags & FLAG_RECURSION_WANTED;
	if (flags & (FLAG_REPLY | FLAG_OPCODE) || get16(packet, 4) != 1 || get16(packet, 6) != 0)
		return bad(err);
	size_t len = 0;
	for (;;) {
		if (ret->end >= packet.len)
			return bad(err);
		size_t size = (uint8_t)packet.ptr[ret->end++];
		if (size == 0)
			break;
		if (size > LABEL_MAX || ret->end + size > packet.len)
			return bad(err); /* a pointer has nowhere to point to yet */
		if (put_label(str_from_len(packet.ptr + ret->end, size), ret->name, &len, err) < 0)
			return -1;
		ret->end += size;
	}
	if (ret->end + 4 > packet.len || get16(packet, ret->end + 2) != CLASS_IN)
		return bad(err);
	ret->type = get16(packet, ret->end);
	ret->end += 4;
	return 0;
}

void dns_put_reply(struct str packet, const struct dns_question *q, enum dns_code code,
	uint32_t address, uint32_t ttl, struct buf *b)
{
	bool has_answer = code == DNS_OK && q->type == DNS_A && address;
	bool has_question = code != DNS_BAD_FORMAT && q->end > HEADER && q->end <= packet.len;
	put16(b, q->id);
	put16(b,
		FLAG_REPLY | FLAG_RECURSION_OFFERED | (unsigned)code |
			(q->wants_recursion ? FLAG_RECURSION_WANTED : 0U));
	put16(b, has_question);
	put16(b, has_answer);
	put32(b, 0);
	if (has_question)
		buf_add(b, packet.ptr + HEADER, q->end - HEADER);
	if (!has_answer)
		return;
	put16(b, NAME_POINTER);
	put16(b, DNS_A);
	put16(b, CLASS_IN);
	put32(b, ttl);
	put16(b, sizeof(address));
	put32(b, address);
}
