/* buf - bytes that we own and grow, born with a maximum.
 *
 * Appending past the maximum, or without memory, appends nothing of that piece and sets `failed`, which sticks until
 * buf_reset: a writer may append many pieces and check once at the end. Used by one thread at a time.
 */
#ifndef RESTANTE_LIB_BUF_H
#define RESTANTE_LIB_BUF_H

#include "lib/slice.h"

struct buf {
	uint8_t *ptr;
	size_t   len;
	size_t   cap;
	size_t   max;
	bool     failed;        /* a piece did not fit, or there was no memory: the content is incomplete */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);          /* frees the bytes; b may be used again as after buf_init with the same max */
void buf_reset(struct buf *b);         /* empties, keeps the memory, clears `failed` */

bool buf_append_growing(struct buf *b, const void *ptr, size_t len);    /* buf_append where there is no room yet */
bool buf_append_u64(struct buf *b, uint64_t v);         /* in decimal */
bool buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Room for `len` more bytes, to be written at ptr+len and then counted by buf_commit; NULL if it would not fit. */
uint8_t *buf_reserve(struct buf *b, size_t len);
void     buf_commit(struct buf *b, size_t len);
/* Drop the first n (<= len) bytes; the rest moves to the front. */
void buf_consume(struct buf *b, size_t n);

/* Answers are made of many short pieces: those that fit cost no call. */
static inline bool
buf_append(struct buf *b, const void *ptr, size_t len)
{
	if (len == 0)
		return true;
	if (len > b->cap - b->len)
		return buf_append_growing(b, ptr, len);
	memcpy(b->ptr + b->len, ptr, len);
	b->len += len;
	return true;
}

static inline bool
buf_append_slice(struct buf *b, struct slice s)
{
	return buf_append(b, s.ptr, s.len);
}

static inline bool
buf_append_str(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

static inline bool
buf_append_byte(struct buf *b, uint8_t c)
{
	return buf_append(b, &c, 1);
}

static inline struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){ b->ptr, b->len };
}

static inline size_t
buf_room(const struct buf *b)
{
	return b->max - b->len;
}

#endif
