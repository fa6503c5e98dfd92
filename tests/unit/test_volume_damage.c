/* test_volume_damage - a volume whose owner was killed, and what the log's last frames are by then:
 * acknowledged frames that no longer hold are damage when the index knows them [design I3], bodies
 * that nothing names go [SCALEOUT 7]. */
#include "tests/unit/volume_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "index/volume_impl.h"
#include "store/fs.h"

/* The volume as a kill would leave it now: all that was written, nothing that a close does. */
static void
crash(void)
{
	char cmd[1024];

	(void)snprintf(cmd, sizeof cmd, "cp -r '%s' '%s.crash'", fx_dir, fx_dir);
	assert_int_equal(system(cmd), 0);
	volume_close(&fx_v);
	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s' && mv '%s.crash' '%s'", fx_dir, fx_dir,
	               fx_dir);
	assert_int_equal(system(cmd), 0);
}

struct last_frame {
	struct frame_info f;
};

static enum rc
see_record(void *arg, const struct frame_info *f, const struct record *r,
           const struct log_addr *addr, struct err *e)
{
	(void)arg, (void)f, (void)r, (void)addr, (void)e;
	return RC_OK;
}

static enum rc
see_frame(void *arg, const struct frame_info *f, struct err *e)
{
	struct last_frame *last = arg;

	(void)e;
	last->f = *f;
	return RC_OK;
}

static struct frame_info
last_frame(void)
{
	struct last_frame last = { { .len = 0 } };
	struct replay rp = { .arg = &last, .record = see_record, .frame = see_frame };
	struct err e = ERR_INIT;

	assert_int_equal(log_replay(fx_v->log, &rp, false, NULL, &e), RC_OK);
	assert_true(last.f.len > 0);
	return last.f;
}

static FILE *
open_segment(const struct frame_info *f)
{
	char name[400];
	FILE *s;

	(void)snprintf(name, sizeof name, "%s/log/s-%llu-%u.seg", fx_dir,
	               (unsigned long long)f->seg.seq, f->seg.epoch);
	s = fopen(name, "r+b");
	assert_non_null(s);
	return s;
}

/* Spoil the frame: one bit, or all of it and what follows becomes zero, or the file
 * ends before it. */
enum spoil { FLIP_HEADER, FLIP_BODY, ZEROS, CUT };

static void
spoil(const struct frame_info *f, enum spoil how)
{
	FILE *s = open_segment(f);
	long at = (long)f->offset + (how == FLIP_BODY ? (long)f->len - 1 : 20);
	int c;

	if (how == CUT) {
		assert_int_equal(ftruncate(fileno(s), (off_t)f->offset), 0);
	} else if (how == ZEROS) {
		assert_int_equal(fseek(s, (long)f->offset, SEEK_SET), 0);
		for (uint64_t i = 0; i < f->len; i++)
			assert_int_equal(fputc(0, s), 0);
	} else {
		assert_int_equal(fseek(s, at, SEEK_SET), 0);
		c = fgetc(s);
		assert_int_equal(fseek(s, at, SEEK_SET), 0);
		assert_true(fputc(c ^ 0x10, s) != EOF);
	}
	assert_int_equal(fclose(s), 0);
}

static void
remove_index(void)
{
	struct err e = ERR_INIT;
	char path[400];

	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	assert_int_equal(db_unlink(path, &e), RC_OK);
}

static const struct {
	const char *name;
	enum spoil  how;
	bool        index;              /* is there */
	uint32_t    findings;           /* at least */
	uint32_t    exists;             /* afterwards: the index knows the message, or all agree
	                                 * that it is lost */
} rows[] = {
	{ "header, index there",  FLIP_HEADER, true,  1, 3 },
	{ "body, index there",    FLIP_BODY,   true,  1, 3 },
	{ "zeros, index there",   ZEROS,       true,  1, 2 },
	{ "cut, index there",     CUT,         true,  1, 2 },
	{ "header, index gone",   FLIP_HEADER, false, 0, 2 },
	{ "body, index gone",     FLIP_BODY,   false, 0, 2 },
	{ "zeros, index gone",    ZEROS,       false, 0, 2 },
};

static void
test_last_frame(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct frame_info f;
		struct check_result r;
		struct err e = ERR_INIT;
		account_id anna;
		mailbox_id inbox;
		mail_modseq modseq;

		assert_int_equal(fx_setup(state), 0);
		anna = fx_account("anna");
		inbox = fx_box(anna, "INBOX");
		fx_append_n(inbox, 3);
		modseq = fx_mailbox(anna, "INBOX").highestmodseq;
		f = last_frame();
		crash();
		spoil(&f, rows[i].how);
		if (!rows[i].index)
			remove_index();
		/* Before anybody takes it over, check sees it too. */
		fx_open_as(VOLUME_READ);
		assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
		if (rows[i].index ? r.damage + r.differences == 0 : r.damage > 0)
			fail_msg("%s: check: %u, %u", rows[i].name, (unsigned)r.damage,
			         (unsigned)r.differences);
		volume_close(&fx_v);
		fx_findings = 0;
		fx_open();
		if ((fx_findings > 0) != (rows[i].findings > 0))
			fail_msg("%s: %u findings", rows[i].name, fx_findings);
		if (fx_mailbox(anna, "INBOX").exists != rows[i].exists)
			fail_msg("%s: %u messages", rows[i].name, fx_mailbox(anna, "INBOX").exists);
		assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), rows[i].exists + 1);
		assert_true(fx_mailbox(anna, "INBOX").highestmodseq > modseq);
		/* What was found is in the log for good. */
		assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
		assert_int_equal(r.damage > 0, rows[i].exists == 3);
		assert_int_equal(fx_teardown(state), 0);
	}
}

/* An index of another volume is not asked. */
static void
test_foreign_index(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	char other[300], cmd[1024];
	struct frame_info f;

	(void)state;
	fx_append_n(inbox, 3);
	volume_close(&fx_v);
	(void)snprintf(other, sizeof other, "%s.other", fx_dir);
	assert_int_equal(rename(fx_dir, other), 0);
	{
		struct err e = ERR_INIT;

		assert_int_equal(volume_create(fx_dir, &e), RC_OK);
	}
	fx_open();
	anna = fx_account("anna");
	fx_append_n(fx_box(anna, "INBOX"), 1);
	f = last_frame();
	crash();
	spoil(&f, FLIP_BODY);
	remove_index();
	(void)snprintf(cmd, sizeof cmd, "cp '%s/index.db' '%s/index.db'", other, fx_dir);
	assert_int_equal(system(cmd), 0);
	fx_open();
	assert_int_equal(fx_findings, 0);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 0);
	fx_remove(other);
}

/* ---- bodies ---- */

static struct slice
large_mail(struct buf *b)
{
	uint64_t x = 88172645463325252u;

	buf_init(b, 4u << 20);
	assert_true(buf_append_str(b, "Subject: large\r\n\r\n"));
	while (b->len < (1200u << 10)) {
		char line[78];

		for (size_t i = 0; i < 76; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			line[i] = (char)(0x80 | x % 127);
		}
		line[76] = '\r';
		line[77] = '\n';
		assert_true(buf_append(b, line, 78));
	}
	return buf_slice(b);
}

static uint64_t
bodies(void)
{
	struct log_stats st;

	log_get_stats(fx_v->log, &st);
	return st.bodies;
}

/* One body that a message names, one whose commit never came, and things that are no bodies. */
static void
make_bodies(mailbox_id inbox)
{
	struct ingested *m;
	struct buf mail;
	char name[400];
	FILE *f;

	(void)fx_append(inbox, large_mail(&mail), 0, "");
	m = fx_ingest(buf_slice(&mail));
	buf_fini(&mail);
	assert_int_equal(bodies(), 2);
	(void)snprintf(name, sizeof name, "%s/log/b-1-01.blob", fx_dir);
	f = fopen(name, "w");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	crash();
	ingested_unref(&m);
}

static void
test_orphan_body_goes(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct message_row *r;
	struct buf mail, back;
	struct err e = ERR_INIT;
	char name[400];
	size_t count;
	FILE *f;

	(void)state;
	make_bodies(inbox);
	/* A torn copy of the head is told, but hides no record. */
	(void)snprintf(name, sizeof name, "%s/head", fx_dir);
	f = fopen(name, "r+b");
	assert_non_null(f);
	assert_int_equal(fputc('?', f), '?');
	assert_int_equal(fclose(f), 0);
	fx_open();
	assert_int_equal(fx_findings, 1);
	assert_int_equal(bodies(), 1);
	(void)snprintf(name, sizeof name, "%s/log/b-1-01.blob", fx_dir);
	assert_int_equal(access(name, F_OK), 0);
	r = fx_rows(inbox, WANT_PLACE, &count);
	assert_int_equal(count, 1);
	buf_init(&back, 4u << 20);
	assert_int_equal(volume_read_blob(fx_v, &r[0].place, 0, UINT64_MAX, &back, &e), RC_OK);
	assert_true(slice_eq(buf_slice(&back), large_mail(&mail)));
	buf_fini(&back);
	buf_fini(&mail);
}

/* The index may be wrong: a body goes only if the log does not name it either. */
static void
test_index_does_not_decide(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct buf mail;

	(void)state;
	(void)fx_append(inbox, large_mail(&mail), 0, "");
	buf_fini(&mail);
	assert_int_equal(sqlite3_exec(db_handle(fx_v->db), "DELETE FROM blob", NULL, NULL, NULL),
	                 SQLITE_OK);
	fx_reopen();
	assert_int_equal(bodies(), 1);
	/* Even if it is damaged so that it cannot be asked at all. */
	assert_int_equal(sqlite3_exec(db_handle(fx_v->db),
	                              "DROP TABLE subscription; ALTER TABLE blob RENAME TO"
	                              " subscription",
	                              NULL, NULL, NULL),
	                 SQLITE_OK);
	fx_reopen();
	assert_int_equal(bodies(), 1);
}

/* The record that names a body may be what is damaged: then all stay, also at later starts
 * with that index. */
static void
test_damage_keeps_bodies(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct frame_info f;

	(void)state;
	f = last_frame();       /* that makes the account */
	make_bodies(inbox);
	spoil(&f, FLIP_BODY);
	remove_index();
	fx_open();
	assert_true(fx_findings > 0);
	assert_int_equal(bodies(), 2);
	fx_reopen();
	fx_reopen();
	assert_int_equal(bodies(), 2);
}

/* ---- what is known of damage ---- */

static void
segment_name(char *dst, size_t size, const struct frame_info *f, const char *end)
{
	(void)snprintf(dst, size, "%s/log/s-%llu-%u.seg%s", fx_dir, (unsigned long long)f->seg.seq,
	               f->seg.epoch, end);
}

static uint64_t
damage(void)
{
	struct volume_status st;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	return st.damage;
}

static account_id
find_account(const char *name)
{
	struct account_info a;
	struct err e = ERR_INIT;

	assert_int_equal(volume_find_account(fx_v, slice_str(name), &fx_arena, &a, &e), RC_OK);
	return a.id;
}

enum loss { LOSE, SHORTEN, SPOIL };

/* The segment's file is taken away, cut, or spoilt; and put back. */
static const struct {
	const char *name;
	enum loss   how;
	bool        at_open;            /* seen without reading the segment */
} losses[] = {
	{ "missing", LOSE,    true },
	{ "short",   SHORTEN, true },
	{ "spoilt",  SPOIL,   false },
};

static void
lose(const struct frame_info *f, enum loss how)
{
	char name[400], kept[400], cmd[1024];

	segment_name(name, sizeof name, f, "");
	segment_name(kept, sizeof kept, f, ".kept");
	assert_int_equal(rename(name, kept), 0);
	if (how == LOSE)
		return;
	(void)snprintf(cmd, sizeof cmd, "cp '%s' '%s'", kept, name);
	assert_int_equal(system(cmd), 0);
	spoil(f, how == SHORTEN ? CUT : FLIP_BODY);
}

static void
test_damage_is_known(void **state)
{
	for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
		char name[400], kept[400];
		struct frame_info f;
		account_id anna;

		assert_int_equal(fx_setup(state), 0);
		anna = fx_account("anna");
		f = last_frame();
		assert_false(volume_is_damaged(fx_v));
		assert_int_equal(damage(), 0);
		fx_reopen();
		(void)fx_account("ben");
		volume_close(&fx_v);
		lose(&f, losses[i].how);
		fx_findings = 0;
		fx_open();
		if (volume_is_damaged(fx_v) != losses[i].at_open ||
		    fx_findings != losses[i].at_open || damage() != losses[i].at_open)
			fail_msg("%s: %u findings at the open", losses[i].name, fx_findings);
		volume_close(&fx_v);
		/* An index of what is left: it knows that it is, at later starts too. */
		remove_index();
		for (int start = 0; start < 3; start++) {
			fx_findings = 0;
			fx_open();
			if (!volume_is_damaged(fx_v) || damage() != 1 || fx_findings != 1)
				fail_msg("%s: start %d: %u findings", losses[i].name, start,
				         fx_findings);
			volume_close(&fx_v);
			fx_open_as(VOLUME_READ);
			assert_true(volume_is_damaged(fx_v));
			volume_close(&fx_v);
		}
		/* What was lost comes back: so does the account. */
		segment_name(name, sizeof name, &f, "");
		segment_name(kept, sizeof kept, &f, ".kept");
		assert_int_equal(rename(kept, name), 0);
		fx_open();
		assert_false(volume_is_damaged(fx_v));
		assert_int_equal(damage(), 0);
		assert_int_equal(fx_mailbox(anna, "INBOX").exists, 0);
		assert_int_equal(fx_teardown(state), 0);
	}
}

static void
test_reindex_of_damage(void **state)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE };
	account_id anna = fx_account("anna");
	struct frame_info f = last_frame();
	struct reindex_result r;
	struct err e = ERR_INIT;
	char path[400];

	(void)state;
	fx_append_n(fx_box(anna, "INBOX"), 2);
	fx_reopen();
	(void)fx_account("ben");
	volume_close(&fx_v);
	lose(&f, LOSE);
	assert_int_equal(volume_reindex(&p, false, &r, &e), RC_CORRUPT);
	if (strstr(e.text, "lack accounts: 1, mailboxes: 6, messages: 2, contents of messages: 0 of the present one; "
	                   "restore the segment, or use --force") == NULL)
		fail_msg("%s", e.text);
	(void)snprintf(path, sizeof path, "%s/index.db.new", fx_dir);
	assert_int_not_equal(access(path, F_OK), 0);
	fx_open();
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 2);
	crash();        /* a WAL is there */
	assert_int_equal(volume_reindex(&p, true, &r, &e), RC_OK);
	assert_true(r.damage == 1 && strcmp(r.kept, "index.db.old") == 0);
	(void)snprintf(path, sizeof path, "%s/index.db.old", fx_dir);
	assert_int_equal(access(path, F_OK), 0);
	(void)snprintf(path, sizeof path, "%s/index.db.old-wal", fx_dir);
	assert_int_not_equal(access(path, F_OK), 0);
	fx_open();
	{
		struct mailbox_info m;

		assert_int_equal(volume_find_mailbox(fx_v, anna, SLICE("INBOX"), &fx_arena, &m, &e),
		                 RC_NOT_FOUND);
	}
	volume_close(&fx_v);
	/* Without an index there is nothing to lose. */
	remove_index();
	assert_int_equal(volume_reindex(&p, false, &r, &e), RC_OK);
	assert_true(r.damage == 1 && r.kept[0] == '\0');
	fx_open();
}

/* The account is known by a later record than the one that made its mailboxes: it gets an INBOX at
 * the start, once. */
static void
test_lost_inbox(void **state)
{
	account_id anna = fx_account("anna"), ben = fx_account("ben");
	mailbox_id bens = fx_box(ben, "INBOX"), made;
	struct volume_start start;
	struct frame_info f;
	struct change *c;
	size_t count;
	struct slice *subscribed;
	struct err e = ERR_INIT;

	(void)state;
	(void)fx_account("cara");
	f = last_frame();
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = anna;
	assert_int_equal(fx_run(c), RC_OK);
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = find_account("cara");
	assert_int_equal(fx_run(c), RC_OK);
	crash();
	fx_open();
	volume_get_start(fx_v, &start);
	assert_true(!start.clean && !start.rebuilt);
	volume_close(&fx_v);
	spoil(&f, FLIP_BODY);
	remove_index();
	fx_open();
	volume_get_start(fx_v, &start);
	assert_true(start.clean && start.rebuilt && start.replayed > 0);
	made = fx_box(find_account("cara"), "INBOX");
	assert_int_equal(fx_append(made, SLICE(TEST_MAIL), 0, ""), 1);
	assert_int_equal(volume_list_subscriptions(fx_v, find_account("cara"), &fx_arena,
	                                           &subscribed, &count, &e),
	                 RC_OK);
	assert_int_equal(count, 1);
	assert_int_equal(fx_box(ben, "INBOX"), bens);
	fx_reopen();
	assert_int_equal(fx_box(find_account("cara"), "INBOX"), made);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 0);
}

static int
keep_index(int dirfd, const char *path)
{
	if (strstr(path, "index.db") == NULL)
		return fs_posix.unlink(dirfd, path);
	errno = EACCES;
	return -1;
}

/* What is damaged is not trusted by the next start, though its name cannot be removed. */
static void
test_index_that_stays(void **state)
{
	static struct fs_ops keeping;
	struct volume_start start;
	mailbox_id box = fx_box(fx_account("anna"), "INBOX");

	(void)state;
	fx_append_n(box, 3);
	keeping = fs_posix;
	keeping.unlink = keep_index;
	fs = &keeping;
	atomic_store(&fx_v->suspect, true);
	volume_close(&fx_v);
	fs = &fs_posix;
	fx_open();
	volume_get_start(fx_v, &start);
	assert_true(start.rebuilt);
	assert_int_equal(fx_mailbox(find_account("anna"), "INBOX").exists, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_frame),
		cmocka_unit_test(test_damage_is_known),
		cmocka_unit_test_setup_teardown(test_lost_inbox, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_reindex_of_damage, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_index_that_stays, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_foreign_index, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_orphan_body_goes, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_index_does_not_decide, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_damage_keeps_bodies, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
