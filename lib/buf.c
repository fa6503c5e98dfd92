/* buf - growing byte buffers with a ceiling. See buf.h. */
#include "lib/buf.h"

#include "lib/digits.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST_CAP 256u

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_fini(struct buf *b)
{
	free(b->ptr);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* Doubles the capacity, so that n appended bytes cost O(n); never past max, which buf_append rests on. */
uint8_t *
buf_reserve(struct buf *b, size_t len)
{
	size_t first = b->max < BUF_FIRST_CAP && b->max > 0 ? b->max : BUF_FIRST_CAP;
	size_t cap = b->cap > 0 ? b->cap : first;
	uint8_t *p;

	if (len > b->max - b->len) {
		b->failed = true;
		return NULL;
	}
	if (len > b->cap - b->len || b->ptr == NULL) {
		while (cap - b->len < len)
			cap = cap > b->max / 2 ? b->max : cap * 2;
		p = realloc(b->ptr, cap);
		if (p == NULL) {
			b->failed = true;
			return NULL;
		}
		b->ptr = p;
		b->cap = cap;
	}
	return b->ptr + b->len;
}

void
buf_commit(struct buf *b, size_t len)
{
	assert(len <= b->cap - b->len);
	b->len += len;
}

bool
buf_append_growing(struct buf *b, const void *ptr, size_t len)
{
	uint8_t *dst = buf_reserve(b, len);

	if (dst == NULL)
		return false;
	memcpy(dst, ptr, len);
	b->len += len;
	return true;
}

bool
buf_append_u64(struct buf *b, uint64_t v)
{
	uint8_t digits[DIGITS_MAX];

	return buf_append(b, digits, (size_t)(digits_put(digits, v) - digits));
}

/* Most often there is room already, for the NUL too, and it is done once. */
bool
buf_printf(struct buf *b, const char *fmt, ...)
{
	size_t room = b->cap - b->len;
	va_list ap, again;
	bool ok;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(room > 0 ? (char *)b->ptr + b->len : NULL, room, fmt, ap);
	va_end(ap);
	ok = n >= 0 && ((size_t)n < room || buf_reserve(b, (size_t)n + 1) != NULL);
	if (ok && (size_t)n >= room)
		vsnprintf((char *)b->ptr + b->len, (size_t)n + 1, fmt, again);
	va_end(again);
	if (ok)
		b->len += (size_t)n;
	else
		b->failed = true;
	return ok;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n > 0 && n < b->len)
		memmove(b->ptr, b->ptr + n, b->len - n);
	b->len -= n;
}
