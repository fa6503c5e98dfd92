/* commands - the verbs of LMTP [RFC 2033 s4, RFC 5321 s4.1.1]. See lmtp.h. All in
 * steps on the pool. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/text.h"
#include "server/lmtp/lmtp.h"

/* What a verb takes behind it. */
enum verb_argument {
	ARG_NONE,
	ARG_ANY,                /* an optional string, ignored or looked at by `run` */
	ARG_FROM,               /* "FROM:" */
	ARG_TO,                 /* "TO:" */
};

static void run_lhlo(struct lmtp *l, struct slice arg);
static void run_data(struct lmtp *l, struct slice arg);
static void run_rset(struct lmtp *l, struct slice arg);
static void run_vrfy(struct lmtp *l, struct slice arg);
static void run_noop(struct lmtp *l, struct slice arg);
static void run_quit(struct lmtp *l, struct slice arg);
static void run_help(struct lmtp *l, struct slice arg);
static void run_expn(struct lmtp *l, struct slice arg);
static void run_starttls(struct lmtp *l, struct slice arg);
static void run_xclient(struct lmtp *l, struct slice arg);
static void run_xforward(struct lmtp *l, struct slice arg);
static void run_helo(struct lmtp *l, struct slice arg);
static void run_http(struct lmtp *l, struct slice arg);

static const struct verb {
	struct slice       name;
	enum verb_argument argument;
	bool               needs_lhlo;
	bool               light;
	void             (*run)(struct lmtp *l, struct slice arg);
} verbs[] = {
	{ SLICE_INIT("LHLO"), ARG_ANY, false, false, run_lhlo },
	{ SLICE_INIT("MAIL"), ARG_FROM, true, true, lmtp_mail },
	{ SLICE_INIT("RCPT"), ARG_TO, true, true, lmtp_rcpt },
	{ SLICE_INIT("DATA"), ARG_NONE, true, true, run_data },
	{ SLICE_INIT("BDAT"), ARG_ANY, false, false, lmtp_bdat },
	{ SLICE_INIT("RSET"), ARG_NONE, false, false, run_rset },
	{ SLICE_INIT("VRFY"), ARG_ANY, false, false, run_vrfy },
	{ SLICE_INIT("NOOP"), ARG_ANY, false, true, run_noop },
	{ SLICE_INIT("QUIT"), ARG_NONE, false, false, run_quit },
	{ SLICE_INIT("HELP"), ARG_ANY, false, false, run_help },
	{ SLICE_INIT("EXPN"), ARG_ANY, false, false, run_expn },
	{ SLICE_INIT("STARTTLS"), ARG_NONE, false, false, run_starttls },
	{ SLICE_INIT("AUTH"), ARG_ANY, true, false, lmtp_auth },
	{ SLICE_INIT("XCLIENT"), ARG_ANY, false, false, run_xclient },
	{ SLICE_INIT("XFORWARD"), ARG_ANY, true, false, run_xforward },
	{ SLICE_INIT("HELO"), ARG_ANY, false, false, run_helo },
	{ SLICE_INIT("EHLO"), ARG_ANY, false, false, run_helo },
	/* Browsers made to talk to us by a web page. */
	{ SLICE_INIT("GET"), ARG_ANY, false, false, run_http },
	{ SLICE_INIT("HEAD"), ARG_ANY, false, false, run_http },
	{ SLICE_INIT("POST"), ARG_ANY, false, false, run_http },
	{ SLICE_INIT("PUT"), ARG_ANY, false, false, run_http },
	{ SLICE_INIT("OPTIONS"), ARG_ANY, false, false, run_http },
	{ SLICE_INIT("CONNECT"), ARG_ANY, false, false, run_http },
};

static void
append_reply(struct lmtp *l, const char *fmt, va_list ap)
{
	char text[512];         /* a reply line is no longer [RFC 5321 s4.5.3.1.5] */

	vsnprintf(text, sizeof text - 2, fmt, ap);
	buf_append_str(session_out(l->s), text);
	buf_append_str(session_out(l->s), "\r\n");
}

void
lmtp_reply(struct lmtp *l, const char *fmt, ...)
{
	va_list ap;

	if (fmt[0] == '2' || fmt[0] == '3')
		session_good_command(l->s);
	va_start(ap, fmt);
	append_reply(l, fmt, ap);
	va_end(ap);
}

void
lmtp_bad(struct lmtp *l, const char *fmt, ...)
{
	va_list ap;

	if (session_bad_command(l->s)) {
		/* 421, as nothing else may come before our closing [RFC 5321 s3.8] */
		lmtp_reply(l, "421 4.7.0 Too many errors (limit bad_commands)");
		l->want = LMTP_QUIT;
		return;
	}
	va_start(ap, fmt);
	append_reply(l, fmt, ap);
	va_end(ap);
}

void
lmtp_greeting(struct lmtp *l)
{
	lmtp_reply(l, "220 %s LMTP " SERVER_NAME, server_hostname(session_server(l->s)));
}

/* Exim's lmtp transport, which knows unix sockets only, has room for 255 octets of this answer. So
 * what is for proxies, which come by TCP, is not told there; it is understood. */
static void
offer(struct lmtp *l)
{
	struct buf *out = session_out(l->s);
	char mechanisms[SASL_MECHANISMS_TEXT];

	buf_append_str(out,
	    "250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-BINARYMIME\r\n"
	    "250-CHUNKING\r\n250-SMTPUTF8\r\n");
	if (session_can_starttls(l->s))
		buf_append_str(out, "250-STARTTLS\r\n");
	if (lmtp_offers_auth(l))
		buf_printf(out, "250-AUTH %s\r\n", login_mechanisms(&l->login, mechanisms));
	if (lmtp_trusts(l) && !session_is_unix(l->s))
		buf_append_str(out,
		               "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n");
	if (lmtp_trusts(l))
		buf_append_str(out, "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n");
}

static void
run_lhlo(struct lmtp *l, struct slice arg)
{
	struct buf *out = session_out(l->s);

	/* What is said before SMTPUTF8 is ASCII [RFC 6531 s3.7.1]. */
	if (!lmtp_domain_valid(arg) || !text_is_ascii(arg) ||
	    !slice_to_cstr(arg, l->helo, sizeof l->helo)) {
		lmtp_bad(l, "501 5.5.4 Syntax: LHLO domain");
		return;
	}
	lmtp_transaction_reset(l);
	forward_reset(&l->forward);
	l->helo_given = true;
	buf_printf(out, "250-%s\r\n", server_hostname(session_server(l->s)));
	offer(l);
	buf_append_str(out, "250 SIZE ");
	buf_append_u64(out, session_conf(l->s)->limits.message_size);
	buf_append_str(out, "\r\n");
}

/* As if the connection had just been made. */
static void
begin_anew(struct lmtp *l)
{
	lmtp_transaction_reset(l);
	forward_reset(&l->forward);
	forward_reset(&l->client);
	login_leave(&l->login);
	l->authenticated = l->helo_given = false;
	l->opened_ms = clock_mono_ms();
}

/* False: answered. */
static bool
may_forward(struct lmtp *l)
{
	if (!lmtp_trusts(l))
		lmtp_bad(l, "550 5.7.0 Not from here ([lmtp] trusted_networks)");
	else if (l->mail_given)
		lmtp_bad(l, "503 5.5.1 Not within a transaction");
	else
		return true;
	return false;
}

static void
run_xclient(struct lmtp *l, struct slice arg)
{
	struct forward given;

	if (!may_forward(l))
		return;
	forward_init(&given);
	if (!forward_parse(&given, arg, true)) {
		forward_fini(&given);
		lmtp_bad(l, "501 5.5.4 Syntax: XCLIENT attribute=value ...");
		return;
	}
	begin_anew(l);
	forward_fini(&l->client);
	l->client = given;
	lmtp_greeting(l);
}

static void
run_xforward(struct lmtp *l, struct slice arg)
{
	if (!may_forward(l))
		return;
	if (forward_parse(&l->forward, arg, false))
		lmtp_reply(l, "250 2.0.0 OK");
	else
		lmtp_bad(l, "501 5.5.4 Syntax: XFORWARD attribute=value ...");
}

static void
run_data(struct lmtp *l, struct slice arg)
{
	(void)arg;
	if (!l->mail_given) {
		lmtp_mail_missing(l);
		return;
	}
	/* [RFC 3030 s2, s3] */
	if (l->chunked || l->binary) {
		lmtp_bad(l, l->chunked ? "503 5.5.1 No DATA behind BDAT: RSET first" :
		                         "503 5.5.1 BODY=BINARYMIME needs BDAT");
		return;
	}
	/* [RFC 2033 s4.2]. No mistake of the client, who pipelines. */
	if (l->rcpt_count == 0) {
		lmtp_reply(l, "503 5.5.1 No valid recipients");
		return;
	}
	l->heavy = l->light && l->groups->next != NULL;         /* each has its own ingestion */
	if (l->heavy)
		return;
	lmtp_data_begin(l);
	if (lmtp_data_failed(l)) {
		lmtp_data_answer_failure(l);
		lmtp_transaction_reset(l);
		forward_reset(&l->forward);
		return;
	}
	l->mode = LMTP_DATA;
	lmtp_reply(l, "354 Go on, end with CRLF.CRLF");
}

static void
run_rset(struct lmtp *l, struct slice arg)
{
	(void)arg;
	lmtp_transaction_reset(l);
	forward_reset(&l->forward);
	lmtp_reply(l, "250 2.0.0 Forgotten");
}

static void
run_vrfy(struct lmtp *l, struct slice arg)
{
	if (arg.len == 0)
		lmtp_bad(l, "501 5.5.4 Syntax: VRFY string");
	else
		lmtp_reply(l, "252 2.5.0 Cannot verify; RCPT tells the truth");
}

static void
run_noop(struct lmtp *l, struct slice arg)
{
	(void)arg;
	lmtp_reply(l, "250 2.0.0 OK");
}

static void
run_quit(struct lmtp *l, struct slice arg)
{
	(void)arg;
	lmtp_reply(l, "221 2.0.0 Bye");
	l->want = LMTP_QUIT;
}

static void
run_help(struct lmtp *l, struct slice arg)
{
	(void)arg;
	lmtp_reply(l,
	    "214 2.0.0 LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS AUTH QUIT [RFC 2033]");
}

static void
run_expn(struct lmtp *l, struct slice arg)
{
	(void)arg;
	lmtp_bad(l, "502 5.5.1 EXPN is not implemented");
}

static void
run_starttls(struct lmtp *l, struct slice arg)
{
	(void)arg;
	if (!session_can_starttls(l->s)) {
		lmtp_bad(l, "%s", session_has_tls(l->s) ? "503 5.5.1 TLS is up already" :
		                                         "502 5.5.1 TLS is not available");
		return;
	}
	begin_anew(l);
	lmtp_reply(l, "220 2.0.0 Begin TLS");
	l->want = LMTP_STARTTLS;
}

/* [RFC 2033 s4.1]: must not be answered positively */
static void
run_helo(struct lmtp *l, struct slice arg)
{
	(void)arg;
	lmtp_bad(l, "500 5.5.1 This is LMTP: LHLO");
}

static void
run_http(struct lmtp *l, struct slice arg)
{
	(void)arg;
	lmtp_reply(l, "421 4.7.0 This is LMTP, not HTTP");
	l->want = LMTP_QUIT;
}

/* "FROM:" or "TO:", and nothing else before the path. */
static bool
strip_prefix(struct slice *arg, struct slice prefix)
{
	if (!slice_starts_nocase(*arg, prefix))
		return false;
	*arg = slice_sub(*arg, prefix.len, arg->len);
	return true;
}

static void
run_verb(struct lmtp *l, const struct verb *v, struct slice arg)
{
	if (v->needs_lhlo && !l->helo_given) {
		lmtp_bad(l, "503 5.5.1 LHLO first");
		return;
	}
	switch (v->argument) {
	case ARG_NONE:
		if (slice_trim(arg).len > 0) {
			lmtp_bad(l, "501 5.5.4 %.*s takes no argument", SLICE_ARG(v->name));
			return;
		}
		break;
	case ARG_ANY:
		arg = slice_trim(arg);
		break;
	case ARG_FROM:
		if (!strip_prefix(&arg, SLICE("FROM:"))) {
			lmtp_bad(l, "501 5.5.4 Syntax: MAIL FROM:<address>");
			return;
		}
		break;
	case ARG_TO:
		if (!strip_prefix(&arg, SLICE("TO:"))) {
			lmtp_bad(l, "501 5.5.4 Syntax: RCPT TO:<address>");
			return;
		}
		break;
	}
	v->run(l, arg);
}

static const struct verb *
find_verb(struct slice name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (slice_eq_nocase(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

bool
lmtp_command_is_light(struct slice line)
{
	const struct verb *v = find_verb(slice_sub(line, 0, slice_find_byte(line, ' ')));

	return v != NULL && v->light;
}

void
lmtp_command(struct lmtp *l, struct slice line)
{
	const struct verb *v;
	size_t space = slice_find_byte(line, ' ');
	struct slice name = slice_sub(line, 0, space), arg = slice_sub(line, space + 1, line.len);

	if (!text_utf8_valid(line) || slice_find_byte(line, '\0') < line.len ||
	    slice_find_byte(line, '\r') < line.len) {
		if (!lmtp_bdat_garbled(l, line))
			lmtp_bad(l, "500 5.5.2 Syntax error: control characters or bad UTF-8");
		return;
	}
	v = find_verb(name);
	if (v != NULL)
		run_verb(l, v, arg);
	else if (!lmtp_bdat_garbled(l, line))
		lmtp_bad(l, "500 5.5.1 Unknown command: expected LHLO, MAIL, RCPT, DATA, BDAT, "
		            "RSET, NOOP, VRFY or QUIT");
}
