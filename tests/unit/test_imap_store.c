/* STORE, COPY, MOVE, EXPUNGE as a client sees them. */
#include "tests/unit/imap_rig.h"

static void
test_operations(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 3);
	s = rig_selected();
	rig_expect(s, "1 STORE 1 FLAGS (\\Seen $Work)",
	           "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)\r\n"
	           "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work "
	           "\\*)] Flags are kept\r\n"
	           "* 1 FETCH (FLAGS (\\Seen \\Recent $Work))\r\n1 OK STORE completed\r\n");
	rig_expect(s, "2 STORE 1 +flags \\Draft \\Answered",
	           "* 1 FETCH (FLAGS (\\Answered \\Seen \\Draft \\Recent $Work))\r\n2 OK "
	           "STORE completed\r\n");
	rig_expect(s, "3 STORE 1:2 -FLAGS (\\Answered \\Draft $work)",
	           "* 1 FETCH (FLAGS (\\Seen \\Recent))\r\n* 2 FETCH (FLAGS (\\Recent))\r\n3 OK "
	           "STORE completed\r\n");
	rig_expect(s, "4 STORE 1 FLAGS ()",
	           "* 1 FETCH (FLAGS (\\Recent))\r\n4 OK STORE completed\r\n");
	rig_expect(s, "5 UID STORE 2:9 +FLAGS.SILENT (\\Deleted)", "5 OK UID STORE completed\r\n");
	rig_expect(s, "6 UID STORE 3 +FLAGS \\Deleted",
	           "* 3 FETCH (UID 3 FLAGS (\\Deleted \\Recent))\r\n6 OK UID STORE completed\r\n");
	rig_expect(s, "7 UID STORE 77 +FLAGS \\Seen", "7 OK UID STORE completed\r\n");
	rig_expect(s, "8 NOOP", "8 OK NOOP completed\r\n");
	rig_end(s);
}

static void
test_refused(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 1);
	s = rig_selected();
	rig_expect(s, "1 STORE 2 FLAGS (\\Seen)", "1 BAD Message number 2 of 1 is not there\r\n");
	rig_expect(s, "2 STORE 1 *FLAGS (\\Seen)",
	           "2 BAD STORE: expected FLAGS, +FLAGS or -FLAGS\r\n");
	rig_expect(s, "3 STORE 1 FLAGS (\\Recent)",
	           "3 BAD STORE: expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft "
	           "or a keyword\r\n");
	rig_expect(s, "4 STORE 1 FLAGS", "4 BAD STORE: expected one space\r\n");
	rig_expect(s, "5 STORE 1 FLAGS (\\Seen) x", "5 BAD STORE: expected end of command\r\n");
	rig_end(s);
}

/* One message's keywords have a limit, and it is named. */
static void
test_too_many_keywords(void **state)
{
	struct session *s;
	char line[4200];

	(void)state;
	fx_append_n(rig_inbox(), 1);
	s = rig_selected();
	for (char letter = 'a'; letter < 'c'; letter++) {
		const char *said;
		size_t n = (size_t)snprintf(line, sizeof line, "1 STORE 1 +FLAGS.SILENT (");

		for (int i = 0; i < 30; i++) {
			memset(line + n, letter, 100);
			n += 100;
			n += (size_t)snprintf(line + n, sizeof line - n, "%d ", i);
		}
		line[n - 1] = ')';
		said = rig_send(s, line);
		assert_true(
		    letter == 'a'
		        ? strstr(said, "\r\n1 OK STORE completed\r\n") != NULL
		        : strcmp(said, "1 NO [LIMIT] Too many keywords for one message\r\n") == 0);
	}
	rig_end(s);
}

/* Only what others expunged: NO; .SILENT: OK [RFC 2180 s4.2]. */
static void
test_expunged_by_others(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 3);
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1 UID");
	fx_expunge(rig_inbox(), 2, 2);
	rig_expect(s, "2 STORE 2 +FLAGS (\\Seen)",
	           "2 NO [EXPUNGEISSUED] Some of the messages no longer exist; the others "
	           "were changed\r\n");
	rig_expect(s, "3 STORE 2:3 +FLAGS.SILENT (\\Seen)", "3 OK STORE completed\r\n");
	rig_expect(s, "4 COPY 2 Archive",
	           "* 2 EXPUNGE\r\n4 NO [EXPUNGEISSUED] None of the messages exists any more\r\n");
	rig_expect(s, "5 FETCH 2 (UID FLAGS)",
	           "* 2 FETCH (UID 3 FLAGS (\\Seen \\Recent))\r\n5 OK FETCH completed\r\n");
	rig_end(s);
}

/* A long answer in bounded pieces. */
static void
test_many(void **state)
{
	struct session *s;
	const char *said;

	(void)state;
	fx_append_n(rig_inbox(), 2500);
	s = rig_selected();
	imap_set_out_soft(s, 100);
	said = rig_send(s, "1 STORE 1:* +FLAGS (\\Seen)");
	for (unsigned i = 1; i <= 2500; i++) {
		char line[80];

		(void)snprintf(line, sizeof line, "* %u FETCH (FLAGS (\\Seen \\Recent))\r\n", i);
		assert_memory_equal(said, line, strlen(line));
		said += strlen(line);
	}
	assert_string_equal(said, "1 OK STORE completed\r\n");
	assert_true(imap_largest_output(s) < SESSION_OUT_SOFT);
	rig_expect(s, "2 NOOP", "2 OK NOOP completed\r\n");
	rig_end(s);
}

/* ---- without the pool ---- */

/* How many turns of the pool the command took. */
static unsigned
turns_of(struct session *s, const char *line, const char *want)
{
	unsigned before = imap_steps(s) - imap_light_steps(s);

	rig_expect(s, line, want);
	return imap_steps(s) - imap_light_steps(s) - before;
}

#define ASSERT_LIGHT(s, line, want) assert_int_equal(turns_of(s, line, want), 0)
#define ASSERT_TURNS(s, line, want) assert_true(turns_of(s, line, want) > 0)

/* Where nothing is news, nothing is read. */
static void
test_light(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 3);
	fx_store(rig_inbox(), 3, 3, STORE_ADD, 0, "$k");
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1 UID");
	ASSERT_LIGHT(s, "2 STORE 2:3 +FLAGS (\\Seen)",
	             "* 2 FETCH (FLAGS (\\Seen \\Recent))\r\n"
	             "* 3 FETCH (FLAGS (\\Seen \\Recent $k))\r\n2 OK STORE completed\r\n");
	ASSERT_LIGHT(s, "3 STORE 2 +FLAGS (\\Seen)",
	             "* 2 FETCH (FLAGS (\\Seen \\Recent))\r\n3 OK STORE completed\r\n");
	ASSERT_LIGHT(s, "4 UID STORE 1,7 +FLAGS (\\Seen)",
	             "* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))\r\n4 OK UID STORE completed\r\n");
	ASSERT_LIGHT(s, "5 STORE 1:* -FLAGS.SILENT (\\Seen)", "5 OK STORE completed\r\n");
	ASSERT_LIGHT(s, "6 NOOP", "6 OK NOOP completed\r\n");
	ASSERT_LIGHT(s, "7 IDLE", "+ idling\r\n");
	ASSERT_LIGHT(s, "DONE", "7 OK IDLE completed\r\n");
	ASSERT_TURNS(s, "8 STORE 1 +FLAGS ($k)",
	             "* 1 FETCH (FLAGS (\\Recent $k))\r\n8 OK STORE completed\r\n");
	(void)rig_send(s, "9 ENABLE CONDSTORE");
	ASSERT_LIGHT(s, "10 UID STORE 1 -FLAGS.SILENT (\\Seen)", "10 OK UID STORE completed\r\n");
	rig_end(s);
}

/* How many changes the writer was asked for. */
static uint64_t
changes_of(struct session *s, const char *line, const char *want)
{
	struct volume_status before, after;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_status(fx_v, &before, &e), RC_OK);
	assert_int_equal(turns_of(s, line, want), 0);
	assert_int_equal(volume_get_status(fx_v, &after, &e), RC_OK);
	return after.changes - before.changes;
}

/* Where columns are as new as all that was told, what changes nothing is no change. */
static void
test_nothing_changes(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 300);
	fx_store(rig_inbox(), 5, 5, STORE_REPLACE, FLAG_SEEN, "k");
	s = rig_selected();
	(void)rig_send(s, "1 UID FETCH 1:* (FLAGS)");
	assert_int_equal(changes_of(s, "2 STORE 5 +FLAGS (\\Seen)",
	    "* 5 FETCH (FLAGS (\\Seen \\Recent k))\r\n2 OK STORE completed\r\n"), 0);
	assert_int_equal(changes_of(s, "3 UID STORE 5:6 -FLAGS (\\Draft)",
	    "* 5 FETCH (UID 5 FLAGS (\\Seen \\Recent k))\r\n"
	    "* 6 FETCH (UID 6 FLAGS (\\Recent))\r\n3 OK UID STORE completed\r\n"), 0);
	assert_int_equal(changes_of(s, "4 STORE 5:6 +FLAGS.SILENT (\\Seen)", "4 OK STORE completed\r\n"), 1);
	assert_int_equal(changes_of(s, "5 STORE 5:6 +FLAGS.SILENT (\\Seen)", "5 OK STORE completed\r\n"), 0);
	assert_int_equal(changes_of(s, "6 STORE 6 FLAGS (\\Seen)",
	    "* 6 FETCH (FLAGS (\\Seen \\Recent))\r\n6 OK STORE completed\r\n"), 0);
	assert_int_equal(changes_of(s, "7 STORE 6 -FLAGS.SILENT (\\Seen)", "7 OK STORE completed\r\n"), 1);
	assert_int_equal(changes_of(s, "7 STORE 6 FLAGS.SILENT (\\Seen)", "7 OK STORE completed\r\n"), 1);
	assert_int_equal(changes_of(s, "7 STORE 6 FLAGS.SILENT ()", "7 OK STORE completed\r\n"), 1);
	assert_int_equal(changes_of(s, "8 STORE 6 -FLAGS (\\Seen \\Draft)",
	    "* 6 FETCH (FLAGS (\\Recent))\r\n8 OK STORE completed\r\n"), 0);
	assert_int_equal(changes_of(s, "9 STORE 5 FLAGS (\\Seen)",
	    "* 5 FETCH (FLAGS (\\Seen \\Recent))\r\n9 OK STORE completed\r\n"), 1);
	(void)rig_send(s, "10 ENABLE CONDSTORE");
	assert_int_equal(changes_of(s, "11 STORE 6 -FLAGS.SILENT (\\Draft)", "11 OK STORE completed\r\n"), 1);
	(void)rig_send(s, "12 UID FETCH 1:* (FLAGS)");
	assert_int_equal(changes_of(s, "13 STORE 6 -FLAGS.SILENT (\\Draft)", "13 OK STORE completed\r\n"), 0);
	fx_store(rig_inbox(), 6, 6, STORE_ADD, FLAG_DRAFT, "");
	(void)rig_send(s, "14 STORE 6 -FLAGS.SILENT (\\Draft)");
	assert_int_equal(fx_rows(rig_inbox(), 0, &(size_t){ 0 })[5].flags, 0);
	rig_end(s);
}

/* What others have expunged, and what has a condition, is the writer's also where the flags stay. */
static void
test_nothing_changes_for_the_writer(void **state)
{
	static const char gone[] = "[EXPUNGEISSUED] Some of the messages no longer exist; the others were changed\r\n";
	struct session *s;
	char want[200];

	(void)state;
	fx_append_n(rig_inbox(), 300);
	fx_store(rig_inbox(), 1, 300, STORE_ADD, FLAG_SEEN, "");
	s = rig_selected();
	(void)rig_send(s, "1 UID FETCH 1:* (FLAGS)");
	fx_expunge(rig_inbox(), 7, 7);
	(void)rig_send(s, "2 FETCH 1:* (FLAGS)");
	(void)snprintf(want, sizeof want, "* 6 FETCH (FLAGS (\\Seen \\Recent))\r\n3 NO %s", gone);
	assert_int_equal(changes_of(s, "3 STORE 6:7 +FLAGS (\\Seen)", want), 1);
	assert_int_equal(changes_of(s, "4 STORE 6:7 +FLAGS.SILENT (\\Seen)", "4 OK STORE completed\r\n"), 1);
	assert_int_equal(changes_of(s, "5 STORE 6,8 +FLAGS.SILENT (\\Seen)", "5 OK STORE completed\r\n"), 0);
	rig_expect(s, "6 UID STORE 7:8 +FLAGS (\\Seen)", "* 8 FETCH (UID 8 FLAGS (\\Seen \\Recent))\r\n"
	           "* 7 EXPUNGE\r\n6 OK UID STORE completed\r\n");
	assert_int_equal(changes_of(s, "7 STORE 7 +FLAGS (\\Seen)",
	    "* 7 FETCH (FLAGS (\\Seen \\Recent))\r\n7 OK STORE completed\r\n"), 0);
	assert_non_null(strstr(rig_send(s, "8 STORE 7 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)"), "8 OK [MODIFIED 7] "));
	rig_end(s);
}

/* What "$" stands for may be many ranges, though little is left of them. */
static void
test_light_saved(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 1100);
	s = rig_selected();
	for (mail_uid u = 2; u <= 1040; u += 2)
		fx_store(rig_inbox(), u, u, STORE_ADD, FLAG_FLAGGED, "");
	(void)rig_send(s, "1 SEARCH RETURN (SAVE) FLAGGED");
	fx_expunge(rig_inbox(), 2, 1033);
	(void)rig_send(s, "2 NOOP");
	ASSERT_TURNS(s, "3 STORE $ +FLAGS.SILENT (\\Flagged)", "3 OK STORE completed\r\n");
	(void)rig_send(s, "4 SEARCH RETURN (SAVE) 1");
	ASSERT_LIGHT(s, "5 STORE $ +FLAGS.SILENT (\\Seen)", "5 OK STORE completed\r\n");
	rig_end(s);
}

/* What others did is told, and counts as known from then on. */
static void
test_light_beside_others(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 3);
	s = rig_selected();
	(void)rig_send(s, "1 FETCH 1 UID");
	fx_store(rig_inbox(), 1, 1, STORE_ADD, FLAG_DRAFT, "");
	ASSERT_TURNS(s, "2 STORE 2 +FLAGS.SILENT (\\Seen)",
	             "* 1 FETCH (FLAGS (\\Draft \\Recent))\r\n2 OK STORE completed\r\n");
	ASSERT_LIGHT(s, "3 STORE 3 +FLAGS.SILENT (\\Seen)", "3 OK STORE completed\r\n");
	fx_append_n(rig_inbox(), 1);
	rig_expect(s, "4 NOOP", "* 4 EXISTS\r\n* 4 RECENT\r\n4 OK NOOP completed\r\n");
	ASSERT_LIGHT(s, "5 NOOP", "5 OK NOOP completed\r\n");
	fx_expunge(rig_inbox(), 3, 3);
	ASSERT_TURNS(s, "6 STORE 1 +FLAGS (\\Seen)",
	             "* 1 FETCH (FLAGS (\\Seen \\Draft \\Recent))\r\n6 OK STORE completed\r\n");
	rig_expect(s, "7 UID STORE 1 +FLAGS.SILENT (\\Flagged)",
	             "* 3 EXPUNGE\r\n7 OK UID STORE completed\r\n");
	ASSERT_LIGHT(s, "8 NOOP", "8 OK NOOP completed\r\n");
	rig_end(s);
}

/* Others' changes that came just before it: a MODSEQ that covers them is not told without the flags. */
static void
test_silent_tells_what_it_covers(void **state)
{
	static const char want[] = ") FLAGS (\\Flagged \\Seen \\Recent))";
	struct session *s;
	const char *said;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	s = rig_selected();
	(void)rig_send(s, "1 ENABLE CONDSTORE");
	(void)rig_send(s, "2 FETCH 1 UID");
	imap_world_mute(rig_world);
	fx_store(rig_inbox(), 1, 1, STORE_ADD, FLAG_FLAGGED, "");
	said = rig_send(s, "3 STORE 1:2 +FLAGS.SILENT (\\Seen)");
	assert_ptr_equal(strstr(said, "* 1 FETCH (UID 1 MODSEQ ("), said);
	assert_ptr_equal(strstr(said, want) + strlen(want), strstr(said, "\r\n"));
	rig_end(s);
}

/* More rows than the writer gives back. */
static void
test_many_are_read(void **state)
{
	struct session *s;
	const char *said;

	(void)state;
	fx_append_n(rig_inbox(), STORE_ROWS_MAX + 1);
	s = rig_selected();
	said = rig_send(s, "1 STORE 1:* +FLAGS (\\Seen)");
	for (unsigned i = 1; i <= STORE_ROWS_MAX + 1; i++) {
		char line[80];

		(void)snprintf(line, sizeof line, "* %u FETCH (FLAGS (\\Seen \\Recent))\r\n", i);
		assert_memory_equal(said, line, strlen(line));
		said += strlen(line);
	}
	assert_string_equal(said, "1 OK STORE completed\r\n");
	rig_end(s);
}

/* ---- COPY and MOVE ---- */

/* "[COPYUID n " of the mailbox. */
static const char *
copyuid(const char *box, const char *format)
{
	static char text[300];

	(void)snprintf(text, sizeof text, format, fx_mailbox(rig_account, box).uidvalidity);
	return text;
}

static void
test_copy(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 4);
	fx_store(rig_inbox(), 4, 4, STORE_ADD, FLAG_FLAGGED, "$k");
	s = rig_selected();
	rig_expect(s, "1 COPY 2,4 Archive",
	           copyuid("Archive", "1 OK [COPYUID %u 2,4 1:2] COPY completed\r\n"));
	rig_expect(s, "2 UID COPY 1 \"Archive\"",
	           copyuid("Archive", "2 OK [COPYUID %u 1 3] UID COPY completed\r\n"));
	rig_expect(s, "3 UID COPY 50:60 Archive", "3 OK UID COPY completed\r\n");
	rig_expect(s, "4 COPY 1 nowhere", "4 NO [TRYCREATE] No such mailbox\r\n");
	rig_expect(s, "5 COPY 5 Archive", "5 BAD Message number 5 of 4 is not there\r\n");
	rig_expect(s, "6 COPY 3 INBOX",
	           copyuid("INBOX",
	                   "* 5 EXISTS\r\n* 5 RECENT\r\n6 OK [COPYUID %u 3 5] COPY completed\r\n"));
	(void)rig_send(s, "7 SELECT Archive");
	rig_expect(s, "8 FETCH 2 (UID FLAGS)",
	           "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent $k))\r\n8 OK FETCH completed\r\n");
	rig_end(s);
}

static void
test_move(void **state)
{
	struct session *s, *other;

	(void)state;
	fx_append_n(rig_inbox(), 5);
	s = rig_selected();
	other = rig_selected();
	rig_expect(s, "1 MOVE 2:3 Archive", copyuid("Archive", "* OK [COPYUID %u 2:3 1:2] Moved\r\n"
	           "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n1 OK MOVE completed\r\n"));
	rig_expect(s, "2 UID MOVE 5 Archive", copyuid("Archive", "* OK [COPYUID %u 5 3] Moved\r\n"
	           "* 3 EXPUNGE\r\n2 OK UID MOVE completed\r\n"));
	rig_expect(s, "3 MOVE 1 nowhere", "3 NO [TRYCREATE] No such mailbox\r\n");
	rig_expect(s, "4 UID MOVE 3 Archive", "4 OK UID MOVE completed\r\n");
	rig_expect(s, "5 FETCH 1:* UID",
	           "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 4)\r\n5 OK FETCH completed\r\n");
	rig_expect(other, "6 NOOP",
	           "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n6 OK NOOP completed\r\n");
	(void)rig_send(other, "7 EXAMINE INBOX");
	rig_expect(other, "8 MOVE 1 Archive",
	           "8 NO [READ-ONLY] The mailbox was opened with EXAMINE\r\n");
	rig_end(s);
	rig_end(other);
}

static void
test_over_quota(void **state)
{
	struct change *c;
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = rig_account;
	c->u.account.quota_bytes = 300;
	assert_int_equal(fx_run(c), RC_OK);
	s = rig_selected();
	rig_expect(s, "1 COPY 1:2 Archive", "1 NO [OVERQUOTA] Quota exceeded\r\n");
	(void)rig_send(s, "2 SELECT Archive");
	assert_int_equal(rig_imap(s)->view.exists, 0);
	rig_end(s);
}

/* ---- EXPUNGE ---- */

static void
test_expunge(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 6);
	s = rig_selected();
	(void)rig_send(s, "1 STORE 1,3:4,6 +FLAGS.SILENT (\\Deleted)");
	rig_expect(s, "2 UID EXPUNGE 2:3", "* 3 EXPUNGE\r\n2 OK UID EXPUNGE completed\r\n");
	rig_expect(s, "3 EXPUNGE",
	           "* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n3 OK EXPUNGE completed\r\n");
	rig_expect(s, "4 EXPUNGE", "4 OK EXPUNGE completed\r\n");
	rig_expect(s, "5 UID EXPUNGE 1:*", "5 OK UID EXPUNGE completed\r\n");
	rig_expect(s, "6 UID SEARCH ALL", "* SEARCH 2 5\r\n6 OK UID SEARCH completed\r\n");
	rig_expect(s, "7 EXPUNGE 1", "7 BAD EXPUNGE: expected end of command\r\n");
	(void)rig_send(s, "8 EXAMINE INBOX");
	rig_expect(s, "9 EXPUNGE", "9 NO [READ-ONLY] The mailbox was opened with EXAMINE\r\n");
	rig_end(s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_operations, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_refused, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_too_many_keywords, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_expunged_by_others, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_many, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_light, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_changes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_changes_for_the_writer, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_light_saved, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_light_beside_others, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_silent_tells_what_it_covers, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_many_are_read, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_copy, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_move, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_over_quota, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_expunge, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests_name("imap_store", tests, NULL, NULL);
}
