/* secret - wiped buffers, constant-time comparison, random bytes. See secret.h.
 *
 * Memory locking (mlock) was considered: the pages of a server under memory pressure go to swap
 * with the mail itself, and the limit for locked memory is small on most systems. Swap is the
 * operator's to encrypt.
 */
#include "lib/secret.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum rc
secret_init(struct secret *s, size_t cap, struct err *e)
{
	assert(cap > 0);
	*s = (struct secret){ 0 };
	s->ptr = malloc(cap);
	if (s->ptr == NULL)
		return err_nomem(e);
	s->cap = cap;
	return RC_OK;
}

void
secret_fini(struct secret *s)
{
	secret_reset(s);
	free(s->ptr);
	*s = (struct secret){ 0 };
}

/* All of the room is wiped, not only `len` bytes: users may have written past it
 * before they counted. */
void
secret_reset(struct secret *s)
{
	secret_wipe(s->ptr, s->cap);
	s->len = 0;
}

bool
secret_append(struct secret *s, struct slice bytes)
{
	if (bytes.len > s->cap - s->len)
		return false;
	if (bytes.len > 0)
		memcpy(s->ptr + s->len, bytes.ptr, bytes.len);
	s->len += bytes.len;
	return true;
}

void
secret_wipe(void *ptr, size_t len)
{
	if (len > 0)
		explicit_bzero(ptr, len);
}

void
secret_wipe_buf(struct buf *b)
{
	secret_wipe(b->ptr, b->cap);
	buf_reset(b);
}

/* The volatile sum keeps the compiler from leaving the loop at the first difference. */
bool
secret_equal(struct slice a, struct slice b)
{
	volatile uint8_t differ = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		differ = (uint8_t)(differ | (a.ptr[i] ^ b.ptr[i]));
	return differ == 0;
}

enum rc
secret_random(void *ptr, size_t len, struct err *e)
{
	uint8_t *p = ptr;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_os(e, errno, "getrandom");
		p += n;
		len -= (size_t)n;
	}
	return RC_OK;
}
