/* compact: what dies and what does not, that space comes back, and that an index made anew
 * afterwards says what the one that lived through it says. */
#include "tests/unit/compact_fixture.h"

#include <dirent.h>

#include "index/compact.h"
#include "store/log_impl.h"
#include "store/scan.h"

/* Every row of the tables that must come out the same, as text. */
static void
dump_tables(struct buf *out)
{
	static const char *const sql[] = {
		"SELECT id, hex(name), generation, quota, used_bytes, used_messages FROM account ORDER BY 1",
		"SELECT account, hex(name), hex(value) FROM credential ORDER BY 1, 2",
		"SELECT id, account, hex(name), uidvalidity, uidnext, highestmodseq, exists_, "
		"unseen, deleted, size FROM mailbox ORDER BY 1",
		"SELECT account, hex(name) FROM subscription ORDER BY 1, 2",
		"SELECT mailbox, hex(key), hex(keyword) FROM mailbox_keyword ORDER BY 1, 2",
		("SELECT mailbox, uid, modseq, flags, hex(text), blob, internaldate, savedate, threadid, size FROM message m"
		 " LEFT JOIN kwset k ON k.id = m.kw ORDER BY 1, 2"),
		"SELECT mailbox, uid, modseq FROM expunged ORDER BY 1, 2",
		"SELECT id, seg, epoch, kind, offset, len, hex(sha256), thread_key, hex(chunks), hex(summary) FROM blob ORDER BY 1",
		"SELECT uidvalidity, blobs, expunged, compactions FROM meta",
	};
	struct err e = ERR_INIT;
	struct db *db;

	assert_int_equal(db_pool_borrow(fx_v->pool, &db, &e), RC_OK);
	for (size_t i = 0; i < sizeof sql / sizeof sql[0]; i++) {
		sqlite3_stmt *q = db_query(db, sql[i], DB_NO_ARGS, &e);

		assert_non_null(q);
		buf_printf(out, "table %zu\n", i);
		while (db_next(db, q, &e) == DB_ROW) {
			for (int k = 0; k < sqlite3_column_count(q); k++) {
				const unsigned char *text = sqlite3_column_text(q, k);

				buf_printf(out, "%s|", text != NULL ? (const char *)text : "-");
			}
			buf_append_str(out, "\n");
		}
	}
	db_pool_return(fx_v->pool, &db);
	assert_false(out->failed);
}

static void
remove_index(void)
{
	char path[300];

	volume_close(&fx_v);
	for (int i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof path, "%s/index.db%s", fx_dir,
		               i == 0   ? ""
		               : i == 1 ? "-wal"
		                        : "-shm");
		(void)unlink(path);
	}
	fx_open();
}

/* The living index, the same after a restart, and one made anew: all say the same. */
static void
assert_same_rebuilt(void)
{
	struct buf live, after;

	buf_init(&live, 64u << 20);
	buf_init(&after, 64u << 20);
	cf_check_clean();
	dump_tables(&live);
	remove_index();
	dump_tables(&after);
	if (!slice_eq(buf_slice(&live), buf_slice(&after))) {
		FILE *a = fopen("/tmp/compact-live.txt", "w"),
		     *b = fopen("/tmp/compact-rebuilt.txt", "w");

		fwrite(live.ptr, 1, live.len, a);
		fwrite(after.ptr, 1, after.len, b);
		fclose(a);
		fclose(b);
		fail_msg("an index made anew says something else: compare /tmp/compact-live.txt "
		         "and -rebuilt.txt");
	}
	cf_check_clean();
	assert_int_equal(fx_findings, 0);
	buf_fini(&live);
	buf_fini(&after);
}

static uint64_t
log_dir_bytes(void)
{
	char path[600];
	uint64_t bytes = 0;
	struct dirent *d;
	struct stat st;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/log", fx_dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		(void)snprintf(path, sizeof path, "%s/log/%s", fx_dir, d->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_size;
	}
	closedir(dir);
	return bytes;
}

/* ---- the tests ---- */

/* Most of the mail is gone for good: so is its space, and the rest can be read as before. */
static void
test_space_comes_back(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");
	struct message_row *rows;
	struct compact_result r;
	struct err e = ERR_INIT;
	uint64_t before;
	struct buf b;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < 40; i++)
		(void)fx_append(box, cf_big_mail(i, 50), 0, "");
	(void)fx_expunge(box, 1, 36);
	before = log_dir_bytes();
	r = cf_compact_all();
	assert_int_equal(r.rewritten, 1);
	assert_true(r.reclaimed > 36 * 40 * 1024);
	assert_true(log_dir_bytes() + 36 * 40 * 1024 < before + (2u << 20));
	rows = fx_rows(box, WANT_PLACE, &n);
	assert_int_equal(n, 4);
	buf_init(&b, 1u << 20);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&b);
		assert_int_equal(volume_read_blob(fx_v, &rows[i].place, 0, UINT64_MAX, &b, &e),
		                 RC_OK);
		assert_int_equal(b.len, rows[i].size);
	}
	buf_fini(&b);
	assert_same_rebuilt();
	assert_int_equal(fx_append(box, SLICE(TEST_MAIL), 0, ""), 41);
	assert_same_rebuilt();
}

/* Out-of-line bodies go too, and stay as long as anything names them. */
static void
test_bodies(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX"), trash = fx_box(a, "Trash");
	struct change *c;
	uint64_t before;

	(void)state;
	(void)fx_append(box, cf_big_mail(1, 3000), 0, "");
	(void)fx_append(box, cf_big_mail(2, 3000), 0, "");
	c = fx_make_copy(CHANGE_COPY, box, 1, 1, trash);
	assert_int_equal(fx_run(c), RC_OK);
	(void)fx_expunge(box, 1, 2);
	before = log_dir_bytes();
	(void)cf_compact_all();
	assert_true(log_dir_bytes() + 2000 * 1024 < before);
	assert_true(log_dir_bytes() > 2000 * 1024);
	assert_same_rebuilt();
	(void)fx_expunge(trash, 1, 1);
	(void)cf_compact_all();
	assert_true(log_dir_bytes() < 1000 * 1024);
	assert_same_rebuilt();
}

/* An attachment of about `kib` KiB in lines of base64, every second of which deflates. */
static struct slice
base64_mail(uint32_t n, size_t kib)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static char mail[4u << 20];
	size_t len = (size_t)snprintf(mail, sizeof mail,
	    "From: a@example.org\r\nSubject: %u\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n", n);
	uint32_t x = n;

	for (size_t line = 0; line < kib * 1024 / 78; line++) {
		for (unsigned quad = 0; quad < 19; quad++) {
			x = x * 1664525u + 1013904223u;
			for (unsigned k = 0; k < 4; k++)
				mail[len++] = letters[line % 2 == 0 ? x >> (8 + 6 * k) & 63 : (x >> 28) + k];
		}
		mail[len++] = '\r';
		mail[len++] = '\n';
	}
	return slice_of((const uint8_t *)mail, len);
}

/* How many records in the log have this number there. */
static size_t
count_stored(uint8_t type)
{
	struct root_segment *segs;
	struct err e = ERR_INIT;
	uint32_t count;
	size_t n = 0;

	assert_int_equal(log_list_segments(volume_log(fx_v), &segs, &count, &e), RC_OK);
	for (uint32_t i = 0; i < count; i++) {
		struct scan_item item = { .kind = SCAN_GAP };
		struct record_hdr h;
		struct slice body;
		struct scan s;

		assert_int_equal(scan_init(&s, volume_log(fx_v)->b, &segs[i], UINT64_MAX, &e), RC_OK);
		while (item.kind != SCAN_END) {
			assert_int_equal(scan_next(&s, &item, &e), RC_OK);
			while (item.kind == SCAN_FRAME && record_take(&item.body, &h, &body))
				n += h.type == type;
		}
		scan_fini(&s);
	}
	free(segs);
	return n;
}

/* Messages with decoded base64, whose summaries are packed with their headers, die, keep it, and are compressed anew as any other. */
static void
test_decoded_base64(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");
	struct cf_served served = { NULL, 0 };
	uint64_t before;

	(void)state;
	for (uint32_t i = 1; i <= 4; i++)
		(void)fx_append(box, base64_mail(i, i % 2 == 0 ? 3000 : 100), 0, "");
	(void)fx_append(box, SLICE(TEST_MAIL), 0, "");
	assert_int_equal(count_stored(RECORD_STORED_BLOB_FRONT), 3);
	assert_int_equal(count_stored(RECORD_STORED_BLOB_BASE64), 2);   /* out of line */
	(void)fx_expunge(box, 1, 2);
	cf_served_add(&served, box);
	before = log_dir_bytes();
	(void)cf_compact_all();
	assert_true(log_dir_bytes() + 1000 * 1024 < before);
	assert_int_equal(count_stored(RECORD_STORED_BLOB_FRONT), 2);
	assert_int_equal(count_stored(RECORD_STORED_BLOB_BASE64), 1);
	assert_same_rebuilt();
	before = log_dir_bytes();
	(void)cf_compact((struct compact_params){ .all = true, .level = 9 });
	assert_true(log_dir_bytes() < before - before / 100);
	assert_int_equal(count_stored(RECORD_STORED_BLOB_FRONT), 2);
	assert_int_equal(count_stored(RECORD_STORED_BLOB_BASE64), 1);
	assert_int_equal(cf_served_check(&served, 0), 0);
	assert_same_rebuilt();
	cf_served_drop(&served);
}

/* Lines of hexadecimal digits look like base64 and deflate better as they are: compressing anew does not make them more. */
static void
test_hexadecimal(void **state)
{
	static char mail[64u << 10];
	size_t len = (size_t)snprintf(mail, sizeof mail, "Subject: a dump\r\n\r\n");
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");
	uint32_t x = 1;

	(void)state;
	while (len < sizeof mail - 66) {
		for (unsigned k = 0; k < 64; k++) {
			x = x * 1664525u + 1013904223u;
			mail[len++] = "0123456789abcdef"[x >> 28];
		}
		mail[len++] = '\r';
		mail[len++] = '\n';
	}
	(void)fx_append(box, slice_of((const uint8_t *)mail, len), 0, "");
	(void)cf_compact((struct compact_params){ .all = true, .level = 9 });
	assert_int_equal(count_stored(RECORD_STORED_BLOB_BASE64), 0);
	assert_same_rebuilt();
}

struct scrub_pause {
	unsigned calls, compact_at;
};

static bool
compact_meanwhile(void *arg, uint64_t done, uint64_t total)
{
	struct scrub_pause *p = arg;
	uint64_t before = log_dir_bytes();

	(void)done, (void)total;
	if (p->calls++ == p->compact_at) {
		(void)cf_compact_all();
		assert_true(log_dir_bytes() + 2000 * 1024 < before);
	}
	return true;
}

/* A scrub goes on for hours: space comes back all the same, and what is taken away under
 * it is no damage. */
static void
test_space_comes_back_under_a_scrub(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");

	(void)state;
	for (unsigned at = 0; at < 4; at++) {
		struct scrub_pause p = { .compact_at = at };
		struct scrub_result r;
		struct err e = ERR_INIT;

		fx_append_n(box, 1);
		for (uint32_t i = 0; i < 3; i++)
			(void)fx_append(box, cf_big_mail(i, i == 1 ? 3000 : 400), 0, "");
		(void)fx_expunge(box, fx_mailbox(a, "INBOX").uidnext - 3,
		                 fx_mailbox(a, "INBOX").uidnext - 1);
		fx_reopen();
		assert_int_equal(volume_scrub(fx_v, NULL, compact_meanwhile, &p, &r, &e), RC_OK);
		assert_true(p.calls > at);
		assert_int_equal(r.findings, 0);
		assert_int_equal(fx_findings, 0);
	}
	cf_check_clean();
}

/* Within the retention nothing dies, at its edge all that is older does. */
static void
test_retention(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");
	struct compact_result r;

	(void)state;
	fx_append_n(box, 3);
	(void)fx_store(box, 1, 3, STORE_ADD, FLAG_SEEN, "");
	(void)fx_store(box, 1, 3, STORE_ADD, FLAG_FLAGGED, "");
	(void)fx_expunge(box, 2, 2);
	r = cf_compact((struct compact_params){ .all = true, .retention_us = CF_HOUR_US });
	assert_int_equal(r.dead_records, 0);
	assert_int_equal(r.rewritten, 1);
	assert_same_rebuilt();
	r = cf_compact_all();
	/* A message and its blob; flags of three, stated anew; those of one of three, in part; and
	 * counters of mailboxes. */
	assert_true(r.dead_records > 4);
	assert_same_rebuilt();
}

static void
subscribe(account_id a, bool on)
{
	struct change *c = fx_change(CHANGE_SUBSCRIBE);

	c->u.subscribe.account = a;
	c->u.subscribe.name = SLICE("Work");
	c->u.subscribe.subscribed = on;
	assert_int_equal(fx_run(c), RC_OK);
}

/* The very last record of the log dies: an index made anew ends before the floor, and is one
 * of all there is. */
static void
test_last_record_dies(void **state)
{
	account_id a = fx_account("anna");

	(void)state;
	subscribe(a, true);
	subscribe(a, false);
	(void)cf_compact_all();
	(void)cf_compact_all();
	assert_same_rebuilt();
	fx_append_n(fx_box(a, "INBOX"), 1);
	assert_same_rebuilt();
}

static void
open_as(struct volume_params p)
{
	struct err e = ERR_INIT;

	p.name = "v1";
	p.path = fx_dir;
	p.report = (struct log_report){ NULL, fx_found };
	volume_close(&fx_v);
	if (volume_open(&p, &fx_v, &e) != RC_OK)
		fail_msg("open: %s", e.text);
}

/* What supersedes a dead record must not be lost by a power cut that leaves the death: it is synced
 * before the swap. */
static void
test_relaxed_changes_last(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");
	struct compact_result r;

	(void)state;
	open_as((struct volume_params){ .relaxed = true, .max_segment = 60000 });
	for (uint32_t i = 0; i < 4; i++)
		(void)fx_append(box, cf_big_mail(i, 50), 0, "");
	(void)fx_expunge(box, 1, 2);
	(void)fx_store(box, 4, 4, STORE_ADD, FLAG_SEEN, "");
	assert_true(fx_v->log->synced_lsn < fx_v->log->last_lsn);
	r = cf_compact((struct compact_params){ .threshold = 1 });
	assert_true(r.rewritten > 0);
	assert_int_equal(fx_v->log->synced_lsn, fx_v->log->last_lsn);
	assert_same_rebuilt();
}

static enum rc
restore_blob(mailbox_id box, blob_id id, uint32_t *lost)
{
	struct change *c = fx_change(CHANGE_RESTORE);
	enum rc rc;

	c->u.restore.mailbox = box;
	c->u.restore.messages = arena_array(&c->arena, 1, sizeof *c->u.restore.messages);
	c->u.restore.messages[0].blob = id;
	c->u.restore.messages[0].keywords = SLICE("");
	c->u.restore.count = 1;
	rc = volume_submit_wait(fx_v, c);
	*lost = c->u.restore.lost;
	change_free(&c);
	return rc;
}

/* Between the swap and the index's knowing of it a blob's row may name what is not in
 * the log any more. */
static void
test_restore_waits_for_the_index(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");
	struct message_row *rows;
	uint64_t known;
	uint32_t lost;
	blob_id id;
	size_t n;

	(void)state;
	(void)fx_append(box, cf_big_mail(1, 5), 0, "");
	(void)fx_append(box, cf_big_mail(2, 5), 0, "");
	rows = fx_rows(box, 0, &n);
	id = rows[1].blob;
	(void)fx_expunge(box, 1, 1);
	(void)cf_compact_all();
	known = fx_v->apply.meta.compactions;
	assert_true(known > 0);
	fx_v->apply.meta.compactions = known - 1;
	assert_int_equal(restore_blob(box, id, &lost), RC_BUSY);
	fx_v->apply.meta.compactions = known;
	assert_int_equal(restore_blob(box, id, &lost), RC_OK);
	assert_int_equal(lost, 0);
	assert_int_equal(restore_blob(box, rows[0].blob, &lost), RC_OK);
	assert_int_equal(lost, 1);
	assert_same_rebuilt();
}

/* ---- random histories ---- */

#define BOXES 4

static uint32_t
pick(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % n;
}

static const char *const names[BOXES] = { "INBOX", "Work", "Trash", "Old" };
static const char *const keywords[] = { "", "$Junk", "$Label1 Tea", "$Forwarded", "later" };

struct history {
	uint32_t   seed;
	uint32_t   mails;
	account_id accounts[2];
};

static mailbox_id
some_box(struct history *h)
{
	struct mailbox_info m;
	struct err e = ERR_INIT;

	if (volume_find_mailbox(fx_v, h->accounts[pick(&h->seed, 2)],
	        slice_str(names[pick(&h->seed, BOXES)]), &fx_arena, &m, &e) != RC_OK)
		return 0;
	return m.id;
}

static void
random_mailbox(struct history *h)
{
	account_id a = h->accounts[pick(&h->seed, 2)];
	const char *name = names[1 + pick(&h->seed, BOXES - 1)];
	struct change *c;

	switch (pick(&h->seed, 6)) {
	case 0:
		(void)fx_name_change(CHANGE_MAILBOX_DELETE, a, name, "");
		break;
	case 1:
		(void)fx_name_change(CHANGE_MAILBOX_RENAME, a, name,
		                     names[1 + pick(&h->seed, BOXES - 1)]);
		break;
	case 2:
	case 3:
		(void)fx_name_change(CHANGE_MAILBOX_CREATE, a, name, "");
		break;
	default:
		c = fx_change(CHANGE_SUBSCRIBE);
		c->u.subscribe.account = a;
		c->u.subscribe.name = slice_str(name);
		c->u.subscribe.subscribed = pick(&h->seed, 2) == 0;
		(void)fx_run(c);
		break;
	}
}

static void
random_account(struct history *h)
{
	uint32_t k = pick(&h->seed, 2);
	struct change *c;
	char name[16];

	if (pick(&h->seed, 4) > 0) {
		c = fx_change(pick(&h->seed, 2) == 0 ? CHANGE_ACCOUNT_QUOTA : CHANGE_CREDENTIAL);
		c->u.account.id = h->accounts[k];
		c->u.account.quota_bytes = UINT64_C(1) << (30 + pick(&h->seed, 4));
		c->u.account.credential_name = pick(&h->seed, 2) == 0 ? SLICE("password")
		                                                      : SLICE("phone");
		c->u.account.credential_value = pick(&h->seed, 3) == 0 ? SLICE_NONE
		                                                       : SLICE("SCRAM-SHA-256$y");
		(void)fx_run(c);
		return;
	}
	c = fx_change(CHANGE_ACCOUNT_DELETE);
	c->u.account.id = h->accounts[k];
	assert_int_equal(fx_run(c), RC_OK);
	(void)snprintf(name, sizeof name, "u%u", h->seed);
	h->accounts[k] = fx_account(name);
}

static void
random_messages(struct history *h, mailbox_id box)
{
	mail_uid first = 1 + pick(&h->seed, 40), last = first + pick(&h->seed, 5);
	mailbox_id to = some_box(h);

	switch (pick(&h->seed, 8)) {
	case 0:
	case 1:
		(void)fx_expunge(box, first, last);
		break;
	case 2:
	case 3:
	case 4:
		(void)fx_store(box, first, last, (enum store_op)pick(&h->seed, 3),
		               1u << pick(&h->seed, 5), keywords[pick(&h->seed, 5)]);
		break;
	case 5:
		if (to != 0)
			(void)fx_run(fx_make_copy(CHANGE_MOVE, box, first, last, to));
		break;
	default:
		if (to != 0)
			(void)fx_run(fx_make_copy(CHANGE_COPY, box, first, last, to));
		break;
	}
}

/* What a later parser may make of some messages, or of none that is there. */
static void
random_summaries(struct history *h, mailbox_id box)
{
	struct change *c = fx_change(CHANGE_REPARSE);
	struct change_reparse *r = &c->u.reparse;
	struct message_row *rows;
	size_t n;

	rows = fx_rows(box, 0, &n);
	r->list = arena_array(&c->arena, n + 1, sizeof *r->list);
	assert_non_null(r->list);
	for (size_t i = pick(&h->seed, 4); i < n; i += 1 + pick(&h->seed, 3))
		r->list[r->count++] = (struct new_summary){ rows[i].blob,
		                                            arena_printf(&c->arena, "made anew %u",
		                                                         h->seed) };
	if (pick(&h->seed, 4) == 0)
		r->list[r->count++] = (struct new_summary){ 77, SLICE("of nothing") };
	assert_int_equal(fx_run(c), RC_OK);
}

static void
random_step(struct history *h)
{
	uint32_t what = pick(&h->seed, 40);
	mailbox_id box = some_box(h);

	if (what == 0)
		random_account(h);
	else if (what < 5)
		random_mailbox(h);
	else if (what < 20 && box != 0)
		(void)fx_append(box,
		    cf_big_mail(pick(&h->seed, 3) == 0 ? 7 : ++h->mails, 1 + pick(&h->seed, 3)), 0,
		    keywords[pick(&h->seed, 5)]);
	else if (what == 20 && box != 0 && pick(&h->seed, 8) == 0)
		(void)fx_append(box, cf_big_mail(++h->mails, 1800), 0, "");
	else if (what < 23 && box != 0)
		random_summaries(h, box);
	else if (box != 0)
		random_messages(h, box);
}

static void
random_compaction(struct history *h)
{
	static const uint64_t retentions[] = { 0, 0, 20000, 100000, CF_HOUR_US };
	struct compact_params p = { .retention_us = retentions[pick(&h->seed, 5)],
	                            .threshold = 1 + pick(&h->seed, 60) };

	p.all = pick(&h->seed, 3) == 0;
	p.level = pick(&h->seed, 4) == 0 ? 1 + (int)pick(&h->seed, 9) : 0;
	(void)cf_compact(p);
}

/* What users see is the same before and after, and the same from an index made anew. */
static void
run_history(uint32_t seed)
{
	struct history h = { .seed = seed };

	h.accounts[0] = fx_account("anna");
	h.accounts[1] = fx_account("ben");
	cf_open_small();
	for (uint32_t round = 0; round < 6; round++) {
		for (uint32_t i = 0; i < 120; i++)
			random_step(&h);
		if (pick(&h.seed, 3) == 0)
			cf_open_small();
		random_compaction(&h);
		assert_same_rebuilt();
		cf_open_small();
		arena_reset(&fx_arena);
	}
}

static void
test_random_histories(void **state)
{
	const char *given = getenv("COMPACT_SEED"), *rounds = getenv("COMPACT_ROUNDS");
	uint32_t count = rounds != NULL ? (uint32_t)strtoul(rounds, NULL, 10) : 4;
	uint32_t seed = given != NULL ? (uint32_t)strtoul(given, NULL, 10) : 1;

	for (uint32_t i = 0; i < count; i++) {
		if (i > 0) {
			(void)fx_teardown(state);
			(void)fx_setup(state);
		}
		fprintf(stderr, "COMPACT_SEED=%u\n", seed + i);
		run_history(seed + i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_space_comes_back, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_bodies, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_decoded_base64, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_hexadecimal, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_space_comes_back_under_a_scrub, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_retention, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_last_record_dies, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_relaxed_changes_last, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_restore_waits_for_the_index, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_random_histories, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
