/* SEARCH SUBJECT by what the index keeps of what was learnt: no answer is another one for it. */
#include "tests/unit/imap_rig.h"

#include "index/columns.h"
#include "index/learnt.h"
#include "index/volume_impl.h"

static const char *const subject_keys[] = {
	"SUBJECT plan", "SUBJECT \"plan 7\"", "NOT SUBJECT plan", "SUBJECT plan 3:700", "UID 1:90,400:* SUBJECT sum",
	"OR SUBJECT plan SUBJECT two", "SEEN SUBJECT plan", "SUBJECT plan NOT DELETED", "SUBJECT one", "SUBJECT \"\"",
	"RETURN (COUNT MIN) SUBJECT plan", "MODSEQ 1 SUBJECT plan", "UNSEEN", "SUBJECT gr\303\266\303\237ere",
};
#define SUBJECT_KEYS (sizeof subject_keys / sizeof *subject_keys)

static void
append_subjects(uint32_t n)
{
	static const char *const forms[] = {
		"Subject: plan %u for the summer, as it was said in the garden by all who were there and by nobody else, twice\r\n\r\n",
		"Subject: =?utf-8?q?gr=C3=B6=C3=9Fere?= sums of %u and more of whatever was counted in the house, from the cellar to the roof\r\n\r\n",
		"Subject: one %u\r\nSubject: two\r\n\r\n",
		"To: nobody%u@example.org\r\n\r\n",
		"Subject:\r\n folded plan %u that nobody has seen since the day on which it was folded, so it may be lost\r\n\r\n",
	};
	char mail[200];

	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(mail, sizeof mail, forms[i % 5], i);
		fx_append(rig_inbox(), slice_str(mail), i % 3 == 0 ? FLAG_SEEN : 0, "");
	}
}

/* Each answer, one behind the other. */
static char *
ask_subjects(void)
{
	struct session *s = rig_selected();
	struct buf all;
	char line[200];

	buf_init(&all, 1u << 20);
	for (size_t i = 0; i < SUBJECT_KEYS; i++) {
		(void)snprintf(line, sizeof line, "%zu UID SEARCH %s", i, subject_keys[i]);
		assert_true(buf_append_str(&all, rig_send(s, line)));
	}
	assert_true(buf_append_byte(&all, 0));
	rig_end(s);
	return (char *)all.ptr;
}

static void
forget_columns(void)
{
	column_store_forget(fx_v->columns);
}

static enum rc
drop_kept(void *arg, struct err *e)
{
	(void)arg;
	return learnt_forget(fx_v->db, e);
}

/* What the index keeps of Subjects changes no answer, whatever happens between. */
static void
test_kept_subjects(void **state)
{
	struct lz_packer *k = lz_packer_new();
	struct err e = ERR_INIT;
	unsigned blocks = 0;

	(void)state;
	append_subjects(900);
	for (int round = 0; round < 4; round++) {
		char *learnt = ask_subjects(), *kept, *none;

		while (columns_keep_texts(fx_v, k, &e) == RC_OK)
			blocks++;
		forget_columns();
		kept = ask_subjects();
		assert_string_equal(kept, learnt);
		free(kept);
		(void)fx_expunge(rig_inbox(), 100 + 40 * (mail_uid)round, 117 + 40 * (mail_uid)round);
		(void)fx_store(rig_inbox(), 10, 20, STORE_ADD, FLAG_DELETED | FLAG_SEEN, "");
		append_subjects(round == 2 ? 400 : 7);
		free(learnt);
		learnt = ask_subjects();                        /* by what was there */
		forget_columns();
		kept = ask_subjects();                          /* by the index */
		assert_string_equal(kept, learnt);
		assert_int_equal(writer_run(fx_v->writer, drop_kept, NULL, &e), RC_OK);
		forget_columns();
		none = ask_subjects();                          /* by summaries */
		assert_string_equal(none, learnt);
		free(learnt);
		free(kept);
		free(none);
	}
	assert_true(blocks >= 4);
	lz_packer_free(&k);
}

/* Columns of UIDs and Subjects are not filled for those who ask for a small part of the mailbox. */
static void
test_small_part(void **state)
{
	struct session *s;
	size_t rows;

	(void)state;
	append_subjects(400);
	s = rig_selected();
	(void)rig_send(s, "a SEARCH SUBJECT plan");
	assert_int_equal(columns_find(fx_v, rig_inbox(), &rows), COLUMNS_NONE);
	assert_int_equal(rows, 400);
	(void)rig_send(s, "b FETCH 1:90 (UID FLAGS)");
	(void)rig_send(s, "c SEARCH 1:90 UNSEEN");
	assert_int_equal(columns_find(fx_v, rig_inbox(), &rows), COLUMNS_NONE);
	assert_int_equal(rows, 400);
	(void)rig_send(s, "d FETCH 1:* (UID FLAGS)");
	assert_int_equal(columns_find(fx_v, rig_inbox(), &rows), COLUMNS_FREE);
	rig_end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_subjects, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_small_part, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
