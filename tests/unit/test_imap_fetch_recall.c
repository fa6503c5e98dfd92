/* What comes from memory, lists of the newest messages and the UIDs of a view, is what the index says, after every kind of
 * change, also of messages that others have expunged and the session still counts. */
#include "tests/unit/imap_rig.h"

#include "index/columns.h"
#include "lib/nowait.h"

#define MESSAGES 40u
#define LISTED   30u
#define ROUNDS   150u
#define ITEMS    "(UID FLAGS INTERNALDATE RFC822.SIZE SAVEDATE MODSEQ ENVELOPE BODYSTRUCTURE)"

static bool     by_index;                       /* nothing is recalled */
static unsigned recalled, reads, views;

bool __real_columns_peek(struct volume *v, mailbox_id mailbox, mail_modseq at, const struct uid_set *uids, struct arena *a,
                         struct message_row *out);
bool __wrap_columns_peek(struct volume *v, mailbox_id mailbox, mail_modseq at, const struct uid_set *uids, struct arena *a,
                         struct message_row *out);
bool __real_columns_uids(struct volume *v, mailbox_id mailbox, mail_modseq at, mail_uid end, struct uid_set *out);
bool __wrap_columns_uids(struct volume *v, mailbox_id mailbox, mail_modseq at, mail_uid end, struct uid_set *out);
enum rc __real_volume_read_messages(struct volume *v, mailbox_id mailbox, const struct uid_set *uids, mail_uid from,
                                    uint32_t limit, uint32_t want, struct arena *a, struct message_row **out,
                                    size_t *count, struct err *e);
enum rc __wrap_volume_read_messages(struct volume *v, mailbox_id mailbox, const struct uid_set *uids, mail_uid from,
                                    uint32_t limit, uint32_t want, struct arena *a, struct message_row **out,
                                    size_t *count, struct err *e);

bool
__wrap_columns_peek(struct volume *v, mailbox_id mailbox, mail_modseq at, const struct uid_set *uids, struct arena *a,
                    struct message_row *out)
{
	bool ok = !by_index && __real_columns_peek(v, mailbox, at, uids, a, out);

	recalled += ok;
	return ok;
}

bool
__wrap_columns_uids(struct volume *v, mailbox_id mailbox, mail_modseq at, mail_uid end, struct uid_set *out)
{
	bool ok = !by_index && __real_columns_uids(v, mailbox, at, end, out);

	views += ok;
	return ok;
}

enum rc
__wrap_volume_read_messages(struct volume *v, mailbox_id mailbox, const struct uid_set *uids, mail_uid from, uint32_t limit,
                            uint32_t want, struct arena *a, struct message_row **out, size_t *count, struct err *e)
{
	reads++;
	return __real_volume_read_messages(v, mailbox, uids, from, limit, want, a, out, count, e);
}

static int
setup(void **state)
{
	int rc = rig_setup(state);

	by_index = false;
	recalled = reads = views = 0;
	for (unsigned i = 0; i < MESSAGES; i++)
		(void)fx_append(rig_inbox(), i % 3 == 0 ? SLICE("Subject: x\r\n\r\nhi\r\n") : SLICE(TEST_MAIL),
		                i % 2 ? FLAG_SEEN : 0, "");
	return rc;
}

static void
change_something(void)
{
	static const char *const words[] = { "", "", "Work", "late" };
	mail_uid end = fx_mailbox(rig_account, "INBOX").uidnext;
	mail_uid first = end - 1 - (mail_uid)rand() % LISTED;

	switch (rand() % 6) {
	case 0:
	case 1:
		(void)fx_store(rig_inbox(), first, first + 2, rand() % 2 ? STORE_ADD : STORE_REPLACE, 1u << rand() % 5,
		               words[rand() % 4]);
		break;
	case 2:
		(void)fx_expunge(rig_inbox(), first, first);
		break;
	case 3:
	case 4:
		fx_append_n(rig_inbox(), 1);
		break;
	case 5:
		(void)fx_run(fx_make_copy(CHANGE_COPY, rig_inbox(), first, first, rig_inbox()));
		break;
	}
}

/* Twice: what is said must not depend on where it comes from. */
static void
expect_same(struct session *s, const char *line)
{
	bool first = rand() % 2 == 0;
	struct buf want;

	buf_init(&want, 1u << 20);
	by_index = first;
	assert_true(buf_append_str(&want, rig_send(s, line)) && buf_append_byte(&want, 0));
	by_index = !first;
	rig_expect(s, line, (const char *)want.ptr);
	by_index = false;
	buf_fini(&want);
}

static void
expect_list(struct session *s)
{
	char line[160];
	uint32_t exists;

	(void)rig_send(s, "n FETCH 1 UID");     /* news are told now; expunges wait */
	exists = rig_imap(s)->view.exists;
	(void)snprintf(line, sizeof line, "f FETCH %u:* " ITEMS, exists > LISTED ? exists - LISTED + 1 : 1);
	expect_same(s, line);
}

static void
test_lists(void **state)
{
	struct session *s = rig_selected();
	unsigned from_memory = 0;

	(void)state;
	srand(7);
	(void)rig_send(s, "m FETCH 1 MODSEQ");
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned was = recalled;

		if (rand() % 3 == 0)
			change_something();
		if (rand() % 3 == 0)
			(void)rig_send(s, "n NOOP");
		if (rand() % 3 == 0)
			(void)rig_send(s, "n SEARCH SEEN");
		expect_list(s);
		from_memory += recalled > was;
	}
	assert_true(!nowait_is_possible() || from_memory > ROUNDS / 4);
	rig_end(s);
}

/* A message that came is read alone, and once. */
static void
test_newest(void **state)
{
	struct session *s = rig_selected();

	(void)state;
	(void)rig_send(s, "n SEARCH SEEN");
	(void)rig_send(s, "f FETCH 30:* (FLAGS ENVELOPE)");
	(void)rig_send(s, "a APPEND INBOX {17+}\r\nSubject: a\r\n\r\nb\r\n");
	for (unsigned again = 0; again < 2; again++) {
		unsigned read = reads;

		assert_non_null(strstr(rig_send(s, "f FETCH 30:* (FLAGS ENVELOPE)"), "* 41 FETCH (FLAGS (\\Recent) ENVELOPE (NIL \"a\" "));
		assert_true(!nowait_is_possible() || reads - read == 1 - again);
	}
	rig_end(s);
}

/* Sessions whose views are not loaded yet count what was there when they were told. */
static void
test_views(void **state)
{
	struct session *s = rig_selected();

	(void)state;
	srand(9);
	(void)rig_send(s, "n SEARCH SEEN");
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct session *p[2] = { rig_session(), rig_session() };
		struct buf said[2];

		for (unsigned i = 0; i < 2; i++) {
			(void)rig_send(p[i], "e ENABLE IMAP4rev2");
			(void)rig_send(p[i], "s EXAMINE INBOX");
		}
		for (unsigned n = (unsigned)rand() % 4; n > 0; n--)
			change_something();
		if (rand() % 2 == 0)
			(void)rig_send(s, "n SEARCH SEEN");
		for (unsigned i = 0; i < 2; i++) {
			by_index = i == 0;
			buf_init(&said[i], 1u << 20);
			if (round % 2 == 0)
				assert_true(buf_append_str(&said[i], rig_send(p[i], "n NOOP")));
			assert_true(buf_append_str(&said[i], rig_send(p[i], "f FETCH 1:* (UID)")));
			assert_true(buf_append_str(&said[i], rig_send(p[i], "n NOOP")));
			rig_end(p[i]);
		}
		assert_int_equal(said[0].len, said[1].len);
		assert_memory_equal(said[0].ptr, said[1].ptr, said[0].len);
		buf_fini(&said[0]);
		buf_fini(&said[1]);
	}
	assert_true(views > ROUNDS / 8);
	rig_end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lists, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_newest, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_views, setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
