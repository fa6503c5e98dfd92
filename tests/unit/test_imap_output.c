/* imap_out_*: which form a value takes on the wire, and that our own productions read it back. */
#include "tests/unit/imap_harness.h"

#include "server/imap/imap.h"

static const struct out_case {
	const char  *name;
	void       (*out)(struct buf *out, struct slice s);
	struct slice in;
	const char  *want;
} cases[] = {
	{ "astring: atom", imap_out_astring, SLICE_INIT("a/b-c"), "a/b-c" },
	{ "astring: empty", imap_out_astring, SLICE_INIT(""), "\"\"" },
	{ "astring: NIL is quoted", imap_out_astring, SLICE_INIT("nil"), "\"nil\"" },
	{ "astring: space", imap_out_astring, SLICE_INIT("a b"), "\"a b\"" },
	{ "astring: specials", imap_out_astring, SLICE_INIT("a]b"), "\"a]b\"" },
	{ "string: always quoted", imap_out_string, SLICE_INIT("abc"), "\"abc\"" },
	{ "string: escapes", imap_out_string, SLICE_INIT("a\"b\\c"), "\"a\\\"b\\\\c\"" },
	{ "string: only escapes", imap_out_string, SLICE_INIT("\"\""), "\"\\\"\\\"\"" },
	{ "string: tab stays quoted", imap_out_string, SLICE_INIT("a\tb"), "\"a\tb\"" },
	{ "string: CRLF", imap_out_string, SLICE_INIT("a\r\nb"), "{4}\r\na\r\nb" },
	{ "string: 8 bit", imap_out_string, SLICE_INIT("\xc3\xa4"), "{2}\r\n\xc3\xa4" },
	{ "string: NUL becomes 0x80", imap_out_string, SLICE_INIT("a\0b"), "{3}\r\na\x80" "b" },
	{ "nstring: nil", imap_out_nstring, { NULL, 0 }, "NIL" },
	{ "nstring: empty", imap_out_nstring, SLICE_INIT(""), "\"\"" },
};

static void
test_case(void **state)
{
	const struct out_case *k = *state;
	struct slice in = k->in.ptr != NULL ? unit_copy(k->in) : SLICE_NONE;
	struct buf out;

	buf_init(&out, 4096);
	k->out(&out, in);
	if (!slice_eq(buf_slice(&out), slice_str(k->want)))
		fail_msg("got \"%.*s\", wanted \"%s\"", SLICE_ARG(buf_slice(&out)), k->want);
	buf_fini(&out);
	if (in.ptr != NULL)
		unit_drop(in);
}

/* Whatever octets: what is written is read back as the same, NUL aside. */
static void
test_round_trip(void **state)
{
	struct buf out;
	struct arena a;
	unsigned seed = 7;

	(void)state;
	buf_init(&out, 65536);
	arena_init(&a, 65536);
	for (int round = 0; round < 20000; round++) {
		static const char special[] = " \"\\a]()";
		uint8_t in[12];
		size_t len = (size_t)rand_r(&seed) % sizeof in;
		struct cursor c;
		struct slice back;

		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)(round % 2 == 0 ? 1 + rand_r(&seed) % 255
			                                 : special[rand_r(&seed) % 7]);
		buf_reset(&out);
		arena_reset(&a);
		imap_out_astring(&out, slice_of(in, len));
		cur_init(&c, buf_slice(&out));
		assert_true(parse_astring(&c, &a, &back));
		assert_true(cur_at_end(&c));
		assert_true(slice_eq(back, slice_of(in, len)));
	}
	arena_fini(&a);
	buf_fini(&out);
}

static void
test_flags_and_date(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	imap_out_flags(&out, 0, SLICE(""), false);
	imap_out_flags(&out, FLAG_SEEN | FLAG_ANSWERED, SLICE("$x y"), true);
	imap_out_flags(&out, 0, SLICE("k"), false);
	imap_out_flags(&out, 0, SLICE(""), true);
	imap_out_date(&out, (struct mail_date){ 837596665, -420 });
	assert_true(
	    slice_eq(buf_slice(&out), SLICE("()(\\Answered \\Seen \\Recent $x y)(k)(\\Recent)"
	                                    "\"17-Jul-1996 02:44:25 -0700\"")));
	buf_fini(&out);
}

static void
test_mailbox_names(void **state)
{
	struct session *s;
	struct imap im = { .utf8 = false };

	assert_int_equal(imap_world_setup(state), 0);
	s = imap_connect(*state);
	im.s = s;
	imap_out_mailbox(&im, SLICE("Entw\xc3\xbcrfe & more"));
	buf_append_byte(session_out(s), '|');
	im.utf8 = true;
	imap_out_mailbox(&im, SLICE("Entw\xc3\xbcrfe & more"));
	buf_append_byte(session_out(s), '|');
	imap_out_mailbox(&im, SLICE("INBOX"));
	assert_true(slice_eq(buf_slice(session_out(s)),
	                     SLICE("\"Entw&APw-rfe &- more\"|\"Entw\xc3\xbcrfe & more\"|INBOX")));
	imap_disconnect(&s);
	assert_int_equal(imap_world_teardown(state), 0);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + 3];
	size_t n = 0;

	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_case, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_round_trip);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_flags_and_date);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_mailbox_names);
	return cmocka_run_group_tests_name("imap_output", tests, NULL, NULL);
}
