/* test_threads - who belongs to which thread, live and after a rebuild. */
#include "tests/unit/volume_fixture.h"

static account_id anna, ben;
static mailbox_id inbox, archive, other;

static int
setup(void **state)
{
	int r = fx_setup(state);

	anna = fx_account("anna");
	ben = fx_account("ben");
	inbox = fx_box(anna, "INBOX");
	archive = fx_box(anna, "Archive");
	other = fx_box(ben, "INBOX");
	return r;
}

static uint64_t
thread_of(mailbox_id box, mail_uid uid)
{
	struct message_row *rows;
	uint64_t thread = 0;
	size_t count;

	rows = fx_rows(box, WANT_EXPUNGED, &count);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].uid == uid)
			thread = rows[i].threadid;
	}
	assert_int_not_equal(thread, 0);
	return thread;
}

/* A message with these header fields; the body tells it from others. */
static uint64_t
deliver(mailbox_id box, const char *fields, const char *body)
{
	char mail[8192];

	(void)snprintf(mail, sizeof mail, "%s\r\n%s\r\n", fields, body);
	return thread_of(box, fx_append(box, slice_str(mail), 0, ""));
}

#define ID(x)   "Message-ID: <" x "@x>\r\n"
#define REFS(x) "References: " x "\r\n"

static void
make_anew(void)
{
	char cmd[512];

	volume_close(&fx_v);
	(void)snprintf(cmd, sizeof cmd, "rm -f '%s'/index.db*", fx_dir);
	assert_int_equal(system(cmd), 0);
	fx_open();
}

static void
test_answers_join(void **state)
{
	uint64_t a, c;

	(void)state;
	a = deliver(inbox, ID("a"), "1");
	assert_int_equal(deliver(inbox, ID("b") REFS("<a@x>"), "2"), a);
	assert_int_equal(deliver(archive, ID("b2") "In-Reply-To: <b@x>\r\n", "3"), a);
	c = deliver(inbox, ID("c"), "4");
	assert_int_not_equal(c, a);
	/* Of two threads, that of the nearest. */
	assert_int_equal(deliver(inbox, ID("d") REFS("<a@x> <c@x>"), "5"), c);
	assert_int_equal(deliver(inbox, ID("e") REFS("<c@x> <unknown@x> <b@x>"), "6"), a);
	/* What an answer referred to comes later; and what the answers share need never come. */
	assert_int_equal(deliver(inbox, ID("unknown"), "7"), a);
	c = deliver(inbox, ID("f") REFS("<never@x>"), "8");
	assert_int_equal(deliver(inbox, ID("g") REFS("<never@x>"), "9"), c);
}

/* EMAILID equal, THREADID equal. */
static void
test_equal_bytes(void **state)
{
	uint64_t none, a, r;

	(void)state;
	none = deliver(inbox, "Subject: x\r\n", "1");
	assert_int_equal(deliver(archive, "Subject: x\r\n", "1"), none);
	assert_int_not_equal(deliver(inbox, "Subject: x\r\n", "2"), none);
	assert_int_not_equal(deliver(inbox, "Message-ID: <>\r\n", "3"),
	                     deliver(inbox, "Message-ID: <>\r\n", "4"));
	/* Its own key goes first: what it refers to may have come to another thread meanwhile. */
	r = deliver(inbox, ID("r") REFS("<a@x>"), "1");
	a = deliver(inbox, ID("q") REFS("<z@x>"), "1");
	assert_int_equal(deliver(inbox, ID("q") REFS("<z@x>"), "1"), a);
	assert_int_equal(deliver(inbox, ID("r") REFS("<a@x>"), "1"), r);
	/* No Message-ID, but an answer. */
	assert_int_equal(deliver(inbox, "In-Reply-To: <q@x>\r\n", "x"), a);
	assert_int_equal(deliver(inbox, "In-Reply-To: <q@x>\r\n", "x"), a);
}

static void
test_kept_by_copy_move_and_rename(void **state)
{
	uint64_t a;

	(void)state;
	(void)deliver(inbox, ID("0"), "0");
	a = deliver(inbox, ID("a"), "1");
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 2, 2, archive)), RC_OK);
	assert_int_equal(thread_of(archive, 1), a);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_MOVE, inbox, 2, 2, archive)), RC_OK);
	assert_int_equal(thread_of(archive, 2), a);
	assert_int_equal(thread_of(inbox, 2), a);               /* the tombstone */
	(void)fx_expunge(archive, 1, 2);
	assert_int_equal(deliver(inbox, ID("b") REFS("<a@x>"), "2"), a);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_RENAME, anna, "INBOX", "Old"), RC_OK);
	assert_int_equal(thread_of(fx_box(anna, "Old"), 2), a);
}

/* One blob, two accounts: what each has belongs to it alone. */
static void
test_accounts_are_apart(void **state)
{
	mailbox_id both[2] = { inbox, other };
	uint64_t a;

	(void)state;
	a = deliver(inbox, ID("a"), "1");
	assert_int_equal(fx_run(fx_make_append(both, 2, SLICE(ID("b") REFS("<a@x>") "\r\n2\r\n"), 0,
	                                       "")),
	                 RC_OK);
	assert_int_equal(thread_of(inbox, 2), a);
	assert_int_not_equal(thread_of(other, 1), a);
	/* A copy goes to the thread that the other account has. */
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 2, other)), RC_OK);
	assert_int_equal(thread_of(other, 2), thread_of(other, 1));
	assert_int_equal(thread_of(other, 3), thread_of(other, 1));
	(void)deliver(inbox, ID("m"), "3");
	a = deliver(inbox, ID("n") REFS("<m@x>"), "4");
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 3, 4, other)), RC_OK);
	assert_int_equal(thread_of(other, 4), thread_of(other, 5));
	(void)a;
}

/* Work is bounded: the last sixteen ids count, and the first. */
static void
test_long_references(void **state)
{
	char refs[4096] = "References:";
	char fields[4200];
	size_t len = strlen(refs);
	uint64_t a;

	(void)state;
	for (int i = 0; i < 40; i++)
		len += (size_t)snprintf(refs + len, sizeof refs - len, " <r%d@x>\r\n", i);
	(void)snprintf(fields, sizeof fields, ID("a") "%s", refs);
	a = deliver(inbox, fields, "1");
	assert_int_equal(deliver(inbox, ID("r0"), "2"), a);
	assert_int_equal(deliver(inbox, ID("r39"), "3"), a);
	assert_int_equal(deliver(inbox, ID("r24"), "4"), a);
	assert_int_not_equal(deliver(inbox, ID("r23"), "5"), a);
	assert_int_not_equal(deliver(inbox, ID("r1"), "6"), a);
}

static void
test_same_after_rebuild(void **state)
{
	struct check_report rep = { NULL, fx_check_found };
	struct check_result r;
	struct err e = ERR_INIT;
	uint64_t a, late;

	(void)state;
	a = deliver(inbox, ID("a") REFS("<p@x>"), "1");
	(void)deliver(inbox, "Subject: x\r\n", "2");
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, inbox, 1, 2, archive)), RC_OK);
	(void)fx_expunge(inbox, 1, 1);
	make_anew();
	assert_int_equal(thread_of(archive, 1), a);
	assert_int_equal(deliver(inbox, ID("b") REFS("<a@x>"), "3"), a);
	late = deliver(inbox, ID("p"), "4");
	assert_int_equal(late, a);
	assert_int_equal(deliver(inbox, "Subject: x\r\n", "2"), thread_of(archive, 2));
	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
}

/* Ids are never given twice, not even to an account that comes back. */
static void
test_account_deleted(void **state)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_DELETE);
	uint64_t was = deliver(inbox, ID("a"), "1");

	(void)state;
	c->u.account.id = anna;
	assert_int_equal(fx_run(c), RC_OK);
	anna = fx_account("anna");
	assert_int_not_equal(deliver(fx_box(anna, "INBOX"), ID("a"), "1"), was);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_answers_join),
		CASE(test_equal_bytes),
		CASE(test_kept_by_copy_move_and_rename),
		CASE(test_accounts_are_apart),
		CASE(test_long_references),
		CASE(test_same_after_rebuild),
		CASE(test_account_deleted),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
