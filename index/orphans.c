/* orphans - out-of-line bodies whose record never came: the owner was killed between the two
 * [SCALEOUT 7, step 6].
 *
 * The index only finds suspects, at the price of one directory and a look-up each: SQLite's pages
 * have no sums, and only records decide what is deleted. So the log is read from the oldest
 * suspect's epoch on; what no record there names is removed. That is the log of the last run, and
 * only if it left a suspect; if it is long, the suspects stay and are told. Nothing is removed
 * while damage or a segment that was put aside may hide a record, nor when anything here fails: space is lost at worst.
 */
#include "index/volume_impl.h"

#include <stdlib.h>

#define READ_MAX (UINT64_C(2) << 30)    /* bytes of log read to be sure */

struct suspects {
	struct volume *v;
	struct seg_id *ids;
	size_t         count;
	uint32_t       oldest;          /* epoch */
	uint64_t       damage;
};

/* Leave those that the index does not know. False: it cannot be asked. */
static bool
ask_index(struct suspects *s)
{
	struct err e = ERR_INIT;
	size_t kept = 0;

	s->oldest = UINT32_MAX;
	for (size_t i = 0; i < s->count; i++) {
		const struct seg_id id = s->ids[i];
		sqlite3_stmt *q;

		if (db_first(s->v->db, &q,
		             "SELECT 1 FROM blob WHERE kind=1 AND epoch=?1 AND seg=?2",
		             DB_ARGS(DB_NUM(id.epoch), DB_NUM(id.seq)), &e) == RC_OK) {
			db_end(q);
			continue;
		}
		if (e.code != RC_NOT_FOUND)
			return false;
		s->oldest = id.epoch < s->oldest ? id.epoch : s->oldest;
		s->ids[kept++] = id;
	}
	s->count = kept;
	return true;
}

/* A body is made before its record: no segment of an earlier epoch can name it. */
static enum rc
see_record(void *arg, const struct frame_info *f, const struct record *r,
           const struct log_addr *addr, struct err *e)
{
	struct suspects *s = arg;

	(void)f, (void)addr, (void)e;
	if (r->type != RECORD_BLOB || r->u.blob.body.len == 0)
		return RC_OK;
	for (size_t i = 0; i < s->count; i++) {
		if (s->ids[i].seq == r->u.blob.body.seg.seq &&
		    s->ids[i].epoch == r->u.blob.body.seg.epoch) {
			s->ids[i] = s->ids[--s->count];
			break;
		}
	}
	return RC_OK;
}

static void
see_damage(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
           const char *what)
{
	struct suspects *s = arg;

	(void)seg, (void)offset, (void)len, (void)first, (void)last, (void)what;
	s->damage++;
}

static bool
not_too_long(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done;
	return total <= READ_MAX;
}

static void
tell(const struct suspects *s)
{
	const struct log_report *rep = &s->v->p.report;

	for (size_t i = 0; rep->found != NULL && i < s->count; i++)
		rep->found(rep->arg, s->ids[i], 0, 0, 0, 0,
		           "this body seems to have no record; it was left");
}

void
orphans_drop(struct volume *v)
{
	struct suspects s = { .v = v };
	struct log_report rep = { &s, see_damage };
	struct replay rp = { .arg = &s, .record = see_record, .progress = not_too_long };
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;

	if (v->apply.meta.damaged || atomic_load(&v->damage) > 0 || log_has_kept(v->log))
		return;
	if (log_list_bodies(v->log, &s.ids, &s.count, &e) == RC_OK && ask_index(&s) &&
	    s.count > 0) {
		rp.made_since = s.oldest;
		rc = log_replay(v->log, &rp, false, &rep, &e);
		if (rc == RC_CANCELLED)
			tell(&s);
		for (size_t i = 0; rc == RC_OK && s.damage == 0 && i < s.count; i++)
			rc = log_remove_body(v->log, &s.ids[i], &e);
	}
	free(s.ids);
}
