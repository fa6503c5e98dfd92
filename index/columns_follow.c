/* columns_follow - columns that nobody has, asked and brought on where they are. See columns.h.
 *
 * Both are done under the store's lock, for a few messages: who takes columns waits less than for a copy of a row.
 */
#include "index/columns_impl.h"

#include "index/ingest.h"
#include "index/volume_impl.h"

#define RANGES_MAX 8u           /* expunged, and */
#define MOVED_MAX  2048u        /* rows behind the first of them */

/* The store's lock is held, here and below. NULL: they are of another time, or there are none. */
static struct columns *
find_at(struct column_store *s, mailbox_id mailbox, mail_modseq at)
{
	struct columns *c = columns_find_kept(s, mailbox);

	return c != NULL && at != 0 && columns_at(c) == at ? c : NULL;
}

static struct column_row *
find_row(struct columns *c, mail_uid uid)
{
	size_t i = columns_seek(c, uid);

	return i < c->count && c->rows[i].uid == uid ? &c->rows[i] : NULL;
}

/* Sets of keywords that are new here have an id that only the index knows. */
static bool
knows_all(struct columns *c, const struct change_store *s)
{
	for (uint32_t i = 0; i < s->row_count; i++) {
		const struct column_row *row = find_row(c, s->rows[i].uid);

		if (row == NULL || !slice_eq(columns_keywords(c, row), s->rows[i].keywords))
			return false;
	}
	return true;
}

static void
follow_store(struct column_store *store, const struct change_store *s)
{
	struct columns *c = s->rows != NULL ? find_at(store, s->mailbox, s->before) : NULL;

	if (s->modseq == 0 || c == NULL || !knows_all(c, s))
		return;
	for (uint32_t i = 0; i < s->row_count; i++) {
		struct column_row *row = find_row(c, s->rows[i].uid);

		if (s->rows[i].modseq != s->modseq)
			continue;
		row->flags = s->rows[i].flags;
		row->modseq = s->modseq;
	}
	c->modseq = s->modseq;
}

static void
follow_expunge(struct column_store *s, mailbox_id mailbox, const struct uid_set *gone,
               mail_modseq before, mail_modseq now)
{
	struct columns *c = find_at(s, mailbox, before);

	if (now == 0 || c == NULL || gone->count == 0 || gone->count > RANGES_MAX ||
	    c->count - columns_seek(c, gone->ranges[0].first) > MOVED_MAX)
		return;
	for (size_t i = gone->count; i > 0; i--) {
		size_t from = columns_seek(c, gone->ranges[i - 1].first);
		size_t to = columns_seek(c, gone->ranges[i - 1].last + 1);

		memmove(&c->rows[from], &c->rows[to], (c->count - to) * sizeof *c->rows);
		c->count -= to - from;
	}
	c->modseq = now;
}

/* MODSEQs have no gaps, so nothing came between. */
static void
follow_message(struct column_store *s, const struct append_message *m, const struct append_target *t)
{
	struct columns *c = find_at(s, t->mailbox, t->modseq - 1);

	if (c == NULL || m->keywords.len > 0 || c->count == c->cap ||
	    (c->count > 0 && c->rows[c->count - 1].uid >= t->uid))
		return;
	c->rows[c->count++] = (struct column_row){
		.uid = t->uid,
		.modseq = t->modseq,
		.flags = m->flags,
		.internaldate = m->internaldate.sec,
		.zone = m->internaldate.zone_min,
		.savedate = t->savedate.sec,
		.savezone = t->savedate.zone_min,
		.threadid = t->threadid,
		.size = ingested_size(m->content),
		.text_at = TEXT_NONE,
	};
	c->modseq = t->modseq;
}

static void
follow_append(struct column_store *s, const struct change_append *a)
{
	for (uint32_t i = 0; i < a->message_count; i++) {
		const struct append_message *m = &a->messages[i];

		for (uint32_t k = 0; k < m->target_count; k++)
			if (m->targets[k].rc == RC_OK && !m->targets[k].suppressed)
				follow_message(s, m, &m->targets[k]);
	}
}

void
columns_follow(struct volume *v, const struct change *c)
{
	const struct change_expunge *x = &c->u.expunge;
	const struct change_copy *m = &c->u.copy;

	(void)pthread_mutex_lock(&v->columns->lock);
	if (c->kind == CHANGE_STORE)
		follow_store(v->columns, &c->u.store);
	else if (c->kind == CHANGE_EXPUNGE)
		follow_expunge(v->columns, x->mailbox, &x->expunged, x->before, x->modseq);
	else if (c->kind == CHANGE_MOVE && m->source != m->target)
		follow_expunge(v->columns, m->source, &m->source_uids, m->source_before,
		               m->source_modseq);
	else if (c->kind == CHANGE_APPEND)
		follow_append(v->columns, &c->u.append);
	(void)pthread_mutex_unlock(&v->columns->lock);
}

static bool
copy_row(struct columns *c, mail_uid uid, struct arena *a, struct message_row *out)
{
	const struct column_row *row = find_row(c, uid);

	if (row == NULL)
		return false;
	*out = (struct message_row){ .uid = uid,
		                     .flags = row->flags,
		                     .keywords = arena_dup(a, columns_keywords(c, row)),
		                     .modseq = columns_modseq(c, row),
		                     .internaldate = { row->internaldate, row->zone },
		                     .savedate = { row->savedate, row->savezone },
		                     .threadid = row->threadid,
		                     .size = row->size };
	return out->keywords.ptr != NULL;
}

static bool
copy_rows(struct columns *c, const struct uid_set *uids, struct arena *a, struct message_row *out)
{
	for (size_t i = 0; i < uids->count; i++) {
		for (mail_uid uid = uids->ranges[i].first;; uid++) {
			if (!copy_row(c, uid, a, out++))
				return false;
			if (uid == uids->ranges[i].last)
				break;
		}
	}
	return true;
}

bool
columns_peek(struct volume *v, mailbox_id mailbox, mail_modseq at, const struct uid_set *uids,
             struct arena *a, struct message_row *out)
{
	struct columns *c;
	bool ok;

	(void)pthread_mutex_lock(&v->columns->lock);
	c = find_at(v->columns, mailbox, at);
	ok = c != NULL && copy_rows(c, uids, a, out);
	(void)pthread_mutex_unlock(&v->columns->lock);
	return ok;
}

static bool
copy_uids(const struct columns *c, mail_uid end, struct uid_set *out)
{
	size_t first = 0;

	for (size_t i = 0; i < c->count && c->rows[i].uid < end; i++) {
		bool last = i + 1 == c->count || c->rows[i + 1].uid != c->rows[i].uid + 1 || c->rows[i + 1].uid >= end;

		if (!last)
			continue;
		if (!uid_set_add(out, c->rows[first].uid, c->rows[i].uid))
			return false;
		first = i + 1;
	}
	return true;
}

bool
columns_uids(struct volume *v, mailbox_id mailbox, mail_modseq at, mail_uid end, struct uid_set *out)
{
	struct columns *c;
	bool ok;

	(void)pthread_mutex_lock(&v->columns->lock);
	c = find_at(v->columns, mailbox, at);
	ok = c != NULL && c->count <= COLUMNS_LIGHT_ROWS && copy_uids(c, end, out);
	(void)pthread_mutex_unlock(&v->columns->lock);
	return ok;
}
