/* remote_imap - an IMAP server as a source of import: its connection and commands. See
 * remote_imap.h. */
#include "tools/remote_imap.h"

#include <stdio.h>
#include <stdlib.h>

#define COMMAND_MAX   65536u
#define NONSYNC_MAX   4096u             /* of LITERAL- [RFC 7888 s5] */
#define MAILBOXES_MAX (64u << 20)       /* bytes of the list of mailboxes */

/* ---- commands ---- */

void
imap_begin(struct imap *i, const char *words)
{
	i->tag++;
	buf_printf(&i->out, "r%u %s", i->tag, words);
}

void
imap_add(struct imap *i, const char *words)
{
	buf_append_str(&i->out, words);
}

static bool
is_quotable(const struct imap *i, struct slice text)
{
	for (size_t n = 0; n < text.len; n++) {
		uint8_t c = text.ptr[n];

		if (c < 0x20 || c == 0x7f || (c > 0x7f && !i->utf8))
			return false;
	}
	return text.len <= 1000;
}

static void
add_quoted(struct imap *i, struct slice text)
{
	buf_append_byte(&i->out, '"');
	for (size_t n = 0; n < text.len; n++) {
		if (text.ptr[n] == '"' || text.ptr[n] == '\\')
			buf_append_byte(&i->out, '\\');
		buf_append_byte(&i->out, text.ptr[n]);
	}
	buf_append_byte(&i->out, '"');
}

/* Wait for "+". What comes before it is taken in as ever. */
static enum rc
await_continuation(struct imap *i, struct err *e)
{
	if (imap_flush(i, e) != RC_OK)
		return e->code;
	for (;;) {
		char text[REMOTE_TEXT_MAX];

		if (imap_read(i, e) != RC_OK)
			return e->code;
		if (i->resp.kind == RESPONSE_CONTINUE)
			return RC_OK;
		if (i->resp.at_text && !remote_response_resume(&i->lex, &i->resp))
			return imap_break(i, e);
		if (i->resp.kind == RESPONSE_TAGGED && imap_tag(i) == i->tag)
			return err_set(e, RC_DENIED, "the server refuses a literal: %s",
			    remote_text(text, i->resp.text));
	}
}

enum rc
imap_add_string(struct imap *i, struct slice text, struct err *e)
{
	bool nonsync = i->can.literal_plus || (i->can.literal_minus && text.len <= NONSYNC_MAX);

	if (is_quotable(i, text)) {
		add_quoted(i, text);
		return RC_OK;
	}
	buf_printf(&i->out, "{%zu%s}\r\n", text.len, nonsync ? "+" : "");
	if (!nonsync && await_continuation(i, e) != RC_OK)
		return e->code;
	buf_append_slice(&i->out, text);
	return RC_OK;
}

unsigned
imap_queue(struct imap *i)
{
	imap_add(i, "\r\n");
	return i->tag;
}

/* Commands may hold passwords, so the buffer never grew and is wiped. */
enum rc
imap_flush(struct imap *i, struct err *e)
{
	enum rc rc = i->out.failed ? err_set(e, RC_LIMIT, "the command is too long") : RC_OK;

	if (rc == RC_OK && i->broken)
		rc = err_set(e, RC_IO, "the connection is broken");
	if (rc == RC_OK && remote_conn_send(i->conn, buf_slice(&i->out), e) != RC_OK) {
		rc = e->code;
		i->broken = true;
	}
	secret_wipe_buf(&i->out);
	buf_reset(&i->out);
	remote_lex_welcome(&i->lex);
	return rc;
}

/* ---- responses ---- */

/* The error of the lexer is ours; behind a BYE its text says more than "the server has ended
 * the connection". */
enum rc
imap_break(struct imap *i, struct err *e)
{
	i->broken = true;
	*e = i->lex.err;
	e->code = i->lex.rc;
	if (i->bye[0] != '\0')
		return err_set(e, RC_IO, "the server has ended the connection: %s", i->bye);
	return e->code;
}

unsigned
imap_tag(const struct imap *i)
{
	uint64_t n = 0;

	if (i->resp.tag.len < 2 || i->resp.tag.ptr[0] != 'r' ||
	    !slice_to_u64(slice_sub(i->resp.tag, 1, i->resp.tag.len), i->tag, &n))
		return 0;
	return (unsigned)n;
}

static void
take_number(struct slice text, uint32_t *to)
{
	uint64_t n;

	if (slice_to_u64(text, UINT32_MAX, &n))
		*to = (uint32_t)n;
}

/* resp-cond-*, tagged or not: codes that concern the connection or the mailbox. */
static void
take_condition(struct imap *i)
{
	const struct remote_response *r = &i->resp;

	if (slice_eq_nocase(r->code, SLICE("CAPABILITY")))
		imap_take_capabilities(i, r->code_text);
	else if (slice_eq_nocase(r->code, SLICE("UIDVALIDITY")))
		take_number(r->code_text, &i->walk.uidvalidity);
	else if (slice_eq_nocase(r->code, SLICE("UIDNEXT")))
		take_number(r->code_text, &i->walk.uidnext);
	else if (slice_eq_nocase(r->code, SLICE("UIDNOTSTICKY")))
		i->walk.sticky = false;
	if (r->kind == RESPONSE_CONDITION && r->condition == CONDITION_BYE)
		remote_text(i->bye, r->text.len > 0 ? r->text : SLICE("BYE"));
}

enum rc
imap_read(struct imap *i, struct err *e)
{
	if (i->broken)
		return err_set(e, RC_IO, "the connection is broken");
	if (!remote_response_read(&i->lex, i->found, &i->resp))
		return imap_break(i, e);
	switch (i->resp.kind) {
	case RESPONSE_TAGGED:
		take_condition(i);
		imap_walk_answered(i);
		break;
	case RESPONSE_CONDITION:
		take_condition(i);
		break;
	case RESPONSE_CAPABILITY:
		imap_take_capabilities(i, i->resp.text);
		break;
	case RESPONSE_EXISTS:
		i->walk.exists = i->resp.number;
		break;
	case RESPONSE_CONTINUE:
	case RESPONSE_LIST:
	case RESPONSE_NAMESPACE:
	case RESPONSE_STATUS:
	case RESPONSE_FETCH:
	case RESPONSE_SEARCH:
	case RESPONSE_ENABLED:
	case RESPONSE_OTHER:
		break;
	}
	return RC_OK;
}

/* The command that was run is done. */
static enum rc
outcome(struct imap *i, struct err *e)
{
	char text[REMOTE_TEXT_MAX];

	switch (i->resp.condition) {
	case CONDITION_OK:
		return RC_OK;
	case CONDITION_NO:
		return err_set(e, RC_DENIED, "the server says NO: %s",
		               remote_text(text, i->resp.text));
	case CONDITION_BAD:
	case CONDITION_BYE:
	case CONDITION_PREAUTH:
		break;
	}
	return err_set(e, RC_SYNTAX, "the server does not understand us: %s",
	               remote_text(text, i->resp.text));
}

enum rc
imap_run(struct imap *i, imap_take take, void *arg, struct err *e)
{
	unsigned tag = imap_queue(i);

	if (imap_flush(i, e) != RC_OK)
		return e->code;
	for (;;) {
		if (imap_read(i, e) != RC_OK)
			return e->code;
		if (i->resp.kind == RESPONSE_TAGGED && imap_tag(i) == tag)
			return outcome(i, e);
		if (i->resp.at_text && !remote_response_resume(&i->lex, &i->resp))
			return imap_break(i, e);
		if (i->resp.kind != RESPONSE_TAGGED && take != NULL &&
		    take(i, &i->resp, arg, e) != RC_OK)
			return e->code;
	}
}

/* ---- the connection ---- */

static enum rc
fill(void *arg, struct slice *have, struct err *e)
{
	struct imap *i = arg;

	return remote_conn_fill(i->conn, have, e);
}

static void
take(void *arg, size_t n)
{
	struct imap *i = arg;

	remote_conn_take(i->conn, n);
}

void
imap_disconnect(struct imap *i)
{
	remote_conn_close(&i->conn);
	remote_lex_fini(&i->lex);
	secret_wipe_buf(&i->out);
	buf_reset(&i->out);
	i->broken = true;
	i->walk.reading = false;
}

enum rc
imap_connect(struct imap *i, struct err *e)
{
	enum rc rc;

	imap_disconnect(i);
	remote_lex_init(&i->lex, (struct remote_source){ fill, take, i }, i->remote->noise_max);
	memset(&i->can, 0, sizeof i->can);
	i->has_capabilities = i->preauth = i->utf8 = false;
	i->bye[0] = '\0';
	i->walk.outstanding = 0;
	i->walk.outstanding_bytes = 0;
	rc = remote_connect(i->remote, &i->conn, &i->safe, e);
	if (rc == RC_OK) {
		i->broken = false;
		rc = imap_login(i, e);
	}
	if (rc != RC_OK)
		(void)err_add(e, "%s", i->server);
	return rc;
}

static void
imap_source_close(void *state)
{
	struct imap *i = state;
	struct err e = ERR_INIT;

	if (!i->broken && !i->walk.reading) {
		imap_begin(i, "LOGOUT");
		(void)imap_queue(i);
		if (imap_flush(i, &e) != RC_OK)
			i->broken = true;
	}
	imap_disconnect(i);
	buf_fini(&i->out);
	uid_set_fini(&i->walk.todo);
	arena_fini(&i->walk.arena);
	arena_fini(&i->told);
	arena_fini(&i->arena);
	free(i);
}

enum rc
remote_open_imap(const struct remote_options *remote, const struct import_options *options,
                 struct import_source *out, struct err *e)
{
	struct imap *i = calloc(1, sizeof *i);
	enum rc rc;

	if (i == NULL)
		return err_nomem(e);
	i->remote = remote;
	i->options = options;
	i->broken = true;
	remote_server_name(&remote->url, i->server, sizeof i->server);
	buf_init(&i->out, COMMAND_MAX);
	arena_init(&i->arena, MAILBOXES_MAX);
	arena_init(&i->told, 1u << 20);
	arena_init(&i->walk.arena, 64u << 20);
	uid_set_init(&i->walk.todo, 1u << 24);
	*out = (struct import_source){ i, imap_source_next, imap_source_read, imap_source_close };
	rc = buf_reserve(&i->out, COMMAND_MAX) == NULL ? err_nomem(e) : imap_connect(i, e);
	if (rc == RC_OK && imap_list(i, e) != RC_OK)
		rc = err_add(e, "%s", i->server);
	if (rc != RC_OK) {
		imap_source_close(i);
		*out = (struct import_source){ NULL, NULL, NULL, NULL };
	}
	return rc;
}
