/* restore - from a past into the volume, piece by piece. See restore.h.
 *
 * Which messages the target has is noted once, in the past's scratch database, with their number: a
 * mailbox that had two copies of one message gets two. Of the volume's own log a message is known
 * by its blob; of another one by its sum, as bytes that were taken over have another id here.
 *
 * Another log is asked because something is wrong with this one. So nothing of this volume stands
 * for what is there before its bytes were read and have their sum, neither a message that the
 * target has nor a blob that the other log has under the same id.
 */
#include "index/restore.h"

#include "index/ingest.h"
#include "index/packed.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/header.h"
#include "lib/mime.h"

#define PIECE_BYTES (8u << 20)          /* of messages read at a time */
#define READ_STEP   (256u << 10)
#define HEADER_MAX  (4u << 20)
#define BUSY_TRIES  100u                /* a compaction is about to end its step */
#define BUSY_MS     100

/* One mailbox under way. */
struct run {
	struct restore              *r;
	const struct restore_target *to;
	struct restore_counts       *counts;
	bool                         once;      /* a content that the target has at
	                                         * all is not wanted */
	mailbox_id                   mailbox;   /* 0: not made yet */
	struct arena                 page;      /* of the messages read at a time */
	struct arena                 scratch;   /* of one message */
	struct change               *piece;     /* being filled; NULL: none */
	uint64_t                     piece_bytes;       /* read for it */
};

/* What is known of a message's bytes; borrowed from run.scratch. */
struct content {
	struct slice      sha256, summary;      /* empty: not known */
	struct blob_place place;
	uint32_t          header_len;
	bool              here;                 /* in this volume, under the same id */
};

/* ---- Message-IDs ---- */

static struct slice
without_brackets(struct slice id)
{
	id = slice_trim(id);
	if (id.len >= 2 && id.ptr[0] == '<' && id.ptr[id.len - 1] == '>')
		return slice_sub(id, 1, id.len - 1);
	return id;
}

/* *sure is false if the summary does not tell. */
static bool
summary_has_id(struct slice summary, struct slice id, bool *sure)
{
	struct err e = ERR_INIT;
	struct mime_summary s;
	struct arena a;
	bool same = false;

	*sure = false;
	arena_init(&a, 16u << 20);
	if (mime_summary_decode(summary, &a, &s, &e) == RC_OK) {
		same = slice_eq(without_brackets(s.keys.message_id), id);
		*sure = s.keys.message_id.len < MIME_KEY_MAX && (s.flags & MIME_CUT) == 0;
	}
	arena_fini(&a);
	return same;
}

static bool
header_has_id(struct slice header, struct slice id)
{
	struct header_field f;

	while (header_next(&header, &f))
		if (slice_eq_nocase(f.name, SLICE("Message-ID")) &&
		    slice_eq(without_brackets(f.value), id))
			return true;
	return false;
}

bool
restore_has_message_id(const struct restore_content *c, struct slice id)
{
	struct err e = ERR_INIT;
	struct buf header;
	bool sure;

	id = without_brackets(id);
	if (summary_has_id(c->summary, id, &sure))
		return true;
	if (sure || c->header_len > HEADER_MAX)
		return false;
	buf_init(&header, HEADER_MAX + BLOB_CHUNK_MAX);
	sure = blob_read(c->log, &c->place, 0, c->header_len, &header, &e) == RC_OK &&
	       header_has_id(buf_slice(&header), id);
	buf_fini(&header);
	return sure;
}

static bool
is_asked_for(const struct run *g, const struct content *c)
{
	const struct restore_content rc = {
		c->here ? g->r->volume->log : past_log(g->r->past), c->place, c->header_len,
		c->summary
	};

	return g->r->message_id.len == 0 ||
	       (c->sha256.len > 0 && restore_has_message_id(&rc, g->r->message_id));
}

/* ---- bytes ---- */

static void
note_damage(void *arg, uint64_t at, uint64_t len, const char *what)
{
	bool *whole = arg;

	(void)at;
	(void)len;
	(void)what;
	*whole = false;
}

/* Of this volume. */
static enum rc
is_whole(struct run *g, const struct content *c, bool *whole, struct err *e)
{
	const struct blob_examine x = {
		.addr = c->place.addr, .chunks = c->place.chunks,
		.chunk_count = c->place.chunk_count, .sha256 = c->sha256.ptr, .arg = whole,
		.found = note_damage
	};

	*whole = true;
	g->piece_bytes += c->place.size;
	return blob_examine(g->r->volume->log, &x, e);
}

#define BLOB_ROW \
	"SELECT sha256, summary, seg, epoch, kind, offset, len, chunks, size, header_len FROM " \
	"blob WHERE id=?1"

static enum rc
read_content(struct run *g, struct db *db, blob_id id, struct content *out, struct err *e)
{
	struct blob_chunk *chunks = NULL;
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, BLOB_ROW, DB_ARGS(DB_NUM(id)), e);

	*out = (struct content){ .here = false };
	if (rc != RC_OK)
		return rc == RC_NOT_FOUND ? RC_OK : rc;
	out->sha256 = arena_dup(&g->scratch, db_bytes(q, 0));
	out->place.id = id;
	out->place.addr.seg = (struct seg_id){ db_u64(q, 2), (uint32_t)db_u64(q, 3),
	                                       (uint32_t)db_u64(q, 4) };
	out->place.addr.offset = db_u64(q, 5);
	out->place.addr.len = db_u64(q, 6);
	out->place.size = db_u64(q, 8);
	out->header_len = (uint32_t)db_u64(q, 9);
	rc = packed_summary_get(db_bytes(q, 1), &g->scratch, &out->summary, e);
	if (rc == RC_OK)
		rc = blob_chunks_decode(db_bytes(q, 7), &g->scratch, &chunks,
		                        &out->place.chunk_count, e);
	out->place.chunks = chunks;
	db_end(q);
	if (rc == RC_OK && out->sha256.ptr == NULL)
		return err_nomem(e);
	return rc;
}

/* `own`: a reader of this volume's index. */
static enum rc
find_content(struct run *g, struct db *own, blob_id id, struct content *out, struct err *e)
{
	struct content there;
	enum rc rc = read_content(g, own, id, out, e);

	out->here = out->sha256.len == SHA256_LEN;
	if (rc != RC_OK || !g->r->foreign)
		return rc;
	rc = read_content(g, past_db(g->r->past), id, &there, e);
	if (rc != RC_OK || (out->here && slice_eq(out->sha256, there.sha256)))
		return rc;
	*out = there;
	out->here = false;
	return RC_OK;
}

/* What is here under the same id comes from the other log if its bytes are not whole. */
static enum rc
choose_source(struct run *g, blob_id id, struct content *c, struct err *e)
{
	bool whole = true;
	enum rc rc = RC_OK;

	if (g->r->foreign && c->here)
		rc = is_whole(g, c, &whole, e);
	return rc == RC_OK && !whole ? read_content(g, past_db(g->r->past), id, c, e) : rc;
}

/* Through the same ingest as a delivery. *out is NULL if the other log cannot give the bytes. */
static enum rc
take_over(struct run *g, const struct content *c, struct ingested **out, struct err *e)
{
	struct log *log = past_log(g->r->past);
	struct err bad = ERR_INIT;
	struct ingest *in;
	struct buf bytes;
	enum rc rc;

	*out = NULL;
	if (blob_verify(log, &c->place, 0, c->place.size, &bad) != RC_OK)
		return RC_OK;
	rc = ingest_new(g->r->volume, 0, &in, e);
	if (rc != RC_OK)
		return rc;
	buf_init(&bytes, READ_STEP + BLOB_CHUNK_MAX);
	for (uint64_t at = 0; rc == RC_OK && at < c->place.size; at += READ_STEP) {
		buf_reset(&bytes);
		rc = blob_read(log, &c->place, at, READ_STEP, &bytes, e);
		if (rc == RC_OK)
			rc = ingest_feed(in, buf_slice(&bytes), e);
	}
	buf_fini(&bytes);
	if (rc != RC_OK) {
		ingest_abort(&in);
		return rc;
	}
	rc = ingest_finish(&in, out, e);
	if (rc == RC_OK && memcmp(ingested_blob(*out)->sha256, c->sha256.ptr, SHA256_LEN) != 0)
		ingested_unref(out);
	return rc;
}

/* ---- what the target has ---- */

static const char own_blobs[] = "SELECT blob, count(*), blob FROM message WHERE mailbox=?1 "
                                "GROUP BY blob";
static const char own_sums[] = "SELECT b.sha256, count(*), b.id FROM message m JOIN blob b ON "
                               "b.id = m.blob WHERE m.mailbox=?1 GROUP BY b.id";

static enum rc
note_present(struct run *g, struct db *own, struct err *e)
{
	struct db *scratch = past_db(g->r->past);
	enum db_step step = DB_DONE;
	sqlite3_stmt *q;
	enum rc rc = db_exec(scratch,
	    "CREATE TABLE IF NOT EXISTS present(key, blob INTEGER, n INTEGER, whole INTEGER, "
	    "PRIMARY KEY(key, blob)); DELETE FROM present",
	    e);

	if (rc != RC_OK || g->mailbox == 0)
		return rc;
	q = db_query(own, g->r->foreign ? own_sums : own_blobs, DB_ARGS(DB_NUM(g->mailbox)), e);
	while (q != NULL && rc == RC_OK && (step = db_next(own, q, e)) == DB_ROW) {
		struct db_arg key = g->r->foreign ? DB_BYTES(db_bytes(q, 0)) : DB_NUM(db_u64(q, 0));

		rc = db_run(scratch, "INSERT INTO present VALUES(?1, ?2, ?3, ?4)",
		            DB_ARGS(key, DB_NUM(db_u64(q, 2)), DB_NUM(db_u64(q, 1)),
		                    DB_NUM(g->r->foreign ? 0 : 1)), e);
	}
	if (q != NULL && rc != RC_OK)
		db_end(q);
	return q == NULL || step == DB_FAIL ? e->code : rc;
}

/* One whose bytes were not read yet is read; a damaged one is not there. */
static enum rc
weed_out(struct run *g, struct db *own, struct db_arg key, blob_id id, struct err *e)
{
	struct content c;
	bool whole = false;
	enum rc rc = read_content(g, own, id, &c, e);

	if (rc == RC_OK && c.sha256.len == SHA256_LEN)
		rc = is_whole(g, &c, &whole, e);
	if (rc != RC_OK)
		return rc;
	return db_run(past_db(g->r->past),
	              whole ? "UPDATE present SET whole = 1 WHERE key = ?1 AND blob = ?2"
	                    : "DELETE FROM present WHERE key = ?1 AND blob = ?2",
	              DB_ARGS(key, DB_NUM(id)), e);
}

/* One of those that are there stands for this one. */
static enum rc
is_present(struct run *g, struct db *own, blob_id id, const struct content *c, bool *present,
           struct err *e)
{
	struct db *scratch = past_db(g->r->past);
	struct db_arg key = g->r->foreign ? DB_BYTES(c->sha256) : DB_NUM(id);
	blob_id found = 0;
	bool whole = false;
	enum rc rc = RC_OK;

	while (rc == RC_OK && !whole) {
		sqlite3_stmt *q;

		rc = db_first(scratch, &q, "SELECT blob, whole FROM present WHERE key = ?1 AND "
		              "n > 0 ORDER BY whole DESC LIMIT 1", DB_ARGS(key), e);
		if (rc != RC_OK)
			break;
		found = db_u64(q, 0);
		whole = db_u64(q, 1) != 0;
		db_end(q);
		if (!whole)
			rc = weed_out(g, own, key, found, e);
	}
	*present = rc == RC_OK;
	if (rc == RC_OK && !g->once)
		rc = db_run(scratch, "UPDATE present SET n = n - 1 WHERE key = ?1 AND blob = ?2",
		            DB_ARGS(key, DB_NUM(found)), e);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- pieces ---- */

/* An admin's change, waited for. The change is the caller's still. */
static enum rc
submit(struct volume *v, struct change *c, struct err *e)
{
	enum rc rc;

	c->who = (struct frame_who){ .protocol = PROTO_ADMIN };
	rc = volume_submit_wait(v, c);
	if (rc == RC_OK || c->durable)
		return RC_OK;
	*e = c->err;
	return e->text[0] != '\0' ? rc : err_set(e, rc, "%s", rc_name(rc));
}

/* The same again while the volume says that it is busy for a moment. */
static enum rc
submit_patiently(struct volume *v, struct change *c, struct err *e)
{
	const struct timespec pause = { 0, BUSY_MS * 1000000L };
	enum rc rc = submit(v, c, e);

	for (unsigned i = 0; rc == RC_BUSY && i < BUSY_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		*e = (struct err)ERR_INIT;
		rc = submit(v, c, e);
	}
	return rc;
}

static enum rc
subscribe(struct run *g, struct err *e)
{
	struct change *c = change_new(CHANGE_SUBSCRIBE);
	enum rc rc;

	if (c == NULL)
		return err_nomem(e);
	c->u.subscribe = (struct change_subscribe){ g->r->account, g->to->name, true };
	rc = submit(g->r->volume, c, e);
	change_free(&c);
	return rc;
}

static enum rc
make_target(struct run *g, struct err *e)
{
	struct change *c;
	enum rc rc;

	if (g->mailbox != 0 || g->r->dry_run)
		return RC_OK;
	c = change_new(CHANGE_MAILBOX_CREATE);
	if (c == NULL)
		return err_nomem(e);
	c->u.mailbox.account = g->r->account;
	c->u.mailbox.name = g->to->name;
	c->u.mailbox.special_use = g->to->special_use;
	rc = submit(g->r->volume, c, e);
	g->mailbox = c->u.mailbox.id;
	change_free(&c);
	if (rc != RC_OK)
		return err_add(e, "mailbox \"%.*s\"", SLICE_ARG(g->to->name));
	g->counts->made = true;
	return g->to->subscribe ? subscribe(g, e) : RC_OK;
}

static enum rc
send_piece(struct run *g, struct err *e)
{
	struct change *c = g->piece;
	enum rc rc;

	g->piece = NULL;
	g->piece_bytes = 0;
	if (c == NULL)
		return RC_OK;
	rc = c->u.restore.count > 0 ? make_target(g, e) : RC_OK;
	c->u.restore.mailbox = g->mailbox;
	if (rc == RC_OK && c->u.restore.count > 0)
		rc = submit_patiently(g->r->volume, c, e);
	if (rc == RC_OK) {
		g->counts->lost += c->u.restore.lost;
		g->counts->restored += c->u.restore.count - c->u.restore.lost;
	}
	change_free(&c);
	return rc;
}

static struct restore_message *
next_in_piece(struct run *g)
{
	struct change_restore *cr;

	if (g->piece == NULL) {
		g->piece = change_new(CHANGE_RESTORE);
		if (g->piece == NULL)
			return NULL;
		cr = &g->piece->u.restore;
		cr->messages = arena_array(&g->piece->arena, RESTORE_MAX, sizeof *cr->messages);
		if (cr->messages == NULL)
			return NULL;
	}
	cr = &g->piece->u.restore;
	return &cr->messages[cr->count];
}

static enum rc
add_to_piece(struct run *g, const struct past_message *m, struct content *c, struct err *e)
{
	struct restore_message *rm = next_in_piece(g);
	struct ingested *content = NULL;
	enum rc rc = choose_source(g, m->blob, c, e);

	if (rm == NULL)
		return err_nomem(e);
	if (rc == RC_OK && !c->here)
		rc = take_over(g, c, &content, e);
	if (rc != RC_OK)
		return rc;
	if (!c->here && content == NULL) {
		g->counts->lost++;
		return RC_OK;
	}
	*rm = (struct restore_message){
		.blob = c->here ? m->blob : 0,
		.content = content,
		.flags = m->flags & ~(uint32_t)FLAG_DELETED,
		.keywords = arena_dup(&g->piece->arena, m->keywords),
		.internaldate = m->internaldate,
		.threadid = g->r->foreign ? 0 : m->threadid,
	};
	g->piece->u.restore.count++;
	g->piece_bytes += content != NULL ? ingested_size(content) : 0;
	return rm->keywords.ptr != NULL ? RC_OK : err_nomem(e);
}

static bool
is_full(const struct run *g)
{
	return g->piece_bytes >= PIECE_BYTES ||
	       (g->piece != NULL && g->piece->u.restore.count == RESTORE_MAX);
}

static void
note_lost(struct run *g, blob_id id)
{
	if (past_is_purged(g->r->past, id))
		g->counts->purged++;
	else
		g->counts->lost++;
}

static enum rc
restore_one(struct run *g, struct db *own, const struct past_message *m, struct err *e)
{
	struct content c;
	bool present;
	enum rc rc = find_content(g, own, m->blob, &c, e);

	if (rc != RC_OK || !is_asked_for(g, &c))
		return rc;
	if (c.sha256.len == 0) {
		note_lost(g, m->blob);
		return RC_OK;
	}
	rc = is_present(g, own, m->blob, &c, &present, e);
	if (rc != RC_OK)
		return rc;
	if (present)
		g->counts->present++;
	else if (g->r->dry_run)
		g->counts->restored++;
	else
		rc = add_to_piece(g, m, &c, e);
	return rc;
}

/* Some of a page: until the piece is full. No reader of the index is held while the writer is
 * waited for, as the writer may wait for readers itself. */
static enum rc
restore_some(struct run *g, const struct past_message *m, size_t count, size_t *done, struct err *e)
{
	struct db *own;
	enum rc rc = db_pool_borrow(g->r->volume->pool, &own, e);

	if (rc != RC_OK)
		return rc;
	while (rc == RC_OK && *done < count && !is_full(g)) {
		rc = restore_one(g, own, &m[(*done)++], e);
		arena_reset(&g->scratch);
	}
	db_pool_return(g->r->volume->pool, &own);
	return rc;
}

static enum rc
restore_page(struct run *g, const struct past_message *m, size_t count, struct err *e)
{
	size_t done = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && done < count) {
		rc = restore_some(g, m, count, &done, e);
		if (rc == RC_OK && is_full(g))
			rc = send_piece(g, e);
	}
	return rc;
}

static enum rc
restore_all(struct run *g, uint64_t total, struct err *e)
{
	struct past_message *m;
	size_t count;
	enum rc rc = RC_OK;

	for (uint64_t from = 1; rc == RC_OK && from <= total; from += RESTORE_MAX) {
		rc = past_read(g->r->past, from, RESTORE_MAX, &g->page, &m, &count, e);
		if (rc == RC_OK)
			rc = restore_page(g, m, count, e);
		arena_reset(&g->page);
		if (rc == RC_OK && g->r->progress != NULL &&
		    !g->r->progress(g->r->progress_arg,
		                    from - 1 + count < total ? from - 1 + count : total, total))
			rc = err_set(e, RC_CANCELLED, "cancelled");
	}
	if (rc == RC_OK)
		rc = send_piece(g, e);
	if (rc == RC_OK && g->to->make_empty)
		rc = make_target(g, e);
	return rc;
}

static enum rc
find_target(struct run *g, struct err *e)
{
	struct mailbox_info m;
	struct db *own;
	enum rc rc = volume_find_mailbox(g->r->volume, g->r->account, g->to->name, &g->scratch, &m,
	                                 e);

	g->mailbox = rc == RC_OK ? m.id : 0;
	arena_reset(&g->scratch);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		return rc;
	rc = db_pool_borrow(g->r->volume->pool, &own, e);
	if (rc != RC_OK)
		return rc;
	rc = note_present(g, own, e);
	db_pool_return(g->r->volume->pool, &own);
	return rc;
}

enum rc
restore_messages(struct restore *r, const struct past_select *s, const struct restore_target *to,
                 struct restore_counts *out, struct err *e)
{
	struct run g = { .r = r, .to = to, .counts = out, .once = s->choice == PAST_EXPUNGED };
	struct past_chosen chosen;
	enum rc rc;

	*out = (struct restore_counts){ .restored = 0 };
	arena_init(&g.page, 64u << 20);
	arena_init(&g.scratch, 64u << 20);
	rc = past_choose(r->past, s, &chosen, e);
	if (rc == RC_OK)
		rc = find_target(&g, e);
	out->moved = chosen.moved;
	out->bare = chosen.bare;
	if (rc == RC_OK)
		rc = restore_all(&g, chosen.messages, e);
	change_free(&g.piece);
	arena_fini(&g.scratch);
	arena_fini(&g.page);
	return rc;
}
