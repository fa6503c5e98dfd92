/* blob - cutting a message into chunks, and reading ranges of it back. See blob.h.
 *
 * Each chunk is deflated on its own, so any one inflates without those before it. A range is read chunk by chunk: only
 * what holds it is read, checked and inflated.
 */
#include "store/blob.h"
#include "store/codec.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define CHUNK_MIN     1024u             /* less is joined with what follows, whatever its kind */
#define OUT_PIECE     (256u << 10)      /* of a body is written at a time */
#define CHUNKS_MAX    (1u << 20)

struct blob_writer {
	struct log       *log;
	struct codec     *codec;
	EVP_MD_CTX       *sha;
	uint8_t          *raw;          /* the chunk being collected */
	size_t            raw_len;
	enum blob_content kind;         /* of it */
	uint8_t          *packed;       /* room for one deflated chunk */
	struct buf        stored;       /* not yet in the body */
	struct log_body  *body;         /* out of line from here on */
	struct blob_chunk *chunks;
	uint32_t          count, cap;
	uint64_t          size;
};

enum rc
blob_writer_new(struct log *log, struct blob_writer **out, struct err *e)
{
	struct blob_writer *w = calloc(1, sizeof *w);

	*out = w;
	if (w == NULL)
		return err_nomem(e);
	w->log = log;
	buf_init(&w->stored, BLOB_INLINE_MAX + BLOB_CHUNK_MAX);
	w->codec = codec_get();
	w->sha = EVP_MD_CTX_new();
	w->raw = malloc(BLOB_CHUNK_MAX);
	w->packed = malloc(BLOB_CHUNK_MAX);
	if (w->codec == NULL || w->sha == NULL || w->raw == NULL || w->packed == NULL ||
	    EVP_DigestInit_ex(w->sha, EVP_sha256(), NULL) != 1) {
		blob_writer_free(out);
		return err_nomem(e);
	}
	return RC_OK;
}

void
blob_writer_free(struct blob_writer **wp)
{
	struct blob_writer *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	log_body_abort(&w->body);
	codec_put(w->codec);
	EVP_MD_CTX_free(w->sha);
	free(w->raw);
	free(w->packed);
	free(w->chunks);
	buf_fini(&w->stored);
	free(w);
}

/* Above the inline size the stored bytes go to a body, a large piece at a time. */
static enum rc
spill(struct blob_writer *w, size_t keep, struct err *e)
{
	enum rc rc;

	if (w->body == NULL) {
		if (w->stored.len <= BLOB_INLINE_MAX)
			return RC_OK;
		rc = log_body_begin(w->log, &w->body, e);
		if (rc != RC_OK)
			return rc;
	}
	if (w->stored.len <= keep)
		return RC_OK;
	rc = log_body_write(w->body, buf_slice(&w->stored), e);
	buf_reset(&w->stored);
	return rc;
}

static enum codec_how
how_for(enum blob_content kind)
{
	switch (kind) {
	case BLOB_HEADER:
		return CODEC_HEADER;
	case BLOB_TEXT:
		return CODEC_TEXT;
	case BLOB_BASE64:
		return CODEC_BASE64;
	}
	return CODEC_TEXT;
}

static enum rc
add_chunk(struct blob_writer *w, const struct blob_chunk *c, struct err *e)
{
	struct blob_chunk *p;
	uint32_t cap = w->cap > 0 ? w->cap * 2 : 16;

	if (w->count == CHUNKS_MAX)
		return err_set(e, RC_LIMIT, "a message has more than %u chunks", CHUNKS_MAX);
	if (w->count == w->cap) {
		p = realloc(w->chunks, cap * sizeof *p);
		if (p == NULL)
			return err_nomem(e);
		w->chunks = p;
		w->cap = cap;
	}
	w->chunks[w->count++] = *c;
	return RC_OK;
}

/* The collected bytes become a chunk. */
static enum rc
end_chunk(struct blob_writer *w, struct err *e)
{
	struct slice raw = slice_of(w->raw, w->raw_len), stored = raw;
	struct blob_chunk c = { .raw_len = (uint32_t)raw.len, .method = CHUNK_STORED };
	enum codec_how how = how_for(w->kind);
	size_t n;
	enum rc rc;

	if (raw.len == 0)
		return RC_OK;
	n = codec_deflate(w->codec, how, raw, w->packed, raw.len);
	if (n > 0) {
		stored = slice_of(w->packed, n);
		c.dictionary = codec_dictionary(how);
		c.method = c.dictionary != DICTIONARY_NONE ? CHUNK_DEFLATE_HEADER : CHUNK_DEFLATE;
	}
	c.stored_len = (uint32_t)stored.len;
	c.crc = codec_crc(stored);
	if (!buf_append_slice(&w->stored, stored))
		return err_nomem(e);
	w->raw_len = 0;
	rc = add_chunk(w, &c, e);
	return rc == RC_OK ? spill(w, OUT_PIECE, e) : rc;
}

/* Bytes of another kind follow. Few bytes are not worth a chunk and go with them; a header's dictionary is worth one. */
static enum rc
change_kind(struct blob_writer *w, enum blob_content kind, struct err *e)
{
	enum rc rc = RC_OK;

	if (w->raw_len >= CHUNK_MIN || w->kind == BLOB_HEADER || kind == BLOB_HEADER)
		rc = end_chunk(w, e);
	w->kind = kind;
	return rc;
}

enum rc
blob_writer_feed(struct blob_writer *w, struct slice bytes, enum blob_content kind, struct err *e)
{
	enum rc rc = RC_OK;

	if (bytes.len == 0)
		return RC_OK;
	if (kind != w->kind)
		rc = change_kind(w, kind, e);
	if (rc == RC_OK && EVP_DigestUpdate(w->sha, bytes.ptr, bytes.len) != 1)
		rc = err_set(e, RC_NOMEM, "SHA-256 failed");
	w->size += bytes.len;
	while (rc == RC_OK && bytes.len > 0) {
		size_t n = BLOB_CHUNK_MAX - w->raw_len;

		if (n > bytes.len)
			n = bytes.len;
		memcpy(w->raw + w->raw_len, bytes.ptr, n);
		w->raw_len += n;
		bytes = slice_sub(bytes, n, bytes.len);
		if (w->raw_len == BLOB_CHUNK_MAX)
			rc = end_chunk(w, e);
	}
	return rc;
}

enum rc
blob_writer_finish(struct blob_writer *w, struct record_blob *out, struct err *e)
{
	unsigned len = SHA256_LEN;
	enum rc rc = end_chunk(w, e);

	memset(&out->body, 0, sizeof out->body);
	out->data = SLICE_NONE;
	if (rc == RC_OK && EVP_DigestFinal_ex(w->sha, out->sha256, &len) != 1)
		rc = err_set(e, RC_NOMEM, "SHA-256 failed");
	if (rc == RC_OK && w->body != NULL) {
		rc = spill(w, 0, e);
		if (rc == RC_OK)
			rc = log_body_finish(&w->body, &out->body, e);
	} else {
		out->data = buf_slice(&w->stored);
	}
	out->size = w->size;
	out->chunks = w->chunks;
	out->chunk_count = w->count;
	return rc;
}

/* ---- reading ---- */

struct reader {
	struct log              *log;
	const struct blob_place *p;
	struct codec            *codec;
	uint8_t                 *stored, *raw;
};

static enum rc
reader_init(struct reader *r, struct log *log, const struct blob_place *p, struct err *e)
{
	*r = (struct reader){ .log = log, .p = p, .codec = codec_get() };
	r->stored = malloc(BLOB_CHUNK_MAX);
	r->raw = malloc(BLOB_CHUNK_MAX);
	return r->codec != NULL && r->stored != NULL && r->raw != NULL ? RC_OK : err_nomem(e);
}

static void
reader_fini(struct reader *r)
{
	codec_put(r->codec);
	free(r->stored);
	free(r->raw);
}

/* The chunk's stored bytes into r->stored, checked. */
static enum rc
fetch_chunk(struct reader *r, const struct blob_chunk *c, uint64_t at, struct err *e)
{
	enum rc rc;

	if (c->raw_len > BLOB_CHUNK_MAX || c->stored_len > BLOB_CHUNK_MAX)
		return err_set(e, RC_CORRUPT, "a chunk is longer than %u bytes", BLOB_CHUNK_MAX);
	rc = log_read(r->log, &r->p->addr, at, r->stored, c->stored_len, e);
	if (rc == RC_OK && codec_crc(slice_of(r->stored, c->stored_len)) != c->crc)
		return err_set(e, RC_CORRUPT,
		    "a chunk of %llu-%u at byte %llu does not match its CRC",
		    (unsigned long long)r->p->addr.seg.seq, r->p->addr.seg.epoch,
		    (unsigned long long)(r->p->addr.offset + at));
	return rc;
}

/* The fetched chunk's raw bytes into dst, which has room for raw_len. */
static enum rc
unpack_chunk(struct reader *r, const struct blob_chunk *c, uint8_t *dst, struct err *e)
{
	bool ok = false;

	switch ((enum chunk_method)c->method) {
	case CHUNK_STORED:
		ok = c->raw_len == c->stored_len;
		if (ok)
			memcpy(dst, r->stored, c->raw_len);
		break;
	case CHUNK_DEFLATE:
	case CHUNK_DEFLATE_HEADER:
		ok = codec_inflate(
		    r->codec, c->dictionary, slice_of(r->stored, c->stored_len), dst, c->raw_len);
		break;
	}
	if (!ok)
		return err_set(e, RC_CORRUPT, "a chunk does not inflate to %u bytes", c->raw_len);
	return RC_OK;
}

/* Append bytes [from, to) of the fetched chunk's raw bytes. */
static enum rc
append_part(struct reader *r, const struct blob_chunk *c, size_t from, size_t to, struct buf *out,
    struct err *e)
{
	bool whole = from == 0 && to == c->raw_len;
	uint8_t *dst = whole ? buf_reserve(out, c->raw_len) : r->raw;
	enum rc rc;

	if (dst == NULL)
		return err_set(e, RC_LIMIT, "the buffer is full");
	rc = unpack_chunk(r, c, dst, e);
	if (rc != RC_OK)
		return rc;
	if (whole)
		buf_commit(out, c->raw_len);
	else if (!buf_append(out, r->raw + from, to - from))
		return err_set(e, RC_LIMIT, "the buffer is full");
	return RC_OK;
}

/* Every chunk that holds some of [from, to): fetched and checked, and its part appended unless out is NULL. */
static enum rc
walk_chunks(struct reader *r, uint64_t from, uint64_t to, struct buf *out, struct err *e)
{
	uint64_t raw_at = 0, stored_at = 0;

	for (uint32_t i = 0; i < r->p->chunk_count && raw_at < to; i++) {
		const struct blob_chunk *c = &r->p->chunks[i];
		uint64_t end = raw_at + c->raw_len;

		if (end > from) {
			enum rc rc = fetch_chunk(r, c, stored_at, e);

			if (rc == RC_OK && out != NULL)
				rc = append_part(r, c, from > raw_at ? (size_t)(from - raw_at) : 0,
				                 (size_t)((to < end ? to : end) - raw_at), out, e);
			if (rc != RC_OK)
				return rc;
		}
		raw_at = end;
		stored_at += c->stored_len;
	}
	if (raw_at < to)
		return err_set(e, RC_CORRUPT, "the chunks are shorter than the message");
	return RC_OK;
}

static enum rc
read_range(struct log *log, const struct blob_place *p, uint64_t from, uint64_t len,
    struct buf *out, struct err *e)
{
	struct reader r;
	enum rc rc;

	if (from >= p->size || len == 0)
		return RC_OK;
	if (len > p->size - from)
		len = p->size - from;
	if (out != NULL && len > buf_room(out))
		return err_set(e, RC_LIMIT, "the buffer is full");
	rc = reader_init(&r, log, p, e);
	if (rc == RC_OK)
		rc = walk_chunks(&r, from, from + len, out, e);
	reader_fini(&r);
	return rc;
}

enum rc
blob_read(struct log *log, const struct blob_place *p, uint64_t from, uint64_t len, struct buf *out,
    struct err *e)
{
	assert(out != NULL);
	return read_range(log, p, from, len, out, e);
}

enum rc
blob_verify(struct log *log, const struct blob_place *p, uint64_t from, uint64_t len, struct err *e)
{
	return read_range(log, p, from, len, NULL, e);
}

/* ---- examining ---- */

/* The chunk into r->raw. False: what is wrong was told. */
static bool
examine_chunk(struct reader *r, const struct blob_examine *x, const struct blob_chunk *c, uint64_t at)
{
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	if (x->data.len == 0)
		rc = fetch_chunk(r, c, at, &e);
	else if (at > x->data.len || c->stored_len > x->data.len - at || c->stored_len > BLOB_CHUNK_MAX)
		rc = err_set(&e, RC_CORRUPT, "a chunk ends behind the record");
	else if (codec_crc(slice_sub(x->data, at, at + c->stored_len)) != c->crc)
		rc = err_set(&e, RC_CORRUPT, "a chunk does not match its CRC");
	else
		memcpy(r->stored, x->data.ptr + at, c->stored_len);
	if (rc == RC_OK)
		rc = unpack_chunk(r, c, r->raw, &e);
	if (rc != RC_OK)
		x->found(x->arg, at, c->stored_len, e.text);
	return rc == RC_OK;
}

static enum rc
examine_chunks(struct reader *r, const struct blob_examine *x, EVP_MD_CTX *sha, struct err *e)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned len = sizeof sum;
	uint64_t at = 0;
	bool whole = true;

	if (EVP_DigestInit_ex(sha, EVP_sha256(), NULL) != 1)
		return err_set(e, RC_NOMEM, "SHA-256 failed");
	for (uint32_t i = 0; i < x->chunk_count; i++) {
		whole = examine_chunk(r, x, &x->chunks[i], at) && whole;
		if (whole && EVP_DigestUpdate(sha, r->raw, x->chunks[i].raw_len) != 1)
			return err_set(e, RC_NOMEM, "SHA-256 failed");
		at += x->chunks[i].stored_len;
	}
	if (EVP_DigestFinal_ex(sha, sum, &len) != 1)
		return err_set(e, RC_NOMEM, "SHA-256 failed");
	if (whole && memcmp(sum, x->sha256, SHA256_LEN) != 0)
		x->found(x->arg, 0, at, "the message does not match its SHA-256");
	return RC_OK;
}

enum rc
blob_examine(struct log *log, const struct blob_examine *x, struct err *e)
{
	struct blob_place place = { .addr = x->addr, .chunks = x->chunks, .chunk_count = x->chunk_count };
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	struct reader r;
	enum rc rc = reader_init(&r, log, &place, e);

	if (rc == RC_OK && sha == NULL)
		rc = err_nomem(e);
	if (rc == RC_OK)
		rc = examine_chunks(&r, x, sha, e);
	reader_fini(&r);
	EVP_MD_CTX_free(sha);
	return rc;
}
