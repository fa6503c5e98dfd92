/* What a session reads without the pool may be refused at any read: what it says then is the same, octet by octet. */
#include "tests/unit/imap_rig.h"
#include "tests/unit/compact_fixture.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#include "lib/nowait.h"

/* Reads in the mode that are granted of a command before one is refused; or all are granted. */
#define GRANT_ALL 100000u
#define GRANTS    45u           /* one of the last is of a body, behind news of its keyword */

static unsigned granted, since_refused, refusals;

static bool
is_refused(void)
{
	if (!nowait_is_on() || granted == GRANT_ALL || since_refused++ < granted)
		return false;
	since_refused = 0;
	refusals++;
	return true;
}

/* Linked instead of nowait_pread and of sqlite3_step, as much of the index is in SQLite's memory. */
ssize_t __real_nowait_pread(int fd, void *dst, size_t len, off_t off);
ssize_t __wrap_nowait_pread(int fd, void *dst, size_t len, off_t off);
int     __real_sqlite3_step(sqlite3_stmt *q);
int     __wrap_sqlite3_step(sqlite3_stmt *q);

ssize_t
__wrap_nowait_pread(int fd, void *dst, size_t len, off_t off)
{
	struct err e;

	if (!is_refused())
		return __real_nowait_pread(fd, dst, len, off);
	(void)nowait_refuse(&e);
	errno = EAGAIN;
	return -1;
}

int
__wrap_sqlite3_step(sqlite3_stmt *q)
{
	return is_refused() ? SQLITE_IOERR_READ : __real_sqlite3_step(q);
}

/* ---- a dialogue while the mailbox changes ---- */

#define MULTIPART "Content-Type: multipart/mixed; boundary=b\r\nSubject: m\r\n\r\n--b\r\n\r\none\r\n" \
                  "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--\r\n"

static struct buf said;

/* Behind these stands what is another in each world. */
static const char *const ids[] = { "MAILBOXID (", "UIDVALIDITY ", "APPENDUID ", "COPYUID " };

static size_t
id_at(const char *text)
{
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		if (strncmp(text, ids[i], strlen(ids[i])) == 0)
			return strlen(ids[i]);
	return 0;
}

static void
note(const char *text)
{
	while (*text != 0) {
		size_t n = id_at(text);

		buf_append(&said, text, n > 0 ? n : 1);
		text += n > 0 ? n : 1;
		if (n > 0)
			text += strcspn(text, " )]");
	}
}

static void
say(struct session *s, const char *line)
{
	since_refused = 0;
	note(rig_send(s, line));
}

static void
select_mailboxes(struct session *s)
{
	(void)fx_store(rig_inbox(), 1, 2, STORE_ADD, FLAG_SEEN, "");
	say(s, "0a SELECT INBOX");
	(void)fx_append(rig_inbox(), SLICE("Subject: y\r\n\r\nhi\r\n"), 0, "first");
	say(s, "0b EXAMINE INBOX");
	say(s, "0c SELECT inbox (CONDSTORE)");
	say(s, "0d SELECT none");
	say(s, "0e FETCH 1 FLAGS");
	say(s, "0f SELECT INBOX");
	say(s, "0g CREATE other");
}

static void
file_away(struct session *s)
{
	say(s, "m1 COPY 2 other");
	say(s, "m2 MOVE 1 other");
	say(s, "m3 UID COPY 3:* INBOX");
	say(s, "m4 COPY 1 nowhere");
	(void)fx_store(rig_inbox(), 4, 4, STORE_ADD, FLAG_FLAGGED, "");
	(void)fx_expunge(rig_inbox(), 3, 3);
	say(s, "m5 MOVE 1:2 other");
	say(s, "m6 APPEND INBOX (\\Seen) {17+}\r\nSubject: a\r\n\r\nb\r\n");
	say(s, "m7 APPEND other (\\Seen) {17+}\r\nSubject: a\r\n\r\nb\r\n");
	say(s, "m8 APPEND nowhere {17+}\r\nSubject: a\r\n\r\nb\r\n");
	say(s, "m9 STATUS other (MESSAGES UNSEEN)");
}

static void
read_and_mark(struct session *s)
{
	say(s, "a1 FETCH 1:* (FLAGS UID)");
	say(s, "a2 UID FETCH 1:3 (ENVELOPE BODYSTRUCTURE RFC822.SIZE)");
	say(s, "a3 FETCH 2 BODY.PEEK[]");
	say(s, "a4 FETCH 1:4 (BODY[2] FLAGS)");
	say(s, "a5 FETCH 3,4 (BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY[TEXT]<2.3>)");
	say(s, "a6 FETCH 99 FLAGS");
	say(s, "a7 UID FETCH 1:* BODY[1]");
	say(s, "a8 FETCH 5 BODY.PEEK[]");
}

static void
hear_news(struct session *s)
{
	say(s, "b1 NOOP");
	(void)fx_store(rig_inbox(), 2, 4, STORE_ADD, FLAG_FLAGGED, "");
	say(s, "b2 NOOP");
	(void)fx_append(rig_inbox(), SLICE(MULTIPART), FLAG_SEEN, "work");
	(void)fx_store(rig_inbox(), 1, 1, STORE_ADD, 0, "home");
	say(s, "b3 FETCH 1 FLAGS");
	(void)fx_expunge(rig_inbox(), 2, 2);
	(void)fx_store(rig_inbox(), 3, 3, STORE_ADD, FLAG_ANSWERED, "garden");
	say(s, "b4 FETCH 2:3 (FLAGS BODY[TEXT])");
	say(s, "b5 NOOP");
	(void)fx_expunge(rig_inbox(), 4, 5);
	(void)fx_append(rig_inbox(), SLICE(TEST_MAIL), 0, "");
	say(s, "b6 UID FETCH 1:* (FLAGS)");
	say(s, "b7 FETCH * BODY[]");
	say(s, "b8 NOOP");
}

static void
idle(struct session *s)
{
	(void)fx_store(rig_inbox(), 6, 6, STORE_ADD, FLAG_ANSWERED, "");
	say(s, "c1 IDLE");
	say(s, "DONE");
	say(s, "c2 IDLE");
	(void)fx_append(rig_inbox(), SLICE(TEST_MAIL), 0, "");
	since_refused = 0;
	imap_forget(s);
	imap_wait_notified(s);
	buf_append_slice(&said, imap_received(s));
	say(s, "DONE");
}

static void
look_around(struct session *s)
{
	say(s, "d1 LIST \"\" *");
	say(s, "d2 STATUS INBOX (MESSAGES UNSEEN UIDNEXT)");
	say(s, "d3 LSUB \"\" *");
	say(s, "d4 CLOSE");
	say(s, "d5 STATUS none (MESSAGES)");
	(void)rig_send(s, "s SELECT INBOX");
	say(s, "d6 STORE 1 +FLAGS.SILENT (\\Deleted)");
	say(s, "d7 CLOSE");
	say(s, "d8 STATUS INBOX (MESSAGES)");
}

#define LARGE_ROWS "RFC822.SIZE RFC822.SIZE RFC822.SIZE RFC822.SIZE RFC822.SIZE RFC822.SIZE "

/* The first listing makes columns. The last is more than the reactor writes at once. */
static void
list_many(struct session *s)
{
	while (fx_mailbox(rig_account, "INBOX").exists < 300)
		(void)fx_run(fx_make_copy(CHANGE_COPY, rig_inbox(), 1, 1000, rig_inbox()));
	(void)rig_send(s, "s SELECT INBOX");
	say(s, "f1 UID FETCH 1:* (FLAGS)");
	(void)fx_store(rig_inbox(), 20, 30, STORE_ADD, FLAG_DELETED, "herb");
	say(s, "f2 FETCH 1:* (UID FLAGS)");
	(void)fx_store(rig_inbox(), 50, 50, STORE_ADD, FLAG_DELETED, "tree");
	(void)fx_expunge(rig_inbox(), 40, 42);
	(void)fx_append(rig_inbox(), SLICE(TEST_MAIL), 0, "");
	say(s, "f3 FETCH 1:* (" LARGE_ROWS LARGE_ROWS LARGE_ROWS "FLAGS)");
	say(s, "f4 NOOP");
}

/* All that is said, in a world of its own; it stays in `said`. */
static void
converse(const char *enable, unsigned grant)
{
	static char large[40000] = "Subject: l\r\n\r\n";
	void *state = NULL;
	struct session *s;

	memset(large + 14, 'x', sizeof large - 15);
	assert_int_equal(rig_setup(&state), 0);
	buf_reset(&said);
	(void)fx_append(rig_inbox(), SLICE("Subject: x\r\n\r\nhi\r\n"), 0, "");
	(void)fx_append(rig_inbox(), SLICE(TEST_MAIL), 0, "");
	(void)fx_append(rig_inbox(), SLICE(MULTIPART), 0, "");
	(void)fx_append(rig_inbox(), SLICE(TEST_MAIL), FLAG_SEEN, "");
	(void)fx_append(rig_inbox(), slice_str(large), 0, "");
	granted = grant;
	since_refused = 0;
	s = rig_session();
	say(s, enable);
	select_mailboxes(s);
	read_and_mark(s);
	hear_news(s);
	idle(s);
	file_away(s);
	look_around(s);
	list_many(s);
	rig_end(s);
	granted = GRANT_ALL;
	assert_int_equal(rig_teardown(&state), 0);
}

static void
check_refusals(const char *enable)
{
	struct buf want;

	buf_init(&want, 16u << 20);
	buf_init(&said, 16u << 20);
	converse(enable, GRANT_ALL);
	assert_true(buf_append_slice(&want, buf_slice(&said)));
	assert_true(want.len > 40000);
	for (unsigned grant = 0; grant < GRANTS; grant++) {
		refusals = 0;
		converse(enable, grant);
		if (!nowait_is_possible())
			break;
		assert_true(refusals > 0);
		assert_int_equal(said.len, want.len);
		assert_memory_equal(said.ptr, want.ptr, want.len);
	}
	buf_fini(&want);
	buf_fini(&said);
}

static void
test_plain(void **state)
{
	(void)state;
	check_refusals("e NOOP");
}

static void
test_qresync(void **state)
{
	(void)state;
	check_refusals("e ENABLE QRESYNC IMAP4rev2");
}

/* ---- what needs no pool ---- */

static void
expect_light(struct session *s, const char *line)
{
	unsigned heavy = imap_steps(s) - imap_light_steps(s), refused = imap_refused_steps(s);

	(void)rig_send(s, line);
	assert_int_equal(imap_steps(s) - imap_light_steps(s), heavy);
	assert_int_equal(imap_refused_steps(s), refused);
}

static void
test_without_pool(void **state)
{
	struct session *s;

	assert_int_equal(rig_setup(state), 0);
	s = rig_session();
	if (nowait_is_possible()) {
		expect_light(s, "a SELECT INBOX");
		expect_light(s, "b APPEND INBOX {17+}\r\nSubject: a\r\n\r\nb\r\n");
		expect_light(s, "c COPY 1 INBOX");
		expect_light(s, "d MOVE 1 INBOX");
		expect_light(s, "1 LIST \"\" *");
		expect_light(s, "2 STATUS INBOX (MESSAGES UNSEEN)");
		(void)fx_append(rig_inbox(), SLICE(TEST_MAIL), 0, "");
		expect_light(s, "3 IDLE");
		assert_string_equal((const char *)rig_text.ptr, "+ idling\r\n* 3 EXISTS\r\n* 3 RECENT\r\n");
		expect_light(s, "DONE");
		expect_light(s, "4 CLOSE");
	}
	rig_end(s);
	assert_int_equal(rig_teardown(state), 0);
}

/* The answer of the writer is all that is looked at. */
static void
test_own_append(void **state)
{
	struct session *s;

	assert_int_equal(rig_setup(state), 0);
	s = rig_selected();
	(void)rig_send(s, "a APPEND INBOX {17+}\r\nSubject: a\r\n\r\nb\r\n");
	granted = since_refused = 0;
	if (nowait_is_possible())
		expect_light(s, "b APPEND INBOX {17+}\r\nSubject: a\r\n\r\nb\r\n");
	granted = GRANT_ALL;
	rig_expect(s, "c NOOP", "c OK NOOP completed\r\n");
	rig_end(s);
	assert_int_equal(rig_teardown(state), 0);
}

/* Of a message that was listed only the log is read. */
static void
test_body_of_listed(void **state)
{
	struct session *s;

	assert_int_equal(rig_setup(state), 0);
	fx_append_n(rig_inbox(), 2);
	s = rig_selected();
	(void)rig_send(s, "a FETCH 1 (UID ENVELOPE)");
	(void)rig_send(s, "b FETCH 2 BODY.PEEK[]");        /* opens the log */
	granted = 1;
	since_refused = 0;
	if (nowait_is_possible())
		expect_light(s, "c FETCH 1 BODY.PEEK[]");
	granted = GRANT_ALL;
	rig_end(s);
	assert_int_equal(rig_teardown(state), 0);
}

/* What compaction has moved since is found where it is now. */
static void
test_body_of_moved(void **state)
{
	unsigned refused;
	struct session *s;
	struct buf want;

	assert_int_equal(rig_setup(state), 0);
	for (uint32_t i = 0; i < 3; i++)
		(void)fx_append(rig_inbox(), cf_big_mail(i, 50), 0, "");
	s = rig_selected();
	buf_init(&want, 1u << 20);
	assert_true(buf_append_str(&want, rig_send(s, "a FETCH 1 BODY.PEEK[]")));
	assert_true(want.len > 50000 && buf_append_byte(&want, 0));
	(void)fx_expunge(rig_inbox(), 2, 3);
	assert_int_equal(cf_compact_all().rewritten, 1);
	refused = imap_refused_steps(s);
	rig_expect(s, "a FETCH 1 BODY.PEEK[]", (const char *)want.ptr);
	assert_int_equal(imap_refused_steps(s) - refused, nowait_is_possible());        /* the pool asks the index */
	rig_expect(s, "a FETCH 1 BODY.PEEK[]", (const char *)want.ptr);
	assert_int_equal(imap_refused_steps(s) - refused, nowait_is_possible());
	buf_fini(&want);
	rig_end(s);
	assert_int_equal(rig_teardown(state), 0);
}

/* What was read a moment ago is gone with the purge, though the session still has the message. */
static void
test_body_of_purged(void **state)
{
	struct change *c;
	struct session *s;
	size_t n;

	assert_int_equal(rig_setup(state), 0);
	fx_append_n(rig_inbox(), 2);
	s = rig_selected();
	for (int i = 0; i < 2; i++)
		assert_non_null(strstr(rig_send(s, "a FETCH 1 BODY.PEEK[]"), "At five?"));
	c = fx_change(CHANGE_PURGE);
	c->u.purge.blob = fx_rows(rig_inbox(), 0, &n)[0].blob;
	c->u.purge.reason = SLICE("");
	(void)fx_expunge(rig_inbox(), 1, 1);
	assert_non_null(strstr(rig_send(s, "b FETCH 1 BODY.PEEK[]"), "At five?"));
	assert_int_equal(fx_run(c), RC_OK);
	assert_true(strncmp(rig_send(s, "c FETCH 1 BODY.PEEK[]"), "c NO [EXPUNGEISSUED]", 20) == 0);
	rig_end(s);
	assert_int_equal(rig_teardown(state), 0);
}

/* What is too much for the reactor is said by the pool, however often it was read before. */
static void
test_much_again(void **state)
{
	static char large[150000] = "Subject: l\r\n\r\n";
	struct session *s;

	assert_int_equal(rig_setup(state), 0);
	memset(large + 14, 'x', sizeof large - 15);
	(void)fx_append(rig_inbox(), slice_sub(slice_str(large), 0, 100000), 0, "");
	(void)fx_append(rig_inbox(), slice_str(large), 0, "");
	s = rig_selected();
	for (int again = 0; again < 3; again++) {
		assert_non_null(strstr(rig_send(s, "a FETCH 1 (BODY.PEEK[] BODY.PEEK[])"), "a OK "));
		assert_non_null(strstr(rig_send(s, "b FETCH 2 BODY.PEEK[]"), "b OK "));
		assert_non_null(strstr(rig_send(s, "c FETCH 2 BODY.PEEK[]<9.149000>"), "c OK "));
	}
	rig_end(s);
	assert_int_equal(rig_teardown(state), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_qresync),
		cmocka_unit_test(test_without_pool),
		cmocka_unit_test(test_own_append),
		cmocka_unit_test(test_body_of_listed),
		cmocka_unit_test(test_body_of_moved),
		cmocka_unit_test(test_body_of_purged),
		cmocka_unit_test(test_much_again),
	};

	granted = GRANT_ALL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
