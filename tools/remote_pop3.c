/* remote_pop3 - a POP3 server as a source of import: its one maildrop as INBOX. [RFC 1939, 2449, 2595, 5034]
 *
 * The list of messages with their UIDLs is read at the start; texts are asked for ahead where the server can pipeline
 * [RFC 2449 s6.8]. Nothing is deleted, so numbers stay the same during a session [RFC 1939 s5]; on a new connection
 * messages are found again by their UIDL, and without UIDLs there is no going on.
 *
 * A maildrop knows neither flags nor dates. INTERNALDATE is the date of the topmost Received field, which says when the
 * message came, else of Date; for that, headers are fetched by TOP, in chunks ahead of the texts. Without TOP, or a date,
 * it is the time of the import.
 */
#include "tools/remote_pop3.h"

#include "lib/clock.h"
#include "lib/date.h"
#include "lib/header.h"
#include "tools/remote_login.h"
#include "tools/remote_sasl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UIDL_TAKEN   250                /* 70 by RFC 1939 s7; some servers send longer ones */
#define MESSAGES_MAX 1000000u
#define AHEAD_MAX    8u
#define AHEAD_BYTES  (4u << 20)
#define BREAKS_MAX   2u
#define DATED_CHUNK  50u                /* headers asked for in one go */
#define HEADER_MAX   65536u             /* of which so much is looked at */

struct drop {                           /* a message */
	uint32_t     number;            /* in this session, 0: not there any more */
	uint64_t     size;
	struct slice uidl;              /* "" if the server has none */
	struct mail_date date;
};

struct pop3 {
	const struct remote_options  *remote;
	const struct import_options  *options;
	char                          server[REMOTE_HOST_MAX + 20];
	struct remote_conn           *conn;
	bool                          broken, safe, warned;
	struct {
		bool stls, user, pipelining, top;
		bool known;             /* the server has CAPA */
		char mechanisms[256];
	} can;
	struct arena                  arena;    /* of the list */
	struct drop                  *drops;
	size_t                        count;
	size_t                        at;       /* the message told */
	size_t                        dated;    /* `date` is known of those before */
	size_t                        asked;    /* RETR was sent for those before */
	size_t                        answered; /* and read to the end for those before */
	bool                          told_mailbox, told;     /* the mailbox; a message */
	bool                          reading, done;
	enum pop3_text                state;
	uint64_t                      got;      /* octets of the text given out */
	unsigned                      ahead, breaks;
	char                          label[40];
};

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

/* ---- commands ---- */

static enum rc
broken(struct pop3 *p, struct err *e)
{
	p->broken = true;
	return e->code;
}

/* Send a command; secrets are wiped. */
static enum rc
say(struct pop3 *p, const char *word, struct slice argument, struct err *e)
{
	struct buf b;
	enum rc rc = RC_OK;

	if (slice_find_byte(argument, '\r') < argument.len || slice_find_byte(argument, '\n') < argument.len)
		return err_set(e, RC_SYNTAX, "POP3 cannot carry a name or password with a line end");
	buf_init(&b, 16384);
	if (buf_reserve(&b, 16384) == NULL)
		rc = err_nomem(e);
	buf_append_str(&b, word);
	buf_append_slice(&b, argument);
	buf_append_str(&b, "\r\n");
	if (rc == RC_OK && b.failed)
		rc = err_set(e, RC_LIMIT, "the command is too long");
	if (rc == RC_OK && remote_conn_send(p->conn, buf_slice(&b), e) != RC_OK)
		rc = broken(p, e);
	secret_wipe_buf(&b);
	buf_fini(&b);
	return rc;
}

/* A status line. RC_DENIED: "-ERR", whose text is the error's. *text may be NULL. */
static enum rc
status(struct pop3 *p, struct slice *text, struct err *e)
{
	char said[REMOTE_TEXT_MAX];
	struct slice line;

	if (remote_conn_line(p->conn, &line, e) != RC_OK)
		return broken(p, e);
	if (text != NULL)
		*text = slice_trim(slice_sub(line, 3, line.len));
	if (slice_starts_nocase(line, SLICE("+OK")))
		return RC_OK;
	if (slice_starts_nocase(line, SLICE("-ERR")))
		return err_set(e, RC_DENIED, "the server says: %s",
		    remote_text(said, slice_trim(slice_sub(line, 4, line.len))));
	p->broken = true;
	return err_set(e, RC_SYNTAX, "the server's answer cannot be understood: %s", remote_text(said, line));
}

/* A line of a list. *more is false at its end. */
static enum rc
list_line(struct pop3 *p, struct slice *line, bool *more, struct err *e)
{
	if (remote_conn_line(p->conn, line, e) != RC_OK)
		return broken(p, e);
	*more = !slice_eq(*line, SLICE("."));
	if (*more && slice_starts(*line, SLICE(".")))
		*line = slice_sub(*line, 1, line->len);
	return RC_OK;
}

/* ---- capabilities ---- */

static void
take_capability(struct pop3 *p, struct slice line)
{
	size_t end = slice_find_byte(line, ' ');
	struct slice word = slice_sub(line, 0, end);

	if (slice_eq_nocase(word, SLICE("STLS")))
		p->can.stls = true;
	else if (slice_eq_nocase(word, SLICE("USER")))
		p->can.user = true;
	else if (slice_eq_nocase(word, SLICE("TOP")))
		p->can.top = true;
	else if (slice_eq_nocase(word, SLICE("PIPELINING")))
		p->can.pipelining = true;
	else if (slice_eq_nocase(word, SLICE("SASL")))
		(void)slice_to_cstr(slice_sub(line, end + 1, line.len), p->can.mechanisms, sizeof p->can.mechanisms);
}

/* CAPA [RFC 2449 s5]; a server without it has none. */
static enum rc
ask_capabilities(struct pop3 *p, struct err *e)
{
	struct slice line;
	bool more = true;
	unsigned lines = 0;
	enum rc rc;

	memset(&p->can, 0, sizeof p->can);
	if (say(p, "CAPA", SLICE_NONE, e) != RC_OK)
		return e->code;
	rc = status(p, NULL, e);
	p->can.known = rc == RC_OK;
	p->can.top = !p->can.known;     /* may be: it is optional */
	if (rc != RC_OK)
		return p->broken ? rc : RC_OK;
	while (more) {
		if (list_line(p, &line, &more, e) != RC_OK)
			return e->code;
		if (++lines > 200)
			return err_set(e, RC_LIMIT, "the server's list of capabilities does not end");
		if (more)
			take_capability(p, line);
	}
	return RC_OK;
}

/* ---- logging in ---- */

static enum rc
start_tls(struct pop3 *p, struct err *e)
{
	bool needed = p->can.known && !p->can.user && p->can.mechanisms[0] == '\0';

	switch (remote_upgrade_now(p->remote, p->can.stls, needed)) {
	case REMOTE_UPGRADE_NONE:
		return RC_OK;
	case REMOTE_UPGRADE_NOW:
		break;
	case REMOTE_UPGRADE_IMPOSSIBLE:
		return err_set(e, RC_DENIED, "the server offers no STLS, so all would go in the clear; "
		    "pops:// is TLS from the start, --no-tls does without");
	}
	if (say(p, "STLS", SLICE_NONE, e) != RC_OK || status(p, NULL, e) != RC_OK)
		return err_add(e, "STLS");
	if (remote_upgrade(p->remote, p->conn, &p->safe, e) != RC_OK)
		return e->code;
	return ask_capabilities(p, e);
}

static enum rc
login_error(const struct pop3 *p, struct err *e)
{
	if (e->code != RC_DENIED || p->broken)
		return e->code;
	return err_add(e, "login as %s refused", p->remote->admin != NULL ? p->remote->admin : p->remote->url.user);
}

/* Challenges and answers up to the last word of the server, a line that is no "+ ..." */
static enum rc
exchange(struct pop3 *p, struct remote_sasl *sasl, struct slice first, bool waiting, struct err *e)
{
	for (;;) {
		struct slice line, answer = first;

		if (remote_conn_line(p->conn, &line, e) != RC_OK)
			return broken(p, e);
		if (slice_starts_nocase(line, SLICE("+OK")))
			return remote_sasl_finish(sasl, e);
		if (!slice_starts(line, SLICE("+"))) {
			char said[REMOTE_TEXT_MAX];

			return err_set(e, RC_DENIED, "the server says: %s", remote_text(said, line));
		}
		line = slice_trim(slice_sub(line, 1, line.len));
		if (!waiting && remote_sasl_step(sasl, line, &answer, e) != RC_OK)
			return e->code;
		waiting = false;
		if (say(p, "", answer, e) != RC_OK)
			return e->code;
	}
}

/* AUTH [RFC 5034 s4]. An initial response that is too long for a command line waits for the server. */
static enum rc
authenticate(struct pop3 *p, const char *mechanism, struct err *e)
{
	struct remote_sasl *sasl;
	struct slice first;
	char command[40];
	bool any = false, now;
	enum rc rc = remote_sasl_new(p->remote, "pop", mechanism, &sasl, e);

	if (rc == RC_OK)
		rc = remote_sasl_start(sasl, &first, &any, e);
	now = any && first.len <= 200;
	if (now && first.len == 0)
		first = SLICE("=");
	snprintf(command, sizeof command, "AUTH %s%s", mechanism, now ? " " : "");
	if (rc == RC_OK)
		rc = say(p, command, now ? first : SLICE_NONE, e);
	if (rc == RC_OK)
		rc = exchange(p, sasl, first, any && !now, e);
	remote_sasl_free(&sasl);
	return rc;
}

static enum rc
user_pass(struct pop3 *p, struct err *e)
{
	if (say(p, "USER ", slice_str(p->remote->url.user), e) != RC_OK || status(p, NULL, e) != RC_OK ||
	    say(p, "PASS ", secret_slice(p->remote->password), e) != RC_OK || status(p, NULL, e) != RC_OK)
		return e->code;
	return RC_OK;
}

static enum rc
prove(struct pop3 *p, struct err *e)
{
	const char *mechanism = remote_sasl_choose(p->remote, slice_str(p->can.mechanisms), p->safe);

	if (mechanism == NULL && (p->remote->url.auth[0] != '\0' || p->remote->admin != NULL))
		return err_set(e, RC_DENIED, "the server offers no way to log in that we can go%s",
		    p->remote->admin != NULL ? " for another user (it needs AUTH PLAIN)" : "");
	if (!p->safe && !p->warned && !p->remote->insecure) {
		remote_warn_cleartext(p->remote);
		p->warned = true;
	}
	if ((mechanism != NULL ? authenticate(p, mechanism, e) : user_pass(p, e)) != RC_OK)
		return login_error(p, e);
	return RC_OK;
}

static void
pop3_disconnect(struct pop3 *p)
{
	remote_conn_close(&p->conn);
	p->broken = true;
	p->reading = false;
	p->asked = p->answered = p->at;
}

static enum rc
pop3_connect(struct pop3 *p, struct err *e)
{
	pop3_disconnect(p);
	if (remote_connect(p->remote, &p->conn, &p->safe, e) != RC_OK)
		return err_add(e, "%s", p->server);
	p->broken = false;
	if (status(p, NULL, e) != RC_OK) {
		(void)err_add(e, "greeting");
	} else if (ask_capabilities(p, e) == RC_OK && start_tls(p, e) == RC_OK && prove(p, e) == RC_OK &&
	    (!p->can.known || ask_capabilities(p, e) == RC_OK)) {
		return RC_OK;
	}
	return err_add(e, "%s", p->server);
}

/* ---- the list ---- */

/* "17 text" */
static bool
split_line(struct slice line, uint32_t *number, struct slice *text)
{
	size_t end = slice_find_byte(line, ' ');
	uint64_t n;

	if (!slice_to_u64(slice_sub(line, 0, end), UINT32_MAX, &n) || n == 0)
		return false;
	*number = (uint32_t)n;
	*text = slice_trim(slice_sub(line, end, line.len));
	return true;
}

static enum rc
add_drop(struct buf *list, uint32_t number, struct slice text, struct err *e)
{
	struct drop drop = { .number = number };
	size_t count = list->len / sizeof drop;

	/* A scan listing may say more than the size [RFC 1939 s5]. */
	if (!slice_to_u64(slice_sub(text, 0, slice_find_byte(text, ' ')), INT64_MAX, &drop.size))
		drop.size = 0;
	if (count > 0 && ((const struct drop *)(const void *)list->ptr)[count - 1].number >= number)
		return err_set(e, RC_SYNTAX, "the server's list of messages is not in order");
	return buf_append(list, &drop, sizeof drop) ? RC_OK : err_set(e, RC_LIMIT, "the server has too many messages");
}

static struct drop *
find_number(struct drop *drops, size_t count, uint32_t number)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (drops[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && drops[low].number == number ? &drops[low] : NULL;
}

static bool
is_uidl(struct slice s)
{
	for (size_t n = 0; n < s.len; n++) {
		if (s.ptr[n] < 0x21 || s.ptr[n] > 0x7e)
			return false;
	}
	return s.len > 0 && s.len <= UIDL_TAKEN;
}

/* LIST or UIDL, each line to `take`. */
static enum rc
read_list(struct pop3 *p, const char *command, struct buf *list, struct arena *texts, struct err *e)
{
	bool more = true;

	if (say(p, command, SLICE_NONE, e) != RC_OK || status(p, NULL, e) != RC_OK)
		return e->code;
	while (more) {
		struct slice line, text;
		struct drop *drop;
		uint32_t number;

		if (list_line(p, &line, &more, e) != RC_OK)
			return e->code;
		if (!more)
			break;
		if (!split_line(line, &number, &text))
			return err_set(e, RC_SYNTAX, "the server's list of messages cannot be understood");
		if (texts == NULL && add_drop(list, number, text, e) != RC_OK)
			return e->code;
		drop = find_number((void *)list->ptr, list->len / sizeof *drop, number);
		if (texts != NULL && drop != NULL && is_uidl(text))
			drop->uidl = arena_dup(texts, text);
	}
	return RC_OK;
}

/* The present session's messages. A server without UIDL is one whose messages have none. */
static enum rc
read_lists(struct pop3 *p, struct buf *list, struct arena *texts, struct err *e)
{
	buf_init(list, MESSAGES_MAX * sizeof(struct drop));
	if (read_list(p, "LIST", list, NULL, e) != RC_OK)
		return e->code;
	if (read_list(p, "UIDL", list, texts, e) != RC_OK && (p->broken || e->code != RC_DENIED))
		return e->code;
	return RC_OK;
}

static enum rc
first_list(struct pop3 *p, struct err *e)
{
	struct buf list;
	enum rc rc = read_lists(p, &list, &p->arena, e);

	p->count = rc == RC_OK ? list.len / sizeof *p->drops : 0;
	p->drops = arena_array(&p->arena, p->count > 0 ? p->count : 1, sizeof *p->drops);
	if (rc == RC_OK && p->drops == NULL)
		rc = err_nomem(e);
	if (rc == RC_OK && list.len > 0)
		memcpy(p->drops, list.ptr, list.len);
	buf_fini(&list);
	if (rc != RC_OK && e->code != RC_NOMEM)
		(void)err_add(e, "%s", p->server);
	return rc;
}

static int
by_uidl(const void *a, const void *b)
{
	return slice_cmp(((const struct drop *)a)->uidl, ((const struct drop *)b)->uidl);
}

/* The numbers of a new session. */
static void
renumber(struct pop3 *p, struct buf *list)
{
	struct drop *now = (void *)list->ptr;
	size_t count = list->len / sizeof *now;

	if (count > 0)
		qsort(now, count, sizeof *now, by_uidl);
	for (size_t n = 0; n < p->count; n++) {
		const struct drop *found = p->drops[n].uidl.len == 0 || count == 0 ? NULL :
		    bsearch(&p->drops[n], now, count, sizeof *now, by_uidl);

		p->drops[n].number = found != NULL ? found->number : 0;
	}
}

/* A connection as good as the one before. RC_CANCELLED: there is none to be had. */
static enum rc
reconnect(struct pop3 *p, struct err *e)
{
	struct err first = *e, last;
	struct arena texts;
	struct buf list;
	enum rc rc = RC_IO;

	if (p->drops[p->at].uidl.len == 0)
		return e->code = RC_CANCELLED;
	for (unsigned try = 0; try < 3 && rc == RC_IO; try++) {
		sleep(try);
		rc = pop3_connect(p, e);
	}
	arena_init(&texts, 512u << 20);
	if (rc == RC_OK) {
		rc = read_lists(p, &list, &texts, e);
		if (rc == RC_OK)
			renumber(p, &list);
		buf_fini(&list);
	}
	arena_fini(&texts);
	if (rc == RC_OK)
		return RC_OK;
	last = *e;
	return err_set(e, RC_CANCELLED, "%s (after: %s)", last.text, first.text);
}

/* ---- texts ---- */

/* Some of the present text, not NULL-ended. */
static enum rc
text_piece(struct pop3 *p, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct slice have, left;

	*got = 0;
	while (*got == 0 && p->state != POP3_END) {
		if (remote_conn_fill(p->conn, &have, e) != RC_OK)
			return broken(p, e);
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
	size_t got;

	while (p->reading) {
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
	rc = status(p, NULL, e);
	p->state = POP3_LINE_START;
	p->reading = rc == RC_OK;
	if (rc != RC_OK && !p->broken)
		p->answered++;
	return rc;
}

/* Read over what was asked for, and not read, of the messages before `end`. */
static enum rc
skip_answers(struct pop3 *p, size_t end, struct err *e)
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
	while (p->asked < p->dated && (p->asked == p->at || (p->can.pipelining && p->asked - p->at < p->ahead &&
	    bytes + p->drops[p->asked].size <= AHEAD_BYTES))) {
		const struct drop *drop = &p->drops[p->asked];
		char command[24];

		snprintf(command, sizeof command, "RETR %u", drop->number);
		if (drop->number != 0 && say(p, command, SLICE_NONE, e) != RC_OK)
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

	if (skip_answers(p, p->at, e) != RC_OK || ask_ahead(p, e) != RC_OK || begin_answer(p, e) != RC_OK)
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
		if (p->broken && ++p->breaks <= BREAKS_MAX && reconnect(p, e) == RC_OK)
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

/* ---- dates ---- */

/* Where a header says that it is from: "...; Tue, 3 Nov 2026 10:00:00 +0100" of the topmost Received, or Date. */
static bool
find_date(struct slice header, struct date *out)
{
	struct header_field field;

	if (header_find(header, SLICE("Received"), &field)) {
		size_t n = field.value.len;

		while (n > 0 && field.value.ptr[n - 1] != ';')
			n--;
		if (n > 0 && date_parse_rfc5322(slice_sub(field.value, n, field.value.len), out))
			return true;
	}
	return header_find(header, SLICE("Date"), &field) && date_parse_rfc5322(field.value, out);
}

/* The answer to TOP; what of the header is beyond the buffer is read over. */
static enum rc
read_header(struct pop3 *p, struct buf *header, struct err *e)
{
	enum rc rc = status(p, NULL, e);
	uint8_t piece[4096];
	size_t got;

	buf_reset(header);
	if (rc != RC_OK) {
		p->can.top = p->broken;         /* it said -ERR: it cannot */
		return p->broken ? rc : RC_OK;
	}
	p->state = POP3_LINE_START;
	while (p->state != POP3_END) {
		struct slice have, left;

		if (remote_conn_fill(p->conn, &have, e) != RC_OK)
			return broken(p, e);
		left = have;
		got = pop3_text_read(&p->state, &left, piece, sizeof piece);
		remote_conn_take(p->conn, have.len - left.len);
		(void)buf_append(header, piece, got);
	}
	return RC_OK;
}

static void
set_date(struct drop *drop, struct slice header)
{
	uint64_t now = clock_wall_us();
	struct date date;

	if (find_date(header, &date))
		drop->date = (struct mail_date){ date.unix_time, date.zone };
	else
		drop->date = (struct mail_date){ (int64_t)(now / 1000000u), (int16_t)clock_zone_minutes(now) };
}

static enum rc
ask_header(struct pop3 *p, const struct drop *drop, struct err *e)
{
	char command[24];

	if (drop->number == 0 || !p->can.top)
		return RC_OK;
	snprintf(command, sizeof command, "TOP %u 0", drop->number);
	return say(p, command, SLICE_NONE, e);
}

/* The dates of [from, to), which is one message where the server cannot pipeline. */
static enum rc
read_dates(struct pop3 *p, size_t from, size_t to, struct buf *header, struct err *e)
{
	bool asked = p->can.top;

	for (size_t n = from; n < to; n++) {
		if (ask_header(p, &p->drops[n], e) != RC_OK)
			return e->code;
	}
	for (size_t n = from; n < to; n++) {
		buf_reset(header);
		if (asked && p->drops[n].number != 0 && read_header(p, header, e) != RC_OK)
			return e->code;
		set_date(&p->drops[n], buf_slice(header));
	}
	p->dated = to;
	return RC_OK;
}

static enum rc
date_chunk(struct pop3 *p, struct err *e)
{
	size_t end = p->count - p->dated < DATED_CHUNK ? p->count : p->dated + DATED_CHUNK;
	struct buf header;
	enum rc rc = p->broken ? err_set(e, RC_IO, "the connection is broken") : skip_answers(p, p->count, e);

	buf_init(&header, HEADER_MAX);
	while (rc == RC_OK && p->dated < end)
		rc = read_dates(p, p->dated, p->can.pipelining ? end : p->dated + 1, &header, e);
	buf_fini(&header);
	return rc;
}

/* A chunk of dates, if need be on a new connection. */
static enum rc
know_date(struct pop3 *p, struct err *e)
{
	while (p->at == p->dated && date_chunk(p, e) != RC_OK) {
		if (!p->broken || ++p->breaks > BREAKS_MAX || reconnect(p, e) != RC_OK)
			return err_add(e, "%s", p->server);
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
	if (p->reading && skip_text(p, e) != RC_OK && reconnect(p, e) != RC_OK)
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
		out->mailbox.name = p->options->mailbox != NULL ? slice_str(p->options->mailbox) : SLICE("INBOX");
		out->mailbox.subscribe = true;
		return RC_OK;
	}
	if (leave_message(p, e) != RC_OK)
		return e->code;
	if (p->at == p->count)
		return RC_OK;
	if (know_date(p, e) != RC_OK)
		return e->code;
	drop = &p->drops[p->at];
	p->told = true;
	p->done = false;
	p->got = 0;
	snprintf(p->label, sizeof p->label, "message %u", drop->number);
	out->event = IMPORT_MESSAGE;
	out->message = (struct import_message){
		.label = slice_str(p->label), .key = drop->uidl, .uidl = drop->uidl, .size = drop->size,
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
	if (!p->broken && !p->reading && say(p, "QUIT", SLICE_NONE, &e) != RC_OK)
		p->broken = true;
	pop3_disconnect(p);
	arena_fini(&p->arena);
	free(p);
}

enum rc
remote_open_pop3(const struct remote_options *remote, const struct import_options *options, struct import_source *out,
    struct err *e)
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
		rc = first_list(p, e);
	if (rc != RC_OK) {
		pop3_source_close(p);
		*out = (struct import_source){ NULL, NULL, NULL, NULL };
	}
	return rc;
}
