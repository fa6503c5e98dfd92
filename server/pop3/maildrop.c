/* maildrop - INBOX as it was at login, and what QUIT does to it. */
#define _GNU_SOURCE
#include "server/pop3/pop3.h"

#include <stdlib.h>

#define ROWS_PER_STEP 2000u

void
pop3_maildrop_free(struct pop3_maildrop *drop)
{
	for (uint32_t i = 0; i < drop->count; i++)
		free(drop->messages[i].uidl);
	free(drop->messages);
	*drop = (struct pop3_maildrop){ 0 };
}

static bool
maildrop_push(struct pop3_maildrop *drop, const struct message_row *row)
{
	if (drop->count == drop->cap) {
		uint32_t cap = drop->cap > 0 ? drop->cap * 2 : 64;
		struct pop3_message *grown = realloc(drop->messages, cap * sizeof *grown);

		if (grown == NULL)
			return false;
		drop->messages = grown;
		drop->cap = cap;
	}
	drop->messages[drop->count++] = (struct pop3_message){ .size = row->size, .uid = row->uid };
	drop->size += row->size;
	return true;
}

static enum rc
maildrop_begin(struct pop3 *p, struct err *e)
{
	struct mailbox_info box;
	enum rc rc = volume_find_mailbox(p->volume, p->account, SLICE("INBOX"), &p->arena, &box, e);

	if (rc != RC_OK)
		return rc;
	p->drop.mailbox = box.id;
	p->drop.uidvalidity = box.uidvalidity;
	p->drop.uidnext = box.uidnext;
	p->drop.messages = malloc((box.exists + 1) * sizeof *p->drop.messages);
	if (p->drop.messages == NULL)
		return err_nomem(e);
	p->drop.cap = box.exists + 1;
	return RC_OK;
}

/* ---- unique-ids ---- */

/* Does it look like one that we make for this maildrop? Judged without a look at the messages, so
 * that an answer told once stays. */
static bool
is_ours(const struct pop3_maildrop *drop, struct slice text)
{
	char own[POP3_UIDL_SIZE];

	pop3_uidl_own(drop, 0, own);
	return text.len == POP3_UIDL_SIZE - 1 &&
	       slice_starts_nocase(text, slice_sub(slice_str(own), 0, 8));
}

static int
compare_uidls(const void *a, const void *b)
{
	const struct pop3_message *const *x = a, *const *y = b;
	int by_text = slice_cmp(slice_str((*x)->uidl), slice_str((*y)->uidl));

	return by_text != 0 ? by_text : (*x)->uid < (*y)->uid ? -1 : 1;
}

/* Of two messages with one unique-id the second falls back to our own: they must differ
 * [RFC 1939 s7]. */
static enum rc
make_unique(struct pop3_maildrop *drop, struct err *e)
{
	struct pop3_message **given = malloc((drop->count + 1) * sizeof *given);
	uint32_t n = 0, kept = 0;

	if (given == NULL)
		return err_nomem(e);
	for (uint32_t i = 0; i < drop->count; i++)
		if (drop->messages[i].uidl != NULL)
			given[n++] = &drop->messages[i];
	if (n > 0)
		qsort(given, n, sizeof *given, compare_uidls);
	for (uint32_t i = 0; i < n; i++) {
		bool again = kept > 0 && strcmp(given[kept - 1]->uidl, given[i]->uidl) == 0;

		if (again || is_ours(drop, slice_str(given[i]->uidl))) {
			free(given[i]->uidl);
			given[i]->uidl = NULL;
		} else {
			given[kept++] = given[i];
		}
	}
	free(given);
	return RC_OK;
}

/* A page of those that were taken over; the messages are loaded, both are in the order of UIDs. */
static enum rc
uidl_page(struct pop3 *p, bool *more, struct err *e)
{
	struct message_uidl *rows;
	uint32_t k = 0;
	size_t n = 0;
	enum rc rc;

	arena_reset(&p->arena);
	rc = volume_list_uidls(p->volume, p->drop.mailbox, p->drop.uidl_from, ROWS_PER_STEP,
	                       &p->arena, &rows, &n, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n; i++) {
		while (k < p->drop.count && p->drop.messages[k].uid < rows[i].uid)
			k++;
		if (k == p->drop.count || p->drop.messages[k].uid != rows[i].uid ||
		    rows[i].text.len == 0)
			continue;
		free(p->drop.messages[k].uidl);
		p->drop.messages[k].uidl = slice_strdup(rows[i].text);
		if (p->drop.messages[k].uidl == NULL)
			return err_nomem(e);
	}
	*more = n == ROWS_PER_STEP;
	if (*more)
		p->drop.uidl_from = rows[n - 1].uid + 1;
	else
		p->drop.uidl_done = true;
	return *more ? RC_OK : make_unique(&p->drop, e);
}

/* ---- loading ---- */

/* The next page of rows; *more tells if there may be others. */
static enum rc
maildrop_page(struct pop3 *p, bool *more, struct err *e)
{
	mail_uid from = p->drop.count > 0 ? p->drop.messages[p->drop.count - 1].uid + 1 : 1;
	struct uid_range all = { 1, p->drop.uidnext - 1 };
	struct uid_set set = { .ranges = &all, .count = 1, .cap = 1, .max = 1 };
	struct message_row *rows;
	size_t n = 0;
	enum rc rc;

	*more = false;
	if (p->drop.loaded || from >= p->drop.uidnext) {
		p->drop.loaded = true;
		return RC_OK;
	}
	arena_reset(&p->arena);
	rc = volume_read_messages(p->volume, p->drop.mailbox, &set, from, ROWS_PER_STEP, 0,
	                          &p->arena, &rows, &n, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (!maildrop_push(&p->drop, &rows[i]))
			return err_nomem(e);
	*more = n == ROWS_PER_STEP;
	p->drop.loaded = !*more;
	return RC_OK;
}

enum step_result
pop3_maildrop_load(struct pop3 *p)
{
	struct err e = ERR_INIT;
	bool more = false;
	enum rc rc = RC_OK;

	if (p->drop.mailbox == 0)
		rc = maildrop_begin(p, &e);
	if (rc == RC_OK)
		rc = maildrop_page(p, &more, &e);
	if (rc == RC_OK && !more && !p->drop.uidl_done)
		rc = uidl_page(p, &more, &e);
	if (rc != RC_OK) {
		pop3_internal_error(p, "pop3.maildrop.error", &e);
		return STEP_CLOSE;
	}
	if (more)
		return STEP_MORE;
	p->state = POP3_TRANSACTION;
	session_set_timeout(p->s, 0);
	pop3_ok(p, "%u messages (%llu octets)", p->drop.count, (unsigned long long)p->drop.size);
	return STEP_DONE;
}

struct pop3_message *
pop3_maildrop_get(struct pop3 *p, struct slice number)
{
	uint64_t n;

	if (!slice_to_u64(number, UINT32_MAX, &n) || n == 0) {
		pop3_err(p, "A message number is expected");
		return NULL;
	}
	if (n > p->drop.count) {
		pop3_err(p, "No such message, there are %u", p->drop.count);
		return NULL;
	}
	if (p->drop.messages[n - 1].deleted) {
		pop3_err(p, "Message %u is marked to be deleted", (unsigned)n);
		return NULL;
	}
	return &p->drop.messages[n - 1];
}

/* QUIT [RFC 1939 s5, s6]: in the AUTHORIZATION state only goodbye; else the UPDATE state, when
 * messages go. */
enum session_next
pop3_start_quit(struct pop3 *p, struct slice arg, bool has_arg)
{
	(void)arg;
	if (has_arg)
		return pop3_err(p, "QUIT takes no argument");
	p->closing = true;
	if (p->drop.deleted == 0)
		return pop3_ok(p, "Goodbye");
	return NEXT_STEP;
}

static void
quit_answered(struct change *c, void *arg)
{
	(void)c;
	session_wake(arg, false);
}

static bool
quit_submit(struct pop3 *p)
{
	struct change *c = change_new(CHANGE_EXPUNGE);

	if (c == NULL)
		return false;
	c->u.expunge.mailbox = p->drop.mailbox;
	c->u.expunge.any = true;
	for (uint32_t i = 0; i < p->drop.count; i++) {
		const struct pop3_message *m = &p->drop.messages[i];

		if (m->deleted)
			uid_set_add(&c->u.expunge.uids, m->uid, m->uid);
	}
	if (c->u.expunge.uids.failed) {
		change_free(&c);
		return false;
	}
	c->who = (struct frame_who){ .account = p->account, .session = session_id(p->s),
	                             .protocol = PROTO_POP3 };
	c->done = quit_answered;
	c->done_arg = p->s;
	p->change = c;
	volume_submit(p->volume, c);
	return true;
}

enum step_result
pop3_step_quit(struct pop3 *p)
{
	if (p->change == NULL) {
		if (quit_submit(p))
			return STEP_WAIT;
		pop3_err(p, "[SYS/TEMP] Out of memory, nothing was deleted");
		return STEP_DONE;
	}
	if (p->change->rc == RC_OK || p->change->durable)
		pop3_ok(p,
		        p->drop.deleted == 1 ? "%u message deleted, goodbye"
		                             : "%u messages deleted, goodbye",
		        p->drop.deleted);
	else
		pop3_internal_error(p, "pop3.quit.error", &p->change->err);
	change_free(&p->change);
	return STEP_DONE;
}
