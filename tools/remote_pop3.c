/* remote_pop3 - a POP3 server as a source of import: its one maildrop as INBOX.
 * [RFC 1939, 2449, 2595, 5034]
 *
 * The list of messages with their UIDLs is read at the start; texts are asked for ahead where the
 * server can pipeline [RFC 2449 s6.8]. Nothing is deleted, so numbers stay the same during a
 * session [RFC 1939 s5]; on a new connection messages are found again by their UIDL, and without
 * UIDLs there is no going on.
 *
 * A text has no length but its end, so one that is not wanted (any more) is read over for
 * POP3_SKIP_MAX only; then the connection is given up for a new one.
 */
#include "tools/remote_pop3_impl.h"

#include "tools/remote_login.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AHEAD_MAX     8u
#define AHEAD_BYTES   (4u << 20)
#define POP3_SKIP_MAX (16u << 20)       /* above what may be asked for ahead */

/* ---- multi-line text ---- */

/* The state behind octet c of a line. */
static enum pop3_text
in_line(enum pop3_text before, uint8_t c)
{
	if (c == '\r')
		return POP3_CR;
	return c == '\n' && before == POP3_CR ? POP3_LINE_START : POP3_LINE;
}

size_t
pop3_text_read(enum pop3_text *state, struct slice *in, uint8_t *to, size_t size)
{
	size_t n = 0, used = 0;

	while (used < in->len && n + 2 <= size && *state != POP3_END) {
		uint8_t c = in->ptr[used++];

		if (*state == POP3_LINE_START && c == '.') {
			*state = POP3_DOT;
			continue;
		}
		if (*state == POP3_DOT && c == '\r') {
			*state = POP3_DOT_CR;
			continue;
		}
		if (*state == POP3_DOT_CR && c == '\n') {
			*state = POP3_END;
			break;
		}
		if (*state == POP3_DOT_CR) {            /* a line that begins with ".\r" */
			to[n++] = '\r';
			*state = POP3_CR;
		}
		to[n++] = c;
		*state = in_line(*state, c);
	}
	*in = slice_sub(*in, used, in->len);
	return n;
}

/* ---- texts ---- */

enum rc
pop3_reconnect(struct pop3 *p, struct err *e)
{
	struct err first = *e, last;
	enum rc rc = RC_IO;

	if (p->drops[p->at].uidl.len == 0)
		return e->code = RC_CANCELLED;
	for (unsigned try = 0; try < 3 && rc == RC_IO; try++) {
		sleep(try);
		rc = pop3_connect(p, e);
	}
	if (rc == RC_OK)
		rc = pop3_list_again(p, e);
	if (rc == RC_OK)
		return RC_OK;
	last = *e;
	return err_set(e, RC_CANCELLED, "%s (after: %s)", last.text, first.text);
}

/* Some of the present text, not NULL-ended. */
static enum rc
text_piece(struct pop3 *p, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct slice have, left;

	*got = 0;
	while (*got == 0 && p->state != POP3_END) {
		if (remote_conn_fill(p->conn, &have, e) != RC_OK)
			return pop3_broken(p, e);
		left = have;
		*got = pop3_text_read(&p->state, &left, to, size);
		remote_conn_take(p->conn, have.len - left.len);
	}
	if (p->state == POP3_END) {
		p->reading = false;
		p->answered++;
	}
	return RC_OK;
}

/* Read over the text that is under way. */
static enum rc
skip_text(struct pop3 *p, struct err *e)
{
	uint8_t scrap[4096];
	uint64_t skipped = 0;
	size_t got;

	for (; p->reading; skipped += got) {
		if (skipped > POP3_SKIP_MAX) {
			err_set(e, RC_LIMIT, "a text that is not wanted does not end");
			return pop3_broken(p, e);
		}
		if (text_piece(p, scrap, sizeof scrap, &got, e) != RC_OK)
			return e->code;
	}
	return RC_OK;
}

/* The answer to the oldest RETR begins. RC_DENIED: -ERR. */
static enum rc
begin_answer(struct pop3 *p, struct err *e)
{
	enum rc rc;

	if (p->drops[p->answered].number == 0) {
		p->answered++;
		return err_set(e, RC_DENIED, "it is gone there since it was listed");
	}
	rc = pop3_status(p, e);
	p->state = POP3_LINE_START;
	p->reading = rc == RC_OK;
	if (rc != RC_OK && !p->broken)
		p->answered++;
	return rc;
}

enum rc
pop3_skip_answers(struct pop3 *p, size_t end, struct err *e)
{
	while (p->answered < p->asked && p->answered < end) {
		if (begin_answer(p, e) != RC_OK && p->broken)
			return e->code;
		if (skip_text(p, e) != RC_OK)
			return e->code;
	}
	if (p->asked <= p->at)
		p->asked = p->answered = p->at;
	return RC_OK;
}

static enum rc
ask_ahead(struct pop3 *p, struct err *e)
{
	uint64_t bytes = 0;

	for (size_t n = p->at; n < p->asked; n++)
		bytes += p->drops[n].size;
	while (p->asked < p->dated &&
	       (p->asked == p->at || (p->can.pipelining && p->asked - p->at < p->ahead &&
	                                 bytes + p->drops[p->asked].size <= AHEAD_BYTES))) {
		const struct drop *drop = &p->drops[p->asked];
		char command[24];

		snprintf(command, sizeof command, "RETR %u", drop->number);
		if (drop->number != 0 && pop3_say(p, command, SLICE_NONE, e) != RC_OK)
			return e->code;
		bytes += drop->size;
		p->asked++;
	}
	return RC_OK;
}

/* Up to the octet that was not read before. */
static enum rc
begin_text(struct pop3 *p, struct err *e)
{
	uint64_t skip = p->got;
	uint8_t scrap[4096];

	if (pop3_skip_answers(p, p->at, e) != RC_OK || ask_ahead(p, e) != RC_OK ||
	    begin_answer(p, e) != RC_OK)
		return e->code;
	while (skip > 0) {
		size_t n = skip < sizeof scrap - 1 ? (size_t)skip : sizeof scrap, got;

		if (text_piece(p, scrap, n < 2 ? 2 : n, &got, e) != RC_OK)
			return e->code;
		if (got > skip || got == 0)
			return err_set(e, RC_CORRUPT, "the server gives it another text each time");
		skip -= got;
	}
	return RC_OK;
}

static enum rc
read_piece(struct pop3 *p, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	if (p->broken)
		return err_set(e, RC_IO, "the connection is broken");
	if (!p->reading && begin_text(p, e) != RC_OK)
		return e->code;
	if (text_piece(p, to, size, got, e) != RC_OK)
		return e->code;
	p->got += *got;
	p->done = !p->reading;
	if (p->done && p->ahead < AHEAD_MAX)
		p->ahead *= 2;
	p->breaks = 0;
	return RC_OK;
}

static enum rc
pop3_source_read(void *state, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct pop3 *p = state;

	*got = 0;
	if (p->done)
		return RC_OK;
	while (read_piece(p, to, size, got, e) != RC_OK) {
		if (p->broken && ++p->breaks <= POP3_BREAKS_MAX && pop3_reconnect(p, e) == RC_OK)
			continue;
		p->done = true;
		if (p->broken)
			e->code = RC_CANCELLED;
		else if (e->code == RC_DENIED)
			e->code = RC_CORRUPT;
		(void)err_add(e, "%s", p->server);
		return e->code;
	}
	return RC_OK;
}

/* ---- what comes next ---- */

static enum rc
leave_message(struct pop3 *p, struct err *e)
{
	if (!p->told)
		return RC_OK;
	if (!p->done)
		p->ahead = 1;
	if (p->reading && skip_text(p, e) != RC_OK && pop3_reconnect(p, e) != RC_OK)
		return err_add(e, "%s", p->server);
	p->told = false;
	p->at++;
	return RC_OK;
}

static enum rc
pop3_source_next(void *state, struct import_item *out, struct err *e)
{
	struct pop3 *p = state;
	const struct drop *drop;

	*out = (struct import_item){ .event = IMPORT_END };
	if (!p->told_mailbox) {
		p->told_mailbox = true;
		out->event = IMPORT_MAILBOX;
		out->mailbox.name = p->options->mailbox != NULL ? slice_str(p->options->mailbox)
		                                                : SLICE("INBOX");
		out->mailbox.subscribe = true;
		return RC_OK;
	}
	if (leave_message(p, e) != RC_OK)
		return e->code;
	if (p->at == p->count)
		return RC_OK;
	if (pop3_know_date(p, e) != RC_OK)
		return e->code;
	drop = &p->drops[p->at];
	p->told = true;
	p->done = false;
	p->got = 0;
	snprintf(p->label, sizeof p->label, "message %u", drop->number);
	out->event = IMPORT_MESSAGE;
	out->message = (struct import_message){
		.label = slice_str(p->label), .key = drop->uidl, .uidl = drop->uidl,
		.size = drop->size,
		.internaldate = drop->date,
	};
	return RC_OK;
}

static void
pop3_source_close(void *state)
{
	struct pop3 *p = state;
	struct err e = ERR_INIT;

	/* QUIT is the only command behind which a server may delete; nothing was marked. */
	if (!p->broken && !p->reading && pop3_say(p, "QUIT", SLICE_NONE, &e) != RC_OK)
		p->broken = true;
	pop3_disconnect(p);
	arena_fini(&p->arena);
	free(p);
}

enum rc
remote_open_pop3(const struct remote_options *remote, const struct import_options *options,
                 struct import_source *out, struct err *e)
{
	struct pop3 *p = calloc(1, sizeof *p);
	enum rc rc;

	if (p == NULL)
		return err_nomem(e);
	p->remote = remote;
	p->options = options;
	p->broken = true;
	p->ahead = 1;
	arena_init(&p->arena, 512u << 20);
	remote_server_name(&remote->url, p->server, sizeof p->server);
	*out = (struct import_source){ p, pop3_source_next, pop3_source_read, pop3_source_close };
	rc = pop3_connect(p, e);
	if (rc == RC_OK)
		rc = pop3_list(p, e);
	if (rc != RC_OK) {
		pop3_source_close(p);
		*out = (struct import_source){ NULL, NULL, NULL, NULL };
	}
	return rc;
}
