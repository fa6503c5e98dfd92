/* columns - see columns.h.
 *
 * Invariants: rows are in the order of UIDs. Thin ones have all the UIDs there were at `modseq`, and of what did not
 * change since nothing else. While `fill_from` is not 0 the rows below it, or all where they were thin, are
 * as of different times from `modseq` on; what changed since `modseq` is read again when all are
 * there, so that then they are of one moment. Every change of a message gives it a MODSEQ above its
 * mailbox's last, so an equal HIGHESTMODSEQ means nothing has changed.
 *
 * Rejected: indexes of SQLite by flags and dates, which every delivery and STORE would pay for and
 * which help no combination of keys; shared columns under a lock, which a search holds for long.
 */
#include "index/columns_impl.h"

#include <assert.h>
#include <stdlib.h>

#include "index/changed.h"
#include "index/mailbox_row.h"
#include "index/volume_impl.h"
#include "lib/nowait.h"

#define MEMORY_MAX    (96u << 20) /* of all columns of a volume */
#define TEXTS_MAX     (16u << 20) /* of one */
#define SETS_MAX      1024u     /* different sets of keywords: they are looked for in turn */
#define PIECE_ROWS    20000u
#define CHANGES_MAX   20000u    /* taken over; if there are more, all is read again */
#define CHANGES_LIGHT 300u      /* by who may not wait */

/* ---- the store ---- */

struct column_store *
column_store_new(void)
{
	struct column_store *s = calloc(1, sizeof *s);

	if (s != NULL)
		(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
columns_empty(struct columns *c)
{
	for (size_t i = 0; i < c->set_count; i++)
		free((void *)(uintptr_t)c->sets[i].text.ptr);
	c->set_count = c->count = 0;
	c->modseq = 0;
	c->thin = c->recalled = false;
	c->recalled_to = c->keep_from = 0;
	buf_reset(&c->texts);
}

/* From here on the store's lock is held, or nobody else has the store. */

static struct columns **
bucket_of(struct column_store *s, mailbox_id mailbox)
{
	return &s->buckets[mailbox % COLUMNS_BUCKETS];
}

static void
keep(struct column_store *s, struct columns *c)
{
	c->kept = true;
	c->newer = NULL;
	c->older = s->newest;
	*(s->newest != NULL ? &s->newest->newer : &s->oldest) = c;
	s->newest = c;
}

static void
unkeep(struct column_store *s, struct columns *c)
{
	*(c->newer != NULL ? &c->newer->older : &s->newest) = c->older;
	*(c->older != NULL ? &c->older->newer : &s->oldest) = c->newer;
	c->kept = false;
}

static void
destroy(struct column_store *s, struct columns *c)
{
	struct columns **p = bucket_of(s, c->mailbox);

	if (c->kept)
		unkeep(s, c);
	while (*p != c)
		p = &(*p)->chain;
	*p = c->chain;
	s->bytes -= c->charged;
	columns_empty(c);
	buf_fini(&c->texts);
	free(c->sets);
	free(c->rows);
	free(c);
}

/* There is at most one that is kept. */
struct columns *
columns_find_kept(struct column_store *s, mailbox_id mailbox)
{
	struct columns *c = *bucket_of(s, mailbox);

	while (c != NULL && (c->mailbox != mailbox || !c->kept))
		c = c->chain;
	return c;
}

static bool
are_taken(struct column_store *s, mailbox_id mailbox)
{
	struct columns *c = *bucket_of(s, mailbox);

	while (c != NULL && (c->mailbox != mailbox || c->kept))
		c = c->chain;
	return c != NULL;
}

static void
forget_kept(struct column_store *s)
{
	while (s->oldest != NULL)
		destroy(s, s->oldest);
}

/* ---- */

void
column_store_free(struct column_store **sp)
{
	struct column_store *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	forget_kept(s);
	assert(s->bytes == 0);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

void
column_store_forget(struct column_store *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->life++;
	forget_kept(s);
	(void)pthread_mutex_unlock(&s->lock);
}

/* Room for so many bytes more. */
static bool
charge(struct volume *v, struct columns *c, uint64_t bytes)
{
	struct column_store *s = v->columns;
	bool ok;

	if (c->charged + bytes > MEMORY_MAX)    /* nobody else need go */
		return false;
	(void)pthread_mutex_lock(&s->lock);
	while (s->bytes + bytes > MEMORY_MAX && s->oldest != NULL)
		destroy(s, s->oldest);
	ok = s->bytes + bytes <= MEMORY_MAX;
	if (ok) {
		s->bytes += bytes;
		c->charged += bytes;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return ok;
}

static struct columns *
make(struct column_store *s, mailbox_id mailbox)
{
	struct columns *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->mailbox = mailbox;
	c->life = s->life;
	c->chain = *bucket_of(s, mailbox);
	*bucket_of(s, mailbox) = c;
	buf_init(&c->texts, TEXTS_MAX);
	return c;
}

struct columns *
columns_take(struct volume *v, mailbox_id mailbox, enum columns_wish wish)
{
	struct column_store *s = v->columns;
	struct columns *c;

	(void)pthread_mutex_lock(&s->lock);
	c = columns_find_kept(s, mailbox);
	if (c != NULL && c->thin && wish == COLUMNS_FULL)
		c = NULL;
	else if (c != NULL)
		unkeep(s, c);
	else if (wish == COLUMNS_ANEW || (wish == COLUMNS_FIRST && !are_taken(s, mailbox)))
		c = make(s, mailbox);
	(void)pthread_mutex_unlock(&s->lock);
	if (c == NULL || c->charged > 0 || charge(v, c, sizeof *c))
		return c;
	columns_give(v, &c);
	return NULL;
}

enum columns_found
columns_find(struct volume *v, mailbox_id mailbox, size_t *rows)
{
	struct column_store *s = v->columns;
	enum columns_found found = COLUMNS_NONE;
	struct columns *c;

	(void)pthread_mutex_lock(&s->lock);
	c = columns_find_kept(s, mailbox);
	*rows = c != NULL ? c->count : 0;
	if (c != NULL && !c->thin)
		found = COLUMNS_FREE;
	else if (are_taken(s, mailbox))
		found = COLUMNS_TAKEN;
	(void)pthread_mutex_unlock(&s->lock);
	return found;
}

void
columns_give(struct volume *v, struct columns **cp)
{
	struct column_store *s = v->columns;
	struct columns *c = *cp, *other;

	*cp = NULL;
	if (c == NULL)
		return;
	(void)pthread_mutex_lock(&s->lock);
	other = columns_find_kept(s, c->mailbox);
	if (c->modseq == 0 || c->fill_from != 0 || c->life != s->life ||
	    (other != NULL && (other->modseq > c->modseq || (c->thin && !other->thin)))) {
		destroy(s, c);
	} else {
		if (other != NULL)
			destroy(s, other);
		keep(s, c);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- looking ---- */

mail_modseq
columns_at(const struct columns *c)
{
	return c->fill_from == 0 && !c->thin ? c->modseq : 0;
}

const struct column_row *
columns_rows(const struct columns *c, size_t *count)
{
	*count = c->count;
	return c->rows;
}

/* From row `from` on. */
static size_t
seek(const struct columns *c, size_t from, mail_uid uid)
{
	size_t lo = from, hi = c->count;

	if (hi > lo && c->rows[hi - 1].uid < uid)
		return hi;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->rows[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t
columns_seek(const struct columns *c, mail_uid uid)
{
	return seek(c, 0, uid);
}

struct slice
columns_keywords(const struct columns *c, const struct column_row *row)
{
	return row->keywords == 0 ? SLICE("") : c->sets[row->keywords - 1].text;
}

mail_modseq
columns_modseq(const struct columns *c, const struct column_row *row)
{
	return row->modseq > c->floor ? row->modseq : c->floor;
}

bool
columns_text(const struct columns *c, const struct column_row *row, struct slice *out)
{
	if (row->text_at == TEXT_NONE)
		return false;
	*out = slice_of(c->texts.ptr + row->text_at, row->text_len);
	return true;
}

bool
columns_text_room(struct volume *v, struct columns *c, size_t len)
{
	size_t grows = c->texts.cap > len ? c->texts.cap : len + 64;

	if (buf_room(&c->texts) < len)
		return false;
	return c->texts.cap - c->texts.len >= len || charge(v, c, grows);
}

void
columns_learn(struct volume *v, struct columns *c, mail_uid uid, struct slice text)
{
	size_t i = columns_seek(c, uid);

	if (i == c->count || c->rows[i].uid != uid || c->rows[i].text_at != TEXT_NONE ||
	    text.len > TEXT_MAX || !columns_text_room(v, c, text.len))
		return;
	c->rows[i].text_at = (uint32_t)c->texts.len;
	c->rows[i].text_len = (uint16_t)text.len;
	if (!buf_append_slice(&c->texts, text)) {
		c->rows[i].text_at = TEXT_NONE;
		c->texts.failed = false;
	}
	if (uid < c->keep_from)
		c->keep_from = uid;
}

/* ---- reading ---- */

enum rc
columns_make_room(struct volume *v, struct columns *c, size_t want, struct err *e)
{
	struct column_row *p;

	if (want <= c->cap)
		return RC_OK;
	if (!charge(v, c, (want - c->cap) * sizeof *p))
		return err_set(e, RC_LIMIT, "no room for so many messages");
	p = realloc(c->rows, want * sizeof *p);
	if (p == NULL)
		return err_nomem(e);    /* what was charged goes with the columns */
	c->rows = p;
	c->cap = want;
	return RC_OK;
}

static enum rc
add_set(struct volume *v, struct columns *c, struct db *db, uint64_t id, struct err *e)
{
	struct slice text = SLICE_NONE;
	struct keyword_set *p;
	sqlite3_stmt *q;
	uint8_t *copy;
	enum rc rc;

	if (c->set_count == SETS_MAX)
		return err_set(e, RC_LIMIT, "too many sets of keywords");
	if (c->set_count == c->set_cap) {
		p = realloc(c->sets, (c->set_cap * 2 + 8) * sizeof *p);
		if (p == NULL)
			return err_nomem(e);
		c->sets = p;
		c->set_cap = c->set_cap * 2 + 8;
	}
	rc = db_first(db, &q, "SELECT text FROM kwset WHERE id=?1", DB_ARGS(DB_NUM(id)), e);
	if (rc == RC_NOT_FOUND)
		return err_set(e, RC_CORRUPT, "index: unknown set of keywords");
	if (rc != RC_OK)
		return rc;
	text = db_bytes(q, 0);
	copy = malloc(text.len + 1);
	if (copy != NULL && text.len > 0)
		memcpy(copy, text.ptr, text.len);
	db_end(q);
	if (copy == NULL)
		return err_nomem(e);
	c->sets[c->set_count++] = (struct keyword_set){ id, slice_of(copy, text.len) };
	return charge(v, c, sizeof *p + text.len) ? RC_OK : err_set(e, RC_LIMIT, "no memory left");
}

/* A mailbox has few different sets, and neighbours often the same. */
static enum rc
find_set(struct volume *v, struct columns *c, struct db *db, uint64_t id, uint32_t *out,
         struct err *e)
{
	enum rc rc;

	*out = 0;
	if (id == 0)
		return RC_OK;
	for (size_t i = 0; i < c->set_count; i++) {
		if (c->sets[i].id == id) {
			*out = (uint32_t)i + 1;
			return RC_OK;
		}
	}
	rc = add_set(v, c, db, id, e);
	*out = (uint32_t)c->set_count;
	return rc;
}

#define COLUMNS "uid, modseq, flags, kw, internaldate, zone, savedate, savezone, threadid, size"

static enum rc
take_row(struct volume *v, struct columns *c, struct db *db, sqlite3_stmt *q,
         struct column_row *out, struct err *e)
{
	enum rc rc;

	*out = (struct column_row){
		.modseq = db_u64(q, 1),
		.flags = (uint32_t)db_u64(q, 2),
		.internaldate = (int64_t)db_u64(q, 4),
		.zone = (int16_t)db_u64(q, 5),
		.savedate = (int64_t)db_u64(q, 6),
		.savezone = (int16_t)db_u64(q, 7),
		.threadid = db_u64(q, 8),
		.size = db_u64(q, 9),
		.text_at = TEXT_NONE,
	};
	rc = uid_from_row(q, 0, &out->uid, e);
	return rc == RC_OK ? find_set(v, c, db, db_u64(q, 3), &out->keywords, e) : rc;
}

/* Put where it belongs; in nearly all cases behind the last, or where it is. */
static enum rc
put_row(struct volume *v, struct columns *c, struct column_row *row, struct err *e)
{
	size_t i = columns_seek(c, row->uid);
	enum rc rc;

	if (i < c->count && c->rows[i].uid == row->uid) {
		row->text_at = c->rows[i].text_at;
		row->text_len = c->rows[i].text_len;
		row->text_kept = c->rows[i].text_kept;
		c->rows[i] = *row;
		return RC_OK;
	}
	if (c->count == c->cap) {
		rc = columns_make_room(v, c, c->cap + c->cap / 8 + 64, e);
		if (rc != RC_OK)
			return rc;
	}
	memmove(&c->rows[i + 1], &c->rows[i], (c->count - i) * sizeof *row);
	c->rows[i] = *row;
	c->count++;
	return RC_OK;
}

static enum rc
take_rows(struct volume *v, struct columns *c, struct db *db, sqlite3_stmt *q, uint32_t *n,
          struct err *e)
{
	enum db_step step;

	*n = 0;
	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		struct column_row row;
		enum rc rc = take_row(v, c, db, q, &row, e);

		if (rc == RC_OK)
			rc = put_row(v, c, &row, e);
		if (rc != RC_OK) {
			db_end(q);
			return rc;
		}
		c->read_to = row.uid;
		++*n;
	}
	return step == DB_DONE ? RC_OK : e->code;
}

static enum rc
fill_piece(struct volume *v, struct columns *c, struct db *db, struct err *e)
{
	uint32_t n;
	enum rc rc = take_rows(v, c, db,
	                       db_query(db,
	                                "SELECT " COLUMNS " FROM message"
	                                " WHERE mailbox=?1 AND uid >= ?2 ORDER BY uid LIMIT ?3",
	                                DB_ARGS(DB_NUM(c->mailbox), DB_NUM(c->fill_from),
	                                        DB_NUM(PIECE_ROWS)),
	                                e),
	                       &n, e);

	c->fill_from = rc != RC_OK || n < PIECE_ROWS || c->read_to == UINT32_MAX ? 0 : c->read_to + 1;
	return rc;
}

static enum rc
begin_fill(struct volume *v, struct columns *c, const struct mailbox_info *now, struct err *e)
{
	columns_empty(c);
	c->modseq = now->highestmodseq;
	c->fill_from = 1;
	return columns_make_room(v, c, now->exists + now->exists / 8 + 64, e);
}

static size_t
seek_any(const struct columns *c, size_t from, uint64_t uid)
{
	return uid <= UINT32_MAX ? seek(c, from, (mail_uid)uid) : c->count;
}

static enum rc
drop_expunged(struct columns *c, struct db *db, struct err *e)
{
	sqlite3_stmt *q = db_query(db,
	                           "SELECT first, last FROM expunge_run"
	                           " WHERE mailbox=?1 AND modseq > ?2 ORDER BY first",
	                           DB_ARGS(DB_NUM(c->mailbox), DB_NUM(c->modseq)), e);
	size_t from = 0, to = 0;        /* rows below `from` were looked at, and `to` of them stay */
	enum db_step step;

	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		size_t first = seek_any(c, from, db_u64(q, 0));

		if (to < from)
			memmove(&c->rows[to], &c->rows[from], (first - from) * sizeof *c->rows);
		to += first - from;
		from = seek_any(c, first, db_u64(q, 1) + 1);
	}
	if (to < from)
		memmove(&c->rows[to], &c->rows[from], (c->count - from) * sizeof *c->rows);
	c->count = to + (c->count - from);
	return step == DB_DONE ? RC_OK : e->code;
}

/* What changed since. *all: that was too much, or nobody knows; all is to be read again. What fails half-way leaves rows
 * of different times, and is done again with the next call. */
static enum rc
catch_up(struct volume *v, struct columns *c, struct db *db, const struct mailbox_info *now,
         bool *all, struct err *e)
{
	uint32_t n = 0, limit = nowait_is_on() ? CHANGES_LIGHT : CHANGES_MAX;
	mail_uid stop;
	enum rc rc;

	*all = c->modseq < now->expunge_floor || c->modseq > now->highestmodseq;
	if (*all)
		return RC_OK;
	rc = changed_find_stop(db, c->mailbox, c->modseq, CHANGED_END, limit - 1, &stop, e);
	*all = rc == RC_LIMIT;
	if (*all)
		return RC_OK;
	/* in the order of UIDs: new ones are put behind, not between others */
	if (rc == RC_OK)
		rc = take_rows(v, c, db,
		    db_query(db,
		        "SELECT * FROM (" CHANGED_SELECT(COLUMNS, "") " LIMIT ?5) ORDER BY uid",
		        DB_ARGS(CHANGED_ARGS(c->mailbox, c->modseq, stop, CHANGED_END),
		            DB_NUM(limit)),
		        e),
		    &n, e);
	*all = n == limit;
	if (rc == RC_OK && !*all)
		rc = drop_expunged(c, db, e);
	if (rc == RC_OK && !*all)
		c->modseq = now->highestmodseq;
	return rc;
}

/* A piece of what they do not have yet. */
static enum rc
read_piece(struct volume *v, struct columns *c, struct db *db, const struct mailbox_info *now,
           bool texts, struct err *e)
{
	enum rc rc = RC_OK;

	if (c->modseq == 0)
		rc = texts ? columns_begin_thin(v, c, db, now, e) : begin_fill(v, c, now, e);
	else if (c->thin && !texts) {
		c->thin = false;
		c->fill_from = 1;       /* into the rows there are */
	}
	if (rc == RC_OK && c->fill_from != 0)
		return fill_piece(v, c, db, e);
	return rc == RC_OK && texts && !c->recalled ? columns_recall(v, c, db, e) : rc;
}

static enum rc
refresh(struct volume *v, struct columns *c, struct db *db, bool texts, struct arena *a, bool *done,
        struct err *e)
{
	struct mailbox_info now;
	bool all = false;
	enum rc rc = mailbox_get(db, c->mailbox, a, &now, e);

	if (rc == RC_NOT_FOUND) {
		columns_empty(c);
		*done = true;
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = read_piece(v, c, db, &now, texts, e);
	if (rc != RC_OK || c->fill_from != 0 || (texts && !c->recalled))
		return rc;
	if (c->modseq != now.highestmodseq)
		rc = catch_up(v, c, db, &now, &all, e);
	if (rc == RC_OK)
		c->floor = now.change_floor;
	if (all && nowait_is_on())
		return nowait_refuse(e);
	if (all)
		columns_empty(c);       /* and again with the next call */
	*done = !all;
	return rc;
}

/* Another index has other ids of sets. It is not changed while somebody has a connection to it. */
static void
follow_index(struct column_store *s, struct columns *c)
{
	(void)pthread_mutex_lock(&s->lock);
	if (c->life != s->life) {
		columns_empty(c);
		c->life = s->life;
	}
	(void)pthread_mutex_unlock(&s->lock);
}

/* For who may not wait: rows behind an expunged one move. */
static bool
is_much(const struct columns *c)
{
	return nowait_is_on() &&
	       (c->modseq == 0 || c->thin || c->fill_from != 0 || c->count > COLUMNS_LIGHT_ROWS);
}

static enum rc
refresh_either(struct volume *v, struct columns *c, bool texts, bool *done, struct err *e)
{
	struct arena a;
	struct db *db;
	enum rc rc;

	*done = false;
	rc = db_pool_borrow(v->pool, &db, e);
	if (rc == RC_OK) {
		follow_index(v->columns, c);
		arena_init(&a, 1u << 16);
		if (is_much(c) || (texts && nowait_is_on()))
			rc = nowait_refuse(e);
		else
			rc = refresh(v, c, db, texts, &a, done, e);
		arena_fini(&a);
		db_pool_return(v->pool, &db);
	}
	if (rc != RC_OK && rc != RC_WAIT) {
		columns_empty(c);
		c->fill_from = 0;
	}
	return rc;
}

enum rc
columns_refresh(struct volume *v, struct columns *c, bool *done, struct err *e)
{
	return refresh_either(v, c, false, done, e);
}

enum rc
columns_refresh_texts(struct volume *v, struct columns *c, bool *done, struct err *e)
{
	return refresh_either(v, c, true, done, e);
}
