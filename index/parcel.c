/* parcel - the stream of import and export. See parcel.h. */
#include "index/parcel.h"

#include "lib/bytes.h"

#define HEAD_LEN         5u
#define MAILBOX_HEAD_LEN 21u
#define MESSAGE_HEAD_LEN 34u
#define NAME_MAX_LEN     4096u          /* what is longer is no mailbox name of anybody's */

/* ---- writing ---- */

/* Room for a record, its head written; NULL if it does not fit. */
static uint8_t *
put_head(struct buf *out, char type, size_t len)
{
	uint8_t *p;

	if (len > PARCEL_BODY_MAX) {
		out->failed = true;
		return NULL;
	}
	p = buf_reserve(out, HEAD_LEN + len);
	if (p == NULL)
		return NULL;
	p[0] = (uint8_t)type;
	put_le32(p + 1, (uint32_t)len);
	buf_commit(out, HEAD_LEN + len);
	return p + HEAD_LEN;
}

static bool
put_bytes(struct buf *out, char type, struct slice s)
{
	uint8_t *p = put_head(out, type, s.len);

	if (p != NULL && s.len > 0)
		memcpy(p, s.ptr, s.len);
	return p != NULL;
}

bool
parcel_put_begin(struct buf *out)
{
	uint8_t version = PARCEL_VERSION;

	return put_bytes(out, 'B', slice_of(&version, 1));
}

bool
parcel_put_mailbox(struct buf *out, const struct parcel_mailbox *m)
{
	uint8_t *p = put_head(out, 'M', MAILBOX_HEAD_LEN + m->name.len);

	if (p == NULL)
		return false;
	put_le32(p, m->uidvalidity);
	put_le32(p + 4, m->uidnext);
	put_le32(p + 8, m->special_use);
	p[12] = m->subscribe ? 1 : 0;
	put_le64(p + 13, m->messages);
	if (m->name.len > 0)
		memcpy(p + MAILBOX_HEAD_LEN, m->name.ptr, m->name.len);
	return true;
}

bool
parcel_put_subscription(struct buf *out, struct slice name)
{
	return put_bytes(out, 'S', name);
}

bool
parcel_put_message(struct buf *out, const struct parcel_message *m)
{
	uint8_t *p;

	if (m->uidl.len > UIDL_MAX)
		return false;
	p = put_head(out, 'I', MESSAGE_HEAD_LEN + 1 + m->uidl.len + m->keywords.len);
	if (p == NULL)
		return false;
	put_le64(p, m->seq);
	put_le32(p + 8, m->flags);
	put_le64(p + 12, (uint64_t)m->internaldate.sec);
	put_le16(p + 20, (uint16_t)m->internaldate.zone_min);
	put_le32(p + 22, m->uid);
	put_le64(p + 26, m->size);
	p[MESSAGE_HEAD_LEN] = (uint8_t)m->uidl.len;
	p += MESSAGE_HEAD_LEN + 1;
	if (m->uidl.len > 0)
		memcpy(p, m->uidl.ptr, m->uidl.len);
	if (m->keywords.len > 0)
		memcpy(p + m->uidl.len, m->keywords.ptr, m->keywords.len);
	return true;
}

bool
parcel_put_data(struct buf *out, struct slice bytes)
{
	return put_bytes(out, 'D', bytes);
}

bool
parcel_put_end(struct buf *out, bool whole)
{
	return put_bytes(out, whole ? 'E' : 'X', SLICE_NONE);
}

bool
parcel_put_close(struct buf *out)
{
	return put_bytes(out, 'Z', SLICE_NONE);
}

/* ---- reading ---- */

void
parcel_reader_init(struct parcel_reader *r, const struct parcel_handler *handler)
{
	*r = (struct parcel_reader){ .handler = handler };
	buf_init(&r->have, HEAD_LEN + PARCEL_BODY_MAX);
}

void
parcel_reader_fini(struct parcel_reader *r)
{
	buf_fini(&r->have);
}

static enum rc
bad_stream(struct err *e)
{
	return err_set(e, RC_SYNTAX, "the stream of messages is damaged, or of another version");
}

static enum rc
take_mailbox(struct parcel_reader *r, struct slice body, struct err *e)
{
	const uint8_t *p = body.ptr;
	struct parcel_mailbox m;

	if (body.len < MAILBOX_HEAD_LEN || body.len > MAILBOX_HEAD_LEN + NAME_MAX_LEN)
		return bad_stream(e);
	m = (struct parcel_mailbox){
		.name = slice_sub(body, MAILBOX_HEAD_LEN, body.len),
		.uidvalidity = get_le32(p),
		.uidnext = get_le32(p + 4),
		.special_use = get_le32(p + 8),
		.subscribe = p[12] != 0,
		.messages = get_le64(p + 13),
	};
	r->in_mailbox = true;
	return r->handler->mailbox(r->handler->arg, &m, e);
}

static enum rc
take_message(struct parcel_reader *r, struct slice body, struct err *e)
{
	const uint8_t *p = body.ptr;
	struct parcel_message m;
	size_t uidl;

	if (body.len <= MESSAGE_HEAD_LEN)
		return bad_stream(e);
	uidl = p[MESSAGE_HEAD_LEN];
	body = slice_sub(body, MESSAGE_HEAD_LEN + 1, body.len);
	if (uidl > UIDL_MAX || uidl > body.len)
		return bad_stream(e);
	m = (struct parcel_message){
		.seq = get_le64(p),
		.flags = get_le32(p + 8),
		.keywords = slice_sub(body, uidl, body.len),
		.internaldate = { (int64_t)get_le64(p + 12), (int16_t)get_le16(p + 20) },
		.uid = get_le32(p + 22),
		.uidl = slice_sub(body, 0, uidl),
		.size = get_le64(p + 26),
	};
	r->in_message = true;
	return r->handler->message(r->handler->arg, &m, e);
}

/* Which types may come now. */
static bool
is_in_order(const struct parcel_reader *r, uint8_t type)
{
	if (!r->begun)
		return type == 'B';
	if (r->in_message)
		return type == 'D' || type == 'E' || type == 'X';
	return type == 'M' || type == 'S' || type == 'Z' || (type == 'I' && r->in_mailbox);
}

static enum rc
take_record(struct parcel_reader *r, uint8_t type, struct slice body, struct err *e)
{
	const struct parcel_handler *h = r->handler;

	if (r->closed || !is_in_order(r, type))
		return bad_stream(e);
	switch (type) {
	case 'B':
		r->begun = body.len == 1 && body.ptr[0] == PARCEL_VERSION;
		return r->begun ? RC_OK : bad_stream(e);
	case 'M':
		return take_mailbox(r, body, e);
	case 'S':
		return h->subscription(h->arg, body, e);
	case 'I':
		return take_message(r, body, e);
	case 'D':
		return h->data(h->arg, body, e);
	case 'Z':
		r->closed = true;
		return RC_OK;
	default:                /* E, X */
		r->in_message = false;
		return h->end(h->arg, type == 'E', e);
	}
}

/* The whole records at the front of `s`; how many bytes they were. */
static enum rc
take_records(struct parcel_reader *r, struct slice s, size_t *used, struct err *e)
{
	*used = 0;
	while (s.len - *used >= HEAD_LEN) {
		const uint8_t *p = s.ptr + *used;
		size_t len = get_le32(p + 1);
		enum rc rc;

		if (len > PARCEL_BODY_MAX)
			return bad_stream(e);
		if (s.len - *used - HEAD_LEN < len)
			return RC_OK;
		*used += HEAD_LEN + len;
		rc = take_record(r, p[0], slice_of(p + HEAD_LEN, len), e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

enum rc
parcel_feed(struct parcel_reader *r, struct slice bytes, struct err *e)
{
	while (bytes.len > 0) {
		size_t n = buf_room(&r->have) < bytes.len ? buf_room(&r->have) : bytes.len, used;
		enum rc rc;

		if (!buf_append(&r->have, bytes.ptr, n))
			return err_nomem(e);
		bytes = slice_sub(bytes, n, bytes.len);
		rc = take_records(r, buf_slice(&r->have), &used, e);
		if (rc != RC_OK)
			return rc;
		buf_consume(&r->have, used);
	}
	return RC_OK;
}
