/* commands - the table of POP3 commands, and the small ones: STAT, LIST, UIDL, DELE, RSET, NOOP. */
#include "server/pop3/pop3.h"

#include <stdio.h>

/* The unique-id of a message: UIDVALIDITY and UID, both of which live in the log, so that it
 * survives restarts and rebuilds and is never given to another message [RFC 1939 s7]. */
void
pop3_uidl_own(const struct pop3_maildrop *drop, mail_uid uid, char out[POP3_UIDL_SIZE])
{
	(void)snprintf(out, POP3_UIDL_SIZE, "%08x%08x", drop->uidvalidity, uid);
}

/* What a message brought from the server it was on before is told instead. */
static void
put_uidl(struct pop3 *p, struct buf *out, uint32_t index)
{
	const struct pop3_message *m = &p->drop.messages[index];
	char own[POP3_UIDL_SIZE];

	pop3_uidl_own(&p->drop, m->uid, own);
	buf_printf(out, "%u %s\r\n", index + 1, m->uidl != NULL ? m->uidl : own);
}

static void
put_size(struct pop3 *p, struct buf *out, uint32_t index)
{
	buf_printf(out, "%u %llu\r\n", index + 1, (unsigned long long)p->drop.messages[index].size);
}

static enum session_next
start_stat(struct pop3 *p, struct slice arg, bool has_arg)
{
	(void)arg;
	if (has_arg)
		return pop3_err(p, "STAT takes no argument");
	return pop3_ok(p, "%u %llu", p->drop.count - p->drop.deleted,
	               (unsigned long long)p->drop.size);
}

/* LIST and UIDL: one line for one message, or a listing told in steps. */
static enum session_next
start_listing(struct pop3 *p, struct slice arg, bool has_arg,
              void (*put)(struct pop3 *, struct buf *, uint32_t))
{
	struct pop3_message *m;

	if (has_arg) {
		m = pop3_maildrop_get(p, arg);
		if (m != NULL) {
			buf_append_str(session_out(p->s), "+OK ");
			put(p, session_out(p->s), (uint32_t)(m - p->drop.messages));
		}
		return NEXT_AGAIN;
	}
	pop3_ok(p, "%u messages (%llu octets)", p->drop.count - p->drop.deleted,
	        (unsigned long long)p->drop.size);
	p->row = 0;
	return NEXT_STEP;
}

static enum step_result
step_listing(struct pop3 *p, void (*put)(struct pop3 *, struct buf *, uint32_t))
{
	struct buf *out = session_out(p->s);

	for (; p->row < p->drop.count; p->row++) {
		if (session_out_full(p->s))
			return STEP_MORE;
		if (!p->drop.messages[p->row].deleted)
			put(p, out, p->row);
	}
	buf_append_str(out, ".\r\n");
	return STEP_DONE;
}

static enum session_next
start_list(struct pop3 *p, struct slice arg, bool has_arg)
{
	return start_listing(p, arg, has_arg, put_size);
}

static enum step_result
step_list(struct pop3 *p)
{
	return step_listing(p, put_size);
}

static enum session_next
start_uidl(struct pop3 *p, struct slice arg, bool has_arg)
{
	return start_listing(p, arg, has_arg, put_uidl);
}

static enum step_result
step_uidl(struct pop3 *p)
{
	return step_listing(p, put_uidl);
}

static enum session_next
start_dele(struct pop3 *p, struct slice arg, bool has_arg)
{
	struct pop3_message *m;

	if (!has_arg)
		return pop3_err(p, "DELE needs a message number");
	if (p->read_only)
		return pop3_err(p, "This maildrop can only be read");
	m = pop3_maildrop_get(p, arg);
	if (m == NULL)
		return NEXT_AGAIN;
	m->deleted = true;
	p->drop.deleted++;
	p->drop.size -= m->size;
	return pop3_ok(p, "Marked to be deleted");
}

static enum session_next
start_rset(struct pop3 *p, struct slice arg, bool has_arg)
{
	(void)arg;
	if (has_arg)
		return pop3_err(p, "RSET takes no argument");
	for (uint32_t i = 0; i < p->drop.count; i++) {
		if (p->drop.messages[i].deleted)
			p->drop.size += p->drop.messages[i].size;
		p->drop.messages[i].deleted = false;
	}
	p->drop.deleted = 0;
	return pop3_ok(p, "Nothing is marked any more");
}

static enum session_next
start_noop(struct pop3 *p, struct slice arg, bool has_arg)
{
	(void)arg;
	if (has_arg)
		return pop3_err(p, "NOOP takes no argument");
	return pop3_ok(p, "Nothing done");
}

const struct pop3_command *
pop3_command_find(struct slice name)
{
	static const struct pop3_command table[] = {
		{ "CAPA", POP3_ANY_STATE, false, pop3_start_capa, NULL },
		{ "LANG", POP3_ANY_STATE, false, pop3_start_lang, NULL },
		{ "UTF8", POP3_AUTHORIZATION, false, pop3_start_utf8, NULL },
		{ "USER", POP3_AUTHORIZATION, false, pop3_start_user, NULL },
		{ "PASS", POP3_AUTHORIZATION, true, pop3_start_pass, pop3_step_pass },
		{ "AUTH", POP3_AUTHORIZATION, false, pop3_start_auth, pop3_step_auth },
		{ "STLS", POP3_AUTHORIZATION, false, pop3_start_stls, NULL },
		{ "STAT", POP3_TRANSACTION, false, start_stat, NULL },
		{ "LIST", POP3_TRANSACTION, false, start_list, step_list },
		{ "UIDL", POP3_TRANSACTION, false, start_uidl, step_uidl },
		{ "RETR", POP3_TRANSACTION, false, pop3_start_retr, pop3_step_retr },
		{ "TOP", POP3_TRANSACTION, false, pop3_start_top, pop3_step_retr },
		{ "DELE", POP3_TRANSACTION, false, start_dele, NULL },
		{ "RSET", POP3_TRANSACTION, false, start_rset, NULL },
		{ "NOOP", POP3_TRANSACTION, false, start_noop, NULL },
		{ "QUIT", POP3_ANY_STATE, false, pop3_start_quit, pop3_step_quit },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (slice_eq_nocase(name, slice_str(table[i].name)))
			return &table[i];
	return NULL;
}
