/* root - a volume's root in memory: copies, and what a compaction changes in it. See backend.h;
 * head.c has the bytes. */
#include "store/backend.h"

#include <stdlib.h>

void
root_fini(struct root *r)
{
	free(r->segments);
	free(r->dropped);
	r->segments = NULL;
	r->segment_count = 0;
	r->dropped = NULL;
	r->dropped_count = 0;
}

/* Room for `more` elements behind the copied ones; NULL: no memory. */
static void *
copy_array(const void *src, size_t count, size_t more, size_t size)
{
	void *p = malloc((count + more > 0 ? count + more : 1) * size);

	if (p != NULL && count > 0)
		memcpy(p, src, count * size);
	return p;
}

enum rc
root_copy(struct root *dst, const struct root *src, struct err *e)
{
	struct root_segment *segs = copy_array(src->segments, src->segment_count, 0, sizeof *segs);
	struct seg_id *dropped = copy_array(src->dropped, src->dropped_count, 0, sizeof *dropped);

	if (segs == NULL || dropped == NULL) {
		free(segs);
		free(dropped);
		return err_nomem(e);
	}
	*dst = *src;
	dst->segments = segs;
	dst->dropped = dropped;
	return RC_OK;
}

static uint32_t
find_segment(const struct root *r, const struct seg_id *id)
{
	uint32_t i = 0;

	while (i < r->segment_count && !seg_id_same(&r->segments[i].id, id))
		i++;
	return i;
}

bool
root_names(const struct root *r, const struct seg_id *id)
{
	for (uint32_t i = 0; i < r->dropped_count; i++)
		if (seg_id_same(&r->dropped[i], id))
			return true;
	return find_segment(r, id) < r->segment_count;
}

/* The dropped segments leave the list, the new one stands where the first of them stood. */
static enum rc
replace_segments(struct root *r, const struct root_change *c, struct err *e)
{
	struct root_segment *segs = copy_array(r->segments, r->segment_count, 1, sizeof *segs);
	uint32_t at = UINT32_MAX, gone = 0, count = r->segment_count;

	if (segs == NULL)
		return err_nomem(e);
	free(r->segments);
	r->segments = segs;
	for (uint32_t i = 0; i < c->drop_count; i++) {
		uint32_t k;

		if (c->drop[i].kind != SEG_LOG)
			continue;
		k = find_segment(r, &c->drop[i]);
		if (k == count || segs[k].state == SEGMENT_OPEN ||
		    (at != UINT32_MAX && k != at + gone))
			return err_set(e, RC_BUSY, "segment %llu-%u is not where it was",
			    (unsigned long long)c->drop[i].seq, c->drop[i].epoch);
		at = at == UINT32_MAX ? k : at;
		gone++;
	}
	if (c->add != NULL && gone == 0)
		return err_set(e, RC_BUSY, "a compacted segment takes no other's place");
	if (gone == 0)
		return RC_OK;
	memmove(segs + at + (c->add != NULL), segs + at + gone, (count - at - gone) * sizeof *segs);
	if (c->add != NULL)
		segs[at] = *c->add;
	r->segment_count = count - gone + (c->add != NULL);
	return RC_OK;
}

static void
forget_dropped(struct root *r, const struct root_change *c)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < r->dropped_count; i++) {
		bool forget = false;

		for (uint32_t k = 0; k < c->forget_count && !forget; k++)
			forget = seg_id_same(&r->dropped[i], &c->forget[k]);
		if (!forget)
			r->dropped[kept++] = r->dropped[i];
	}
	r->dropped_count = kept;
}

enum rc
root_apply(struct root *r, const struct root_change *c, struct err *e)
{
	struct seg_id *dropped = copy_array(r->dropped, r->dropped_count, c->drop_count,
	                                    sizeof *dropped);
	enum rc rc;

	if (dropped == NULL)
		return err_nomem(e);
	free(r->dropped);
	r->dropped = dropped;
	rc = replace_segments(r, c, e);
	if (rc != RC_OK)
		return rc;
	forget_dropped(r, c);
	if (c->drop_count > 0)
		memcpy(dropped + r->dropped_count, c->drop, c->drop_count * sizeof *dropped);
	r->dropped_count += c->drop_count;
	if (c->floor > r->floor)
		r->floor = c->floor;
	if (c->add != NULL) {
		r->compactions = c->add->id.seq;
		r->compacted_us = c->time_us;
	}
	if (c->clear_copy)
		r->flags &= ~ROOT_COPY;
	return RC_OK;
}
