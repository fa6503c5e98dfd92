/* access - who may deliver here, who is believed about others, and AUTH [RFC 4954]. See lmtp.h.
 *
 * By a unix socket and from the loopback everybody may deliver. Whoever else comes must come from
 * [lmtp] networks, show a certificate that is named in certificate_names, or log in as one of
 * auth_accounts; else MAIL is answered 530, and with it all that needs a transaction. AUTH is
 * offered when there are such accounts; others that log in here get nothing by it, and are told so.
 */
#include "lib/network.h"
#include "lib/text.h"
#include "server/lmtp/lmtp.h"

static bool
peer_is_in(const struct lmtp *l, const struct conf_networks *networks)
{
	const uint8_t *ip = session_ip(l->s);

	return ip != NULL && network_list_has(networks->list, networks->count, ip);
}

static bool
is_loopback(const struct lmtp *l)
{
	return session_is_loopback(l->s);
}

static bool
has_certificate(const struct lmtp *l)
{
	const struct conf_list *names = &session_conf(l->s)->lmtp.certificate_names;
	struct slice name = session_certificate_name(l->s);

	for (size_t i = 0; i < names->count; i++)
		if (name.len > 0 && slice_eq_nocase(slice_str(names->words[i]), name))
			return true;
	return false;
}

bool
lmtp_is_welcome(const struct lmtp *l)
{
	return session_is_unix(l->s) || l->authenticated || is_loopback(l) ||
	       peer_is_in(l, &session_conf(l->s)->lmtp.networks) || has_certificate(l);
}

bool
lmtp_may_deliver(struct lmtp *l)
{
	struct logline line;

	if (lmtp_is_welcome(l))
		return true;
	if (!l->told_denied) {
		l->told_denied = true;
		session_log(l->s, &line, LOGLEVEL_WARN, "lmtp.denied");
		log_cstr(&line, "text",
		         "not from [lmtp] networks, no certificate of certificate_names, no login");
		log_end(&line);
	}
	return false;
}

bool
lmtp_trusts(const struct lmtp *l)
{
	const struct conf_lmtp *conf = &session_conf(l->s)->lmtp;

	return session_is_unix(l->s) ? conf->trust_socket : peer_is_in(l, &conf->trusted_networks);
}

/* ---- AUTH ---- */

bool
lmtp_offers_auth(struct lmtp *l)
{
	char mechanisms[SASL_MECHANISMS_TEXT];

	return !l->authenticated && session_conf(l->s)->lmtp.auth_accounts.count > 0 &&
	       login_mechanisms(&l->login, mechanisms)[0] != '\0';
}

static bool
same_name(struct slice a, struct slice b)
{
	struct buf x, y;
	bool same;

	buf_init(&x, 4096);
	buf_init(&y, 4096);
	same = text_casefold(a, &x) && text_casefold(b, &y) &&
	       slice_eq(buf_slice(&x), buf_slice(&y));
	buf_fini(&x);
	buf_fini(&y);
	return same;
}

static bool
is_auth_account(const struct lmtp *l)
{
	const struct conf_list *names = &session_conf(l->s)->lmtp.auth_accounts;

	for (size_t i = 0; i < names->count; i++)
		if (same_name(slice_str(names->words[i]), login_account(&l->login)->name))
			return true;
	return false;
}

static void
refused(struct lmtp *l)
{
	if (login_failed_too_often(&l->login)) {
		lmtp_reply(l, "421 4.7.0 Too many failed logins");
		l->want = LMTP_QUIT;
		return;
	}
	lmtp_reply(l, "535 5.7.8 Authentication failed");
}

static void
auth_result(struct lmtp *l, enum login_result r, const struct buf *challenge)
{
	l->mode = LMTP_COMMANDS;
	switch (r) {
	case LOGIN_CHALLENGE:
		l->mode = LMTP_AUTH;
		/* Maybe longer than a reply is elsewhere. */
		buf_printf(session_out(l->s), "334 %.*s\r\n", SLICE_ARG(buf_slice(challenge)));
		break;
	case LOGIN_OK:
		l->authenticated = is_auth_account(l);
		if (l->authenticated) {
			lmtp_reply(l, "235 2.7.0 Authenticated");
			break;
		}
		login_leave(&l->login);
		lmtp_bad(l, "535 5.7.8 The account may not deliver");
		break;
	case LOGIN_REFUSED:
	case LOGIN_UNAUTHORIZED:
		refused(l);
		break;
	case LOGIN_MALFORMED:
		lmtp_bad(l, "501 5.5.2 The message does not follow the mechanism");
		break;
	case LOGIN_NO_MECHANISM:
		lmtp_bad(l, "504 5.5.4 No such mechanism here");
		break;
	case LOGIN_PRIVACY:
		lmtp_bad(l, "504 5.5.4 Passwords are accepted under TLS only");
		break;
	case LOGIN_CANCELLED:
		lmtp_reply(l, "501 5.7.0 Authentication cancelled");
		break;
	case LOGIN_LIMIT:
		lmtp_reply(l, "454 4.7.0 The account has too many connections");
		break;
	case LOGIN_UNAVAILABLE:
		lmtp_reply(l, "454 4.7.0 Authentication is not possible now, try again later");
		break;
	}
}

void
lmtp_auth(struct lmtp *l, struct slice arg)
{
	size_t space = slice_find_byte(arg, ' ');
	struct slice initial = space < arg.len ? slice_sub(arg, space + 1, arg.len) : SLICE_NONE;
	enum login_result r;
	struct buf challenge;

	if (l->authenticated || l->mail_given) {
		lmtp_bad(l, l->authenticated ? "503 5.5.1 Authenticated already"
		                             : "503 5.5.1 No AUTH within a transaction");
		return;
	}
	if (session_conf(l->s)->lmtp.auth_accounts.count == 0) {
		lmtp_bad(l, "502 5.5.1 AUTH is not offered here");
		return;
	}
	if (space == 0) {
		lmtp_bad(l, "501 5.5.4 Syntax: AUTH mechanism [initial-response]");
		return;
	}
	buf_init(&challenge, LOGIN_CHALLENGE_MAX + 1);
	r = login_start(&l->login, slice_sub(arg, 0, space), initial, &challenge);
	auth_result(l, r, &challenge);
	buf_fini(&challenge);
}

void
lmtp_auth_line(struct lmtp *l, struct slice line)
{
	struct buf challenge;
	enum login_result r;

	buf_init(&challenge, LOGIN_CHALLENGE_MAX + 1);
	r = login_answer(&l->login, line, &challenge);
	auth_result(l, r, &challenge);
	buf_fini(&challenge);
}

void
lmtp_auth_too_long(struct lmtp *l)
{
	(void)login_cancel(&l->login);
	lmtp_bad(l, "500 5.5.6 Line too long (limit %u octets)", LMTP_AUTH_LINE_MAX);
}
