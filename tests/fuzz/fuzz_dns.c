/* SPDX-License-Identifier: Apache-2.0 */
/* A question is refused or read, and then its answer is read as no question and repeats it. */
#include "base/bug.h"
#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str packet = str_from_len((const char *)data, size);
	struct dns_question q, again;
	char name[DNS_NAME_SIZE];
	auto_buf struct buf b = BUF_INIT(2 * DNS_PACKET_MAX);
	int r = dns_parse(packet, &q, NULL);
	if (size >= 12)
		dns_put_reply(packet, &q, r < 0 ? DNS_BAD_FORMAT : DNS_OK, 0xc6120101, 60, &b);
	BUG_IF(b.is_full, "an answer is larger than its room");
	if (r < 0)
		return 0;
	BUG_IF(q.end > size, "a question goes on behind its packet");
	BUG_IF(q.name[0] && dns_name(str_from(q.name), name, NULL) < 0,
		"a name was read that is none");
	BUG_IF(dns_parse(buf_str(&b), &again, NULL) == 0, "an answer is a question");
	BUG_IF(memcmp(b.ptr + 12, packet.ptr + 12, q.end - 12) != 0,
		"the question is not repeated");
	return 0;
}
