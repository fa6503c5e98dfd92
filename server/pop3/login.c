/* login - USER and PASS, AUTH [RFC 5034], STLS [RFC 2595].
 *
 * A password is kept only from its line to the end of its check, in a secret. Checking hashes,
 * so it is a step; when the credentials are good the same step goes on to load the maildrop.
 * USER is answered +OK whoever is named: which accounts exist is nobody's business.
 */
#include "server/pop3/pop3.h"

#include "lib/base64.h"

#include <stdlib.h>

#define CHALLENGE_MAX 4096u

struct sasl_setup
pop3_sasl_setup(struct pop3 *p)
{
	return (struct sasl_setup){
		.service = "pop",       /* [RFC 5034 s4] */
		.host = server_hostname(session_server(p->s)),
		.tls = session_has_tls(p->s),
		.cleartext_ok = session_plaintext_allowed(p->s),
		.accounts = server_sasl_accounts(session_server(p->s)),
	};
}

static void
forget_user(struct pop3 *p)
{
	free((void *)(uintptr_t)p->user_name.ptr);
	p->user_name = SLICE_NONE;
}

/* Keep bytes that may be a password. False without memory. */
static bool
keep_secret(struct pop3 *p, struct slice bytes)
{
	struct err e = ERR_INIT;

	secret_fini(&p->password);
	return secret_init(&p->password, bytes.len + 1, &e) == RC_OK &&
	       secret_append(&p->password, bytes);
}

static void
log_login(struct pop3 *p, enum log_level level, const char *ev, struct slice name,
          const struct err *e)
{
	struct logline l;

	session_log(p->s, &l, level, ev);
	if (!p->identified)             /* else the session names itself */
		log_str(&l, "user", name);
	log_cstr(&l, "tls", session_has_tls(p->s) ? "yes" : "no");
	if (e != NULL)
		log_err(&l, e);
	log_end(&l);
}

static void
log_no_tls(struct pop3 *p, struct slice name)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, RC_DENIED, "a password without TLS");
	log_login(p, LOGLEVEL_WARN, "pop3.login.failed", name, &e);
}

enum session_next
pop3_start_user(struct pop3 *p, struct slice arg, bool has_arg)
{
	uint8_t *name;

	if (!has_arg)
		return pop3_err(p, "USER needs a name");
	if (!session_plaintext_allowed(p->s)) {
		log_no_tls(p, arg);
		return pop3_err(p, "Passwords are accepted under TLS only");   /* [RFC 3206 s5] */
	}
	if (arg.len > SASL_NAME_MAX)
		return pop3_err(p, "A name may have 255 octets");
	name = malloc(arg.len);
	if (name == NULL)
		return pop3_err(p, "[SYS/TEMP] Out of memory");
	memcpy(name, arg.ptr, arg.len);
	forget_user(p);
	p->user_name = slice_of(name, arg.len);
	return pop3_ok(p, "Now the password");
}

/* PASS's argument may contain spaces: all of the rest is the password [RFC 1939 s7]. */
enum session_next
pop3_start_pass(struct pop3 *p, struct slice arg, bool has_arg)
{
	if (p->user_name.ptr == NULL)
		return pop3_err(p, "USER comes first");
	if (!has_arg)
		return pop3_err(p, "PASS needs a password");
	if (!keep_secret(p, arg))
		return pop3_err(p, "[SYS/TEMP] Out of memory");
	return NEXT_STEP;
}

/* Refused: the answer, and the end of the connection when that has happened too often. */
static enum step_result
login_refused(struct pop3 *p, struct slice name, const struct err *e)
{
	log_login(p, LOGLEVEL_WARN, "pop3.login.failed", name, e);
	pop3_err(p, "[AUTH] Wrong name or password");
	forget_user(p);
	session_delay_login(p->s, p->auth_failures + 1);
	if (++p->auth_failures >= session_conf(p->s)->limits.auth_failures)
		return STEP_CLOSE;
	return STEP_DONE;
}

/* The identity is established: find its maildrop and begin to load it. */
static enum step_result
login_done(struct pop3 *p)
{
	struct err e = ERR_INIT;
	struct account_info account;
	struct slice name = slice_str(p->identity.name);
	enum rc rc;

	rc = server_find_account(session_server(p->s), name, &p->arena, &p->volume, &account, &e);
	if (rc == RC_NOT_FOUND)
		return login_refused(p, name, &e);
	if (rc != RC_OK) {
		pop3_internal_error(p, "pop3.login.error", &e);
		return STEP_DONE;
	}
	p->account = account.id;
	p->identified = true;
	session_set_user(p->s, account.name);
	log_login(p, LOGLEVEL_INFO, "pop3.login", account.name, NULL);
	return pop3_maildrop_load(p);
}

enum step_result
pop3_step_pass(struct pop3 *p)
{
	struct err e = ERR_INIT;
	enum rc rc;

	if (p->identified)
		return pop3_maildrop_load(p);
	rc = sasl_login_check(server_sasl_accounts(session_server(p->s)), p->user_name,
	                      secret_slice(&p->password), &p->identity, &e);
	secret_fini(&p->password);
	if (rc == RC_OK)
		return login_done(p);
	if (rc == RC_DENIED || rc == RC_NOT_FOUND || rc == RC_SYNTAX || rc == RC_LIMIT)
		return login_refused(p, p->user_name, &e);
	pop3_internal_error(p, "pop3.login.error", &e);
	return STEP_DONE;
}

/* Decode one base64 SASL message into p->password; "=" is the empty one [RFC 5034 s4]. */
static bool
take_sasl_message(struct pop3 *p, struct slice text, bool initial)
{
	struct buf raw;
	bool ok;

	buf_init(&raw, SASL_MESSAGE_MAX + 3);
	ok = buf_reserve(&raw, SASL_MESSAGE_MAX + 3) != NULL;
	if (!initial || !slice_eq(text, SLICE("=")))
		ok = ok && base64_decode(text, &raw);
	ok = ok && keep_secret(p, buf_slice(&raw));
	secret_wipe_buf(&raw);
	buf_fini(&raw);
	return ok;
}

/* AUTH [mechanism [initial-response]] [RFC 5034 s4]; without a mechanism it lists them, as old
 * clients expect. */
enum session_next
pop3_start_auth(struct pop3 *p, struct slice arg, bool has_arg)
{
	struct sasl_setup setup = pop3_sasl_setup(p);
	struct err e = ERR_INIT;
	size_t space;

	if (!has_arg) {
		pop3_ok(p, "Mechanisms follow");
		if (sasl_mechanisms(&setup)[0] != '\0')
			buf_printf(session_out(p->s), "%s\r\n", sasl_mechanisms(&setup));
		buf_append_str(session_out(p->s), ".\r\n");
		return NEXT_AGAIN;
	}
	space = slice_find_byte(arg, ' ');
	p->has_initial = space < arg.len;
	p->mechanism = arena_dup(&p->arena, slice_sub(arg, 0, space));
	sasl_exchange_free(&p->exchange);
	if (slice_eq_nocase(p->mechanism, SLICE("PLAIN")) && !setup.cleartext_ok)
		log_no_tls(p, SLICE(""));       /* the exchange says that it is not offered */
	if (p->mechanism.ptr == NULL || sasl_exchange_new(&setup, &p->exchange, &e) != RC_OK)
		return pop3_err(p, "[SYS/TEMP] Out of memory");
	if (p->has_initial && !take_sasl_message(p, slice_sub(arg, space + 1, arg.len), true)) {
		pop3_auth_end(p);
		return pop3_err(p, "The initial response is not base64, or too long");
	}
	return NEXT_STEP;
}

void
pop3_auth_end(struct pop3 *p)
{
	p->in_auth = false;
	p->mechanism = SLICE_NONE;
	sasl_exchange_free(&p->exchange);
}

enum session_next
pop3_auth_line(struct pop3 *p, struct slice line)
{
	p->in_auth = false;
	if (slice_eq(line, SLICE("*"))) {
		sasl_exchange_cancel(p->exchange);
		pop3_auth_end(p);
		return pop3_err(p, "Authentication cancelled");
	}
	if (!take_sasl_message(p, line, false)) {
		pop3_auth_end(p);
		return pop3_err(p, "That is not base64, or too long");
	}
	return NEXT_STEP;
}

/* What the exchange says, as answer and next step. */
static enum step_result
auth_result(struct pop3 *p, enum sasl_result r, const struct buf *challenge)
{
	struct err e = ERR_INIT;

	switch (r) {
	case SASL_EX_CONTINUE:
		buf_append_str(session_out(p->s), "+ ");
		base64_encode(buf_slice(challenge), session_out(p->s));
		buf_append_str(session_out(p->s), "\r\n");
		p->in_auth = true;
		return STEP_DONE;
	case SASL_EX_OK:
		p->identity = *sasl_exchange_authorized(p->exchange);
		return login_done(p);
	case SASL_EX_NO_MECHANISM:
		pop3_err(p, "No such mechanism here");
		return STEP_DONE;
	case SASL_EX_MALFORMED:
	case SASL_EX_CANCELLED:
		pop3_err(p, "The message does not follow the mechanism");
		return STEP_DONE;
	case SASL_EX_FAILED:
	case SASL_EX_UNAUTHORIZED:
		e = *sasl_exchange_error(p->exchange);
		return login_refused(p, sasl_exchange_claimed(p->exchange), &e);
	case SASL_EX_TEMPFAIL:
		break;
	}
	pop3_internal_error(p, "pop3.login.error", sasl_exchange_error(p->exchange));
	return STEP_DONE;
}

enum step_result
pop3_step_auth(struct pop3 *p)
{
	struct buf challenge;
	enum sasl_result r;
	enum step_result next;

	if (p->identified)
		return pop3_maildrop_load(p);
	buf_init(&challenge, CHALLENGE_MAX);
	if (p->mechanism.ptr != NULL)
		r = sasl_exchange_start(p->exchange, p->mechanism,
		                        p->has_initial ? secret_slice(&p->password) : SLICE_NONE,
		                        &challenge);
	else
		r = sasl_exchange_step(p->exchange, secret_slice(&p->password), &challenge);
	p->mechanism = SLICE_NONE;
	secret_fini(&p->password);
	next = auth_result(p, r, &challenge);
	if (r != SASL_EX_CONTINUE)
		sasl_exchange_free(&p->exchange);
	buf_fini(&challenge);
	return next;
}

enum session_next
pop3_start_stls(struct pop3 *p, struct slice arg, bool has_arg)
{
	(void)arg;
	if (has_arg)
		return pop3_err(p, "STLS takes no argument");
	if (!session_can_starttls(p->s))
		return pop3_err(p, "TLS is already up, or no certificate is configured");
	forget_user(p);         /* what was said in clear counts no more [RFC 2595 s4] */
	pop3_ok(p, "Begin TLS now");
	return NEXT_STARTTLS;
}
