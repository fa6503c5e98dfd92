/* What ISA-L deflates zlib inflates, with and without our dictionaries, and the other way round; a
 * build without it tests zlib alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <zlib.h>

#include "store/codec.h"
#include "store/igzip.h"

#define RAW_MAX  (64u << 10)
#define PACK_MAX (RAW_MAX + 4096u)

static uint8_t raw[RAW_MAX], packed[PACK_MAX], back[RAW_MAX + 1];

static uint32_t
next_random(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 8;
}

enum shape { SHAPE_TEXT, SHAPE_BASE64, SHAPE_NOISE, SHAPE_RUN, SHAPE_COUNT };

static void
make(enum shape shape, size_t len)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char *const words[] = { "the ", "letter ", "Received: from ", "mail\r\n",
		                             "office ", "is held until ", "Subject: ", "called " };
	uint32_t x = (uint32_t)len + 7u;

	for (size_t i = 0; i < len; i++) {
		switch (shape) {
		case SHAPE_TEXT:
			for (const char *w = words[next_random(&x) % 8]; *w != '\0' && i < len; w++)
				raw[i++] = (uint8_t)*w;
			i--;
			break;
		case SHAPE_BASE64:
			raw[i] = (uint8_t)letters[next_random(&x) % 64];
			break;
		case SHAPE_NOISE:
			raw[i] = (uint8_t)next_random(&x);
			break;
		case SHAPE_RUN:
		case SHAPE_COUNT:
			raw[i] = 'a';
			break;
		}
	}
}

static const size_t lengths[] = { 1, 2, 33, 300, 1024, 2047, 2048, 3000, 5000, 32768, 40000, 65535, 65536 };
#define LENGTHS (sizeof lengths / sizeof lengths[0])

/* Inflated by zlib itself: each length is right, no more and no less, and the stream goes on. */
static void
read_by_zlib(uint8_t dictionary, size_t packed_len, size_t raw_len)
{
	struct slice dict = dictionary_get(dictionary);
	z_stream z = { .next_in = packed, .avail_in = (uInt)packed_len, .next_out = back,
		       .avail_out = sizeof back };

	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	if (dict.len > 0)
		assert_int_equal(inflateSetDictionary(&z, dict.ptr, (uInt)dict.len), Z_OK);
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(sizeof back - z.avail_out, raw_len);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.data_type & 0xff, 0x80);     /* between blocks, on a byte's boundary */
	inflateEnd(&z);
	assert_memory_equal(back, raw, raw_len);
}

static void
read_by_codec(struct codec *c, uint8_t dictionary, size_t packed_len, size_t raw_len)
{
	struct slice s = slice_of(packed, packed_len);

	memset(back, 0, sizeof back);
	assert_true(codec_inflate(c, dictionary, s, back, raw_len));
	assert_memory_equal(back, raw, raw_len);
	for (size_t n = raw_len - 1; n > 0; n = n * 2 / 3) {
		memset(back, 0xee, sizeof back);
		assert_true(codec_inflate_front(c, dictionary, s, back, n));
		assert_memory_equal(back, raw, n);
		assert_int_equal(back[n], 0xee);
	}
	assert_false(codec_inflate(c, dictionary, s, back, raw_len - 1));
	if (raw_len < RAW_MAX)
		assert_false(codec_inflate(c, dictionary, s, back, raw_len + 1));
}

static void
test_ours_read_by_zlib(void **state)
{
	static const enum codec_how hows[] = { CODEC_TEXT, CODEC_BASE64, CODEC_HEADER,
		                               CODEC_SUMMARY };
	struct codec *c = codec_get();

	(void)state;
	for (enum shape shape = SHAPE_TEXT; shape < SHAPE_COUNT; shape++) {
		for (size_t i = 0; i < LENGTHS; i++) {
			for (size_t h = 0; h < 4; h++) {
				size_t n;

				make(shape, lengths[i]);
				n = codec_deflate(c, hows[h], slice_of(raw, lengths[i]), packed,
				                  sizeof packed);
				assert_true(n > 0);
				read_by_zlib(codec_dictionary(hows[h]), n, lengths[i]);
				read_by_codec(c, codec_dictionary(hows[h]), n, lengths[i]);
			}
		}
	}
	codec_put(c);
}

static void
test_zlibs_read_by_ours(void **state)
{
	struct codec *c = codec_get();

	(void)state;
	for (enum shape shape = SHAPE_TEXT; shape < SHAPE_COUNT; shape++) {
		for (size_t i = 0; i < LENGTHS; i++) {
			for (uint8_t id = DICTIONARY_NONE; id <= DICTIONARY_SUMMARY; id++) {
				size_t n;

				make(shape, lengths[i]);
				n = codec_deflate_again(c, 6, id, slice_of(raw, lengths[i]), packed,
				                        sizeof packed);
				assert_true(n > 0);
				read_by_codec(c, id, n, lengths[i]);
			}
		}
	}
	codec_put(c);
}

/* What does not fit is refused whole, at every room, and the stream is as good as new. */
static void
test_no_room(void **state)
{
	struct codec *c = codec_get();
	size_t n;

	(void)state;
	make(SHAPE_TEXT, 3000);
	n = codec_deflate(c, CODEC_HEADER, slice_of(raw, 3000), packed, sizeof packed);
	for (size_t room = 0; room <= n; room++)
		assert_int_equal(codec_deflate(c, CODEC_HEADER, slice_of(raw, 3000), back, room),
		                 0);
	assert_int_equal(codec_deflate(c, CODEC_HEADER, slice_of(raw, 3000), packed, n + 1), n);
	read_by_zlib(DICTIONARY_HEADER, n, 3000);
	make(SHAPE_NOISE, 60000);
	assert_int_equal(codec_deflate(c, CODEC_TEXT, slice_of(raw, 60000), packed, 60000), 0);
	codec_put(c);
}

static void
test_crc_is_zlibs(void **state)
{
	(void)state;
	make(SHAPE_NOISE, RAW_MAX);
	for (size_t n = 0; n < 300; n++)
		assert_true(codec_crc(slice_of(raw + n % 7, n)) ==
		            (uint32_t)crc32(0, raw + n % 7, (uInt)n));
	assert_true(codec_crc(slice_of(raw, RAW_MAX)) == (uint32_t)crc32(0, raw, RAW_MAX));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours_read_by_zlib),
		cmocka_unit_test(test_zlibs_read_by_ours),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_crc_is_zlibs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
