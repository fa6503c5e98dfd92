/* FETCH modifiers [RFC 7162, RFC 9394] and the items of extensions, over a real volume. */
#include "tests/unit/imap_rig.h"

static struct session *s;

static int
setup(void **state)
{
	int rc = rig_setup(state);

	fx_append_n(rig_inbox(), 10);
	s = rig_selected();
	return rc;
}

static int
teardown(void **state)
{
	rig_end(s);
	return rig_teardown(state);
}

static unsigned long long
highest(void)
{
	struct mailbox_info box;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_mailbox(fx_v, rig_inbox(), &fx_arena, &box, &e), RC_OK);
	return box.highestmodseq;
}

static const char *
ask(const char *fmt, unsigned long long modseq)
{
	char line[200];

	(void)snprintf(line, sizeof line, fmt, modseq);
	return rig_send(s, line);
}

/* The answers come as written, with these MODSEQs. */
static void
expect_modseqs(const char *said, const char *fmt, unsigned long long a, unsigned long long b)
{
	char want[400];

	(void)snprintf(want, sizeof want, fmt, a, b);
	assert_string_equal(said, want);
}

static void
test_changedsince(void **state)
{
	unsigned long long before, first, second;

	(void)state;
	(void)rig_send(s, "1 FETCH 1 MODSEQ");
	before = highest();
	fx_store(rig_inbox(), 7, 7, STORE_ADD, FLAG_FLAGGED, "");
	first = highest();
	fx_store(rig_inbox(), 3, 3, STORE_ADD, FLAG_DELETED, "");
	second = highest();
	(void)rig_send(s, "2 NOOP");
	expect_modseqs(ask("3 FETCH 1:* FLAGS (CHANGEDSINCE %llu)", before),
	    "* 3 FETCH (MODSEQ (%llu) FLAGS (\\Deleted \\Recent))\r\n"
	    "* 7 FETCH (MODSEQ (%llu) FLAGS (\\Flagged \\Recent))\r\n3 OK FETCH completed\r\n",
	    second, first);
	expect_modseqs(ask("4 UID FETCH 1:5 (FLAGS) (changedsince %llu)", before),
	               "* 3 FETCH (UID 3 MODSEQ (%llu) FLAGS (\\Deleted \\Recent))\r\n4 OK UID "
	               "FETCH completed\r\n",
	               second, 0);
	expect_modseqs(ask("5 FETCH 1:* UID (CHANGEDSINCE %llu)", first),
	               "* 3 FETCH (MODSEQ (%llu) UID 3)\r\n5 OK FETCH completed\r\n", second, 0);
	assert_string_equal(ask("6 FETCH 1:* UID (CHANGEDSINCE %llu)", second),
	                    "6 OK FETCH completed\r\n");
	/* From a state that was lost: as 0. */
	assert_non_null(
	    strstr(ask("7 FETCH 1:* UID (CHANGEDSINCE %llu)", second + 1), "* 10 FETCH (MODSEQ ("));
	assert_non_null(
	    strstr(rig_send(s, "8 FETCH 1:* UID (CHANGEDSINCE 0)"), "* 10 FETCH (MODSEQ ("));
}

/* More changes than are listed at once: every row is looked at instead. */
static void
test_many_changes(void **state)
{
	unsigned long long before;
	const char *said;
	char line[60];

	(void)state;
	fx_append_n(rig_inbox(), 8300);
	(void)rig_send(s, "0 FETCH 1 MODSEQ");
	before = highest();
	fx_store(rig_inbox(), 11, 8310, STORE_ADD, FLAG_FLAGGED, "");
	(void)rig_send(s, "1 NOOP");
	said = ask("2 UID FETCH 1:* FLAGS (CHANGEDSINCE %llu)", before);
	assert_memory_equal(said, "* 11 FETCH (UID 11 MODSEQ (", 27);
	for (unsigned uid = 11; uid <= 8310; uid++) {
		(void)snprintf(line, sizeof line, "* %u FETCH (UID %u MODSEQ (", uid, uid);
		said = strstr(said, line);
		assert_non_null(said);
	}
	assert_non_null(strstr(said, "\r\n2 OK UID FETCH completed\r\n"));
}

/* The \Seen that a FETCH sets goes to those that changed alone, and is told with its MODSEQ. */
static void
test_seen(void **state)
{
	unsigned long long before;
	char want[200];

	(void)state;
	(void)rig_send(s, "1 FETCH 1 MODSEQ");
	before = highest();
	fx_store(rig_inbox(), 2, 2, STORE_ADD, FLAG_FLAGGED, "");
	(void)rig_send(s, "2 NOOP");
	assert_non_null(
	    strstr(ask("3 FETCH 1:3 BODY[TEXT]<0.1> (CHANGEDSINCE %llu)", before), "3 OK "));
	assert_string_equal(rig_send(s, "4 SEARCH SEEN"),
	                    "* SEARCH 2\r\n4 OK SEARCH completed\r\n");
	(void)rig_send(s, "5 FETCH 4 BODY[TEXT]<0.1>");
	(void)snprintf(want, sizeof want,
	    "* 4 FETCH (UID 4 MODSEQ (%llu) FLAGS (\\Seen \\Recent) BODY[TEXT]<0> {1}\r\nA)\r\n"
	    "5 OK FETCH completed\r\n",
	    highest());
	assert_string_equal((const char *)rig_text.ptr, want);
	rig_imap(s)->qresync = true;
	(void)rig_send(s, "6 FETCH 5 BODY[TEXT]<0.1>");
	assert_memory_equal(rig_text.ptr, "* 5 FETCH (UID 5 MODSEQ (", 25);
}

static void
test_vanished(void **state)
{
	unsigned long long before;

	(void)state;
	(void)rig_send(s, "1 FETCH 1 MODSEQ");
	rig_imap(s)->qresync = true;
	before = highest();
	fx_expunge(rig_inbox(), 2, 4);
	fx_expunge(rig_inbox(), 9, 10);
	/* The client still counts them: not EARLIER. */
	assert_null(
	    strstr(ask("2 UID FETCH 1:* FLAGS (CHANGEDSINCE %llu VANISHED)", before), "EARLIER"));
	(void)rig_send(s, "3 NOOP");
	assert_string_equal(ask("4 UID FETCH 1:* FLAGS (CHANGEDSINCE %llu VANISHED)", before),
	                    "* VANISHED (EARLIER) 2:4,9:10\r\n4 OK UID FETCH completed\r\n");
	assert_string_equal(ask("5 UID FETCH 3:9 FLAGS (VANISHED CHANGEDSINCE %llu)", before),
	                    "* VANISHED (EARLIER) 3:4,9\r\n5 OK UID FETCH completed\r\n");
	assert_string_equal(ask("6 UID FETCH 5:8 FLAGS (VANISHED CHANGEDSINCE %llu)", before),
	                    "6 OK UID FETCH completed\r\n");
	assert_memory_equal(rig_send(s, "8 UID FETCH 3:4294967295 FLAGS (VANISHED CHANGEDSINCE 0)"),
	                    "* VANISHED (EARLIER) 3:4,9:10\r\n", 31);
	assert_string_equal(ask("7 UID FETCH 1:* FLAGS (VANISHED CHANGEDSINCE %llu)", highest()),
	                    "7 OK UID FETCH completed\r\n");
}

static void
test_refused(void **state)
{
	(void)state;
	rig_expect(s, "1 FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
	           "1 BAD VANISHED is for UID FETCH\r\n");
	rig_expect(s, "2 UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
	           "2 BAD VANISHED needs ENABLE QRESYNC\r\n");
	rig_expect(s, "3 UID FETCH 1 FLAGS (VANISHED)",
	           "3 BAD VANISHED goes with CHANGEDSINCE\r\n");
	rig_expect(s, "4 FETCH 1 FLAGS (PARTIAL 1:2)", "4 BAD PARTIAL is for UID FETCH\r\n");
	rig_expect(s, "5 FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 1)",
	           "5 BAD FETCH: expected each modifier once\r\n");
	rig_expect(s, "6 FETCH 1 FLAGS (ODD 1)",
	           "6 BAD FETCH: expected CHANGEDSINCE, VANISHED or PARTIAL\r\n");
	rig_expect(s, "7 FETCH 1 FLAGS ()",
	           "7 BAD FETCH: expected CHANGEDSINCE, VANISHED or PARTIAL\r\n");
}

static void
test_partial(void **state)
{
	static const struct { const char *range, *uids; } cases[] = {
		{ "1:2", "1 6" }, { "2:1", "1 6" }, { "3:3", "7" }, { "5:9", "9 10" }, { "7:9", "" },
		{ "-1:-2", "9 10" }, { "-2:-1", "9 10" }, { "-3:-3", "8" }, { "-5:-9", "1 6" }, { "-7:-9", "" },
		{ "1:4294967295", "1 6 7 8 9 10" }, { "-1:-4294967295", "1 6 7 8 9 10" },
	};
	static const char *const wrong[] = { "1", "0:1", "1:*", "-1:2", "1:-2", "-1", "",
	                                     "1:4294967296" };
	char line[100], want[300];

	(void)state;
	fx_expunge(rig_inbox(), 2, 5);
	(void)rig_send(s, "1 NOOP");
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		size_t n = 0;
		char list[40], *save = NULL;

		(void)snprintf(list, sizeof list, "%s", cases[i].uids);
		want[0] = 0;
		for (char *uid = strtok_r(list, " ", &save); uid != NULL;
		     uid = strtok_r(NULL, " ", &save))
			n += (size_t)snprintf(want + n, sizeof want - n, "* %d FETCH (UID %s)\r\n",
			                      atoi(uid) > 5 ? atoi(uid) - 4 : atoi(uid), uid);
		(void)snprintf(want + n, sizeof want - n, "2 OK UID FETCH completed\r\n");
		(void)snprintf(line, sizeof line, "2 UID FETCH 1:* UID (PARTIAL %s)",
		               cases[i].range);
		rig_expect(s, line, want);
	}
	for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
		(void)snprintf(line, sizeof line, "3 UID FETCH 1:* UID (PARTIAL %s)", wrong[i]);
		assert_memory_equal(rig_send(s, line), "3 BAD UID FETCH: expected ", 26);
	}
}

/* PARTIAL first, then CHANGEDSINCE among those [RFC 9394 s3.4]. */
static void
test_partial_changedsince(void **state)
{
	unsigned long long before;
	char want[100];

	(void)state;
	(void)rig_send(s, "1 FETCH 1 MODSEQ");
	before = highest();
	fx_store(rig_inbox(), 9, 9, STORE_ADD, FLAG_FLAGGED, "");
	(void)snprintf(want, sizeof want,
	    "* 9 FETCH (MODSEQ (%llu) UID 9)\r\n3 OK UID FETCH completed\r\n", highest());
	fx_store(rig_inbox(), 2, 2, STORE_ADD, FLAG_FLAGGED, "");
	(void)rig_send(s, "2 NOOP");
	assert_string_equal(ask("3 UID FETCH 1:* UID (PARTIAL -1:-3 CHANGEDSINCE %llu)", before),
	                    want);
	assert_string_equal(ask("3 UID FETCH 1:* UID (CHANGEDSINCE %llu PARTIAL -1:-3)", before),
	                    want);
	assert_string_equal(ask("4 UID FETCH 1:* UID (CHANGEDSINCE %llu PARTIAL 3:5)", before),
	                    "4 OK UID FETCH completed\r\n");
}

static void
test_uidonly(void **state)
{
	(void)state;
	rig_imap(s)->uidonly = true;
	rig_expect(s, "1 UID FETCH 2 FLAGS",
	           "* 2 UIDFETCH (FLAGS (\\Recent))\r\n1 OK UID FETCH completed\r\n");
	rig_expect(s, "2 UID FETCH 2 (FLAGS UID)",
	           "* 2 UIDFETCH (FLAGS (\\Recent) UID 2)\r\n2 OK UID FETCH completed\r\n");
}

/* Fixed for ever. */
static void
test_object_ids(void **state)
{
	static const char want[] = "* 1 FETCH (EMAILID (E";
	const char *said;
	char first[41];

	(void)state;
	said = rig_send(s, "1 FETCH 1 EMAILID");
	assert_memory_equal(said, want, sizeof want - 1);
	assert_int_equal(strspn(said + sizeof want - 1, "0123456789abcdef"), 40);
	memcpy(first, said + sizeof want - 1, 40);
	first[40] = 0;
	said = rig_send(s, "2 FETCH 2 EMAILID");
	assert_non_null(strstr(said, first));
	(void)fx_append(rig_inbox(), SLICE("Subject: other\r\n\r\nother\r\n"), 0, "");
	(void)rig_send(s, "3 NOOP");
	said = rig_send(s, "4 FETCH 11 (EMAILID)");
	assert_null(strstr(said, first));
}

static void
test_savedate(void **state)
{
	const char *said = rig_send(s, "1 FETCH 1 SAVEDATE");

	(void)state;
	assert_memory_equal(said, "* 1 FETCH (SAVEDATE \"", 21);
	assert_string_equal(said + 21 + 26, "\")\r\n1 OK FETCH completed\r\n");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changedsince, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vanished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partial, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partial_changedsince, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uidonly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_object_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_savedate, setup, teardown),
	};

	return cmocka_run_group_tests_name("imap_fetch_modifiers", tests, NULL, NULL);
}
