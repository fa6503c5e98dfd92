/* blob - cutting a message into chunks, and reading ranges of it back. See blob.h.
 *
 * Each chunk is deflated on its own, so any one inflates without those before it. A range is read
 * chunk by chunk: only what holds it is read, checked and inflated, small chunks several at once.
 */
#include "store/blob.h"
#include "lib/bytes.h"
#include "store/base64_chunk.h"
#include "store/codec.h"
#include "store/front.h"
#include "store/sha256.h"

#include <assert.h>
#include <stdlib.h>

#define CHUNK_MIN     1024u             /* less is joined with what follows, whatever its kind */
#define OUT_PIECE     (256u << 10)      /* of a body is written at a time */
#define CHUNKS_MAX    (1u << 20)

_Static_assert(CODEC_ROOM == BLOB_CHUNK_MAX, "a codec has room for three chunks");

struct blob_writer {
	struct log       *log;
	struct codec     *codec;        /* this and what is in it only until the message is complete */
	EVP_MD_CTX       *sha;
	uint8_t          *raw;          /* the chunk being collected; the codec's */
	size_t            raw_len;
	enum blob_content kind;         /* of it */
	uint8_t          *packed;       /* room for one deflated chunk; the codec's */
	struct slice      front;        /* the first chunk's raw bytes, if a summary can be packed with them */
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
	if (w->codec == NULL || w->sha == NULL ||
	    EVP_DigestInit_ex(w->sha, sha256_method(), NULL) != 1) {
		blob_writer_free(out);
		return err_nomem(e);
	}
	w->raw = codec_room(w->codec, 0);
	w->packed = codec_room(w->codec, 1);
	return RC_OK;
}

/* Others can use them while this message waits to be written. */
static void
give_tools_back(struct blob_writer *w)
{
	codec_put(w->codec);
	w->codec = NULL;
	w->raw = w->packed = NULL;
	EVP_MD_CTX_free(w->sha);
	w->sha = NULL;
}

static void
drop_front(struct blob_writer *w)
{
	free((void *)(uintptr_t)w->front.ptr);
	w->front = SLICE_NONE;
}

void
blob_writer_free(struct blob_writer **wp)
{
	struct blob_writer *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	log_body_abort(&w->body);
	give_tools_back(w);
	free(w->chunks);
	drop_front(w);
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

/* The collected bytes as they are to be stored. */
static struct slice
pack(struct blob_writer *w, struct blob_chunk *c)
{
	struct slice raw = slice_of(w->raw, w->raw_len);
	enum codec_how how = how_for(w->kind);
	size_t n = w->kind == BLOB_BASE64 ? base64_pack(w->codec, raw, 0, w->packed) : 0;

	c->method = CHUNK_BASE64;
	if (n > 0)
		return slice_of(w->packed, n);
	n = codec_deflate(w->codec, how, raw, w->packed, raw.len);
	c->method = CHUNK_STORED;
	if (n == 0)
		return raw;
	c->dictionary = codec_dictionary(how);
	c->method = c->dictionary != DICTIONARY_NONE ? CHUNK_DEFLATE_HEADER : CHUNK_DEFLATE;
	return slice_of(w->packed, n);
}

/* Without memory for it the summary is packed in another way. */
static void
keep_front(struct blob_writer *w)
{
	uint8_t *p = w->raw_len <= FRONT_MAX ? malloc(w->raw_len) : NULL;

	if (p == NULL)
		return;
	memcpy(p, w->raw, w->raw_len);
	w->front = slice_of(p, w->raw_len);
}

/* The collected bytes become a chunk. */
static enum rc
end_chunk(struct blob_writer *w, struct err *e)
{
	struct blob_chunk c = { .raw_len = (uint32_t)w->raw_len };
	struct slice stored;
	enum rc rc;

	if (w->raw_len == 0)
		return RC_OK;
	stored = pack(w, &c);
	c.stored_len = (uint32_t)stored.len;
	c.crc = codec_crc(stored);
	if (!buf_append_slice(&w->stored, stored))
		return err_nomem(e);
	if (w->count == 0)
		keep_front(w);
	w->raw_len = 0;
	rc = add_chunk(w, &c, e);
	return rc == RC_OK ? spill(w, OUT_PIECE, e) : rc;
}

/* Bytes of another kind follow. Few bytes are not worth a chunk and go with them; a header's
 * dictionary is worth one. */
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

bool
blob_writer_stays_inline(const struct blob_writer *w, size_t more)
{
	return w->body == NULL && w->stored.len + w->raw_len + more <= BLOB_INLINE_MAX;
}

size_t
blob_writer_held(const struct blob_writer *w)
{
	return sizeof *w + (w->codec != NULL ? 3 * BLOB_CHUNK_MAX : 0) + w->stored.cap +
	       w->front.len + w->cap * sizeof w->chunks[0];
}

enum rc
blob_writer_finish(struct blob_writer *w, struct record_blob *out, struct err *e)
{
	unsigned len = SHA256_LEN;
	enum rc rc = end_chunk(w, e);

	memset(&out->body, 0, sizeof out->body);
	out->data = out->packed = SLICE_NONE;
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
	give_tools_back(w);
	return rc;
}

void
blob_writer_pack_summary(struct blob_writer *w, struct record_blob *r, struct buf *out)
{
	struct codec *c = w->front.len > 0 && r->body.len == 0 ? codec_get() : NULL;

	if (c != NULL && front_pack(c, w->front, r->summary, out))
		r->packed = buf_slice(out);
	codec_put(c);
	drop_front(w);
}

/* ---- reading ---- */

struct reader {
	struct log              *log;
	const struct blob_place *p;
	struct codec            *codec;
	uint8_t                 *stored, *raw;
	uint64_t                 at;            /* `stored` has so many of the blob's stored bytes from here on */
	size_t                   len;
	struct slice             chunk;         /* those of the chunk that was fetched last */
};

static enum rc
reader_init(struct reader *r, struct log *log, const struct blob_place *p, struct err *e)
{
	*r = (struct reader){ .log = log, .p = p, .codec = codec_get() };
	if (r->codec == NULL)
		return err_nomem(e);
	r->stored = codec_room(r->codec, 0);
	r->raw = codec_room(r->codec, 1);
	return RC_OK;
}

static void
reader_fini(struct reader *r)
{
	codec_put(r->codec);
}

static enum rc
check_lengths(const struct blob_chunk *c, struct err *e)
{
	if (c->raw_len > BLOB_CHUNK_MAX || c->stored_len > BLOB_CHUNK_MAX)
		return err_set(e, RC_CORRUPT, "a chunk is longer than %u bytes", BLOB_CHUNK_MAX);
	return RC_OK;
}

static enum rc
check_crc(const struct blob_place *p, const struct blob_chunk *c, uint64_t at, struct slice stored,
          struct err *e)
{
	if (codec_crc(stored) == c->crc)
		return RC_OK;
	return err_set(e, RC_CORRUPT, "a chunk of %llu-%u at byte %llu does not match its CRC",
	               (unsigned long long)p->addr.seg.seq, p->addr.seg.epoch,
	               (unsigned long long)(p->addr.offset + at));
}

/* The stored bytes of this chunk, which lie at `at`, and of those behind it, as long as they hold some of the next
 * `wanted` bytes of the message and there is room. */
static enum rc
load_chunks(struct reader *r, uint32_t i, uint64_t at, uint64_t wanted, struct err *e)
{
	size_t len = r->p->chunks[i].stored_len;
	enum rc rc;

	while (wanted > r->p->chunks[i].raw_len && i + 1 < r->p->chunk_count &&
	       r->p->chunks[i + 1].stored_len <= CODEC_ROOM - len) {
		wanted -= r->p->chunks[i].raw_len;
		len += r->p->chunks[++i].stored_len;
	}
	rc = log_read(r->log, &r->p->addr, at, r->stored, len, e);
	r->at = at;
	r->len = rc == RC_OK ? len : 0;
	return rc;
}

/* The chunk's stored bytes, checked. `wanted`: so many bytes of the message will be asked for, from its first on. */
static enum rc
fetch_chunk(struct reader *r, uint32_t i, uint64_t at, uint64_t wanted, struct err *e)
{
	const struct blob_chunk *c = &r->p->chunks[i];
	enum rc rc = check_lengths(c, e);

	if (rc == RC_OK && (at < r->at || at - r->at > r->len || c->stored_len > r->len - (at - r->at)))
		rc = load_chunks(r, i, at, wanted, e);
	if (rc != RC_OK)
		return rc;
	r->chunk = slice_of(r->stored + (at - r->at), c->stored_len);
	return check_crc(r->p, c, at, r->chunk, e);
}

/* The first n of the fetched chunk's raw bytes into dst. */
static enum rc
unpack_front(struct reader *r, const struct blob_chunk *c, uint8_t *dst, size_t n, struct err *e)
{
	bool ok = false;

	switch ((enum chunk_method)c->method) {
	case CHUNK_STORED:
		ok = c->raw_len == c->stored_len;
		if (ok)
			memcpy(dst, r->chunk.ptr, n);
		break;
	case CHUNK_DEFLATE:
	case CHUNK_DEFLATE_HEADER:
		ok = n < c->raw_len
		         ? codec_inflate_front(r->codec, c->dictionary, r->chunk, dst, n)
		         : codec_inflate(r->codec, c->dictionary, r->chunk, dst, n);
		break;
	case CHUNK_BASE64:
		ok = base64_unpack(r->codec, r->chunk, c->raw_len, 0, n, dst);
		break;
	}
	if (!ok)
		return err_set(e, RC_CORRUPT, "a chunk does not inflate to %u bytes", c->raw_len);
	return RC_OK;
}

static enum rc
unpack_chunk(struct reader *r, const struct blob_chunk *c, uint8_t *dst, struct err *e)
{
	return unpack_front(r, c, dst, c->raw_len, e);
}

/* Where decoded octets are kept, only what is asked for is encoded. */
static enum rc
append_base64(struct reader *r, const struct blob_chunk *c, size_t from, size_t to, struct buf *out,
    struct err *e)
{
	uint8_t *dst = buf_reserve(out, to - from);

	if (dst == NULL)
		return err_set(e, RC_LIMIT, "the buffer is full");
	if (!base64_unpack(r->codec, r->chunk, c->raw_len, from, to, dst))
		return err_set(e, RC_CORRUPT, "a chunk does not hold %u bytes", c->raw_len);
	buf_commit(out, to - from);
	return RC_OK;
}

/* Append bytes [from, to) of the fetched chunk's raw bytes. */
static enum rc
append_part(struct reader *r, const struct blob_chunk *c, size_t from, size_t to, struct buf *out,
    struct err *e)
{
	uint8_t *dst = from == 0 ? buf_reserve(out, to) : r->raw;
	enum rc rc;

	if (c->method == CHUNK_BASE64)
		return append_base64(r, c, from, to, out, e);
	if (dst == NULL)
		return err_set(e, RC_LIMIT, "the buffer is full");
	rc = unpack_front(r, c, dst, to, e);
	if (rc != RC_OK)
		return rc;
	if (from == 0)
		buf_commit(out, to);
	else if (!buf_append(out, r->raw + from, to - from))
		return err_set(e, RC_LIMIT, "the buffer is full");
	return RC_OK;
}

/* Every chunk that holds some of [from, to): fetched and checked, and its part appended
 * unless out is NULL. */
static enum rc
walk_chunks(struct reader *r, uint64_t from, uint64_t to, struct buf *out, struct err *e)
{
	uint64_t raw_at = 0, stored_at = 0;

	for (uint32_t i = 0; i < r->p->chunk_count && raw_at < to; i++) {
		const struct blob_chunk *c = &r->p->chunks[i];
		uint64_t end = raw_at + c->raw_len;

		if (end > from) {
			enum rc rc = fetch_chunk(r, i, stored_at, to - raw_at, e);

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

/* ---- as it is stored ---- */

#define STORED_BLOCK_MAX  65535u        /* of deflate [RFC 1951 s3.2.4] */
#define STORED_BLOCK_HEAD 5u            /* at an octet's boundary */

/* The chunk that holds message byte `from`, and where it begins in the message and in the log. */
static const struct blob_chunk *
find_chunk(const struct blob_place *p, uint64_t from, uint64_t *raw_at, uint64_t *stored_at)
{
	*raw_at = *stored_at = 0;
	for (uint32_t i = 0; i < p->chunk_count; i++) {
		const struct blob_chunk *c = &p->chunks[i];

		if (from < *raw_at + c->raw_len)
			return c;
		*raw_at += c->raw_len;
		*stored_at += c->stored_len;
	}
	return NULL;
}

/* Bytes that are not deflated become stored blocks: the header of one in front of each piece. */
static void
wrap_stored(uint8_t *dst, size_t len, size_t blocks)
{
	for (size_t i = blocks; i-- > 0;) {
		size_t from = i * STORED_BLOCK_MAX;
		uint16_t n = (uint16_t)(i + 1 < blocks ? STORED_BLOCK_MAX : len - from);
		uint8_t *head = dst + from + i * STORED_BLOCK_HEAD;

		memmove(head + STORED_BLOCK_HEAD, dst + from, n);
		head[0] = 0;                    /* not final, stored */
		put_le16(head + 1, n);
		put_le16(head + 3, (uint16_t)~n);
	}
}

/* A chunk that is not kept as deflate, but cheaply becomes it. */
static enum rc
deflate_again(struct log *log, const struct blob_place *p, uint32_t i, uint64_t at, struct buf *out,
              uint64_t *raw, struct err *e)
{
	const struct blob_chunk *c = &p->chunks[i];
	bool fits = true;
	struct reader r;
	enum rc rc = reader_init(&r, log, p, e);

	if (rc == RC_OK)
		rc = fetch_chunk(&r, i, at, c->raw_len, e);
	if (rc == RC_OK && !base64_unpack_deflated(r.codec, r.chunk, c->raw_len, out, &fits))
		rc = err_set(e, RC_CORRUPT, "a chunk does not hold %u bytes", c->raw_len);
	if (rc == RC_OK && !fits)
		rc = err_set(e, RC_LIMIT, "the buffer is full");
	if (rc == RC_OK)
		*raw = c->raw_len;
	reader_fini(&r);
	return rc;
}

enum rc
blob_read_deflated(struct log *log, const struct blob_place *p, uint64_t from, uint64_t len,
                   struct buf *out, uint64_t *raw, struct err *e)
{
	uint64_t raw_at, stored_at;
	const struct blob_chunk *c = find_chunk(p, from, &raw_at, &stored_at);
	size_t blocks;
	uint8_t *dst;
	enum rc rc;

	*raw = 0;
	if (c == NULL || raw_at != from || c->raw_len > len || c->dictionary != DICTIONARY_NONE)
		return RC_OK;
	if (c->method == CHUNK_BASE64)
		return deflate_again(log, p, (uint32_t)(c - p->chunks), stored_at, out, raw, e);
	if (c->method == CHUNK_STORED && c->raw_len != c->stored_len)
		return err_set(e, RC_CORRUPT, "a chunk is not of %u bytes", c->raw_len);
	blocks = c->method == CHUNK_STORED ? (c->stored_len - 1) / STORED_BLOCK_MAX + 1 : 0;
	dst = buf_reserve(out, c->stored_len + blocks * STORED_BLOCK_HEAD);
	if (dst == NULL)
		return err_set(e, RC_LIMIT, "the buffer is full");
	rc = check_lengths(c, e);
	if (rc == RC_OK)
		rc = log_read(log, &p->addr, stored_at, dst, c->stored_len, e);
	if (rc == RC_OK)
		rc = check_crc(p, c, stored_at, slice_of(dst, c->stored_len), e);
	if (rc != RC_OK)
		return rc;
	wrap_stored(dst, c->stored_len, blocks);
	buf_commit(out, c->stored_len + blocks * STORED_BLOCK_HEAD);
	*raw = c->raw_len;
	return RC_OK;
}

uint64_t
blob_chunk_end(const struct blob_place *p, uint64_t from)
{
	uint64_t raw_at, stored_at;
	const struct blob_chunk *c = find_chunk(p, from, &raw_at, &stored_at);

	return c != NULL ? raw_at + c->raw_len : p->size;
}

uint64_t
blob_chunks_end(const struct blob_place *p, uint64_t from)
{
	uint64_t raw_at, stored_at;
	const struct blob_chunk *c = find_chunk(p, from, &raw_at, &stored_at);
	uint64_t end = c != NULL ? raw_at + c->raw_len : p->size;

	for (; c != NULL && ++c < p->chunks + p->chunk_count;) {
		if (end + c->raw_len - from > BLOB_CHUNK_MAX)
			break;
		end += c->raw_len;
	}
	return end;
}

/* ---- examining ---- */

/* The chunk into r->raw. False: what is wrong was told. */
static bool
examine_chunk(struct reader *r, const struct blob_examine *x, uint32_t i, uint64_t at)
{
	const struct blob_chunk *c = &x->chunks[i];
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	if (x->data.len == 0)
		rc = fetch_chunk(r, i, at, 0, &e);
	else if (at > x->data.len || c->stored_len > x->data.len - at ||
	         c->stored_len > BLOB_CHUNK_MAX)
		rc = err_set(&e, RC_CORRUPT, "a chunk ends behind the record");
	else if (codec_crc(slice_sub(x->data, at, at + c->stored_len)) != c->crc)
		rc = err_set(&e, RC_CORRUPT, "a chunk does not match its CRC");
	else
		r->chunk = slice_sub(x->data, at, at + c->stored_len);
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

	if (EVP_DigestInit_ex(sha, sha256_method(), NULL) != 1)
		return err_set(e, RC_NOMEM, "SHA-256 failed");
	for (uint32_t i = 0; i < x->chunk_count; i++) {
		whole = examine_chunk(r, x, i, at) && whole;
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
	struct blob_place place = { .addr = x->addr, .chunks = x->chunks,
	                            .chunk_count = x->chunk_count };
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
