/* commands - the verbs of LMTP [RFC 2033 s4, RFC 5321 s4.1.1]. See lmtp.h. All in steps on the pool. */
#include <stdarg.h>
#include <stdio.h>

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
static void run_mail(struct lmtp *l, struct slice arg);
static void run_rcpt(struct lmtp *l, struct slice arg);
static void run_data(struct lmtp *l, struct slice arg);
static void run_rset(struct lmtp *l, struct slice arg);
static void run_vrfy(struct lmtp *l, struct slice arg);
static void run_noop(struct lmtp *l, struct slice arg);
static void run_quit(struct lmtp *l, struct slice arg);
static void run_help(struct lmtp *l, struct slice arg);
static void run_expn(struct lmtp *l, struct slice arg);
static void run_starttls(struct lmtp *l, struct slice arg);
static void run_helo(struct lmtp *l, struct slice arg);
static void run_http(struct lmtp *l, struct slice arg);

static const struct verb {
	struct slice       name;
	enum verb_argument argument;
	bool               needs_lhlo;
	void             (*run)(struct lmtp *l, struct slice arg);
} verbs[] = {
	{ SLICE_INIT("LHLO"), ARG_ANY, false, run_lhlo },
	{ SLICE_INIT("MAIL"), ARG_FROM, true, run_mail },
	{ SLICE_INIT("RCPT"), ARG_TO, true, run_rcpt },
	{ SLICE_INIT("DATA"), ARG_NONE, true, run_data },
	{ SLICE_INIT("RSET"), ARG_NONE, false, run_rset },
	{ SLICE_INIT("VRFY"), ARG_ANY, false, run_vrfy },
	{ SLICE_INIT("NOOP"), ARG_ANY, false, run_noop },
	{ SLICE_INIT("QUIT"), ARG_NONE, false, run_quit },
	{ SLICE_INIT("HELP"), ARG_ANY, false, run_help },
	{ SLICE_INIT("EXPN"), ARG_ANY, false, run_expn },
	{ SLICE_INIT("STARTTLS"), ARG_NONE, false, run_starttls },
	{ SLICE_INIT("HELO"), ARG_ANY, false, run_helo },
	{ SLICE_INIT("EHLO"), ARG_ANY, false, run_helo },
	/* Browsers made to talk to us by a web page. */
	{ SLICE_INIT("GET"), ARG_ANY, false, run_http },
	{ SLICE_INIT("HEAD"), ARG_ANY, false, run_http },
	{ SLICE_INIT("POST"), ARG_ANY, false, run_http },
	{ SLICE_INIT("PUT"), ARG_ANY, false, run_http },
	{ SLICE_INIT("OPTIONS"), ARG_ANY, false, run_http },
	{ SLICE_INIT("CONNECT"), ARG_ANY, false, run_http },
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

static void
run_lhlo(struct lmtp *l, struct slice arg)
{
	struct buf *out = session_out(l->s);

	/* What is said before SMTPUTF8 is ASCII [RFC 6531 s3.7.1]. */
	if (!lmtp_domain_valid(arg) || !text_is_ascii(arg) || !slice_to_cstr(arg, l->helo, sizeof l->helo)) {
		lmtp_bad(l, "501 5.5.4 Syntax: LHLO domain");
		return;
	}
	lmtp_transaction_reset(l);
	l->helo_given = true;
	buf_printf(out, "250-%s\r\n", server_hostname(session_server(l->s)));
	buf_append_str(out, "250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n");
	if (session_can_starttls(l->s))
		buf_append_str(out, "250-STARTTLS\r\n");
	buf_append_str(out, "250 SIZE ");
	buf_append_u64(out, session_conf(l->s)->limits.message_size);
	buf_append_str(out, "\r\n");
}

static bool
too_big(struct lmtp *l)
{
	uint64_t limit = session_conf(l->s)->limits.message_size;

	if (l->declared_size <= limit)
		return false;
	lmtp_reply(l, "552 5.3.4 Message too big (limit message_size, %llu octets)", (unsigned long long)limit);
	return true;
}

/* size-value = 1*20DIGIT [RFC 1870 s3]; what no number of ours holds is too big all the same */
static bool
parse_size(struct slice s, uint64_t *out)
{
	if (slice_to_u64(s, UINT64_MAX / 2, out))
		return true;
	*out = UINT64_MAX / 2;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len > 0 && s.len <= 20;
}

/* SIZE [RFC 1870 s6], BODY [RFC 6152 s2], SMTPUTF8 [RFC 6531 s3.4]. False: answered. */
static bool
mail_param(struct lmtp *l, const struct lmtp_param *p)
{
	if (slice_eq_nocase(p->name, SLICE("SIZE"))) {
		if (parse_size(p->value, &l->declared_size))
			return true;
		lmtp_bad(l, "501 5.5.4 Syntax: SIZE=octets");
		return false;
	}
	if (slice_eq_nocase(p->name, SLICE("BODY"))) {
		if (slice_eq_nocase(p->value, SLICE("7BIT")) || slice_eq_nocase(p->value, SLICE("8BITMIME")))
			return true;
		lmtp_bad(l, "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME");
		return false;
	}
	if (slice_eq_nocase(p->name, SLICE("SMTPUTF8")) && !p->has_value) {
		l->smtputf8 = true;
		return true;
	}
	lmtp_bad(l, "555 5.5.4 Unknown parameter of MAIL");
	return false;
}

static bool
mail_params(struct lmtp *l, struct lmtp_parser *p)
{
	struct lmtp_param param;

	while (lmtp_parse_param(p, &param))
		if (!mail_param(l, &param))
			return false;
	if (p->expected == NULL)
		return true;
	lmtp_bad(l, "501 5.5.4 Syntax error in parameters: expected %s", p->expected);
	return false;
}

static void
run_mail(struct lmtp *l, struct slice arg)
{
	struct lmtp_parser p;
	struct lmtp_path path;
	bool ok = false;

	if (l->mail_given) {
		lmtp_bad(l, "503 5.5.1 A transaction is under way: RSET first");
		return;
	}
	lmtp_transaction_reset(l);
	lmtp_parser_init(&p, arg);
	if (!lmtp_parse_reverse_path(&p, &l->arena, &path))
		lmtp_bad(l, "501 5.1.7 Syntax error in reverse-path: expected %s", p.expected);
	else if (mail_params(l, &p) && !too_big(l))
		ok = true;
	if (ok && path.utf8 && !l->smtputf8) {
		lmtp_bad(l, "553 5.6.7 A non-ASCII address needs SMTPUTF8");
		ok = false;
	}
	if (ok) {
		l->sender = arena_dup(&l->arena, path.text);
		ok = l->sender.ptr != NULL;
		if (!ok)
			lmtp_reply(l, "451 4.3.0 Out of memory");
	}
	if (!ok) {
		lmtp_transaction_reset(l);
		l->mail_refused = true;
		return;
	}
	l->mail_given = true;
	lmtp_reply(l, "250 2.1.0 Sender ok");
}

/* RCPT or DATA without MAIL. No mistake of a client that pipelined them behind a MAIL that we refused. */
static void
mail_missing(struct lmtp *l)
{
	if (l->mail_refused)
		lmtp_reply(l, "503 5.5.1 MAIL was refused");
	else
		lmtp_bad(l, "503 5.5.1 MAIL first");
}

static void
run_rcpt(struct lmtp *l, struct slice arg)
{
	uint64_t limit = session_conf(l->s)->limits.max_recipients;
	struct lmtp_param param;
	struct lmtp_parser p;
	struct lmtp_path path;

	if (!l->mail_given) {
		mail_missing(l);
		return;
	}
	if (l->rcpt_count >= limit) {
		lmtp_reply(l, "452 4.5.3 Too many recipients (limit max_recipients, %llu)", (unsigned long long)limit);
		return;
	}
	lmtp_parser_init(&p, arg);
	if (!lmtp_parse_forward_path(&p, &l->arena, &path))
		lmtp_bad(l, "501 5.1.3 Syntax error in forward-path: expected %s", p.expected);
	else if (lmtp_parse_param(&p, &param))
		lmtp_bad(l, "555 5.5.4 RCPT takes no parameters here");
	else if (p.expected != NULL)
		lmtp_bad(l, "501 5.5.4 Syntax error in parameters: expected %s", p.expected);
	else if (path.utf8 && !l->smtputf8)
		lmtp_reply(l, "553 5.6.7 A non-ASCII address needs SMTPUTF8");
	else
		lmtp_rcpt_add(l, &path);
}

static void
run_data(struct lmtp *l, struct slice arg)
{
	(void)arg;
	if (!l->mail_given) {
		mail_missing(l);
		return;
	}
	/* [RFC 2033 s4.2]. No mistake of the client, who pipelines. */
	if (l->rcpt_count == 0) {
		lmtp_reply(l, "503 5.5.1 No valid recipients");
		return;
	}
	if (!lmtp_data_begin(l))
		return;
	l->mode = LMTP_DATA;
	lmtp_reply(l, "354 Go on, end with CRLF.CRLF");
}

static void
run_rset(struct lmtp *l, struct slice arg)
{
	(void)arg;
	lmtp_transaction_reset(l);
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
	lmtp_reply(l, "214 2.0.0 LHLO MAIL RCPT DATA RSET NOOP VRFY HELP STARTTLS QUIT [RFC 2033]");
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
	lmtp_transaction_reset(l);
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

void
lmtp_command(struct lmtp *l, struct slice line)
{
	size_t space = slice_find_byte(line, ' ');
	struct slice name = slice_sub(line, 0, space), arg = slice_sub(line, space + 1, line.len);

	if (!text_utf8_valid(line) || slice_find_byte(line, '\0') < line.len ||
	    slice_find_byte(line, '\r') < line.len) {
		lmtp_bad(l, "500 5.5.2 Syntax error: control characters or bad UTF-8");
		return;
	}
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (slice_eq_nocase(verbs[i].name, name)) {
			run_verb(l, &verbs[i], arg);
			return;
		}
	}
	lmtp_bad(l, "500 5.5.1 Unknown command: expected LHLO, MAIL, RCPT, DATA, RSET, NOOP, VRFY or QUIT");
}
