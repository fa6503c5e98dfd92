/* resolve_delivery - does a delivery come a second time, because its client has not learned that
 * the first was done?
 *
 * LMTP's client that loses the connection before it reads our 250 must send the message again
 * [RFC 2033 s4.2, RFC 5321  s6.1]. So the frame that has the message also says which delivery it
 * was, by a key, and of which session. A client that goes on after the 250 has got it, and takes
 * the key away; one whose session ended without a further word may not have.
 *
 * A row is of a message that was appended in the same frame: whatever is lost of these records, no
 * message is ever taken for delivered that was not. What can be lost is the note that a client went
 * on, with the last half second before a crash: equal octets, from the same sender to the same
 * recipient within the window, are then one message.
 */
#include "index/resolve.h"

#include "lib/clock.h"

static struct record
delivery_record(struct slice key, uint64_t session, uint64_t at, uint64_t until)
{
	struct record r = { .type = RECORD_DELIVERY, .u.delivery = { .key = key, .session = session, .at_s = at,
	                    .until_s = until } };

	return r;
}

#define ABSENCE_MAX_S (31u * 24u * 3600u)       /* above the longest window */

/* Never back: else what is forgotten would hang on the order in which a clock was set. So it must
 * not follow a clock that was wrong for a moment either, as it would then stand still for years,
 * and nothing be forgotten: while we run it counts seconds, and a time that we did not run is at
 * most so long as makes all forgotten. */
static uint64_t
delivery_time(struct resolver *rs)
{
	struct delivery_clock *c = &rs->delivery_clock;
	uint64_t mono = clock_mono_ms(), last = rs->ap->meta.delivery_clock, now;

	if (!c->runs) {
		now = resolve_now_us() / 1000000u;
		if (last != 0 && now > last + ABSENCE_MAX_S)
			now = last + ABSENCE_MAX_S;
		*c = (struct delivery_clock){ true, now > last ? now : last, mono };
	}
	now = c->base_s + (mono - c->mono_ms) / 1000u;
	return now > last ? now : last;
}

static bool
is_over(const struct resolver *rs, uint64_t session)
{
	const struct volume_params *p = rs->volume;

	return session != rs->c->who.session &&
	       (p->session_alive == NULL || !p->session_alive(p->session_arg, session));
}

#define SESSIONS_OF_A_KEY 16    /* that hold one key at a time, beyond which nobody looks */

static struct slice
kept_key(const uint8_t *key)
{
	return slice_of(key, DELIVERY_KEY_KEPT);
}

struct over {
	uint64_t session;
	size_t   key_len;       /* of its row: an earlier release kept the whole key */
};

/* The sessions whose clients have not gone on after a delivery with this key, and
 * now never will. */
static enum rc
list_over(struct resolver *rs, const uint8_t *key, struct over *sessions, size_t *count,
          struct err *e)
{
	enum db_step step = DB_DONE;
	sqlite3_stmt *q = db_query(rs->db,
	    "SELECT session, length(key) FROM delivery WHERE key=?1 AND until >= ?3 UNION ALL"
	    " SELECT session, length(key) FROM delivery WHERE key=?2 AND until >= ?3",
	    DB_ARGS(DB_BYTES(kept_key(key)), DB_BYTES(slice_of(key, DELIVERY_KEY_LEN)),
	            DB_NUM(delivery_time(rs))), e);

	*count = 0;
	if (q == NULL)
		return e->code;
	while (*count < SESSIONS_OF_A_KEY && (step = db_next(rs->db, q, e)) == DB_ROW)
		if (is_over(rs, db_u64(q, 0)))
			sessions[(*count)++] = (struct over){ db_u64(q, 0), db_u64(q, 1) };
	if (step == DB_ROW)
		db_end(q);
	return step == DB_FAIL ? e->code : RC_OK;
}

enum rc
resolve_delivered(struct resolver *rs, struct append_target *t, struct err *e)
{
	struct over sessions[SESSIONS_OF_A_KEY];
	size_t count = 0;
	enum rc rc = RC_OK;

	t->suppressed = false;
	if (t->delivery_key == NULL || rs->c->u.append.delivery_window == 0)
		return RC_OK;
	rc = list_over(rs, t->delivery_key, sessions, &count, e);
	t->suppressed = rc == RC_OK && count > 0;
	if (t->suppressed)
		t->rc = RC_OK;
	return rc;
}

enum rc
resolve_note_delivery(struct resolver *rs, const struct append_target *t, struct err *e)
{
	struct over sessions[SESSIONS_OF_A_KEY];
	uint64_t now = delivery_time(rs);
	struct record r;
	size_t count = 0;
	enum rc rc = RC_OK;

	if (t->delivery_key == NULL || rs->c->u.append.delivery_window == 0)
		return RC_OK;
	if (t->suppressed)
		rc = list_over(rs, t->delivery_key, sessions, &count, e);
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		r = delivery_record(slice_of(t->delivery_key, sessions[i].key_len),
		                    sessions[i].session, now, 0);
		rc = resolve_add(rs, &r, e);
	}
	r = delivery_record(kept_key(t->delivery_key), rs->c->who.session, now,
	                    now + rs->c->u.append.delivery_window);
	return rc == RC_OK ? resolve_add(rs, &r, e) : rc;
}

static enum rc
is_noted(struct resolver *rs, const uint8_t *key, bool *there, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(rs->db, &q, "SELECT 1 FROM delivery WHERE key=?1 AND session=?2",
	    DB_ARGS(DB_BYTES(kept_key(key)), DB_NUM(rs->c->who.session)), e);

	*there = rc == RC_OK;
	if (*there)
		db_end(q);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc
resolve_confirm(struct resolver *rs, struct err *e)
{
	const struct change_confirm *c = &rs->c->u.confirm;
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < c->count; i++) {
		struct record r = delivery_record(kept_key(c->keys[i]), rs->c->who.session, delivery_time(rs),
		                                  0);
		bool there = false;

		rc = is_noted(rs, c->keys[i], &there, e);
		if (rc == RC_OK && there && !rs->in_frame)
			rc = resolve_frame_begin(rs, e);
		if (rc == RC_OK && there)
			rc = resolve_add(rs, &r, e);
	}
	return rc == RC_OK && rs->in_frame ? resolve_frame_end(rs, e) : rc;
}
