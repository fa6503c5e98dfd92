/* session_stub - the half of a session that the fuzzers of whole sessions share: the functions of session.h and login.h
 * that answer from a few fields. Included once in a program, behind its own
 *
 *     struct session   with at least: unsigned shape, bad; struct buf in, out, received; struct conf conf;
 *                      bool tls, woken
 *     SHAPE_SMALL_OUT  a bit of shape: the room for answers is always nearly used up
 *     require()        what ends the program when something is broken
 */
#ifndef RESTANTE_TESTS_FUZZ_SESSION_STUB_H
#define RESTANTE_TESTS_FUZZ_SESSION_STUB_H

#include "server/login.h"
#include "server/session.h"

void
login_fini(struct login *l)
{
	(void)l;
}

enum login_result
login_cancel(struct login *l)
{
	(void)l;
	return LOGIN_CANCELLED;
}

const struct account_info *
login_account(const struct login *l)
{
	return &l->account;
}

void
login_leave(struct login *l)
{
	(void)l;
}

struct buf *
session_in(struct session *s)
{
	return &s->in;
}

struct buf *
session_out(struct session *s)
{
	return &s->out;
}

bool
session_out_full(const struct session *s)
{
	return s->out.len >= ((s->shape & SHAPE_SMALL_OUT) != 0 ? 16 : SESSION_OUT_SOFT);
}

uint64_t
session_id(const struct session *s)
{
	(void)s;
	return 1;
}

bool
session_can_starttls(const struct session *s)
{
	return !s->tls;
}

const struct conf *
session_conf(const struct session *s)
{
	return &s->conf;
}

void
session_set_timeout(struct session *s, uint32_t ms)
{
	(void)s;
	(void)ms;
}

void
session_wake(struct session *s, bool here)
{
	(void)here;
	s->woken = true;
}

void
session_log(struct session *s, struct logline *l, enum log_level level, const char *ev)
{
	(void)s;
	log_begin(l, level, ev);
}

bool
session_bad_command(struct session *s)
{
	return ++s->bad >= 20;
}

void
session_good_command(struct session *s)
{
	s->bad = 0;
}

static void
drain(struct session *s)
{
	require(!s->out.failed && buf_append_slice(&s->received, buf_slice(&s->out)),
	        "room for the answers");
	buf_reset(&s->out);
}

#endif
