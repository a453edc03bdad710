/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each object is one unnamed file. What is put gets a range of it as soon as
 * its length is known and is written there as it arrives; an upload in parts is several such
 * ranges, in any order and side by side, which are put in the order of their numbers when it is
 * completed. Until then nobody finds the object.
 *
 * Requests are signed with a secret that is told in push-access. What proves who sends one is the
 * session token: a ticket that ends (http/ticket.h); the signature is not looked at. Blocks go to
 * the page cache while the loop waits, at most 64 KiB at a time.
 */
#include "face/daytona/storage.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/num.h"
#include "http/ticket.h"
#include "runtime/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define ORGANIZATION "cay"
#define PURPOSE      "daytona storage"

enum { ACCESS_SECONDS = 3600, KEY_MAX = 512, XML_MAX = 8192 };

struct range {
	int64_t number, at, bytes;
	bool is_whole;
};

struct stored {
	struct list link; /* daytona::objects, oldest first */
	struct daytona *daytona;
	char *key;
	char upload_id[ID_SIZE]; /* "": not in parts */
	int fd;
	struct range *ranges;
	size_t n_ranges;
	int64_t file_bytes;
	int n_held;    /* readers and writers */
	bool is_whole; /* it can be found */
	bool is_unlisted;
};

/* ---- objects ---- */

static void destroy(struct stored *o)
{
	close(o->fd);
	free(o->ranges);
	free(o->key);
	free(o);
}

/* It is not found any more; who is at it goes on. */
static void unlist(struct stored *o)
{
	if (!o->is_unlisted)
		list_remove(&o->link);
	o->is_unlisted = true;
}

void storage_release(struct stored *o)
{
	if (o && --o->n_held == 0 && o->is_unlisted)
		destroy(o);
}

static void stored_free(struct stored *o)
{
	unlist(o);
	if (!o->n_held)
		destroy(o);
}

void storage_free_all(struct daytona *d)
{
	while (!list_is_empty(&d->objects))
		stored_free(list_get_first(&d->objects, struct stored, link));
}

/* The oldest that nobody is at goes until there is room. */
static int make_room(struct daytona *d, int64_t bytes, struct error *err)
{
	for (;;) {
		struct stored *o, *oldest = NULL;
		int64_t sum = bytes;
		int n = 0;
		list_for_each(o, &d->objects, link) {
			sum += o->file_bytes;
			n++;
			if (!oldest && !o->n_held)
				oldest = o;
		}
		if (sum <= STORAGE_BYTES_MAX && n < STORAGE_OBJECTS_MAX)
			return 0;
		if (!oldest || bytes > STORAGE_BYTES_MAX)
			return error_set(err, ERROR_TOO_LARGE,
				"over %d archives or %lld bytes of them", STORAGE_OBJECTS_MAX,
				(long long)STORAGE_BYTES_MAX);
		stored_free(oldest);
	}
}

static int stored_new(struct daytona *d, struct str key, struct stored **ret, struct error *err)
{
	const char *dir = images_layers_dir(runtime_images(d->rt));
	if (make_room(d, 0, err) < 0)
		return -1;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, errno, "make a file for %.*s", STR_ARG(str_first(key, 80)));
	struct stored *o = mem_new(struct stored);
	o->daytona = d;
	o->key = str_dup(key);
	o->fd = fd;
	list_append(&d->objects, &o->link);
	*ret = o;
	return 0;
}

static struct stored *find_key(struct daytona *d, struct str key, bool is_prefix)
{
	struct stored *o;
	list_for_each(o, &d->objects, link) {
		struct str has = str_from(o->key);
		if (o->is_whole && (is_prefix ? str_starts(has, key) : str_eq(has, key)))
			return o;
	}
	return NULL;
}

/* From now on it is what is found; one of the same key goes. */
static void become_whole(struct stored *o)
{
	struct stored *old = find_key(o->daytona, str_from(o->key), false);
	if (old)
		stored_free(old);
	o->is_whole = true;
}

static struct stored *find_upload(struct daytona *d, struct str key, struct str id)
{
	struct stored *o;
	list_for_each(o, &d->objects, link)
		if (o->upload_id[0] && !o->is_whole && str_is(id, o->upload_id) &&
			str_is(key, o->key))
			return o;
	return NULL;
}

struct stored *storage_hold(struct daytona *d, struct str hash)
{
	auto_buf struct buf key = BUF_INIT(KEY_MAX);
	buf_printf(&key, ORGANIZATION "/%.*s/context.tar", STR_ARG(str_first(hash, 200)));
	struct stored *o = find_key(d, buf_str(&key), false);
	if (o)
		o->n_held++;
	return o;
}

int storage_read(const struct stored *o, int64_t *position, char *bytes, size_t max,
	struct error *err)
{
	int64_t from = *position;
	for (size_t i = 0; i < o->n_ranges; i++) {
		const struct range *range = &o->ranges[i];
		if (from >= range->bytes) {
			from -= range->bytes;
			continue;
		}
		ssize_t n = pread(o->fd, bytes, MIN(max, (size_t)(range->bytes - from)),
			range->at + from);
		if (n <= 0)
			return error_sys(err, n ? errno : EIO, "read %s", o->key);
		*position += n;
		return (int)n;
	}
	return 0;
}

/* ---- who may, and how it is told ---- */

void storage_access(struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(16 * 1024), url = BUF_INIT(8192);
	struct jsonw w = JSONW(&body);
	char token[TICKET_UNTIL_SIZE];
	ticket_make_until(r, STR(PURPOSE), clock_wall_ms() / 1000 + ACCESS_SECONDS, token);
	http_put_origin(r, &url);
	buf_puts(&url, "/daytona/storage");
	jsonw_open(&w);
	jsonw_key_str(&w, "accessKey", STR(ORGANIZATION));
	jsonw_key_str(&w, "secret", STR("the-session-token-proves-it"));
	jsonw_key_str(&w, "sessionToken", token[0] ? str_from(token) : STR("none"));
	jsonw_key_str(&w, "storageUrl", buf_str(&url));
	jsonw_key_str(&w, "organizationId", STR(ORGANIZATION));
	jsonw_key_str(&w, "bucket", STR(STORAGE_BUCKET));
	jsonw_key_str(&w, "region", STR("us-east-1"));
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

bool storage_may(const struct http_request *r)
{
	struct str token = http_header(r, "X-Amz-Security-Token");
	return token.ptr && ticket_is_valid_until(r, STR(PURPOSE), token);
}

/* Words of the S3 protocol, by which its clients know what to do. */
static const char *error_word(int status)
{
	return status == 404    ? "NoSuchKey"
		: status == 400 ? "InvalidRequest"
		: status == 413 ? "EntityTooLarge"
		: status == 501 ? "NotImplemented"
				: "InternalError";
}

static void fail(struct http_request *r, int status, const char *text)
{
	auto_buf struct buf xml = BUF_INIT(XML_MAX);
	buf_printf(&xml,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>",
		error_word(status));
	for (const char *c = text; *c; c++)
		if (*c == '<' || *c == '&')
			buf_puts(&xml, *c == '<' ? "&lt;" : "&amp;");
		else
			buf_putc(&xml, *c);
	buf_puts(&xml, "</Message></Error>");
	http_reply(r, status, "application/xml", buf_str(&xml));
}

static void fail_error(struct http_request *r, const struct error *err)
{
	fail(r, error_http(err->code), err->text);
}

/* {rest} of the path; false: answered. Nobody can name what has to be escaped. */
static bool take_key(struct http_request *r, struct str *ret)
{
	*ret = http_param(r, "rest");
	bool is_good = ret->len && ret->len < KEY_MAX;
	for (size_t i = 0; is_good && i < ret->len; i++) {
		char c = ret->ptr[i];
		is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '/' || c == '.' || c == '-' || c == '_';
	}
	if (!is_good)
		fail(r, 400, "no name of an archive");
	return is_good;
}

static int64_t bytes_of(const struct stored *o)
{
	int64_t sum = 0;
	for (size_t i = 0; i < o->n_ranges; i++)
		sum += o->ranges[i].bytes;
	return sum;
}

void storage_head(struct http_request *r)
{
	struct str key;
	char length[24];
	if (!http_param(r, "rest").len) { /* the bucket, with a slash behind it */
		storage_list(r);
		return;
	}
	if (!take_key(r, &key))
		return;
	const struct stored *o = find_key(daytona_of(r), key, false);
	if (!o) {
		fail(r, 404, "there is no such archive");
		return;
	}
	if (!str_is(r->method, "HEAD")) {
		fail(r, 501, "archives are taken, not given");
		return;
	}
	snprintf(length, sizeof(length), "%lld", (long long)bytes_of(o));
	http_reply_header(r, "ETag", "\"whole\"");
	http_reply_header(r, "Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT");
	http_stream_begin(r, 200, "application/x-tar", bytes_of(o));
	http_stream_end(r, true);
}

/* GET /BUCKET?list-type=2&prefix=…: whether there is one. */
void storage_list(struct http_request *r)
{
	auto_buf struct buf xml = BUF_INIT(XML_MAX);
	struct str prefix = http_query(r, "prefix");
	const struct stored *o = prefix.len ? find_key(daytona_of(r), prefix, true) : NULL;
	buf_printf(&xml,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><Name>" STORAGE_BUCKET
		"</Name><KeyCount>%d</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>false</IsTruncated>",
		o != NULL);
	if (o)
		buf_printf(&xml, "<Contents><Key>%s</Key><Size>%lld</Size></Contents>", o->key,
			(long long)bytes_of(o));
	buf_puts(&xml, "</ListBucketResult>");
	http_reply(r, 200, "application/xml", buf_str(&xml));
}

/* ---- taking in ---- */

struct putting {
	struct http_request *r;
	struct stored *object; /* held */
	int64_t number;        /* of its range */
	int64_t done;
	bool is_part;
};

static struct range *range_of(const struct putting *p)
{
	for (size_t i = 0; i < p->object->n_ranges; i++)
		if (p->object->ranges[i].number == p->number)
			return &p->object->ranges[i];
	BUG_IF(true, "a range that is being written is gone");
}

static void drop_range(struct stored *o, int64_t number)
{
	size_t i = 0;
	while (i < o->n_ranges && o->ranges[i].number != number)
		i++;
	if (i == o->n_ranges)
		return;
	o->n_ranges--;
	memmove(&o->ranges[i], &o->ranges[i + 1], (o->n_ranges - i) * sizeof(*o->ranges));
}

static void put_end(struct putting *p, const struct error *err)
{
	struct http_request *r = p->r;
	struct stored *o = take_ptr(p->object);
	char tag[24];
	if (!o)
		return; /* it has failed already */
	if (err)
		drop_range(o, p->number);
	if (err && !p->is_part)
		unlist(o);
	snprintf(tag, sizeof(tag), "\"%lld\"", (long long)p->number);
	storage_release(o);
	if (err) {
		fail_error(r, err);
		return;
	}
	http_reply_header(r, "ETag", tag);
	http_reply(r, 200, NULL, STR(""));
}

static void on_body(void *arg, struct str piece)
{
	struct putting *p = arg;
	struct error err;
	if (!p->object)
		return;
	const struct range *range = range_of(p);
	while (piece.len) {
		ssize_t n = pwrite(p->object->fd, piece.ptr, piece.len, range->at + p->done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			error_sys(&err, errno, "write %s", p->object->key);
			put_end(p, &err);
			return;
		}
		p->done += n;
		piece = str_skip(piece, (size_t)n);
	}
}

static void on_body_end(void *arg)
{
	struct putting *p = arg;
	if (!p->object)
		return;
	range_of(p)->is_whole = true;
	if (!p->is_part)
		become_whole(p->object);
	put_end(p, NULL);
}

static void on_closed(void *arg)
{
	struct error err;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	put_end(arg, &err);
}

static int add_range(struct stored *o, int64_t number, int64_t bytes, struct error *err)
{
	size_t i = 0;
	if (o->n_ranges == STORAGE_PARTS_MAX)
		return error_set(err, ERROR_LIMIT, "over %d parts", STORAGE_PARTS_MAX);
	if (make_room(o->daytona, bytes, err) < 0)
		return -1;
	while (i < o->n_ranges && o->ranges[i].number < number)
		i++;
	if (i < o->n_ranges && o->ranges[i].number == number) {
		if (!o->ranges[i].is_whole)
			return error_set(err, ERROR_EXISTS, "part %lld is being sent",
				(long long)number);
		drop_range(o, number);
	}
	o->ranges = mem_realloc(o->ranges, (o->n_ranges + 1) * sizeof(*o->ranges));
	memmove(&o->ranges[i + 1], &o->ranges[i], (o->n_ranges - i) * sizeof(*o->ranges));
	o->ranges[i] = (struct range){ .number = number, .at = o->file_bytes, .bytes = bytes };
	o->n_ranges++;
	o->file_bytes += bytes;
	return 0;
}

static int begin_put(struct http_request *r, struct str key, struct putting *p, struct error *err)
{
	struct daytona *d = daytona_of(r);
	struct str id = http_query(r, "uploadId");
	struct str coding = http_header(r, "Content-Encoding");
	if (r->body_length < 0 || str_find(coding, STR("aws-chunked")) >= 0)
		return error_set(err, ERROR_UNSUPPORTED, "a body of unknown length");
	p->is_part = id.len > 0;
	p->number = 1;
	if (p->is_part &&
		num_parse_i64(http_query(r, "partNumber"), 1, STORAGE_PARTS_MAX, &p->number, err) <
			0)
		return error_wrap(err, "partNumber");
	p->object = p->is_part ? find_upload(d, key, id) : NULL;
	if (p->is_part && !p->object)
		return error_set(err, ERROR_NOT_FOUND, "no such upload");
	if (!p->is_part && stored_new(d, key, &p->object, err) < 0)
		return -1;
	p->object->n_held++;
	if (add_range(p->object, p->number, r->body_length, err) == 0)
		return 0;
	if (!p->is_part)
		unlist(p->object);
	storage_release(p->object);
	return -1;
}

void storage_put(struct http_request *r)
{
	static const struct http_ops ops = {
		.on_body = on_body,
		.on_body_end = on_body_end,
		.on_closed = on_closed,
	};
	struct putting *p = arena_new(&r->arena, struct putting);
	struct str key;
	struct error err;
	p->r = r;
	if (!take_key(r, &key))
		return;
	if (begin_put(r, key, p, &err) < 0)
		fail_error(r, &err);
	else
		http_listen(r, &ops, p);
}

/* ---- in parts ---- */

static void reply_upload(struct http_request *r, const char *word, const struct stored *o)
{
	auto_buf struct buf xml = BUF_INIT(XML_MAX);
	buf_printf(&xml,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%s><Bucket>" STORAGE_BUCKET
		"</Bucket><Key>%s</Key><UploadId>%s</UploadId><ETag>\"whole\"</ETag></%s>",
		word, o->key, o->upload_id, word);
	http_reply(r, 200, "application/xml", buf_str(&xml));
}

static void complete(struct http_request *r, struct str key)
{
	struct stored *o = find_upload(daytona_of(r), key, http_query(r, "uploadId"));
	bool is_whole = o && o->n_ranges > 0;
	for (size_t i = 0; o && i < o->n_ranges; i++)
		is_whole = is_whole && o->ranges[i].is_whole;
	if (!is_whole) {
		fail(r, o ? 400 : 404, o ? "parts of it are missing" : "no such upload");
		return;
	}
	become_whole(o);
	reply_upload(r, "CompleteMultipartUploadResult", o);
}

/* POST ?uploads begins, POST ?uploadId= completes. */
void storage_post(struct http_request *r)
{
	struct stored *o;
	struct str key;
	struct error err;
	if (!take_key(r, &key))
		return;
	if (http_query(r, "uploadId").len) {
		complete(r, key);
	} else if (!http_query(r, "uploads").ptr) {
		fail(r, 501, "POST is for uploads in parts");
	} else if (stored_new(daytona_of(r), key, &o, &err) < 0) {
		fail_error(r, &err);
	} else {
		id_make(o->upload_id);
		reply_upload(r, "InitiateMultipartUploadResult", o);
	}
}

void storage_abort(struct http_request *r)
{
	struct str key;
	if (!take_key(r, &key))
		return;
	struct stored *o = find_upload(daytona_of(r), key, http_query(r, "uploadId"));
	if (o)
		stored_free(o);
	http_reply(r, 204, NULL, STR(""));
}
