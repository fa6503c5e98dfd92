/* fuzz_imap_set - any octets as a sequence-set, and as what a set of UIDs goes through.
 *
 * Held against: what is accepted and written again means the same; a uid_set stays sorted, disjoint
 * and not adjacent; its text is a sequence-set that makes the same set; union, difference and
 * intersection agree on every member asked.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/uidset.h"
#include "server/imap/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_imap_set: broken: %s\n", what);
		abort();
	}
}

static void
check_order(const struct uid_set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		require(s->ranges[i].first >= 1 && s->ranges[i].first <= s->ranges[i].last,
		        "a range");
		require(i == 0 || (uint64_t)s->ranges[i - 1].last + 1 < s->ranges[i].first,
		        "sorted and apart");
	}
}

static mail_uid
uid_of(uint64_t n, mail_uid star)
{
	return n == SEQ_STAR ? star : (mail_uid)n;
}

/* The set's meaning where "*" is `star`. */
static void
to_uids(const struct seq_set *set, mail_uid star, struct uid_set *out)
{
	for (uint32_t i = 0; i < set->count; i++) {
		mail_uid a = uid_of(set->ranges[i].first, star),
		         b = uid_of(set->ranges[i].last, star);

		require(uid_set_add(out, a < b ? a : b, a < b ? b : a), "room for all ranges");
		check_order(out);
	}
}

static bool
same(const struct uid_set *a, const struct uid_set *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->ranges[i].first != b->ranges[i].first ||
		    a->ranges[i].last != b->ranges[i].last)
			return false;
	}
	return true;
}

/* What the set writes is read as the same set. */
static void
check_text(const struct uid_set *s, struct arena *a)
{
	struct uid_set again;
	struct seq_set set;
	struct cursor c;
	struct buf text;

	buf_init(&text, 1u << 20);
	uid_set_init(&again, 2 * SEQ_SET_MAX);
	require(uid_set_format(s, &text), "room for the text");
	cur_init(&c, buf_slice(&text));
	if (s->count > 0) {
		require(parse_sequence_set(&c, a, &set) && cur_at_end(&c),
		        "its text is a sequence-set");
		to_uids(&set, 1, &again);
		require(same(s, &again), "the same set from its text");
	}
	uid_set_fini(&again);
	buf_fini(&text);
}

/* `some` are further numbers to ask for. */
static void
check_algebra(const struct uid_set *a, struct slice some)
{
	struct uid_set b, both, less;

	uid_set_init(&b, 4 * SEQ_SET_MAX);
	uid_set_init(&both, 4 * SEQ_SET_MAX);
	uid_set_init(&less, 4 * SEQ_SET_MAX);
	for (size_t i = 0; i + 1 < some.len && i < 64; i += 2)
		require(uid_set_add(&b, 1u + some.ptr[i], 1u + some.ptr[i] + some.ptr[i + 1]),
		        "room");
	require(uid_set_intersect(&both, a, &b) && uid_set_subtract(&less, a, &b), "room");
	check_order(&both);
	check_order(&less);
	require(uid_set_size(&both) + uid_set_size(&less) == uid_set_size(a), "parts of the whole");
	for (mail_uid n = 1; n < 600; n++) {
		bool in_a = uid_set_contains(a, n), in_b = uid_set_contains(&b, n);

		require(uid_set_contains(&both, n) == (in_a && in_b), "intersection");
		require(uid_set_contains(&less, n) == (in_a && !in_b), "difference");
		require(!in_a || uid_set_nth(a, uid_set_rank(a, n)) == n, "rank and member");
	}
	uid_set_fini(&b);
	uid_set_fini(&both);
	uid_set_fini(&less);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct seq_set set;
	struct uid_set uids;
	struct cursor c;
	struct arena a;

	arena_init(&a, 4u << 20);
	uid_set_init(&uids, 2 * SEQ_SET_MAX);
	cur_init(&c, in);
	if (parse_sequence_set(&c, &a, &set)) {
		require(set.saved_result == (set.count == 0) && set.count <= SEQ_SET_MAX,
		        "ranges or $");
		to_uids(&set, 1 + (mail_uid)(size * 7), &uids);
		check_text(&uids, &a);
		check_algebra(&uids, slice_sub(in, c.pos, in.len));
	} else {
		require(c.expected != NULL && c.failed_at <= size,
		        "a failure says what was expected");
	}
	uid_set_fini(&uids);
	arena_fini(&a);
	return 0;
}
