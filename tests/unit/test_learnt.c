/* learnt: blocks of texts and what columns make of them. Whatever happened between, a text that comes back is that of its
 * message, and what is removed for good has none. */
#include "tests/unit/volume_fixture.h"

#include "index/columns_impl.h"
#include "index/learnt.h"
#include "index/volume_impl.h"

#define ROUNDS 150

static account_id anna;
static mailbox_id inbox;
static struct lz_packer *packer;
static void (*while_packing)(void);

bool __real_learnt_pack(struct lz_packer *k, const struct learnt *b, struct buf *out);
bool __wrap_learnt_pack(struct lz_packer *k, const struct learnt *b, struct buf *out);

bool
__wrap_learnt_pack(struct lz_packer *k, const struct learnt *b, struct buf *out)
{
	if (while_packing != NULL)
		while_packing();
	return __real_learnt_pack(k, b, out);
}

static int
setup(void **state)
{
	int r = fx_setup(state);

	srand(11);
	while_packing = NULL;
	packer = lz_packer_new();
	anna = fx_account("anna");
	inbox = fx_box(anna, "INBOX");
	fx_append_n(inbox, 4);
	while (fx_mailbox(anna, "INBOX").uidnext < 1500)
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 100, inbox)), RC_OK);
	return r;
}

static int
teardown(void **state)
{
	lz_packer_free(&packer);
	return fx_teardown(state);
}

/* What the message has, in these tests; of some it is nothing, of few long. */
static struct slice
text_of(mail_uid uid)
{
	static char text[5000];
	size_t n = uid % 997 == 0 ? 4999 : uid % 41 == 0 ? 0 : 30 + uid * 7919u % 150;

	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + (uid * 31 + i * (1 + uid % 5)) % 26);
	return slice_of(text, n);
}

/* ---- blocks ---- */

static void
test_block(void **state)
{
	uint8_t *raw = malloc(LEARNT_ROOM);
	struct learnt_walk w;
	struct learnt b;
	struct slice text;
	struct buf row;
	mail_uid uid, at = 7, walked = 0;

	(void)state;
	learnt_init(&b);
	buf_init(&row, LEARNT_PACKED);
	while (learnt_put(&b, at, slice_sub(text_of(at), 0, 300)))
		at += at % 5 == 0 ? 100000 : 1;
	assert_true(learnt_pack(packer, &b, &row));
	assert_int_equal(b.first, 7);
	assert_true(learnt_open(buf_slice(&row), 7, raw, &w));
	for (at = 7; learnt_next(&w, &uid, &text); at += at % 5 == 0 ? 100000 : 1) {
		assert_int_equal(uid, at);
		assert_true(slice_eq(text, slice_sub(text_of(at), 0, 300)));
		walked = uid;
	}
	assert_int_equal(walked, b.last);
	assert_int_equal(w.texts.len, 0);
	/* whatever stands in the row, it is walked to an end */
	for (int i = 0; i < 3000; i++) {
		size_t len = (size_t)rand() % row.len;
		uint8_t *bad = malloc(row.len);

		memcpy(bad, row.ptr, row.len);
		for (int n = rand() % 3; n >= 0; n--)
			bad[(size_t)rand() % (rand() % 2 ? 40 : row.len)] = (uint8_t)rand();
		if (learnt_open(slice_of(bad, rand() % 4 ? row.len : len), (mail_uid)rand(), raw, &w))
			while (learnt_next(&w, &uid, &text))
				assert_true(text.len <= LEARNT_BLOCK);
		free(bad);
	}
	free(raw);
	buf_fini(&row);
	learnt_fini(&b);
}

static void
test_noise(void **state)
{
	uint8_t noise[600], raw[LEARNT_ROOM];
	struct learnt_walk w;
	struct learnt b;
	struct slice text;
	struct buf row;
	mail_uid uid, n = 0;

	(void)state;
	learnt_init(&b);
	buf_init(&row, LEARNT_PACKED);
	do {
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (uint8_t)rand();
	} while (learnt_put(&b, ++n, slice_of(noise, sizeof noise)));
	assert_true(learnt_pack(packer, &b, &row));     /* no smaller, but whole */
	assert_true(learnt_open(buf_slice(&row), 1, raw, &w));
	while (learnt_next(&w, &uid, &text))
		n--;
	assert_int_equal(n, 1);
	buf_fini(&row);
	learnt_fini(&b);
}

/* ---- columns ---- */

static struct columns *
take(bool texts)
{
	struct columns *c = columns_take(fx_v, inbox, COLUMNS_ANEW);
	struct err e = ERR_INIT;
	bool done = false;

	assert_non_null(c);
	for (int turns = 0; !done; turns++) {
		assert_true(turns < 100);
		assert_int_equal((texts ? columns_refresh_texts : columns_refresh)(fx_v, c, &done, &e), RC_OK);
	}
	return c;
}

/* How many have their text; it is the right one of each, and all messages are there. */
static size_t
count_texts(const struct columns *c)
{
	size_t count, n, known = 0;
	const struct column_row *got = columns_rows(c, &n);
	struct message_row *rows = fx_rows(inbox, 0, &count);
	struct slice text;

	assert_int_equal(n, count);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(got[i].uid, rows[i].uid);
		if (!c->thin) {
			assert_int_equal(got[i].flags, rows[i].flags);
			assert_int_equal(got[i].size, rows[i].size);
			assert_int_equal(columns_modseq(c, &got[i]), rows[i].modseq);
			assert_true(slice_eq(columns_keywords(c, &got[i]), rows[i].keywords));
		}
		if (!columns_text(c, &got[i], &text))
			continue;
		known++;
		assert_true(slice_eq(text, text_of(got[i].uid)));
	}
	arena_reset(&fx_arena);
	return known;
}

static void
learn(mail_uid from, mail_uid to)
{
	struct columns *c = take(true);
	size_t n;
	const struct column_row *rows = columns_rows(c, &n);

	for (size_t i = columns_seek(c, from); i < n && rows[i].uid <= to; i++)
		columns_learn(fx_v, c, rows[i].uid, text_of(rows[i].uid));
	columns_give(fx_v, &c);
}

static void
keep(void)
{
	struct err e = ERR_INIT;
	enum rc rc;

	while ((rc = columns_keep_texts(fx_v, packer, &e)) == RC_OK)
		;
	assert_int_equal(rc, RC_NOT_FOUND);
}

static size_t
known_after_start(void)
{
	struct columns *c;
	size_t known;

	fx_reopen();
	c = take(true);
	known = count_texts(c);
	columns_give(fx_v, &c);
	return known;
}

static uint64_t
count_blocks(void)
{
	struct err e = ERR_INIT;
	sqlite3_stmt *q;
	struct db *db;
	uint64_t n;

	assert_int_equal(db_pool_borrow(fx_v->pool, &db, &e), RC_OK);
	assert_int_equal(db_first(db, &q, "SELECT count(*) FROM learnt", DB_NO_ARGS, &e), RC_OK);
	n = db_u64(q, 0);
	db_end(q);
	db_pool_return(fx_v->pool, &db);
	return n;
}

static void
test_kept(void **state)
{
	struct columns *c;
	size_t known;

	(void)state;
	learn(1, UINT32_MAX);
	assert_int_equal(known_after_start(), 0);
	learn(1, UINT32_MAX);
	keep();
	assert_true(count_blocks() > 3);
	known = known_after_start();
	assert_in_range(known, 1200, fx_mailbox(anna, "INBOX").exists - 1);
	assert_null(columns_take(fx_v, inbox, COLUMNS_FULL));
	c = columns_take(fx_v, inbox, COLUMNS_KEPT);
	assert_int_equal(count_texts(c), known);
	columns_give(fx_v, &c);
	c = take(false);                /* thin ones are filled, the texts stay */
	assert_false(c->thin);
	assert_int_equal(count_texts(c), known);
	columns_give(fx_v, &c);
	c = columns_take(fx_v, inbox, COLUMNS_FULL);
	assert_non_null(c);
	columns_give(fx_v, &c);
	/* another program's are not read */
	learn(1, UINT32_MAX);
	keep();
	assert_int_equal(known_after_start(), known);
}

/* More than are filled in one piece. */
static void
test_filled(void **state)
{
	struct columns *c;

	(void)state;
	while (fx_mailbox(anna, "INBOX").exists <= 20000)
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, UINT32_MAX, inbox)), RC_OK);
	(void)fx_store(inbox, 100, UINT32_MAX, STORE_ADD, FLAG_SEEN, "red");
	learn(1, 30000);
	c = take(false);
	assert_false(c->thin);
	assert_true(count_texts(c) > 20000);
	columns_give(fx_v, &c);
}

/* What is learnt in between, messages that went, and those that come later. */
static void
test_gaps(void **state)
{
	uint64_t blocks;

	(void)state;
	learn(400, 900);
	keep();
	blocks = count_blocks();
	assert_true(blocks > 0);
	assert_in_range(known_after_start(), 300, 501);
	learn(1, UINT32_MAX);
	keep();
	assert_true(count_blocks() > blocks);
	(void)fx_expunge(inbox, 600, 650);
	assert_true(known_after_start() > 1100);
	(void)fx_store(inbox, 100, 200, STORE_ADD, FLAG_SEEN, "red");
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 100, inbox)), RC_OK);
	assert_true(known_after_start() > 1100);
}

static void
change_something(void)
{
	mail_uid end = fx_mailbox(anna, "INBOX").uidnext;
	mail_uid first = (mail_uid)rand() % end + 1, last = first + (mail_uid)rand() % 90;

	switch (rand() % 4) {
	case 0:
		(void)fx_store(inbox, first, last, STORE_ADD, 1u << rand() % 5, rand() % 2 ? "Work" : "late");
		break;
	case 1:
		(void)fx_expunge(inbox, first, last);
		break;
	case 2:
		assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, first, last, inbox)), RC_OK);
		break;
	case 3:
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, first, last + 40, inbox)), RC_OK);
		break;
	}
}

static void
test_anything(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		mail_uid from = (mail_uid)rand() % fx_mailbox(anna, "INBOX").uidnext;
		struct columns *c = take(rand() % 2), *other = NULL;

		(void)count_texts(c);
		if (rand() % 4 == 0)
			other = take(rand() % 2);
		change_something();
		columns_give(fx_v, &c);
		columns_give(fx_v, &other);
		learn(from, rand() % 2 ? UINT32_MAX : from + (mail_uid)rand() % 700);
		if (rand() % 2)
			keep();
		change_something();
		if (rand() % 4 == 0)
			(void)known_after_start();
	}
	assert_true(count_blocks() > 3);
}

/* ---- what must go ---- */

static struct change *
make_purge(void)
{
	struct change *purge = fx_change(CHANGE_PURGE);
	struct message_row *rows;
	mail_uid uid;
	size_t n;

	uid = fx_append(inbox, SLICE("Subject: secret\r\n\r\nx\r\n"), 0, "");
	rows = fx_rows(inbox, 0, &n);
	purge->u.purge.blob = rows[n - 1].blob;
	purge->u.purge.reason = SLICE("");
	(void)fx_expunge(inbox, uid, uid);
	return purge;
}

static void
test_purged(void **state)
{
	(void)state;
	learn(1, UINT32_MAX);
	keep();
	assert_int_equal(fx_run(make_purge()), RC_OK);
	assert_int_equal(count_blocks(), 0);
	assert_int_equal(known_after_start(), 0);
}

static void
purge(void)
{
	while_packing = NULL;
	assert_int_equal(fx_run(make_purge()), RC_OK);
}

static void
test_purged_while_packing(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	learn(1, UINT32_MAX);
	while_packing = purge;
	assert_int_equal(columns_keep_texts(fx_v, packer, &e), RC_OK);
	assert_int_equal(count_blocks(), 0);
}

static void
test_deleted_mailbox(void **state)
{
	struct change *delete = fx_change(CHANGE_MAILBOX_DELETE);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, anna, "Old", ""), RC_OK);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, UINT32_MAX, fx_box(anna, "Old"))), RC_OK);
	inbox = fx_box(anna, "Old");
	learn(1, UINT32_MAX);
	assert_int_equal(columns_keep_texts(fx_v, packer, &e), RC_OK);
	assert_int_equal(count_blocks(), 1);
	delete->u.mailbox.account = anna;
	delete->u.mailbox.name = SLICE("Old");
	assert_int_equal(fx_run(delete), RC_OK);
	assert_int_equal(count_blocks(), 0);
	keep();                         /* columns may be there still */
	assert_int_equal(count_blocks(), 0);
}

static enum rc
forget_expunged(void *arg, struct err *e)
{
	(void)arg;
	return learnt_forget_expunged(fx_v->db, e);
}

static void
test_compacted(void **state)
{
	struct err e = ERR_INIT;
	uint64_t blocks;

	(void)state;
	learn(1, UINT32_MAX);
	keep();
	blocks = count_blocks();
	(void)fx_expunge(inbox, 700, 700);
	assert_int_equal(writer_run(fx_v->writer, forget_expunged, NULL, &e), RC_OK);
	assert_int_equal(count_blocks(), blocks - 1);
	assert_true(known_after_start() > 1000);
	learn(1, UINT32_MAX);           /* and what the gap has comes back */
	keep();
	assert_int_equal(count_blocks(), blocks);
}

/* The compaction that removes the content has no tombstone to go by then. */
static void
test_pruned(void **state)
{
	struct change *prune = fx_change(CHANGE_PRUNE);
	uint64_t blocks;

	(void)state;
	learn(1, UINT32_MAX);
	keep();
	blocks = count_blocks();
	(void)fx_expunge(inbox, 700, 700);
	prune->u.prune = (struct change_prune){ inbox, fx_mailbox(anna, "INBOX").highestmodseq };
	(void)fx_expunge(inbox, 10, 10);
	assert_int_equal(fx_run(prune), RC_OK);
	assert_int_equal(count_blocks(), blocks - 1);
	assert_true(known_after_start() > 500);
}

/* More rows than are read in one piece that no block can have. */
static enum rc
put_bad_rows(void *arg, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint64_t i = 0; rc == RC_OK && i < 300; i++)
		rc = db_run(fx_v->db,
		            "INSERT INTO learnt SELECT mailbox, ?1, ?1 + ?2, maker, texts FROM learnt"
		            " LIMIT 1",
		            DB_ARGS(DB_NUM(*(uint64_t *)arg + i), DB_NUM(i % 2)), e);
	return rc;
}

static void
test_bad_rows(void **state)
{
	uint64_t behind = 2000, beyond = UINT32_MAX - UINT64_C(100);
	struct err e = ERR_INIT;

	(void)state;
	learn(1, UINT32_MAX);
	keep();
	assert_int_equal(writer_run(fx_v->writer, put_bad_rows, &behind, &e), RC_OK);
	assert_true(known_after_start() > 1200);
	assert_int_equal(writer_run(fx_v->writer, put_bad_rows, &beyond, &e), RC_OK);
	assert_true(known_after_start() > 1200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_block, setup, teardown),
		cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gaps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_purged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_purged_while_packing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted_mailbox, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compacted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pruned, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
