/* fuzz_imap_fetch - any bytes as the arguments of FETCH ('F' first) or SEARCH (anything else).
 *
 * Held against: no reading outside the input (it is a heap block of its exact size), bounded
 * memory, a refusal always names what was expected, within the input, and accepted items
 * keep their limits.
 */
#include "server/imap/fetch.h"
#include "server/imap/search.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_imap_fetch: broken: %s\n", what);
		abort();
	}
}

static void
check_refusal(const struct cursor *c)
{
	require(c->expected != NULL, "a refusal says what was expected");
	require(c->failed_at <= c->in.len, "a refusal points into the input");
}

static void
fuzz_fetch(struct cursor *c, struct arena *a)
{
	struct fetch_modifiers m;
	struct fetch_request r;

	if (!fetch_parse_items(c, a, &r) || !fetch_parse_modifiers(c, &m)) {
		check_refusal(c);
		return;
	}
	require(r.count > 0 && r.count <= r.room, "items have room");
	for (size_t i = 0; i < r.count; i++) {
		const struct fetch_item *it = &r.items[i];

		require(it->depth <= MIME_DEPTH_MAX, "depth");
		require(it->name_count <= FETCH_NAMES_MAX, "names");
		require(!it->partial || it->length > 0, "partial");
	}
	require(!m.partial || (m.range.first > 0 && m.range.first <= m.range.last), "range");
}

/* Every node but the first is the child of exactly one. */
static void
check_tree(const struct search_program *p)
{
	size_t links = 0;

	for (uint16_t i = 0; i < p->count; i++) {
		require(p->nodes[i].child < p->count && p->nodes[i].next < p->count, "links");
		links += p->nodes[i].child != 0 ? 1u : 0u;
		links += p->nodes[i].next != 0 ? 1u : 0u;
	}
	require(links == p->count - 1u, "a tree");
}

static void
fuzz_search(struct cursor *c, struct arena *a)
{
	struct search_program p;

	if (!search_parse(c, a, &p)) {
		check_refusal(c);
		return;
	}
	check_tree(&p);
	require(p.texts <= SEARCH_TEXTS_MAX, "texts");
	search_close(&p);
	require(search_eval(&p) != SEARCH_UNKNOWN, "a program with all leaves known has a value");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c;
	struct arena a;

	arena_init(&a, 4u << 20);
	if (size > 0 && data[0] == 'F') {
		cur_init(&c, slice_of(data + 1, size - 1));
		fuzz_fetch(&c, &a);
	} else {
		cur_init(&c, slice_of(data, size));
		fuzz_search(&c, &a);
	}
	arena_fini(&a);
	return 0;
}
