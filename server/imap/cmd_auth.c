/* cmd_auth - LOGIN, AUTHENTICATE (with SASL-IR), STARTTLS [RFC 9051 s6.2, RFC 4959].
 *
 * Passwords are checked on the pool. Whatever held one is wiped when the command ends. The
 * answer to a failure is the same whatever was wrong; it comes later with each one, without
 * holding a thread, and after limits.auth_failures of them the connection ends.
 */
#include "lib/base64.h"
#include "lib/secret.h"
#include "server/imap/commands.h"
#include "server/imap/private.h"

#define DECODED_MAX (SASL_MESSAGE_MAX + 3u)

static void
wipe(struct slice s)
{
	if (s.len > 0)
		secret_wipe((void *)(uintptr_t)s.ptr, s.len);
}

static void
log_login(struct imap *im, enum log_level level, const char *ev, struct slice user,
	  const struct err *e)
{
	struct logline l;

	session_log(im->s, &l, level, ev);
	if (im->user.len == 0)          /* else the core adds it, as it does the peer */
		log_str(&l, "user", user);
	log_cstr(&l, "tls", session_has_tls(im->s) ? "yes" : "no");
	if (e != NULL)
		log_err(&l, e);
	log_end(&l);
}

/* Which of them it was is for the log only [RFC 9051 s11.7]. */
static const char wrong_password[] = "[AUTHENTICATIONFAILED] Wrong name or password";

static void
login_failed(struct imap *im, struct slice user, const struct err *e, const char *text)
{
	log_login(im, LOGLEVEL_WARN, "imap.login.failed", user, e);
	imap_reply(im, IMAP_NO, "%s", text);
	im->priv->auth_failures++;
	session_delay_login(im->s, im->priv->auth_failures);
	if (im->priv->auth_failures < session_conf(im->s)->limits.auth_failures)
		return;
	buf_append_str(imap_out(im), "* BYE Too many failed logins\r\n");
	im->state = IMAP_LOGOUT;
}

static void
login_unavailable(struct imap *im, struct slice user, const struct err *e)
{
	log_login(im, LOGLEVEL_ERROR, "imap.login.unavailable", user, e);
	imap_reply(im, IMAP_NO, "[UNAVAILABLE] Login is not possible now, try again later");
}

/* The identity is proven: open its mail. */
static void
enter(struct imap *im, struct slice name)
{
	struct account_info account;
	struct volume *v;
	struct err e = ERR_INIT;
	struct buf caps;
	enum rc rc = server_find_account(im->srv, name, &im->arena, &v, &account, &e);

	if (rc == RC_OK && !imap_logged_in(im, v, &account, name))
		rc = err_nomem(&e);
	if (rc != RC_OK) {
		login_unavailable(im, name, &e);
		return;
	}
	log_login(im, LOGLEVEL_INFO, "imap.login", name, NULL);
	buf_init(&caps, 2048);
	imap_out_capabilities(im, &caps);
	imap_reply(im, IMAP_OK, "[CAPABILITY %.*s] Logged in", SLICE_ARG(buf_slice(&caps)));
	buf_fini(&caps);
}

/* ---- LOGIN ---- */

struct login_args {
	struct slice name, password;
};

/* login = "LOGIN" SP userid SP password; both astring               [RFC 9051 s9] */
static bool
login_parse(struct imap *im, struct cursor *c)
{
	struct login_args *args = arena_zalloc(&im->arena, sizeof *args);

	if (args == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = args;
	return cur_space(c) && parse_astring(c, &im->arena, &args->name) && cur_space(c) &&
	       parse_astring(c, &im->arena, &args->password);
}

static bool
need_privacy(struct imap *im, struct slice user)
{
	struct err e = ERR_INIT;

	if (session_plaintext_allowed(im->s))
		return true;
	(void)err_set(&e, RC_DENIED, "a password without TLS (PRIVACYREQUIRED)");
	log_login(im, LOGLEVEL_WARN, "imap.login.failed", user, &e);
	imap_reply(im, IMAP_NO, "[PRIVACYREQUIRED] Passwords are taken under TLS only");
	return false;
}

static bool
login_check(struct imap *im)
{
	const struct login_args *args = im->args;

	return need_privacy(im, args->name);
}

static enum imap_result
login_run(struct imap *im)
{
	struct login_args *args = im->args;
	struct sasl_identity id;
	struct err e = ERR_INIT;
	enum rc rc =
	    sasl_login_check(server_sasl_accounts(im->srv), args->name, args->password, &id, &e);

	if (rc == RC_OK)
		enter(im, slice_str(id.name));
	else if (rc == RC_DENIED)
		login_failed(im, args->name, &e, wrong_password);
	else
		login_unavailable(im, args->name, &e);
	return IMAP_DONE;
}

static void
login_drop(struct imap *im)
{
	struct login_args *args = im->args;

	if (args != NULL)
		wipe(args->password);
	secret_wipe_buf(&im->priv->framer.frame);
}

/* ---- AUTHENTICATE ---- */

struct auth_args {
	struct slice          mechanism;
	struct slice          initial;          /* as sent; ptr NULL: none */
	struct sasl_exchange *exchange;
};

/* authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]; initial-resp = base64 / "="
 * [RFC 9051 s9] */
static bool
auth_parse(struct imap *im, struct cursor *c)
{
	struct auth_args *args = arena_zalloc(&im->arena, sizeof *args);

	if (args == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = args;
	if (!cur_space(c) || !parse_atom(c, &args->mechanism))
		return false;
	if (!cur_take(c, ' '))
		return true;
	args->initial = cur_rest(c);
	if (args->initial.len == 0)
		return cur_fail(c, "initial response in base64, or =");
	c->pos = c->in.len;
	return true;
}

/* A mechanism that is not offered because the stream is in clear gets the answer that says so. */
static bool
auth_check(struct imap *im)
{
	struct auth_args *args = im->args;

	return !slice_eq_nocase(args->mechanism, SLICE("PLAIN")) || need_privacy(im, SLICE(""));
}

static void
auth_ok(struct imap *im, struct sasl_exchange *x)
{
	const struct sasl_identity *who = sasl_exchange_authenticated(x);
	const struct sasl_identity *as = sasl_exchange_authorized(x);

	if (strcmp(who->name, as->name) != 0)
		log_login(im, LOGLEVEL_INFO, "imap.login.proxy", slice_str(who->name), NULL);
	enter(im, slice_str(as->name));
}

static enum imap_result
auth_challenge(struct imap *im, const struct buf *challenge)
{
	struct buf text;

	buf_init(&text, 2 * DECODED_MAX);
	base64_encode(buf_slice(challenge), &text);
	imap_continue(im, buf_slice(&text));
	buf_fini(&text);
	secret_wipe_buf(&im->priv->framer.frame);
	framer_expect_line(&im->priv->framer);
	return IMAP_INPUT;
}

/* Without an exchange there was no memory for one. */
static void
auth_unavailable(struct imap *im, const struct sasl_exchange *x)
{
	struct err e = ERR_INIT;

	if (x == NULL)
		(void)err_nomem(&e);
	login_unavailable(im, x != NULL ? sasl_exchange_claimed(x) : SLICE(""),
			  x != NULL ? sasl_exchange_error(x) : &e);
}

static enum imap_result
auth_result(struct imap *im, struct auth_args *args, enum sasl_result r,
	    const struct buf *challenge)
{
	switch (r) {
	case SASL_EX_CONTINUE:
		return auth_challenge(im, challenge);
	case SASL_EX_OK:
		auth_ok(im, args->exchange);
		break;
	case SASL_EX_FAILED:
		login_failed(im, sasl_exchange_claimed(args->exchange),
			     sasl_exchange_error(args->exchange), wrong_password);
		break;
	case SASL_EX_UNAUTHORIZED:      /* who knows the password could log in without asking for more */
		login_failed(im, sasl_exchange_claimed(args->exchange),
			     sasl_exchange_error(args->exchange),
			     "[AUTHORIZATIONFAILED] The account may not act as another");
		break;
	case SASL_EX_MALFORMED:
		imap_reply(
		    im, IMAP_BAD, "AUTHENTICATE: expected a message of the mechanism, in base64");
		break;
	case SASL_EX_NO_MECHANISM:
		imap_reply(im, IMAP_NO, "[CANNOT] Mechanism is not offered");
		break;
	case SASL_EX_CANCELLED:
		imap_reply(im, IMAP_BAD, "AUTHENTICATE cancelled");
		break;
	case SASL_EX_TEMPFAIL:
		auth_unavailable(im, args->exchange);
		break;
	}
	return IMAP_DONE;
}

/* First message: the mechanism and what the client sent with it. */
static enum sasl_result
auth_first(struct imap *im, struct auth_args *args, struct buf *data, struct buf *challenge)
{
	struct sasl_setup setup = imap_sasl_setup(im);
	struct err e = ERR_INIT;

	if (sasl_exchange_new(&setup, &args->exchange, &e) != RC_OK)
		return SASL_EX_TEMPFAIL;
	if (args->initial.ptr == NULL)
		return sasl_exchange_start(args->exchange, args->mechanism, SLICE_NONE, challenge);
	if (!slice_eq(args->initial, SLICE("=")) && !base64_decode(args->initial, data))
		return SASL_EX_MALFORMED;
	if (data->len == 0)
		return sasl_exchange_start(args->exchange, args->mechanism, SLICE(""), challenge);
	return sasl_exchange_start(args->exchange, args->mechanism, buf_slice(data), challenge);
}

static enum sasl_result
auth_next(struct imap *im, struct auth_args *args, struct buf *data, struct buf *challenge)
{
	struct slice line = buf_slice(&im->priv->framer.frame);

	im->priv->got_line = false;
	if (slice_eq(line, SLICE("*")))
		return sasl_exchange_cancel(args->exchange);
	if (!base64_decode(line, data))
		return SASL_EX_MALFORMED;
	return sasl_exchange_step(args->exchange, buf_slice(data), challenge);
}

static enum imap_result
auth_run(struct imap *im)
{
	struct auth_args *args = im->args;
	struct buf data, challenge;
	enum sasl_result r;
	enum imap_result result;

	buf_init(&data, DECODED_MAX);
	buf_init(&challenge, DECODED_MAX);
	/* All the room at once, so that no copy of a password stays behind in a realloc. */
	if (buf_reserve(&data, DECODED_MAX) == NULL)
		r = SASL_EX_TEMPFAIL;
	else if (args->exchange == NULL)
		r = auth_first(im, args, &data, &challenge);
	else
		r = auth_next(im, args, &data, &challenge);
	result = auth_result(im, args, r, &challenge);
	secret_wipe_buf(&data);
	buf_fini(&data);
	buf_fini(&challenge);
	return result;
}

static enum session_next
auth_input(struct imap *im)
{
	return imap_input_line(im) ? NEXT_STEP : NEXT_INPUT;
}

static void
auth_drop(struct imap *im)
{
	struct auth_args *args = im->args;

	if (args != NULL)
		sasl_exchange_free(&args->exchange);
	secret_wipe_buf(&im->priv->framer.frame);
}

/* ---- STARTTLS ---- */

/* What the client sent behind it in clear is thrown away by the core [RFC 9051 s6.2.1]. */
static bool
starttls_check(struct imap *im)
{
	if (session_has_tls(im->s)) {
		imap_reply(im, IMAP_BAD, "TLS is on already");
		return false;
	}
	if (!session_can_starttls(im->s)) {
		imap_reply(im, IMAP_NO, "[UNAVAILABLE] TLS is not configured");
		return false;
	}
	imap_reply(im, IMAP_OK, "Begin TLS negotiation now");
	im->priv->due = NEXT_STARTTLS;
	return true;
}

const struct imap_command imap_cmd_login = {
	.name = "LOGIN",
	.states = IMAP_NOT_AUTH,
	.effect = EFFECT_NO_VIEW,
	.parse = login_parse,
	.check = login_check,
	.run = login_run,
	.drop = login_drop,
};

const struct imap_command imap_cmd_authenticate = {
	.name = "AUTHENTICATE",
	.states = IMAP_NOT_AUTH,
	.effect = EFFECT_NO_VIEW,
	.parse = auth_parse,
	.check = auth_check,
	.run = auth_run,
	.input = auth_input,
	.drop = auth_drop,
};

const struct imap_command imap_cmd_starttls = {
	.name = "STARTTLS",
	.states = IMAP_NOT_AUTH,
	.effect = EFFECT_NO_VIEW,
	.check = starttls_check,
};
