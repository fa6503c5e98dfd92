/* fuzz_pop3 - whole POP3 sessions: any bytes as what a client sends, cut anywhere, ended anywhere.
 *
 * The protocol runs as it is in the server; the core, the login and the volume are stood in for by
 * what is below, so that a session costs microseconds and depends on nothing but its input. The
 * first octet of the input chooses the shape of the session, the second where the connection ends
 * in a second run. Held against:
 *   - answers do not depend on how the input is cut, nor on when the output drains;
 *   - a session that ends earlier gets a beginning of the same answers;
 *   - messages go at QUIT alone, at most once, and only such as DELE was answered +OK for;
 *   - a session that may only read deletes nothing;
 *   - without UTF8 no raw octet of a header comes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/damage.h"
#include "server/pop3/pop3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES  8u
#define LOST      3u            /* index of the one whose file is gone, */
#define DAMAGED   4u            /* of one that is damaged behind its first 70,000 octets, */
#define PURGED    5u            /* and of one that has been purged */
#define LARGE     100000u

enum shape {                    /* bits of the first octet */
	SHAPE_SPLIT = 1,        /* octet by octet */
	SHAPE_SMALL_OUT = 2,    /* the output is full soon */
	SHAPE_TLS = 4,
	SHAPE_NO_PASSWORDS = 8,
	SHAPE_READ_ONLY = 16,
	SHAPE_JAPANESE = 32,
	SHAPE_QUIT_FAILS = 64,
};

struct session {
	const struct protocol *protocol;
	unsigned     shape;
	struct buf   in, out, received;
	struct conf  conf;
	void        *state;
	bool         eof, tls, woken, handshake;
	unsigned     bad, expunges;
	uint32_t     gone;              /* bits of messages */
};

static struct slice  mail[MESSAGES];
static struct slice  summaries[MESSAGES];
static struct session *now;             /* the one that runs: what volume_submit is called for */

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_pop3: broken: %s\n", what);
		abort();
	}
}

#include "tests/fuzz/session_stub.h"

/* ---- the maildrop ---- */

static struct slice
summary_of(struct slice text)
{
	struct mime_parser *p = mime_parser_new();
	struct mime_summary s;
	struct err e = ERR_INIT;
	struct buf out;

	buf_init(&out, 1u << 20);
	require(p != NULL, "memory");
	mime_feed(p, text);
	require(mime_finish(p, &s, &e) == RC_OK && mime_summary_encode(&s, &out), "a summary");
	mime_parser_free(&p);
	return buf_slice(&out);         /* lives as long as the process */
}

static void
make_mail(void)
{
	static char large[LARGE];

	memset(large, '.', sizeof large);
	for (size_t i = 70; i < sizeof large; i += 72)
		memcpy(large + i, "\r\n", 2);
	memcpy(large, "A: b\r\n\r\n", 8);
	mail[0] = SLICE("A: b\r\n\r\n.x\r\n..\r\nlast\r\n");
	mail[1] = SLICE(
	    "From: J\xc3\xb6rg <j@example.com>\r\nSubject: \xfc\r\n\r\n\xc3\xbc\0\r\n.");
	mail[2] = SLICE(
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b; "
	    "name=\xc3\xbc\r\n\r\n."
	    "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nTo: \xc3\xb6@a\r\n\r\nx\r\n--b--\r\n");
	mail[LOST] = mail[0];
	mail[DAMAGED] = slice_of(large, sizeof large);
	mail[PURGED] = mail[0];
	mail[6] = SLICE("only a head");
	mail[7] = mail[DAMAGED];
	for (size_t i = 0; i < MESSAGES; i++)
		summaries[i] = summary_of(mail[i]);
}

enum rc
volume_find_mailbox(struct volume *v, account_id account, struct slice name, struct arena *a,
                    struct mailbox_info *out, struct err *e)
{
	(void)v;
	(void)account;
	(void)a;
	(void)e;
	*out = (struct mailbox_info){ .id = 1, .name = name, .uidvalidity = 7,
	                              .uidnext = MESSAGES + 1, .exists = MESSAGES };
	return RC_OK;
}

enum rc
volume_read_messages(struct volume *v, mailbox_id mailbox, const struct uid_set *uids,
                     mail_uid from, uint32_t limit, uint32_t want, struct arena *a,
                     struct message_row **out, size_t *count, struct err *e)
{
	(void)v;
	(void)mailbox;
	(void)e;
	*out = arena_array(a, MESSAGES, sizeof **out);
	require(*out != NULL, "memory");
	*count = 0;
	for (uint32_t i = 0; i < MESSAGES && *count < limit; i++) {
		if (i + 1 < from || i + 1 < uids->ranges[0].first || i + 1 > uids->ranges[0].last)
			continue;
		if (i == PURGED && (want & WANT_PLACE) != 0)
			continue;
		(*out)[(*count)++] = (struct message_row){ .uid = i + 1, .size = mail[i].len,
		                                           .summary = summaries[i],
		                                           .place = { .id = i + 1,
		                                                      .size = mail[i].len } };
	}
	return RC_OK;
}

enum rc
volume_list_uidls(struct volume *v, mailbox_id mailbox, mail_uid from, uint32_t limit,
                  struct arena *a, struct message_uidl **out, size_t *count, struct err *e)
{
	static const struct message_uidl rows[] = { { 1, SLICE_INIT("taken-over") },
	                                            { 2, SLICE_INIT("taken-over") } };

	(void)v;
	(void)mailbox;
	(void)limit;
	(void)e;
	*count = from <= 1 ? 2 : 0;
	*out = arena_array(a, 2, sizeof **out);
	require(*out != NULL, "memory");
	memcpy(*out, rows, sizeof rows);
	return RC_OK;
}

enum rc
message_row_check(const struct message_row *m, struct err *e)
{
	return m->lost ? err_set(e, RC_CORRUPT, "lost") : RC_OK;
}

enum rc
volume_verify_blob(struct volume *v, const struct blob_place *place, uint64_t from, uint64_t len,
                   struct err *e)
{
	(void)v;
	(void)from;
	(void)len;
	return place->id == LOST + 1 ? err_set(e, RC_NOT_FOUND, "gone") : RC_OK;
}

enum rc
volume_read_blob(struct volume *v, const struct blob_place *place, uint64_t from, uint64_t len,
                 struct buf *out, struct err *e)
{
	struct slice text = mail[place->id - 1];

	(void)v;
	require(from < text.len && len > 0, "a read within the message");
	if (place->id == DAMAGED + 1 && from + len > 70000)
		return err_set(e, RC_CORRUPT, "damaged");
	require(buf_append_slice(out, slice_sub(text, (size_t)from, (size_t)(from + len))),
	        "room for what is read");
	return RC_OK;
}

void
volume_submit(struct volume *v, struct change *c)
{
	(void)v;
	require(c->kind == CHANGE_EXPUNGE && c->u.expunge.any && now->expunges++ == 0,
	        "one expunge");
	for (size_t i = 0; i < c->u.expunge.uids.count; i++)
		for (mail_uid u = c->u.expunge.uids.ranges[i].first;
		     u <= c->u.expunge.uids.ranges[i].last; u++)
			now->gone |= 1u << (u - 1);
	c->rc = (now->shape & SHAPE_QUIT_FAILS) != 0 ? err_set(&c->err, RC_IO, "full") : RC_OK;
	c->done(c, c->done_arg);
}

void
damage_log(struct session *s, const char *ev, const struct damaged_message *m)
{
	(void)s;
	(void)ev;
	(void)m;
}

/* ---- the login: "anna" with "secret"; PLAIN with an initial response, or after an empty challenge ---- */

void
login_init(struct login *l, struct session *s, const char *service)
{
	*l = (struct login){ .s = s, .service = service };
}

bool
login_offers_password(const struct login *l)
{
	return session_plaintext_allowed(l->s);
}

const char *
login_mechanisms(const struct login *l, char out[SASL_MECHANISMS_TEXT])
{
	return strcpy(out, (l->s->shape & SHAPE_NO_PASSWORDS) != 0 ? "" : "SCRAM-SHA-256 PLAIN");
}

bool
login_takes_password(struct login *l, struct slice name)
{
	(void)name;
	return (l->s->shape & SHAPE_NO_PASSWORDS) == 0;
}

static enum login_result
login_say(struct login *l, bool ok)
{
	l->failures += !ok;
	l->read_only = (l->s->shape & SHAPE_READ_ONLY) != 0;
	l->account = (struct account_info){ .id = 1, .name = SLICE("anna") };
	return ok ? LOGIN_OK : LOGIN_REFUSED;
}

enum login_result
login_password(struct login *l, struct slice name, struct slice password)
{
	return login_say(l, slice_eq(name, SLICE("anna")) && slice_eq(password, SLICE("secret")));
}

enum login_result
login_start(struct login *l, struct slice mechanism, struct slice initial, struct buf *out)
{
	(void)out;
	if (!slice_eq_nocase(mechanism, SLICE("PLAIN")))
		return LOGIN_NO_MECHANISM;
	return initial.ptr == NULL ? LOGIN_CHALLENGE : login_answer(l, initial, out);
}

enum login_result
login_answer(struct login *l, struct slice line, struct buf *out)
{
	(void)out;
	if (slice_eq(line, SLICE("*")))
		return login_cancel(l);
	if (slice_eq(line, SLICE("=")))
		return LOGIN_MALFORMED;
	return login_say(l, slice_eq(line, SLICE("AGFubmEAc2VjcmV0")));
}

bool
login_failed_too_often(const struct login *l)
{
	return l->failures >= 3;
}

struct volume *
login_volume(const struct login *l)
{
	(void)l;
	return NULL;
}

void
login_settle(struct login *l)
{
	(void)l;
}

/* ---- the core's half of the contract ---- */

bool
session_at_eof(const struct session *s)
{
	return s->eof;
}

bool
session_plaintext_allowed(const struct session *s)
{
	return (s->shape & SHAPE_NO_PASSWORDS) == 0;
}

void
session_took_long(struct session *s)
{
	(void)s;
}

void
session_set_activity(struct session *s, const char *what)
{
	(void)s;
	(void)what;
}

/* A command's steps. False: the session ends. */
static bool
run_steps(struct session *s)
{
	for (;;) {
		enum step_result r = s->protocol->step(s->state);

		drain(s);
		if (r == STEP_DONE)
			return true;
		if (r == STEP_CLOSE)
			return false;
		require(r == STEP_MORE || (r == STEP_WAIT && s->woken), "a step that goes on");
		s->woken = false;
	}
}

/* Until it waits for input. False: it has ended. */
static bool
run(struct session *s, enum session_next next)
{
	for (;; next = s->protocol->advance(s->state)) {
		drain(s);
		switch (next) {
		case NEXT_INPUT:
			return true;
		case NEXT_STEP:
			if (!run_steps(s))
				return false;
			break;
		case NEXT_AGAIN:
			break;
		case NEXT_STARTTLS:
			/* so what comes at once is lost, and what comes later is not */
			s->in.len = 0;
			s->tls = s->handshake = true;
			break;
		case NEXT_COMPRESS:
		case NEXT_PLAIN:
			require(false, "no such thing in POP3");
			break;
		case NEXT_CLOSE:
			return false;
		}
	}
}

static void
feed(struct session *s, struct slice in)
{
	bool open = run(s, s->protocol->greet(s->state));

	while (open && in.len > 0) {
		size_t n = (s->shape & SHAPE_SPLIT) != 0 ? 1 : in.len;

		if (n > buf_room(&s->in))
			n = buf_room(&s->in);
		require(n > 0 && buf_append_slice(&s->in, slice_sub(in, 0, n)), "room for input");
		in = slice_sub(in, n, in.len);
		open = run(s, s->protocol->advance(s->state));
	}
	s->eof = true;
	if (open)
		require(!run(s, s->protocol->advance(s->state)), "an end at the end of input");
}

/* Play a session; its answers are left in s->received. */
static void
play(struct session *s, unsigned shape, struct slice in)
{
	*s = (struct session){ .protocol = &pop3_protocol, .shape = shape,
	                       .tls = (shape & SHAPE_TLS) != 0 };
	s->conf.limits.auth_timeout = 100000;
	s->conf.pop3.login_delay = 0;
	s->conf.pop3.language = (shape & SHAPE_JAPANESE) != 0 ? CONF_JAPANESE : CONF_ENGLISH;
	buf_init(&s->in, SESSION_IN_MAX);
	buf_init(&s->out, SESSION_OUT_MAX);
	buf_init(&s->received, 1u << 30);
	s->state = s->protocol->open(s);
	require(s->state != NULL, "memory");
	now = s;
	feed(s, in);
	s->protocol->close(s->state);
	buf_fini(&s->in);
	buf_fini(&s->out);
}

/* ---- what must hold ---- */

static size_t
count_of(struct slice in, struct slice what)
{
	size_t n = 0;

	for (size_t at = 0; (at += slice_find(slice_sub(in, at, in.len), what)) < in.len;
	     at += what.len)
		n++;
	return n;
}

static unsigned
bits(uint32_t v)
{
	unsigned n = 0;

	for (; v != 0; v &= v - 1)
		n++;
	return n;
}

static void
check(const struct session *s, struct slice in)
{
	struct slice got = buf_slice(&s->received);
	bool english = slice_find_nocase(in, SLICE("LANG")) == in.len;

	require(slice_starts(got, SLICE("+OK Restante ready\r\n")), "a greeting");
	require(s->expunges <= 1 && (s->gone >> MESSAGES) == 0, "messages that are there");
	require(s->gone == 0 || ((s->shape & SHAPE_READ_ONLY) == 0 &&
	                         slice_find_nocase(in, SLICE("QUIT")) < in.len),
	        "QUIT");
	if (english)
		require(bits(s->gone) <= count_of(got, SLICE("+OK Marked to be deleted\r\n")),
		        "no more than was marked");
	if (slice_find_nocase(in, SLICE("UTF8")) == in.len)
		require(slice_find(got, SLICE("J\xc3\xb6")) == got.len &&
		            slice_find(got, SLICE("name=\xc3")) == got.len,
		        "headers in ASCII");
	require(slice_eq(slice_sub(got, got.len - 2, got.len), SLICE("\r\n")) || got.len > 60000,
	        "whole lines, but for damage");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session a, b, c;
	struct slice in;
	size_t cut;
	bool at_once;   /* no handshake came between, which takes or leaves what is behind STLS */

	if (mail[0].ptr == NULL) {
		log_set_level(LOGLEVEL_ERROR);
		log_set_fd(-1);
		make_mail();
	}
	if (size < 2)
		return 0;
	in = slice_of(data + 2, size - 2);
	cut = in.len * data[1] / 255;
	play(&a, data[0] & ~(unsigned)(SHAPE_SPLIT | SHAPE_SMALL_OUT), in);
	play(&b, data[0] | SHAPE_SPLIT | SHAPE_SMALL_OUT, in);
	play(&c, data[0], slice_sub(in, 0, cut));
	check(&a, in);
	check(&c, in);
	at_once = !a.handshake && !b.handshake && !c.handshake;
	require(!at_once || slice_eq(buf_slice(&a.received), buf_slice(&b.received)),
	        "the same session in pieces");
	require(!at_once || a.gone == b.gone, "the same deleted");
	require(!at_once || slice_starts(buf_slice(&a.received), buf_slice(&c.received)),
	        "a beginning of the same session");
	require(!at_once || (c.gone & ~a.gone) == 0, "nothing deleted that would not be later");
	buf_fini(&a.received);
	buf_fini(&b.received);
	buf_fini(&c.received);
	return 0;
}
