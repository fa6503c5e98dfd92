/* prune - a mailbox that remembers more expunges than it should forgets the oldest. See
 * volume_prune in volume.h.
 *
 * In steps of some thousand tombstones, each a change of its own, so that no delivery waits long
 * for one. Expunges of one command have one MODSEQ and go together.
 */
#include "index/volume_impl.h"

#define STEP_ROWS 2000u
#define PAGE      64u

struct prune {
	struct volume *v;
	uint64_t       keep;
	uint64_t       before_s;
	uint64_t       dropped;
};

struct crowded {
	mailbox_id  id;
	uint64_t    rows;
};

/* Mailboxes behind `after` with more tombstones than they should have. */
static enum rc
find_crowded(struct prune *p, mailbox_id after, struct crowded *out, size_t *count, struct err *e)
{
	enum db_step step;
	struct db *db;
	sqlite3_stmt *q;
	enum rc rc = db_pool_borrow(p->v->pool, &db, e);

	*count = 0;
	if (rc != RC_OK)
		return rc;
	q = db_query(db,
	             "SELECT mailbox, count(*) FROM expunged WHERE mailbox > ?1 GROUP BY mailbox"
	             " HAVING count(*) > ?2 ORDER BY mailbox LIMIT ?3",
	             DB_ARGS(DB_NUM(after), DB_NUM(p->keep), DB_NUM(PAGE)), e);
	while (q != NULL && (step = db_next(db, q, e)) == DB_ROW) {
		out[*count] = (struct crowded){ db_u64(q, 0), db_u64(q, 1) };
		++*count;
	}
	rc = q != NULL && step == DB_DONE ? RC_OK : e->code;
	db_pool_return(p->v->pool, &db);
	return rc;
}

/* How many go with a floor: all of a MODSEQ go together. */
static enum rc
count_below(struct db *db, mailbox_id mailbox, mail_modseq floor, uint64_t *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q,
	                      "SELECT sum(last - first + 1) FROM expunge_run"
	                      " WHERE mailbox=?1 AND modseq <= ?2",
	                      DB_ARGS(DB_NUM(mailbox), DB_NUM(floor)), e);

	if (rc != RC_OK)
		return rc;
	*out = db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

/* Up to which MODSEQ the next step goes, and how many tombstones that drops; 0: nothing is to be
 * dropped. `rows`: of those that are too many, at most. */
static enum rc
find_floor(struct prune *p, mailbox_id mailbox, uint64_t rows, mail_modseq *floor,
           uint64_t *dropped, struct err *e)
{
	enum db_step step = DB_FAIL;
	uint64_t seen = 0;
	struct db *db;
	sqlite3_stmt *q;
	enum rc rc = db_pool_borrow(p->v->pool, &db, e);

	*floor = 0;
	if (rc != RC_OK)
		return rc;
	q = db_query(db,
	    "SELECT modseq, last - first + 1, at FROM expunge_run WHERE mailbox=?1 ORDER BY modseq",
	    DB_ARGS(DB_NUM(mailbox)), e);
	while (q != NULL && (step = db_next(db, q, e)) == DB_ROW && seen < rows) {
		seen += db_u64(q, 1);
		if (db_u64(q, 2) <= p->before_s)
			*floor = db_u64(q, 0);
	}
	if (step == DB_ROW)
		db_end(q);
	rc = step == DB_FAIL ? e->code : RC_OK;
	if (rc == RC_OK && *floor > 0)
		rc = count_below(db, mailbox, *floor, dropped, e);
	db_pool_return(p->v->pool, &db);
	return rc;
}

static enum rc
raise_floor(struct prune *p, mailbox_id mailbox, mail_modseq floor, struct err *e)
{
	struct change *c = change_new(CHANGE_PRUNE);
	enum rc rc;

	if (c == NULL)
		return err_nomem(e);
	c->u.prune = (struct change_prune){ mailbox, floor };
	rc = volume_submit_wait(p->v, c);
	*e = c->err;
	change_free(&c);
	return rc;
}

static enum rc
prune_mailbox(struct prune *p, const struct crowded *m, struct err *e)
{
	uint64_t excess = m->rows - p->keep;

	while (excess > 0) {
		uint64_t dropped = 0;
		mail_modseq floor;
		enum rc rc = find_floor(p, m->id, excess < STEP_ROWS ? excess : STEP_ROWS, &floor,
		                        &dropped, e);

		if (rc == RC_OK && floor == 0)
			return RC_OK;
		if (rc == RC_OK)
			rc = raise_floor(p, m->id, floor, e);
		if (rc != RC_OK)
			return rc == RC_NOT_FOUND ? RC_OK : rc; /* it was deleted meanwhile */
		p->dropped += dropped;
		excess -= dropped < excess ? dropped : excess;
	}
	return RC_OK;
}

enum rc
volume_prune(struct volume *v, uint64_t keep, uint64_t before_s, uint64_t *dropped, struct err *e)
{
	struct prune p = { .v = v, .keep = keep, .before_s = before_s };
	struct crowded boxes[PAGE];
	mailbox_id after = 0;
	size_t count;
	enum rc rc;

	do {
		rc = find_crowded(&p, after, boxes, &count, e);
		for (size_t i = 0; rc == RC_OK && i < count; i++) {
			rc = prune_mailbox(&p, &boxes[i], e);
			after = boxes[i].id;
		}
	} while (rc == RC_OK && count == PAGE);
	*dropped = p.dropped;
	return rc;
}
