/* apply_message - records of messages: that they are there, their flags, that they are gone; and
 * the mailbox's and account's counters, which change with them. See apply.h. */
#include "index/apply_impl.h"

#include <stdlib.h>

#include "index/incoming.h"
#include "index/keywords.h"

/* How a mailbox row changes. */
struct delta {
	int64_t     exists, unseen, deleted, size, deleted_size;
	mail_uid    uidnext;
	mail_modseq modseq;
	mail_uid    first_new;
	bool        ordered;            /* the new ones come behind all others: see keep_order */
};

/* ---- mailbox and account counters ---- */

static enum rc
update_mailbox(struct apply *ap, mailbox_id id, const struct delta *d, struct err *e)
{
	return db_run(ap->db,
	              "UPDATE mailbox SET exists_=exists_+?2, unseen=unseen+?3, "
	              "deleted=deleted+?4, size=size+?5, deleted_size=deleted_size+?8,"
	              " uidnext=max(uidnext, ?6), highestmodseq=max(highestmodseq, ?7) WHERE id=?1",
	              DB_ARGS(DB_NUM(id), DB_NUM(d->exists), DB_NUM(d->unseen), DB_NUM(d->deleted),
	                      DB_NUM(d->size), DB_NUM(d->uidnext), DB_NUM(d->modseq),
	                      DB_NUM(d->deleted_size)),
	              e);
}

static enum rc
make_stub(struct apply *ap, mailbox_id id, struct err *e)
{
	return db_run(ap->db,
	    "INSERT INTO mailbox VALUES(?1, 0, X'', 0, 1, 1, 0, 0, 0, 0, 0, 0, X'', 0, 0, 0)",
	    DB_ARGS(DB_NUM(id)), e);
}

static enum rc
count_mailbox(struct apply *ap, mailbox_id id, const struct delta *d, struct err *e)
{
	enum rc rc;

	rc = update_mailbox(ap, id, d, e);
	if (rc == RC_OK && db_changes(ap->db) == 0) {
		rc = make_stub(ap, id, e);
		if (rc == RC_OK)
			rc = update_mailbox(ap, id, d, e);
	}
	if (rc == RC_OK && (d->exists != 0 || d->size != 0))
		rc = db_run(ap->db,
		            "UPDATE account SET used_bytes=used_bytes+?2, "
		            "used_messages=used_messages+?3"
		            " WHERE id=(SELECT account FROM mailbox WHERE id=?1)",
		            DB_ARGS(DB_NUM(id), DB_NUM(d->size), DB_NUM(d->exists)), e);
	if (rc == RC_OK)
		rc = apply_touch(ap, &(struct touched_mailbox){ id, d->modseq, d->first_new }, e);
	return rc;
}

/* ---- keywords ---- */

/* A mailbox lists each keyword in the spelling it had first. */
static enum rc
note_keywords(struct apply *ap, mailbox_id mailbox, struct slice text, struct err *e)
{
	struct keyword_list l;
	enum rc rc;

	rc = keywords_split(text, &ap->scratch, &l, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		return err_set(e, RC_SYNTAX, "record with bad keywords");
	for (size_t i = 0; rc == RC_OK && i < l.count; i++) {
		struct slice key = keyword_key(l.words[i], &ap->scratch);

		if (key.ptr == NULL)
			return err_nomem(e);
		rc = db_run(ap->db, "INSERT OR IGNORE INTO mailbox_keyword VALUES(?1, ?2, ?3)",
		            DB_ARGS(DB_NUM(mailbox), DB_BYTES(key), DB_BYTES(l.words[i])), e);
	}
	return rc;
}

/* The id of this set of keywords, made if new. */
static enum rc
intern_keywords(struct apply *ap, mailbox_id mailbox, struct slice text, uint64_t *id,
                struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc;

	*id = 0;
	if (text.len == 0)
		return RC_OK;
	rc = db_first(ap->db, &q, "SELECT id FROM kwset WHERE text=?1", DB_ARGS(DB_BYTES(text)), e);
	if (rc == RC_OK) {
		*id = db_u64(q, 0);
		db_end(q);
	} else if (rc == RC_NOT_FOUND) {
		rc = db_run(ap->db, "INSERT INTO kwset(text) VALUES(?1)", DB_ARGS(DB_BYTES(text)),
		            e);
		*id = (uint64_t)sqlite3_last_insert_rowid(db_handle(ap->db));
	}
	return rc == RC_OK ? note_keywords(ap, mailbox, text, e) : rc;
}

/* Where messages come to, before they do. */
struct place {
	account_id  account;            /* 0: it is a stub, or not there yet */
	uint64_t    uidnext;
	mail_modseq modseq;
	uint64_t    ordered_from;
};

static enum rc
place_of(struct apply *ap, mailbox_id mailbox, struct place *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q,
	    "SELECT account, uidnext, highestmodseq, ordered_from FROM mailbox WHERE id=?1",
	    DB_ARGS(DB_NUM(mailbox)), e);

	*out = (struct place){ 0 };
	if (rc == RC_OK) {
		*out = (struct place){ db_u64(q, 0), db_u64(q, 1), db_u64(q, 2), db_u64(q, 3) };
		db_end(q);
	}
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* Do they come behind all that was here, by UID and by MODSEQ? If not, and in all that is below `ordered_from`, each
 * message counts as changed (changed.h); that is so of accounts that were moved here. */
static enum rc
keep_order(struct apply *ap, const struct record_messages *r, const struct place *to,
           mail_uid uidnext, bool *ordered, struct err *e)
{
	uint64_t end = uidnext > to->uidnext ? uidnext : to->uidnext;
	enum rc rc;

	*ordered = r->first_uid >= to->uidnext && r->modseq >= to->modseq;
	if (*ordered || uidnext <= to->ordered_from)
		return RC_OK;
	rc = db_run(ap->db, "UPDATE message SET changed=1 WHERE mailbox=?1 AND uid >= ?2",
	            DB_ARGS(DB_NUM(r->mailbox), DB_NUM(to->ordered_from)), e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "UPDATE mailbox SET ordered_from=?2 WHERE id=?1",
		            DB_ARGS(DB_NUM(r->mailbox), DB_NUM(end)), e);
	return rc;
}

/* ---- messages ---- */

static void
count_message(uint32_t flags, uint64_t size, struct delta *d)
{
	d->exists++;
	d->unseen += (flags & FLAG_SEEN) == 0;
	d->deleted += (flags & FLAG_DELETED) != 0;
	d->size += (int64_t)size;
	d->deleted_size += (flags & FLAG_DELETED) != 0 ? (int64_t)size : 0;
}

static enum rc
insert_message(struct apply *ap, const struct record_messages *r, mail_uid uid,
               const struct record_message *m, struct delta *d, struct err *e)
{
	uint64_t size = m->size;
	uint64_t kw;
	enum rc rc = RC_OK;

	if (size == 0)
		rc = apply_blob_size(ap, m->blob, &size, e);
	if (rc == RC_OK)
		rc = intern_keywords(ap, r->mailbox, m->keywords, &kw, e);
	if (rc == RC_OK)
		rc = db_run(ap->db,
		            "INSERT OR IGNORE INTO message VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
		            "?9, ?10, ?11, ?12, ?13)",
		            DB_ARGS(DB_NUM(r->mailbox), DB_NUM(uid), DB_NUM(r->modseq),
		                    DB_NUM(m->flags), DB_NUM(kw), DB_NUM(m->blob),
		                    DB_NUM(m->internaldate.sec), DB_NUM(m->internaldate.zone_min),
		                    DB_NUM(m->savedate.sec), DB_NUM(m->savedate.zone_min),
		                    DB_NUM(m->threadid), DB_NUM(size), DB_NUM(!d->ordered)),
		            e);
	if (rc == RC_OK && db_changes(ap->db) > 0)
		count_message(m->flags, size, d);
	return rc;
}

/* A record that is older than threads says none. */
static enum rc
thread_of(struct apply *ap, const struct record_message *m, uint64_t *thread, struct err *e)
{
	*thread = m->threadid;
	return *thread != 0 ? RC_OK : apply_derive_thread(ap, m->blob, thread, e);
}

static enum rc
note_message(struct apply *ap, const struct record_message *m, account_id account, struct err *e)
{
	uint64_t thread;
	enum rc rc = thread_of(ap, m, &thread, e);

	return rc == RC_OK ? apply_note_thread(ap, account, m->blob, thread, e) : rc;
}

static enum rc
apply_message(struct apply *ap, const struct record_messages *r, mail_uid uid,
              const struct record_message *message, struct delta *d, struct err *e)
{
	struct record_message m = *message;
	enum rc rc = thread_of(ap, message, &m.threadid, e);

	return rc == RC_OK ? insert_message(ap, r, uid, &m, d, e) : rc;
}

#define TOGETHER      16u       /* messages from which on one question about all pays */
#define TOGETHER_MAX  4096u     /* for which memory is taken at once */

/* The ids of the sets of keywords of these messages, to `kw`. RC_NOT_FOUND: of one of them the record does not say all. */
static enum rc
intern_all(struct apply *ap, const struct record_messages *r, const struct incoming *in,
           uint64_t *kw, struct err *e)
{
	struct slice was = SLICE("");
	uint64_t id = 0;

	for (uint32_t i = 0; i < in->count; i++) {
		const struct record_message *m = &in->messages[i];
		enum rc rc = RC_OK;

		if (m->threadid == 0 || m->size == 0)
			return err_set(e, RC_NOT_FOUND, "not said");
		if (!slice_eq(m->keywords, was))
			rc = intern_keywords(ap, r->mailbox, m->keywords, &id, e);
		arena_reset(&ap->scratch);      /* each set may need some 50 KiB of it */
		if (rc != RC_OK)
			return rc;
		was = m->keywords;
		kw[i] = id;
	}
	return RC_OK;
}

/* RC_NOT_FOUND: no message has one of these UIDs. */
static enum rc
find_any(struct apply *ap, mailbox_id mailbox, struct uid_range range, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q,
	    "SELECT 1 FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3 LIMIT 1",
	    DB_ARGS(DB_NUM(mailbox), DB_NUM(range.first), DB_NUM(range.last)), e);

	if (rc == RC_OK)
		db_end(q);
	return rc;
}

static enum rc
insert_incoming(struct apply *ap, const struct record_messages *r, struct incoming *in,
                struct delta *d, struct err *e)
{
	sqlite3_stmt *q = db_query(ap->db,
	    "INSERT INTO message SELECT ?1, uid, ?2, flags, kw, blob, internaldate, zone, savedate,"
	    " savezone, threadid, size, ?3 FROM incoming(?4)",
	    DB_ARGS(DB_NUM(r->mailbox), DB_NUM(r->modseq), DB_NUM(!d->ordered)), e);

	if (q == NULL)
		return e->code;
	if (incoming_bind(q, 4, in, e) != RC_OK) {
		db_end(q);
		return e->code;
	}
	if (db_next(ap->db, q, e) != DB_DONE)
		return e->code;
	for (uint32_t i = 0; i < in->count; i++)
		count_message(in->messages[i].flags, in->messages[i].size, d);
	return RC_OK;
}

/* The messages of these UIDs, of which none is there yet, by one statement. RC_NOT_FOUND: they must be taken one by
 * one. */
static enum rc
insert_together(struct apply *ap, const struct record_messages *r, struct uid_range range,
                uint32_t i, struct delta *d, struct err *e)
{
	struct incoming in = { .messages = &r->messages[i],
		               .first = range.first,
		               .count = range.last - range.first + 1 };
	uint64_t *kw;
	enum rc rc;

	if (in.count < TOGETHER)
		return err_set(e, RC_NOT_FOUND, "too few");
	rc = find_any(ap, r->mailbox, range, e);
	if (rc != RC_NOT_FOUND)
		return rc == RC_OK ? err_set(e, RC_NOT_FOUND, "some are there") : rc;
	kw = calloc(in.count, sizeof *kw);
	if (kw == NULL)
		return err_nomem(e);
	in.kw = kw;
	rc = intern_all(ap, r, &in, kw, e);
	if (rc == RC_OK)
		rc = insert_incoming(ap, r, &in, d, e);
	free(kw);
	return rc;
}

/* The messages of at most so many UIDs, from the record's `i`-th on. */
static enum rc
apply_piece(struct apply *ap, const struct record_messages *r, struct uid_range range, uint32_t i,
            struct delta *d, struct err *e)
{
	enum rc rc = insert_together(ap, r, range, i, d, e);

	if (rc != RC_NOT_FOUND)
		return rc;
	rc = RC_OK;
	for (mail_uid uid = range.first; rc == RC_OK && uid <= range.last; uid++) {
		rc = apply_message(ap, r, uid, &r->messages[i++], d, e);
		arena_reset(&ap->scratch);
	}
	return rc;
}

static enum rc
apply_range(struct apply *ap, const struct record_messages *r, struct uid_range range, uint32_t i,
            struct delta *d, struct err *e)
{
	uint32_t left = range.last - range.first + 1;
	enum rc rc = RC_OK;

	for (uint32_t n; rc == RC_OK && left > 0; left -= n, i += n, range.first += n) {
		n = left < TOGETHER_MAX ? left : TOGETHER_MAX;
		rc = apply_piece(ap, r, (struct uid_range){ range.first, range.first + (n - 1) }, i, d,
		                 e);
	}
	return rc;
}

/* RC_NOT_FOUND: the account knows the thread of each message in this range. */
static enum rc
find_unnoted(struct apply *ap, const struct record_messages *r, struct uid_range range,
             account_id account, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q,
	    "SELECT 1 FROM message m WHERE m.mailbox=?1 AND m.uid BETWEEN ?2 AND ?3 AND NOT EXISTS"
	    " (SELECT 1 FROM blob b CROSS JOIN thread t"
	    " WHERE b.id=m.blob AND t.account=?4 AND t.key=b.thread_key AND t.own) LIMIT 1",
	    DB_ARGS(DB_NUM(r->mailbox), DB_NUM(range.first), DB_NUM(range.last), DB_NUM(account)),
	    e);

	if (rc == RC_OK)
		db_end(q);
	return rc;
}

/* Of a large copy mostly nothing is new: that is asked for all at once. */
static enum rc
note_threads(struct apply *ap, const struct record_messages *r, const struct uid_range *uids,
             uint32_t ranges, account_id account, struct err *e)
{
	enum rc rc = r->count < TOGETHER ? RC_OK : RC_NOT_FOUND;

	for (uint32_t i = 0; rc == RC_NOT_FOUND && i < ranges; i++)
		rc = find_unnoted(ap, r, uids[i], account, e);
	if (rc == RC_NOT_FOUND)
		return RC_OK;
	for (uint32_t i = 0; rc == RC_OK && i < r->count; i++) {
		rc = note_message(ap, &r->messages[i], account, e);
		arena_reset(&ap->scratch);
	}
	return rc;
}

enum rc
apply_messages(struct apply *ap, const struct record_messages *r, struct err *e)
{
	struct uid_range all = { r->first_uid, r->first_uid + r->count - 1 };
	const struct uid_range *uids = r->uids != NULL ? r->uids : &all;
	uint32_t ranges = r->uids != NULL ? r->range_count : 1, done = 0;
	struct delta d = { .modseq = r->modseq, .first_new = r->first_uid };
	struct place to;
	enum rc rc;

	if (r->count == 0)
		return RC_OK;
	if (r->first_uid == 0 || r->count > UINT32_MAX - r->first_uid ||
	    uids[ranges - 1].last == UINT32_MAX)
		return err_set(e, RC_SYNTAX, "messages record with UIDs out of range");
	d.uidnext = uids[ranges - 1].last + 1;
	rc = place_of(ap, r->mailbox, &to, e);
	if (rc == RC_OK)
		rc = keep_order(ap, r, &to, d.uidnext, &d.ordered, e);
	for (uint32_t i = 0; rc == RC_OK && i < ranges; i++) {
		rc = apply_range(ap, r, uids[i], done, &d, e);
		done += uids[i].last - uids[i].first + 1;
	}
	if (rc == RC_OK && to.account != 0 && !ap->noted)
		rc = note_threads(ap, r, uids, ranges, to.account, e);
	return rc == RC_OK ? count_mailbox(ap, r->mailbox, &d, e) : rc;
}

/* All that a mailbox has counts for what its row says. RC_NOT_FOUND: the range is a part of it. */
static enum rc
find_sum(struct apply *ap, mailbox_id mailbox, struct uid_range range, sqlite3_stmt **q,
         struct err *e)
{
	if (range.last - range.first < TOGETHER)
		return err_set(e, RC_NOT_FOUND, "few");
	return db_first(ap->db, q,
	    "SELECT exists_, unseen, deleted, size, deleted_size FROM mailbox WHERE id=?1 AND NOT"
	    " EXISTS(SELECT 1 FROM message WHERE mailbox=?1 AND uid < ?2) AND NOT"
	    " EXISTS(SELECT 1 FROM message WHERE mailbox=?1 AND uid > ?3)",
	    DB_ARGS(DB_NUM(mailbox), DB_NUM(range.first), DB_NUM(range.last)), e);
}

static void
take_sum(sqlite3_stmt *q, const struct delta *before, struct delta *d)
{
	d->exists = before->exists + (int64_t)db_u64(q, 0);
	d->unseen = before->unseen + (int64_t)db_u64(q, 1);
	d->deleted = before->deleted + (int64_t)db_u64(q, 2);
	d->size = before->size + (int64_t)db_u64(q, 3);
	d->deleted_size = before->deleted_size + (int64_t)db_u64(q, 4);
	db_end(q);
}

/* What a range of messages counts for at present. `before`: what the mailbox's row does not know yet. */
static enum rc
sum_range(struct apply *ap, mailbox_id mailbox, struct uid_range range, const struct delta *before,
          struct delta *d, struct err *e)
{
	static const struct delta nothing = { 0 };
	sqlite3_stmt *q;
	enum rc rc = find_sum(ap, mailbox, range, &q, e);

	if (rc == RC_OK) {
		take_sum(q, before, d);
		return RC_OK;
	}
	if (rc != RC_NOT_FOUND)
		return rc;
	rc = db_first(ap->db, &q,
	              "SELECT count(*), total(flags & 8 = 0), total(flags & 4 != 0), "
	              "coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE flags & 4 != 0), 0)"
	              " FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3",
	              DB_ARGS(DB_NUM(mailbox), DB_NUM(range.first), DB_NUM(range.last)), e);
	if (rc == RC_OK)
		take_sum(q, &nothing, d);
	return rc;
}

_Static_assert(FLAG_SEEN == 8 && FLAG_DELETED == 4, "the SQL above names these bits");

enum rc
apply_flags(struct apply *ap, const struct record_flags *r, struct err *e)
{
	struct delta d = { .modseq = r->modseq };
	uint64_t kw;
	enum rc rc;

	rc = intern_keywords(ap, r->mailbox, r->keywords, &kw, e);
	for (uint32_t i = 0; rc == RC_OK && i < r->range_count; i++) {
		struct uid_range range = r->uids[i];
		struct delta old;

		rc = sum_range(ap, r->mailbox, range, &(struct delta){ 0 }, &old, e);
		if (rc == RC_OK)
			rc = db_run(ap->db,
			            "UPDATE message SET flags=?4, kw=?5, modseq=?6, changed=1"
			            " WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3",
			            DB_ARGS(DB_NUM(r->mailbox), DB_NUM(range.first),
			                    DB_NUM(range.last), DB_NUM(r->flags), DB_NUM(kw),
			                    DB_NUM(r->modseq)),
			            e);
		if (rc != RC_OK)
			return rc;
		d.unseen += ((r->flags & FLAG_SEEN) == 0 ? old.exists : 0) - old.unseen;
		d.deleted += ((r->flags & FLAG_DELETED) != 0 ? old.exists : 0) - old.deleted;
		d.deleted_size += ((r->flags & FLAG_DELETED) != 0 ? old.size : 0) -
		                  old.deleted_size;
	}
	return rc == RC_OK ? count_mailbox(ap, r->mailbox, &d, e) : rc;
}

/* The messages of these UIDs are not in the log any more, only that they are gone: tombstones
 * that say no more. */
static enum rc
insert_bare(struct apply *ap, const struct record_expunge *r, struct uid_range range, struct err *e)
{
	enum rc rc = db_run(ap->db,
	                    "INSERT OR IGNORE INTO expunged WITH RECURSIVE u(uid) AS"
	                    " (SELECT ?2 UNION ALL SELECT uid + 1 FROM u WHERE uid < ?3)"
	                    " SELECT ?1, uid, ?4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM u",
	                    DB_ARGS(DB_NUM(r->mailbox), DB_NUM(range.first), DB_NUM(range.last),
	                            DB_NUM(r->modseq)),
	                    e);

	if (rc == RC_OK)
		ap->meta.expunged += db_changes(ap->db);
	return rc;
}

/* These were not expunged before. */
static enum rc
insert_run(struct apply *ap, const struct record_expunge *r, struct uid_range range, struct err *e)
{
	const struct db_arg args[] = { DB_NUM(r->mailbox), DB_NUM(range.first), DB_NUM(range.last),
		                       DB_NUM(r->modseq), DB_NUM(ap->time_us / 1000000u) };
	uint64_t found;
	enum rc rc;

	rc = db_run(ap->db,
	    "INSERT OR IGNORE INTO expunged SELECT mailbox, uid, ?4, modseq, flags, kw, "
	    "blob, internaldate,"
	    " zone, savedate, savezone, threadid, size FROM message WHERE mailbox=?1 AND uid "
	    "BETWEEN ?2 AND ?3",
	    args, 4, e);
	if (rc != RC_OK)
		return rc;
	found = db_changes(ap->db);
	ap->meta.expunged += found;
	if (found < (uint64_t)range.last - range.first + 1)
		rc = insert_bare(ap, r, range, e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "INSERT OR REPLACE INTO expunge_run VALUES(?1, ?4, ?2, ?3, ?5)",
		            args, 5, e);
	return rc;
}

/* The first UID of a range that has a tombstone, or the one behind it. */
static enum rc
find_tombstone(struct apply *ap, mailbox_id mailbox, struct uid_range range, uint64_t *uid,
               struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(ap->db, &q,
	    "SELECT uid FROM expunged WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid"
	    " LIMIT 1",
	    DB_ARGS(DB_NUM(mailbox), DB_NUM(range.first), DB_NUM(range.last)), e);

	*uid = range.last + UINT64_C(1);
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	*uid = db_u64(q, 0);
	db_end(q);
	return RC_OK;
}

/* What has a tombstone already keeps it. */
static enum rc
insert_tombstones(struct apply *ap, const struct record_expunge *r, struct uid_range range,
                  struct err *e)
{
	uint64_t had;

	for (uint64_t from = range.first; from <= range.last; from = had + 1) {
		struct uid_range run = { (mail_uid)from, range.last };
		enum rc rc = find_tombstone(ap, r->mailbox, run, &had, e);

		run.last = (mail_uid)(had - 1);
		if (rc == RC_OK && from < had)
			rc = insert_run(ap, r, run, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

static enum rc
expunge_range(struct apply *ap, const struct record_expunge *r, struct uid_range range,
              struct err *e)
{
	const struct db_arg args[] = { DB_NUM(r->mailbox), DB_NUM(range.first), DB_NUM(range.last) };
	enum rc rc = insert_tombstones(ap, r, range, e);

	if (rc == RC_OK)
		rc = db_run(ap->db,
		            "DELETE FROM message WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3", args,
		            3, e);
	if (rc == RC_OK)
		rc = db_run(ap->db, "DELETE FROM uidl WHERE mailbox=?1 AND uid BETWEEN ?2 AND ?3",
		            args, 3, e);
	return rc;
}

enum rc
apply_expunge(struct apply *ap, const struct record_expunge *r, struct err *e)
{
	struct delta d = { .modseq = r->modseq };
	enum rc rc = RC_OK;

	if (r->range_count > 0 && r->uids[r->range_count - 1].last == UINT32_MAX)
		return err_set(e, RC_SYNTAX, "expunge record with UIDs out of range");
	for (uint32_t i = 0; rc == RC_OK && i < r->range_count; i++) {
		struct delta old;

		d.uidnext = r->uids[i].last + 1;
		rc = sum_range(ap, r->mailbox, r->uids[i], &d, &old, e);
		if (rc == RC_OK)
			rc = expunge_range(ap, r, r->uids[i], e);
		if (rc != RC_OK)
			return rc;
		d.exists -= old.exists;
		d.unseen -= old.unseen;
		d.deleted -= old.deleted;
		d.size -= old.size;
		d.deleted_size -= old.deleted_size;
	}
	return rc == RC_OK ? count_mailbox(ap, r->mailbox, &d, e) : rc;
}

enum rc
apply_uidl(struct apply *ap, const struct record_uidl *r, struct err *e)
{
	return db_run(ap->db, "INSERT OR REPLACE INTO uidl VALUES(?1, ?2, ?3)",
	              DB_ARGS(DB_NUM(r->mailbox), DB_NUM(r->uid), DB_BYTES(r->text)), e);
}
