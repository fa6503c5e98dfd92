/* transfer and base64: decoders whole and byte by byte, damage told, encoders back. */
#include "tests/unit/unit.h"

#include "lib/base64.h"
#include "lib/transfer.h"

static const struct decode_case {
	const char            *name;
	enum transfer_encoding enc;
	struct slice           in, want;
	bool                   ok;
} cases[] = {
	{ "base64", TRANSFER_BASE64, SLICE_INIT("SGVsbG8g\r\nd29ybGQ="), SLICE_INIT("Hello world"), true },
	{ "base64 two pads", TRANSFER_BASE64, SLICE_INIT("SGVsbA==\r\n"), SLICE_INIT("Hell"), true },
	{ "base64 empty", TRANSFER_BASE64, SLICE_INIT("\r\n"), SLICE_INIT(""), true },
	{ "base64 without padding", TRANSFER_BASE64, SLICE_INIT("SGVsbA"), SLICE_INIT("Hell"), false },
	{ "base64 junk skipped", TRANSFER_BASE64, SLICE_INIT("SG!V*sbA=="), SLICE_INIT("Hell"), false },
	{ "base64 behind padding", TRANSFER_BASE64, SLICE_INIT("SGVsbA==SGVs"), SLICE_INIT("HellHel"), false },
	{ "base64 lone letter", TRANSFER_BASE64, SLICE_INIT("S"), SLICE_INIT(""), false },
	{ "base64 padding first", TRANSFER_BASE64, SLICE_INIT("="), SLICE_INIT(""), false },
	{ "qp escapes", TRANSFER_QP, SLICE_INIT("a=3Db=e4\r\n"), SLICE_INIT("a=b\xe4\r\n"), true },
	{ "qp soft break", TRANSFER_QP, SLICE_INIT("a=\r\nb= \t\r\nc"), SLICE_INIT("abc"), true },
	{ "qp trailing blanks go", TRANSFER_QP, SLICE_INIT("a \t\r\nb  c \r\n"), SLICE_INIT("a\r\nb  c\r\n"), true },
	{ "qp ends in a soft break", TRANSFER_QP, SLICE_INIT("a="), SLICE_INIT("a"), true },
	{ "qp ends in half an escape", TRANSFER_QP, SLICE_INIT("a=4"), SLICE_INIT("a=4"), false },
	{ "qp half an escape, line end", TRANSFER_QP, SLICE_INIT("a=4\nb"), SLICE_INIT("a=4\nb"), false },
	{ "qp bad escape", TRANSFER_QP, SLICE_INIT("a=zz=4z=="), SLICE_INIT("a=zz=4z="), false },
	{ "qp bare CR", TRANSFER_QP, SLICE_INIT("a\rb \rc\r\n"), SLICE_INIT("a\rb \rc\r\n"), true },
	{ "qp blanks at the end", TRANSFER_QP, SLICE_INIT("a  "), SLICE_INIT("a"), true },
	{ "qp NUL", TRANSFER_QP, SLICE_INIT("\0=00"), SLICE_INIT("\0\0"), true },
	{ "8bit", TRANSFER_8BIT, SLICE_INIT("=3D\xff "), SLICE_INIT("=3D\xff "), true },
	{ "unknown", TRANSFER_UNKNOWN, SLICE_INIT("begin 644"), SLICE_INIT("begin 644"), false },
};

static void
decode(const struct decode_case *k, size_t step)
{
	struct transfer_decoder d;
	struct buf out;

	buf_init(&out, k->in.len + 4);
	transfer_decode_init(&d, k->enc);
	for (size_t at = 0; at < k->in.len; at += step) {
		struct slice piece = unit_copy(slice_sub(k->in, at, at + step));

		transfer_decode(&d, piece, &out);
		unit_drop(piece);
	}
	assert_int_equal(transfer_decode_finish(&d, &out), k->ok);
	assert_true(slice_eq(buf_slice(&out), k->want));
	buf_fini(&out);
}

static void
test_decode(void **state)
{
	for (size_t step = 1; step < 12; step++)
		decode(*state, step);
}

static const struct base64_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* NULL: refused */
} base64_cases[] = {
	{ "empty", SLICE_INIT(""), "" },
	{ "f", SLICE_INIT("Zg=="), "f" },
	{ "fo", SLICE_INIT("Zm8="), "fo" },
	{ "foo", SLICE_INIT("Zm9v"), "foo" },
	{ "foobar", SLICE_INIT("Zm9vYmFy"), "foobar" },
	{ "length", SLICE_INIT("Zm9"), NULL },
	{ "line end", SLICE_INIT("Zm9v\r\n"), NULL },
	{ "pad in the middle", SLICE_INIT("Zg==Zm9v"), NULL },
	{ "three pads", SLICE_INIT("Z==="), NULL },
	{ "bits left over", SLICE_INIT("Zh=="), NULL },
	{ "bits left over in two", SLICE_INIT("Zm9="), NULL },
	{ "bad letter", SLICE_INIT("Zm9-"), NULL },
};

static void
test_base64(void **state)
{
	const struct base64_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf out, back;

	buf_init(&out, 64);
	buf_init(&back, 64);
	assert_int_equal(base64_decode(in, &out), k->want != NULL);
	if (k->want != NULL) {
		assert_true(slice_eq(buf_slice(&out), slice_str(k->want)));
		assert_true(base64_encode(buf_slice(&out), &back));
		assert_true(slice_eq(buf_slice(&back), k->in));
	} else {
		assert_int_equal(out.len, 0);
	}
	unit_drop(in);
	buf_fini(&out);
	buf_fini(&back);
}

/* Encoders: every line short, and decoded again the same. */
static void
test_encode(void **state)
{
	uint8_t bytes[1000];
	struct transfer_decoder d;
	struct buf text, back;
	size_t column = 0;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * i / 7 + i);
	memcpy(bytes + 100, "a \r\n\t\r\nb\r\r\n", 12);
	for (int enc = TRANSFER_BASE64; enc <= TRANSFER_QP; enc++) {
		buf_init(&text, 8192);
		buf_init(&back, 8192);
		assert_true(enc == TRANSFER_QP
		                ? transfer_encode_qp(slice_of(bytes, sizeof bytes), &text)
		                : transfer_encode_base64(slice_of(bytes, sizeof bytes), &text));
		for (size_t i = 0; i < text.len; i++) {
			column = text.ptr[i] == '\n' ? 0 : column + 1;
			assert_true(column <= 77 && text.ptr[i] < 0x7f);
		}
		transfer_decode_init(&d, (enum transfer_encoding)enc);
		transfer_decode(&d, buf_slice(&text), &back);
		assert_true(transfer_decode_finish(&d, &back));
		assert_true(slice_eq(buf_slice(&back), slice_of(bytes, sizeof bytes)));
		buf_fini(&text);
		buf_fini(&back);
	}
}

static void
test_names(void **state)
{
	(void)state;
	for (int enc = TRANSFER_7BIT; enc < TRANSFER_UNKNOWN; enc++)
		assert_int_equal(transfer_encoding_of(slice_str(
		                     transfer_encoding_name((enum transfer_encoding)enc))),
		                 enc);
	assert_int_equal(transfer_encoding_of(SLICE(" Base64 ")), TRANSFER_BASE64);
	assert_int_equal(transfer_encoding_of(SLICE("")), TRANSFER_7BIT);
	assert_int_equal(transfer_encoding_of(SLICE("x-uue")), TRANSFER_UNKNOWN);
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(cases) + UNIT_COUNT(base64_cases) + 2];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_decode, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(base64_cases); i++)
		tests[n++] = (struct CMUnitTest){ base64_cases[i].name, test_base64, NULL, NULL,
		                                  (void *)(uintptr_t)&base64_cases[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_encode);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_names);
	return _cmocka_run_group_tests("transfer", tests, n, NULL, NULL);
}
