/* login - USER and PASS, AUTH [RFC 5034], STLS [RFC 2595].
 *
 * server/login does the work, in a step; here are the words of POP3 around it. A password, or a
 * message of a mechanism, is kept only from its line to the end of its check, in a secret. When the
 * credentials are good the same step goes on to load the maildrop. USER is answered +OK whoever is
 * named: which accounts exist is nobody's business.
 */
#include "lib/clock.h"
#include "server/pop3/delay.h"
#include "server/pop3/pop3.h"

#include <stdlib.h>

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

enum session_next
pop3_start_user(struct pop3 *p, struct slice arg, bool has_arg)
{
	uint8_t *name;

	if (!has_arg)
		return pop3_err(p, "USER needs a name");
	if (!login_takes_password(&p->login, arg))
		return pop3_err(p, "Passwords are accepted under TLS only");   /* [RFC 3206 s5] */
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
login_refused(struct pop3 *p, const char *text)
{
	pop3_refuse(p, text);
	forget_user(p);
	return login_failed_too_often(&p->login) ? STEP_CLOSE : STEP_DONE;
}

/* The credentials are good. LOGIN-DELAY is told to their owner alone, so behind the check and not
 * to USER [RFC 2449  s8.1.1]. */
static enum step_result
login_done(struct pop3 *p)
{
	uint64_t delay = session_conf(p->s)->pop3.login_delay;

	p->volume = login_volume(&p->login);
	p->account = login_account(&p->login)->id;
	if (!pop3_delay_pass(p->volume, p->account, delay, clock_mono_ms())) {
		login_leave(&p->login);
		forget_user(p);
		pop3_err(p, "[LOGIN-DELAY] You logged in a moment ago, wait a little");
		return STEP_DONE;
	}
	login_settle(&p->login);
	p->identified = true;
	p->read_only = p->login.read_only;
	return pop3_maildrop_load(p);
}

/* What a try came to. `challenge`: in base64. */
static enum step_result
login_result(struct pop3 *p, enum login_result r, const struct buf *challenge)
{
	switch (r) {
	case LOGIN_CHALLENGE:
		buf_printf(session_out(p->s), "+ %.*s\r\n", SLICE_ARG(buf_slice(challenge)));
		p->in_auth = true;
		break;
	case LOGIN_OK:
		return login_done(p);
	case LOGIN_REFUSED:
		return login_refused(p, "[AUTH] Wrong name or password");
	case LOGIN_UNAUTHORIZED:
		return login_refused(p, "[AUTH] The account may not act as another");
	case LOGIN_MALFORMED:
		pop3_err(p, "The message does not follow the mechanism");
		break;
	case LOGIN_NO_MECHANISM:
		pop3_err(p, "No such mechanism here");
		break;
	case LOGIN_PRIVACY:
		pop3_err(p, "Passwords are accepted under TLS only");
		break;
	case LOGIN_CANCELLED:
		pop3_err(p, "Authentication cancelled");
		break;
	case LOGIN_LIMIT:               /* [RFC 2449 s8.1.2] */
		pop3_err(p, "[IN-USE] The account has too many connections");
		break;
	case LOGIN_UNAVAILABLE:
		pop3_err(p, "[SYS/TEMP] Login is not possible now, try again later");
		break;
	}
	return STEP_DONE;
}

enum step_result
pop3_step_pass(struct pop3 *p)
{
	enum login_result r;

	if (p->identified)
		return pop3_maildrop_load(p);
	r = login_password(&p->login, p->user_name, secret_slice(&p->password));
	secret_fini(&p->password);
	return login_result(p, r, NULL);
}

/* One a line. */
static enum session_next
list_mechanisms(struct pop3 *p)
{
	char names[SASL_MECHANISMS_TEXT];
	struct slice rest = slice_str(login_mechanisms(&p->login, names));

	pop3_ok(p, "Mechanisms follow");
	while (rest.len > 0) {
		size_t end = slice_find_byte(rest, ' ');

		buf_printf(session_out(p->s), "%.*s\r\n", SLICE_ARG(slice_sub(rest, 0, end)));
		rest = slice_sub(rest, end + 1, rest.len);
	}
	buf_append_str(session_out(p->s), ".\r\n");
	return NEXT_AGAIN;
}

/* AUTH [mechanism [initial-response]] [RFC 5034 s4]; without a mechanism it lists them, as old
 * clients expect. */
enum session_next
pop3_start_auth(struct pop3 *p, struct slice arg, bool has_arg)
{
	size_t space = slice_find_byte(arg, ' ');

	if (!has_arg)
		return list_mechanisms(p);
	p->has_initial = space < arg.len;
	if (p->has_initial && slice_eq_nocase(slice_sub(arg, 0, space), SLICE("LOGIN")))
		/* the server begins [RFC 5034 s4] */
		return pop3_err(p, "The message does not follow the mechanism");
	p->mechanism = arena_dup(&p->arena, slice_sub(arg, 0, space));
	if (p->mechanism.ptr == NULL || !keep_secret(p, slice_sub(arg, space + 1, arg.len)))
		return pop3_err(p, "[SYS/TEMP] Out of memory");
	return NEXT_STEP;
}

void
pop3_auth_end(struct pop3 *p)
{
	p->in_auth = false;
	p->mechanism = SLICE_NONE;
	(void)login_cancel(&p->login);
}

enum session_next
pop3_auth_line(struct pop3 *p, struct slice line)
{
	p->in_auth = false;
	if (keep_secret(p, line))
		return NEXT_STEP;
	pop3_auth_end(p);
	return pop3_err(p, "[SYS/TEMP] Out of memory");
}

enum step_result
pop3_step_auth(struct pop3 *p)
{
	struct slice message = secret_slice(&p->password);
	enum step_result next;
	enum login_result r;
	struct buf challenge;

	if (p->identified)
		return pop3_maildrop_load(p);
	buf_init(&challenge, LOGIN_CHALLENGE_MAX);
	if (p->mechanism.ptr != NULL)
		r = login_start(&p->login, p->mechanism, p->has_initial ? message : SLICE_NONE,
		                &challenge);
	else
		r = login_answer(&p->login, message, &challenge);
	p->mechanism = SLICE_NONE;
	secret_fini(&p->password);
	next = login_result(p, r, &challenge);
	buf_fini(&challenge);
	return next;
}

enum session_next
pop3_start_stls(struct pop3 *p, struct slice arg, bool has_arg)
{
	(void)arg;
	if (has_arg)
		return pop3_err(p, "STLS takes no argument");
	if (p->utf8)            /* [RFC 6856 s2.1] */
		return pop3_err(p, "STLS must come before UTF8");
	if (!session_can_starttls(p->s))
		return pop3_err(p, "TLS is already up, or no certificate is configured");
	/* what was said in clear counts no more [RFC 2595 s4], nor which language [RFC 6856 s7] */
	forget_user(p);
	pop3_ok(p, "Begin TLS now");
	p->lang = &pop3_languages[0];
	return NEXT_STARTTLS;
}
