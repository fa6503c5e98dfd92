/* unit - what every unit test includes first: cmocka, and heap copies of exact size, so that AddressSanitizer sees the
 * first byte that a parser reads too far. */
#ifndef RESTANTE_TESTS_UNIT_UNIT_H
#define RESTANTE_TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/slice.h"

#define UNIT_COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* A copy of s in a malloc block of exactly its length; given back by unit_drop. */
static inline struct slice
unit_copy(struct slice s)
{
	uint8_t *p = malloc(s.len > 0 ? s.len : 1);

	assert_non_null(p);
	if (s.len == 0)
		return (struct slice){ p + 1, 0 };      /* one past the end: nothing may be read */
	memcpy(p, s.ptr, s.len);
	return (struct slice){ p, s.len };
}

static inline void
unit_drop(struct slice s)
{
	free((void *)(uintptr_t)(s.len > 0 ? s.ptr : s.ptr - 1));
}

#endif
