/* compact_tail - what the log has said since the survey: a reference given to a blob that was to go
 * saves it. See compact.h.
 *
 * Nothing else that is written later brings a dead record back: no UID is given twice, and what was
 * stated anew stays so.
 */
#include "store/compact.h"

struct look {
	const blob_id *const *dying;
	const size_t         *counts;
	size_t                lists;
	struct compact_tail  *tail;
	bool                  found;
};

/* In a list of falling ids. */
static bool
has(const blob_id *ids, size_t count, blob_id id)
{
	size_t lo = 0, hi = count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ids[mid] > id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < count && ids[lo] == id;
}

static enum rc
see_record(void *arg, const struct frame_info *f, const struct record *r,
           const struct log_addr *addr, struct err *e)
{
	struct look *l = arg;

	(void)f, (void)addr, (void)e;
	if (r->type != RECORD_MESSAGES && r->type != RECORD_SOME_MESSAGES)
		return RC_OK;
	for (uint32_t i = 0; i < r->u.messages.count; i++)
		for (size_t k = 0; k < l->lists && !l->found; k++)
			l->found = has(l->dying[k], l->counts[k], r->u.messages.messages[i].blob);
	return RC_OK;
}

static enum rc
see_frame(void *arg, const struct frame_info *f, struct err *e)
{
	struct look *l = arg;

	(void)e;
	l->tail->upto = f->first_lsn + f->record_count - 1;
	l->tail->seq = f->seg.seq;
	l->tail->offset = f->offset + f->len;
	return RC_OK;
}

static void
see_damage(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
           const char *what)
{
	struct look *l = arg;

	(void)seg, (void)offset, (void)len, (void)first, (void)last, (void)what;
	l->found = true;
}

enum rc
compact_find_reference(struct log *log, const blob_id *const *dying, const size_t *counts,
                       size_t lists, struct compact_tail *tail, bool *found, struct err *e)
{
	struct look l = { dying, counts, lists, tail, false };
	struct log_report rep = { &l, see_damage };
	struct replay rp = { .arg = &l, .after = tail->upto, .from = { tail->seq, tail->offset },
	                     .record = see_record,
		             .frame = see_frame };
	enum rc rc = log_last(log) > tail->upto ? log_replay(log, &rp, false, &rep, e) : RC_OK;

	*found = l.found;
	return rc;
}
