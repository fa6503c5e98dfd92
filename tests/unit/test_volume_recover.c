/* test_volume_recover - the commit fails after the append was durable: it has happened, and the
 * index catches up [design I1]. SQLite's commit hook makes the failure. */
#include "tests/unit/volume_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "index/volume_impl.h"
#include "store/log_impl.h"
#include "tests/unit/store_faults.h"

static atomic_int fail_commits;

static int
on_commit(void *arg)
{
	(void)arg;
	return atomic_fetch_sub(&fail_commits, 1) > 0;
}

/* The writer has nothing to do now: its connection may be touched. */
static void
arm(int commits)
{
	atomic_store(&fail_commits, commits);
	(void)sqlite3_commit_hook(db_handle(fx_v->db), on_commit, NULL);
}

static void
test_commit_fails(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct check_result r;
	struct change *c;
	struct err e = ERR_INIT;
	uint32_t epoch;
	struct volume_status st;

	(void)state;
	fx_append_n(inbox, 2);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	epoch = st.epoch;
	c = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	arm(1);
	assert_int_not_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_true(c->durable);
	change_free(&c);
	/* The next change comes after the recovery, and finds what has happened. */
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), 4);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 4);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_int_equal(st.epoch, epoch);      /* the log has not failed: no takeover */
	assert_false(st.stalled);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
	fx_reopen();
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 4);
}

/* A change that was ingested before the recovery may be committed after it. */
static void
test_ingested_outlives_recovery(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct change *late = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	struct change *c = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	size_t count;

	(void)state;
	arm(1);
	assert_int_not_equal(volume_submit_wait(fx_v, c), RC_OK);
	change_free(&c);
	assert_int_equal(fx_run(late), RC_OK);
	(void)fx_rows(inbox, 0, &count);
	assert_int_equal(count, 2);
}

/* From here on the log's backend fails on demand. The writer has nothing to do now. */
static void
make_log_faulty(void)
{
	fx_v->log->b->ops = faulty_backend();
}

static enum rc
create_until_done(account_id account)
{
	enum rc rc = RC_BUSY;

	for (int i = 0; rc != RC_OK && i < 500; i++) {
		(void)usleep(10000);
		rc = fx_name_change(CHANGE_MAILBOX_CREATE, account, "x", "");
	}
	return rc;
}

/* The log cannot be taken over for a while: changes are refused, mail is read, and
 * then it goes on. */
static void
test_recovery_takes_tries(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct volume_status st;
	struct message_row *rows;
	struct err e = ERR_INIT;
	struct change *c;
	uint32_t epoch;
	struct buf b;
	size_t count;

	(void)state;
	fx_append_n(inbox, 1);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	epoch = st.epoch;
	make_log_faulty();
	fault.reacquire_stuck = true;
	fault.append_dead = 1;
	c = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	assert_int_not_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_false(c->durable);
	change_free(&c);
	assert_int_not_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "x", ""), RC_OK);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_true(st.stalled);
	rows = fx_rows(inbox, WANT_PLACE | WANT_SUMMARY, &count);
	assert_int_equal(count, 1);
	buf_init(&b, 1u << 16);
	assert_int_equal(volume_read_blob(fx_v, &rows[0].place, 0, UINT64_MAX, &b, &e), RC_OK);
	assert_true(slice_eq(buf_slice(&b), SLICE(TEST_MAIL)));
	buf_fini(&b);
	fault.reacquire_stuck = false;
	assert_int_equal(create_until_done(anna), RC_OK);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_int_equal(st.epoch, epoch + 1);
	assert_false(st.stalled);
	/* The one that failed was written but not known synced: it is gone, and its UID was
	 * told to nobody. */
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), 2);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 2);
	fx_reopen();
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 2);
	assert_int_equal(fx_findings, 0);
}

/* A large message whose body was begun before a takeover of the log is finished and committed after
 * it, and stays. */
static void
test_ingest_outlives_takeover(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct buf mail, back;
	struct message_row *rows;
	struct ingested *m;
	struct ingest *in;
	struct change *c;
	struct err e = ERR_INIT;
	uint64_t x = 88172645463325252u;
	size_t count;

	(void)state;
	buf_init(&mail, 8u << 20);
	buf_init(&back, 8u << 20);
	assert_true(buf_append_str(&mail, "Subject: large\r\n\r\n"));
	while (mail.len < (3u << 20)) {
		char line[80];

		for (size_t i = 0; i < 76; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			line[i] = (char)(' ' + x % 90);
		}
		memcpy(line + 76, "\r\n", 2);
		assert_true(buf_append(&mail, line, 78));
	}
	assert_int_equal(ingest_new(fx_v, 0, &in, &e), RC_OK);
	assert_int_equal(ingest_feed(in, slice_sub(buf_slice(&mail), 0, 2u << 20), &e), RC_OK);
	make_log_faulty();
	fault.append_dead = 1;
	assert_int_not_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "y", ""), RC_OK);
	assert_int_equal(create_until_done(anna), RC_OK);
	assert_int_equal(ingest_feed(in, slice_sub(buf_slice(&mail), 2u << 20, mail.len), &e),
	                 RC_OK);
	assert_int_equal(ingest_finish(&in, &m, &e), RC_OK);
	c = fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "");
	ingested_unref(&c->u.append.messages[0].content);
	c->u.append.messages[0].content = m;
	assert_int_equal(fx_run(c), RC_OK);
	fx_reopen();
	rows = fx_rows(inbox, WANT_PLACE, &count);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].place.addr.seg.kind, SEG_BODY);
	assert_int_equal(volume_read_blob(fx_v, &rows[0].place, 0, UINT64_MAX, &back, &e), RC_OK);
	assert_true(slice_eq(buf_slice(&back), buf_slice(&mail)));
	buf_fini(&mail);
	buf_fini(&back);
}

/* The index has no room for another page. */
static void
fill_index(void)
{
	assert_int_equal(sqlite3_exec(db_handle(fx_v->db), "PRAGMA max_page_count=1", NULL, NULL,
	                              NULL),
	                 SQLITE_OK);
}

/* A full disk under the index before the append: nothing has happened, reading goes on, room
 * brings it back. */
static void
test_index_full_while_resolving(void **state)
{
	account_id anna = fx_account("anna");
	struct err e = ERR_INIT;
	struct volume_status before, after;
	char name[900];
	enum rc rc = RC_OK;
	bool durable = false;
	int made = 0;

	(void)state;
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	fill_index();
	while (rc == RC_OK && made < 1000) {
		struct change *c = fx_change(CHANGE_MAILBOX_CREATE);

		assert_int_equal(volume_get_status(fx_v, &before, &e), RC_OK);
		name[0] = (char)('a' + made % 26);
		name[1] = (char)('a' + made / 26 % 26);
		name[2] = (char)('a' + made / 676);
		made++;
		c->u.mailbox.account = anna;
		c->u.mailbox.name = slice_str(name);
		rc = volume_submit_wait(fx_v, c);
		durable = c->durable;
		e = c->err;
		change_free(&c);
	}
	assert_int_equal(rc, RC_IO);
	assert_int_equal(e.os, ENOSPC);
	assert_false(durable);
	assert_int_equal(volume_get_status(fx_v, &after, &e), RC_OK);
	assert_int_equal(after.last_lsn, before.last_lsn);
	assert_int_equal(after.mailboxes, before.mailboxes);
	assert_int_equal(sqlite3_exec(db_handle(fx_v->db), "PRAGMA max_page_count=1000000", NULL,
	                              NULL, NULL),
	                 SQLITE_OK);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "again", ""), RC_OK);
}

/* The same after the append, when the blob's row is inserted: it has happened. */
static void
test_index_full_after_append(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct buf mail;
	uint32_t delivered = 0;
	enum rc rc = RC_OK;

	(void)state;
	/* A long subject makes a long summary. */
	buf_init(&mail, 1u << 20);
	assert_true(buf_append_str(&mail, "Subject: "));
	for (int i = 0; i < 700; i++)
		assert_true(buf_append_str(&mail, "word "));
	assert_true(buf_append_str(&mail, "\r\n\r\n"));
	fill_index();
	while (rc == RC_OK && delivered < 1000) {
		struct change *c = fx_make_append(&inbox, 1, buf_slice(&mail), 0, "");

		rc = volume_submit_wait(fx_v, c);
		assert_true(rc == RC_OK || c->durable);
		change_free(&c);
		delivered++;
	}
	assert_int_equal(rc, RC_IO);
	/* the new connection has room */
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), delivered + 1);
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, delivered + 1);
	buf_fini(&mail);
}

/* Relaxed durability changes nothing but the syncs. */
static void
test_relaxed(void **state)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE,
	                           .relaxed = true };
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct volume_status before, after;
	struct err e = ERR_INIT;
	mail_modseq last = 0;

	(void)state;
	fx_append_n(inbox, 3);
	volume_close(&fx_v);
	assert_int_equal(volume_open(&p, &fx_v, &e), RC_OK);
	assert_int_equal(volume_get_status(fx_v, &before, &e), RC_OK);
	for (int i = 0; i < 20; i++)
		last = fx_store(inbox, 1, 3, i % 2 == 0 ? STORE_ADD : STORE_REMOVE, FLAG_SEEN, "");
	assert_int_equal(volume_get_status(fx_v, &after, &e), RC_OK);
	assert_true(after.syncs - before.syncs <= 5);
	assert_int_equal(fx_append(inbox, SLICE(TEST_MAIL), 0, ""), 4);
	assert_true(fx_store(inbox, 1, 1, STORE_ADD, FLAG_DRAFT, "") > last);
	volume_close(&fx_v);
	fx_open();
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, 4);
	assert_int_equal(fx_mailbox(anna, "INBOX").unseen, 4);
}

static atomic_int rebuilds;

static void
note_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	atomic_fetch_add(&rebuilds, strcmp(what, "rebuild") == 0);
}

/* What was answered unsynced survives the death of the log, with its MODSEQs, and the index is not
 * made anew for it. */
static void
test_relaxed_outlives_takeover(void **state)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE,
	                           .relaxed = true,
	                           .progress = note_progress };
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct check_result r;
	struct message_row *rows;
	struct err e = ERR_INIT;
	mail_modseq last = 0;
	size_t count;

	(void)state;
	fx_append_n(inbox, 3);
	volume_close(&fx_v);
	assert_int_equal(volume_open(&p, &fx_v, &e), RC_OK);
	fx_append_n(inbox, 1);
	for (int i = 0; i < 3; i++)
		last = fx_store(inbox, 2, 2, STORE_REPLACE, i % 2 == 0 ? FLAG_SEEN : FLAG_FLAGGED,
		                "");
	make_log_faulty();
	atomic_store(&rebuilds, 0);
	fault.append_dead = 1;
	assert_int_not_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "y", ""), RC_OK);
	assert_int_equal(create_until_done(anna), RC_OK);
	assert_int_equal(atomic_load(&rebuilds), 0);
	rows = fx_rows(inbox, 0, &count);
	assert_int_equal(count, 4);
	assert_int_equal(rows[1].flags, FLAG_SEEN);
	assert_int_equal(rows[1].modseq, last);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
	volume_close(&fx_v);
	fx_open();
	rows = fx_rows(inbox, 0, &count);
	assert_int_equal(rows[1].flags, FLAG_SEEN);
	assert_int_equal(rows[1].modseq, last);
}

static atomic_int told;

static void
count_told(void *arg, struct volume *v, mailbox_id mailbox, mail_modseq modseq)
{
	(void)v, (void)modseq;
	atomic_fetch_add(&told, mailbox == *(const mailbox_id *)arg);
}

/* Sessions that wait for news learn of what had happened when its commit failed. */
static void
test_recovery_notifies(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE,
	                           .notify = count_told,
	                           .notify_arg = &inbox };
	struct err e = ERR_INIT;

	(void)state;
	volume_close(&fx_v);
	assert_int_equal(volume_open(&p, &fx_v, &e), RC_OK);
	atomic_store(&told, 0);
	arm(1);
	assert_int_not_equal(fx_run(fx_make_append(&inbox, 1, SLICE(TEST_MAIL), 0, "")), RC_OK);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "x", ""), RC_OK);
	assert_int_equal(atomic_load(&told), 1);
	volume_close(&fx_v);
	fx_open();
}

/* Numbers that SQLite reads without complaint but no mailbox or message has: they do not get into
 * the log, and the index is made anew. */
static void
test_impossible_rows(void **state)
{
	static const char *const damage[] = {
		"UPDATE mailbox SET uidnext=0",
		"UPDATE mailbox SET uidnext=-1",
		"UPDATE mailbox SET highestmodseq=-5",
		"UPDATE mailbox SET highestmodseq=9223372036854775807",
		"UPDATE message SET uid=0 WHERE uid=1",
		"UPDATE message SET uid=4294967296 WHERE uid=3",
	};
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct check_result r;
	struct err e = ERR_INIT;

	(void)state;
	fx_append_n(inbox, 3);
	for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
		struct change *c = fx_make_store(inbox, 1, UINT32_MAX, STORE_ADD, 1u << i, "");
		struct uid_set view;
		mail_modseq modseq;
		size_t count;

		fx_reopen();
		assert_int_equal(sqlite3_exec(db_handle(fx_v->db), damage[i], NULL, NULL, NULL),
		                 SQLITE_OK);
		uid_set_init(&view, 100);
		(void)!volume_read_view(fx_v, inbox, 4, 1, &view, &e);
		uid_set_fini(&view);
		if (i == 4)     /* what a broken tree may show although the query says from 1 on */
			assert_int_equal(uid_set_add(&c->u.store.uids, 1, 1), true);
		(void)fx_run(c);
		modseq = fx_store(inbox, 1, UINT32_MAX, STORE_ADD, 1u << (i + 6), "");
		assert_int_equal(fx_mailbox(anna, "INBOX").highestmodseq, modseq);
		volume_close(&fx_v);
		assert_int_equal(unlink(strcat(strcpy((char[300]){ 0 }, fx_dir), "/index.db")), 0);
		fx_open();
		(void)fx_rows(inbox, 0, &count);
		assert_int_equal(count, 3);
		assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
		assert_int_equal(r.damage + r.differences, 0);
	}
	assert_int_equal(fx_findings, 0);
}

static atomic_bool readers_stop;

static void *
read_all_the_time(void *arg)
{
	const struct message_row *row = arg;
	struct volume_status st;
	struct err e = ERR_INIT;
	struct ingested *m;
	struct ingest *in;
	uintptr_t bad = 0;
	struct buf b;

	buf_init(&b, 1u << 16);
	while (!atomic_load(&readers_stop)) {
		buf_reset(&b);
		bad += volume_read_blob(fx_v, &row->place, 0, UINT64_MAX, &b, &e) != RC_OK;
		bad += !slice_eq(buf_slice(&b), SLICE(TEST_MAIL));
		bad += volume_get_status(fx_v, &st, &e) != RC_OK;
		if (ingest_new(fx_v, 0, &in, &e) == RC_OK &&
		    ingest_feed(in, SLICE(TEST_MAIL), &e) == RC_OK &&
		    ingest_finish(&in, &m, &e) == RC_OK)
			ingested_unref(&m);
		else
			bad++;
	}
	buf_fini(&b);
	return (void *)bad;
}

/* Readers and messages on their way in do not notice that the log is taken over. */
static void
test_readers_during_takeovers(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct message_row *rows;
	pthread_t threads[2];
	size_t count;
	void *bad;

	(void)state;
	fx_append_n(inbox, 1);
	rows = fx_rows(inbox, WANT_PLACE, &count);
	make_log_faulty();
	atomic_store(&readers_stop, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_all_the_time, &rows[0]), 0);
	for (int i = 0; i < 5; i++) {
		fault.append_dead = 1;
		assert_int_not_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "y", ""), RC_OK);
		assert_int_equal(create_until_done(anna), RC_OK);
		assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna, "x", ""), RC_OK);
	}
	atomic_store(&readers_stop, true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
}

/* A batch of refused changes writes nothing. */
static void
test_refused_writes_nothing(void **state)
{
	account_id anna = fx_account("anna");
	struct volume_status before, after;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(volume_get_status(fx_v, &before, &e), RC_OK);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, anna, "INBOX", ""), RC_DENIED);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_RENAME, anna, "Sent", "x//y"), RC_DENIED);
	assert_int_equal(volume_get_status(fx_v, &after, &e), RC_OK);
	assert_int_equal(after.last_lsn, before.last_lsn);
	assert_int_equal(after.log_bytes, before.log_bytes);
	assert_int_equal(after.applied_lsn, before.applied_lsn);
}

/* ---- what was read of an index that has gone on ---- */

#define SMALL_CHANGES 8u        /* in one batch, */
#define SMALL_MAILS   250u      /* each of so many: more records than one transaction of a replay */

static mailbox_id  partly_box;
static mail_uid    purged_uid;
static atomic_bool writer_held, writer_free_again, kept_columns, kept_place, was_purged;
static atomic_uint unanswered;

static enum rc
hold_writer(void *arg, struct err *e)
{
	(void)arg, (void)e;
	atomic_store(&writer_held, true);
	while (!atomic_load(&writer_free_again))
		(void)usleep(1000);
	return RC_OK;
}

static void *
hold(void *arg)
{
	struct err e = ERR_INIT;

	(void)arg;
	if (writer_run(fx_v->writer, hold_writer, NULL, &e) != RC_OK)
		abort();
	return NULL;
}

/* Of one frame; its summaries do not pack well. */
static struct change *
make_many(uint64_t *x)
{
	struct change *c = fx_change(CHANGE_APPEND);
	struct append_message *m = arena_array(&c->arena, SMALL_MAILS, sizeof *m);
	struct buf mail;

	buf_init(&mail, 4096);
	assert_true(buf_append_str(&mail, "Subject: "));
	for (int i = 0; i < 900; i++) {
		*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
		assert_true(buf_append_byte(&mail, (uint8_t)(i % 60 == 59 ? ' ' : '0' + *x % 75)));
	}
	assert_true(buf_append_str(&mail, "\r\n\r\n"));
	memset(m, 0, SMALL_MAILS * sizeof *m);
	for (uint32_t i = 0; i < SMALL_MAILS; i++) {
		m[i].content = fx_ingest(buf_slice(&mail));
		m[i].targets = arena_array(&c->arena, 1, sizeof *m[i].targets);
		m[i].targets[0] = (struct append_target){ .mailbox = partly_box };
		m[i].target_count = 1;
	}
	c->u.append.messages = m;
	c->u.append.message_count = SMALL_MAILS;
	buf_fini(&mail);
	return c;
}

static int64_t
pragma(const char *sql)
{
	sqlite3_stmt *q;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db_handle(fx_v->db), sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int64(q, 0);
	assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
	return n;
}

/* The writer's thread: nothing was tried again yet. */
static void
look_when_answered(struct change *c, void *arg)
{
	struct columns *kept = columns_take(fx_v, partly_box, COLUMNS_KEPT);
	struct message_row row, *rows;
	struct uid_range range = { purged_uid, purged_uid };
	const struct uid_set one = { .ranges = &range, .count = 1 };
	struct arena a;
	struct err e = ERR_INIT;
	size_t n = 1;

	(void)arg;
	arena_init(&a, 1u << 20);
	if (c->kind == CHANGE_PURGE) {
		atomic_store(&kept_columns, kept != NULL);
		atomic_store(&kept_place, place_cache_get(fx_v, partly_box, purged_uid, &a, &row));
		atomic_store(&was_purged,
		    c->rc != RC_OK && c->durable &&
		    volume_read_messages(fx_v, partly_box, &one, 1, 1, WANT_PLACE | WANT_EXPUNGED, &a,
		                         &rows, &n, &e) == RC_OK && n == 0);
	}
	columns_give(fx_v, &kept);
	arena_fini(&a);
	atomic_fetch_sub(&unanswered, 1);
}

static void
submit(struct change *c)
{
	c->done = look_when_answered;
	volume_submit(fx_v, c);
}

/* A secret that was searched and read, and is expunged. Returns what purges it. */
static struct change *
make_purge(void)
{
	mail_uid uid = fx_append(partly_box, SLICE("Subject: secret\r\n\r\nx\r\n"), 0, "");
	struct uid_range range = { uid, uid };
	const struct uid_set one = { .ranges = &range, .count = 1 };
	struct change *c = fx_change(CHANGE_PURGE);
	struct columns *columns;
	struct message_row *rows, row;
	struct err e = ERR_INIT;
	bool done = false;
	size_t n;

	purged_uid = uid;
	assert_int_equal(volume_read_messages(fx_v, partly_box, &one, 1, 1, WANT_PLACE | WANT_SUMMARY,
	                                      &fx_arena, &rows, &n, &e), RC_OK);
	c->u.purge.blob = rows[0].blob;
	c->u.purge.reason = SLICE("");
	columns = columns_take(fx_v, partly_box, COLUMNS_ANEW);
	while (!done)
		assert_int_equal(columns_refresh(fx_v, columns, &done, &e), RC_OK);
	columns_learn(fx_v, columns, purged_uid, SLICE("secret"));
	columns_give(fx_v, &columns);
	(void)fx_expunge(partly_box, purged_uid, purged_uid);
	assert_true(place_cache_get(fx_v, partly_box, purged_uid, &fx_arena, &row));
	return c;
}

/* The index catches up with a part of the log, and then its disk is full: what was purged in that part is served from
 * nowhere. */
static void
test_caught_up_partly(void **state)
{
	account_id anna = fx_account("anna");
	struct change *purge, *many[SMALL_CHANGES];
	uint64_t x = 88172645463325252u;
	char limit[64];
	pthread_t holder;
	int64_t pages;

	(void)state;
	partly_box = fx_box(anna, "INBOX");
	pages = pragma("PRAGMA page_count");
	assert_int_equal(fx_run(make_many(&x)), RC_OK);
	pages = pragma("PRAGMA page_count") - pages;
	purge = make_purge();
	for (uint32_t i = 0; i < SMALL_CHANGES; i++)
		many[i] = make_many(&x);
	(void)snprintf(limit, sizeof limit, "PRAGMA max_page_count=%lld",
	               (long long)(pragma("PRAGMA page_count") + pages * 13 / 2));
	(void)pragma(limit);
	assert_int_equal(pthread_create(&holder, NULL, hold, NULL), 0);
	while (!atomic_load(&writer_held))
		(void)usleep(1000);
	unanswered = SMALL_CHANGES + 1;
	submit(purge);
	for (uint32_t i = 0; i < SMALL_CHANGES; i++)
		submit(many[i]);
	atomic_store(&writer_free_again, true);
	(void)pthread_join(holder, NULL);
	while (atomic_load(&unanswered) > 0)
		(void)usleep(1000);
	change_free(&purge);
	for (uint32_t i = 0; i < SMALL_CHANGES; i++)
		change_free(&many[i]);
	assert_true(was_purged);
	assert_false(kept_columns);
	assert_false(kept_place);
	(void)fx_append(partly_box, SLICE(TEST_MAIL), 0, "");
	assert_int_equal(fx_mailbox(anna, "INBOX").exists, SMALL_MAILS * (SMALL_CHANGES + 1) + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commit_fails, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_ingested_outlives_recovery, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_recovery_takes_tries, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_ingest_outlives_takeover, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_index_full_while_resolving, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_index_full_after_append, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_relaxed, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_relaxed_outlives_takeover, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_recovery_notifies, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_impossible_rows, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_readers_during_takeovers, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_refused_writes_nothing, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_caught_up_partly, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
