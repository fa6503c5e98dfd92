/* volume_fixture - a volume in a temporary directory for the tests of index/, and one-line changes to it. */
#ifndef RESTANTE_TESTS_UNIT_VOLUME_FIXTURE_H
#define RESTANTE_TESTS_UNIT_VOLUME_FIXTURE_H

#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

#include "index/volume.h"

#define TEST_MAIL "From: Anna <anna@example.org>\r\nTo: ben@example.org\r\nSubject: Tea\r\n" \
                  "Message-ID: <1@example.org>\r\n\r\nAt five?\r\n"

static char           fx_dir[256];
static struct volume *fx_v;
static struct arena   fx_arena;
static uint32_t       fx_findings;

/* 0: no memory for it, which no test expects. */
static inline void
fx_remove(const char *dir)
{
	char cmd[512];

	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

static inline void
fx_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
         const char *what)
{
	(void)arg, (void)seg, (void)offset, (void)len, (void)first, (void)last;
	fx_findings++;
	if (getenv("UNIT_VERBOSE") != NULL)
		(void)fprintf(stderr, "found: %s\n", what);
}

static inline void
fx_check_found(void *arg, const struct check_finding *f)
{
	(void)arg;
	fx_findings++;
	if (getenv("UNIT_VERBOSE") != NULL)
		(void)fprintf(stderr, "found: %s\n", f->what);
}

static inline void
fx_open_as(enum volume_mode mode)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = mode,
	                           .report = { NULL, fx_found } };
	struct err e = ERR_INIT;
	enum rc rc = volume_open(&p, &fx_v, &e);

	if (rc != RC_OK)
		(void)fprintf(stderr, "open: %s\n", e.text);
	assert_int_equal(rc, RC_OK);
}

static inline void
fx_open(void)
{
	fx_open_as(VOLUME_WRITE);
}

static inline void
fx_reopen(void)
{
	volume_close(&fx_v);
	fx_open();
}

static inline int
fx_setup(void **state)
{
	struct err e = ERR_INIT;
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(fx_dir, sizeof fx_dir, "%s/restante-index-XXXXXX",
	               tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(fx_dir));
	arena_init(&fx_arena, 256u << 20);
	fx_findings = 0;
	assert_int_equal(volume_create(fx_dir, &e), RC_OK);
	fx_open();
	return 0;
}

static inline int
fx_teardown(void **state)
{
	(void)state;
	volume_close(&fx_v);
	arena_fini(&fx_arena);
	fx_remove(fx_dir);
	return 0;
}

/* ---- changes ---- */

static inline struct change *
fx_change(enum change_kind kind)
{
	struct change *c = change_new(kind);

	assert_non_null(c);
	c->who.protocol = PROTO_SYSTEM;
	return c;
}

static inline enum rc
fx_run(struct change *c)
{
	enum rc rc = volume_submit_wait(fx_v, c);

	change_free(&c);
	return rc;
}

static inline account_id
fx_account(const char *name)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_CREATE);
	account_id id;

	c->u.account.name = slice_str(name);
	c->u.account.credential_name = SLICE("password");
	c->u.account.credential_value = SLICE("SCRAM-SHA-256$x");
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	id = c->u.account.id;
	change_free(&c);
	return id;
}

static inline struct mailbox_info
fx_mailbox(account_id account, const char *name)
{
	struct mailbox_info m;
	struct err e = ERR_INIT;

	assert_int_equal(volume_find_mailbox(fx_v, account, slice_str(name), &fx_arena, &m, &e),
	                 RC_OK);
	return m;
}

static inline mailbox_id
fx_box(account_id account, const char *name)
{
	return fx_mailbox(account, name).id;
}

static inline struct ingested *
fx_ingest(struct slice mail)
{
	struct ingest *in;
	struct ingested *m;
	struct err e = ERR_INIT;

	assert_int_equal(ingest_new(fx_v, 0, &in, &e), RC_OK);
	assert_int_equal(ingest_feed(in, mail, &e), RC_OK);
	assert_int_equal(ingest_finish(&in, &m, &e), RC_OK);
	return m;
}

/* One message to `count` mailboxes; the targets lie in the change. */
static inline struct change *
fx_make_append(const mailbox_id *boxes, uint32_t count, struct slice mail, uint32_t flags,
               const char *keywords)
{
	struct change *c = fx_change(CHANGE_APPEND);
	struct append_message *m = arena_array(&c->arena, 1, sizeof *m);

	m->content = fx_ingest(mail);
	m->flags = flags;
	m->keywords = slice_str(keywords);
	m->internaldate = (struct mail_date){ 1700000000, -90 };
	m->targets = arena_array(&c->arena, count, sizeof *m->targets);
	m->target_count = count;
	for (uint32_t i = 0; i < count; i++)
		m->targets[i].mailbox = boxes[i];
	c->u.append.messages = m;
	c->u.append.message_count = 1;
	return c;
}

static inline mail_uid
fx_append(mailbox_id box, struct slice mail, uint32_t flags, const char *keywords)
{
	struct change *c = fx_make_append(&box, 1, mail, flags, keywords);
	mail_uid uid;

	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_true(c->durable);
	uid = c->u.append.messages[0].targets[0].uid;
	change_free(&c);
	return uid;
}

/* TEST_MAIL to both, each target on its own as LMTP has it: the first fits, the second does not. */
static inline void
fx_append_first_of(const mailbox_id both[2])
{
	struct change *c = fx_make_append(both, 2, SLICE(TEST_MAIL), 0, "");

	c->u.append.each_target = true;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.append.messages[0].targets[0].rc, RC_OK);
	assert_int_equal(c->u.append.messages[0].targets[1].rc, RC_LIMIT);
	change_free(&c);
}

static inline void
fx_append_n(mailbox_id box, uint32_t n)
{
	while (n-- > 0)
		(void)fx_append(box, SLICE(TEST_MAIL), 0, "");
}

static inline struct change *
fx_make_store(mailbox_id box, mail_uid first, mail_uid last, enum store_op op, uint32_t flags,
              const char *keywords)
{
	struct change *c = fx_change(CHANGE_STORE);

	c->u.store.mailbox = box;
	c->u.store.op = op;
	c->u.store.flags = flags;
	c->u.store.keywords = slice_str(keywords);
	assert_true(uid_set_add(&c->u.store.uids, first, last));
	return c;
}

static inline mail_modseq
fx_store(mailbox_id box, mail_uid first, mail_uid last, enum store_op op, uint32_t flags,
         const char *keywords)
{
	struct change *c = fx_make_store(box, first, last, op, flags, keywords);
	mail_modseq m;

	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	m = c->u.store.modseq;
	change_free(&c);
	return m;
}

static inline mail_modseq
fx_expunge(mailbox_id box, mail_uid first, mail_uid last)
{
	struct change *c = fx_change(CHANGE_EXPUNGE);
	mail_modseq m;

	c->u.expunge.mailbox = box;
	c->u.expunge.any = true;
	assert_true(uid_set_add(&c->u.expunge.uids, first, last));
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	m = c->u.expunge.modseq;
	change_free(&c);
	return m;
}

static inline struct change *
fx_make_copy(enum change_kind kind, mailbox_id source, mail_uid first, mail_uid last,
             mailbox_id target)
{
	struct change *c = fx_change(kind);

	c->u.copy.source = source;
	c->u.copy.target = target;
	assert_true(uid_set_add(&c->u.copy.uids, first, last));
	return c;
}

static inline enum rc
fx_name_change(enum change_kind kind, account_id account, const char *name, const char *new_name)
{
	struct change *c = fx_change(kind);

	c->u.mailbox.account = account;
	c->u.mailbox.name = slice_str(name);
	c->u.mailbox.new_name = slice_str(new_name);
	return fx_run(c);
}

/* ---- reading ---- */

static inline struct message_row *
fx_rows(mailbox_id box, uint32_t want, size_t *count)
{
	struct message_row *rows;
	struct uid_set all;
	struct err e = ERR_INIT;

	uid_set_init(&all, 4);
	assert_true(uid_set_add(&all, 1, UINT32_MAX));
	assert_int_equal(volume_read_messages(fx_v, box, &all, 1, 1u << 20, want, &fx_arena, &rows,
	                                      count, &e),
	                 RC_OK);
	uid_set_fini(&all);
	return rows;
}

/* A set of UIDs, as it is written. */
static inline void
fx_assert_set(const struct uid_set *s, const char *want)
{
	struct buf b;

	buf_init(&b, 4096);
	assert_true(uid_set_format(s, &b));
	assert_true(buf_append_byte(&b, 0));
	assert_string_equal((const char *)b.ptr, want);
	buf_fini(&b);
}

#endif
