/* chunktable - the chunk table as bytes for the index: fixed 14 bytes a chunk. See blob.h. */
#include "store/blob.h"

#include "lib/bytes.h"

#define CHUNK_BYTES 14u

bool
blob_chunks_encode(const struct blob_chunk *chunks, uint32_t count, struct buf *out)
{
	uint8_t b[CHUNK_BYTES];

	for (uint32_t i = 0; i < count; i++) {
		put_le32(b, chunks[i].raw_len);
		put_le32(b + 4, chunks[i].stored_len);
		put_le32(b + 8, chunks[i].crc);
		b[12] = chunks[i].method;
		b[13] = chunks[i].dictionary;
		if (!buf_append(out, b, sizeof b))
			return false;
	}
	return true;
}

enum rc
blob_chunks_decode(
    struct slice bytes, struct arena *a, struct blob_chunk **chunks, uint32_t *count, struct err *e)
{
	size_t n = bytes.len / CHUNK_BYTES;

	*chunks = NULL;
	*count = 0;
	if (bytes.len % CHUNK_BYTES != 0 || n > UINT32_MAX)
		return err_set(e, RC_CORRUPT, "a chunk table of %zu bytes", bytes.len);
	*chunks = arena_array(a, n, sizeof **chunks);
	if (*chunks == NULL)
		return err_set(e, RC_LIMIT, "no memory for a chunk table");
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = bytes.ptr + i * CHUNK_BYTES;
		struct blob_chunk *c = &(*chunks)[i];

		*c = (struct blob_chunk){ get_le32(p), get_le32(p + 4), get_le32(p + 8), p[12],
		                          p[13] };
		if (c->raw_len > BLOB_CHUNK_MAX || c->stored_len > BLOB_CHUNK_MAX ||
		    c->method > CHUNK_METHOD_LAST)
			return err_set(e, RC_CORRUPT, "chunk %zu of a chunk table is not valid", i);
	}
	*count = (uint32_t)n;
	return RC_OK;
}
