/* remote_imap_walk - the messages of the mailboxes, one after the other. See remote_imap.h.
 *
 * A mailbox is opened with EXAMINE and its UIDs are searched for. Then, in chunks, flags, dates and
 * sizes are fetched of messages, and, one command for each message and several commands ahead,
 * their texts. One command for each, because then a message that the server cannot read fails
 * alone. How many are asked for ahead grows while texts are read and is none when the reader passes
 * messages over. Responses are told apart by UID, so the server may answer in any order and put in
 * what it likes.
 *
 * When a connection breaks, a new one goes on: with the mailbox, if its UIDVALIDITY is the same,
 * and with the text at the octet where it was, for which the text is asked for again and its
 * beginning read over. A message over which connections break again and again is passed over.
 */
#include "tools/remote_imap.h"

#include <stdio.h>
#include <unistd.h>

/* ---- opening a mailbox ---- */

/* EXAMINE [RFC 9051 s6.3.3]: what SELECT does without changing anything, \Recent included. */
static enum rc
examine(struct imap *i, const struct imap_box *box, struct err *e)
{
	i->walk.uidvalidity = i->walk.uidnext = i->walk.exists = 0;
	i->walk.sticky = true;
	imap_begin(i, "EXAMINE ");
	if (imap_add_string(i, box->wire, e) != RC_OK)
		return e->code;
	return imap_run(i, NULL, NULL, e);
}

/* A connection as good as the one before: the same mailbox open. RC_CANCELLED: there is
 * none to be had. */
static enum rc
reconnect(struct imap *i, struct err *e)
{
	const struct imap_box *box = i->walk.box;
	uint32_t uidvalidity = i->walk.uidvalidity;
	struct err first = *e, last;
	enum rc rc = RC_IO;

	for (unsigned try = 0; try < 3 && rc == RC_IO; try++) {
		sleep(try);
		rc = imap_connect(i, e);
	}
	if (rc == RC_OK && box != NULL) {
		rc = examine(i, box, e);
		if (rc == RC_OK && i->walk.uidvalidity != uidvalidity)
			rc = err_set(e, RC_CORRUPT,
			    "%s: %.*s: its UIDVALIDITY has changed while it was read", i->server,
			    SLICE_ARG(box->name));
	}
	for (size_t n = 0; n < i->walk.count; n++)
		i->walk.entries[n].tag = 0;
	i->walk.next = i->walk.at;
	if (rc == RC_OK)
		return RC_OK;
	last = *e;
	return err_set(e, RC_CANCELLED, "%s (after: %s)", last.text, first.text);
}

/* Something failed. RC_OK: it was the connection, there is a new one, try again;
 * else what failed. */
static enum rc
again(struct imap *i, struct err *e)
{
	if (!i->broken || (e->code != RC_IO && e->code != RC_SYNTAX && e->code != RC_LIMIT))
		return e->code;
	if (++i->breaks > IMAP_BREAKS_MAX)
		return e->code;
	return reconnect(i, e);
}

/* UID SEARCH ALL would do, but some servers take "1:*" from an index. [RFC 9051 s6.4.4] */
static enum rc
search_all(struct imap *i, struct err *e)
{
	enum rc rc;

	uid_set_reset(&i->walk.todo);
	if (i->walk.exists == 0)
		return RC_OK;
	imap_begin(i, "UID SEARCH UID 1:*");
	i->found = &i->walk.todo;
	rc = imap_run(i, NULL, NULL, e);
	i->found = NULL;
	uid_set_sort(&i->walk.todo);
	if (rc == RC_OK && uid_set_size(&i->walk.todo) > IMAP_MESSAGES_MAX)
		return err_set(e, RC_CORRUPT, "the server finds more than %u messages in it",
		    IMAP_MESSAGES_MAX);
	return rc;
}

/* What the URL says of it holds? */
static enum rc
check_uidvalidity(struct imap *i, struct err *e)
{
	uint32_t wanted = i->remote->url.uidvalidity;

	if (wanted != 0 && i->walk.uidvalidity != wanted)
		return err_set(e, RC_DENIED, "its UIDVALIDITY is %u, not %u", i->walk.uidvalidity,
		               wanted);
	if (i->options->keep_uids && (!i->walk.sticky || i->walk.uidvalidity == 0))
		return err_set(e, RC_DENIED,
		               "the server gives it other UIDs each time, they cannot be kept");
	return RC_OK;
}

static enum rc
open_box(struct imap *i, struct imap_box *box, struct err *e)
{
	struct imap_walk *w = &i->walk;

	w->box = NULL;
	w->after = 0;
	w->count = w->at = w->next = 0;
	w->window = 1;
	for (;;) {
		if (examine(i, box, e) == RC_OK && check_uidvalidity(i, e) == RC_OK &&
		    search_all(i, e) == RC_OK)
			break;
		if (again(i, e) != RC_OK)
			return e->code;
	}
	w->box = box;
	i->breaks = 0;
	return RC_OK;
}

/* ---- a chunk ---- */

static struct imap_entry *
find_entry(struct imap_walk *w, mail_uid uid)
{
	size_t low = 0, high = w->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (w->entries[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < w->count && w->entries[low].uid == uid ? &w->entries[low] : NULL;
}

/* What a FETCH says of a message in the chunk, asked for or not. */
static enum rc
take_fetch(struct imap *i, const struct remote_response *r, void *arg, struct err *e)
{
	const struct remote_fetch *f = &r->fetch;
	struct imap_entry *entry;

	(void)arg;
	if (r->kind != RESPONSE_FETCH || !f->has_uid)
		return RC_OK;
	entry = find_entry(&i->walk, f->uid);
	if (entry == NULL)
		return RC_OK;
	if (f->has_flags) {
		entry->flags = f->flags;
		entry->keywords = arena_dup(&i->walk.arena, f->keywords);
		if (entry->keywords.ptr == NULL)
			return err_set(e, RC_LIMIT, "the messages have too many keywords");
	}
	if (f->has_date) {
		entry->has_date = true;
		entry->date = f->date;
	}
	if (f->has_size)
		entry->size = f->size;
	entry->known = entry->known || f->has_flags || f->has_date || f->has_size;
	return RC_OK;
}

/* The entries' UIDs as a set. */
static bool
add_set(struct imap *i)
{
	struct uid_set set;
	bool ok = true;

	uid_set_init(&set, IMAP_CHUNK);
	for (size_t n = 0; n < i->walk.count; n++)
		ok = ok && uid_set_add(&set, i->walk.entries[n].uid, i->walk.entries[n].uid);
	ok = ok && uid_set_format(&set, &i->out);
	uid_set_fini(&set);
	return ok;
}

#define ITEMS " (UID FLAGS INTERNALDATE RFC822.SIZE)"

static enum rc
fetch_items(struct imap *i, struct err *e)
{
	imap_begin(i, "UID FETCH ");
	if (!add_set(i))
		return err_nomem(e);
	imap_add(i, ITEMS);
	return imap_run(i, take_fetch, NULL, e);
}

/* The chunk was refused as a whole, or not all of it came: ask one by one for what is not known.
 * Messages that the server does not know any more give no response; of others it says NO. */
static enum rc
fetch_items_singly(struct imap *i, struct err *e)
{
	for (size_t n = 0; n < i->walk.count; n++) {
		struct imap_entry *entry = &i->walk.entries[n];
		char command[80];

		if (entry->known)
			continue;
		snprintf(command, sizeof command, "UID FETCH %u" ITEMS, entry->uid);
		imap_begin(i, command);
		if (imap_run(i, take_fetch, NULL, e) == RC_OK)
			continue;
		if (i->broken)
			return e->code;
		entry->known = entry->refused = true;
		snprintf(entry->why, sizeof entry->why, "%.*s", REMOTE_TEXT_MAX - 1, e->text);
	}
	return RC_OK;
}

/* The UIDs behind those of the chunk before. */
static void
begin_chunk(struct imap_walk *w)
{
	mail_uid uid = w->after == UINT32_MAX ? 0 : uid_set_next(&w->todo, w->after + 1);

	arena_reset(&w->arena);
	w->count = w->at = w->next = 0;
	while (uid != 0 && w->count < IMAP_CHUNK) {
		w->entries[w->count++] = (struct imap_entry){ .uid = uid };
		w->after = uid;
		uid = uid == UINT32_MAX ? 0 : uid_set_next(&w->todo, uid + 1);
	}
}

/* Texts asked for and not read are still on their way. */
static enum rc
drain(struct imap *i, struct err *e)
{
	while (i->walk.outstanding > 0) {
		if (imap_read(i, e) != RC_OK)
			return e->code;
		if (i->resp.at_text && !remote_response_resume(&i->lex, &i->resp))
			return imap_break(i, e);
	}
	return RC_OK;
}

static enum rc
read_chunk(struct imap *i, struct err *e)
{
	enum rc rc = drain(i, e);

	begin_chunk(&i->walk);
	while (i->walk.count > 0) {
		if (rc == RC_OK)
			rc = fetch_items(i, e);
		if (rc == RC_OK || !i->broken)
			rc = fetch_items_singly(i, e);
		if (rc == RC_OK || again(i, e) != RC_OK)
			break;
		rc = RC_OK;
	}
	if (rc == RC_OK || i->walk.count == 0)
		i->breaks = 0;
	return i->walk.count == 0 ? RC_OK : rc;
}

/* ---- texts ---- */

void
imap_walk_answered(struct imap *i)
{
	struct imap_walk *w = &i->walk;
	unsigned tag = imap_tag(i);
	size_t n = 0;

	while (n < w->count && w->entries[n].tag != tag)
		n++;
	if (tag == 0 || n == w->count || w->entries[n].answered)
		return;
	w->entries[n].answered = true;
	w->outstanding--;
	w->outstanding_bytes -= w->entries[n].size;
	if (i->resp.condition == CONDITION_OK)
		return;
	w->entries[n].refused = true;
	remote_text(w->entries[n].why, i->resp.text);
}

static void
ask(struct imap *i, struct imap_entry *entry)
{
	char command[60];

	snprintf(command, sizeof command, "UID FETCH %u (UID BODY.PEEK[])", entry->uid);
	imap_begin(i, command);
	entry->tag = imap_queue(i);
	entry->answered = entry->refused = false;
	entry->asked++;
	i->walk.outstanding++;
	i->walk.outstanding_bytes += entry->size;
}

/* Ask for the text of the message told, and for as many behind it as the window lets. */
static enum rc
ask_ahead(struct imap *i, struct err *e)
{
	struct imap_walk *w = &i->walk;

	if (w->next < w->at)
		w->next = w->at;
	while (w->next < w->count && (w->next == w->at || (w->next - w->at < w->window &&
	    w->outstanding_bytes + w->entries[w->next].size <= IMAP_WINDOW_BYTES))) {
		struct imap_entry *entry = &w->entries[w->next++];

		if (entry->known && !entry->refused)
			ask(i, entry);
	}
	return i->out.len > 0 ? imap_flush(i, e) : RC_OK;
}

/* Without a UID before its text a response belongs to the message told if nothing else is under
 * way before it. */
static bool
is_told(const struct imap *i, const struct remote_fetch *f)
{
	const struct imap_walk *w = &i->walk;

	if (f->has_uid)
		return f->uid == w->entries[w->at].uid;
	for (size_t n = 0; n < w->at; n++) {
		if (w->entries[n].tag != 0 && !w->entries[n].answered)
			return false;
	}
	return true;
}

/* Read up to the text of the message told. RC_NOT_FOUND: there is none any more; RC_CORRUPT: the
 * server cannot. */
static enum rc
find_text(struct imap *i, struct err *e)
{
	struct imap_entry *entry = &i->walk.entries[i->walk.at];

	if (entry->refused)
		return err_set(e, RC_CORRUPT, "the server says: %s", entry->why);
	if (ask_ahead(i, e) != RC_OK)
		return e->code;
	for (;;) {
		if (entry->answered && entry->refused)
			return err_set(e, RC_CORRUPT, "the server says: %s", entry->why);
		if (entry->answered && entry->asked > 1)
			return err_set(e, RC_NOT_FOUND, "it is gone there since it was found");
		if (entry->answered) {          /* it may have come too early: ask once more */
			ask(i, entry);
			if (imap_flush(i, e) != RC_OK)
				return e->code;
		}
		if (imap_read(i, e) != RC_OK)
			return e->code;
		if (i->resp.at_text && is_told(i, &i->resp.fetch))
			return RC_OK;
		if (i->resp.at_text && !remote_response_resume(&i->lex, &i->resp))
			return imap_break(i, e);
		if (take_fetch(i, &i->resp, NULL, e) != RC_OK)
			return e->code;
	}
}

/* The text, from the octet that was not read before. */
static enum rc
begin_text(struct imap *i, struct err *e)
{
	struct imap_walk *w = &i->walk;
	struct slice piece;
	uint64_t skip = w->got;

	if (find_text(i, e) != RC_OK)
		return e->code;
	w->reading = true;
	if (skip > 0 && i->resp.text_len != w->len)
		return err_set(e, RC_CORRUPT, "the server gives it another length each time");
	w->len = i->resp.text_len;
	while (skip > 0) {
		if (!remote_response_text(&i->lex, &i->resp,
		                          (size_t)(skip < SIZE_MAX ? skip : SIZE_MAX), &piece))
			return imap_break(i, e);
		skip -= piece.len;
	}
	return RC_OK;
}

/* Behind the text: is it the message's? */
static enum rc
end_text(struct imap *i, struct err *e)
{
	struct imap_walk *w = &i->walk;

	if (!remote_response_resume(&i->lex, &i->resp))
		return imap_break(i, e);
	w->reading = false;
	w->done = true;
	i->breaks = i->lost = 0;
	if (w->window < IMAP_WINDOW_MAX)
		w->window *= 2;
	if (i->resp.fetch.has_uid && i->resp.fetch.uid != w->entries[w->at].uid)
		return err_set(e, RC_CORRUPT, "the server sends message %u in its place",
		               i->resp.fetch.uid);
	return RC_OK;
}

static enum rc
read_piece(struct imap *i, size_t size, struct slice *piece, struct err *e)
{
	struct imap_walk *w = &i->walk;

	*piece = SLICE_NONE;
	if (!w->reading && begin_text(i, e) != RC_OK)
		return e->code;
	if (!remote_response_text(&i->lex, &i->resp, size, piece))
		return imap_break(i, e);
	if (piece->len == 0)
		return end_text(i, e);
	w->got += piece->len;
	i->breaks = 0;
	remote_lex_welcome(&i->lex);
	return RC_OK;
}

/* What a failed message means to the import: RC_CANCELLED ends it, all else is
 * about this message. */
static enum rc
lose_message(struct imap *i, struct err *e)
{
	enum rc rc = e->code;

	i->walk.done = true;
	if (rc == RC_CANCELLED || rc == RC_NOMEM || rc == RC_DENIED)
		return e->code = RC_CANCELLED;
	(void)err_add(e, "%s", i->server);
	if (!i->broken)
		return rc == RC_CORRUPT || rc == RC_NOT_FOUND ? rc : (e->code = RC_IO);
	if (++i->lost > IMAP_BREAKS_MAX)
		return e->code = RC_CANCELLED;
	return reconnect(i, e) == RC_OK
	           ? err_set(e, RC_IO, "%s: the connection breaks each time", i->server)
	           : RC_CANCELLED;
}

enum rc
imap_source_read(void *state, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct imap *i = state;
	struct slice piece = SLICE_NONE;

	*got = 0;
	if (i->walk.done)
		return RC_OK;
	while (read_piece(i, size, &piece, e) != RC_OK) {
		if (again(i, e) != RC_OK)
			return lose_message(i, e);
	}
	if (piece.len > 0)
		memcpy(to, piece.ptr, piece.len);
	*got = piece.len;
	return RC_OK;
}

/* ---- what comes next ---- */

static void
complain(struct imap *i, const struct imap_box *box, const struct err *e)
{
	struct err copy = *e;

	(void)err_add(&copy, "%s: %.*s", i->server, SLICE_ARG(box->name));
	i->options->complain(i->options->complain_arg, copy.text);
}

/* Printable ASCII, and different for every message of the server for ever. */
static struct slice
make_key(struct imap *i, mail_uid uid)
{
	struct slice wire = i->walk.box->wire, out;
	struct buf b;

	buf_init(&b, 65536);
	for (size_t n = 0; n < wire.len; n++) {
		if (wire.ptr[n] > 0x20 && wire.ptr[n] < 0x7f && wire.ptr[n] != '%')
			buf_append_byte(&b, wire.ptr[n]);
		else
			buf_printf(&b, "%%%02X", wire.ptr[n]);
	}
	buf_printf(&b, ";UIDVALIDITY=%u/;UID=%u", i->walk.uidvalidity, uid);
	out = arena_dup(&i->told, buf_slice(&b));
	buf_fini(&b);
	return i->walk.sticky && i->walk.uidvalidity != 0 ? out : SLICE_NONE;
}

/* What POP3 calls a message there: it shows INBOX only. */
static struct slice
make_uidl(struct imap *i, mail_uid uid)
{
	const char *format = i->remote->uidl_format;
	struct slice out = SLICE_NONE;
	struct buf b;

	if (format == NULL || !i->walk.sticky ||
	    !slice_eq_nocase(i->walk.box->wire, SLICE("INBOX")))
		return out;
	buf_init(&b, 200);
	if (remote_uidl_make(format, uid, i->walk.uidvalidity, &b))
		out = arena_dup(&i->told, buf_slice(&b));
	buf_fini(&b);
	return out;
}

static void
tell_message(struct imap *i, struct import_item *out)
{
	struct imap_walk *w = &i->walk;
	const struct imap_entry *entry = &w->entries[w->at];

	w->done = false;
	w->got = w->len = 0;
	out->event = IMPORT_MESSAGE;
	out->message = (struct import_message){
		.label = arena_printf(&i->told, "%.*s UID %u", SLICE_ARG(w->box->name), entry->uid),
		.key = make_key(i, entry->uid),
		.flags = entry->flags,
		.keywords = entry->keywords,
		.internaldate = entry->date,
		.uid = w->sticky ? entry->uid : 0,
		.uidl = make_uidl(i, entry->uid),
		.size = entry->size,
	};
}

static void
tell_mailbox(struct imap *i, const struct imap_box *box, struct import_item *out)
{
	out->event = box->exists ? IMPORT_MAILBOX : IMPORT_SUBSCRIPTION;
	out->mailbox = (struct import_mailbox){ .name = box->name, .subscribe = box->subscribed };
	if (!box->exists)
		return;
	out->mailbox.uidvalidity = i->walk.uidvalidity;
	out->mailbox.uidnext = i->walk.uidnext;
	out->mailbox.special_use = box->special_use;
}

/* The next message of the chunk. False: there is none. */
static bool
next_entry(struct imap_walk *w)
{
	for (size_t n = w->at; n < w->count; n++) {
		if (w->entries[n].known) {
			w->at = n;
			return true;
		}
	}
	w->at = w->count;
	return false;
}

/* Leave the message told. One that was not read makes us ask for less ahead. */
static enum rc
leave_message(struct imap *i, struct err *e)
{
	struct imap_walk *w = &i->walk;
	enum rc rc = RC_OK;

	if (w->at < w->count && !w->done)
		w->window = 1;
	if (w->reading && !remote_response_resume(&i->lex, &i->resp))
		rc = imap_break(i, e);
	w->reading = false;
	if (w->at < w->count)
		w->at++;
	return rc != RC_OK ? again(i, e) : RC_OK;
}

/* The next mailbox that can be opened, or subscription. */
static enum rc
next_box(struct imap *i, struct import_item *out, struct err *e)
{
	for (; i->next_box != NULL; i->next_box = i->next_box->next) {
		struct imap_box *box = i->next_box;

		if (box->exists && open_box(i, box, e) != RC_OK) {
			if (i->broken || e->code == RC_CANCELLED)
				return err_add(e, "%s: %.*s", i->server, SLICE_ARG(box->name));
			complain(i, box, e);
			continue;
		}
		i->next_box = box->next;
		tell_mailbox(i, box, out);
		return RC_OK;
	}
	out->event = IMPORT_END;
	return RC_OK;
}

enum rc
imap_source_next(void *state, struct import_item *out, struct err *e)
{
	struct imap *i = state;
	struct imap_walk *w = &i->walk;

	*out = (struct import_item){ .event = IMPORT_END };
	arena_reset(&i->told);
	if (w->box == NULL)
		return next_box(i, out, e);
	if (leave_message(i, e) != RC_OK)
		return err_add(e, "%s: %.*s", i->server, SLICE_ARG(w->box->name));
	while (!next_entry(w)) {
		if (read_chunk(i, e) != RC_OK)
			return err_add(e, "%s: %.*s", i->server, SLICE_ARG(w->box->name));
		if (w->count == 0) {
			w->box = NULL;
			return next_box(i, out, e);
		}
	}
	tell_message(i, out);
	return RC_OK;
}
