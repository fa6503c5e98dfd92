/* fuzz_imap_search - any bytes as the arguments of SEARCH, and the program that comes of them
 * against a few messages.
 *
 * Held against: no reading outside the input, bounded memory, a refusal names what was expected,
 * the nodes are a tree of limited depth, and it has a value once all leaves have one: its own
 * negation gives the opposite.
 */
#include "server/imap/search.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_imap_search: broken: %s\n", what);
		abort();
	}
}

/* Every node but the first is the child or sibling of exactly one. */
static void
check_tree(const struct search_program *p)
{
	size_t links = 0;

	require(p->count >= 1 && p->count <= p->room && p->room <= SEARCH_NODES_MAX, "room");
	require(p->texts <= SEARCH_TEXTS_MAX, "texts");
	for (uint16_t i = 0; i < p->count; i++) {
		const struct search_node *n = &p->nodes[i];

		require(n->child < p->count && n->next < p->count, "links");
		require(n->text.len <= SEARCH_TEXT_MAX, "text");
		links += n->child != 0 ? 1u : 0u;
		links += n->next != 0 ? 1u : 0u;
	}
	require(links + 1 == p->count, "a tree");
}

static void
check_returns(const struct search_program *p)
{
	bool partial = (p->returns & RETURN_PARTIAL) != 0;

	require(!p->extended || p->returns != 0, "RETURN () is ALL");
	require(!partial || (p->returns & RETURN_ALL) == 0, "ALL or PARTIAL");
	require(!partial || (p->partial.first > 0 && p->partial.first <= p->partial.last), "range");
	require(!partial || p->partial_text.len >= 3, "range as written");
}

static void
run_program(const struct imap *im, struct search_program *p, struct slice hay)
{
	const struct mime_summary summary = { .flags = MIME_HAS_DATE,
	                                      .keys = { .sent_day = 19000 } };
	enum search_truth t, negated;

	for (mail_uid uid = 1; uid < 4; uid++) {
		const struct message_row row = {
			.uid = uid, .flags = uid * 5u, .keywords = SLICE("$a $b x"),
			.modseq = uid * 100u,
			.internaldate = { (int64_t)uid << 29, (int16_t)(uid * 60) },
			.size = uid << 10,
			.savedate = { (int64_t)uid << 28, 0 }, .threadid = uid - 1u,
		};

		search_row(im, p, &row);
		t = search_eval(p);
		search_summary(p, &row, &summary);
		require(t == SEARCH_UNKNOWN || t == search_eval(p), "what is known stays");
		search_mark(p, hay, true);
		search_close(p);
		t = search_eval(p);
		require(t != SEARCH_UNKNOWN, "a value in the end");
		p->nodes[0].negate = !p->nodes[0].negate;
		negated = search_eval(p);
		p->nodes[0].negate = !p->nodes[0].negate;
		require((t == SEARCH_TRUE) == (negated == SEARCH_FALSE), "NOT");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap im = { .uid_command = true };
	struct search_program p;
	struct cursor c;
	struct arena a;

	arena_init(&a, 1u << 20);
	cur_init(&c, slice_of(data, size));
	if (search_parse(&c, &a, &p)) {
		check_tree(&p);
		check_returns(&p);
		run_program(&im, &p, slice_of(data, size));
	} else {
		require(c.expected != NULL, "a refusal says what was expected");
		require(c.failed_at <= c.in.len, "a refusal points into the input");
	}
	arena_fini(&a);
	return 0;
}
