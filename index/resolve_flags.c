/* resolve_flags - STORE and EXPUNGE.
 *
 * Messages that come to have the same flags and keywords share one flags record with UID ranges, so
 * STORE 1:* of a large mailbox is a few records. Groups are looked for one after the other; when
 * there are GROUPS_MAX of them they are written out and new ones begun, which bounds the search.
 */
#include "index/resolve.h"

#include "index/keywords.h"

#define GROUPS_MAX 64u

struct group {
	uint32_t       old_flags;
	uint64_t       old_kw;
	uint32_t       flags;           /* new */
	struct slice   keywords, old_keywords;
	bool           same;            /* nothing changes */
	bool           absent;          /* nothing that the change names exists:
	                                 * UNCHANGEDSINCE 0 passes */
	struct uid_set uids;
};

struct store {
	struct change_store *c;
	struct mailbox_info  box;
	mail_modseq          modseq;
	struct keyword_list  keywords;  /* of the change, as the mailbox spells them */
	struct group         groups[GROUPS_MAX];
	uint32_t             group_count;
	struct uid_set       found;
};

/* Every member of a, not in b, below `end`, into dst. */
static bool
set_difference(struct uid_set *dst, const struct uid_set *a, const struct uid_set *b, mail_uid end)
{
	size_t k = 0;

	for (size_t i = 0; i < a->count; i++) {
		mail_uid from = a->ranges[i].first;
		mail_uid last = a->ranges[i].last < end ? a->ranges[i].last : end - 1;

		while (from <= last) {
			while (k < b->count && b->ranges[k].last < from)
				k++;
			if (k == b->count || b->ranges[k].first > last) {
				if (!uid_set_add(dst, from, last))
					return false;
				break;
			}
			if (b->ranges[k].first > from &&
			    !uid_set_add(dst, from, b->ranges[k].first - 1))
				return false;
			from = b->ranges[k].last + 1;   /* b holds UIDs of messages: below 2^32-1 */
		}
	}
	return true;
}

static enum rc
keywords_of(struct resolver *rs, uint64_t kw, struct keyword_list *out, struct err *e)
{
	struct slice text;
	sqlite3_stmt *q;
	enum rc rc;

	*out = (struct keyword_list){ NULL, 0 };
	if (kw == 0)
		return RC_OK;
	rc = db_first(rs->db, &q, "SELECT text FROM kwset WHERE id=?1", DB_ARGS(DB_NUM(kw)), e);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ?
		               err_set(e, RC_CORRUPT, "index: unknown set of keywords") :
		               rc;
	text = arena_dup(&rs->scratch, db_bytes(q, 0));
	db_end(q);
	return text.ptr != NULL ? keywords_split(text, &rs->scratch, out, e) : err_nomem(e);
}

/* A flag that the system defines exists, set or not; a keyword when it is set [RFC 7162 s3.1.3]. To
 * replace is to name all. */
static bool
names_only_absent(const struct change_store *c, const struct keyword_list *named,
                  const struct keyword_list *set)
{
	if (c->op == STORE_REPLACE || c->flags != 0)
		return false;
	for (size_t i = 0; i < named->count; i++)
		if (keywords_contain(set, named->words[i]))
			return false;
	return true;
}

/* What the operation makes of one combination of flags and keywords. */
static enum rc
group_decide(struct resolver *rs, struct store *s, struct group *g, struct err *e)
{
	struct keyword_list old;
	struct keyword_list now;
	enum rc rc;

	rc = keywords_of(rs, g->old_kw, &old, e);
	if (rc != RC_OK)
		return rc;
	now = s->keywords;
	g->absent = names_only_absent(s->c, &s->keywords, &old);
	g->flags = s->c->flags;
	switch (s->c->op) {
	case STORE_REPLACE:
		break;
	case STORE_ADD:
		g->flags = g->old_flags | s->c->flags;
		rc = keywords_add(&old, &s->keywords, &rs->scratch, &now, e);
		break;
	case STORE_REMOVE:
		g->flags = g->old_flags & ~s->c->flags;
		rc = keywords_remove(&old, &s->keywords, &rs->scratch, &now, e);
		break;
	}
	if (rc == RC_OK)
		rc = keywords_join(&now, &rs->scratch, &g->keywords, e);
	if (rc == RC_LIMIT)
		rs->refused = true;
	if (rc == RC_OK)
		rc = keywords_join(&old, &rs->scratch, &g->old_keywords, e);
	if (rc == RC_OK)
		g->same = g->flags == g->old_flags && slice_eq(g->keywords, g->old_keywords);
	return rc;
}

static enum rc
write_groups(struct resolver *rs, struct store *s, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < s->group_count; i++) {
		struct group *g = &s->groups[i];
		struct record r = { .type = RECORD_FLAGS };

		if (rc == RC_OK && g->uids.count > 0) {
			r.u.flags =
				(struct record_flags){ s->box.id,      s->modseq,
				                       g->flags,       g->keywords,
				                       g->uids.ranges, (uint32_t)g->uids.count };
			rc = resolve_add(rs, &r, e);
		}
		uid_set_fini(&g->uids);
	}
	s->group_count = 0;
	return rc;
}

static enum rc
find_group(struct resolver *rs, struct store *s, uint32_t flags, uint64_t kw, struct group **out,
           struct err *e)
{
	struct group *g;
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < s->group_count; i++) {
		if (s->groups[i].old_flags == flags && s->groups[i].old_kw == kw) {
			*out = &s->groups[i];
			return RC_OK;
		}
	}
	if (s->group_count == GROUPS_MAX)
		rc = write_groups(rs, s, e);
	if (rc != RC_OK)
		return rc;
	g = *out = &s->groups[s->group_count++];
	*g = (struct group){ .old_flags = flags, .old_kw = kw };
	uid_set_init(&g->uids, UINT32_MAX);
	return group_decide(rs, s, g, e);
}

static bool
fails_condition(const struct change_store *c, mail_modseq modseq, const struct group *g)
{
	if (!c->conditional || modseq <= c->unchangedsince)
		return false;
	return c->unchangedsince > 0 || !g->absent;
}

/* So that whoever changed a few asks nobody what came of it. Past STORE_ROWS_MAX there are none. */
static enum rc
note_row(struct resolver *rs, const struct message_row *row, struct err *e)
{
	struct change_store *c = &rs->c->u.store;
	struct message_row *to;

	if (c->row_count == STORE_ROWS_MAX)
		c->rows = NULL;
	if (c->rows == NULL)
		return RC_OK;
	to = &c->rows[c->row_count++];
	*to = *row;
	to->keywords = arena_dup(&rs->c->arena, row->keywords);
	return to->keywords.ptr != NULL ? RC_OK : err_nomem(e);
}

static enum rc
store_changed(struct resolver *rs, struct store *s, struct group *g, mail_uid uid, struct err *e)
{
	const struct message_row now = {
		.uid = uid, .flags = g->flags, .keywords = g->keywords, .modseq = s->modseq
	};

	if (!uid_set_add(&g->uids, uid, uid) || !uid_set_add(&s->c->changed, uid, uid))
		return resolve_refuse(rs, RC_LIMIT, e, "too many ranges");
	return note_row(rs, &now, e);
}

static enum rc
store_message(struct resolver *rs, struct store *s, const uint64_t row[4], struct err *e)
{
	struct message_row now = { .uid = (mail_uid)row[0], .flags = (uint32_t)row[2] };
	mail_uid uid = now.uid;
	struct group *g;
	enum rc rc;

	if (row[0] - 1 >= UINT32_MAX || row[0] <= uid_set_max(&s->found))
		return err_set(e, RC_CORRUPT, "index: UID %llu out of order",
		               (unsigned long long)row[0]);
	if (!uid_set_add(&s->found, uid, uid))
		return err_nomem(e);
	rc = find_group(rs, s, (uint32_t)row[2], row[3], &g, e);
	if (rc != RC_OK)
		return rc;
	now.modseq = row[1] > s->box.change_floor ? row[1] : s->box.change_floor;
	now.keywords = g->old_keywords;
	if (fails_condition(s->c, now.modseq, g)) {
		if (!uid_set_add(&s->c->modified, uid, uid))
			return resolve_refuse(rs, RC_LIMIT, e, "too many ranges");
	} else if (!g->same) {
		return store_changed(rs, s, g, uid, e);
	}
	return note_row(rs, &now, e);
}

/* Rows are read a page at a time: the records applied on the way would move a cursor that stays
 * open. */
static enum rc
store_range(struct resolver *rs, struct store *s, struct uid_range range, struct err *e)
{
	enum { PAGE = 512 };
	uint64_t rows[PAGE][4];
	mail_uid from = range.first;
	int n;

	do {
		enum db_step step;
		sqlite3_stmt *q = db_query(
			rs->db,
			"SELECT uid, modseq, flags, kw FROM message WHERE mailbox=?1"
			" AND uid BETWEEN ?2 AND ?3 ORDER BY uid LIMIT ?4",
			DB_ARGS(DB_NUM(s->box.id), DB_NUM(from), DB_NUM(range.last), DB_NUM(PAGE)),
			e);

		if (q == NULL)
			return e->code;
		for (n = 0; (step = db_next(rs->db, q, e)) == DB_ROW; n++) {
			for (int i = 0; i < 4; i++)
				rows[n][i] = db_u64(q, i);
		}
		if (step == DB_FAIL)
			return e->code;
		for (int i = 0; i < n; i++) {
			enum rc rc = store_message(rs, s, rows[i], e);

			if (rc != RC_OK)
				return rc;
		}
		from = n > 0 ? (mail_uid)rows[n - 1][0] + 1 : from;
	} while (n == PAGE && from <= range.last);
	return RC_OK;
}

static enum rc
store_all(struct resolver *rs, struct store *s, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < s->c->uids.count; i++)
		rc = store_range(rs, s, s->c->uids.ranges[i], e);
	if (rc == RC_OK)
		rc = write_groups(rs, s, e);
	if (rc != RC_OK)
		return rc;
	if (!set_difference(&s->c->missing, &s->c->uids, &s->found, s->box.uidnext))
		return resolve_refuse(rs, RC_LIMIT, e, "too many ranges");
	s->c->modseq = s->c->changed.count > 0 ? s->modseq : 0;
	return RC_OK;
}

enum rc
resolve_store(struct resolver *rs, struct err *e)
{
	struct change_store *c = &rs->c->u.store;
	struct store *s = arena_zalloc(&rs->scratch, sizeof *s);
	struct message_row *rows = arena_array(&rs->c->arena, STORE_ROWS_MAX, sizeof *rows);
	struct slice spelled;
	enum rc rc;

	if (s == NULL || rows == NULL)
		return err_nomem(e);
	uid_set_reset(&c->changed);
	uid_set_reset(&c->modified);
	uid_set_reset(&c->missing);
	c->rows = rows;
	c->row_count = 0;
	s->c = c;
	rc = resolve_mailbox(rs, c->mailbox, &s->box, e);
	if (rc == RC_OK)
		rc = resolve_keywords(rs, c->mailbox, c->keywords, &spelled, e);
	if (rc == RC_OK)
		rc = keywords_split(spelled, &rs->scratch, &s->keywords, e);
	if (rc == RC_OK)
		rc = resolve_frame_begin(rs, e);
	if (rc != RC_OK)
		return rc;
	c->before = s->box.highestmodseq;
	s->modseq = resolve_next_modseq(rs, &s->box);
	uid_set_init(&s->found, UINT32_MAX);
	rc = store_all(rs, s, e);
	uid_set_fini(&s->found);
	for (uint32_t i = 0; i < s->group_count; i++)
		uid_set_fini(&s->groups[i].uids);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

/* ---- EXPUNGE ---- */

static enum rc
collect(struct resolver *rs, sqlite3_stmt *q, struct uid_set *out, struct err *e)
{
	enum db_step step;

	if (q == NULL)
		return e->code;
	while ((step = db_next(rs->db, q, e)) == DB_ROW) {
		mail_uid uid = 0;
		enum rc rc = uid_from_row(q, 0, &uid, e);

		if (rc == RC_OK && !uid_set_add(out, uid, uid))
			rc = resolve_refuse(rs, RC_LIMIT, e, "too many ranges");
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
	}
	return step == DB_DONE ? RC_OK : e->code;
}

/* All that a mailbox has, if that is one range. RC_NOT_FOUND: it is not. */
static enum rc
collect_whole(struct resolver *rs, const struct mailbox_info *box, struct uid_set *out,
              struct err *e)
{
	struct uid_range range;
	sqlite3_stmt *q;
	enum rc rc = db_first(rs->db, &q,
	    "SELECT (SELECT min(uid) FROM message WHERE mailbox=?1), (SELECT max(uid) FROM message"
	    " WHERE mailbox=?1)",
	    DB_ARGS(DB_NUM(box->id)), e);

	if (rc != RC_OK)
		return rc;
	rc = uid_from_row(q, 0, &range.first, e);
	if (rc == RC_OK)
		rc = uid_from_row(q, 1, &range.last, e);
	db_end(q);
	if (rc != RC_OK)
		return rc;
	if (range.last - range.first != box->exists - 1)
		return err_set(e, RC_NOT_FOUND, "there are gaps");
	return uid_set_add(out, range.first, range.last) ?
	               RC_OK :
	               resolve_refuse(rs, RC_LIMIT, e, "too many ranges");
}

static enum rc
collect_expunge(struct resolver *rs, const struct mailbox_info *box, struct err *e)
{
	struct change_expunge *c = &rs->c->u.expunge;
	enum rc rc = RC_OK;

	if (!(c->any && !c->all) && box->deleted == 0)
		return RC_OK;
	if (c->all && box->deleted == box->exists)
		rc = collect_whole(rs, box, &c->expunged, e);
	if (c->all && box->deleted == box->exists && rc != RC_NOT_FOUND)
		return rc;
	rc = RC_OK;
	/* The counter says when the last one is found. */
	if (c->all)
		return collect(rs,
		               db_query(rs->db,
		                        "SELECT uid FROM message WHERE mailbox=?1 AND flags & 4 != "
		                        "0 ORDER BY uid"
		                        " LIMIT ?2",
		                        DB_ARGS(DB_NUM(box->id), DB_NUM(box->deleted)), e),
		               &c->expunged, e);
	for (size_t i = 0; rc == RC_OK && i < c->uids.count; i++)
		rc = collect(
			rs,
			db_query(
				rs->db,
				"SELECT uid FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3"
				" AND (?4 OR flags & 4 != 0) ORDER BY uid",
				DB_ARGS(DB_NUM(box->id), DB_NUM(c->uids.ranges[i].first),
		                        DB_NUM(c->uids.ranges[i].last), DB_NUM(c->any)),
				e),
			&c->expunged, e);
	return rc;
}

enum rc
resolve_expunge(struct resolver *rs, struct err *e)
{
	struct change_expunge *c = &rs->c->u.expunge;
	struct record r = { .type = RECORD_EXPUNGE };
	struct mailbox_info box;
	enum rc rc;

	uid_set_reset(&c->expunged);
	c->modseq = 0;
	rc = resolve_mailbox(rs, c->mailbox, &box, e);
	c->before = rc == RC_OK ? box.highestmodseq : 0;
	if (rc == RC_OK)
		rc = collect_expunge(rs, &box, e);
	if (rc != RC_OK || c->expunged.count == 0)
		return rc;
	c->modseq = resolve_next_modseq(rs, &box);
	r.u.expunge = (struct record_expunge){ box.id, c->modseq, c->expunged.ranges,
		                               (uint32_t)c->expunged.count };
	rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}
