/* compact_choose - which segments are worth a rewrite. See compact.h.
 *
 * A segment is chosen when enough of it is dead. Small neighbours are merged, since each start
 * leaves one: but only if there are some, none larger than all others together, so that no byte is
 * copied again and again.
 */
#include "index/compact.h"

#include <stdlib.h>

#define SMALL_PART  8u          /* of the largest segment: below this one is small */
#define MERGE_MIN   4u          /* small neighbours that are worth merging */

enum why { NOT, DEAD, SMALL };

struct choice {
	const struct survey *s;
	unsigned             threshold;
	bool                 all;
	uint64_t             max;
};

static uint64_t
live_bytes(const struct survey_segment *seg)
{
	return seg->root.len > seg->dead ? seg->root.len - seg->dead : 0;
}

static enum why
judge(const struct choice *c, uint32_t i)
{
	const struct survey_segment *seg = &c->s->segments[i];

	if (seg->root.state == SEGMENT_OPEN || seg->damaged)
		return NOT;
	if (c->all)
		return DEAD;
	if (c->threshold > 0 && seg->dead > 0 && seg->dead >= seg->bytes / 100 * c->threshold)
		return DEAD;
	return live_bytes(seg) < c->max / SMALL_PART ? SMALL : NOT;
}

/* Neighbours from `first` on that are chosen or small, as many as fit one segment. */
static struct compact_group
collect(const struct choice *c, uint32_t first, bool *worth)
{
	struct compact_group g = { first, 0, 0, 0 };
	uint64_t largest = 0;
	bool dead = false;

	for (uint32_t i = first; i < c->s->count; i++) {
		const struct survey_segment *seg = &c->s->segments[i];
		enum why why = judge(c, i);
		uint64_t live = live_bytes(seg);

		if (why == NOT || (g.count > 0 && g.live + live > c->max))
			break;
		dead = dead || why == DEAD;
		largest = live > largest ? live : largest;
		g.live += live;
		g.dead += seg->dead;
		g.count++;
	}
	*worth = dead || (g.count >= MERGE_MIN && largest <= g.live / 2);
	return g;
}

enum rc
compact_choose(const struct survey *s, unsigned threshold, bool all, uint64_t max_segment,
               struct compact_group **out, size_t *count, struct err *e)
{
	const struct choice c = { s, threshold, all, max_segment };

	*count = 0;
	*out = calloc(s->count > 0 ? s->count : 1, sizeof **out);
	if (*out == NULL)
		return err_nomem(e);
	for (uint32_t i = 0; i < s->count;) {
		bool worth;
		struct compact_group g = collect(&c, i, &worth);

		if (worth)
			(*out)[(*count)++] = g;
		i += g.count > 0 ? g.count : 1;
	}
	return RC_OK;
}
