/* record - bytes of records: encoding and decoding. See record.h and doc/restante-log.5.
 *
 * Integers are unsigned LEB128 ("varints"), at most ten bytes; text is a length and its bytes. A
 * decoder reads through one cursor that fails once and then yields zeros, so a production is a list
 * of fields and one check at its end.
 */
#include "store/record.h"

#include "lib/bytes.h"
#include "lib/leb128.h"
#include "lib/lz.h"
#include "store/codec.h"
#include "store/front.h"

#include <stdlib.h>
#include <stdio.h>

#define SUMMARY_MAX     (16u << 20)
#define BLOB_CHUNK_RAW_MAX 65536u

enum summary_form {
	SUMMARY_PLAIN,
	SUMMARY_DEFLATED,
	SUMMARY_BEHIND_FRONT,
};

/* ---- encoding ---- */

static void
put_varint(struct buf *b, uint64_t v)
{
	(void)leb128_put(b, v);
}

/* Signed: zigzag, so that small negative numbers stay short. */
static void
put_signed(struct buf *b, int64_t v)
{
	put_varint(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static void
put_text(struct buf *b, struct slice s)
{
	put_varint(b, s.len);
	(void)buf_append_slice(b, s);
}

static void
put_le32_to(struct buf *b, uint32_t v)
{
	uint8_t bytes[4];

	put_le32(bytes, v);
	(void)buf_append(b, bytes, sizeof bytes);
}

static void
put_account(struct buf *b, const struct record_account *r)
{
	put_varint(b, r->id);
	put_varint(b, r->generation);
	put_text(b, r->name);
	put_varint(b, r->created_us);
	put_varint(b, r->quota_bytes);
	(void)buf_append_byte(b, r->deleted);
	put_varint(b, r->quota_messages);
	put_text(b, r->hidden);
	(void)buf_append_byte(b, r->arriving);
	put_varint(b, r->flags);
}

static void
put_mailbox(struct buf *b, const struct record_mailbox *r)
{
	put_varint(b, r->id);
	put_varint(b, r->account);
	put_text(b, r->name);
	put_varint(b, r->uidvalidity);
	put_varint(b, r->uidnext);
	put_varint(b, r->highestmodseq);
	put_varint(b, r->special_use);
	(void)buf_append(b, r->mailboxid, sizeof r->mailboxid);
	(void)buf_append_byte(b, r->deleted);
	put_varint(b, r->expunge_floor);
	put_varint(b, r->change_floor);
}

static void
put_chunks(struct buf *b, const struct blob_chunk *chunks, uint32_t count)
{
	put_varint(b, count);
	for (uint32_t i = 0; i < count; i++) {
		put_varint(b, chunks[i].raw_len);
		put_varint(b, chunks[i].stored_len);
		put_le32_to(b, chunks[i].crc);
		(void)buf_append_byte(b, chunks[i].method);
		(void)buf_append_byte(b, chunks[i].dictionary);
	}
}

/* The summary, deflated when that is smaller. A failure to compress is no failure: it
 * stands plain then. */
static void
put_summary(struct buf *b, struct slice s)
{
	struct codec *c = s.len > 32 ? codec_get() : NULL;
	uint8_t *out = c != NULL ? malloc(s.len) : NULL;
	size_t n = out != NULL ? codec_deflate(c, CODEC_SUMMARY, s, out, s.len) : 0;

	if (n > 0) {
		(void)buf_append_byte(b, SUMMARY_DEFLATED);
		(void)buf_append_byte(b, codec_dictionary(CODEC_SUMMARY));
		put_varint(b, s.len);
		put_text(b, slice_of(out, n));
	} else {
		(void)buf_append_byte(b, SUMMARY_PLAIN);
		put_text(b, s);
	}
	free(out);
	codec_put(c);
}

static void
put_blob(struct buf *b, const struct record_blob *r)
{
	put_varint(b, r->size);
	put_varint(b, r->header_len);
	put_varint(b, r->lines);
	(void)buf_append(b, r->sha256, sizeof r->sha256);
	put_chunks(b, r->chunks, r->chunk_count);
	if (front_is_base(r)) {
		(void)buf_append_byte(b, SUMMARY_BEHIND_FRONT);
		(void)buf_append_slice(b, r->packed);
	} else {
		put_summary(b, r->summary);
	}
	(void)buf_append_byte(b, r->body.len > 0);
	if (r->body.len > 0) {
		put_varint(b, r->body.seg.seq);
		put_varint(b, r->body.seg.epoch);
		put_varint(b, r->body.offset);
		put_varint(b, r->body.len);
	}
	put_varint(b, r->data.len);     /* the data itself is the caller's to write */
}

static void
put_message(struct buf *b, const struct record_message *m)
{
	put_varint(b, m->blob);
	put_varint(b, m->flags);
	put_text(b, m->keywords);
	put_signed(b, m->internaldate.sec);
	put_signed(b, m->internaldate.zone_min);
	put_signed(b, m->savedate.sec);
	put_signed(b, m->savedate.zone_min);
	put_varint(b, m->threadid);
}

/* Ascending ranges: the gap before each (from the last one's end, 0 at first) and how many members
 * follow its first. */
static void
put_ranges(struct buf *b, const struct uid_range *uids, uint32_t count)
{
	mail_uid last = 0;

	put_varint(b, count);
	for (uint32_t i = 0; i < count; i++) {
		put_varint(b, uids[i].first - last);
		put_varint(b, uids[i].last - uids[i].first);
		last = uids[i].last;
	}
}

static void
put_messages(struct buf *b, const struct record_messages *r)
{
	put_varint(b, r->mailbox);
	put_varint(b, r->modseq);
	if (r->uids != NULL) {
		put_ranges(b, r->uids, r->range_count);
	} else {
		put_varint(b, r->first_uid);
		put_varint(b, r->count);
	}
	for (uint32_t i = 0; i < r->count; i++)
		put_message(b, &r->messages[i]);
}

bool
record_encode(const struct record *r, struct buf *out)
{
	switch (r->type) {
	case RECORD_COUNTERS:
		put_varint(out, r->u.counters.uidvalidity);
		break;
	case RECORD_ACCOUNT:
		put_account(out, &r->u.account);
		break;
	case RECORD_CREDENTIAL:
		put_varint(out, r->u.credential.account);
		put_text(out, r->u.credential.name);
		put_text(out, r->u.credential.value);
		break;
	case RECORD_MAILBOX:
		put_mailbox(out, &r->u.mailbox);
		break;
	case RECORD_SUBSCRIPTION:
		put_varint(out, r->u.subscription.account);
		put_text(out, r->u.subscription.name);
		(void)buf_append_byte(out, r->u.subscription.subscribed);
		break;
	case RECORD_BLOB:
		put_blob(out, &r->u.blob);
		break;
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		put_messages(out, &r->u.messages);
		break;
	case RECORD_FLAGS:
		put_varint(out, r->u.flags.mailbox);
		put_varint(out, r->u.flags.modseq);
		put_varint(out, r->u.flags.flags);
		put_text(out, r->u.flags.keywords);
		put_ranges(out, r->u.flags.uids, r->u.flags.range_count);
		break;
	case RECORD_EXPUNGE:
		put_varint(out, r->u.expunge.mailbox);
		put_varint(out, r->u.expunge.modseq);
		put_ranges(out, r->u.expunge.uids, r->u.expunge.range_count);
		break;
	case RECORD_GONE:
		break;
	case RECORD_PURGE:
		put_varint(out, r->u.purge.blob);
		(void)buf_append(out, r->u.purge.sha256, sizeof r->u.purge.sha256);
		put_text(out, r->u.purge.reason);
		break;
	case RECORD_UIDL:
		put_varint(out, r->u.uidl.mailbox);
		put_varint(out, r->u.uidl.uid);
		put_text(out, r->u.uidl.text);
		break;
	case RECORD_SUMMARY:
		put_varint(out, r->u.summary.blob);
		put_summary(out, r->u.summary.summary);
		break;
	case RECORD_SECRET:
		put_text(out, r->u.secret.name);
		put_text(out, r->u.secret.value);
		break;
	case RECORD_DELIVERY:
		(void)buf_append_slice(out, r->u.delivery.key);
		put_varint(out, r->u.delivery.session);
		put_varint(out, r->u.delivery.at_s);
		put_varint(out, r->u.delivery.until_s);
		break;
	}
	return !out->failed;
}

/* ---- decoding ---- */

struct cursor {
	struct slice  in;
	size_t        at;
	struct arena *arena;
	const char   *bad;      /* the first field that failed */
	bool          nomem;    /* it failed for want of arena */
};

static void
fail(struct cursor *c, const char *what)
{
	if (c->bad == NULL)
		c->bad = what;
}

static size_t
left(const struct cursor *c)
{
	return c->in.len - c->at;
}

static struct slice
take(struct cursor *c, size_t n, const char *what)
{
	struct slice s = SLICE_NONE;

	if (c->bad != NULL || n > left(c)) {
		fail(c, what);
		return s;
	}
	s = slice_of(c->in.ptr + c->at, n);
	c->at += n;
	return s;
}

static uint8_t
take_byte(struct cursor *c, uint8_t max, const char *what)
{
	struct slice s = take(c, 1, what);

	if (s.len == 0)
		return 0;
	if (s.ptr[0] > max)
		fail(c, what);
	return s.ptr[0];
}

static uint64_t
take_varint(struct cursor *c, uint64_t max, const char *what)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = take_byte(c, UINT8_MAX, what);

		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			if (v > max)
				fail(c, what);
			return c->bad == NULL ? v : 0;
		}
	}
	fail(c, what);
	return 0;
}

static uint32_t
take_u32(struct cursor *c, const char *what)
{
	return (uint32_t)take_varint(c, UINT32_MAX, what);
}

static int64_t
take_signed(struct cursor *c, const char *what)
{
	uint64_t v = take_varint(c, UINT64_MAX, what);

	return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

static struct slice
take_text(struct cursor *c, size_t max, const char *what)
{
	return take(c, (size_t)take_varint(c, max, what), what);
}

static void
take_raw(struct cursor *c, uint8_t *dst, size_t n, const char *what)
{
	struct slice s = take(c, n, what);

	if (s.len == n)
		memcpy(dst, s.ptr, n);
	else
		memset(dst, 0, n);
}

/* Room for n elements that take at least `min` bytes each in what is left: a count
 * cannot ask for more. */
static void *
take_array(struct cursor *c, uint32_t n, size_t min, size_t size, const char *what)
{
	void *p;

	if (c->bad != NULL || n > left(c) / min) {
		fail(c, what);
		return NULL;
	}
	p = arena_array(c->arena, n, size);
	if (p == NULL) {
		c->nomem = true;
		fail(c, what);
	}
	return p;
}

static void
take_account(struct cursor *c, log_lsn lsn, struct record_account *r)
{
	r->id = take_varint(c, INT64_MAX, "id");
	if (r->id == 0)
		r->id = lsn;
	r->generation = take_varint(c, UINT64_MAX, "generation");
	r->name = take_text(c, ACCOUNT_NAME_MAX, "name");
	r->created_us = take_varint(c, UINT64_MAX, "created");
	r->quota_bytes = take_varint(c, UINT64_MAX, "quota");
	r->deleted = take_byte(c, 1, "deleted") != 0;
	if (left(c) == 0)
		return;                 /* written before these were */
	r->quota_messages = take_varint(c, INT64_MAX, "message quota");
	r->hidden = take_text(c, HIDDEN_MAX, "hidden capabilities");
	if (left(c) > 0)
		r->arriving = take_byte(c, 1, "arriving") != 0;
	if (left(c) > 0)
		r->flags = take_u32(c, "flags");
}

static void
take_mailbox(struct cursor *c, log_lsn lsn, struct record_mailbox *r)
{
	r->id = take_varint(c, INT64_MAX, "id");
	if (r->id == 0)
		r->id = lsn;
	r->account = take_varint(c, INT64_MAX, "account");
	r->name = take_text(c, MAILBOX_NAME_MAX, "name");
	r->uidvalidity = take_u32(c, "uidvalidity");
	r->uidnext = take_u32(c, "uidnext");
	r->highestmodseq = take_varint(c, INT64_MAX, "highestmodseq");
	r->special_use = take_u32(c, "special use");
	take_raw(c, r->mailboxid, sizeof r->mailboxid, "mailboxid");
	r->deleted = take_byte(c, 1, "deleted") != 0;
	if (left(c) == 0)
		return;                 /* written before these were */
	r->expunge_floor = take_varint(c, INT64_MAX, "expunge floor");
	r->change_floor = take_varint(c, INT64_MAX, "change floor");
}

static struct blob_chunk *
take_chunks(struct cursor *c, uint32_t *count)
{
	struct blob_chunk *chunks;

	*count = take_u32(c, "chunk count");
	chunks = take_array(c, *count, 8, sizeof *chunks, "chunks");
	for (uint32_t i = 0; i < *count && c->bad == NULL; i++) {
		uint8_t crc[4];

		chunks[i].raw_len = (uint32_t)take_varint(c, BLOB_CHUNK_RAW_MAX, "chunk length");
		chunks[i].stored_len =
		    (uint32_t)take_varint(c, BLOB_CHUNK_RAW_MAX, "stored chunk length");
		take_raw(c, crc, sizeof crc, "chunk crc");
		chunks[i].crc = get_le32(crc);
		chunks[i].method = take_byte(c, CHUNK_METHOD_LAST, "chunk method");
		chunks[i].dictionary = take_byte(c, UINT8_MAX, "chunk dictionary");
		if (chunks[i].method == CHUNK_STORED && chunks[i].raw_len != chunks[i].stored_len)
			fail(c, "stored chunk length");
	}
	return chunks;
}

static struct slice
inflate_summary(struct cursor *c, uint8_t dictionary, size_t raw_len, struct slice in)
{
	uint8_t *out = c->bad == NULL ? arena_alloc(c->arena, raw_len) : NULL;
	struct codec *codec = out != NULL ? codec_get() : NULL;
	bool ok = codec != NULL && codec_inflate(codec, dictionary, in, out, raw_len);

	codec_put(codec);
	if (ok)
		return slice_of(out, raw_len);
	if (c->bad == NULL && codec == NULL)
		c->nomem = true;
	fail(c, "summary");
	return SLICE_NONE;
}

/* *packed: of a summary that is to be unpacked once the blob's data is known. NULL: there is none. */
static struct slice
take_summary(struct cursor *c, struct slice *packed)
{
	uint8_t form = take_byte(
	    c, packed != NULL ? SUMMARY_BEHIND_FRONT : SUMMARY_DEFLATED, "summary form");
	uint8_t dictionary;
	size_t raw_len, from = c->at;

	if (form == SUMMARY_PLAIN)
		return take_text(c, SUMMARY_MAX, "summary");
	if (form == SUMMARY_BEHIND_FRONT) {
		(void)take_byte(c, UINT8_MAX, "summary dictionary");
		(void)take_varint(c, LZ_MAX, "summary length");
		(void)take_text(c, SUMMARY_MAX, "summary");
		if (c->bad == NULL)
			*packed = slice_sub(c->in, from, c->at);
		return SLICE_NONE;
	}
	dictionary = take_byte(c, UINT8_MAX, "summary dictionary");
	raw_len = (size_t)take_varint(c, SUMMARY_MAX, "summary length");
	return inflate_summary(c, dictionary, raw_len, take_text(c, SUMMARY_MAX, "summary"));
}

/* The chunks must hold the message, all of it, and lie where the record says, all of them. */
static void
check_chunks(struct cursor *c, const struct record_blob *r)
{
	uint64_t raw = 0, stored = 0;

	for (uint32_t i = 0; i < r->chunk_count && c->bad == NULL; i++) {
		raw += r->chunks[i].raw_len;
		stored += r->chunks[i].stored_len;
	}
	if (raw != r->size || r->header_len > r->size)
		fail(c, "size");
	if (stored != (r->body.len > 0 ? r->body.len : r->data.len))
		fail(c, "data length");
}

static void
unpack_summary(struct cursor *c, struct record_blob *r)
{
	struct cursor p = { .in = r->packed, .arena = c->arena };
	uint8_t dictionary = take_byte(&p, UINT8_MAX, "summary dictionary");
	size_t raw_len = (size_t)take_varint(&p, LZ_MAX, "summary length");
	struct slice bytes = take_text(&p, SUMMARY_MAX, "summary");
	uint8_t *out = arena_alloc(c->arena, raw_len + LZ_SLACK);
	struct codec *codec = out != NULL ? codec_get() : NULL;

	c->nomem = codec == NULL;
	if (codec == NULL || !front_is_base(r) ||
	    !front_unpack(codec, &r->chunks[0], slice_sub(r->data, 0, r->chunks[0].stored_len),
	                  dictionary, bytes, out, raw_len))
		fail(c, "summary");
	else
		r->summary = slice_of(out, raw_len);
	codec_put(codec);
}

static void
take_blob(struct cursor *c, struct record_blob *r)
{
	r->size = take_varint(c, INT64_MAX, "size");
	r->header_len = take_u32(c, "header length");
	r->lines = take_u32(c, "lines");
	take_raw(c, r->sha256, sizeof r->sha256, "sha256");
	r->chunks = take_chunks(c, &r->chunk_count);
	r->summary = take_summary(c, &r->packed);
	if (take_byte(c, 1, "body") != 0) {
		r->body.seg.kind = SEG_BODY;
		r->body.seg.seq = take_varint(c, INT64_MAX, "body number");
		r->body.seg.epoch = take_u32(c, "body epoch");
		r->body.offset = take_varint(c, INT64_MAX, "body offset");
		r->body.len = take_varint(c, INT64_MAX, "body length");
	}
	r->data = take_text(c, SIZE_MAX, "data");
	r->data_offset = c->at - r->data.len;
	check_chunks(c, r);
	if (c->bad == NULL && r->packed.len > 0)
		unpack_summary(c, r);
}

static int16_t
take_zone(struct cursor *c)
{
	int64_t v = take_signed(c, "zone");

	if (v < INT16_MIN || v > INT16_MAX) {
		fail(c, "zone");
		return 0;
	}
	return (int16_t)v;
}

static void
take_message(struct cursor *c, struct record_message *m)
{
	m->blob = take_varint(c, INT64_MAX, "blob");
	m->flags = take_u32(c, "flags");
	m->keywords = take_text(c, KEYWORDS_MAX, "keywords");
	m->internaldate.sec = take_signed(c, "internaldate");
	m->internaldate.zone_min = take_zone(c);
	m->savedate.sec = take_signed(c, "savedate");
	m->savedate.zone_min = take_zone(c);
	m->threadid = take_varint(c, UINT64_MAX, "threadid");
	m->size = 0;
}

static struct uid_range *
take_ranges(struct cursor *c, uint32_t *count)
{
	struct uid_range *uids;
	uint64_t last = 0;

	*count = take_u32(c, "range count");
	uids = take_array(c, *count, 2, sizeof *uids, "ranges");
	for (uint32_t i = 0; i < *count && c->bad == NULL; i++) {
		uint64_t gap = take_u32(c, "uid"), first = last + gap;

		last = first + take_u32(c, "uid");
		if (gap == 0 || last > UINT32_MAX)
			fail(c, "uid");
		uids[i] = (struct uid_range){ (mail_uid)first, (mail_uid)last };
	}
	return uids;
}

static void
take_each_message(struct cursor *c, struct record_messages *r)
{
	struct record_message *m = take_array(c, r->count, 8, sizeof *m, "messages");

	for (uint32_t i = 0; i < r->count && c->bad == NULL; i++)
		take_message(c, &m[i]);
	r->messages = m;
}

static void
take_messages(struct cursor *c, struct record_messages *r)
{
	r->mailbox = take_varint(c, INT64_MAX, "mailbox");
	r->modseq = take_varint(c, INT64_MAX, "modseq");
	r->first_uid = take_u32(c, "uid");
	r->count = take_u32(c, "message count");
	if (r->first_uid == 0 || r->count == 0 || r->count - 1 > UINT32_MAX - r->first_uid)
		fail(c, "uid");
	take_each_message(c, r);
}

static void
take_some_messages(struct cursor *c, struct record_messages *r)
{
	uint64_t count = 0;

	r->mailbox = take_varint(c, INT64_MAX, "mailbox");
	r->modseq = take_varint(c, INT64_MAX, "modseq");
	r->uids = take_ranges(c, &r->range_count);
	for (uint32_t i = 0; i < r->range_count && c->bad == NULL; i++)
		count += (uint64_t)r->uids[i].last - r->uids[i].first + 1;
	if (c->bad != NULL || count == 0 || count > UINT32_MAX) {
		fail(c, "ranges");
		return;
	}
	r->first_uid = r->uids[0].first;
	r->count = (uint32_t)count;
	take_each_message(c, r);
}

static void
take_flags(struct cursor *c, struct record_flags *r)
{
	r->mailbox = take_varint(c, INT64_MAX, "mailbox");
	r->modseq = take_varint(c, INT64_MAX, "modseq");
	r->flags = take_u32(c, "flags");
	r->keywords = take_text(c, KEYWORDS_MAX, "keywords");
	r->uids = take_ranges(c, &r->range_count);
}

/* False for a type that is none of ours. */
static bool
take_record(struct cursor *c, uint8_t stored, log_lsn lsn, struct record *out)
{
	enum record_type type = record_type_of(stored);

	switch (type) {
	case RECORD_COUNTERS:
		out->u.counters.uidvalidity = take_u32(c, "uidvalidity");
		return true;
	case RECORD_ACCOUNT:
		take_account(c, lsn, &out->u.account);
		return true;
	case RECORD_CREDENTIAL:
		out->u.credential.account = take_varint(c, INT64_MAX, "account");
		out->u.credential.name = take_text(c, SIZE_MAX, "name");
		out->u.credential.value = take_text(c, SIZE_MAX, "value");
		return true;
	case RECORD_MAILBOX:
		take_mailbox(c, lsn, &out->u.mailbox);
		return true;
	case RECORD_SUBSCRIPTION:
		out->u.subscription.account = take_varint(c, INT64_MAX, "account");
		out->u.subscription.name = take_text(c, MAILBOX_NAME_MAX, "name");
		out->u.subscription.subscribed = take_byte(c, 1, "subscribed") != 0;
		return true;
	case RECORD_BLOB:
		take_blob(c, &out->u.blob);
		return true;
	case RECORD_MESSAGES:
		take_messages(c, &out->u.messages);
		return true;
	case RECORD_SOME_MESSAGES:
		take_some_messages(c, &out->u.messages);
		return true;
	case RECORD_FLAGS:
		take_flags(c, &out->u.flags);
		return true;
	case RECORD_EXPUNGE:
		out->u.expunge.mailbox = take_varint(c, INT64_MAX, "mailbox");
		out->u.expunge.modseq = take_varint(c, INT64_MAX, "modseq");
		out->u.expunge.uids = take_ranges(c, &out->u.expunge.range_count);
		return true;
	case RECORD_GONE:
		return true;
	case RECORD_PURGE:
		out->u.purge.blob = take_varint(c, INT64_MAX, "blob");
		take_raw(c, out->u.purge.sha256, sizeof out->u.purge.sha256, "sha256");
		out->u.purge.reason = take_text(c, PURGE_REASON_MAX, "reason");
		return true;
	case RECORD_UIDL:
		out->u.uidl.mailbox = take_varint(c, INT64_MAX, "mailbox");
		out->u.uidl.uid = take_u32(c, "uid");
		out->u.uidl.text = take_text(c, UIDL_MAX, "unique-id");
		return true;
	case RECORD_SUMMARY:
		out->u.summary.blob = take_varint(c, INT64_MAX, "blob");
		out->u.summary.summary = take_summary(c, NULL);
		return true;
	case RECORD_SECRET:
		out->u.secret.name = take_text(c, SECRET_NAME_MAX, "name");
		out->u.secret.value = take_text(c, SECRET_MAX, "value");
		return true;
	case RECORD_DELIVERY:
		out->u.delivery.key = take(c, stored == RECORD_STORED_DELIVERY
		                                  ? DELIVERY_KEY_KEPT
		                                  : DELIVERY_KEY_LEN, "key");
		out->u.delivery.session = take_varint(c, UINT64_MAX, "session");
		out->u.delivery.at_s = take_varint(c, INT64_MAX, "time");
		out->u.delivery.until_s = take_varint(c, INT64_MAX, "end");
		return true;
	}
	return false;
}

enum rc
record_decode(enum record_type type, log_lsn lsn, struct slice body, struct arena *a,
    struct record *out, struct err *e)
{
	struct cursor c = { .in = body, .arena = a };

	memset(out, 0, sizeof *out);
	out->type = record_type_of((uint8_t)type);
	out->lsn = lsn;
	if (!take_record(&c, (uint8_t)type, lsn, out))
		return err_set(e, RC_CORRUPT, "record type %u is unknown", (unsigned)type);
	if (c.nomem)
		return err_set(
		    e, RC_LIMIT, "%s record: no memory for its %s", record_type_name(type), c.bad);
	if (c.bad != NULL)
		return err_set(e, RC_CORRUPT, "%s record: bad %s at byte %zu",
		    record_type_name(type), c.bad, c.at);
	return RC_OK;
}
