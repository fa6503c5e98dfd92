/* json: escapes, commas, nesting, and a buffer that is too small. */
#include "tests/unit/unit.h"

#include "lib/json.h"
#include "lib/text.h"

static const struct string_case {
	const char  *name;
	struct slice in;
	const char  *want;
} strings[] = {
	{ "empty",                SLICE_INIT(""),                     "\"\"" },
	{ "plain",                SLICE_INIT("anna b/c"),             "\"anna b/c\"" },
	{ "quote and backslash",  SLICE_INIT("a\"b\\c"),              "\"a\\\"b\\\\c\"" },
	{ "short escapes",        SLICE_INIT("\b\t\n\f\r"),           "\"\\b\\t\\n\\f\\r\"" },
	{ "NUL and other controls", SLICE_INIT("\0\1\v\x1f\x7f"),     "\"\\u0000\\u0001\\u000b\\u001f\\u007f\"" },
	{ "UTF-8 as it is",       SLICE_INIT("\xc3\xa9\xe6\x97\xa5\xf0\x9f\x93\xac"),
	                          "\"\xc3\xa9\xe6\x97\xa5\xf0\x9f\x93\xac\"" },
	{ "line separators",      SLICE_INIT("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\"" },
	{ "bytes that are no text", SLICE_INIT("a\xff\xfe" "b"),      "\"a\xef\xbf\xbd\xef\xbf\xbd" "b\"" },
	{ "cut character",        SLICE_INIT("\xe6\x97"),             "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ "surrogate",            SLICE_INIT("\xed\xa0\x80"),
	                          "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
};

static void
test_string(void **state)
{
	const struct string_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf out;

	buf_init(&out, 4096);
	json_append_string(&out, in);
	assert_false(out.failed);
	assert_true(slice_eq(buf_slice(&out), slice_str(k->want)));
	for (size_t cut = 0; cut <= in.len; cut++) {
		buf_reset(&out);
		json_append_string(&out, slice_sub(in, 0, cut));
		assert_true(text_utf8_valid(buf_slice(&out)));
	}
	buf_fini(&out);
	unit_drop(in);
}

static void
test_nesting(void **state)
{
	struct buf out;
	struct json j;

	(void)state;
	buf_init(&out, 4096);
	json_init(&j, &out);
	json_object(&j, NULL);
	json_array(&j, "none");
	json_end(&j);
	json_array(&j, "some");
	json_u64(&j, NULL, UINT64_MAX);
	json_i64(&j, NULL, INT64_MIN);
	json_object(&j, NULL);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_end(&j);
	json_object(&j, NULL);
	json_end(&j);
	json_end(&j);
	json_null(&j, "nothing");
	json_cstr(&j, "a \"key\"", "v");
	json_end(&j);
	assert_true(
	    slice_eq(buf_slice(&out), SLICE("{\"none\":[],\"some\":[18446744073709551615,"
	                                    "-9223372036854775808,{\"yes\":true,\"no\":false},{}],"
	                                    "\"nothing\":null,\"a \\\"key\\\"\":\"v\"}")));
	buf_fini(&out);
}

static void
test_full_buffer_is_told(void **state)
{
	struct buf out;
	struct json j;

	(void)state;
	buf_init(&out, 10);
	json_init(&j, &out);
	json_object(&j, NULL);
	json_cstr(&j, "key", "longer than that");
	json_end(&j);
	assert_true(out.failed);
	buf_fini(&out);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(strings) + 2] = {
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_full_buffer_is_told),
	};

	for (size_t i = 0; i < UNIT_COUNT(strings); i++)
		tests[2 + i] = (struct CMUnitTest){ strings[i].name, test_string, NULL, NULL,
			                            (void *)(uintptr_t)&strings[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
