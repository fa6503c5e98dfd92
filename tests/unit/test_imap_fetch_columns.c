/* A listing of many messages comes from columns, one of few from rows: they say the same after every kind of change,
 * also of messages that others have expunged and the session still counts. */
#include "tests/unit/imap_rig.h"

#include "index/columns.h"
#include "index/volume_impl.h"
#include "lib/nowait.h"

#define MESSAGES 300u
#define ROUNDS   60u
#define FEW      50u            /* rows are read for so many */
#define ITEMS    "(UID FLAGS INTERNALDATE RFC822.SIZE SAVEDATE MODSEQ)"

/* ---- between a listing and its columns ---- */

static unsigned refreshes, unfinished;  /* calls on the pool; so many of the next say that there is more to do */
static enum rc  refused_with;           /* or fail so */
static bool     forgets;                /* what is given back is thrown away */

enum rc __real_columns_refresh(struct volume *v, struct columns *c, bool *done, struct err *e);
enum rc __wrap_columns_refresh(struct volume *v, struct columns *c, bool *done, struct err *e);
void    __real_columns_give(struct volume *v, struct columns **c);
void    __wrap_columns_give(struct volume *v, struct columns **c);

enum rc
__wrap_columns_refresh(struct volume *v, struct columns *c, bool *done, struct err *e)
{
	*done = false;
	if (nowait_is_on() && (refused_with != RC_OK || unfinished > 0))
		return nowait_refuse(e);
	refreshes += !nowait_is_on();
	if (refused_with != RC_OK)
		return err_set(e, refused_with, "as the test wants it");
	if (unfinished == 0)
		return __real_columns_refresh(v, c, done, e);
	unfinished--;
	return RC_OK;
}

void
__wrap_columns_give(struct volume *v, struct columns **c)
{
	__real_columns_give(v, c);
	if (forgets)
		column_store_forget(v->columns);
}

static int
setup(void **state)
{
	int rc = rig_setup(state);

	refreshes = unfinished = 0;
	refused_with = RC_OK;
	forgets = false;
	(void)fx_append(rig_inbox(), SLICE(TEST_MAIL), 0, "");
	(void)fx_append(rig_inbox(), SLICE("Subject: x\r\n\r\nhi\r\n"), FLAG_SEEN, "Work");
	(void)fx_append(rig_inbox(), SLICE(TEST_MAIL), FLAG_ANSWERED | FLAG_DRAFT, "");
	while (fx_mailbox(rig_account, "INBOX").uidnext < MESSAGES)
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, rig_inbox(), 1, 100, rig_inbox())),
		                 RC_OK);
	return rc;
}

/* The answers in `text` about messages. */
static void
add_answers(struct buf *out, const char *text)
{
	assert_non_null(strstr(text, "\r\nf OK "));
	for (const char *end; (end = strstr(text, "\r\n")) != NULL; text = end + 2)
		if (text[0] == '*' && text[2] >= '0' && text[2] <= '9')
			buf_append(out, text, (size_t)(end + 2 - text));
}

static void
list(struct session *s, struct buf *out, uint32_t first, uint32_t last)
{
	char line[128];

	(void)snprintf(line, sizeof line, "f FETCH %u:%u " ITEMS, first, last);
	add_answers(out, rig_send(s, line));
}

/* The session has heard of all but expunges. */
static void
expect_same(struct session *s)
{
	uint32_t exists = rig_imap(s)->view.exists;
	struct buf many, few;

	buf_init(&many, 16u << 20);
	buf_init(&few, 16u << 20);
	list(s, &many, 1, exists);
	for (uint32_t n = 1; n <= exists; n += FEW)
		list(s, &few, n, n + FEW - 1 < exists ? n + FEW - 1 : exists);
	assert_int_equal(many.len, few.len);
	assert_memory_equal(many.ptr, few.ptr, few.len);
	buf_fini(&many);
	buf_fini(&few);
}

static void
change_something(void)
{
	static const char *const words[] = { "", "Work", "$Junk late", "Work late" };
	mail_uid end = fx_mailbox(rig_account, "INBOX").uidnext;
	mail_uid first = (mail_uid)rand() % end + 1, last = first + (mail_uid)rand() % 9;

	switch (rand() % 6) {
	case 0:
	case 1:
		(void)fx_store(rig_inbox(), first, last, rand() % 2 ? STORE_ADD : STORE_REPLACE,
		               1u << rand() % 5, words[rand() % 4]);
		break;
	case 2:
		(void)fx_expunge(rig_inbox(), first, first + (last - first) / 4);
		break;
	case 3:
		fx_append_n(rig_inbox(), 2);
		break;
	case 4:
		assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, rig_inbox(), first, last, rig_inbox())),
		                 RC_OK);
		break;
	case 5:
		for (mail_uid uid = first; rand() % 12 == 0 && uid < first + 60; uid += 3)
			(void)fx_expunge(rig_inbox(), uid, uid);
		break;
	}
}

static void
expect_columns(enum columns_found want)
{
	size_t rows;

	assert_int_equal(columns_find(fx_v, rig_inbox(), &rows), want);
}

static void
follow(const char *enable)
{
	struct columns *taken = NULL;
	struct session *s = rig_session();

	srand(11);
	(void)rig_send(s, enable);
	(void)rig_send(s, "s SELECT INBOX");
	(void)rig_send(s, "m FETCH 1 MODSEQ");
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (int n = rand() % 4; n > 0; n--)
			change_something();
		(void)rig_send(s, rand() % 4 == 0 ? "n NOOP" : "n FETCH 1 UID");
		if (round % 8 == 5)
			taken = columns_take(fx_v, rig_inbox(), COLUMNS_KEPT);
		expect_same(s);
		expect_columns(taken != NULL ? COLUMNS_TAKEN : COLUMNS_FREE);
		columns_give(fx_v, &taken);
	}
	rig_end(s);
}

static void
test_plain(void **state)
{
	(void)state;
	follow("e NOOP");
}

static void
test_rev2(void **state)
{
	(void)state;
	follow("e ENABLE QRESYNC IMAP4rev2");
}

static void
test_uidonly(void **state)
{
	struct session *s = rig_session();
	const char *text;

	(void)state;
	(void)rig_send(s, "e ENABLE UIDONLY");
	(void)rig_send(s, "s SELECT INBOX");
	text = rig_send(s, "f UID FETCH 1:* (FLAGS)");
	assert_non_null(strstr(text, "* 2 UIDFETCH (FLAGS (\\Seen \\Recent Work))\r\n"));
	expect_columns(COLUMNS_FREE);
	rig_end(s);
}

/* The pool makes columns; with them the reactor lists alone. */
static void
test_light(void **state)
{
	struct session *s = rig_selected();
	const char *third, *named;
	unsigned light, all;

	(void)state;
	expect_columns(COLUMNS_NONE);
	(void)rig_send(s, "1 UID FETCH 1:* (FLAGS)");
	expect_columns(COLUMNS_FREE);
	(void)fx_store(rig_inbox(), 3, 9, STORE_ADD, FLAG_FLAGGED, "green");
	(void)fx_expunge(rig_inbox(), 20, 22);
	light = imap_light_steps(s);
	all = imap_steps(s);
	(void)rig_send(s, "2 FETCH 1:* (UID FLAGS)");
	third = strstr((const char *)rig_text.ptr, "* 3 FETCH (UID 3 FLAGS (\\Answered \\Flagged ");
	named = strstr((const char *)rig_text.ptr, "* FLAGS (");
	assert_true(named != NULL && third != NULL && named < third);
	assert_true(!nowait_is_possible() || imap_steps(s) - all == imap_light_steps(s) - light);
	rig_end(s);
}

/* The client goes while they are made. */
static void
test_left_half_made(void **state)
{
	struct session *s = rig_selected();

	(void)state;
	unfinished = UINT32_MAX;
	imap_end_after(s, imap_steps(s) + 4);
	(void)rig_send(s, "1 FETCH 1:* (FLAGS)");
	assert_true(imap_is_closed(s));
	assert_int_not_equal(refreshes, 0);
	expect_columns(COLUMNS_TAKEN);
	rig_end(s);
	expect_columns(COLUMNS_NONE);
}

static void
test_failure(void **state)
{
	struct session *s = rig_selected();

	(void)state;
	refused_with = RC_IO;
	assert_non_null(strstr(rig_send(s, "1 FETCH 1:* (FLAGS)"), "1 NO "));
	expect_columns(COLUMNS_NONE);
	rig_end(s);
}

/* Rows are read for the whole answer, without asking again. */
static void
test_too_large(void **state)
{
	struct session *s = rig_selected();

	(void)state;
	imap_set_out_soft(s, 2000);
	refused_with = RC_LIMIT;
	expect_same(s);
	assert_int_equal(refreshes, 1);
	expect_columns(COLUMNS_NONE);
	rig_end(s);
}

/* Who asks for few does not wait until all is read again. */
static void
test_few_of_many_changes(void **state)
{
	struct session *s = rig_selected();

	(void)state;
	(void)rig_send(s, "1 FETCH 1:* (FLAGS)");
	expect_columns(COLUMNS_FREE);
	fx_store(rig_inbox(), 1, 1, STORE_ADD, 0, "unheard-of");
	refreshes = 0;
	unfinished = 1;
	assert_non_null(strstr(rig_send(s, "2 FETCH 1:100 (FLAGS)"), "\r\n* 100 FETCH "));
	assert_int_equal(refreshes, 1);
	rig_end(s);
}

/* Columns that others have thrown away are not made again for the rest of an answer. */
static void
test_thrown_away(void **state)
{
	struct session *s = rig_selected();

	(void)state;
	imap_set_out_soft(s, 2000);
	forgets = true;
	expect_same(s);
	assert_int_equal(refreshes, 1);
	expect_columns(COLUMNS_NONE);
	rig_end(s);
}

/* What answers take together is bounded, however long each of them is. */
static void
test_long_answers(void **state)
{
	static char words[500], line[1000];
	struct session *s = rig_selected();

	(void)state;
	for (size_t i = 0; i + 1 < sizeof words; i++)
		words[i] = i == 250 ? ' ' : i < 250 ? 'a' : 'b';
	(void)fx_store(rig_inbox(), 1, MESSAGES, STORE_ADD, 0, words);
	(void)snprintf(line, sizeof line, "1 FETCH 1:* (");
	for (unsigned n = 1; n < 90; n++)
		(void)strcat(line, "FLAGS ");
	(void)strcat(line, "FLAGS)");
	assert_non_null(strstr(rig_send(s, line), "\r\n1 OK "));
	assert_true(imap_largest_output(s) < 3 * SESSION_OUT_SOFT);
	rig_end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_rev2, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_uidonly, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_light, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_left_half_made, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_failure, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_too_large, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_few_of_many_changes, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_thrown_away, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_long_answers, setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
