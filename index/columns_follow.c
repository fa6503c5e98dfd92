/* columns_follow - columns that nobody has, asked and brought on where they are. See columns.h.
 *
 * Both are done under the store's lock, for a few messages: who takes columns waits less than for a copy of a row.
 */
#include "index/columns_impl.h"

#include "index/volume_impl.h"

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

void
columns_follow_store(struct volume *v, const struct change_store *s)
{
	struct columns *c;

	if (s->modseq == 0 || s->rows == NULL)
		return;
	(void)pthread_mutex_lock(&v->columns->lock);
	c = find_at(v->columns, s->mailbox, s->before);
	if (c != NULL && knows_all(c, s)) {
		for (uint32_t i = 0; i < s->row_count; i++) {
			struct column_row *row = find_row(c, s->rows[i].uid);

			if (s->rows[i].modseq != s->modseq)
				continue;
			row->flags = s->rows[i].flags;
			row->modseq = s->modseq;
		}
		c->modseq = s->modseq;
	}
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
		                     .modseq = columns_modseq(c, row) };
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
