/* base64_text, base64_deflate, base64_chunk: what is found in a text is made again octet by octet, whatever its lines,
 * its end and what stands around it; what is irregular is left alone; zlib inflates what is deflated. */
#include "tests/unit/unit.h"

#include "store/base64_chunk.h"
#include "store/base64_deflate.h"

#include <zlib.h>

#define TEXT_MAX 65536u

static uint8_t octets[TEXT_MAX], text[TEXT_MAX + 1], back[TEXT_MAX + 64], packed[TEXT_MAX];
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t
next_random(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 8;
}

static void
make_octets(size_t n)
{
	uint32_t x = (uint32_t)n;

	for (size_t i = 0; i < n; i++)
		octets[i] = (uint8_t)next_random(&x);
}

/* An encoder of its own, octet by octet; `ends`: CRLF behind the last line too. */
static size_t
encode(size_t n, unsigned quads, bool ends, uint8_t *dst)
{
	size_t len = 0, in_line = 0;

	for (size_t i = 0; i < n; i += 3) {
		unsigned bits = (unsigned)octets[i] << 16 | (i + 1 < n ? (unsigned)octets[i + 1] << 8 : 0u) |
		                (i + 2 < n ? octets[i + 2] : 0u);

		for (unsigned k = 0; k < 4; k++)
			dst[len++] = k <= n - i ? (uint8_t)letters[bits >> (18 - 6 * k) & 63] : '=';
		if (++in_line == quads || (ends && i + 3 >= n)) {
			if (i + 3 < n || ends) {
				dst[len++] = '\r';
				dst[len++] = '\n';
			}
			in_line = 0;
		}
	}
	return len;
}

/* zlib's reading of raw deflate without a final block. */
static void
inflates_to(const uint8_t *in, size_t len, const uint8_t *want, size_t n)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)len, .next_out = back,
		       .avail_out = sizeof back };

	memset(back, 0, sizeof back);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(sizeof back - z.avail_out, n);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.data_type & 0xff, 0x80);
	inflateEnd(&z);
	assert_memory_equal(back, want, n);
}

/* Of exactly that length. */
static uint8_t *
block_of(size_t n)
{
	uint8_t *p = malloc(n);

	assert_non_null(p);
	return p;
}

/* Pack text[0, len), and read it back whole, in parts and as deflate. */
static size_t
round_trip(struct codec *c, size_t len, int level)
{
	size_t n = base64_pack(c, slice_of(text, len), level, packed), max = base64_deflate_max(len);
	struct slice stored = unit_copy(slice_of(packed, n));
	uint8_t *dst = block_of(len);
	struct buf out;
	bool fits;

	if (n > 0) {
		assert_true(n < len);
		assert_true(base64_unpack(c, stored, len, 0, len, dst));
		assert_memory_equal(dst, text, len);
		for (size_t from = 0, step = 1; from < len; from += step, step = step * 5 / 3 + 1) {
			size_t to = from + 1 + (from * 7 + step) % (len - from);

			memset(dst, 0xee, len);
			assert_true(base64_unpack(c, stored, len, from, to, dst));
			assert_memory_equal(dst, text + from, to - from);
			assert_true(to - from == len || dst[to - from] == 0xee);
		}
		buf_init(&out, max);
		assert_true(base64_unpack_deflated(c, stored, len, &out, &fits) && fits);
		inflates_to(out.ptr, out.len, text, len);
		buf_fini(&out);
		buf_init(&out, max - 1);
		assert_true(base64_unpack_deflated(c, stored, len, &out, &fits) && !fits);
		buf_fini(&out);
	}
	unit_drop(stored);
	free(dst);
	return n;
}

static void
test_every_line_length(void **state)
{
	struct codec *c = codec_get();

	(void)state;
	for (unsigned quads = 1; quads <= BASE64_QUADS_MAX; quads++) {
		for (unsigned rest = 0; rest < 4; rest++) {
			size_t n = 3 * quads * 7 + 600 + rest;

			make_octets(n);
			assert_true(round_trip(c, encode(n, quads, quads % 2, text), 0) > 0);
		}
	}
	codec_put(c);
}

static void
test_every_remainder(void **state)
{
	struct codec *c = codec_get();

	(void)state;
	for (size_t n = 400; n < 400 + 2 * 57 + 2; n++) {
		make_octets(n);
		for (unsigned ends = 0; ends < 2; ends++) {
			size_t len = encode(n, 19, ends, text), got = round_trip(c, len, 0);

			/* a last line that is not full has its CRLF kept as text */
			assert_int_equal(got, 6 + n + (ends && n % 57 > 0 && n % 57 < 55 ? 2 : 0));
		}
	}
	codec_put(c);
}

/* A chunk that begins and ends anywhere. */
static void
test_cut_anywhere(void **state)
{
	struct codec *c = codec_get();
	uint8_t *all = malloc(TEXT_MAX);
	size_t len;

	(void)state;
	assert_non_null(all);
	make_octets(4000);
	len = encode(4000, 19, true, all);
	for (size_t from = 0; from < 160; from++) {
		size_t to = len - from * 7 % 160;

		memcpy(text, all + from, to - from);
		assert_true(round_trip(c, to - from, 0) > 0);
	}
	free(all);
	codec_put(c);
}

static void
test_text_around(void **state)
{
	static const char head[] = "--b\r\nContent-Type: a/b\r\nABCD\r\nABCD\r\nABCDEFGH\r\n\r\n", tail[] = "\r\n--b--\r\n.\r\n";
	struct codec *c = codec_get();
	size_t n;

	(void)state;
	make_octets(3000);
	memcpy(text, head, sizeof head - 1);
	n = sizeof head - 1 + encode(3000, 19, false, text + sizeof head - 1);
	memcpy(text + n, tail, sizeof tail - 1);
	n += sizeof tail - 1;
	assert_int_equal(round_trip(c, n, 0), 6 + sizeof head - 1 + 3000 + sizeof tail - 1);
	codec_put(c);
}

/* What deflates well is deflated, at any level. */
static void
test_deflated(void **state)
{
	struct codec *c = codec_get();
	size_t len;

	(void)state;
	memset(octets, 'a', 45000);
	len = encode(45000, 19, true, text);
	for (int level = 0; level <= 9; level++) {
		size_t n = round_trip(c, len, level);

		assert_true(n > 0 && n < 1000);
	}
	codec_put(c);
}

static void
test_largest(void **state)
{
	struct codec *c = codec_get();
	uint32_t x = 1;

	(void)state;
	make_octets(TEXT_MAX);
	assert_true(encode(47000, 19, false, text) < TEXT_MAX);
	memcpy(text + encode(47000, 19, false, text), letters, 64);
	assert_true(round_trip(c, encode(47000, 19, false, text), 0) > 0);
	/* the letters that take seven bits alone */
	for (size_t i = 0; i < TEXT_MAX; i++)
		text[i] = (uint8_t)(i % 78 < 76 ? "+/z"[next_random(&x) % 3] : "\r\n"[i % 78 - 76]);
	assert_true(round_trip(c, TEXT_MAX, 0) > 0);
	/* and as little as there may be of them, which becomes more than it was */
	memset(text, '-', 127);
	text[126] = '\n';
	memset(text + 127, '+', 128);
	memcpy(text + 255, "\r\n", 2);
	assert_true(round_trip(c, 257, 0) > 0);
	codec_put(c);
}

/* Each of these differs from lines of base64 in its middle: the whole is not taken for it, or is made again
 * all the same. */
static void
test_irregular(void **state)
{
	static const char *const wrong[] = { "\n", "\r", " ", "=", "==", "===", "A", "AB", "ABC", "ABCD", "\r\n",
	                                     "-", "_", "\t\r\n", "AB=C", "A===" };
	struct codec *c = codec_get();

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		for (size_t at = 0; at < 2600; at += 13) {
			size_t len, n = strlen(wrong[i]);

			make_octets(2000);
			len = encode(2000, 19, true, text);
			memmove(text + at + n, text + at, len - at);
			memcpy(text + at, wrong[i], n);
			(void)round_trip(c, len + n, 0);
			memcpy(text + at, wrong[i], n);
			(void)round_trip(c, len, 0);
		}
	}
	codec_put(c);
}

/* Padding whose unused bits are not 0 says the same octets, but is another text. */
static void
test_not_canonical(void **state)
{
	static const char *const ends[] = { "AB==", "AAB=", "A9==", "AA+=" };
	struct codec *c = codec_get();

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t len;

		make_octets(57 * 10);
		len = encode(57 * 10, 19, true, text);
		memcpy(text + len, ends[i], 4);
		assert_int_equal(round_trip(c, len + 4, 0), 6 + 57 * 10 + 4);
	}
	codec_put(c);
}

static void
test_left_alone(void **state)
{
	struct codec *c = codec_get();

	(void)state;
	make_octets(2000);
	assert_int_equal(round_trip(c, encode(100, 19, true, text), 0), 0);     /* short */
	memset(text, 'A', 4000);
	assert_int_equal(round_trip(c, 4000, 0), 0);    /* one line without an end */
	for (size_t i = 0; i < 40; i++)         /* quoted, for one */
		memcpy(text + 100 * i, "> ABCDEFGH\r\nABCDEFGHIJK", 23);
	assert_int_equal(round_trip(c, 4000, 0), 0);
	codec_put(c);
}

/* Any six octets in front, any length: refused or read, never further than the chunk. */
static void
test_corrupt(void **state)
{
	struct codec *c = codec_get();
	uint32_t x = 1;
	size_t n, len;

	(void)state;
	make_octets(2000);
	len = encode(2000, 19, true, text);
	n = base64_pack(c, slice_of(text, len), 0, packed);
	assert_true(n > 0);
	for (size_t i = 0; i < 20000; i++) {
		struct slice s = unit_copy(slice_of(packed, i % 7 == 0 ? next_random(&x) % n : n));
		uint8_t *m = (uint8_t *)(uintptr_t)s.ptr, *dst;
		size_t raw = i % 3 == 0 ? next_random(&x) % (TEXT_MAX + 9) : len, from = next_random(&x) % (raw + 1);

		for (size_t k = next_random(&x) % 3; s.len > 8 && k > 0; k--)
			m[next_random(&x) % 8] = (uint8_t)next_random(&x);
		dst = block_of(raw - from > 0 ? raw - from : 1);
		(void)base64_unpack(c, s, raw, from, raw, dst);
		free(dst);
		unit_drop(s);
	}
	codec_put(c);
}

/* A sound chunk with one thing wrong in front of it or in its length is refused, whether anything would be read that is
 * not there or not. */
static void
test_refused(void **state)
{
	static const struct {
		unsigned at, is;        /* an octet of the head */
		int      more;          /* octets than there are */
		size_t   raw;           /* 0: the right one */
	} bad[] = {
		{ 0, 8, 0, 0 }, { 0, 0x80, 0, 0 }, { 0, 1, 0, 0 }, { 0, 2, 0, 0 }, { 0, 6, -3, 0 }, { 1, 0, 0, 0 }, { 1, 18, 0, 0 },
		{ 2, 1, 0, 0 }, { 3, 1, 0, 0 }, { 4, 1, 0, 0 }, { 5, 0xff, 0, 0 }, { 6, 'a', 1, 0 }, { 6, 'a', -1, 0 },
		{ 6, 'a', 0, 1 }, { 6, 'a', 0, 77 }, { 6, 'a', 0, 79 }, { 6, 'a', 54150, 78000 },
	};
	struct codec *c = codec_get();
	size_t len, n;

	(void)state;
	make_octets(50 * 57);
	len = encode(50 * 57, 19, true, text);
	n = base64_pack(c, slice_of(text, len), 0, packed);
	assert_int_equal(n, 6 + 50 * 57);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		size_t raw = bad[i].raw != 0 ? bad[i].raw : len;
		struct slice s = unit_copy(slice_of(packed, (size_t)((int)n + bad[i].more)));
		uint8_t *dst = block_of(raw);

		((uint8_t *)(uintptr_t)s.ptr)[bad[i].at] = (uint8_t)bad[i].is;
		assert_false(base64_unpack(c, s, raw, 0, raw, dst));
		free(dst);
		unit_drop(s);
	}
	for (size_t i = 0; i < 6; i++) {
		struct slice s = unit_copy(slice_of(packed, i));

		assert_false(base64_unpack(c, s, len, 0, 1, back));
		unit_drop(s);
	}
	codec_put(c);
}

/* What gains less than a sixteenth is not deflated; a higher level gives less. */
static void
test_what_is_gained(void **state)
{
	static const char *const words[] = { "the ", "of a ", "chunk, ", "mail ", "lines ", "that are ", "octets; ", "again " };
	struct codec *c = codec_get();
	size_t len, at = 0, low;
	uint32_t x = 1;

	(void)state;
	make_octets(30000);
	memset(octets, 'a', 30000 / 32);
	len = encode(30000, 19, false, text);
	assert_int_equal(round_trip(c, len, 0), 6 + 30000);
	assert_int_equal(round_trip(c, len, 9), 6 + 30000);
	while (at + 10 < 40000) {
		const char *w = words[next_random(&x) % 8];

		memcpy(octets + at, w, strlen(w));
		at += strlen(w);
	}
	len = encode(at, 19, false, text);
	low = round_trip(c, len, 1);
	assert_true(round_trip(c, len, 9) < low);
	codec_put(c);
}

/* What finding lines costs where there are none must not depend on how many lines could begin them. */
static void
test_many_beginnings(void **state)
{
	struct codec *c = codec_get();

	(void)state;
	for (size_t i = 0; i < TEXT_MAX; i++)
		text[i] = i % 6 < 4 ? 'A' : i % 6 == 4 ? '\r' : '\n';
	memset(text + 6 * 5000, ' ', TEXT_MAX - 6 * 5000);
	assert_int_equal(base64_pack(c, slice_of(text, TEXT_MAX), 0, packed), 0);
	codec_put(c);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_line_length), cmocka_unit_test(test_every_remainder),
		cmocka_unit_test(test_cut_anywhere),      cmocka_unit_test(test_text_around),
		cmocka_unit_test(test_deflated),          cmocka_unit_test(test_largest),
		cmocka_unit_test(test_irregular),         cmocka_unit_test(test_not_canonical),
		cmocka_unit_test(test_left_alone),        cmocka_unit_test(test_corrupt),
		cmocka_unit_test(test_refused),           cmocka_unit_test(test_what_is_gained),
		cmocka_unit_test(test_many_beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
