/* ENABLE, CONDSTORE, QRESYNC, UIDONLY: what is told in which form, and what a returning client
 * gets. MODSEQs are written "<n>": so many above that of the mailbox when mark() was called. */
#include "tests/unit/imap_rig.h"

#include <stdlib.h>

static mail_modseq marked;

static void
mark(void)
{
	marked = fx_mailbox(rig_account, "INBOX").highestmodseq;
}

/* `text` with MODSEQs for "<n>", UIDVALIDITY and MAILBOXID of INBOX for "<v>" and "<m>"; good until
 * the next call but one. */
static const char *
with_numbers(const char *text)
{
	static char made[2][8192];
	static unsigned turn;
	char *out = made[turn++ % 2], *p = out;

	while (*text != '\0') {
		char *end;

		if (*text != '<') {
			*p++ = *text++;
		} else if (text[1] == 'v') {
			p += sprintf(p, "%u", fx_mailbox(rig_account, "INBOX").uidvalidity);
			text += 3;
		} else if (text[1] == 'm') {
			struct mailbox_info box = fx_mailbox(rig_account, "INBOX");

			for (unsigned i = 0; i < MAILBOXID_LEN; i++)
				p += sprintf(p, "%02x", box.mailboxid[i]);
			text += 3;
		} else {
			p += sprintf(p, "%llu",
			    (unsigned long long)(marked +
			                         (mail_modseq)strtoll(text + 1, &end, 10)));
			text = end + 1;
		}
	}
	*p = '\0';
	return out;
}

static void
expect(struct session *s, const char *line, const char *want)
{
	assert_string_equal(rig_send(s, with_numbers(line)), with_numbers(want));
}

/* INBOX with `n` messages, selected after ENABLE of `what`. */
static struct session *
enabled(const char *what, uint32_t n)
{
	struct session *s = rig_session();
	char line[100];

	if (n > 0)
		fx_append_n(rig_inbox(), n);
	(void)snprintf(line, sizeof line, "e ENABLE %s", what);
	(void)rig_send(s, line);
	(void)rig_send(s, "s SELECT INBOX");
	mark();
	return s;
}

/* ---- ENABLE ---- */

static void
test_enable(void **state)
{
	struct session *s = rig_session();

	(void)state;
	rig_expect(s, "1 ENABLE x-y condstore", "* ENABLED CONDSTORE\r\n1 OK ENABLE completed\r\n");
	rig_expect(s, "2 ENABLE CONDSTORE QRESYNC ID",
	           "* ENABLED QRESYNC\r\n2 OK ENABLE completed\r\n");
	rig_expect(s, "3 ENABLE IMAP4rev2 UTF8=ACCEPT",
	           "* ENABLED IMAP4rev2 UTF8=ACCEPT\r\n3 OK ENABLE completed\r\n");
	assert_true(rig_imap(s)->utf8);
	rig_expect(s, "4 ENABLE UIDONLY", "* ENABLED UIDONLY\r\n4 OK ENABLE completed\r\n");
	rig_expect(s, "5 ENABLE UIDONLY QRESYNC IMAP4rev2",
	           "* ENABLED\r\n5 OK ENABLE completed\r\n");
	rig_expect(s, "6 ENABLE (", "6 BAD ENABLE: expected atom\r\n");
	rig_end(s);
	s = rig_session();
	rig_expect(s, "1 ENABLE QRESYNC CONDSTORE",
	           "* ENABLED CONDSTORE QRESYNC\r\n1 OK ENABLE completed\r\n");
	rig_end(s);
}

/* ENABLE QRESYNC alone makes a client CONDSTORE-aware; with a mailbox open it is told
 * where it stands. */
static void
test_enable_while_selected(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 1);
	s = rig_selected();
	mark();
	expect(s, "1 ENABLE QRESYNC",
	       "* OK [HIGHESTMODSEQ <0>] MODSEQs are told from now on\r\n* ENABLED QRESYNC\r\n1 OK "
	       "ENABLE completed\r\n");
	expect(s, "2 STORE 1 FLAGS (\\Seen)",
	    "* 1 FETCH (UID 1 MODSEQ (<1>) FLAGS (\\Seen \\Recent))\r\n2 OK STORE completed\r\n");
	rig_end(s);
}

static void
test_rev2_select(void **state)
{
	struct session *s = rig_session();

	(void)state;
	(void)rig_send(s, "1 ENABLE IMAP4rev2");
	fx_append_n(rig_inbox(), 1);
	mark();
	expect(s, "2 SELECT inbox",
	       "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
	       "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] "
	       "Flags are kept\r\n"
	       "* 1 EXISTS\r\n* OK [UIDVALIDITY <v>] UIDs are valid\r\n* OK [UIDNEXT 2] "
	       "Predicted next UID\r\n"
	       "* OK [MAILBOXID (M<m>)] The mailbox, whatever its name\r\n"
	       "* OK [HIGHESTMODSEQ <0>] Highest\r\n* LIST (\\HasNoChildren) \"/\" INBOX "
	       "(\"OLDNAME\" (inbox))\r\n"
	       "2 OK [READ-WRITE] SELECT completed\r\n");
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, rig_account, "caf\xc3\xa9", ""),
	                 RC_OK);
	assert_non_null(strstr(rig_send(s, "3 EXAMINE \"cafe\xcc\x81\""),
	    "* LIST (\\HasNoChildren) \"/\" \"caf\xc3\xa9\" (\"OLDNAME\" (\"cafe\xcc\x81\"))\r\n"));
	assert_null(strstr(rig_send(s, "4 EXAMINE \"caf\xc3\xa9\""), "OLDNAME"));
	assert_non_null(strstr(rig_send(s, "5 SELECT Drafts"),
	                       "* LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\r\n"));
	rig_expect(s, "6 CHECK", "6 BAD CHECK is not in IMAP4rev2, use NOOP\r\n");
	rig_end(s);
}

/* ---- the parameters ---- */

static const struct param_case {
	const char *name, *params, *want;
} params[] = {
	{ "param: CONDSTORE", "(CONDSTORE)", "OK" },
	{ "param: lower case", "(condstore)", "OK" },
	{ "param: QRESYNC", "(QRESYNC (1 2))", "OK" },
	{ "param: both", "(CONDSTORE QRESYNC (1 2 3))", "OK" },
	{ "param: known UIDs", "(QRESYNC (1 2 1:3,5))", "OK" },
	{ "param: match alone", "(QRESYNC (1 2 (1:2 5:6)))", "OK" },
	{ "param: all four", "(QRESYNC (1 2 1:7 (1,3 5,7)))", "OK" },
	{ "param: match over unequal runs", "(QRESYNC (1 2 1:7 (1:4 5,6:7,9)))", "OK" },
	{ "param: MODSEQ 0", "(QRESYNC (1 0))", "OK" },
	{ "param: largest MODSEQ", "(QRESYNC (1 9223372036854775807))", "OK" },
	{ "param: none", "()", "CONDSTORE or one QRESYNC" },
	{ "param: unknown", "(ANNOTATE)", "CONDSTORE or one QRESYNC" },
	{ "param: longer word", "(CONDSTOREX)", "one space" },
	{ "param: QRESYNC twice", "(QRESYNC (1 2) QRESYNC (1 2))", "CONDSTORE or one QRESYNC" },
	{ "param: not closed", "(CONDSTORE", "one space" },
	{ "param: more behind", "(CONDSTORE) x", "end of command" },
	{ "param: without value", "(QRESYNC)", "one space" },
	{ "param: UIDVALIDITY 0", "(QRESYNC (0 2))", "nz-number" },
	{ "param: no MODSEQ", "(QRESYNC (1))", "one space" },
	{ "param: MODSEQ too large", "(QRESYNC (1 9223372036854775808))", "number below 2^63" },
	{ "param: star in known", "(QRESYNC (1 2 1:*))", "numbers without *" },
	{ "param: $ in known", "(QRESYNC (1 2 $))", "numbers" },
	{ "param: star in match", "(QRESYNC (1 2 (1 *)))", "numbers without *" },
	{ "param: half a match", "(QRESYNC (1 2 (1)))", "one space" },
	{ "param: match counts differ", "(QRESYNC (1 2 (1:2 5)))", "as many sequence numbers as UIDs, ascending" },
	{ "param: match descends", "(QRESYNC (1 2 (2,1 5,6)))", "as many sequence numbers as UIDs, ascending" },
	{ "param: match range descends", "(QRESYNC (1 2 (2:1 5:6)))", "as many sequence numbers as UIDs, ascending" },
	{ "param: five", "(QRESYNC (1 2 3 (1 1) 4))", "expected )" },
};

static void
select_with(struct session *s, struct slice params_text, const char *want)
{
	char line[200];
	const char *said;

	(void)snprintf(line, sizeof line, "1 SELECT INBOX %.*s", SLICE_ARG(params_text));
	said = rig_send(s, line);
	if (want == NULL)
		assert_non_null(strstr(said, "1 BAD "));
	else if (strcmp(want, "OK") == 0)
		assert_non_null(strstr(said, "1 OK "));
	else
		assert_non_null(strstr(said, want));
}

static void
test_param(void **state)
{
	const struct param_case *k = *state;
	struct session *s;

	*state = NULL;
	assert_int_equal(rig_setup(state), 0);
	imap_world_conf(rig_world)->limits.bad_commands = 1000;
	s = rig_session();
	(void)rig_send(s, "e ENABLE QRESYNC");
	select_with(s, slice_str(k->params), k->want);
	for (size_t n = 1; n < strlen(k->params); n++)
		if (strcmp(k->want, "OK") == 0)
			select_with(s, slice_of((const uint8_t *)k->params, n), NULL);
	rig_end(s);
	assert_int_equal(rig_teardown(state), 0);
}

static void
test_param_needs_enable(void **state)
{
	struct session *s;

	(void)state;
	s = rig_selected();
	rig_expect(s, "1 SELECT Drafts (QRESYNC (1 2))",
	           "1 BAD SELECT: QRESYNC needs ENABLE QRESYNC first\r\n");
	assert_int_equal(rig_imap(s)->mailbox, rig_inbox());
	(void)rig_send(s, "2 ENABLE QRESYNC UIDONLY");
	rig_expect(s, "3 SELECT Drafts (QRESYNC (1 2 (1 1)))",
	           "3 BAD [UIDREQUIRED] Message numbers are not allowed after ENABLE UIDONLY\r\n");
	assert_non_null(strstr(rig_send(s, "4 SELECT Drafts (QRESYNC (1 2 1:9))"), "4 OK"));
	rig_end(s);
}

/* ---- CONDSTORE ---- */

static void
test_condstore_by_select(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	s = rig_session();
	(void)rig_send(s, "1 SELECT INBOX (CONDSTORE)");
	mark();
	fx_store(rig_inbox(), 2, 2, STORE_ADD, FLAG_SEEN, "");
	expect(s, "2 NOOP",
	       "* 2 FETCH (UID 2 MODSEQ (<1>) FLAGS (\\Seen \\Recent))\r\n2 OK NOOP completed\r\n");
	expect(s, "3 STORE 1:2 +FLAGS.SILENT (\\Seen)",
	       "* 1 FETCH (UID 1 MODSEQ (<2>))\r\n3 OK STORE completed\r\n");
	expect(s, "4 NOOP", "4 OK NOOP completed\r\n");
	rig_end(s);
}

static void
test_unchangedsince(void **state)
{
	struct session *s;

	(void)state;
	fx_append_n(rig_inbox(), 9);
	fx_expunge(rig_inbox(), 1, 2);
	s = rig_selected();
	mark();
	expect(s, "1 STORE 1 (UNCHANGEDSINCE <0>) +FLAGS.SILENT (\\Flagged)",
	       "* OK [HIGHESTMODSEQ <0>] MODSEQs are told from now on\r\n"
	       "* 1 FETCH (UID 3 MODSEQ (<1>))\r\n1 OK STORE completed\r\n");
	/* Failed: MODIFIED, and what is so instead. Duplicates are one. */
	fx_store(rig_inbox(), 5, 5, STORE_ADD, FLAG_SEEN, "");
	fx_store(rig_inbox(), 6, 6, STORE_ADD, FLAG_DRAFT, "");
	expect(s, "2 STORE 4,2:4 (UNCHANGEDSINCE <1>) +FLAGS.SILENT (\\Deleted)",
	       "* 3 FETCH (UID 5 MODSEQ (<2>) FLAGS (\\Seen \\Recent))\r\n"
	       "* 4 FETCH (UID 6 MODSEQ (<3>) FLAGS (\\Draft \\Recent))\r\n"
	       "* 2 FETCH (UID 4 MODSEQ (<4>))\r\n"
	       "* 3 FETCH (UID 5 MODSEQ (<2>) FLAGS (\\Seen \\Recent))\r\n"
	       "* 4 FETCH (UID 6 MODSEQ (<3>) FLAGS (\\Draft \\Recent))\r\n"
	       "2 OK [MODIFIED 3:4] Some of the messages were changed meanwhile\r\n");
	expect(s, "3 UID STORE 5 (UNCHANGEDSINCE <1>) FLAGS (\\Deleted)",
	       "* 3 FETCH (UID 5 MODSEQ (<2>) FLAGS (\\Seen \\Recent))\r\n"
	       "3 OK [MODIFIED 5] Some of the messages were changed meanwhile\r\n");
	expect(s, "4 STORE 3 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Flagged)",
	       "* 3 FETCH (UID 5 MODSEQ (<2>) FLAGS (\\Seen \\Recent))\r\n"
	       "4 OK [MODIFIED 3] Some of the messages were changed meanwhile\r\n");
	/* What is so already keeps its MODSEQ, and has passed. */
	expect(s, "5 STORE 3 (UNCHANGEDSINCE <2>) +FLAGS.SILENT (\\Seen)",
	       "* 3 FETCH (UID 5 MODSEQ (<2>))\r\n5 OK STORE completed\r\n");
	expect(s, "6 STORE 3 (UNCHANGEDSINCE <2>) +FLAGS (\\Flagged)",
	       "* 3 FETCH (UID 5 MODSEQ (<5>) FLAGS (\\Flagged \\Seen \\Recent))\r\n6 OK "
	       "STORE completed\r\n");
	expect(s, "7 STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) FLAGS ()",
	       "7 BAD STORE: expected )\r\n");
	expect(s, "8 STORE 1 (CHANGEDSINCE 1) FLAGS ()",
	       "8 BAD STORE: expected UNCHANGEDSINCE\r\n");
	expect(s, "9 STORE 1 () FLAGS ()", "9 BAD STORE: expected UNCHANGEDSINCE\r\n");
	rig_end(s);
}

/* UNCHANGEDSINCE 0 sets a keyword only where it is not set (RFC 7162, example 8): who
 * is first, marks. */
static void
test_unchangedsince_zero(void **state)
{
	struct session *s = enabled("CONDSTORE", 2);

	(void)state;
	fx_store(rig_inbox(), 1, 1, STORE_ADD, FLAG_SEEN, "$a $b");
	(void)rig_send(s, "1 NOOP");
	expect(s, "2 STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($B)",
	       "* 1 FETCH (UID 1 MODSEQ (<1>) FLAGS (\\Seen \\Recent $a $b))\r\n"
	       "* 2 FETCH (UID 2 MODSEQ (<2>))\r\n2 OK [MODIFIED 1] Some of the messages were "
	       "changed meanwhile\r\n");
	expect(s, "3 STORE 2 (UNCHANGEDSINCE 0) -FLAGS.SILENT ($a)",
	       "* 2 FETCH (UID 2 MODSEQ (<2>))\r\n3 OK STORE completed\r\n");
	expect(s, "4 STORE 2 (UNCHANGEDSINCE 0) FLAGS.SILENT ($a)",
	       "* 2 FETCH (UID 2 MODSEQ (<2>) FLAGS (\\Recent $b))\r\n"
	       "4 OK [MODIFIED 2] Some of the messages were changed meanwhile\r\n");
	expect(s, "5 STORE 2 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($a \\Seen)",
	       "* 2 FETCH (UID 2 MODSEQ (<2>) FLAGS (\\Recent $b))\r\n"
	       "5 OK [MODIFIED 2] Some of the messages were changed meanwhile\r\n");
	rig_end(s);
}

/* RFC 7162, example 11: some are gone, one fails; and the HIGHESTMODSEQ of section 6. */
static void
test_unchangedsince_and_gone(void **state)
{
	struct session *s = enabled("CONDSTORE", 7);

	(void)state;
	fx_store(rig_inbox(), 2, 2, STORE_ADD, FLAG_DELETED, "");
	fx_expunge(rig_inbox(), 4, 7);
	expect(s, "1 STORE 1:7 (UNCHANGEDSINCE <0>) +FLAGS (\\Seen)",
	       "* 2 FETCH (UID 2 MODSEQ (<1>) FLAGS (\\Deleted \\Recent))\r\n"
	       "* 1 FETCH (UID 1 MODSEQ (<3>) FLAGS (\\Seen \\Recent))\r\n"
	       "* 2 FETCH (UID 2 MODSEQ (<1>) FLAGS (\\Deleted \\Recent))\r\n"
	       "* 3 FETCH (UID 3 MODSEQ (<3>) FLAGS (\\Seen \\Recent))\r\n"
	       "* OK [HIGHESTMODSEQ <0>] Some expunges are not told yet\r\n"
	       "1 NO [MODIFIED 2] Some of the messages no longer exist\r\n");
	expect(s, "2 NOOP", "* 4 EXPUNGE\r\n* 4 EXPUNGE\r\n* 4 EXPUNGE\r\n* 4 EXPUNGE\r\n"
	       "* OK [HIGHESTMODSEQ <3>] All is told\r\n2 OK NOOP completed\r\n");
	expect(s, "3 NOOP", "3 OK NOOP completed\r\n");
	rig_end(s);
}

/* A FETCH without waiting expunges moves what counts as told, also of expunges. */
static void
test_highest_follows(void **state)
{
	struct session *s = enabled("QRESYNC", 3);

	(void)state;
	fx_store(rig_inbox(), 3, 3, STORE_ADD, FLAG_SEEN, "");
	expect(s, "1 FETCH 1 UID",
	       "* 1 FETCH (UID 1)\r\n* 3 FETCH (UID 3 MODSEQ (<1>) FLAGS (\\Seen \\Recent))\r\n"
	       "1 OK FETCH completed\r\n");
	fx_expunge(rig_inbox(), 1, 1);
	fx_store(rig_inbox(), 3, 3, STORE_ADD, FLAG_DRAFT, "");
	expect(s, "2 FETCH 2 UID",
	    "* 2 FETCH (UID 2)\r\n"
	    "* 3 FETCH (UID 3 MODSEQ (<3>) FLAGS (\\Seen \\Draft \\Recent))\r\n"
	    "* OK [HIGHESTMODSEQ <1>] Some expunges are not told yet\r\n2 OK FETCH completed\r\n");
	expect(s, "3 UID STORE 3 FLAGS ()",
	    "* 3 FETCH (UID 3 MODSEQ (<4>) FLAGS (\\Recent))\r\n* VANISHED 1\r\n"
	    "* OK [HIGHESTMODSEQ <4>] All is told\r\n3 OK UID STORE completed\r\n");
	rig_end(s);
}

/* ---- QRESYNC: VANISHED ---- */

static void
test_expunge_and_move(void **state)
{
	struct session *s = enabled("QRESYNC", 9), *other = enabled("UIDONLY", 0);
	const char *said;

	(void)state;
	(void)rig_send(s, "1 STORE 2:4,7 +FLAGS.SILENT (\\Deleted)");
	mark();
	expect(s, "2 UID EXPUNGE 3:4",
	       "* VANISHED 3:4\r\n2 OK [HIGHESTMODSEQ <1>] UID EXPUNGE completed\r\n");
	expect(s, "3 EXPUNGE", "* VANISHED 2,7\r\n3 OK [HIGHESTMODSEQ <2>] EXPUNGE completed\r\n");
	expect(s, "4 EXPUNGE", "4 OK EXPUNGE completed\r\n");
	said = rig_send(s, "5 MOVE 1 Archive");
	assert_memory_equal(said, "* OK [COPYUID ", 14);
	assert_string_equal(strchr(said, '\n') + 1,
	    with_numbers("* VANISHED 1\r\n5 OK [HIGHESTMODSEQ <3>] MOVE completed\r\n"));
	(void)rig_send(s, "6 STORE 1 +FLAGS.SILENT (\\Deleted)");
	expect(s, "7 CLOSE", "7 OK CLOSE completed\r\n");
	expect(other, "8 UID STORE 9 +FLAGS.SILENT (\\Seen)",
	       "* VANISHED 1:5,7\r\n8 OK UID STORE completed\r\n");
	rig_end(s);
	rig_end(other);
}

/* Only what the client has been told of vanishes, once, and never during FETCH, STORE, SEARCH. */
static void
test_vanished_when(void **state)
{
	struct session *s = enabled("QRESYNC", 4);

	(void)state;
	fx_expunge(rig_inbox(), 2, 3);
	fx_append_n(rig_inbox(), 2);
	fx_expunge(rig_inbox(), 5, 5);
	expect(s, "1 SEARCH ALL",
	    "* SEARCH 1 4\r\n* 5 EXISTS\r\n* 5 RECENT\r\n"
	    "* OK [HIGHESTMODSEQ <0>] Some expunges are not told yet\r\n1 OK SEARCH completed\r\n");
	expect(s, "2 NOOP",
	    "* VANISHED 2:3\r\n* OK [HIGHESTMODSEQ <4>] All is told\r\n2 OK NOOP completed\r\n");
	expect(s, "3 NOOP", "3 OK NOOP completed\r\n");
	rig_end(s);
}

/* Long lists come in lines of bounded length, each UID once. */
static void
test_long_vanished(void **state)
{
	struct session *s = enabled("QRESYNC", 9000);
	struct change *c = fx_change(CHANGE_EXPUNGE);
	const char *said;
	struct uid_set told;
	unsigned lines = 0;
	mail_uid next = 1;

	(void)state;
	c->u.expunge.mailbox = rig_inbox();
	c->u.expunge.any = true;
	for (mail_uid u = 1; u <= 9000; u += 2)
		assert_true(uid_set_add(&c->u.expunge.uids, u, u));
	assert_int_equal(fx_run(c), RC_OK);
	imap_set_out_soft(s, 1000);
	said = rig_send(s, "1 NOOP");
	uid_set_init(&told, 10000);
	while (strncmp(said, "* VANISHED ", 11) == 0) {
		said += 11;
		lines++;
		for (;; said++) {
			assert_int_equal(strtoul(said, (char **)(uintptr_t)&said, 10), next);
			next += 2;
			if (*said != ',')
				break;
		}
		said += 2;
	}
	assert_int_equal(next, 9001);
	assert_true(lines == 3);
	assert_string_equal(said, "1 OK NOOP completed\r\n");
	assert_true(imap_largest_output(s) < SESSION_OUT_SOFT);
	assert_int_equal(rig_imap(s)->view.exists, 4500);
	uid_set_fini(&told);
	rig_end(s);
}

/* ---- QRESYNC: coming back ---- */

/* What follows the counters in SELECT's answer. */
static void
resync(struct session *s, const char *params_text, const char *want)
{
	char line[500];
	const char *said;

	(void)snprintf(line, sizeof line, "r SELECT INBOX (QRESYNC (%s))", params_text);
	said = strstr(rig_send(s, with_numbers(line)), "] Highest\r\n");
	assert_non_null(said);
	(void)snprintf(line, sizeof line, "%sr OK [READ-WRITE] SELECT completed\r\n", want);
	assert_string_equal(said + 11, with_numbers(line));
}

/* UIDs 1:10; since the mark 2 and 6:7 are gone, 3 and 9 have changed; 11 is new. */
static struct session *
away(void)
{
	struct session *s = enabled("QRESYNC", 10);

	fx_expunge(rig_inbox(), 5, 5);
	mark();
	fx_expunge(rig_inbox(), 2, 2);
	fx_store(rig_inbox(), 9, 9, STORE_ADD, FLAG_SEEN, "$x");
	fx_expunge(rig_inbox(), 6, 7);
	fx_store(rig_inbox(), 3, 3, STORE_ADD, FLAG_FLAGGED, "");
	fx_append_n(rig_inbox(), 1);
	return s;
}

#define CHANGED_3  "* 2 FETCH (UID 3 MODSEQ (<4>) FLAGS (\\Flagged))\r\n"
#define CHANGED_9  "* 5 FETCH (UID 9 MODSEQ (<2>) FLAGS (\\Seen $x))\r\n"
#define NEW_11     "* 7 FETCH (UID 11 MODSEQ (<5>) FLAGS ())\r\n"

static void
test_resync(void **state)
{
	struct session *s = away();

	(void)state;
	(void)rig_send(s, "1 SELECT INBOX");    /* takes \Recent */
	resync(s, "<v> <0>", "* VANISHED (EARLIER) 2,6:7\r\n" CHANGED_3 CHANGED_9 NEW_11);
	resync(s, "<v> <1> 1:10", "* VANISHED (EARLIER) 6:7\r\n" CHANGED_3 CHANGED_9);
	resync(s, "<v> <4> 1:10", "");
	resync(s, "<v> <5>", "");
	resync(s, "<v> <0> 6,9", "* VANISHED (EARLIER) 6\r\n" CHANGED_9);
	resync(s, "<v> <0> 9:6", "* VANISHED (EARLIER) 6:7\r\n" CHANGED_9);
	resync(s, "<v> <0> 20:4000000000", "");
	resync(s, "1 <0>", "");                 /* another UIDVALIDITY */
	/* From a state that was lost: counts as 0, and what was expunged at any time is told. */
	resync(s, "<v> <6> 2,3,5", "* VANISHED (EARLIER) 2,5\r\n" CHANGED_3);
	resync(s, "<v> 0 2,3,5", "* VANISHED (EARLIER) 2,5\r\n" CHANGED_3);
	/* Match data: 1, 3, 4, 8, 9, 10, 11 are there. */
	resync(s, "<v> <0> 1:10 (1,2 1,3)", "* VANISHED (EARLIER) 6:7\r\n" CHANGED_3 CHANGED_9);
	resync(s, "<v> <0> 1:10 (1:2,7 1,3,12)",
	       "* VANISHED (EARLIER) 6:7\r\n" CHANGED_3 CHANGED_9);
	resync(s, "<v> <0> 1:10 (1,2,5 1,2,9)", CHANGED_3 CHANGED_9);
	resync(s, "<v> <0> (1,2 1,4)", "* VANISHED (EARLIER) 2,6:7\r\n" CHANGED_3 CHANGED_9 NEW_11);
	resync(s, "<v> <0> 1:10 (8:4000000000 1:3999999993)",
	       "* VANISHED (EARLIER) 2,6:7\r\n" CHANGED_3 CHANGED_9);
	rig_end(s);
}

static void
raise_floor(int above_mark)
{
	struct change *c = fx_change(CHANGE_PRUNE);

	c->u.prune = (struct change_prune){ rig_inbox(), marked + (mail_modseq)above_mark };
	assert_int_equal(fx_run(c), RC_OK);
}

/* Below the floor all that is not there is told, of what the client may know; never a
 * UID that exists. */
static void
test_resync_below_the_floor(void **state)
{
	struct session *s = away();

	(void)state;
	(void)rig_send(s, "1 SELECT INBOX");
	raise_floor(3);
	resync(s, "<v> <0>", "* VANISHED (EARLIER) 2,5:7\r\n" CHANGED_3 CHANGED_9 NEW_11);
	resync(s, "<v> <2> 1:10", "* VANISHED (EARLIER) 2,5:7\r\n" CHANGED_3);
	resync(s, "<v> <3> 1:10", CHANGED_3);
	resync(s, "<v> <0> 6,9", "* VANISHED (EARLIER) 6\r\n" CHANGED_9);
	resync(s, "<v> <0> 20:4000000000", "");
	resync(s, "<v> <0> 1:10 (1:2,7 1,3,12)",
	       "* VANISHED (EARLIER) 5:7\r\n" CHANGED_3 CHANGED_9);
	expect(s, "2 UID FETCH 1:6 (FLAGS) (CHANGEDSINCE <0> VANISHED)",
	       "* VANISHED (EARLIER) 2,5:6\r\n" CHANGED_3 "2 OK UID FETCH completed\r\n");
	rig_end(s);
}

/* A volume that was put back: who was there before is told all, and no message has
 * an older MODSEQ. */
static void
test_resync_after_put_back(void **state)
{
	struct session *s = away();
	struct change *c = fx_change(CHANGE_RENEW);

	(void)state;
	(void)rig_send(s, "1 SELECT INBOX");
	(void)rig_send(s, "2 UNSELECT");
	fx_v = imap_world_reopen(rig_world);
	c->u.renew.lives = 1;
	assert_int_equal(fx_run(c), RC_OK);
	mark();
	rig_end(s);
	s = rig_session();
	(void)rig_send(s, "e ENABLE QRESYNC");
	resync(s, "<v> <-1> 1:12",
	    "* VANISHED (EARLIER) 2,5:7,12\r\n"
	    "* 1 FETCH (UID 1 MODSEQ (<0>) FLAGS ())\r\n* 2 FETCH (UID 3 MODSEQ (<0>) FLAGS "
	    "(\\Flagged))\r\n"
	    "* 3 FETCH (UID 4 MODSEQ (<0>) FLAGS ())\r\n* 4 FETCH (UID 8 MODSEQ (<0>) FLAGS ())\r\n"
	    "* 5 FETCH (UID 9 MODSEQ (<0>) FLAGS (\\Seen $x))\r\n* 6 FETCH (UID 10 MODSEQ "
	    "(<0>) FLAGS ())\r\n"
	    "* 7 FETCH (UID 11 MODSEQ (<0>) FLAGS ())\r\n");
	resync(s, "<v> <0>", "");
	rig_end(s);
}

/* What goes on while the answer is on its way comes later, as news. */
static void
test_resync_then_news(void **state)
{
	struct session *s = enabled("QRESYNC", 3);

	(void)state;
	fx_expunge(rig_inbox(), 1, 1);
	resync(s, "<v> <0>", "* VANISHED (EARLIER) 1\r\n");
	fx_expunge(rig_inbox(), 2, 2);
	expect(s, "2 NOOP", "* VANISHED 2\r\n2 OK NOOP completed\r\n");
	rig_end(s);
}

/* Long: in pieces, VANISHED before FETCH. */
static void
test_resync_long(void **state)
{
	struct session *s = enabled("QRESYNC", 5000);
	struct change *c = fx_change(CHANGE_EXPUNGE);
	const char *said;
	unsigned vanished = 0, fetched = 0;

	(void)state;
	c->u.expunge.mailbox = rig_inbox();
	c->u.expunge.any = true;
	for (mail_uid u = 1; u <= 5000; u += 2)
		assert_true(uid_set_add(&c->u.expunge.uids, u, u));
	assert_int_equal(fx_run(c), RC_OK);
	fx_store(rig_inbox(), 1, 5000, STORE_ADD, FLAG_SEEN, "");
	imap_set_out_soft(s, 1000);
	said = strstr(rig_send(s, with_numbers("1 EXAMINE INBOX (QRESYNC (<v> <0>))")),
	              "] Highest\r\n") +
	       11;
	for (; strncmp(said, "* VANISHED (EARLIER) ", 21) == 0; said = strchr(said, '\n') + 1)
		vanished++;
	for (; strncmp(said, "* ", 2) == 0; said = strchr(said, '\n') + 1)
		fetched += strncmp(strchr(said + 2, ' '), " FETCH (UID ", 12) == 0;
	assert_int_equal(vanished, 2);
	assert_int_equal(fetched, 2500);
	assert_string_equal(said, "1 OK [READ-ONLY] EXAMINE completed\r\n");
	assert_true(imap_largest_output(s) < 2 * SESSION_OUT_SOFT);
	assert_true(imap_steps(s) > 4);
	rig_end(s);
}

/* ---- UIDONLY ---- */

static void
test_uidonly(void **state)
{
	struct session *s = enabled("UIDONLY", 5);
	static const char *const refused[] = { "COPY 1 Archive", "MOVE 1 Archive",
	                                       "STORE 1 FLAGS ()" };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(refused); i++) {
		char line[100];

		(void)snprintf(line, sizeof line, "1 %s", refused[i]);
		rig_expect(s, line,
		    "1 BAD [UIDREQUIRED] Message numbers are not allowed after ENABLE UIDONLY\r\n");
	}
	rig_expect(s, "2 UID STORE 2:3 FLAGS (\\Deleted)",
	           "* 2 UIDFETCH (FLAGS (\\Deleted \\Recent))\r\n"
	           "* 3 UIDFETCH (FLAGS (\\Deleted \\Recent))\r\n2 OK UID STORE completed\r\n");
	fx_store(rig_inbox(), 5, 5, STORE_ADD, FLAG_SEEN, "");
	fx_append_n(rig_inbox(), 1);
	rig_expect(s, "3 EXPUNGE",
	           "* 5 UIDFETCH (FLAGS (\\Seen \\Recent))\r\n* VANISHED 2:3\r\n* 4 "
	           "EXISTS\r\n* 4 RECENT\r\n"
	           "3 OK EXPUNGE completed\r\n");
	(void)rig_send(s, "4 ENABLE QRESYNC");
	mark();
	expect(s, "5 UID STORE 4 +FLAGS.SILENT (\\Seen)",
	       "* 4 UIDFETCH (MODSEQ (<1>))\r\n5 OK UID STORE completed\r\n");
	assert_null(strstr(rig_send(s, "6 SELECT INBOX"), "UNSEEN"));
	rig_end(s);
}

#define WITH_RIG(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int
main(void)
{
	static const struct CMUnitTest others[] = {
		WITH_RIG(test_enable),
		WITH_RIG(test_enable_while_selected),
		WITH_RIG(test_rev2_select),
		WITH_RIG(test_param_needs_enable),
		WITH_RIG(test_condstore_by_select),
		WITH_RIG(test_unchangedsince),
		WITH_RIG(test_unchangedsince_zero),
		WITH_RIG(test_unchangedsince_and_gone),
		WITH_RIG(test_highest_follows),
		WITH_RIG(test_expunge_and_move),
		WITH_RIG(test_vanished_when),
		WITH_RIG(test_long_vanished),
		WITH_RIG(test_resync),
		WITH_RIG(test_resync_below_the_floor),
		WITH_RIG(test_resync_after_put_back),
		WITH_RIG(test_resync_then_news),
		WITH_RIG(test_resync_long),
		WITH_RIG(test_uidonly),
	};
	struct CMUnitTest tests[UNIT_COUNT(params) + UNIT_COUNT(others)];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(params); i++)
		tests[n++] = (struct CMUnitTest){ params[i].name, test_param, NULL, NULL,
		                                  (void *)(uintptr_t)&params[i] };
	for (size_t i = 0; i < UNIT_COUNT(others); i++)
		tests[n++] = others[i];
	return _cmocka_run_group_tests("imap_resync", tests, n, NULL, NULL);
}
