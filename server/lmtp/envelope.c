/* envelope - MAIL and RCPT with their parameters [RFC 5321 s4.1.1.2, s4.1.1.3]. See lmtp.h. In
 * steps on the pool.
 *
 * The parameters of DSN [RFC 3461] are taken and checked, though the extension is not offered:
 * whoever offers it has to write the notification of a success himself, and we write no mail. To an
 * MTA that sees no DSN here this is the last hop, and it writes them as soon as we have answered.
 * What senders asked for is still worth no 555 from us.
 */
#include "lib/text.h"
#include "server/lmtp/lmtp.h"
#include "server/lmtp/xtext.h"

#define ENVID_MAX 100u          /* octets [RFC 3461 s4.4] */

/* Each parameter comes once. */
enum seen {
	SEEN_SIZE = 1 << 0,
	SEEN_BODY = 1 << 1,
	SEEN_SMTPUTF8 = 1 << 2,
	SEEN_RET = 1 << 3,
	SEEN_ENVID = 1 << 4,
	SEEN_AUTH = 1 << 5,
	SEEN_NOTIFY = 1 << 6,
	SEEN_ORCPT = 1 << 7,
};

/* What a parameter is and how it is read: NULL when its value is good, else what it should be. */
struct param_def {
	struct slice name;
	enum seen    bit;
	const char *(*read)(struct lmtp *l, const struct lmtp_param *p);
};

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

static const char *
read_size(struct lmtp *l, const struct lmtp_param *p)
{
	return parse_size(p->value, &l->declared_size) ? NULL : "SIZE=octets";
}

/* [RFC 6152 s2, RFC 3030 s3] */
static const char *
read_body(struct lmtp *l, const struct lmtp_param *p)
{
	l->binary = slice_eq_nocase(p->value, SLICE("BINARYMIME"));
	if (l->binary || slice_eq_nocase(p->value, SLICE("7BIT")) ||
	    slice_eq_nocase(p->value, SLICE("8BITMIME")))
		return NULL;
	return "BODY=7BIT, 8BITMIME or BINARYMIME";
}

static const char *
read_smtputf8(struct lmtp *l, const struct lmtp_param *p)
{
	l->smtputf8 = true;
	return p->has_value ? "SMTPUTF8 without a value" : NULL;
}

static const char *
read_ret(struct lmtp *l, const struct lmtp_param *p)
{
	(void)l;
	if (slice_eq_nocase(p->value, SLICE("FULL")) || slice_eq_nocase(p->value, SLICE("HDRS")))
		return NULL;
	return "RET=FULL or RET=HDRS";
}

/* Kept for the log: with it the sender's side can ask what became of the message. */
static const char *
read_envid(struct lmtp *l, const struct lmtp_param *p)
{
	if (p->value.len == 0 || p->value.len > ENVID_MAX || !xtext_is_printable(p->value))
		return "ENVID=xtext of printable characters, at most 100 octets";
	l->envid = arena_dup(&l->arena, p->value);
	return l->envid.ptr != NULL ? NULL : "available memory";
}

/* Who first sent it, as somebody says [RFC 4954 s5]. Nothing of ours depends on it. */
static const char *
read_auth(struct lmtp *l, const struct lmtp_param *p)
{
	(void)l;
	return p->value.len > 0 && xtext_valid(p->value) ? NULL : "AUTH=xtext or AUTH=<>";
}

static bool
take_word(struct slice *list, struct slice *word)
{
	size_t comma = slice_find_byte(*list, ',');

	if (list->ptr == NULL)
		return false;
	*word = slice_sub(*list, 0, comma);
	*list = comma < list->len ? slice_sub(*list, comma + 1, list->len) : SLICE_NONE;
	return true;
}

static const char *
read_notify(struct lmtp *l, const struct lmtp_param *p)
{
	struct slice rest = p->value, word;

	(void)l;
	if (slice_eq_nocase(rest, SLICE("NEVER")))
		return NULL;
	if (rest.len == 0)
		rest = SLICE("-");
	while (take_word(&rest, &word))
		if (!slice_eq_nocase(word, SLICE("SUCCESS")) &&
		    !slice_eq_nocase(word, SLICE("FAILURE")) &&
		    !slice_eq_nocase(word, SLICE("DELAY")))
			return "NOTIFY=NEVER, or SUCCESS, FAILURE, DELAY";
	return NULL;
}

static const char *
read_orcpt(struct lmtp *l, const struct lmtp_param *p)
{
	return xtext_orcpt_valid(p->value, l->smtputf8) ? NULL
	                                                : "ORCPT=type;xtext, at most 500 octets";
}

static const struct param_def mail_params[] = {
	{ SLICE_INIT("SIZE"), SEEN_SIZE, read_size },
	{ SLICE_INIT("BODY"), SEEN_BODY, read_body },
	{ SLICE_INIT("SMTPUTF8"), SEEN_SMTPUTF8, read_smtputf8 },
	{ SLICE_INIT("RET"), SEEN_RET, read_ret },
	{ SLICE_INIT("ENVID"), SEEN_ENVID, read_envid },
	{ SLICE_INIT("AUTH"), SEEN_AUTH, read_auth },
};

static const struct param_def rcpt_params[] = {
	{ SLICE_INIT("NOTIFY"), SEEN_NOTIFY, read_notify },
	{ SLICE_INIT("ORCPT"), SEEN_ORCPT, read_orcpt },
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* False: answered. */
static bool
read_param(struct lmtp *l, const char *verb, const struct param_def *defs, size_t count,
           const struct lmtp_param *p, unsigned *seen)
{
	const char *expected;
	size_t i;

	for (i = 0; i < count && !slice_eq_nocase(p->name, defs[i].name); i++)
		;
	if (i == count) {
		lmtp_bad(l, "555 5.5.4 Unknown parameter of %s", verb);
		return false;
	}
	if ((*seen & defs[i].bit) != 0) {
		lmtp_bad(l, "501 5.5.4 %.*s was given twice", SLICE_ARG(defs[i].name));
		return false;
	}
	*seen |= defs[i].bit;
	expected = defs[i].read(l, p);
	if (expected != NULL)
		lmtp_bad(l, "501 5.5.4 Syntax: %s", expected);
	return expected == NULL;
}

static bool
read_params(struct lmtp *l, const char *verb, const struct param_def *defs, size_t count,
            struct lmtp_parser *p)
{
	struct lmtp_param param;
	unsigned seen = 0;

	while (lmtp_parse_param(p, &param))
		if (!read_param(l, verb, defs, count, &param, &seen))
			return false;
	if (p->expected == NULL)
		return true;
	lmtp_bad(l, "501 5.5.4 Syntax error in parameters: expected %s", p->expected);
	return false;
}

/* ---- MAIL ---- */

static bool
too_big(struct lmtp *l)
{
	uint64_t limit = session_conf(l->s)->limits.message_size;

	if (l->declared_size <= limit)
		return false;
	lmtp_reply(l, "552 5.3.4 Message too big (limit message_size, %llu octets)",
	    (unsigned long long)limit);
	return true;
}

static bool
mail_accept(struct lmtp *l, struct slice arg)
{
	struct lmtp_parser p;
	struct lmtp_path path;

	lmtp_parser_init(&p, arg);
	if (!lmtp_parse_reverse_path(&p, &l->arena, &path)) {
		lmtp_bad(l, "501 5.1.7 Syntax error in reverse-path: expected %s", p.expected);
		return false;
	}
	if (!read_params(l, "MAIL", mail_params, COUNT(mail_params), &p) || too_big(l))
		return false;
	if (path.utf8 && !l->smtputf8) {
		lmtp_bad(l, "553 5.6.7 A non-ASCII address needs SMTPUTF8");
		return false;
	}
	l->sender = arena_dup(&l->arena, path.text);
	if (l->sender.ptr == NULL) {
		lmtp_reply(l, "451 4.3.0 Out of memory");
		return false;
	}
	return true;
}

void
lmtp_mail(struct lmtp *l, struct slice arg)
{
	if (l->mail_given) {
		lmtp_bad(l, "503 5.5.1 A transaction is under way: RSET first");
		return;
	}
	lmtp_transaction_reset(l);
	if (!lmtp_may_deliver(l)) {
		lmtp_reply(l, "530 5.7.0 Authentication required");
		l->mail_refused = true;
		return;
	}
	if (!mail_accept(l, arg)) {
		lmtp_transaction_reset(l);
		l->mail_refused = true;
		return;
	}
	l->mail_given = true;
	lmtp_reply(l, "250 2.1.0 Sender ok");
}

/* ---- RCPT ---- */

/* RCPT or DATA without MAIL. No mistake of a client that pipelined them behind a MAIL
 * that we refused. */
void
lmtp_mail_missing(struct lmtp *l)
{
	if (l->mail_refused)
		lmtp_reply(l, "503 5.5.1 MAIL was refused");
	else
		lmtp_bad(l, "503 5.5.1 MAIL first");
}

/* The path lies in an arena of its own: however many are refused, the transaction does not grow. */
static void
rcpt_accept(struct lmtp *l, struct slice arg, struct arena *a)
{
	struct lmtp_parser p;
	struct lmtp_path path;

	lmtp_parser_init(&p, arg);
	if (!lmtp_parse_forward_path(&p, a, &path))
		lmtp_bad(l, "501 5.1.3 Syntax error in forward-path: expected %s", p.expected);
	else if (!read_params(l, "RCPT", rcpt_params, COUNT(rcpt_params), &p))
		return;
	else if (path.utf8 && !l->smtputf8)
		lmtp_reply(l, "553 5.6.7 A non-ASCII address needs SMTPUTF8");
	else
		lmtp_rcpt_add(l, &path);
}

void
lmtp_rcpt(struct lmtp *l, struct slice arg)
{
	uint64_t limit = session_conf(l->s)->limits.max_recipients;
	struct arena a;

	if (!l->mail_given) {
		lmtp_mail_missing(l);
		return;
	}
	if (l->chunked) {
		lmtp_bad(l, "503 5.5.1 No RCPT behind BDAT");
		return;
	}
	if (l->rcpt_count >= limit) {
		lmtp_reply(l, "452 4.5.3 Too many recipients (limit max_recipients, %llu)",
		    (unsigned long long)limit);
		return;
	}
	arena_init(&a, 2 * LMTP_LINE_MAX);
	rcpt_accept(l, arg, &a);
	arena_fini(&a);
}
