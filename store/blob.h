/* blob - one message's bytes as compressed chunks: making them as the message streams in, reading any range back.
 *
 * Layout [design, section 3]: the header block in chunks with a preset dictionary, then the body in chunks of at most
 * 64 KiB without one, cut where a MIME part begins when that is near. Text deflates at level 4, regular base64 is kept
 * as the octets that it says (base64_chunk.h), other base64 deflates with Z_HUFFMAN_ONLY, what does not shrink is
 * stored. What is deflated ends on a byte boundary (full flush, no final block), so it can be spliced into a
 * COMPRESS=DEFLATE stream. Each chunk has a CRC-32 of its stored bytes, checked at every read.
 */
#ifndef RESTANTE_STORE_BLOB_H
#define RESTANTE_STORE_BLOB_H

#include "store/log.h"

#define BLOB_CHUNK_MAX   65536u         /* bytes of message per chunk */
#define BLOB_INLINE_MAX  (1u << 20)     /* stored bytes; above, the body goes out of line */

/* ---- writing ---- */

struct blob_writer;

enum blob_content {
	BLOB_HEADER,            /* the message's header block */
	BLOB_TEXT,
	BLOB_BASE64,            /* the body of a part with Content-Transfer-Encoding base64 */
};

/* Streams into memory up to BLOB_INLINE_MAX stored bytes, then into an out-of-line body of `log`. One
 * thread at a time. */
MUST_USE enum rc blob_writer_new(struct log *log, struct blob_writer **out, struct err *e);
void blob_writer_free(struct blob_writer **w);          /* aborts what was not taken */
/* More of the message, all of one content kind; a change of kind ends the chunk (unless it is tiny). */
MUST_USE enum rc blob_writer_feed(struct blob_writer *w, struct slice bytes, enum blob_content kind,
                                  struct err *e);
/* So many bytes more will not begin an out-of-line body. */
bool   blob_writer_stays_inline(const struct blob_writer *w, size_t more);
/* Bytes of memory that it has. */
size_t blob_writer_held(const struct blob_writer *w);
/* The end: fills size, sha256, chunks, body or data of *out; they are the writer's and live until it is freed.
 * header_len, lines and summary are the caller's to fill. An out-of-line body is durable now. */
MUST_USE enum rc blob_writer_finish(struct blob_writer *w, struct record_blob *out, struct err *e);
/* When r, of blob_writer_finish, has its summary: pack that with the message's front into *out, which r->packed borrows. It
 * may be left out: then that is empty. */
void   blob_writer_pack_summary(struct blob_writer *w, struct record_blob *r, struct buf *out);

/* ---- reading ---- */

/* Where a blob lies and how it is cut: what the index keeps per blob. */
struct blob_place {
	blob_id                  id;            /* to find it again when compaction has moved it; 0: not known */
	struct log_addr          addr;          /* of the bytes of the first chunk; len covers all chunks */
	const struct blob_chunk *chunks;
	uint32_t                 chunk_count;
	uint64_t                 size;          /* of the message */
};

/* Append message bytes [from, from+len) to out (which must have room: RC_LIMIT otherwise); len is clipped to the size.
 * RC_CORRUPT: a chunk's CRC, length or deflate data is wrong. Any thread; does file I/O. */
MUST_USE enum rc blob_read(struct log *log, const struct blob_place *p, uint64_t from, uint64_t len,
                           struct buf *out, struct err *e);
/* The same for what goes into a deflate stream. If a chunk begins at `from`, holds at most len bytes of message and was
 * compressed without a dictionary, or is base64, it is appended as raw deflate: whole blocks, none final, that refer to nothing before
 * them and end on an octet's boundary; *raw is how many bytes of message they are. Else *raw is 0, and nothing is
 * appended: what comes before blob_chunk_end is for blob_read. */
MUST_USE enum rc blob_read_deflated(struct log *log, const struct blob_place *p, uint64_t from,
                                    uint64_t len, struct buf *out, uint64_t *raw, struct err *e);
/* Where in the message the chunk ends that holds the byte `from`. */
uint64_t blob_chunk_end(const struct blob_place *p, uint64_t from);
/* The same for the last of those chunks that hold at most BLOB_CHUNK_MAX bytes from there on. */
uint64_t blob_chunks_end(const struct blob_place *p, uint64_t from);
/* Check the CRCs of the chunks that hold [from, from+len) without inflating. */
MUST_USE enum rc blob_verify(struct log *log, const struct blob_place *p, uint64_t from,
                             uint64_t len, struct err *e);

struct blob_examine {
	struct log_addr          addr;          /* as in blob_place */
	const struct blob_chunk *chunks;
	uint32_t                 chunk_count;
	struct slice             data;  /* the chunks' bytes if they are at hand; else they are read from the log */
	const uint8_t           *sha256;
	void                    *arg;
	/* Bytes [at, at + len) of those that addr begins: what is wrong with them. */
	void                   (*found)(void *arg, uint64_t at, uint64_t len, const char *what);
};
/* Every chunk's CRC, what it inflates to, and the SHA-256 of the whole, without stopping at what is wrong. RC_OK
 * whatever was found; only memory can fail it. Any thread. */
MUST_USE enum rc blob_examine(struct log *log, const struct blob_examine *x, struct err *e);

/* The chunk table as bytes for the index, and back (array from the arena). */
bool blob_chunks_encode(const struct blob_chunk *chunks, uint32_t count, struct buf *out);
MUST_USE enum rc blob_chunks_decode(struct slice bytes, struct arena *a, struct blob_chunk **chunks,
                                    uint32_t *count, struct err *e);

#endif
