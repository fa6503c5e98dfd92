/* columns_recall - columns made of UIDs, and of texts that the index has. See columns.h. */
#include "index/columns_impl.h"

#include "index/learnt.h"
#include "index/mailbox_row.h"

#define RANGES_MAX   (1u << 20)
#define PIECE_BLOCKS 64u        /* some milliseconds */

static void
add_thin(struct columns *c, struct uid_range r)
{
	for (uint64_t uid = r.first; uid <= r.last; uid++)
		c->rows[c->count++] = (struct column_row){ .uid = (mail_uid)uid, .text_at = TEXT_NONE };
}

enum rc
columns_begin_thin(struct volume *v, struct columns *c, struct db *db,
                   const struct mailbox_info *now, struct err *e)
{
	struct uid_set uids;
	uint64_t n;
	enum rc rc;

	columns_empty(c);
	uid_set_init(&uids, RANGES_MAX);
	rc = mailbox_uids(db, c->mailbox, now->uidnext, &uids, e);
	n = uid_set_size(&uids);
	if (rc == RC_OK)
		rc = columns_make_room(v, c, n + n / 8 + 64, e);
	for (size_t i = 0; rc == RC_OK && i < uids.count; i++)
		add_thin(c, uids.ranges[i]);
	uid_set_fini(&uids);
	if (rc != RC_OK)
		return rc;
	c->modseq = now->highestmodseq;
	c->fill_from = 0;
	c->thin = true;
	return RC_OK;
}

/* The block's texts, and where in them each row's is. What is learnt already stays. No memory: they are left out. */
static void
take_block(struct volume *v, struct columns *c, struct learnt_walk *w)
{
	const uint8_t *texts = w->texts.ptr;
	size_t at = c->texts.len, i = columns_seek(c, w->uid + 1);
	struct slice text;
	mail_uid uid;

	if (!columns_text_room(v, c, w->texts.len))
		return;
	if (!buf_append_slice(&c->texts, w->texts)) {
		c->texts.failed = false;
		return;
	}
	while (learnt_next(w, &uid, &text)) {
		while (i < c->count && c->rows[i].uid < uid)
			i++;
		if (i == c->count)
			return;
		if (c->rows[i].uid != uid || c->rows[i].text_at != TEXT_NONE)
			continue;
		c->rows[i].text_at = (uint32_t)(at + (size_t)(text.ptr - texts));
		c->rows[i].text_len = (uint16_t)text.len;
		c->rows[i].text_kept = true;
	}
}

enum rc
columns_recall(struct volume *v, struct columns *c, struct db *db, struct err *e)
{
	uint8_t raw[LEARNT_ROOM];
	enum db_step step;
	uint32_t n = 0;
	sqlite3_stmt *q = learnt_query(db, c->mailbox, c->recalled_to, PIECE_BLOCKS, e);

	if (q == NULL)
		return e->code;
	while ((step = db_next(db, q, e)) == DB_ROW) {
		uint64_t first = db_u64(q, 0), last = db_u64(q, 1);
		struct learnt_walk w;

		if (first <= last && last <= UINT32_MAX &&
		    learnt_open(db_bytes(q, 2), (mail_uid)first, raw, &w))
			take_block(v, c, &w);
		c->recalled_to = last <= UINT32_MAX ? (mail_uid)last : UINT32_MAX;
		n++;
	}
	c->recalled = step == DB_DONE && (n < PIECE_BLOCKS || c->recalled_to == UINT32_MAX);
	return step == DB_DONE ? RC_OK : e->code;
}
