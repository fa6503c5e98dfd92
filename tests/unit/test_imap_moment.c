/* Whatever changes between two statements of SELECT, COPY or MOVE is in the answer or told behind it: at no moment is it
 * lost or told twice. */
#include "tests/unit/imap_rig.h"

#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define MOMENTS 24u             /* no command looks at the index more often, on the session's thread */

static pthread_t   client;
static unsigned    until;       /* so many statements more; 0: it is over */
static void      (*happens)(void);
static mailbox_id  inbox;
static mail_uid    third, fourth;
static mail_modseq flagged_at;  /* 0: not yet */
static bool        is_flagged;

/* Linked instead of sqlite3_step. */
int __real_sqlite3_step(sqlite3_stmt *q);
int __wrap_sqlite3_step(sqlite3_stmt *q);

int
__wrap_sqlite3_step(sqlite3_stmt *q)
{
	if (until > 0 && pthread_equal(pthread_self(), client) && --until == 0)
		happens();
	return __real_sqlite3_step(q);
}

static void
one_comes(void)
{
	(void)fx_append(inbox, SLICE(TEST_MAIL), 0, "");
}

static void
one_goes(void)
{
	(void)fx_expunge(inbox, third, third);
}

static void
one_is_flagged(void)
{
	is_flagged = !is_flagged;
	flagged_at = fx_store(inbox, fourth, fourth, is_flagged ? STORE_ADD : STORE_REMOVE,
	                      FLAG_FLAGGED, "");
}

/* ---- what the client knows ---- */

static unsigned    exists, fetches;
static mail_modseq highest;

static void
follow(const char *text)
{
	while (*text != 0) {
		char what[16] = "";
		unsigned n;

		if (sscanf(text, "* %u %15s", &n, what) == 2 && strcmp(what, "EXISTS") == 0) {
			assert_true(n >= exists);
			exists = n;
		} else if (strcmp(what, "EXPUNGE") == 0) {
			assert_true(n <= exists);
			exists--;
		} else if (strcmp(what, "FETCH") == 0) {
			fetches++;
		}
		(void)sscanf(text, "* OK [HIGHESTMODSEQ %" SCNu64, &highest);
		text = strchr(text, '\n') + 1;
	}
}

static void
select_inbox(struct session *s, const char *line)
{
	const char *text;

	exists = 0;
	text = rig_send(s, line);
	follow(text);
	assert_non_null(strstr(text, " OK [READ-"));
}

/* `line` is sent, and meanwhile that happens. */
static void
check_moment(struct session *s, const char *line, unsigned moment, void (*what)(void))
{
	struct message_row *rows;
	bool selects = strstr(line, " INBOX (") != NULL;
	size_t n;

	rows = fx_rows(inbox, 0, &n);
	third = rows[2].uid;
	fourth = rows[3].uid;
	flagged_at = 0;
	if (!selects)
		select_inbox(s, "a SELECT INBOX (CONDSTORE)");
	fetches = 0;
	happens = what;
	until = moment;
	if (moment == 0)        /* just before it */
		what();
	if (selects)
		select_inbox(s, line);
	else
		follow(rig_send(s, line));
	until = 0;
	follow(rig_send(s, "n NOOP"));
	assert_int_equal(exists, fx_mailbox(rig_account, "INBOX").exists);
	if (flagged_at != 0 && !(selects && highest >= flagged_at))
		assert_int_equal(fetches, 1);
	else
		assert_int_equal(fetches, 0);
}

static void
check_command(const char *line)
{
	static void (*const all[])(void) = { one_comes, one_goes, one_is_flagged };
	void *state = NULL;
	struct session *s;

	assert_int_equal(rig_setup(&state), 0);
	client = pthread_self();
	inbox = rig_inbox();
	fx_append_n(inbox, 6);
	s = rig_session();
	(void)rig_send(s, "c CREATE other");
	(void)rig_send(s, "c LIST \"\" *");     /* its id is remembered */
	for (unsigned moment = 0; moment <= MOMENTS; moment++) {
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
			fx_append_n(inbox, 3);
			(void)fx_store(inbox, 1, 1000, STORE_ADD, FLAG_SEEN, "");
			(void)fx_append(inbox, SLICE(TEST_MAIL), 0, "");
			check_moment(s, line, moment, all[i]);
		}
	}
	rig_end(s);
	assert_int_equal(rig_teardown(&state), 0);
}

static void
test_select(void **state)
{
	(void)state;
	check_command("t SELECT INBOX (CONDSTORE)");
	check_command("t EXAMINE INBOX (CONDSTORE)");
}

static void
test_copy(void **state)
{
	(void)state;
	check_command("t COPY 1:2 other");
	check_command("t COPY 1:2 INBOX");
}

static void
test_move(void **state)
{
	(void)state;
	check_command("t MOVE 1:2 other");
	check_command("t MOVE 1:2 INBOX");
}

static void
test_append(void **state)
{
	(void)state;
	check_command("t APPEND INBOX {6+}\r\na: b\r\n");
}

static void
other_goes(void)
{
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, rig_account, "other", ""), RC_OK);
}

/* What a name said a moment ago is a mailbox no more. */
static void
test_gone_meanwhile(void **state)
{
	struct session *s;

	assert_int_equal(rig_setup(state), 0);
	client = pthread_self();
	s = rig_session();
	for (int again = 0; again < 2; again++) {
		(void)rig_send(s, "c CREATE other");
		(void)rig_send(s, "c LIST \"\" *");
		happens = other_goes;
		until = 1;
		rig_expect(s, "a SELECT other", "a NO [NONEXISTENT] No such mailbox\r\n");
		assert_int_equal(until, 0);
		assert_int_equal(rig_imap(s)->mailbox, 0);
	}
	(void)rig_send(s, "c CREATE other");
	assert_non_null(strstr(rig_send(s, "a SELECT other"), "a OK [READ-WRITE]"));
	rig_end(s);
	assert_int_equal(rig_teardown(state), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_gone_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
