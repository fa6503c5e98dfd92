/* remote_pop3_login - commands of POP3, and from the greeting to the transaction state.
 * [RFC 1939 s4, 2449, 2595, 5034] See remote_pop3_impl.h.
 */
#include "tools/remote_pop3_impl.h"

#include "tools/remote_login.h"
#include "tools/remote_sasl.h"

#include <stdio.h>

#define CAPABILITIES_MAX 200u           /* lines */
#define CHALLENGES_MAX   10u            /* of an exchange; SCRAM has two */

/* ---- commands ---- */

enum rc
pop3_broken(struct pop3 *p, struct err *e)
{
	p->broken = true;
	return e->code;
}

enum rc
pop3_say(struct pop3 *p, const char *word, struct slice argument, struct err *e)
{
	struct buf b;
	enum rc rc = RC_OK;

	if (slice_find_byte(argument, '\r') < argument.len ||
	    slice_find_byte(argument, '\n') < argument.len)
		return err_set(e, RC_SYNTAX,
		               "POP3 cannot carry a name or password with a line end");
	buf_init(&b, 16384);
	if (buf_reserve(&b, 16384) == NULL)
		rc = err_nomem(e);
	buf_append_str(&b, word);
	buf_append_slice(&b, argument);
	buf_append_str(&b, "\r\n");
	if (rc == RC_OK && b.failed)
		rc = err_set(e, RC_LIMIT, "the command is too long");
	if (rc == RC_OK && remote_conn_send(p->conn, buf_slice(&b), e) != RC_OK)
		rc = pop3_broken(p, e);
	secret_wipe_buf(&b);
	buf_fini(&b);
	return rc;
}

enum rc
pop3_status(struct pop3 *p, struct err *e)
{
	char said[REMOTE_TEXT_MAX];
	struct slice line;

	if (remote_conn_line(p->conn, &line, e) != RC_OK)
		return pop3_broken(p, e);
	if (slice_starts_nocase(line, SLICE("+OK")))
		return RC_OK;
	if (slice_starts_nocase(line, SLICE("-ERR")))
		return err_set(e, RC_DENIED, "the server says: %s",
		    remote_text(said, slice_trim(slice_sub(line, 4, line.len))));
	p->broken = true;
	return err_set(e, RC_SYNTAX, "the server's answer cannot be understood: %s",
	               remote_text(said, line));
}

enum rc
pop3_list_line(struct pop3 *p, struct slice *line, bool *more, struct err *e)
{
	if (remote_conn_line(p->conn, line, e) != RC_OK)
		return pop3_broken(p, e);
	*more = !slice_eq(*line, SLICE("."));
	if (*more && slice_starts(*line, SLICE(".")))
		*line = slice_sub(*line, 1, line->len);
	return RC_OK;
}

/* ---- capabilities ---- */

static void
take_capability(struct pop3 *p, struct slice line)
{
	size_t end = slice_find_byte(line, ' ');
	struct slice word = slice_sub(line, 0, end);

	if (slice_eq_nocase(word, SLICE("STLS")))
		p->can.stls = true;
	else if (slice_eq_nocase(word, SLICE("USER")))
		p->can.user = true;
	else if (slice_eq_nocase(word, SLICE("TOP")))
		p->can.top = true;
	else if (slice_eq_nocase(word, SLICE("UTF8")))
		p->can.utf8 = true;
	else if (slice_eq_nocase(word, SLICE("PIPELINING")))
		p->can.pipelining = true;
	else if (slice_eq_nocase(word, SLICE("SASL")))
		(void)slice_to_cstr(slice_sub(line, end + 1, line.len), p->can.mechanisms,
		    sizeof p->can.mechanisms);
}

/* CAPA [RFC 2449 s5]; a server without it has none. */
static enum rc
ask_capabilities(struct pop3 *p, struct err *e)
{
	struct slice line;
	bool more = true;
	unsigned lines = 0;
	enum rc rc;

	memset(&p->can, 0, sizeof p->can);
	if (pop3_say(p, "CAPA", SLICE_NONE, e) != RC_OK)
		return e->code;
	rc = pop3_status(p, e);
	p->can.known = rc == RC_OK;
	p->can.top = !p->can.known;     /* may be: it is optional */
	if (rc != RC_OK)
		return p->broken ? rc : RC_OK;
	while (more) {
		if (pop3_list_line(p, &line, &more, e) != RC_OK)
			return e->code;
		if (++lines > CAPABILITIES_MAX)
			return err_set(e, RC_LIMIT,
			               "the server's list of capabilities does not end");
		if (more)
			take_capability(p, line);
	}
	return RC_OK;
}

/* ---- logging in ---- */

static enum rc
start_tls(struct pop3 *p, struct err *e)
{
	bool needed = p->can.known && !p->can.user && p->can.mechanisms[0] == '\0';

	switch (remote_upgrade_now(p->remote, p->can.stls, needed)) {
	case REMOTE_UPGRADE_NONE:
		return RC_OK;
	case REMOTE_UPGRADE_NOW:
		break;
	case REMOTE_UPGRADE_IMPOSSIBLE:
		return err_set(e, RC_DENIED,
		    "the server offers no STLS, so all would go in the clear; pops:// is TLS from "
		    "the start, --no-tls does without");
	}
	if (pop3_say(p, "STLS", SLICE_NONE, e) != RC_OK || pop3_status(p, e) != RC_OK)
		return err_add(e, "STLS");
	if (remote_upgrade(p->remote, p->conn, &p->safe, e) != RC_OK)
		return e->code;
	return ask_capabilities(p, e);
}

static enum rc
login_error(const struct pop3 *p, struct err *e)
{
	if (e->code != RC_DENIED || p->broken)
		return e->code;
	return err_add(e, "login as %s refused",
	    p->remote->admin != NULL ? p->remote->admin : p->remote->url.user);
}

/* Challenges and answers up to the last word of the server, a line that is no "+ ..." */
static enum rc
exchange(struct pop3 *p, struct remote_sasl *sasl, struct slice first, bool waiting, struct err *e)
{
	for (unsigned n = 0; n < CHALLENGES_MAX; n++) {
		struct slice line, answer = first;

		if (remote_conn_line(p->conn, &line, e) != RC_OK)
			return pop3_broken(p, e);
		if (slice_starts_nocase(line, SLICE("+OK")))
			return remote_sasl_finish(sasl, e);
		if (!slice_starts(line, SLICE("+"))) {
			char said[REMOTE_TEXT_MAX];

			return err_set(e, RC_DENIED, "the server says: %s",
			               remote_text(said, line));
		}
		line = slice_trim(slice_sub(line, 1, line.len));
		if (!waiting && remote_sasl_step(sasl, line, &answer, e) != RC_OK)
			return e->code;
		waiting = false;
		if (pop3_say(p, "", answer, e) != RC_OK)
			return e->code;
	}
	p->broken = true;
	return err_set(e, RC_DENIED, "the server's challenges do not end");
}

/* AUTH [RFC 5034 s4]. An initial response that is too long for a command line waits
 * for the server. */
static enum rc
authenticate(struct pop3 *p, const char *mechanism, struct err *e)
{
	struct remote_sasl *sasl;
	struct slice first;
	char command[40];
	bool any = false, now;
	enum rc rc = remote_sasl_new(p->remote, "pop", mechanism, &sasl, e);

	if (rc == RC_OK)
		rc = remote_sasl_start(sasl, &first, &any, e);
	now = any && first.len <= 200;
	if (now && first.len == 0)
		first = SLICE("=");
	snprintf(command, sizeof command, "AUTH %s%s", mechanism, now ? " " : "");
	if (rc == RC_OK)
		rc = pop3_say(p, command, now ? first : SLICE_NONE, e);
	if (rc == RC_OK)
		rc = exchange(p, sasl, first, any && !now, e);
	remote_sasl_free(&sasl);
	return rc;
}

static enum rc
user_pass(struct pop3 *p, struct err *e)
{
	if (pop3_say(p, "USER ", slice_str(p->remote->url.user), e) != RC_OK ||
	    pop3_status(p, e) != RC_OK ||
	    pop3_say(p, "PASS ", secret_slice(p->remote->password), e) != RC_OK ||
	    pop3_status(p, e) != RC_OK)
		return e->code;
	return RC_OK;
}

static enum rc
prove(struct pop3 *p, struct err *e)
{
	const char *mechanism = remote_sasl_choose(p->remote, slice_str(p->can.mechanisms),
	                                           p->safe);

	if (mechanism == NULL && (p->remote->url.auth[0] != '\0' || p->remote->admin != NULL))
		return err_set(e, RC_DENIED, "the server offers no way to log in that we can go%s",
		    p->remote->admin != NULL ? " for another user (it needs AUTH PLAIN)" : "");
	if (!p->safe && !p->warned && !p->remote->insecure) {
		remote_warn_cleartext(p->remote);
		p->warned = true;
	}
	if ((mechanism != NULL ? authenticate(p, mechanism, e) : user_pass(p, e)) != RC_OK)
		return login_error(p, e);
	return RC_OK;
}

/* UTF8 [RFC 6856 s2.1], so that messages come as they are: else one with UTF-8 in its header would
 * be a surrogate, or be refused. A server may say no, and then that is how they come. */
static enum rc
ask_for_originals(struct pop3 *p, struct err *e)
{
	if (!p->can.utf8)
		return RC_OK;
	if (pop3_say(p, "UTF8", SLICE_NONE, e) != RC_OK ||
	    (pop3_status(p, e) != RC_OK && p->broken))
		return err_add(e, "UTF8");
	return RC_OK;
}

void
pop3_disconnect(struct pop3 *p)
{
	remote_conn_close(&p->conn);
	p->broken = true;
	p->reading = false;
	p->asked = p->answered = p->at;
}

enum rc
pop3_connect(struct pop3 *p, struct err *e)
{
	pop3_disconnect(p);
	if (remote_connect(p->remote, &p->conn, &p->safe, e) != RC_OK)
		return err_add(e, "%s", p->server);
	p->broken = false;
	if (pop3_status(p, e) != RC_OK) {
		(void)err_add(e, "greeting");
	} else if (ask_capabilities(p, e) == RC_OK && start_tls(p, e) == RC_OK &&
	    ask_for_originals(p, e) == RC_OK && prove(p, e) == RC_OK &&
	    (!p->can.known || ask_capabilities(p, e) == RC_OK)) {
		p->can.top = p->can.top && !p->no_top;
		return RC_OK;
	}
	return err_add(e, "%s", p->server);
}
