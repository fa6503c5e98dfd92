/* test_index - applying records in orders that only a compacted or damaged log has, and the tidying
 * at a rebuild's end. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "index/volume_impl.h"
#include "lib/mime.h"

static struct db    *db;
static struct apply  ap;
static struct volume volume;    /* only its report is looked at */
static unsigned      findings;
static char          told[200];         /* the last */

static void
found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
      const char *what)
{
	(void)arg, (void)offset, (void)len, (void)last;
	assert_int_equal(seg.seq + seg.epoch + first, 0);       /* no place in the log */
	(void)snprintf(told, sizeof told, "%s", what);
	findings++;
}

static int
setup(void **state)
{
	struct index_meta m = { .schema = SCHEMA_VERSION };
	struct err e = ERR_INIT;

	(void)state;
	findings = 0;
	volume.p.report.found = found;
	assert_int_equal(db_open("", DB_TEMP, NULL, &db, &e), RC_OK);
	assert_int_equal(schema_create(db, &e), RC_OK);
	assert_int_equal(schema_verify(db, &e), RC_CORRUPT);
	assert_int_equal(schema_finish(db, &e), RC_OK);
	assert_int_equal(schema_verify(db, &e), RC_OK);
	assert_int_equal(apply_init(&ap, db, &e), RC_NOT_FOUND);
	apply_fini(&ap);
	assert_int_equal(schema_write_meta(db, &m, &e), RC_OK);
	assert_int_equal(apply_init(&ap, db, &e), RC_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	apply_fini(&ap);
	db_close(&db);
	return 0;
}

static enum rc
apply(log_lsn lsn, struct record r)
{
	struct log_addr none = { { 0, 0, 0 }, 0, 0 };
	struct err e = ERR_INIT;

	r.lsn = lsn;
	return apply_record(&ap, &r, &none, &e);
}

static struct record
account(account_id id, const char *name)
{
	return (struct record){ RECORD_ACCOUNT, 0,
	                        { .account = { .id = id, .name = slice_str(name) } } };
}

static struct record
mailbox(mailbox_id id, account_id owner, const char *name)
{
	struct record r = { .type = RECORD_MAILBOX };

	r.u.mailbox = (struct record_mailbox){ .id = id, .account = owner, .name = slice_str(name),
	                                       .uidvalidity = 9,
	                                       .uidnext = 1, .highestmodseq = 1 };
	return r;
}

static struct record
blob(uint64_t size)
{
	return (struct record){ RECORD_BLOB, 0, { .blob = { .size = size } } };
}

static const struct record_message one = { .blob = 3, .flags = FLAG_DELETED,
                                           .keywords = SLICE_INIT("Red"), .threadid = 3 };

static struct record
messages(mailbox_id id, mail_uid uid, const struct record_message *m)
{
	struct record r = { .type = RECORD_MESSAGES };

	r.u.messages = (struct record_messages){ id, 100 + uid, uid, m, 1, NULL, 0 };
	return r;
}

static uint64_t
number(const char *sql)
{
	sqlite3_stmt *q;
	uint64_t n;

	assert_int_equal(sqlite3_prepare_v2(db_handle(db), sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = db_u64(q, 0);
	(void)sqlite3_finalize(q);
	return n;
}

static void
test_older_records_are_skipped(void **state)
{
	(void)state;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "INBOX")), RC_OK);
	assert_int_equal(apply(3, blob(50)), RC_OK);
	assert_int_equal(apply(4, messages(2, 1, &one)), RC_OK);
	assert_int_equal(apply(4, messages(2, 2, &one)), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "old")), RC_OK);
	assert_int_equal(ap.meta.applied, 4);
	assert_int_equal(number("SELECT exists_ FROM mailbox"), 1);
	assert_int_equal(number("SELECT name = X'494e424f58' FROM mailbox"), 1);
	assert_int_equal(number("SELECT used_bytes FROM account"), 50);
}

/* Compaction dropped the older mailbox record: its messages come first. */
static void
test_messages_before_their_mailbox(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(3, blob(50)), RC_OK);
	assert_int_equal(apply(4, messages(2, 7, &one)), RC_OK);
	assert_int_equal(number("SELECT used_bytes FROM account"), 0);
	assert_int_equal(apply(9, mailbox(2, 1, "INBOX")), RC_OK);
	assert_int_equal(number("SELECT used_bytes FROM account"), 50);
	assert_int_equal(number("SELECT uidnext FROM mailbox"), 8);
	assert_int_equal(number("SELECT highestmodseq FROM mailbox"), 107);
	assert_int_equal(number("SELECT deleted FROM mailbox"), 1);
	assert_int_equal(number("SELECT unseen FROM mailbox"), 1);
	assert_int_equal(number("SELECT count(*) FROM thread WHERE account=1 AND thread=3"), 1);
	assert_int_equal(index_tidy(&volume, db, &ap.meta, &e), RC_OK);
	assert_int_equal(findings, 0);
	assert_int_equal(number("SELECT count(*) FROM message"), 1);
}

/* Records of the first releases say no thread: they get the one that their bytes,
 * coming again, get. */
static void
test_messages_older_than_threads(void **state)
{
	struct record_message old = one;
	struct err e = ERR_INIT;
	uint64_t thread, made;

	(void)state;
	old.threadid = 0;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "INBOX")), RC_OK);
	assert_int_equal(apply(3, blob(50)), RC_OK);
	assert_int_equal(apply(4, messages(2, 1, &old)), RC_OK);
	made = number("SELECT threadid FROM message");
	assert_true(made != 0 && made != 3);
	assert_int_equal(number("SELECT count(*) FROM thread JOIN message ON thread=threadid WHERE "
	                        "account=1 AND own"),
	                 1);
	assert_int_equal(apply(5, blob(50)), RC_OK);
	assert_int_equal(apply_find_thread(&ap, 1, 5, &thread, &e), RC_OK);
	assert_true(thread == made);
	old.blob = 5;
	assert_int_equal(apply(6, messages(2, 2, &old)), RC_OK);
	assert_int_equal(number("SELECT count(DISTINCT threadid) FROM message"), 1);
}

/* Without an account nobody is told of the thread, with it somebody is. */
static void
test_stub_older_than_threads(void **state)
{
	struct record_message old = one;

	(void)state;
	old.threadid = 0;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(3, blob(50)), RC_OK);
	assert_int_equal(apply(4, messages(2, 1, &old)), RC_OK);
	assert_int_equal(number("SELECT threadid <> 0 FROM message"), 1);
	assert_int_equal(number("SELECT count(*) FROM thread"), 0);
	assert_int_equal(apply(9, mailbox(2, 1, "INBOX")), RC_OK);
	assert_int_equal(number("SELECT count(*) FROM thread JOIN message ON thread=threadid WHERE "
	                        "account=1 AND own"),
	                 1);
}

/* Of a message whose bytes are lost nobody knows what it referred to. */
static void
test_lost_and_older_than_threads(void **state)
{
	struct record_message old = one;

	(void)state;
	old.threadid = 0;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "INBOX")), RC_OK);
	assert_int_equal(apply(4, messages(2, 1, &old)), RC_OK);
	assert_int_equal(number("SELECT threadid FROM message"), 0);
}

/* Its mailbox never comes: dropped and told. */
static void
test_messages_without_mailbox(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(4, messages(2, 7, &one)), RC_OK);
	assert_int_equal(index_tidy(&volume, db, &ap.meta, &e), RC_OK);
	assert_int_equal(findings, 1);
	assert_string_equal(told, "mailbox 0.2 \"\" of account 0.0: no such account, dropped");
	assert_int_equal(number("SELECT count(*) FROM mailbox"), 0);
	assert_int_equal(number("SELECT count(*) FROM message"), 0);
	assert_int_equal(number("SELECT count(*) FROM mailbox_keyword"), 0);
}

/* Two mailboxes may have one name on the way; at the end the older one gives way. */
static void
test_names_that_clash(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "x")), RC_OK);
	assert_int_equal(apply(3, mailbox(3, 1, "x")), RC_OK);
	assert_int_equal(index_tidy(&volume, db, &ap.meta, &e), RC_OK);
	assert_int_equal(findings, 1);
	assert_string_equal(told, "mailbox 0.2 \"x\" of account 0.1 a: a newer one has this name, "
	                          "renamed");
	assert_int_equal(number("SELECT id FROM mailbox WHERE name = X'78'"), 3);
	assert_int_equal(number("SELECT id FROM mailbox WHERE name = CAST('x 9' AS BLOB)"), 2);
}

/* A blob that is lost: the message stays, without size. Its blob's row may be there and the
 * counters wrong: counted anew. */
static void
test_lost_blob_and_wrong_counters(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "INBOX")), RC_OK);
	assert_int_equal(apply(4, messages(2, 1, &one)), RC_OK);
	assert_int_equal(number("SELECT size FROM mailbox"), 0);
	assert_int_equal(db_exec(db, "UPDATE mailbox SET exists_=9, unseen=9, deleted=9, size=9;"
	                         "UPDATE account SET used_bytes=9, used_messages=9", &e), RC_OK);
	assert_int_equal(index_tidy(&volume, db, &ap.meta, &e), RC_OK);
	assert_int_equal(number("SELECT exists_ + 10 * unseen + 100 * deleted + 1000 * size FROM "
	                        "mailbox"),
	                 111);
	assert_int_equal(number("SELECT used_bytes * 10 + used_messages FROM account"), 1);
}

/* Of messages that compaction dropped the log says only that they are gone. */
static void
test_expunged_without_their_messages(void **state)
{
	static const struct uid_range gone[] = { { 2, 2 }, { 7, 9 } };
	static const struct uid_range huge[] = { { 5, UINT32_MAX } };
	struct record r = { .type = RECORD_EXPUNGE, .u.expunge = { 2, 500, gone, 2 } };

	(void)state;
	ap.time_us = 77000000;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "INBOX")), RC_OK);
	assert_int_equal(apply(4, messages(2, 8, &one)), RC_OK);
	assert_int_equal(apply(5, r), RC_OK);
	assert_int_equal(ap.meta.expunged, 4);
	assert_int_equal(number("SELECT count(*) FROM expunged WHERE modseq = 500"), 4);
	assert_int_equal(number("SELECT count(*) FROM expunge_run WHERE modseq = 500 AND at = 77"),
	                 2);
	assert_int_equal(number("SELECT count(*) FROM expunged WHERE blob = 0"), 3);
	assert_int_equal(number("SELECT blob FROM expunged WHERE uid = 8"), 3);
	assert_int_equal(number("SELECT uidnext * 1000 + highestmodseq FROM mailbox"), 10500);
	assert_int_equal(number("SELECT exists_ FROM mailbox"), 0);
	r.u.expunge.uids = huge;
	r.u.expunge.range_count = 1;
	assert_int_equal(apply(6, r), RC_SYNTAX);
}

/* ---- many messages of one record ---- */

#define MANY 40u

static struct record
many(mailbox_id id, mail_uid first, struct record_message m[MANY])
{
	static const char *const words[] = { "", "", "Blue", "Red", "" };
	struct record r = messages(id, first, m);

	for (uint32_t i = 0; i < MANY; i++)
		m[i] = (struct record_message){
			.blob = 3, .flags = i % 16, .keywords = slice_str(words[i / 2 % 5]),
			.internaldate = { 1000 + i, (int16_t)(i % 3 * 60 - 60) },
			.savedate = { -5, -30 }, .threadid = 70 + i, .size = 1000 + i,
		};
	r.u.messages.count = MANY;
	r.u.messages.modseq = 900;
	return r;
}

#define ALL_BUT_MAILBOX "uid, modseq, flags, kw, blob, internaldate, zone, savedate, savezone, threadid, size"
#define COUNTERS "exists_, unseen, deleted, size, deleted_size, uidnext, highestmodseq"

/* Mailboxes 2 and 5 have the same messages and the same counters. */
static void
assert_equal_mailboxes(void)
{
	assert_int_equal(number("SELECT count(*) FROM (SELECT " ALL_BUT_MAILBOX " FROM message WHERE"
	                        " mailbox=2 EXCEPT SELECT " ALL_BUT_MAILBOX " FROM message WHERE mailbox=5)"), 0);
	assert_int_equal(number("SELECT count(*) FROM message WHERE mailbox=2"),
	                 number("SELECT count(*) FROM message WHERE mailbox=5"));
	assert_int_equal(number("SELECT count(*) FROM (SELECT DISTINCT " COUNTERS " FROM mailbox)"), 1);
}

static void
begin_many(void)
{
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "INBOX")), RC_OK);
	assert_int_equal(apply(3, blob(50)), RC_OK);
	assert_int_equal(apply(5, mailbox(5, 1, "Other")), RC_OK);
}

/* By one statement or one by one, the rows are the same. */
static void
test_many_at_once(void **state)
{
	struct record_message m[MANY];
	struct record all = many(2, 1, m);

	(void)state;
	begin_many();
	assert_int_equal(apply(6, all), RC_OK);
	for (uint32_t i = 0; i < MANY; i++) {
		struct record r = messages(5, 1 + i, &m[i]);

		r.u.messages.modseq = 900;
		assert_int_equal(apply(7 + i, r), RC_OK);
	}
	assert_int_equal(number("SELECT exists_ FROM mailbox WHERE id=2"), MANY);
	assert_int_equal(number("SELECT count(*) FROM mailbox_keyword WHERE mailbox=2"), 2);
	assert_equal_mailboxes();
}

/* One of them is there already: it stays and is not counted twice. */
static void
test_many_beside_one(void **state)
{
	struct record_message m[MANY];
	struct record all = many(2, 1, m);

	(void)state;
	begin_many();
	assert_int_equal(apply(6, messages(2, 9, &one)), RC_OK);
	assert_int_equal(apply(7, all), RC_OK);
	assert_int_equal(number("SELECT exists_ FROM mailbox WHERE id=2"), MANY);
	assert_int_equal(number("SELECT modseq FROM message WHERE mailbox=2 AND uid=9"), 109);
	assert_int_equal(number("SELECT m.size = (SELECT sum(size) FROM message WHERE mailbox=2)"
	                        " FROM mailbox m WHERE id=2"), 1);
}

#define WORDY 1000u

/* Many sets of keywords, each as long as can be, one after the other. */
static void
test_many_with_many_keywords(void **state)
{
	static struct record_message m[WORDY];
	static char words[2][3801];
	struct record r = messages(2, 1, m);

	(void)state;
	begin_many();
	for (unsigned i = 0; i < 100; i++)
		for (unsigned k = 0; k < 2; k++)
			(void)snprintf(words[k] + 38 * i, 39, "%c%036u%s", 'a' + (char)k, i, i < 99 ? " " : "");
	for (uint32_t i = 0; i < WORDY; i++)
		m[i] = (struct record_message){ .blob = 3, .keywords = slice_str(words[i % 2]), .threadid = 70,
		                                .size = 1000 };
	r.u.messages.count = WORDY;
	assert_int_equal(apply(6, r), RC_OK);
	assert_int_equal(number("SELECT exists_ FROM mailbox WHERE id=2"), WORDY);
	assert_int_equal(number("SELECT count(DISTINCT kw) FROM message"), 2);
}

/* Of all that a mailbox has, or of a part, with UIDs that it never had. */
static void
expunge_ranges(const struct uid_range *gone, uint32_t count)
{
	struct record r = { .type = RECORD_EXPUNGE, .u.expunge = { 2, 990, gone, count } };
	struct record_message m[MANY];

	begin_many();
	assert_int_equal(apply(6, many(2, 11, m)), RC_OK);
	assert_int_equal(apply(7, r), RC_OK);
	assert_int_equal(number("SELECT exists_ = (SELECT count(*) FROM message) AND unseen ="
	                        " (SELECT count(*) FROM message WHERE flags & 8 = 0) AND deleted ="
	                        " (SELECT count(*) FROM message WHERE flags & 4) AND size ="
	                        " (SELECT total(size) FROM message) AND deleted_size ="
	                        " (SELECT total(size) FROM message WHERE flags & 4)"
	                        " FROM mailbox WHERE id=2"), 1);
}

static void
expunge_many(mail_uid first, mail_uid last)
{
	const struct uid_range gone[] = { { first, last } };

	expunge_ranges(gone, 1);
	assert_int_equal(number("SELECT count(*) FROM expunged"), last - first + 1);
}

static void
test_expunge_all_in_ranges(void **state)
{
	static const struct uid_range two[] = { { 11, 12 }, { 13, 50 } };

	(void)state;
	expunge_ranges(two, 2);
	assert_int_equal(number("SELECT exists_ FROM mailbox WHERE id=2"), 0);
}

static void
test_expunge_all_of_many(void **state)
{
	(void)state;
	expunge_many(11, 11 + MANY - 1);
}

static void
test_expunge_all_but_the_first(void **state)
{
	(void)state;
	expunge_many(12, 11 + MANY + 3);
}

static void
test_expunge_all_but_the_last(void **state)
{
	(void)state;
	expunge_many(2, 11 + MANY - 2);
}

static enum rc
expunge(log_lsn lsn, mail_modseq modseq, mail_uid first, mail_uid last)
{
	const struct uid_range gone[] = { { first, last } };
	struct record r = { .type = RECORD_EXPUNGE, .u.expunge = { 2, modseq, gone, 1 } };

	return apply(lsn, r);
}

/* The runs have each UID that has a tombstone, and no other, with its MODSEQ. */
static void
assert_runs(uint64_t count)
{
	assert_int_equal(number("SELECT count(*) FROM expunge_run"), count);
	assert_int_equal(number("SELECT coalesce(sum(last - first + 1), 0) FROM expunge_run"),
	                 ap.meta.expunged);
	assert_int_equal(number("SELECT count(*) FROM expunged x JOIN expunge_run g ON"
	                        " g.mailbox = x.mailbox AND g.modseq = x.modseq"
	                        " AND x.uid BETWEEN g.first AND g.last"),
	                 ap.meta.expunged);
}

static void
test_expunged_again_keeps_its_tombstone(void **state)
{
	(void)state;
	begin_many();
	assert_int_equal(expunge(6, 1000, 20, 22), RC_OK);
	assert_int_equal(expunge(7, 1001, 30, 30), RC_OK);
	assert_int_equal(expunge(8, 1002, 19, 32), RC_OK);
	assert_runs(5);
	assert_int_equal(number("SELECT sum(uid) FROM expunged WHERE modseq = 1000"), 63);
	assert_int_equal(expunge(9, 1003, 20, 30), RC_OK);
	assert_runs(5);
	assert_int_equal(expunge(10, 1004, UINT32_MAX - 1, UINT32_MAX - 1), RC_OK);
	assert_runs(6);
}

static void
test_runs_go_with_floor_and_mailbox(void **state)
{
	struct record r = mailbox(2, 1, "INBOX");

	(void)state;
	begin_many();
	assert_int_equal(expunge(6, 1000, 30, 39), RC_OK);
	assert_int_equal(expunge(7, 1001, 20, 25), RC_OK);
	assert_int_equal(expunge(8, 1002, 26, 29), RC_OK);
	r.u.mailbox.expunge_floor = 1001;
	assert_int_equal(apply(9, r), RC_OK);
	assert_runs(1);
	assert_int_equal(ap.meta.expunged, 4);
	assert_int_equal(number("SELECT min(uid) FROM expunged"), 26);
	r.u.mailbox.deleted = true;
	assert_int_equal(apply(10, r), RC_OK);
	assert_runs(0);
}

/* A rebuild meets floors before and after what they are about. */
static void
test_tidy_drops_runs(void **state)
{
	struct record r = mailbox(2, 1, "INBOX");
	struct err e = ERR_INIT;

	(void)state;
	begin_many();
	ap.bulk = true;
	r.u.mailbox.expunge_floor = 1000;
	assert_int_equal(apply(6, r), RC_OK);
	assert_int_equal(expunge(7, 1000, 30, 39), RC_OK);
	assert_int_equal(expunge(8, 1001, 20, 25), RC_OK);
	assert_int_equal(db_exec(db, "INSERT INTO expunge_run VALUES(99, 5, 1, 2, 0)", &e), RC_OK);
	assert_int_equal(index_tidy(&volume, db, &ap.meta, &e), RC_OK);
	assert_runs(1);
	assert_int_equal(ap.meta.expunged, 6);
}

/* Records that none of ours would be: named, skipped by a replay. */
static void
test_nonsense_is_refused(void **state)
{
	struct record_message bad = { .blob = 3, .keywords = SLICE_INIT("a(b") };
	struct record r = messages(2, 0, &one);

	(void)state;
	assert_int_equal(apply(1, account(1, "")), RC_SYNTAX);
	assert_int_equal(apply(1, account(1, "\xff")), RC_SYNTAX);
	assert_int_equal(apply(2, r), RC_SYNTAX);
	r = messages(2, UINT32_MAX, &one);
	assert_int_equal(apply(2, r), RC_SYNTAX);
	assert_int_equal(apply(2, messages(2, 1, &bad)), RC_SYNTAX);
	r.type = (enum record_type)77;
	assert_int_equal(apply(2, r), RC_SYNTAX);
	assert_int_equal(ap.meta.applied, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- records that are older than threads ---- */

/* A message with this Message-ID, which refers to these; `lsn` is its blob's id too. */
static void
tell_summary(log_lsn lsn, struct record r, const char *id, const char *refs)
{
	const struct mime_part whole = { .next = 1, .kind = MIME_TEXT, .flags = MIME_PART_ROOT };
	const struct mime_summary summary = { .version = MIME_PARSER_VERSION, .parts = &whole,
	                                      .nparts = 1,
		                              .keys = { .message_id = slice_str(id),
		                                        .refs = slice_str(refs) } };
	struct buf text;

	buf_init(&text, 1u << 16);
	assert_true(mime_summary_encode(&summary, &text));
	if (r.type == RECORD_BLOB)
		r.u.blob.summary = buf_slice(&text);
	else
		r.u.summary.summary = buf_slice(&text);
	assert_int_equal(apply(lsn, r), RC_OK);
	buf_fini(&text);
}

static void
letter(log_lsn lsn, const char *id, const char *refs)
{
	tell_summary(lsn, blob(10), id, refs);
}

/* It is put into the mailbox, by a record that says nothing of threads. */
static void
old_letter(log_lsn lsn, mail_uid uid, const char *id, const char *refs)
{
	const struct record_message m = { .blob = lsn };

	letter(lsn, id, refs);
	assert_int_equal(apply(lsn + 1, messages(2, uid, &m)), RC_OK);
}

static uint64_t
thread_of(mail_uid uid)
{
	char sql[100];

	(void)snprintf(sql, sizeof sql, "SELECT threadid FROM message WHERE uid=%u", uid);
	return number(sql);
}

/* What is left says the same, whatever was compacted away, and if the mailbox's own record
 * comes behind it. */
static void
test_threads_of_old_records(void **state)
{
	uint64_t answer, last;

	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "INBOX")), RC_OK);
	old_letter(10, 1, "<a@x>", "");
	old_letter(20, 2, "<b@x>", "<a@x>");
	old_letter(30, 3, "<c@x>", "<a@x> <b@x>");
	old_letter(40, 4, "<d@x>", "<c@x>");
	old_letter(50, 5, "<e@x>", "");
	answer = thread_of(3);
	last = thread_of(4);
	assert_true(answer >> 63 == 1 && last >> 63 == 1);
	assert_true(thread_of(1) == answer && thread_of(2) == answer);
	assert_true(last != answer && last != thread_of(5) && thread_of(5) != answer);

	teardown(state);
	setup(state);
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	old_letter(30, 3, "<c@x>", "<a@x> <b@x>");
	old_letter(40, 4, "<d@x>", "<c@x>");
	assert_int_equal(apply(60, mailbox(2, 1, "INBOX")), RC_OK);
	assert_true(thread_of(3) == answer);
	assert_true(thread_of(4) == last);
}

/* Who comes later joins them; equal bytes get the thread that the others have, though it was
 * referred to from elsewhere. */
static void
test_threads_after_old_records(void **state)
{
	struct err e = ERR_INIT;
	uint64_t thread;

	(void)state;
	assert_int_equal(apply(1, account(1, "a")), RC_OK);
	assert_int_equal(apply(2, mailbox(2, 1, "INBOX")), RC_OK);
	old_letter(10, 1, "<a@x>", "<root@x> <b@x>");
	old_letter(20, 2, "<b@x>", "");
	assert_true(thread_of(1) != thread_of(2));
	letter(30, "<b@x>", "");
	assert_int_equal(apply_find_thread(&ap, 1, 30, &thread, &e), RC_OK);
	assert_true(thread == thread_of(2));
	letter(40, "<answer@x>", "<root@x> <b@x> <a@x>");
	assert_int_equal(apply_find_thread(&ap, 1, 40, &thread, &e), RC_OK);
	assert_true(thread == thread_of(1));
	letter(50, "<other@x>", "");
	assert_int_equal(apply_find_thread(&ap, 1, 50, &thread, &e), RC_OK);
	assert_true(thread == 50);
}

/* From then on a copy in the account may be new to it. */
static void
test_rekeyed(void **state)
{
	struct record r = { .type = RECORD_SUMMARY, .u.summary.blob = 10 };

	(void)state;
	letter(10, "<a@x>", "");
	tell_summary(11, r, "<a@x>", "<b@x>");
	assert_int_equal(ap.meta.rekeyed, 0);
	tell_summary(12, r, "<c@x>", "<b@x>");
	assert_int_equal(ap.meta.rekeyed, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_older_records_are_skipped), CASE(test_messages_before_their_mailbox),
		CASE(test_messages_older_than_threads),
		CASE(test_stub_older_than_threads), CASE(test_lost_and_older_than_threads),
		CASE(test_messages_without_mailbox), CASE(test_names_that_clash), CASE(test_lost_blob_and_wrong_counters),
		CASE(test_expunged_without_their_messages), CASE(test_nonsense_is_refused),
		CASE(test_threads_of_old_records), CASE(test_threads_after_old_records),
		CASE(test_many_at_once), CASE(test_many_beside_one), CASE(test_many_with_many_keywords),
		CASE(test_expunge_all_of_many),
		CASE(test_expunge_all_but_the_first), CASE(test_expunge_all_but_the_last),
		CASE(test_expunge_all_in_ranges), CASE(test_rekeyed),
		CASE(test_expunged_again_keeps_its_tombstone),
		CASE(test_runs_go_with_floor_and_mailbox), CASE(test_tidy_drops_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
