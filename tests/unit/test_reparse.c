/* reparse: summaries of another parser are made anew, only those, and what is cut goes on; the
 * index that lives and one made anew say the same; compaction keeps the newest summary of a blob as
 * long as there is one to describe. */
#include "tests/unit/volume_fixture.h"

#include <fcntl.h>

#include "index/volume_impl.h"
#include "lib/mime.h"
#include "store/compact.h"
#include "store/log_impl.h"
#include "store/scan.h"

#define MAIL(id, text) SLICE("From: a@example.org\r\nMessage-ID: " id "\r\n\r\n" text "\r\n")
#define PARTS                                                                                     \
	"Subject: parts\r\nMessage-ID: <p@example.org>\r\nMIME-Version: 1.0\r\n"                  \
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"              \
	"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n"

static struct slice
big_mail(void)
{
	static char mail[2u << 20];
	size_t len = (size_t)snprintf(mail, sizeof mail,
	                              "Subject: big\r\nMessage-ID: <big@example.org>\r\n\r\n");
	uint32_t x = 1;

	while (len < sizeof mail - 100) {
		x = x * 1664525u + 1013904223u;
		mail[len] = len % 70 == 69 ? '\n' : (char)(33 + (x >> 16) % 90);
		len++;
	}
	return slice_of((const uint8_t *)mail, len);
}

/* ---- what is there ---- */

static struct buf *
summaries(void)
{
	static struct buf out;
	struct err e = ERR_INIT;
	sqlite3_stmt *q;
	struct db *db;

	if (out.max == 0)
		buf_init(&out, 64u << 20);
	buf_reset(&out);
	assert_int_equal(db_pool_borrow(fx_v->pool, &db, &e), RC_OK);
	q = db_query(db, "SELECT id, hex(summary), thread_key FROM blob ORDER BY id", DB_NO_ARGS,
	             &e);
	assert_non_null(q);
	while (db_next(db, q, &e) == DB_ROW)
		buf_printf(&out, "%llu %s %lld\n", (unsigned long long)db_u64(q, 0),
		           (const char *)sqlite3_column_text(q, 1),
		           (long long)sqlite3_column_int64(q, 2));
	db_pool_return(fx_v->pool, &db);
	assert_false(out.failed);
	return &out;
}

static char *
keep_summaries(void)
{
	struct buf *b = summaries();
	char *text;

	buf_append_byte(b, 0);
	text = strdup((const char *)b->ptr);
	assert_non_null(text);
	return text;
}

static void
assert_summaries(char *want)
{
	char *now = keep_summaries();

	assert_string_equal(now, want);
	free(now);
	free(want);
}

/* Summary records in the log; each may be skipped by who does not know it. */
static unsigned
count_records(void)
{
	struct root_segment *segs;
	struct err e = ERR_INIT;
	struct scan_item item;
	struct scan s;
	unsigned n = 0;
	uint32_t count;

	assert_int_equal(log_list_segments(fx_v->log, &segs, &count, &e), RC_OK);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(scan_init(&s, fx_v->log->b, &segs[i], segs[i].len, &e), RC_OK);
		while (scan_next(&s, &item, &e) == RC_OK && item.kind != SCAN_END) {
			struct slice rest = item.body, body;
			struct record_hdr h;

			for (uint32_t k = 0; item.kind == SCAN_FRAME && k < item.hdr.record_count;
			     k++) {
				assert_true(record_take(&rest, &h, &body));
				assert_true(h.type != RECORD_SUMMARY ||
				            h.flags == RECORD_SKIPPABLE);
				n += h.type == RECORD_SUMMARY;
			}
		}
		scan_fini(&s);
	}
	free(segs);
	return n;
}

static void
on_finding(void *arg, const struct check_finding *f)
{
	(void)arg;
	fprintf(stderr, "check: %s\n", f->what);
}

static void
check_clean(void)
{
	const struct check_report rep = { NULL, on_finding };
	struct check_result r;
	struct err e = ERR_INIT;

	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
}

static void
assert_same_rebuilt(void)
{
	char *want = keep_summaries(), path[300];

	check_clean();
	volume_close(&fx_v);
	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	assert_int_equal(unlink(path), 0);
	fx_open();
	assert_summaries(want);
	check_clean();
	assert_int_equal(fx_findings, 0);
}

/* ---- what is done ---- */

/* What an older parser, or one that reads Message-ID otherwise, would have made of it. */
static void
put_older(const struct message_row *row, uint32_t version, struct slice message_id)
{
	struct change *c = fx_change(CHANGE_REPARSE);
	struct new_summary *n = arena_array(&c->arena, 1, sizeof *n);
	struct mime_summary s;
	struct err e = ERR_INIT;
	struct buf out;

	buf_init(&out, MIME_SUMMARY_MAX);
	assert_int_equal(mime_summary_decode(row->summary, &fx_arena, &s, &e), RC_OK);
	s.version = version;
	s.envelope = SLICE("(\"older\")");
	s.keys.message_id = message_id;
	assert_true(mime_summary_encode(&s, &out));
	*n = (struct new_summary){ row->blob, buf_slice(&out) };
	c->u.reparse.list = n;
	c->u.reparse.count = 1;
	assert_int_equal(fx_run(c), RC_OK);
	buf_fini(&out);
}

static void
age(mailbox_id box, uint32_t version)
{
	struct message_row *rows;
	size_t n;

	rows = fx_rows(box, WANT_SUMMARY, &n);
	for (size_t i = 0; i < n; i++)
		put_older(&rows[i], version, SLICE("<older@example.org>"));
}

static struct reparse_result
reparse_as(struct reparse_params p)
{
	struct reparse_result r;
	struct err e = ERR_INIT;

	if (volume_reparse(fx_v, &p, &r, &e) != RC_OK)
		fail_msg("reparse: %s", e.text);
	return r;
}

static void
compact(void)
{
	struct compact_params p = { .all = true };
	struct compact_result r;
	struct err e = ERR_INIT;

	if (volume_compact(fx_v, &p, &r, &e) != RC_OK)
		fail_msg("compact: %s", e.text);
}

/* ---- the tests ---- */

static void
test_made_anew(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	mail_modseq modseq;
	struct reparse_result r;
	log_lsn end;
	char *want;

	(void)state;
	fx_append(inbox, SLICE(TEST_MAIL), 0, "");
	fx_append(inbox, SLICE(PARTS), 0, "");
	fx_append(inbox, big_mail(), 0, "");
	want = keep_summaries();
	age(inbox, 1);
	modseq = fx_mailbox(anna, "INBOX").highestmodseq;
	assert_string_not_equal((const char *)summaries()->ptr, want);
	assert_same_rebuilt();
	end = log_last(fx_v->log);
	r = reparse_as((struct reparse_params){ .dry_run = true });
	assert_true(r.contents == 3 && r.other == 3 && r.made == 3 && r.unreadable == 0);
	assert_int_equal(log_last(fx_v->log), end);
	r = reparse_as((struct reparse_params){ .all = false });
	assert_true(r.contents == 3 && r.other == 3 && r.made == 3 && r.unreadable == 0);
	assert_summaries(want);
	assert_int_equal(fx_mailbox(anna, "INBOX").highestmodseq, modseq);
	assert_int_equal(count_records(), 6);
	r = reparse_as((struct reparse_params){ .all = false });
	assert_true(r.contents == 3 && r.other == 0 && r.made == 0);
	assert_same_rebuilt();
}

/* The version says that nothing is to be done; what it was made of may say otherwise. */
static void
test_all(void **state)
{
	mailbox_id inbox = fx_box(fx_account("anna"), "INBOX");
	struct message_row *rows;
	struct reparse_result r;
	char *want;
	size_t n;

	(void)state;
	fx_append(inbox, SLICE(TEST_MAIL), 0, "");
	fx_append(inbox, SLICE(PARTS), 0, "");
	want = keep_summaries();
	rows = fx_rows(inbox, WANT_SUMMARY, &n);
	put_older(&rows[1], MIME_PARSER_VERSION, SLICE("<other@example.org>"));
	r = reparse_as((struct reparse_params){ .all = false });
	assert_true(r.other == 0 && r.made == 0);
	r = reparse_as((struct reparse_params){ .all = true, .dry_run = true });
	assert_true(r.other == 0 && r.made == 1);
	assert_int_equal(count_records(), 1);
	r = reparse_as((struct reparse_params){ .all = true });
	assert_true(r.contents == 2 && r.other == 0 && r.made == 1);
	assert_summaries(want);
	r = reparse_as((struct reparse_params){ .all = true });
	assert_int_equal(r.made, 0);
	assert_same_rebuilt();
}

struct cut {
	uint64_t at;
};

static bool
goes_on(void *arg, uint64_t done, uint64_t total)
{
	const struct cut *c = arg;

	assert_true(done <= total);
	return done < c->at;
}

/* Cut in the second page: the first one is written, and not done again. */
static void
test_only_the_rest(void **state)
{
	mailbox_id inbox = fx_box(fx_account("anna"), "INBOX");
	struct cut cut = { 100 };
	struct reparse_params p = { .progress = goes_on, .arg = &cut };
	struct reparse_result r;
	struct err e = ERR_INIT;
	char *want;

	(void)state;
	fx_append_n(inbox, 150);
	want = keep_summaries();
	age(inbox, 2);
	assert_int_equal(volume_reparse(fx_v, &p, &r, &e), RC_CANCELLED);
	assert_int_equal(r.made, 64);
	fx_reopen();
	r = reparse_as((struct reparse_params){ .all = false });
	assert_true(r.contents == 150 && r.other == 86 && r.made == 86);
	assert_summaries(want);
	assert_same_rebuilt();
}

static void
flip_byte(const struct log_addr *a)
{
	char path[400];
	uint8_t c;
	int fd;

	(void)snprintf(path, sizeof path, "%s/log/s-%llu-%u.seg", fx_dir,
	               (unsigned long long)a->seg.seq, a->seg.epoch);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, (off_t)(a->offset + a->len / 2)), 1);
	c ^= 0x55;
	assert_int_equal(pwrite(fd, &c, 1, (off_t)(a->offset + a->len / 2)), 1);
	close(fd);
}

static void
on_unreadable(void *arg, blob_id blob, const char *what)
{
	assert_true(what[0] != '\0');
	*(blob_id *)arg = blob;
}

/* What cannot be read keeps what it has; its neighbours are done. */
static void
test_unreadable(void **state)
{
	mailbox_id inbox = fx_box(fx_account("anna"), "INBOX");
	struct message_row *rows;
	struct reparse_result r;
	blob_id told = 0;
	size_t n;

	(void)state;
	fx_append_n(inbox, 3);
	age(inbox, 1);
	rows = fx_rows(inbox, WANT_PLACE, &n);
	flip_byte(&rows[1].place.addr);
	r = reparse_as((struct reparse_params){ .unreadable = on_unreadable, .arg = &told });
	assert_true(r.other == 3 && r.made == 2 && r.unreadable == 1);
	assert_int_equal(told, rows[1].blob);
	r = reparse_as((struct reparse_params){ .all = false });
	assert_true(r.other == 1 && r.made == 0 && r.unreadable == 1);
}

/* A blob that went while its message was parsed. */
static void
test_gone_meanwhile(void **state)
{
	mailbox_id inbox = fx_box(fx_account("anna"), "INBOX");
	struct message_row *rows;
	struct change *c;
	log_lsn end;
	size_t n;

	(void)state;
	fx_append_n(inbox, 2);
	rows = fx_rows(inbox, WANT_SUMMARY, &n);
	fx_expunge(inbox, 1, 1);
	c = fx_change(CHANGE_PURGE);
	c->u.purge.blob = rows[0].blob;
	assert_int_equal(fx_run(c), RC_OK);
	end = log_last(fx_v->log);
	put_older(&rows[0], 1, SLICE_NONE);
	assert_int_equal(log_last(fx_v->log), end);
	put_older(&rows[1], 1, SLICE_NONE);
	assert_int_equal(log_last(fx_v->log), end + 1);
	assert_same_rebuilt();
}

/* Whoever is looked for by Message-ID is found by the new one; threads stay what they were, here
 * and in an index made anew, whatever comes later. */
static void
test_threads(void **state)
{
	account_id anna = fx_account("anna");
	mailbox_id inbox = fx_box(anna, "INBOX");
	struct found_content *found;
	struct message_row *rows;
	struct err e = ERR_INIT;
	uint64_t thread;
	size_t n;

	(void)state;
	fx_append(inbox, MAIL("<1@a>", "one"), 0, "");
	rows = fx_rows(inbox, WANT_SUMMARY, &n);
	thread = rows[0].threadid;
	put_older(&rows[0], 2, SLICE("<2@a>"));
	assert_int_equal(volume_find_contents(fx_v, NULL, SLICE("<1@a>"), &fx_arena, &found, &n,
	                                      &e),
	                 RC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(volume_find_contents(fx_v, NULL, SLICE("<2@a>"), &fx_arena, &found, &n,
	                                      &e),
	                 RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 1, fx_box(anna, "Trash"))),
	                 RC_OK);
	fx_append(inbox, SLICE("Message-ID: <3@a>\r\nReferences: <1@a>\r\n\r\nthree\r\n"), 0, "");
	fx_append(inbox, SLICE("Message-ID: <4@a>\r\nReferences: <2@a>\r\n\r\nfour\r\n"), 0, "");
	rows = fx_rows(inbox, 0, &n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rows[i].threadid, thread);
	assert_same_rebuilt();
	assert_int_equal(reparse_as((struct reparse_params){ .all = false }).made, 1);
	assert_same_rebuilt();
}

/* Of several the newest stays; none outlives its blob's record for long; of a purged
 * one none stays. */
static void
test_compaction(void **state)
{
	mailbox_id inbox = fx_box(fx_account("anna"), "INBOX");
	struct message_row *rows;
	struct change *c;
	size_t n;

	(void)state;
	fx_append_n(inbox, 3);
	age(inbox, 1);
	age(inbox, 2);
	assert_int_equal(count_records(), 6);
	assert_int_equal(reparse_as((struct reparse_params){ .all = false }).made, 3);
	age(inbox, 2);
	assert_int_equal(count_records(), 12);
	compact();
	assert_int_equal(count_records(), 3);
	assert_same_rebuilt();
	rows = fx_rows(inbox, WANT_SUMMARY, &n);
	assert_int_equal(n, 3);
	assert_int_equal(mime_summary_version(rows[0].summary), 2);
	fx_expunge(inbox, 1, 2);
	c = fx_change(CHANGE_PURGE);
	c->u.purge.blob = rows[1].blob;
	assert_int_equal(fx_run(c), RC_OK);
	compact();
	assert_int_equal(count_records(), 2);           /* the first blob went with this one */
	assert_same_rebuilt();
	compact();
	assert_int_equal(count_records(), 1);
	assert_same_rebuilt();
	assert_int_equal(reparse_as((struct reparse_params){ .all = false }).made, 1);
	assert_same_rebuilt();
}

/* Within the retention the older one stays. */
static void
test_retention(void **state)
{
	mailbox_id inbox = fx_box(fx_account("anna"), "INBOX");
	struct compact_params p = { .all = true, .retention_us = UINT64_C(3600000000) };
	struct compact_result r;
	struct err e = ERR_INIT;

	(void)state;
	fx_append_n(inbox, 2);
	age(inbox, 1);
	age(inbox, 2);
	assert_int_equal(volume_compact(fx_v, &p, &r, &e), RC_OK);
	assert_int_equal(count_records(), 4);
	assert_same_rebuilt();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_anew, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_all, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_only_the_rest, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_gone_meanwhile, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_threads, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_compaction, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_retention, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests_name("reparse", tests, NULL, NULL);
}
