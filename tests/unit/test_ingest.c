/* test_ingest - messages on their way in: line ends, limits, pieces of any size,
 * ends of all kinds. */
#include "tests/unit/volume_fixture.h"

#include "lib/mime.h"
#include "store/codec.h"

struct ingest_case {
	const char  *name;
	struct slice in, want;
};

static const struct ingest_case cases[] = {
	{ "CRLF stays",       SLICE_INIT("a: b\r\n\r\nx\r\n"),       SLICE_INIT("a: b\r\n\r\nx\r\n") },
	{ "LF becomes CRLF",  SLICE_INIT("a: b\n\nx\n"),             SLICE_INIT("a: b\r\n\r\nx\r\n") },
	{ "mixed",            SLICE_INIT("a: b\n\r\nx\n\r\n\n"),     SLICE_INIT("a: b\r\n\r\nx\r\n\r\n\r\n") },
	{ "bare CR stays",    SLICE_INIT("a: b\r\rc\r\n\rx\n\r"),    SLICE_INIT("a: b\r\rc\r\n\rx\r\n\r") },
	{ "no end of line",   SLICE_INIT("a: b\n\nx"),               SLICE_INIT("a: b\r\n\r\nx") },
	{ "NUL and 8 bit",    SLICE_INIT("\0a\xff\n\0"),             SLICE_INIT("\0a\xff\r\n\0") },
	{ "empty",            SLICE_INIT(""),                        SLICE_INIT("") },
	{ "only LF",          SLICE_INIT("\n"),                      SLICE_INIT("\r\n") },
	{ "base64 part",
	  SLICE_INIT("Content-Transfer-Encoding: base64\n\naGVsbG8gaGVsbG8gaGVsbG8=\n"),
	  SLICE_INIT("Content-Transfer-Encoding: base64\r\n\r\naGVsbG8gaGVsbG8gaGVsbG8=\r\n") },
};

static mailbox_id inbox;

static int
setup(void **state)
{
	int r = fx_setup(state);

	inbox = fx_box(fx_account("anna"), "INBOX");
	return r;
}

/* Deliver what `m` holds and read it back. */
static void
assert_delivered(struct ingested *m, struct slice want, const char *name)
{
	struct change *c = fx_make_append(&inbox, 1, SLICE("x"), 0, "");
	struct message_row *rows;
	struct mime_summary s;
	size_t count;
	struct buf b;
	struct err e = ERR_INIT;

	ingested_unref(&c->u.append.messages[0].content);
	c->u.append.messages[0].content = m;
	assert_int_equal(fx_run(c), RC_OK);
	rows = fx_rows(inbox, WANT_PLACE | WANT_SUMMARY, &count);
	buf_init(&b, 64u << 20);
	assert_int_equal(volume_read_blob(fx_v, &rows[count - 1].place, 0, UINT64_MAX, &b, &e),
	                 RC_OK);
	if (rows[count - 1].size != want.len || !slice_eq(buf_slice(&b), want))
		fail_msg("%s: %zu bytes, not %zu", name, b.len, want.len);
	buf_fini(&b);
	assert_int_equal(mime_summary_decode(rows[count - 1].summary, &fx_arena, &s, &e), RC_OK);
	assert_int_equal(s.size, want.len);
}

static struct ingested *
ingest_pieces(struct slice in, size_t piece)
{
	struct ingest *ing;
	struct ingested *m;
	struct err e = ERR_INIT;

	assert_int_equal(ingest_new(fx_v, 0, &ing, &e), RC_OK);
	for (size_t i = 0; i < in.len; i += piece) {
		struct slice s = unit_copy(slice_sub(in, i, i + piece));

		assert_int_equal(ingest_feed(ing, s, &e), RC_OK);
		unit_drop(s);
	}
	assert_int_equal(ingest_finish(&ing, &m, &e), RC_OK);
	assert_null(ing);
	return m;
}

static void
test_line_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		for (size_t piece = 1; piece <= cases[i].in.len + 1; piece += 1 + piece / 4)
			assert_delivered(ingest_pieces(cases[i].in, piece), cases[i].want,
			                 cases[i].name);
	}
}

/* Lines longer than the buffer, and LF-only lines that fill it exactly. */
static void
test_long_lines(void **state)
{
	static const size_t lens[] = { 16381, 16382, 16383, 16384, 16385, 40000 };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(lens); i++) {
		struct buf in, want;

		buf_init(&in, 1u << 20);
		buf_init(&want, 1u << 20);
		for (int line = 0; line < 3; line++) {
			for (size_t k = 0; k < lens[i]; k++) {
				assert_true(buf_append_byte(&in, (uint8_t)('a' + k % 26)));
				assert_true(buf_append_byte(&want, (uint8_t)('a' + k % 26)));
			}
			assert_true(buf_append_str(&in, "\n"));
			assert_true(buf_append_str(&want, "\r\n"));
		}
		assert_delivered(ingest_pieces(buf_slice(&in), in.len), buf_slice(&want),
		                 "long lines");
		assert_delivered(ingest_pieces(buf_slice(&in), 1000), buf_slice(&want),
		                 "long lines in pieces");
		buf_fini(&in);
		buf_fini(&want);
	}
}

/* What comes in large pieces with right line ends takes another way than what does not; wherever pieces end and whichever
 * line lacks its CR, what is stored is the same. */
static void
test_large_pieces(void **state)
{
	enum { LINES = 120, LEN = 50 };

	(void)state;
	for (size_t bare = 0; bare <= LINES; bare += 1 + bare % 7) {
		struct buf in, want;

		buf_init(&in, 1u << 20);
		buf_init(&want, 1u << 20);
		for (size_t line = 0; line < LINES; line++) {
			for (size_t k = (line * 7 + bare) % LEN; k > 0; k--) {
				assert_true(buf_append_byte(&in, k % 19 == 11 ? '\r' : (uint8_t)('a' + k % 26)));
				assert_true(buf_append_byte(&want, in.ptr[in.len - 1]));
			}
			assert_true(buf_append_str(&in, line == bare ? "\n" : "\r\n"));
			assert_true(buf_append_str(&want, "\r\n"));
		}
		for (size_t piece = 1000 + bare % 53; piece < 2 * in.len; piece += 611) {
			assert_delivered(ingest_pieces(buf_slice(&in), piece), buf_slice(&want), "large pieces");
			arena_reset(&fx_arena);
		}
		buf_fini(&in);
		buf_fini(&want);
	}
}

/* Only LFs: the message doubles on its way in. */
static void
test_only_line_ends(void **state)
{
	struct buf in, want;

	(void)state;
	buf_init(&in, 1u << 20);
	buf_init(&want, 1u << 20);
	for (int i = 0; i < 100000; i++) {
		assert_true(buf_append_byte(&in, '\n'));
		assert_true(buf_append_str(&want, "\r\n"));
	}
	assert_delivered(ingest_pieces(buf_slice(&in), in.len), buf_slice(&want), "only LF");
	buf_fini(&in);
	buf_fini(&want);
}

static void
test_size_limit(void **state)
{
	struct ingest *in;
	struct ingested *m;
	struct err e = ERR_INIT;
	enum rc rc;

	(void)state;
	/* Six bytes as stored. */
	assert_int_equal(ingest_new(fx_v, 6, &in, &e), RC_OK);
	assert_int_equal(ingest_feed(in, SLICE("ab\nc\n"), &e), RC_OK);
	assert_int_equal(ingest_finish(&in, &m, &e), RC_LIMIT);
	assert_null(m);
	assert_int_equal(ingest_new(fx_v, 7, &in, &e), RC_OK);
	assert_int_equal(ingest_feed(in, SLICE("ab\nc\n"), &e), RC_OK);
	assert_int_equal(ingest_finish(&in, &m, &e), RC_OK);
	assert_int_equal(ingested_size(m), 7);
	ingested_unref(&m);
	/* A large one is refused while it streams. */
	assert_int_equal(ingest_new(fx_v, 100000, &in, &e), RC_OK);
	rc = RC_OK;
	for (int i = 0; rc == RC_OK && i < 1000; i++)
		rc = ingest_feed(in,
		                 SLICE("01234567890123456789012345678901234567890123456789012345678"
		                       "90123456789\n"),
		                 &e);
	assert_int_equal(rc, RC_OK);
	for (int i = 0; rc == RC_OK && i < 1000; i++)
		rc = ingest_feed(in,
		                 SLICE("01234567890123456789012345678901234567890123456789012345678"
		                       "90123456789\n"),
		                 &e);
	assert_int_equal(rc, RC_LIMIT);
	ingest_abort(&in);
	assert_null(in);
}

static void
test_abort(void **state)
{
	struct ingest *in;
	struct err e = ERR_INIT;
	uint8_t noise[4096];
	unsigned seed = 1;

	(void)state;
	assert_int_equal(ingest_new(fx_v, 0, &in, &e), RC_OK);
	ingest_abort(&in);
	ingest_abort(&in);
	/* Far enough to be out of line. */
	assert_int_equal(ingest_new(fx_v, 0, &in, &e), RC_OK);
	for (int i = 0; i < 600; i++) {
		for (size_t k = 0; k < sizeof noise; k++) {
			seed = seed * 1103515245u + 12345u;
			noise[k] = (uint8_t)(seed >> 16);
		}
		assert_int_equal(ingest_feed(in, slice_of(noise, sizeof noise), &e), RC_OK);
	}
	ingest_abort(&in);
}

/* One content in two changes. */
static void
test_shared(void **state)
{
	struct ingested *m = fx_ingest(SLICE(TEST_MAIL));

	(void)state;
	ingested_ref(m);
	assert_delivered(m, SLICE(TEST_MAIL), "first");
	assert_delivered(m, SLICE(TEST_MAIL), "second");
}

/* ---- what a reactor may take ---- */

static bool
is_quick(const char *head, const char *again, size_t len)
{
	struct ingest *in;
	struct err e = ERR_INIT;
	struct buf b;
	bool quick;

	buf_init(&b, 1u << 20);
	assert_true(buf_append_str(&b, head));
	while (b.len < len)
		assert_true(buf_append_str(&b, again));
	assert_int_equal(ingest_new(fx_v, 0, &in, &e), RC_OK);
	quick = ingest_is_quick(in, slice_of(b.ptr, len));
	ingest_abort(&in);
	buf_fini(&b);
	return quick;
}

/* Ordinary mail is; what costs many times as much by the octet is not, whoever made it so. */
static void
test_quick(void **state)
{
	static const char base64[] =
	    "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\r\n";
	static const char multipart[] = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
	static const char digest[] = "Content-Type: multipart/digest; boundary=b\r\n\r\n";
	static const char text[] = "Sometimes, as here, a line of a letter is longer than it would need to be.\r\n";
	size_t len = codec_quick_len();

	(void)state;
	assert_true(is_quick("Subject: x\r\n\r\n", base64, len));
	assert_true(is_quick("Subject: x\r\n\r\n", text, len));
	assert_true(is_quick("", TEST_MAIL, 6000));
	assert_false(is_quick("Subject: x\r\n\r\n", base64, len + 1));
	assert_false(is_quick("Subject: x\r\n\r\n", "\n", len));
	assert_false(is_quick("", "a:\r\n", len));
	assert_false(is_quick("To: ", "a@b,", len));
	assert_false(is_quick("To: ", "a:;", len));
	assert_false(is_quick(multipart, "--b\r\n\r\n", len));
	assert_false(is_quick(digest, "--b\n\n\n\n", len));
}

/* Nor what is dear at its end, as all of it has many parts. */
static void
test_quick_whole(void **state)
{
	struct slice part = SLICE("--b\n\nx\n");
	struct ingest *in;
	struct err e = ERR_INIT;
	uint32_t n = 0;

	(void)state;
	assert_int_equal(ingest_new(fx_v, 0, &in, &e), RC_OK);
	assert_int_equal(ingest_feed(in, SLICE("Content-Type: multipart/mixed; boundary=b\n\n"), &e),
	                 RC_OK);
	while (n < 20000 && ingest_is_quick(in, part)) {
		assert_int_equal(ingest_feed(in, part, &e), RC_OK);
		n++;
	}
	ingest_abort(&in);
	assert_in_range(n, 100, 9999);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_line_ends), CASE(test_long_lines), CASE(test_large_pieces), CASE(test_only_line_ends), CASE(test_size_limit),
		CASE(test_abort), CASE(test_shared), CASE(test_quick), CASE(test_quick_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
