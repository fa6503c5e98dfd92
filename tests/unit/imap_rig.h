/* imap_rig - sessions of imap_harness beside the one-line changes of volume_fixture, for tests
 * of what one session sees while the mailbox changes behind its back. */
#ifndef RESTANTE_TESTS_UNIT_IMAP_RIG_H
#define RESTANTE_TESTS_UNIT_IMAP_RIG_H

#include "tests/unit/imap_harness.h"
#include "tests/unit/volume_fixture.h"

#include "server/imap/imap.h"

static struct imap_world *rig_world;
static account_id         rig_account;
static struct buf         rig_text;

static int
rig_setup(void **state)
{
	int rc = imap_world_setup(state);

	rig_world = *state;
	*state = NULL;          /* it stays the test's own */
	rig_account = imap_world_account(rig_world);
	fx_v = imap_world_volume(rig_world);
	(void)snprintf(fx_dir, sizeof fx_dir, "%s", imap_world_dir(rig_world));
	arena_init(&fx_arena, 256u << 20);
	buf_init(&rig_text, 256u << 20);
	return rc;
}

static int
rig_teardown(void **state)
{
	arena_fini(&fx_arena);
	buf_fini(&rig_text);
	*state = rig_world;
	return imap_world_teardown(state);
}

/* Send a line (CRLF is added); what comes back, NUL-terminated, good until the next time. */
static const char *
rig_send(struct session *s, const char *line)
{
	imap_forget(s);
	buf_reset(&rig_text);
	buf_append_str(&rig_text, line);
	buf_append_str(&rig_text, "\r\n");
	imap_send(s, buf_slice(&rig_text));
	buf_reset(&rig_text);
	buf_append_slice(&rig_text, imap_received(s));
	buf_append_byte(&rig_text, 0);
	return (const char *)rig_text.ptr;
}

static inline void
rig_expect(struct session *s, const char *line, const char *want)
{
	assert_string_equal(rig_send(s, line), want);
}

static struct session *
rig_session(void)
{
	struct session *s = imap_connect(rig_world);

	assert_non_null(strstr(rig_send(s, "l LOGIN anna secret"), "l OK "));
	return s;
}

/* A session that has INBOX selected and has said what SELECT says. */
static inline struct session *
rig_selected(void)
{
	struct session *s = rig_session();

	(void)rig_send(s, "s SELECT INBOX");
	return s;
}

static inline void
rig_end(struct session *s)
{
	imap_disconnect(&s);
}

static inline struct imap *
rig_imap(struct session *s)
{
	return imap_session_state(s);
}

static inline mailbox_id
rig_inbox(void)
{
	return fx_box(rig_account, "INBOX");
}

#endif
