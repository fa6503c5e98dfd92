/* columns_keep - texts of columns that nobody has at present go into the index. See columns.h and learnt.h.
 *
 * A block is copied under the store's lock, packed without it and written by the writer's thread between two batches, in a
 * transaction of its own. What was purged meanwhile is told by the store's life, which that thread changes.
 */
#include "index/columns_impl.h"

#include "index/learnt.h"
#include "index/volume_impl.h"
#include "store/space.h"

#define MISSING_MAX 16u         /* of the messages of a block, and an eighth more, may have no text */

struct keeping {
	struct volume *v;
	mailbox_id     mailbox;
	uint64_t       life;
	struct learnt  block;
	struct buf     packed;
};

static bool
is_worth_it(const struct learnt *b)
{
	return b->numbers.len + b->texts.len >= LEARNT_BLOCK / 2;
}

static void
begin_again(struct learnt *b)
{
	b->first = b->last = 0;
	buf_reset(&b->numbers);
	buf_reset(&b->texts);
}

/* From c->keep_from on, without those in between that the index has. False: what is left waits for more. */
static bool
fill_block(struct columns *c, struct learnt *b)
{
	size_t put = 0, missing = 0;
	struct slice text;

	begin_again(b);
	for (size_t i = columns_seek(c, c->keep_from); i < c->count; i++) {
		const struct column_row *r = &c->rows[i];

		if (!r->text_kept && columns_text(c, r, &text) && text.len <= LEARNT_TEXT_MAX) {
			if (!learnt_put(b, r->uid, text))
				return b->first != 0;
			put++;
			continue;
		}
		if (!r->text_kept && ++missing <= MISSING_MAX + put / 8)
			continue;
		if (is_worth_it(b))
			return true;
		begin_again(b);
		put = missing = 0;
		c->keep_from = r->uid;
	}
	return false;
}

/* False: there is none. */
static bool
find_block(struct column_store *s, struct keeping *k)
{
	bool found = false;

	(void)pthread_mutex_lock(&s->lock);
	for (struct columns *c = s->newest; c != NULL && !found; c = c->older) {
		if (!c->recalled || c->texts.len < LEARNT_BLOCK / 2)
			continue;
		found = fill_block(c, &k->block);
		k->mailbox = c->mailbox;
	}
	k->life = s->life;
	(void)pthread_mutex_unlock(&s->lock);
	return found;
}

/* Also if another had some of them there before: it is not tried again. */
static void
note_kept(struct column_store *s, const struct keeping *k)
{
	struct columns *c;

	(void)pthread_mutex_lock(&s->lock);
	c = s->life == k->life ? columns_find_kept(s, k->mailbox) : NULL;
	if (c != NULL) {
		for (size_t i = columns_seek(c, k->block.first);
		     i < c->count && c->rows[i].uid <= k->block.last; i++)
			c->rows[i].text_kept = c->rows[i].text_at != TEXT_NONE;
		c->keep_from = k->block.last;
	}
	(void)pthread_mutex_unlock(&s->lock);
}

static bool
is_of_now(struct column_store *s, const struct keeping *k)
{
	bool same;

	(void)pthread_mutex_lock(&s->lock);
	same = s->life == k->life;
	(void)pthread_mutex_unlock(&s->lock);
	return same;
}

/* The writer's thread. */
static enum rc
write_block(void *arg, struct err *e)
{
	struct keeping *k = arg;
	struct volume *v = k->v;
	enum rc rc;

	if (v->db == NULL || log_is_starved(v->log))
		return err_set(e, RC_BUSY, "the index takes nothing that can be done without");
	if (!is_of_now(v->columns, k))
		return RC_OK;
	rc = db_run(v->db, "BEGIN IMMEDIATE", DB_NO_ARGS, e);
	if (rc != RC_OK)
		return rc;
	rc = learnt_insert(v->db, k->mailbox, &k->block, buf_slice(&k->packed), e);
	if (rc == RC_OK)
		rc = wal_commit(&v->wal, v->db, e);
	if (rc == RC_OK)
		return RC_OK;
	index_roll_back(v);
	return rc;
}

static enum rc
keep_block(struct keeping *k, struct lz_packer *packer, struct err *e)
{
	enum rc rc;

	if (!find_block(k->v->columns, k))
		return err_set(e, RC_NOT_FOUND, "no block of texts is full");
	if (!learnt_pack(packer, &k->block, &k->packed))
		return err_nomem(e);
	rc = writer_run(k->v->writer, write_block, k, e);
	if (rc == RC_OK)
		note_kept(k->v->columns, k);
	else if (space_is_full(e->os))
		rc = err_set(e, RC_BUSY, "the disk is full");
	return rc;
}

enum rc
columns_keep_texts(struct volume *v, struct lz_packer *packer, struct err *e)
{
	struct keeping k = { .v = v };
	enum rc rc;

	learnt_init(&k.block);
	buf_init(&k.packed, LEARNT_PACKED);
	rc = keep_block(&k, packer, e);
	buf_fini(&k.packed);
	learnt_fini(&k.block);
	return rc;
}
