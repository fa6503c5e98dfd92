/* recompress - a blob's chunks deflated anew at another level. See rewrite.h.
 *
 * Chunks stay cut as they are and keep their dictionary, so that nothing but their stored bytes
 * changes. A chunk that does not shrink is stored.
 */
#include "store/rewrite.h"

#include "store/base64_chunk.h"
#include "store/blob.h"
#include "store/codec.h"
#include "store/log_impl.h"

#include <assert.h>

struct work {
	struct log               *log;
	const struct record_blob *in;
	struct codec             *codec;
	int                       level;
	uint8_t                  *stored, *raw, *packed;
	struct backend_body      *body;         /* NULL: inline */
	uint8_t                  *data;         /* inline */
	size_t                    len;
};

static enum rc
fetch(struct work *w, const struct blob_chunk *c, uint64_t at, struct slice *out, struct err *e)
{
	enum rc rc = RC_OK;

	if (c->raw_len > BLOB_CHUNK_MAX || c->stored_len > BLOB_CHUNK_MAX)
		return err_set(e, RC_CORRUPT, "a chunk is too long");
	*out = slice_of(w->stored, c->stored_len);
	if (w->in->body.len > 0)
		rc = log_read(w->log, &w->in->body, at, w->stored, c->stored_len, e);
	else
		*out = slice_sub(w->in->data, (size_t)at, (size_t)at + c->stored_len);
	if (rc == RC_OK && codec_crc(*out) != c->crc)
		return err_set(e, RC_CORRUPT, "a chunk does not match its CRC");
	return rc;
}

static bool
unpack(struct work *w, const struct blob_chunk *c, struct slice stored)
{
	if (c->method == CHUNK_BASE64)
		return base64_unpack(w->codec, stored, c->raw_len, 0, c->raw_len, w->raw);
	return codec_inflate(w->codec, c->dictionary, stored, w->raw, c->raw_len);
}

static void
finish(struct blob_chunk *c, enum chunk_method method, struct slice stored, struct slice *out)
{
	*out = stored;
	c->method = (uint8_t)method;
	c->stored_len = (uint32_t)stored.len;
	c->crc = codec_crc(stored);
}

/* The chunk anew, in *out; `c` becomes what it is now. */
static enum rc
repack(struct work *w, struct blob_chunk *c, struct slice *out, struct err *e)
{
	struct slice raw = *out;
	size_t n;

	if (c->method != CHUNK_STORED) {
		if (!unpack(w, c, *out))
			return err_set(e, RC_CORRUPT, "a chunk does not inflate to %u bytes",
			               c->raw_len);
		raw = slice_of(w->raw, c->raw_len);
	}
	n = c->dictionary == DICTIONARY_NONE ? base64_pack(w->codec, raw, w->level, w->packed) : 0;
	if (n > 0 && n <= c->stored_len) {      /* text like hexadecimal deflates better as it is */
		finish(c, CHUNK_BASE64, slice_of(w->packed, n), out);
		return RC_OK;
	}
	n = codec_deflate_again(w->codec, w->level, c->dictionary, raw, w->packed, raw.len);
	if (n == 0)
		c->dictionary = DICTIONARY_NONE;
	finish(c, n == 0                             ? CHUNK_STORED
	          : c->dictionary != DICTIONARY_NONE ? CHUNK_DEFLATE_HEADER
	                                             : CHUNK_DEFLATE,
	       n > 0 ? slice_of(w->packed, n) : raw, out);
	return RC_OK;
}

static enum rc
repack_all(struct work *w, struct blob_chunk *chunks, struct err *e)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < w->in->chunk_count; i++) {
		struct slice bytes;
		enum rc rc;

		chunks[i] = w->in->chunks[i];
		rc = fetch(w, &chunks[i], at, &bytes, e);
		at += w->in->chunks[i].stored_len;
		if (rc == RC_OK)
			rc = repack(w, &chunks[i], &bytes, e);
		if (rc == RC_OK && w->body != NULL)
			rc = w->log->b->ops->body_write(w->body, bytes, e);
		else if (rc == RC_OK)
			memcpy(w->data + w->len, bytes.ptr, bytes.len);
		if (rc != RC_OK)
			return rc;
		w->len += bytes.len;
	}
	return RC_OK;
}

enum rc
recompress_blob(struct log *log, const struct record_blob *in, int level, struct arena *a,
                struct record_blob *out, struct err *e)
{
	struct work w = { .log = log, .in = in, .level = level, .codec = codec_get() };
	struct blob_chunk *chunks = arena_array(a, in->chunk_count, sizeof *chunks);
	const struct backend_ops *ops = log->b->ops;
	uint64_t raw = 0;
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < in->chunk_count; i++)
		raw += in->chunks[i].raw_len;
	w.stored = arena_alloc(a, BLOB_CHUNK_MAX);
	w.raw = arena_alloc(a, BLOB_CHUNK_MAX);
	w.packed = arena_alloc(a, BLOB_CHUNK_MAX);
	w.data = in->body.len > 0 ? w.packed : arena_alloc(a, (size_t)raw);
	if (w.codec == NULL || chunks == NULL || w.stored == NULL || w.raw == NULL ||
	    w.packed == NULL || w.data == NULL)
		rc = err_nomem(e);
	if (rc == RC_OK && in->body.len > 0)
		rc = ops->body_begin(log->b, &w.body, e);
	if (rc == RC_OK)
		rc = repack_all(&w, chunks, e);
	*out = *in;
	out->chunks = chunks;
	if (rc == RC_OK && w.body != NULL)
		rc = ops->body_finish(&w.body, &out->body, e);
	else if (rc == RC_OK)
		out->data = slice_of(w.data, w.len);
	if (rc != RC_OK)
		ops->body_abort(&w.body);
	codec_put(w.codec);
	return rc;
}
