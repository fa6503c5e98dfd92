/* arena - bump allocation in a list of blocks. See arena.h.
 *
 * A request larger than a quarter block gets a block of its own, linked behind the current one, so
 * that a big literal does not waste the rest of a block. The first block is small: the tag of a
 * client that idles is all that its command needs, for hours. A reset keeps one block of the usual
 * sizes.
 */
#include "lib/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_LEN 4096u
#define FIRST_LEN 208u          /* with its head and malloc's 256 */
#define ALIGN_TO  alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t              len;        /* of data */
	size_t              used;
	alignas(max_align_t) uint8_t data[];
};

void
arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

static void
free_blocks(struct arena_block *b)
{
	while (b != NULL) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
}

void
arena_reset(struct arena *a)
{
	struct arena_block *keep = a->head;

	if (keep != NULL && (keep->len == BLOCK_LEN || keep->len == FIRST_LEN)) {
		free_blocks(keep->next);
		keep->next = NULL;
		keep->used = 0;
	} else {
		free_blocks(keep);
		a->head = NULL;
	}
	a->used = 0;
}

void
arena_fini(struct arena *a)
{
	free_blocks(a->head);
	arena_init(a, a->max);
}

static struct arena_block *
block_new(size_t len)
{
	struct arena_block *b = malloc(sizeof *b + len);

	if (b != NULL) {
		b->next = NULL;
		b->len = len;
		b->used = 0;
	}
	return b;
}

/* Of a block that is made for len bytes. */
static size_t
block_len(const struct arena *a, size_t len)
{
	if (a->head == NULL && len <= FIRST_LEN)
		return FIRST_LEN;
	return len > BLOCK_LEN / 4 ? len : BLOCK_LEN;
}

/* The block that has room for len bytes, made if need be. */
static struct arena_block *
block_for(struct arena *a, size_t len)
{
	struct arena_block *b = a->head;

	if (b != NULL && b->len - b->used >= len)
		return b;
	b = block_new(block_len(a, len));
	if (b == NULL)
		return NULL;
	if (len > BLOCK_LEN / 4 && a->head != NULL) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}

void *
arena_alloc(struct arena *a, size_t len)
{
	struct arena_block *b;
	void *p;

	if (len > a->max || len > SIZE_MAX - ALIGN_TO)
		return NULL;
	len = len == 0 ? ALIGN_TO : (len + ALIGN_TO - 1) / ALIGN_TO * ALIGN_TO;
	if (a->used > a->max || len > a->max - a->used + (ALIGN_TO - 1))
		return NULL;
	b = block_for(a, len);
	if (b == NULL)
		return NULL;
	p = b->data + b->used;
	b->used += len;
	a->used += len;
	return p;
}

void *
arena_zalloc(struct arena *a, size_t len)
{
	void *p = arena_alloc(a, len);

	if (p != NULL)
		memset(p, 0, len);
	return p;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	return arena_zalloc(a, n * size);
}

struct slice
arena_dup(struct arena *a, struct slice s)
{
	uint8_t *p = arena_alloc(a, s.len);

	if (p == NULL)
		return SLICE_NONE;
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return (struct slice){ p, s.len };
}

char *
arena_cstr(struct arena *a, struct slice s)
{
	char *p;

	if (slice_find_byte(s, 0) != s.len)
		return NULL;
	p = arena_alloc(a, s.len + 1);
	if (p != NULL)
		(void)slice_to_cstr(s, p, s.len + 1);
	return p;
}

struct slice
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0)
		p = arena_alloc(a, (size_t)n + 1);
	if (p != NULL)
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p != NULL ? slice_of(p, (size_t)n) : SLICE_NONE;
}
