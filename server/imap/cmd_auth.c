/* cmd_auth - LOGIN, AUTHENTICATE (with SASL-IR), STARTTLS [RFC 9051 s6.2, RFC 4959].
 *
 * server/login does the work, on the pool; here are the words of IMAP around it. Whatever held a
 * password is wiped when the command ends.
 */
#include "lib/secret.h"
#include "server/imap/commands.h"
#include "server/imap/private.h"

static void
wipe(struct slice s)
{
	if (s.len > 0)
		secret_wipe((void *)(uintptr_t)s.ptr, s.len);
}

static void
answer_ok(struct imap *im)
{
	struct login *l = &im->priv->login;
	struct buf caps;

	if (!imap_logged_in(im, login_volume(l), login_account(l))) {
		login_leave(l);
		imap_reply(im, IMAP_NO, "[UNAVAILABLE] Login is not possible now, try again later");
		return;
	}
	login_settle(l);
	buf_init(&caps, 2048);
	imap_out_capabilities(im, &caps);
	imap_reply(im, IMAP_OK, "[CAPABILITY %.*s] Logged in", SLICE_ARG(buf_slice(&caps)));
	buf_fini(&caps);
}

static void
answer_refused(struct imap *im, const char *text)
{
	imap_reply(im, IMAP_NO, "%s", text);
	if (!login_failed_too_often(&im->priv->login))
		return;
	buf_append_str(imap_out(im), "* BYE Too many failed logins\r\n");
	im->state = IMAP_LOGOUT;
}

/* What a try came to. `challenge`: in base64. */
static enum imap_result
answer(struct imap *im, enum login_result r, struct slice challenge)
{
	switch (r) {
	case LOGIN_CHALLENGE:
		imap_continue(im, challenge);
		secret_wipe_buf(&im->priv->framer.frame);
		framer_expect_line(&im->priv->framer);
		return IMAP_INPUT;
	case LOGIN_OK:
		answer_ok(im);
		break;
	case LOGIN_REFUSED:     /* which of them it was is for the log only [RFC 9051 s11.7] */
		answer_refused(im, "[AUTHENTICATIONFAILED] Wrong name or password");
		break;
	case LOGIN_UNAUTHORIZED:  /* who knows the password could log in without asking for more */
		answer_refused(im, "[AUTHORIZATIONFAILED] The account may not act as another");
		break;
	case LOGIN_MALFORMED:
		imap_reply(im, IMAP_BAD,
		           "AUTHENTICATE: expected a message of the mechanism, in base64");
		break;
	case LOGIN_NO_MECHANISM:
		imap_reply(im, IMAP_NO, "[CANNOT] Mechanism is not offered");
		break;
	case LOGIN_PRIVACY:
		imap_reply(im, IMAP_NO, "[PRIVACYREQUIRED] Passwords are taken under TLS only");
		break;
	case LOGIN_CANCELLED:
		imap_reply(im, IMAP_BAD, "AUTHENTICATE cancelled");
		break;
	case LOGIN_LIMIT:
		imap_reply(im, IMAP_NO, "[LIMIT] The account has too many connections");
		break;
	case LOGIN_UNAVAILABLE:
		imap_reply(im, IMAP_NO, "[UNAVAILABLE] Login is not possible now, try again later");
		break;
	}
	return IMAP_DONE;
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

/* A client that comes again gets its answer without a turn of the pool. */
static bool
login_check(struct imap *im)
{
	struct login_args *args = im->args;
	enum login_result r;

	if (!login_password_familiar(&im->priv->login, args->name, args->password, &r))
		return true;
	(void)answer(im, r, SLICE_NONE);
	return false;
}

static enum imap_result
login_run(struct imap *im)
{
	struct login_args *args = im->args;

	return answer(im, login_password(&im->priv->login, args->name, args->password), SLICE_NONE);
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
	struct slice mechanism;
	struct slice initial;                   /* as sent; ptr NULL: none */
	bool         begun;
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

static enum imap_result
auth_run(struct imap *im)
{
	struct auth_args *args = im->args;
	struct login *l = &im->priv->login;
	enum imap_result result;
	enum login_result r;
	struct buf challenge;

	buf_init(&challenge, LOGIN_CHALLENGE_MAX);
	im->priv->got_line = false;
	if (!args->begun)
		r = login_start(l, args->mechanism, args->initial, &challenge);
	else
		r = login_answer(l, buf_slice(&im->priv->framer.frame), &challenge);
	args->begun = true;
	result = answer(im, r, buf_slice(&challenge));
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
	(void)login_cancel(&im->priv->login);
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
