/* expect - assertions of threads: cmocka's belong to the main thread, which asks expect_failed() at the end. */
#ifndef RESTANTE_TESTS_UNIT_EXPECT_H
#define RESTANTE_TESTS_UNIT_EXPECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

static atomic_int expect_wrong;

static inline void
expect_at(bool truth, int line)
{
	if (truth)
		return;
	atomic_fetch_add(&expect_wrong, 1);
	(void)fprintf(stderr, "line %d: not so\n", line);
}

#define expect(truth) expect_at(truth, __LINE__)

/* How many were. */
static inline int
expect_failed(void)
{
	return atomic_load(&expect_wrong);
}

#endif
