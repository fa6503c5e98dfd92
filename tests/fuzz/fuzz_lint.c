/* fuzz_lint - any bytes as a message to be judged. Held against: every prefix ends well; however it
 * is cut the findings are the same; they come in the order of lines, as printable text, and
 * bounded in number. */
#include "lib/buf.h"
#include "lib/lint.h"

#include <stdio.h>
#include <stdlib.h>

#define PREFIXES_MAX 300u       /* of longer messages only so many, spread */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_lint: broken: %s\n", what);
		abort();
	}
}

struct told {
	struct buf text;
	uint64_t   line, findings;
};

static void
on_found(void *arg, const struct lint_finding *f)
{
	struct told *t = arg;

	require(f->line >= t->line, "in the order of lines");
	for (size_t i = 0; i < f->text.len; i++)
		require(f->text.ptr[i] >= ' ' && f->text.ptr[i] < 0x7f, "printable");
	t->line = f->line;
	t->findings++;
	buf_printf(&t->text, "%llu %s %.*s\n", (unsigned long long)f->line, f->code->name,
	           SLICE_ARG(f->text));
}

/* seed 0: in one piece */
static void
judge(const uint8_t *data, size_t size, uint32_t seed, struct told *t)
{
	struct lint *l = lint_new();
	uint8_t *copy = malloc(size > 0 ? size : 1);

	*t = (struct told){ .line = 0 };
	buf_init(&t->text, 8u << 20);
	require(l != NULL && copy != NULL, "memory");
	if (size > 0)
		memcpy(copy, data, size);
	for (size_t at = 0, n; at < size; at += n) {
		seed = seed > 0 ? seed * 1103515245u + 12345u : 0;
		n = seed > 0 ? 1 + (seed >> 16) % 9 : size;
		lint_feed(l, slice_sub(slice_of(copy, size), at, at + n));
	}
	require(lint_finish(l, on_found, t), "memory");
	require(t->findings < 2500, "bounded");
	lint_free(&l);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size / PREFIXES_MAX + 1;
	struct told whole, pieces;

	judge(data, size, 0, &whole);
	judge(data, size, 1, &pieces);
	require(slice_eq(buf_slice(&whole.text), buf_slice(&pieces.text)),
	        "same however it is cut");
	buf_fini(&whole.text);
	buf_fini(&pieces.text);
	for (size_t cut = 0; cut < size; cut += step) {
		judge(data, cut, 0, &whole);
		buf_fini(&whole.text);
	}
	return 0;
}
