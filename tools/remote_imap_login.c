/* remote_imap_login - from the greeting to the authenticated state. [RFC 9051 s3, s6.1, s6.2] See
 * remote_imap.h.
 *
 * Capabilities are asked for anew behind TLS and behind the login [s6.1.1, s6.2.1]: what was said
 * before counts for nothing. ID is not sent. With UTF8=ACCEPT [RFC 9755] messages with UTF-8 in
 * their headers come as they are instead of in a form made up for us, and names in UTF-8.
 */
#include "tools/remote_imap.h"
#include "tools/remote_sasl.h"

#include <stdio.h>

#define CHALLENGES_MAX 10u              /* of an exchange; SCRAM has two */

/* ---- capabilities ---- */

static void
add_mechanism(struct imap *i, struct slice name)
{
	size_t n = strlen(i->can.mechanisms);

	if (n + name.len + 2 > sizeof i->can.mechanisms)
		return;
	if (n > 0)
		i->can.mechanisms[n++] = ' ';
	memcpy(i->can.mechanisms + n, name.ptr, name.len);
	i->can.mechanisms[n + name.len] = '\0';
}

void
imap_take_capabilities(struct imap *i, struct slice words)
{
	const struct {
		struct slice name;
		bool        *can;
	} known[] = {
		{ SLICE("STARTTLS"), &i->can.starttls }, { SLICE("SASL-IR"), &i->can.sasl_ir },
		{ SLICE("LITERAL+"), &i->can.literal_plus },
		{ SLICE("LITERAL-"), &i->can.literal_minus },
		{ SLICE("LIST-EXTENDED"), &i->can.list_extended },
		{ SLICE("SPECIAL-USE"), &i->can.special_use },
		{ SLICE("NAMESPACE"), &i->can.namespace }, { SLICE("ENABLE"), &i->can.enable },
		{ SLICE("UTF8=ACCEPT"), &i->can.utf8_accept },
		{ SLICE("UTF8=ONLY"), &i->can.utf8_accept },
		{ SLICE("IMAP4REV1"), &i->can.rev1 }, { SLICE("IMAP4REV2"), &i->can.rev2 },
		{ SLICE("LOGINDISABLED"), &i->can.login_disabled },
	};

	memset(&i->can, 0, sizeof i->can);
	for (size_t n = 0; n < sizeof known / sizeof known[0]; n++) {
		if (remote_words_have(words, known[n].name))
			*known[n].can = true;
	}
	if (i->can.rev2) {      /* holds what were extensions [RFC 9051 appendix E] */
		i->can.sasl_ir = i->can.literal_minus = i->can.namespace = i->can.enable = true;
		i->can.list_extended = i->can.special_use = true;
	}
	while (words.len > 0) {
		size_t end = slice_find_byte(words, ' ');
		struct slice word = slice_sub(words, 0, end);

		if (slice_starts_nocase(word, SLICE("AUTH=")))
			add_mechanism(i, slice_sub(word, 5, word.len));
		words = slice_sub(words, end + 1, words.len);
	}
	i->has_capabilities = true;
}

/* Unless the server has told them by itself. */
static enum rc
ask_capabilities(struct imap *i, struct err *e)
{
	if (i->has_capabilities)
		return RC_OK;
	imap_begin(i, "CAPABILITY");
	if (imap_run(i, NULL, NULL, e) != RC_OK)
		return e->code;
	if (!i->can.rev1 && !i->can.rev2)
		return err_set(e, RC_SYNTAX, "the server speaks neither IMAP4rev1 nor IMAP4rev2");
	return RC_OK;
}

/* ---- TLS ---- */

/* greeting = "*" SP (resp-cond-auth / resp-cond-bye) CRLF  [RFC 9051 s9] */
static enum rc
read_greeting(struct imap *i, struct err *e)
{
	char text[REMOTE_TEXT_MAX];

	if (imap_read(i, e) != RC_OK)
		return err_add(e, "greeting");
	if (i->resp.kind == RESPONSE_CONDITION && i->resp.condition == CONDITION_BYE)
		return err_set(e, RC_IO, "the server turns us away: %s",
		               remote_text(text, i->resp.text));
	i->preauth = i->resp.condition == CONDITION_PREAUTH;
	if (i->resp.kind != RESPONSE_CONDITION ||
	    (i->resp.condition != CONDITION_OK && !i->preauth))
		return err_set(e, RC_SYNTAX, "this is no IMAP server");
	return RC_OK;
}

static enum rc
start_tls(struct imap *i, struct err *e)
{
	switch (remote_upgrade_now(i->remote, i->can.starttls, i->can.login_disabled)) {
	case REMOTE_UPGRADE_NONE:
		return RC_OK;
	case REMOTE_UPGRADE_NOW:
		break;
	case REMOTE_UPGRADE_IMPOSSIBLE:
		return err_set(e, RC_DENIED,
		    "the server offers no STARTTLS, so all would go in the clear; imaps:// is TLS "
		    "from the start, --no-tls does without");
	}
	/* Nothing that is worth something may come before TLS; a PREAUTH would keep us from it
	 * [RFC 9051 s11.1]. */
	if (i->preauth)
		return err_set(e, RC_DENIED,
		    "the server greets with PREAUTH in the clear, so STARTTLS is not possible");
	imap_begin(i, "STARTTLS");
	if (imap_run(i, NULL, NULL, e) != RC_OK)
		return err_add(e, "STARTTLS");
	remote_lex_give_back(&i->lex);
	i->has_capabilities = false;
	return remote_upgrade(i->remote, i->conn, &i->safe, e);
}

/* ---- the login ---- */

static enum rc
login_error(struct imap *i, struct err *e)
{
	char text[REMOTE_TEXT_MAX];

	return err_set(e, RC_DENIED, "login as %s refused: %s",
	    i->remote->admin != NULL ? i->remote->admin : i->remote->url.user,
	    remote_text(text, i->resp.text));
}

/* One line of an exchange, which is no command. */
static enum rc
send_line(struct imap *i, struct slice base64, struct err *e)
{
	buf_append_slice(&i->out, base64);
	imap_add(i, "\r\n");
	return imap_flush(i, e);
}

/* Challenges and answers, until the tagged response is in i->resp. */
static enum rc
exchange(struct imap *i, struct remote_sasl *sasl, struct slice first, bool waiting, struct err *e)
{
	for (unsigned challenges = 0; challenges <= CHALLENGES_MAX;) {
		struct slice answer = first;

		if (imap_read(i, e) != RC_OK)
			return e->code;
		if (i->resp.kind == RESPONSE_TAGGED && imap_tag(i) == i->tag)
			return RC_OK;
		if (i->resp.kind != RESPONSE_CONTINUE)
			continue;
		if (!waiting && remote_sasl_step(sasl, i->resp.text, &answer, e) != RC_OK) {
			struct err ignored = ERR_INIT;

			(void)send_line(i, SLICE("*"), &ignored);
			return e->code;
		}
		waiting = false;
		challenges++;
		if (send_line(i, answer, e) != RC_OK)
			return e->code;
	}
	i->broken = true;
	return err_set(e, RC_DENIED, "the server's challenges do not end");
}

static enum rc
authenticate_by(struct imap *i, struct remote_sasl *sasl, const char *mechanism, struct err *e)
{
	struct slice first;
	bool any;

	if (remote_sasl_start(sasl, &first, &any, e) != RC_OK)
		return e->code;
	imap_begin(i, "AUTHENTICATE ");
	imap_add(i, mechanism);
	if (any && i->can.sasl_ir) {
		imap_add(i, " ");
		buf_append_slice(&i->out, first.len > 0 ? first : SLICE("="));
	}
	(void)imap_queue(i);
	i->has_capabilities = false;
	if (imap_flush(i, e) != RC_OK ||
	    exchange(i, sasl, first, any && !i->can.sasl_ir, e) != RC_OK)
		return e->code;
	if (i->resp.condition != CONDITION_OK)
		return login_error(i, e);
	return remote_sasl_finish(sasl, e);
}

static enum rc
authenticate(struct imap *i, const char *mechanism, struct err *e)
{
	struct remote_sasl *sasl;
	enum rc rc = remote_sasl_new(i->remote, "imap", mechanism, &sasl, e);

	if (rc == RC_OK)
		rc = authenticate_by(i, sasl, mechanism, e);
	remote_sasl_free(&sasl);
	return rc;
}

static enum rc
login_command(struct imap *i, struct err *e)
{
	enum rc rc;

	imap_begin(i, "LOGIN ");
	if (imap_add_string(i, slice_str(i->remote->url.user), e) != RC_OK)
		return e->code;
	imap_add(i, " ");
	if (imap_add_string(i, secret_slice(i->remote->password), e) != RC_OK)
		return e->code;
	i->has_capabilities = false;
	rc = imap_run(i, NULL, NULL, e);
	return rc == RC_DENIED || rc == RC_SYNTAX ? login_error(i, e) : rc;
}

static enum rc
prove(struct imap *i, struct err *e)
{
	const char *mechanism = remote_sasl_choose(i->remote, slice_str(i->can.mechanisms),
	                                           i->safe);
	bool may_login = i->remote->url.auth[0] == '\0' && i->remote->admin == NULL &&
	                 !i->can.login_disabled;

	if (mechanism == NULL && !may_login)
		return err_set(e, RC_DENIED, "the server offers no way to log in that we can go%s",
		    i->remote->admin != NULL ? " for another user (it needs AUTH=PLAIN)" : "");
	if (!i->safe && !i->warned && !i->remote->insecure) {
		remote_warn_cleartext(i->remote);
		i->warned = true;
	}
	return mechanism != NULL ? authenticate(i, mechanism, e) : login_command(i, e);
}

static enum rc
take_enabled(struct imap *i, const struct remote_response *r, void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	if (r->kind == RESPONSE_ENABLED && remote_words_have(r->text, SLICE("UTF8=ACCEPT")))
		i->utf8 = true;
	return RC_OK;
}

/* UTF-8 where the server can; if it will not, it goes on without. Only what ENABLED names is
 * enabled [RFC 9051 s7.2.1]. */
static enum rc
enable_utf8(struct imap *i, struct err *e)
{
	i->utf8 = i->can.rev2 && !i->can.rev1;
	if (i->utf8 || !i->can.enable || !i->can.utf8_accept)
		return RC_OK;
	imap_begin(i, "ENABLE UTF8=ACCEPT");
	if (imap_run(i, take_enabled, NULL, e) != RC_OK)
		i->utf8 = false;
	return i->broken ? e->code : RC_OK;
}

enum rc
imap_login(struct imap *i, struct err *e)
{
	if (read_greeting(i, e) != RC_OK || ask_capabilities(i, e) != RC_OK ||
	    start_tls(i, e) != RC_OK || ask_capabilities(i, e) != RC_OK)
		return e->code;
	if (!i->preauth && prove(i, e) != RC_OK)
		return e->code;
	if (ask_capabilities(i, e) != RC_OK)
		return e->code;
	return enable_utf8(i, e);
}
