/* saslauthd - answers like saslauthd(8) of Cyrus SASL on a unix socket: whether a name and a
 * password are right.
 *
 * So MTAs authenticate submission against Restante's accounts: Postfix (smtpd_sasl_type = cyrus),
 * Exim (${saslauthd{...}}) and whatever else speaks to saslauthd. The protocol is that of
 * libsasl2's lib/checkpw.c and saslauthd/ipc_unix.c:
 *
 *     request:  login, password, service, realm     each: 16 bits of length, highest octet first, and so many octets
 *     response: one such string that begins with "OK" or "NO"
 *
 * One request a connection. A request goes the way of every login (login.h): the same delays,
 * blocks, log lines, scopes of app passwords. When we cannot tell, the connection ends without a
 * response, which both MTAs take for a failure of their own ("try again") and not for a
 * wrong password.
 *
 * Who can reach the socket can try passwords: its permissions ([listen] mode, group) are what
 * protects it. The protocol says nothing of the client's address, so blocks count all of the MTA's
 * clients as one.
 */
#include <stdlib.h>

#include "lib/secret.h"
#include "server/login.h"

#define REQUEST_MS   10000u     /* until a request is whole */
#define FAREWELL_MS  5000u      /* until the client has hung up */
#define NAME_MAX_LEN SASL_NAME_MAX
#define PASSWORD_MAX 1024u
#define SERVICE_MAX  64u

enum field {
	LOGIN,
	PASSWORD,
	SERVICE,
	REALM,
	FIELDS
};

static const size_t field_max[FIELDS] = { NAME_MAX_LEN, PASSWORD_MAX, SERVICE_MAX, NAME_MAX_LEN };

struct request {
	struct session *s;
	struct login    login;
	struct arena    arena;
	bool            answered;
};

static void *
request_open(struct session *s)
{
	struct request *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->s = s;
	arena_init(&r->arena, 4096);
	login_init(&r->login, s, "submission");
	r->login.for_another = true;
	session_set_timeout(s, REQUEST_MS);
	return r;
}

static void
request_close(void *state)
{
	struct request *r = state;

	login_fini(&r->login);
	arena_fini(&r->arena);
	free(r);
}

/* The client speaks first. */
static enum session_next
request_greet(void *state)
{
	(void)state;
	return NEXT_INPUT;
}

enum framing {
	FRAMING_WHOLE,
	FRAMING_SHORT,          /* more is to come */
	FRAMING_WRONG,
};

/* The four strings at the beginning of `in`. Of one that is too long nothing more is waited for. */
static enum framing
read_fields(struct slice in, struct slice out[FIELDS])
{
	for (int i = 0; i < FIELDS; i++) {
		size_t len;

		if (in.len < 2)
			return FRAMING_SHORT;
		len = (size_t)in.ptr[0] << 8 | in.ptr[1];
		if (len > field_max[i])
			return FRAMING_WRONG;
		if (in.len < 2 + len)
			return FRAMING_SHORT;
		out[i] = slice_sub(in, 2, 2 + len);
		in = slice_sub(in, 2 + len, in.len);
	}
	return FRAMING_WHOLE;
}

static void
respond(struct request *r, const char *text)
{
	struct buf *out = session_out(r->s);

	buf_append_byte(out, 0);
	buf_append_byte(out, (uint8_t)strlen(text));
	buf_append_str(out, text);
	r->answered = true;
}

static enum session_next
malformed(struct request *r)
{
	struct logline l;

	session_log(r->s, &l, LOGLEVEL_WARN, "saslauthd.malformed");
	log_end(&l);
	respond(r, "NO malformed request");
	return NEXT_AGAIN;
}

/* What comes behind the request (newer clients may say more) is passed over; a close with input
 * unread could cost the client our response. */
static enum session_next
await_end(struct request *r)
{
	buf_reset(session_in(r->s));
	session_set_timeout(r->s, FAREWELL_MS);
	return session_at_eof(r->s) ? NEXT_CLOSE : NEXT_INPUT;
}

static enum session_next
request_advance(void *state)
{
	struct request *r = state;
	struct slice fields[FIELDS];

	if (r->answered)
		return await_end(r);
	switch (read_fields(buf_slice(session_in(r->s)), fields)) {
	case FRAMING_WHOLE:
		return NEXT_STEP;
	case FRAMING_SHORT:
		return session_at_eof(r->s) ? NEXT_CLOSE : NEXT_INPUT;
	case FRAMING_WRONG:
		break;
	}
	secret_wipe_buf(session_in(r->s));
	return malformed(r);
}

/* The account that is meant. libsasl2 cuts what the user typed at the @ and sends two parts; a
 * realm that the MTA adds to bare names (smtpd_sasl_local_domain) counts as none if it is our own
 * name and no such account is found. ptr NULL: no memory. */
static struct slice
account_name(struct request *r, struct slice login, struct slice realm)
{
	struct server *srv = session_server(r->s);
	struct slice whole;
	struct account_info info;
	struct volume *v;
	struct err e = ERR_INIT;

	if (realm.len == 0 || slice_find_byte(login, '@') < login.len)
		return login;
	whole = arena_printf(&r->arena, "%.*s@%.*s", SLICE_ARG(login), SLICE_ARG(realm));
	if (whole.ptr != NULL && slice_eq_nocase(realm, slice_str(server_hostname(srv))) &&
	    server_find_account(srv, whole, &r->arena, &v, &info, &e) != RC_OK)
		return login;
	return whole;
}

/* The service says which app passwords count. MTAs say "smtp"; Exim says what its configuration
 * says, or nothing. */
static const char *
service_name(struct slice service)
{
	static const char *const names[] = { "imap", "pop", "pop3", "lmtp" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slice_eq_nocase(service, slice_str(names[i])))
			return names[i];
	return "submission";
}

static bool
holds_nul(const struct slice fields[FIELDS])
{
	for (int i = 0; i < FIELDS; i++)
		if (slice_find_byte(fields[i], 0) < fields[i].len)
			return true;
	return false;
}

/* False: it cannot be told. */
static bool
check(struct request *r, const struct slice fields[FIELDS], bool *right)
{
	struct slice name = account_name(r, fields[LOGIN], fields[REALM]);

	if (name.ptr == NULL)
		return false;
	r->login.service = service_name(fields[SERVICE]);
	switch (login_password(&r->login, name, fields[PASSWORD])) {
	case LOGIN_OK:
		*right = true;
		return true;
	case LOGIN_REFUSED:
	case LOGIN_UNAUTHORIZED:
	case LOGIN_MALFORMED:
	case LOGIN_NO_MECHANISM:
	case LOGIN_PRIVACY:
	case LOGIN_CANCELLED:
	case LOGIN_CHALLENGE:
		*right = false;
		return true;
	case LOGIN_LIMIT:
	case LOGIN_UNAVAILABLE:
		break;
	}
	return false;
}

static enum step_result
request_step(void *state)
{
	struct request *r = state;
	struct slice fields[FIELDS];
	bool right = false, told;

	if (read_fields(buf_slice(session_in(r->s)), fields) != FRAMING_WHOLE)
		return STEP_CLOSE;
	told = holds_nul(fields) || check(r, fields, &right);
	secret_wipe_buf(session_in(r->s));
	if (!told)
		return STEP_CLOSE;
	respond(r, right ? "OK" : "NO wrong name or password");
	return STEP_DONE;
}

/* Silence is the answer. */
static void
request_bye(void *state, enum session_end why)
{
	(void)state;
	(void)why;
}

const struct protocol saslauthd_protocol = {
	.name = "saslauthd",
	.who = PROTO_SYSTEM,
	.open = request_open,
	.close = request_close,
	.greet = request_greet,
	.advance = request_advance,
	.step = request_step,
	.bye = request_bye,
};
