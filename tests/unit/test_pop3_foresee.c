/* What RETR will ask for next is made before it does: whatever came of it, the answer is the same, and is said once. */
#define _GNU_SOURCE
#include "tests/unit/imap_harness.h"

#include <stdio.h>

#include "server/pop3/pop3.h"
#include "tests/unit/nowait_reads.h"

#define HELLO { "", "+OK Restante ready\r\n" }
#define LOGIN { "USER anna\r\nPASS secret\r\n", \
	"+OK Now the password\r\n+OK <*> messages (<*> octets)\r\n" }

static int
setup(void **state)
{
	static const char *const mail[] = { "A: b\r\n\r\n.x\r\n..\r\nlast\r\n", "only a head", "A: b\r\n\r\n", "\r\n." };
	int failed = imap_world_setup(state);

	imap_world_speak(*state, &pop3_protocol);
	for (size_t i = 0; failed == 0 && i < UNIT_COUNT(mail); i++)
		(void)imap_world_deliver(*state, "INBOX", mail[i]);
	return failed;
}

#define LONG_MAIL 7u

static const size_t long_mail_size[LONG_MAIL] = { 9000, 70000, 140000, 210000, 600000, 600000, 30000 };

/* Some lines begin with a dot, some end in dots: few, as TSan's memrchr looks at all that stands before each. */
static void
put_long_mail(unsigned i, const char *dot, struct buf *out)
{
	buf_append_str(out, "A: b\r\n\r\n");
	for (unsigned k = 0; k < long_mail_size[i] / 20; k++)
		buf_printf(out, "%s%08x%s\r\n", k % 16 < 2 ? dot : "", k * 2654435761u + i,
		           k % 16 == 1 ? "xxxxxxx.." : "xxxxxxxxx");
}

static void
retr(struct session *s, unsigned number)
{
	char cmd[64];

	snprintf(cmd, sizeof cmd, "RETR %u\r\n", number);
	imap_forget(s);
	imap_send(s, slice_str(cmd));
}

static void
expect_retr(struct session *s, unsigned number, unsigned i)
{
	struct buf mail, want;

	buf_init(&mail, 1u << 20);
	buf_init(&want, 1u << 20);
	put_long_mail(i, ".", &mail);
	buf_printf(&want, "+OK %zu octets\r\n", mail.len);
	put_long_mail(i, "..", &want);
	buf_append_str(&want, ".\r\n");
	retr(s, number);
	assert_true(slice_eq(imap_received(s), buf_slice(&want)));
	buf_fini(&mail);
	buf_fini(&want);
}

/* Of the first of them, which are the last in the maildrop, this is the number. */
static unsigned
deliver_long_mail(struct imap_world *w)
{
	mail_uid uid = 0;

	for (unsigned i = 0; i < LONG_MAIL; i++) {
		struct buf mail;

		buf_init(&mail, 1u << 20);
		put_long_mail(i, ".", &mail);
		buf_append_byte(&mail, 0);
		uid = imap_world_deliver(w, "INBOX", (const char *)mail.ptr);
		buf_fini(&mail);
	}
	return uid - LONG_MAIL + 1;
}

static struct session *
login_to_foresee(struct imap_world *w)
{
	static const struct imap_exchange x[] = { HELLO, LOGIN };
	struct session *s = imap_connect(w);

	imap_play(s, x, 2, false);
	return s;
}

static unsigned
foresee(struct pop3 *p, unsigned turns)
{
	unsigned n = 0;

	while (n < turns && pop3_protocol.foresee(p))
		n++;
	assert_true(pop3_protocol.held(p) < 600u << 10);
	return n;
}

/* However far it came, all is said, and said once; what was foreseen whole takes no step. */
static void
test_foreseen(void **state)
{
	unsigned first = deliver_long_mail(*state);

	for (unsigned turns = 0; turns < 12; turns++) {
		struct session *s = login_to_foresee(*state);
		struct pop3 *p = imap_session_state(s);

		expect_retr(s, first, 0);
		assert_int_equal(foresee(p, turns), 0);         /* it follows nothing */
		expect_retr(s, first + 1, 1);
		for (unsigned i = 2; i < LONG_MAIL; i++) {
			unsigned steps = imap_steps(s);
			bool all = foresee(p, turns) < turns;

			expect_retr(s, first + i, i);
			assert_true(!all || (imap_steps(s) == steps) == (long_mail_size[i] < 300000));
			assert_true(turns < 11 || all);
		}
		imap_disconnect(&s);
	}
}

/* Who asks for another message, or has marked that one, gets what was asked for. */
static void
test_foreseen_in_vain(void **state)
{
	unsigned first = deliver_long_mail(*state);
	struct session *s = login_to_foresee(*state);
	struct pop3 *p = imap_session_state(s);
	char cmd[64];

	for (unsigned turns = 1; turns < 12; turns += 2) {
		expect_retr(s, first + 1, 1);
		expect_retr(s, first + 2, 2);
		foresee(p, turns);
		assert_true(p->ahead.is_long);
		expect_retr(s, first + 1, 1);
		expect_retr(s, first + 4, 4);
	}
	expect_retr(s, first + 2, 2);
	expect_retr(s, first + 3, 3);
	foresee(p, 3);
	expect_retr(s, first + 5, 5);           /* as long as the one before it */
	expect_retr(s, first + 2, 2);
	expect_retr(s, first + 3, 3);
	snprintf(cmd, sizeof cmd, "DELE %u\r\n", first + 4);
	imap_send(s, slice_str(cmd));
	assert_int_equal(foresee(p, 9), 0);
	assert_false(p->ahead.is_long);
	imap_disconnect(&s);
}

/* Short ones, with one look at the index; once they are made nothing more is read. */
static void
test_foreseen_short(void **state)
{
	static const struct imap_exchange one[] = {
		{ "RETR 1\r\n", "+OK 22 octets\r\nA: b\r\n\r\n..x\r\n...\r\nlast\r\n.\r\n" } };
	static const struct imap_exchange more[] = {
		{ "DELE 3\r\nRETR 2\r\n", "+OK Marked to be deleted\r\n+OK 11 octets\r\nonly a head\r\n.\r\n" },
		{ "RETR 3\r\n", "-ERR Message 3 is marked to be deleted\r\n" },
		{ "RETR 4\r\n", "+OK 3 octets\r\n\r\n..\r\n.\r\n" } };
	struct session *s = login_to_foresee(*state);
	struct pop3 *p = imap_session_state(s);

	assert_false(pop3_protocol.foresee(p));
	assert_int_equal(p->ahead.count, 0);
	imap_play(s, one, 1, false);
	assert_false(pop3_protocol.foresee(p));
	assert_true(p->ahead.count >= 3);
	reads = 0;
	assert_false(pop3_protocol.foresee(p));
	imap_play(s, more, 3, false);
	assert_int_equal(reads, 0);
	pop3_protocol.rest(p);
	assert_int_equal(p->ahead.count, 0);
	imap_disconnect(&s);
}

static void
put_wide_field(struct buf *out, unsigned addresses)
{
	buf_append_str(out, "To: \xe9@a");
	for (unsigned i = 1; i < addresses; i++)
		buf_append_str(out, ",\xe9@a");
	buf_append_str(out, "\r\n\r\n");
}

/* Its headers become 15 times as long. */
static unsigned
deliver_wide_mail(struct imap_world *w, size_t last_line)
{
	struct buf mail;
	mail_uid uid;

	buf_init(&mail, 1u << 20);
	buf_append_str(&mail, "Content-Type: multipart/mixed; boundary=b\r\n");
	put_wide_field(&mail, 8000);
	buf_append_str(&mail, "--b\r\n");
	put_wide_field(&mail, 4000);
	for (size_t i = 0; i < last_line; i++)
		buf_append_byte(&mail, 'x');
	buf_append_byte(&mail, 0);
	uid = imap_world_deliver(w, "INBOX", (const char *)mail.ptr);
	buf_fini(&mail);
	return uid;
}

/* Between the answer's first line and its last. */
static size_t
octets_of_wide(struct session *s, unsigned number)
{
	retr(s, number);
	assert_true(slice_ends_nocase(imap_received(s), SLICE("x\r\n.\r\n")));
	return imap_received(s).len - slice_find_byte(imap_received(s), '\n') - strlen("\n\r\n.\r\n");
}

/* Wide headers are put into ASCII on the pool, not all at once on the reactor. */
static void
test_wide_takes_steps(void **state)
{
	unsigned first = deliver_wide_mail(*state, 200);

	for (unsigned turns = 0; turns < 3; turns++) {
		struct session *s = login_to_foresee(*state);
		struct pop3 *p = imap_session_state(s);
		unsigned steps;

		retr(s, first - 1);
		(void)foresee(p, turns);
		steps = imap_steps(s);
		(void)octets_of_wide(s, first);
		assert_true(imap_steps(s) > steps);
		imap_disconnect(&s);
	}
}

/* All of it can be kept but its end. */
static void
test_foreseen_full(void **state)
{
	enum { FULL = POP3_AHEAD_BYTES - 2, SOME = 200000 };
	unsigned first = deliver_wide_mail(*state, SOME);
	struct session *s = login_to_foresee(*state);
	size_t had = octets_of_wide(s, first);
	struct pop3 *p;

	imap_disconnect(&s);
	assert_in_range(had, FULL - 140000, FULL);
	(void)deliver_wide_mail(*state, SOME + FULL - had);
	s = login_to_foresee(*state);
	p = imap_session_state(s);
	retr(s, first - 1);
	retr(s, first);
	while (pop3_protocol.foresee(p))
		assert_true(p->ahead.is_long);
	assert_true(p->ahead.is_long);
	assert_int_equal(octets_of_wide(s, first + 1), FULL);
	imap_disconnect(&s);
}

/* A read that is refused, any: what was begun does not count. */
static void
test_foreseen_refused(void **state)
{
	unsigned first = deliver_long_mail(*state), at = 0, had;

	do {
		struct session *s = login_to_foresee(*state);
		struct pop3 *p = imap_session_state(s);

		expect_retr(s, first + 2, 2);
		expect_retr(s, first + 3, 3);
		pop3_protocol.rest(p);
		reads = 0;
		refuse_at = ++at;
		foresee(p, 4);
		expect_retr(s, first + 4, 4);
		had = reads;
		refuse_at = 0;
		expect_retr(s, first + 5, 5);
		imap_disconnect(&s);
	} while (had >= at);
	assert_true(at > 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreseen_short),
		cmocka_unit_test(test_foreseen),
		cmocka_unit_test(test_foreseen_in_vain),
		cmocka_unit_test(test_foreseen_refused),
		cmocka_unit_test(test_wide_takes_steps),
		cmocka_unit_test(test_foreseen_full),
	};

	return cmocka_run_group_tests_name("pop3_foresee", tests, setup, imap_world_teardown);
}
