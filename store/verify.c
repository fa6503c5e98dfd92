/* verify - a rewritten segment read back from the disk before anything relies on it.
 * See rewrite.h. */
#include "store/rewrite.h"

#include "store/blob.h"
#include "store/codec.h"
#include "store/log_impl.h"
#include "store/scan.h"
#include "store/sha256.h"

#define DECODE_MAX (256u << 20)
#define PIECE      (256u << 10)

struct run {
	struct log                  *log;
	const struct rewritten      *r;
	const struct rewrite_params *p;
	bool                         whole;
	struct arena                 arena;
	uint64_t                     frames, records;
	uint32_t                     bodies;    /* that were made for it, met so far */
};

static enum rc
check_sum(struct run *v, const struct blob_place *p, const uint8_t sha256[SHA256_LEN],
          struct err *e)
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	uint8_t got[SHA256_LEN];
	struct buf piece;
	bool ok = sha != NULL && EVP_DigestInit_ex(sha, sha256_method(), NULL) == 1;
	enum rc rc = RC_OK;

	buf_init(&piece, PIECE);
	for (uint64_t at = 0; ok && rc == RC_OK && at < p->size; at += PIECE) {
		buf_reset(&piece);
		rc = blob_read(v->log, p, at, PIECE, &piece, e);
		ok = rc != RC_OK || EVP_DigestUpdate(sha, piece.ptr, piece.len) == 1;
	}
	ok = ok && EVP_DigestFinal_ex(sha, got, NULL) == 1;
	EVP_MD_CTX_free(sha);
	buf_fini(&piece);
	if (rc != RC_OK)
		return rc;
	if (!ok)
		return err_nomem(e);
	if (memcmp(got, sha256, sizeof got) != 0)
		return err_set(e, RC_CORRUPT,
		               "a message that was compressed anew is not what it was");
	return RC_OK;
}

/* Bodies come in the order of their records. One that was not made anew is not read: nothing has
 * touched it, and if it does not hold, it is told when it is read, as before. */
static bool
is_made(struct run *v, const struct log_addr *body)
{
	if (v->bodies == v->r->made_count || !seg_id_same(&v->r->made[v->bodies], &body->seg))
		return false;
	v->bodies++;
	return true;
}

static enum rc
check_blob(struct run *v, const struct record *rec, uint64_t at, struct err *e)
{
	const struct record_blob *b = &rec->u.blob;
	struct blob_place p = { .addr = { v->r->segment.id, at + b->data_offset, b->data.len },
		                .chunks = b->chunks, .chunk_count = b->chunk_count,
		                .size = b->size };

	if (b->body.len > 0) {
		if (!is_made(v, &b->body))
			return RC_OK;
		p.addr = b->body;
	}
	return v->whole ? check_sum(v, &p, b->sha256, e) : blob_verify(v->log, &p, 0, b->size, e);
}

static enum rc
check_frame(struct run *v, const struct scan_item *item, struct err *e)
{
	struct slice rest = item->body, body;
	struct record_hdr h;
	struct record rec;
	enum rc rc;

	for (uint32_t i = 0; i < item->hdr.record_count; i++) {
		uint64_t at = item->offset + FRAME_HDR_LEN + (item->body.len - rest.len) +
		              RECORD_HDR_LEN;

		if (!record_take(&rest, &h, &body))
			return err_set(e, RC_CORRUPT, "a frame's records are cut short");
		v->records++;
		if (record_type_name((enum record_type)h.type) == NULL)
			continue;
		arena_reset(&v->arena);
		rc = record_decode((enum record_type)h.type, item->hdr.first_lsn + i, body,
		                   &v->arena, &rec, e);
		if (rc == RC_OK && rec.type == RECORD_BLOB)
			rc = check_blob(v, &rec, at, e);
		if (rc != RC_OK)
			return rc;
	}
	v->frames++;
	if (v->p != NULL && v->p->work != NULL && !v->p->work(v->p->arg, item->len))
		return err_set(e, RC_CANCELLED, "cancelled");
	return RC_OK;
}

static enum rc
check_all(struct run *v, struct err *e)
{
	struct scan_item item;
	struct scan s;
	enum rc rc = scan_init(&s, v->log->b, &v->r->segment, v->r->segment.len, e);

	if (rc != RC_OK)
		return rc;
	if (s.header_bad)
		rc = err_set(e, RC_CORRUPT, "the segment's header does not hold");
	while (rc == RC_OK) {
		rc = scan_next(&s, &item, e);
		if (rc != RC_OK || item.kind == SCAN_END)
			break;
		rc = item.kind == SCAN_FRAME ? check_frame(v, &item, e)
		                             : err_set(e, RC_CORRUPT, "%s", item.what);
	}
	scan_fini(&s);
	if (rc == RC_OK && (v->frames != v->r->frames || v->records != v->r->records ||
	                       v->bodies != v->r->made_count))
		rc = err_set(e, RC_CORRUPT, "frames are missing");
	return rc;
}

enum rc
rewrite_verify(struct log *log, const struct rewritten *r, bool whole,
               const struct rewrite_params *p, struct err *e)
{
	struct run v = { .log = log, .r = r, .p = p, .whole = whole };
	enum rc rc;

	arena_init(&v.arena, DECODE_MAX);
	/* it was synced: only the cache goes */
	rc = log->b->ops->segment_settle(log->b, &r->segment.id, false, e);
	if (rc == RC_OK)
		rc = check_all(&v, e);
	arena_fini(&v.arena);
	return rc == RC_CORRUPT ? err_add(e, "segment %llu-%u as read back",
	                              (unsigned long long)r->segment.id.seq, r->segment.id.epoch)
	                        : rc;
}
