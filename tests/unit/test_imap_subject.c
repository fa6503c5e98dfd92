/* SEARCH SUBJECT over headers nobody would write: what summaries say of them and what the headers themselves say gives
 * the same answers. */
#include "tests/unit/imap_rig.h"

#define MESSAGES 60u
#define ROUNDS   8u

static uint64_t seed;

static uint32_t
below(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static const struct slice names[] = {
	SLICE_INIT("Subject:"), SLICE_INIT("Subject:"), SLICE_INIT("Subject:"), SLICE_INIT("Subject:"),
	SLICE_INIT("Subject: "), SLICE_INIT("Subject: "), SLICE_INIT("SUBJECT : "), SLICE_INIT("subject\t: "),
	SLICE_INIT("Subject\r\n : "), SLICE_INIT(" Subject: "), SLICE_INIT("Subject "), SLICE_INIT("Subject"),
	SLICE_INIT("Subject\r\n"), SLICE_INIT("Subjects: "), SLICE_INIT("X-Subject: "), SLICE_INIT("Subject\0: "),
	SLICE_INIT("Subject                                : "), SLICE_INIT("Subject\v: "), SLICE_INIT("Subject::"),
	SLICE_INIT("\r\n Subject: "), SLICE_INIT("To: "), SLICE_INIT("From: "), SLICE_INIT("Date: \"\\"),
	SLICE_INIT("X: y\r\n"), SLICE_INIT("Content-Type: text/plain; charset=koi8-r\r\n"),
	SLICE_INIT("Content-Type: text/plain; charset=iso-2022-jp\r\n"), SLICE_INIT("Content-Type: message/rfc822\r\n"),
};

static const struct slice words[] = {
	SLICE_INIT("one"), SLICE_INIT("TWO"), SLICE_INIT(" "), SLICE_INIT("\t"), SLICE_INIT("\r\n "), SLICE_INIT("\r\n\t"),
	SLICE_INIT("\r\n \r\n "), SLICE_INIT("\""), SLICE_INIT("\\"), SLICE_INIT("("), SLICE_INIT("?"), SLICE_INIT("="),
	SLICE_INIT("=?utf-8?q?caf=C3=A9?="), SLICE_INIT("=?utf-8?q?caf=C3?="), SLICE_INIT("=?utf-8?q?=A9?="),
	SLICE_INIT("=?iso-8859-1?q?=E9t=E9_?="), SLICE_INIT("=?utf-8?b?w6k=?="), SLICE_INIT("=?utf-8?b?w"),
	SLICE_INIT("=?x?q?one?="), SLICE_INIT("=?utf-8?q?a\r\n b?="), SLICE_INIT("=?utf-8*en?q?one?="),
	SLICE_INIT("=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?="), SLICE_INIT("\033$BF|K\\\033(B"),
	SLICE_INIT("caf\xc3\xa9"), SLICE_INIT("\xc3"), SLICE_INIT("\xa9"), SLICE_INIT("\xd4\xc5\xd3\xd4"), SLICE_INIT("\r"),
	SLICE_INIT("\0"), SLICE_INIT("\x7f"), SLICE_INIT("\x01"), SLICE_INIT("; a*=utf-8''%c3%a9"), SLICE_INIT("; b*0=on"),
	SLICE_INIT("; b*1=e"), SLICE_INIT("; a*=utf-8''%c3%a9"), SLICE_INIT("*\r\n ="), SLICE_INIT("NIL"), SLICE_INIT("{3}"), SLICE_INIT("{3}\r\n two"),
	SLICE_INIT("stra\xc3\x9f" "e"), SLICE_INIT("\xef\xac\x81"), SLICE_INIT("e\xcc\x81"), SLICE_INIT("\xff"), SLICE_INIT("Subject: "),
};

static const struct slice needles[] = {
	SLICE_INIT(""), SLICE_INIT(" "), SLICE_INIT("one"), SLICE_INIT("two"), SLICE_INIT("e"), SLICE_INIT("\xc3\xa9"), SLICE_INIT("caf"),
	SLICE_INIT("onetwo"), SLICE_INIT("one two"), SLICE_INIT("\\"), SLICE_INIT("?"), SLICE_INIT("=?"), SLICE_INIT("nil"),
	SLICE_INIT("\xe6\x97\xa5"), SLICE_INIT("\xd1\x82\xd0\xb5"), SLICE_INIT("ss"), SLICE_INIT("fi"), SLICE_INIT("("), SLICE_INIT("\""),
	SLICE_INIT("\t"), SLICE_INIT(":"), SLICE_INIT("="), SLICE_INIT("\x7f"), SLICE_INIT("subject"), SLICE_INIT("  "),
};
#define NEEDLES (sizeof needles / sizeof *needles)

/* Half of them are a Subject alone. Some have more than fits the summary, or than is remembered. */
static void
make_header(struct buf *out)
{
	bool usual = below(2) == 0;

	for (uint32_t fields = usual ? 1 : 1 + below(4); fields > 0; fields--) {
		uint32_t n = below(40) == 0 ? 1500 : below(7);

		buf_append_slice(out, usual ? names[0] : names[below(sizeof names / sizeof *names)]);
		while (n-- > 0)
			buf_append_slice(out, words[below(sizeof words / sizeof *words)]);
		buf_append_str(out, "\r\n");
	}
	buf_append_str(out, below(8) == 0 ? "" : "\r\nSubject: one in the body\r\n");
}

/* Which messages have it. `at_once`: of so many; of a quarter no columns are made, and each header is read. */
static void
ask(struct session *s, struct slice needle, uint32_t at_once, bool found[MESSAGES + 1])
{
	memset(found, 0, (MESSAGES + 1) * sizeof *found);
	for (uint32_t uid = 1; uid <= MESSAGES; uid += at_once) {
		char line[200], *end;
		const char *at;

		(void)snprintf(line, sizeof line, "1 UID SEARCH CHARSET UTF-8 UID %u:%u SUBJECT {%zu+}\r\n%.*s", uid,
		               uid + at_once - 1, needle.len, (int)needle.len, (const char *)needle.ptr);
		at = rig_send(s, line);
		assert_memory_equal(at, "* SEARCH", 8);
		for (at += 8; *at == ' '; at = end)
			found[strtoul(at, &end, 10)] = true;
		assert_non_null(strstr(at, "1 OK "));
	}
}

static void
test_summaries_and_headers(void **state)
{
	static bool want[NEEDLES][MESSAGES + 1], got[MESSAGES + 1];
	static struct buf mail[MESSAGES + 1];
	struct session *s;
	size_t many = 0;

	(void)state;
	for (uint32_t uid = 1; uid <= MESSAGES; uid++) {
		buf_init(&mail[uid], 1u << 20);
		make_header(&mail[uid]);
		fx_append(rig_inbox(), buf_slice(&mail[uid]), 0, "");
	}
	s = rig_selected();
	for (size_t k = 0; k < NEEDLES; k++)
		ask(s, needles[k], MESSAGES / 4, want[k]);
	for (size_t k = 0; k < NEEDLES; k++) {
		ask(s, needles[k], MESSAGES, got);
		for (uint32_t uid = 1; uid <= MESSAGES; uid++) {
			many += got[uid];
			if (got[uid] != want[k][uid])
				fail_msg("seed %llu: \"%.*s\" in UID %u: %d, by its header %d:\n%.*s", (unsigned long long)seed,
				         (int)needles[k].len, (const char *)needles[k].ptr, uid, got[uid], want[k][uid],
				         (int)mail[uid].len, (const char *)mail[uid].ptr);
		}
	}
	assert_in_range(many, MESSAGES, MESSAGES * NEEDLES);
	rig_expect(s, "2 UID SEARCH SUBJECT none-has-this", "* SEARCH\r\n2 OK UID SEARCH completed\r\n");
	rig_end(s);
	for (uint32_t uid = 1; uid <= MESSAGES; uid++)
		buf_fini(&mail[uid]);
}

int
main(int argc, char **argv)
{
	struct CMUnitTest tests[ROUNDS];

	seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	for (size_t i = 0; i < ROUNDS; i++)
		tests[i] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(test_summaries_and_headers, rig_setup, rig_teardown);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
