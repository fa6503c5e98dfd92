/* login - how a connection becomes an account's. See login.h.
 *
 * Whatever held a password or a message of a mechanism is wiped here, but for what belongs
 * to the caller.
 */
#include "server/login.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base64.h"
#include "lib/secret.h"

#define DECODED_MAX (SASL_MESSAGE_MAX + 3u)
#define ARENA_MAX   65536u

void
login_init(struct login *l, struct session *s, const char *service)
{
	*l = (struct login){ .s = s, .service = service };
	arena_init(&l->arena, ARENA_MAX);
}

/* ---- the log ---- */

static void
log_stream(const struct login *l, struct logline *line)
{
	log_cstr(line, "tls", session_has_tls(l->s) ? "yes" : "no");
	if (session_tls_cipher(l->s) != NULL)
		log_cstr(line, "cipher", session_tls_cipher(l->s));     /* [RFC 8314 s4] */
}

/* `user`: who it says it is; empty when the session names itself, or nobody was named yet. */
static void
log_login(struct login *l, enum log_level level, const char *ev, struct slice user,
          const struct err *e)
{
	struct logline line;

	session_log(l->s, &line, level, ev);
	if (user.len > 0)
		log_str(&line, "user", user);
	if (l->mechanism[0] != '\0')
		log_cstr(&line, "mech", l->mechanism);
	log_stream(l, &line);
	if (e != NULL)
		log_err(&line, e);
	log_end(&line);
}

/* ---- a try ---- */

static void
end_try(struct login *l)
{
	sasl_exchange_free(&l->exchange);
	if (l->gate != NULL)
		gate_close(l->gate);
	free(l->gate);
	l->gate = NULL;
}

/* The client did not wait for the end. A token that was refused in a challenge is told
 * of all the same. */
static void
abandon_try(struct login *l)
{
	const struct err *why = l->exchange != NULL ? sasl_exchange_error(l->exchange) : NULL;

	if (why != NULL && why->code == RC_DENIED)
		log_login(l, LOGLEVEL_WARN, "auth.failed", sasl_exchange_claimed(l->exchange), why);
	end_try(l);
}

void
login_fini(struct login *l)
{
	abandon_try(l);
	arena_fini(&l->arena);
}

static bool
login_binding(void *session, struct slice type, uint8_t *out, size_t cap, size_t *len)
{
	return session_channel_binding(session, type, out, cap, len);
}

static struct sasl_setup
login_setup(const struct login *l)
{
	return (struct sasl_setup){
		.service = l->service,
		.host = server_hostname(session_server(l->s)),
		.tls = session_has_tls(l->s),
		.cleartext_ok = session_plaintext_allowed(l->s),
		.accounts = l->gate != NULL ? gate_accounts(l->gate)
		                            : server_sasl_accounts(session_server(l->s)),
		.policy = session_sasl_policy(l->s),
		.secret = server_sasl_secret(session_server(l->s)),
		.external = session_certificate_name(l->s),
		.binding = login_binding,
		.binding_arg = l->s,
	};
}

const char *
login_mechanisms(const struct login *l, char out[SASL_MECHANISMS_TEXT])
{
	struct sasl_setup setup = login_setup(l);

	return sasl_mechanisms(&setup, out);
}

/* ---- what follows from a failure ---- */

/* What was wrong for us while another source could not be asked is a guess all the same: else who
 * keeps that source busy guesses for nothing. A client that has the source's password is not kept
 * out: the same one again is the same guess. */
static enum login_result
unavailable(struct login *l, struct slice user, const struct err *e)
{
	log_login(l, LOGLEVEL_ERROR, "auth.unavailable", user, e);
	if (l->gate != NULL && gate_saw_wrong(l->gate))
		session_delay_login(l->s, gate_failed(l->gate, user));
	return LOGIN_UNAVAILABLE;
}

static enum login_result
refused(struct login *l, struct slice user, const struct err *e)
{
	unsigned late = gate_failed(l->gate, user);

	log_login(l, LOGLEVEL_WARN, "auth.failed", user, e);
	l->failures++;
	session_delay_login(l->s, l->failures > late ? l->failures : late);
	return LOGIN_REFUSED;
}

/* The password was right: no guess. */
static enum login_result
unauthorized(struct login *l, struct slice user, const struct err *e)
{
	log_login(l, LOGLEVEL_WARN, "auth.failed", user, e);
	l->failures++;
	session_delay_login(l->s, l->failures);
	return LOGIN_UNAUTHORIZED;
}

/* LOGIN, USER and PASS are not SASL, but who allows no mechanism that sends passwords wants none
 * of them either. */
static bool
allows_passwords(const struct login *l)
{
	return (session_sasl_policy(l->s)->mechanisms &
	        (SASL_MECH_BIT(SASL_MECH_PLAIN) | SASL_MECH_BIT(SASL_MECH_LOGIN))) != 0;
}

bool
login_offers_password(const struct login *l)
{
	return session_plaintext_allowed(l->s) && allows_passwords(l);
}

bool
login_takes_password(struct login *l, struct slice name)
{
	struct err e = ERR_INIT;

	if (l->for_another || session_plaintext_allowed(l->s))
		return true;
	(void)err_set(&e, RC_DENIED, "a password without TLS (PRIVACYREQUIRED)");
	log_login(l, LOGLEVEL_WARN, "auth.failed", name, &e);
	return false;
}

/* ---- who it is ---- */

static void
log_entry(struct login *l, const struct sasl_identity *who)
{
	struct logline line;

	session_log(l->s, &line, LOGLEVEL_INFO, "auth.ok");
	log_cstr(&line, "mech", l->mechanism);
	log_stream(l, &line);
	if (l->credential[0] != '\0' && strcmp(l->credential, "password") != 0)
		log_cstr(&line, "cred", l->credential);
	if (!slice_eq(slice_str(who->name), l->account.name))
		log_cstr(&line, "admin", who->name);
	log_end(&line);
}

static struct frame_who
session_who(const struct login *l)
{
	return (struct frame_who){ l->account.id, session_id(l->s), session_protocol(l->s) };
}

/* The account of this identity. RC_BUSY: another has the name by now. */
static enum rc
find(struct login *l, const struct sasl_identity *who, struct volume **v, struct account_info *out,
     struct err *e)
{
	enum rc rc = server_find_account(session_server(l->s), slice_str(who->name), &l->arena, v,
	                                 out, e);

	if (rc == RC_OK && out->id != who->id)
		return err_set(e, RC_BUSY, "the account changed meanwhile");
	return rc;
}

/* The session is the account's, and ends with it; if an admin entered for another, with
 * the admin's too. */
static enum session_entry
join(struct login *l, const struct sasl_identity *who)
{
	struct account_info admin;
	struct volume *v;
	struct err e = ERR_INIT;
	enum session_entry r;

	if (l->for_another)
		return ENTRY_OK;
	r = session_login(l->s, l->volume, l->account.id, l->mechanism, l->since);
	if (r != ENTRY_OK || slice_eq(slice_str(who->name), l->account.name))
		return r;
	if (find(l, who, &v, &admin, &e) == RC_OK)
		return session_login_admin(l->s, v, admin.id, l->since);
	session_logout(l->s);
	return ENTRY_CHANGED;
}

/* It is known whose mail it is. */
static enum login_result
admit(struct login *l, const struct sasl_identity *who, struct slice name)
{
	struct err e = ERR_INIT;

	gate_succeeded(l->gate, slice_str(who->name), l->volume, &l->account, session_who(l));
	switch (join(l, who)) {
	case ENTRY_OK:
		break;
	case ENTRY_FULL:
		(void)err_set(&e, RC_LIMIT,
		              "the account has too many connections (max_connections_per_account)");
		log_login(l, LOGLEVEL_WARN, "auth.limit", name, &e);
		return LOGIN_LIMIT;
	case ENTRY_CHANGED:
		(void)err_set(&e, RC_BUSY, "the account changed meanwhile");
		return unavailable(l, name, &e);
	}
	session_set_user(l->s, l->account.name);
	log_entry(l, who);
	return LOGIN_OK;
}

/* The identity is proven: whose mail is it? */
static enum login_result
enter(struct login *l, const struct sasl_identity *who, const struct sasl_identity *as)
{
	struct err e = ERR_INIT;
	struct slice name = slice_str(as->name);
	enum rc rc = find(l, as, &l->volume, &l->account, &e);

	if (rc == RC_NOT_FOUND)         /* deleted since */
		return refused(l, name, &e);
	if (rc != RC_OK)
		return unavailable(l, name, &e);
	return admit(l, who, name);
}

static enum login_result
enter_by(struct login *l, const struct sasl_success *s)
{
	memcpy(l->credential, s->credential, sizeof l->credential);
	l->read_only = s->anonymous;
	return enter(l, &s->authenticated, &s->authorized);
}

void
login_leave(struct login *l)
{
	l->read_only = false;
	session_logout(l->s);
	session_set_user(l->s, SLICE_NONE);
	l->volume = NULL;
	l->account = (struct account_info){ 0 };
}

struct volume *
login_volume(const struct login *l)
{
	assert(l->volume != NULL);
	return l->volume;
}

const struct account_info *
login_account(const struct login *l)
{
	assert(l->volume != NULL);
	return &l->account;
}

void
login_settle(struct login *l)
{
	arena_fini(&l->arena);
	l->account = (struct account_info){ .id = l->account.id };
}

bool
login_failed_too_often(const struct login *l)
{
	return l->failures >= session_conf(l->s)->limits.auth_failures;
}

/* ---- a name and a password ---- */

/* False without memory. */
static bool
begin_try(struct login *l, struct slice mechanism)
{
	abandon_try(l);
	arena_reset(&l->arena);
	l->volume = NULL;
	l->since = session_login_moment(l->s);
	for (size_t i = 0; i <= LOGIN_MECHANISM_MAX; i++)
		l->mechanism[i] = i < mechanism.len && i < LOGIN_MECHANISM_MAX
		                      ? (char)ascii_upper(mechanism.ptr[i])
		                      : '\0';
	l->gate = malloc(sizeof *l->gate);
	if (l->gate == NULL)
		return false;
	gate_open(l->gate, session_server(l->s), session_conf(l->s), session_ip(l->s));
	return true;
}

static enum login_result
no_memory(struct login *l)
{
	struct err e = ERR_INIT;

	(void)err_nomem(&e);
	return unavailable(l, SLICE(""), &e);
}

/* ---- who came a short while ago ---- */

static unsigned
service_of(const struct login *l)
{
	return sasl_service_find(slice_str(l->service));
}

/* The same result as by sasl/, with nothing read and no password hashed; false: sasl/ has to say. A
 * mechanism that sends passwords is allowed. */
static bool
recognize(struct login *l, struct slice mechanism, struct slice name, struct slice password,
          enum login_result *result)
{
	struct sasl_identity who = { .id = 0 };
	struct guest g;

	if (l->for_another || !session_sasl_policy(l->s)->sources.own || !begin_try(l, mechanism))
		return false;
	if (!gate_recognize(l->gate, service_of(l), name, password, &l->arena, &g) ||
	    !slice_to_cstr(g.account.name, who.name, sizeof who.name)) {
		end_try(l);
		return false;
	}
	who.id = g.account.id;
	memcpy(l->credential, g.credential, sizeof l->credential);
	l->read_only = false;
	l->volume = g.volume;
	l->account = g.account;
	*result = admit(l, &who, g.account.name);
	end_try(l);
	return true;
}

/* LOGIN_OK came of these by sasl/, and it is the mail of whose password it is. */
static void
acquaint(struct login *l, struct slice name, struct slice password)
{
	struct guest g = { .volume = l->volume, .account = l->account };

	memcpy(g.credential, l->credential, sizeof g.credential);
	gate_acquaint(l->gate, service_of(l), name, password, &g);
}

bool
login_password_familiar(struct login *l, struct slice name, struct slice password,
                        enum login_result *result)
{
	return login_offers_password(l) && recognize(l, SLICE("LOGIN"), name, password, result);
}

enum login_result
login_password(struct login *l, struct slice name, struct slice password)
{
	struct sasl_setup setup;
	struct sasl_success who;
	struct err e = ERR_INIT;
	enum login_result result;
	enum rc rc;

	if (login_password_familiar(l, name, password, &result))
		return result;
	if (!begin_try(l, SLICE("LOGIN")))
		return no_memory(l);
	setup = login_setup(l);
	if (!login_takes_password(l, name)) {
		end_try(l);
		return LOGIN_PRIVACY;
	}
	if (!l->for_another && !allows_passwords(l)) {
		end_try(l);
		(void)err_set(&e, RC_DENIED, "mechanisms allows none that sends a password");
		log_login(l, LOGLEVEL_WARN, "auth.failed", name, &e);
		return LOGIN_NO_MECHANISM;
	}
	rc = sasl_password_login(&setup, name, password, &who, &e);
	if (rc == RC_OK)
		result = enter_by(l, &who);
	else if (rc == RC_DENIED || gate_is_blocked(l->gate))
		result = refused(l, name, &e);
	else
		result = unavailable(l, name, &e);
	if (result == LOGIN_OK)
		acquaint(l, name, password);
	end_try(l);
	return result;
}

/* ---- SASL ---- */

/* What the exchange says; the challenge, if there is one, goes to `out`. */
static enum login_result
exchange_result(struct login *l, enum sasl_result r, const struct buf *challenge, struct buf *out)
{
	struct slice claimed = sasl_exchange_claimed(l->exchange);
	const struct err *why = sasl_exchange_error(l->exchange);
	struct err e = ERR_INIT;

	switch (r) {
	case SASL_EX_CONTINUE:
		if (base64_encode(buf_slice(challenge), out))
			return LOGIN_CHALLENGE;
		(void)err_nomem(&e);
		return unavailable(l, claimed, &e);
	case SASL_EX_OK:
		return enter_by(l, sasl_exchange_success(l->exchange));
	case SASL_EX_FAILED:
		return refused(l, claimed, why);
	case SASL_EX_UNAUTHORIZED:
		return unauthorized(l, claimed, why);
	case SASL_EX_MALFORMED:
		return LOGIN_MALFORMED;
	case SASL_EX_NO_MECHANISM:
		return LOGIN_NO_MECHANISM;
	case SASL_EX_CANCELLED:
		return LOGIN_CANCELLED;
	case SASL_EX_TEMPFAIL:
		break;
	}
	if (gate_is_blocked(l->gate)) {         /* no matter which name libsasl2 was asking for */
		(void)err_set(&e, RC_BUSY, GATE_BLOCKED);
		return refused(l, claimed, &e);
	}
	return unavailable(l, claimed, why);
}

/* Mechanisms that are not offered because the stream is in clear get the answer that says so. */
static bool
wants_privacy(const struct login *l)
{
	enum sasl_mechanism m;

	return !session_plaintext_allowed(l->s) &&
	       sasl_mechanism_find(slice_str(l->mechanism), &m) &&
	       (session_sasl_policy(l->s)->mechanisms & SASL_MECH_BIT(m)) != 0;
}

static enum sasl_result
exchange_start(struct login *l, struct slice mechanism, struct slice initial, struct buf *data,
               struct buf *challenge)
{
	if (initial.ptr == NULL)
		return sasl_exchange_start(l->exchange, mechanism, SLICE_NONE, challenge);
	if (!slice_eq(initial, SLICE("=")) && !base64_decode(initial, data))
		return SASL_EX_MALFORMED;
	return sasl_exchange_start(l->exchange, mechanism,
	                           data->len > 0 ? buf_slice(data) : SLICE(""), challenge);
}

static enum sasl_result
exchange_step(struct login *l, struct slice line, struct buf *data, struct buf *challenge)
{
	if (slice_eq(line, SLICE("*")))
		return sasl_exchange_cancel(l->exchange);
	if (!base64_decode(line, data))
		return SASL_EX_MALFORMED;
	return sasl_exchange_step(l->exchange, buf_slice(data), challenge);
}

/* One message of the client: the first one, with its mechanism, or (mechanism.ptr
 * NULL) a later one. */
static enum login_result
take_message(struct login *l, struct slice mechanism, struct slice message, struct buf *out)
{
	enum login_result result;
	struct buf data, challenge;
	enum sasl_result r;
	struct err e = ERR_INIT;

	buf_init(&data, DECODED_MAX);
	buf_init(&challenge, DECODED_MAX);
	/* All the room at once, so that no copy of a password stays behind in a realloc. */
	if (buf_reserve(&data, DECODED_MAX) == NULL) {
		(void)err_nomem(&e);
		result = unavailable(l, SLICE(""), &e);
	} else {
		r = mechanism.ptr != NULL ? exchange_start(l, mechanism, message, &data, &challenge)
		                          : exchange_step(l, message, &data, &challenge);
		result = exchange_result(l, r, &challenge, out);
	}
	secret_wipe_buf(&data);
	buf_fini(&data);
	buf_fini(&challenge);
	if (result != LOGIN_CHALLENGE)
		end_try(l);
	return result;
}

/* No secret is tried: a block for guessing would only keep out the owner, whose client shows a
 * token that has expired. */
static bool
guesses_nothing(struct slice mechanism)
{
	enum sasl_mechanism m;

	if (!sasl_mechanism_find(mechanism, &m))
		return false;
	switch (m) {
	case SASL_MECH_EXTERNAL:
	case SASL_MECH_ANONYMOUS:
	case SASL_MECH_OAUTHBEARER:
	case SASL_MECH_XOAUTH2:
		return true;
	case SASL_MECH_SCRAM_SHA_256_PLUS:
	case SASL_MECH_SCRAM_SHA_1_PLUS:
	case SASL_MECH_SCRAM_SHA_256:
	case SASL_MECH_SCRAM_SHA_1:
	case SASL_MECH_PLAIN:
	case SASL_MECH_LOGIN:
	case SASL_MECH_COUNT:
		break;
	}
	return false;
}

enum login_result
login_start(struct login *l, struct slice mechanism, struct slice initial, struct buf *out)
{
	struct sasl_setup setup;
	struct err e = ERR_INIT;

	if (!begin_try(l, mechanism))
		return no_memory(l);
	setup = login_setup(l);
	if (guesses_nothing(mechanism))
		gate_exempt(l->gate);
	if (wants_privacy(l) && !login_takes_password(l, SLICE(""))) {
		end_try(l);
		return LOGIN_PRIVACY;
	}
	if (sasl_exchange_new(&setup, &l->exchange, &e) != RC_OK)
		return unavailable(l, SLICE(""), &e);
	return take_message(l, mechanism, initial, out);
}

enum login_result
login_answer(struct login *l, struct slice line, struct buf *out)
{
	assert(l->exchange != NULL);
	return take_message(l, SLICE_NONE, line, out);
}

enum login_result
login_cancel(struct login *l)
{
	abandon_try(l);
	return LOGIN_CANCELLED;
}
