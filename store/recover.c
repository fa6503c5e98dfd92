/* recover - where a segment's frames end, and which bytes before that are damage [design I3].
 *
 * Unsynced writes reach the disk in any order: "bad, then good" may be a legal torn tail. Every
 * frame says up to which LSN the log was synced when it was written. An invalid stretch whose first
 * missing LSN is at or below such a mark (of a later frame, the head, the index) was acknowledged:
 * it is damage, reported and passed over. Any other was not: the segment ends there; what the disk
 * cannot read may have been, so it is damage too. Where there is nothing at all any more (a copy
 * that was cut short, writes that a disk lost), that is told and the segment ends: its last LSNs
 * are not in the log, so an index that knows them is discarded. Reading only; sealing is the
 * caller's, so a crash in here costs nothing.
 */
#include "store/log_impl.h"
#include "store/scan.h"

#include <stdlib.h>

struct hole {
	struct scan_item item;
	log_lsn          before;        /* the last LSN before it, */
	uint64_t         time_before;   /* and its time */
	log_lsn          after;         /* the first behind it, 0: none */
};

struct survey {
	struct hole *holes;
	size_t       count, cap;
	log_lsn      mark;              /* the highest LSN known as synced */
	uint64_t     last_time;
};

void
report_found(const struct log_report *rep, struct seg_id seg, uint64_t offset, uint64_t len,
    log_lsn first, log_lsn last, const char *what)
{
	if (rep != NULL && rep->found != NULL)
		rep->found(rep->arg, seg, offset, len, first, last, what);
}

static enum rc
note_hole(struct survey *v, const struct scan_item *item, log_lsn before, struct err *e)
{
	if (v->count == v->cap) {
		size_t cap = v->cap > 0 ? v->cap * 2 : 16;
		struct hole *p = realloc(v->holes, cap * sizeof *p);

		if (p == NULL)
			return err_nomem(e);
		v->holes = p;
		v->cap = cap;
	}
	v->holes[v->count++] =
	    (struct hole){ .item = *item, .before = before, .time_before = v->last_time };
	return RC_OK;
}

/* All items of the segment: holes, marks, times. */
static enum rc
take_survey(struct scan *s, struct survey *v, struct err *e)
{
	struct scan_item item;
	enum rc rc;

	for (;;) {
		log_lsn before = s->last_lsn;

		rc = scan_next(s, &item, e);
		if (rc != RC_OK || item.kind == SCAN_END)
			return rc;
		if (item.hdr.synced_lsn > v->mark)
			/* true even if the body is bad: the header holds */
			v->mark = item.hdr.synced_lsn;
		if (item.kind == SCAN_GAP) {
			rc = note_hole(v, &item, before, e);
			if (rc != RC_OK)
				return rc;
			continue;
		}
		for (size_t i = v->count; i-- > 0 && v->holes[i].after == 0;)
			v->holes[i].after = item.hdr.first_lsn;
		if (item.hdr.time_us > v->last_time)
			v->last_time = item.hdr.time_us;
	}
}

static void
end_before(struct root_segment *seg, const struct hole *h)
{
	seg->len = h->item.offset;
	seg->last_lsn = h->before;
	seg->last_time_us = h->time_before;
}

static void
judge(const struct survey *v, struct root_segment *seg, const struct log_report *rep)
{
	bool nothing = true;    /* at the end: no bytes that may once have been a frame */

	for (size_t i = 0; i < v->count; i++) {
		const struct hole *h = &v->holes[i];

		if (h->before + 1 > v->mark && !h->item.unreadable) {
			end_before(seg, h);
			return;
		}
		if (h->after == 0 && h->item.zeros && !h->item.unreadable) {
			report_found(rep, seg->id, h->item.offset, 0, h->before + 1, v->mark,
			    "the log ends before what was known as synced");
			end_before(seg, h);
			return;
		}
		nothing = h->after != 0;
		report_found(rep, seg->id, h->item.offset, h->item.len, h->before + 1,
		    h->after > 0 ? h->after - 1 : 0, h->item.what);
	}
	if (seg->last_lsn >= v->mark || LSN_EPOCH(v->mark) != seg->id.epoch)
		return;
	if (nothing)
		report_found(rep, seg->id, seg->len, 0, seg->last_lsn + 1, v->mark,
		    "the log ends before what was known as synced");
	else
		seg->last_lsn = v->mark;        /* lost, but given: never given again */
}

enum rc
recover_segment(struct log *log, struct root_segment *seg, log_lsn synced, uint64_t limit,
                const struct log_report *rep, struct err *e)
{
	struct survey v = { .mark = synced, .last_time = seg->last_time_us };
	struct scan s;
	uint64_t size;
	enum rc rc;

	rc = log->b->ops->size(log->b, &seg->id, &size, e);
	if (rc != RC_OK)
		return rc;
	rc = scan_init(&s, log->b, seg, size < limit ? size : limit, e);
	if (rc != RC_OK)
		return rc;
	if (s.header_bad)
		report_found(
		    rep, seg->id, 0, SEGMENT_HDR_LEN, 0, 0, "the segment's header does not hold");
	rc = take_survey(&s, &v, e);
	if (rc == RC_OK) {
		seg->state = SEGMENT_SEALED;
		seg->len = s.end;
		seg->last_lsn = s.last_lsn;
		seg->last_time_us = v.last_time;
		judge(&v, seg, rep);
	}
	scan_fini(&s);
	free(v.holes);
	return rc;
}
