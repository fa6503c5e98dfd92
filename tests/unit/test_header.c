/* header, rfc2047, rfc2231, charset: from a header block to text that can be searched. */
#include "tests/unit/unit.h"

#include "lib/charset.h"
#include "lib/header.h"
#include "lib/rfc2047.h"
#include "lib/rfc2231.h"
#include "lib/text.h"

#include <stdio.h>

static void
assert_slice(struct slice got, struct slice want)
{
	if (!slice_eq(got, want))
		print_error("got:  %.*s\nwant: %.*s\n", SLICE_ARG(got), SLICE_ARG(want));
	assert_true(slice_eq(got, want));
}

/* --- fields --- */

static const struct slice block = SLICE_INIT(
    "From x y\r\nSubject: a\r\n b\r\nTO : x\r\nEmpty:\r\n\tfolded\r\n"
    "subject:second\r\n\r\nSubject: body\r\n");

static void
test_fields(void **state)
{
	static const struct {
		struct slice name, value;
	} want[] = {
		{ SLICE_INIT(""), SLICE_INIT("From x y") }, { SLICE_INIT("Subject"), SLICE_INIT("a\r\n b") },
		{ SLICE_INIT("TO"), SLICE_INIT("x") }, { SLICE_INIT("Empty"), SLICE_INIT("folded") },
		{ SLICE_INIT("subject"), SLICE_INIT("second") },
	};
	struct slice rest = block;
	struct header_field f;
	struct buf out;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(want); i++) {
		assert_true(header_next(&rest, &f));
		assert_slice(f.name, want[i].name);
		assert_slice(f.value, want[i].value);
	}
	assert_false(header_next(&rest, &f));
	assert_true(header_find(block, SLICE("SUBJECT"), &f));
	buf_init(&out, 64);
	assert_true(header_unfold(f.value, &out));
	assert_slice(buf_slice(&out), SLICE("a b"));
	assert_false(header_find(block, SLICE("Sub"), &f));
	buf_fini(&out);
	for (size_t cut = 0; cut < block.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(block, 0, cut));

		for (rest = prefix; header_next(&rest, &f);)
			assert_true(f.raw.len > 0);
		unit_drop(prefix);
	}
}

static const struct subset_case {
	const char        *name;
	enum header_subset which;
	struct slice       names[3];
	size_t             n;
	struct slice       in, want;
} subsets[] = {
	{ "named", HEADER_FIELDS, { SLICE_INIT("TO"), SLICE_INIT("subject"), SLICE_INIT("x") }, 3,
	  SLICE_INIT("Subject: a\r\n b\r\nFrom: c\r\nTo: d\r\n\r\n"), SLICE_INIT("Subject: a\r\n b\r\nTo: d\r\n\r\n") },
	{ "others", HEADER_FIELDS_NOT, { SLICE_INIT("TO"), SLICE_INIT("subject") }, 2,
	  SLICE_INIT("Subject: a\r\n b\r\nFrom: c\r\nTo: d\r\n\r\n"), SLICE_INIT("From: c\r\n\r\n") },
	{ "none matches", HEADER_FIELDS, { SLICE_INIT("x") }, 1, SLICE_INIT("To: d\r\n\r\n"), SLICE_INIT("\r\n") },
	{ "no blank line", HEADER_FIELDS, { SLICE_INIT("to") }, 1, SLICE_INIT("To: d\r\n"), SLICE_INIT("To: d\r\n") },
	{ "no names", HEADER_FIELDS_NOT, { SLICE_INIT("") }, 0, SLICE_INIT("To: d\r\n\r\n"), SLICE_INIT("To: d\r\n\r\n") },
	{ "junk is not named", HEADER_FIELDS_NOT, { SLICE_INIT("") }, 1, SLICE_INIT("junk\r\n\r\n"), SLICE_INIT("junk\r\n\r\n") },
	{ "empty", HEADER_FIELDS, { SLICE_INIT("to") }, 1, SLICE_INIT(""), SLICE_INIT("") },
};

static void
test_subset(void **state)
{
	const struct subset_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf out;

	buf_init(&out, 256);
	assert_true(header_subset(in, k->which, k->names, k->n, &out));
	assert_slice(buf_slice(&out), k->want);
	buf_fini(&out);
	buf_init(&out, 0);
	assert_int_equal(header_subset(in, k->which, k->names, k->n, &out), k->want.len == 0);
	buf_fini(&out);
	unit_drop(in);
}

/* --- text --- */

#define NIHONGO "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"

static const struct text_case {
	const char  *name;
	struct slice in, want;
} texts[] = {
	{ "ascii", SLICE_INIT("Hello  World"), SLICE_INIT("hello  world") },
	{ "folded", SLICE_INIT("a\r\n\tb"), SLICE_INIT("a\tb") },
	{ "RFC 2047 s8: (a)", SLICE_INIT("(=?ISO-8859-1?Q?a?=)"), SLICE_INIT("(a)") },
	{ "RFC 2047 s8: (a b)", SLICE_INIT("(=?ISO-8859-1?Q?a?= b)"), SLICE_INIT("(a b)") },
	{ "RFC 2047 s8: (ab)", SLICE_INIT("(=?ISO-8859-1?Q?a?=   =?ISO-8859-1?Q?b?=)"), SLICE_INIT("(ab)") },
	{ "RFC 2047 s8: folded", SLICE_INIT("(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)"), SLICE_INIT("(ab)") },
	{ "RFC 2047 s8: space", SLICE_INIT("(=?ISO-8859-1?Q?a_b?=)"), SLICE_INIT("(a b)") },
	{ "RFC 2047 s8: two charsets", SLICE_INIT("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?="), SLICE_INIT("a b") },
	{ "base64", SLICE_INIT("=?utf-8?B?R3LDvMOfZQ==?="), SLICE_INIT("gr\xc3\xbcsse") },
	{ "language", SLICE_INIT("=?utf-8*de?Q?=C3=BC?="), SLICE_INIT("\xc3\xbc") },
	{ "split character", SLICE_INIT("=?utf-8?B?5pel5pw=?= =?utf-8?Q?=AC=E8?= =?UTF-8?Q?=AA=9E?="), SLICE_INIT(NIHONGO) },
	{ "not ended", SLICE_INIT("=?utf-8?Q?abc"), SLICE_INIT("=?utf-8?q?abc") },
	{ "bad encoding", SLICE_INIT("=?utf-8?X?abc?= x"), SLICE_INIT("=?utf-8?x?abc?= x") },
	{ "no charset", SLICE_INIT("=??Q?abc?="), SLICE_INIT("=??q?abc?=") },
	{ "unknown charset", SLICE_INIT("=?x-what?Q?=E4?="), SLICE_INIT("\xc3\xa4") },
	{ "spaces in Q", SLICE_INIT("=?utf-8?Q?a b?="), SLICE_INIT("a b") },
	{ "glued words", SLICE_INIT("x=?utf-8?Q?a?==?utf-8?Q?b?=y"), SLICE_INIT("xaby") },
	{ "bad escape in Q", SLICE_INIT("=?utf-8?Q?a=4?="), SLICE_INIT("a=4") },
	{ "raw UTF-8", SLICE_INIT("\xc3\x84 " NIHONGO), SLICE_INIT("\xc3\xa4 " NIHONGO) },
	{ "raw windows-1252", SLICE_INIT("\x80 \xe4"), SLICE_INIT("\xe2\x82\xac \xc3\xa4") },
	{ "ISO-2022-JP", SLICE_INIT("=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?="), SLICE_INIT(NIHONGO) },
	{ "ISO-2022-JP in two words", SLICE_INIT("=?iso-2022-jp?B?GyRCRnwbKEI=?= =?iso-2022-jp?B?GyRCS1w4bBsoQg==?="),
	  SLICE_INIT(NIHONGO) },
	{ "raw ISO-2022-JP", SLICE_INIT("\x1b$BF|K\\8l\x1b(B"), SLICE_INIT(NIHONGO) },
	{ "ISO-2022-JP with circled one", SLICE_INIT("=?iso-2022-jp?B?GyRCLSEbKEI=?="), SLICE_INIT("1") },
	{ "ISO-2022-JP with kana", SLICE_INIT("=?iso-2022-jp?Q?=1B(I6=5E=1B(B?="), SLICE_INIT("\xe3\x82\xac") },
	{ "CP932 called ISO-2022-JP", SLICE_INIT("=?iso-2022-jp?Q?=93=FA=96=7B=8C=EA?="), SLICE_INIT(NIHONGO) },
	{ "CP932 called Shift_JIS", SLICE_INIT("=?shift_jis?Q?=93=FA=96=7B=8C=EA=87=40?="), SLICE_INIT(NIHONGO "1") },
	{ "half-width kana in Shift_JIS", SLICE_INIT("=?Shift_JIS?Q?=B6=DE?="), SLICE_INIT("\xe3\x82\xac") },
	{ "EUC-JP", SLICE_INIT("=?euc-jp?Q?=C6=FC=CB=DC=B8=EC=AD=A1?="), SLICE_INIT(NIHONGO "1") },
	{ "UTF-8 called Shift_JIS", SLICE_INIT("=?shift_jis?Q?=E6=97=A5=E6=9C=AC=E8=AA=9E?="), SLICE_INIT(NIHONGO) },
	{ "UTF-8 called us-ascii", SLICE_INIT("=?us-ascii?Q?=E6=97=A5=E6=9C=AC=E8=AA=9E?="), SLICE_INIT(NIHONGO) },
	{ "GB18030 called gb2312", SLICE_INIT("=?gb2312?Q?=C8=D5=B1=BE=E9=46?="), SLICE_INIT("\xe6\x97\xa5\xe6\x9c\xac\xe9\x95\x95") },
	{ "CP949", SLICE_INIT("=?ks_c_5601-1987?Q?=C7=D1=B1=DB=8C=63?="), SLICE_INIT("\xed\x95\x9c\xea\xb8\x80\xeb\x98\xa0") },
	{ "latin1 is windows-1252", SLICE_INIT("=?iso-8859-1?Q?=80?="), SLICE_INIT("\xe2\x82\xac") },
	{ "UTF-7", SLICE_INIT("=?utf-7?Q?+AOQ-?="), SLICE_INIT("\xc3\xa4") },
	{ "extended parameter", SLICE_INIT("attachment; filename*=iso-8859-1''%C4.txt"),
	  SLICE_INIT("attachment; filename*=iso-8859-1''%c4.txt\n\xc3\xa4.txt") },
	{ "parameter in pieces", SLICE_INIT("a/b; name*0=Re; name*1=port"), SLICE_INIT("a/b; name*0=re; name*1=port\nreport") },
	{ "iconv instruction in a charset", SLICE_INIT("=?utf-8//IGNORE?Q?=C3=A4?="), SLICE_INIT("\xc3\xa4") },
	{ "NUL", SLICE_INIT("a\0b"), SLICE_INIT("a\0b") },
	{ "empty", SLICE_INIT(""), SLICE_INIT("") },
};

static void
test_text(void **state)
{
	const struct text_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf out, want;

	buf_init(&out, 4096);
	buf_init(&want, 4096);
	assert_true(header_decode_text(in, &out));
	assert_true(text_searchfold(k->want, &want));
	assert_slice(buf_slice(&out), buf_slice(&want));
	buf_fini(&want);
	unit_drop(in);
	for (size_t cut = 0; cut < k->in.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(k->in, 0, cut));

		buf_reset(&out);
		out.max = 4096;
		assert_true(header_decode_text(prefix, &out));
		assert_true(text_utf8_valid(buf_slice(&out)));
		buf_reset(&out);
		out.max = cut / 2;
		(void)header_decode_text(prefix, &out);
		assert_true(out.len <= out.max && text_utf8_valid(buf_slice(&out)));
		unit_drop(prefix);
	}
	buf_fini(&out);
}

/* --- parameters --- */

static const struct param_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* name=value| of each */
	const char  *decoded;   /* the parameter "name", as UTF-8; NULL if there is none */
} params[] = {
	{ "none", SLICE_INIT(""), "", NULL },
	{ "plain", SLICE_INIT("; a=b; c=\"d e\""), "a=b|c=d e|", NULL },
	{ "escapes", SLICE_INIT("; name=\"a\\\"b\\\\c\""), "name=a\"b\\c|", "a\"b\\c" },
	{ "comments and blanks", SLICE_INIT(" ; (x;y) a (z) = (q) b (r) ; name = \"c\" junk; d=e"), "a=b|name=c|d=e|", "c" },
	{ "value not quoted", SLICE_INIT(";name=my file.txt ;x=y"), "name=my file.txt|x=y|", "my file.txt" },
	{ "without value", SLICE_INIT("; a; b=; =c; d"), "b=|", NULL },
	{ "quote not closed", SLICE_INIT("; name=\"a;b"), "name=a;b|", "a;b" },
	{ "RFC 2231 s3", SLICE_INIT("; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub\""), "URL=ftp://cs.utk.edu/pub|", NULL },
	{ "RFC 2231 s4", SLICE_INIT("; name*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"),
	  "name*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A|", "This is ***fun***" },
	{ "RFC 2231 s4.1",
	  SLICE_INIT("; name*0*=us-ascii'en'This%20is%20even%20more%20; name*1*=%2A%2A%2Afun%2A%2A%2A%20; name*2=\"isn't it!\""),
	  "name*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!|",
	  "This is even more ***fun*** isn't it!" },
	{ "backwards", SLICE_INIT("; name*2=c; name*1=b; name*0=a; x=y"), "name=abc|x=y|", "abc" },
	{ "gap ends it", SLICE_INIT("; name*0=a; name*2=c"), "name=a|name*2=c|", "a" },
	{ "no first piece", SLICE_INIT("; name*1=b"), "name*1=b|", NULL },
	{ "extended first wins", SLICE_INIT("; name=x; name*=utf-8''%C3%A4"), "name=x|name*=utf-8''%C3%A4|", "\xc3\xa4" },
	{ "plain with encoded-word", SLICE_INIT("; name=\"=?utf-8?q?=C3=A4?=\""), "name==?utf-8?q?=C3=A4?=|", "\xc3\xa4" },
	{ "extended without quotes", SLICE_INIT("; name*=%41"), "name*=%41|", "A" },
	{ "only a star", SLICE_INIT("; *=x; *0=y"), "*=x|*0=y|", NULL },
	{ "huge index", SLICE_INIT("; name*99999999999999999999=x"), "name*99999999999999999999=x|", NULL },
};

static void
test_params(void **state)
{
	const struct param_case *k = *state;
	struct slice in = unit_copy(k->in);
	const struct param *p;
	struct param_list l;
	struct buf out;

	buf_init(&out, 1024);
	param_list_init(&l);
	assert_true(param_list_parse(&l, in));
	for (size_t i = 0; i < l.n; i++)
		buf_printf(&out, "%.*s=%.*s|", SLICE_ARG(l.items[i].name),
		           SLICE_ARG(l.items[i].value));
	assert_slice(buf_slice(&out), slice_str(k->want));
	p = param_find(&l, SLICE("NAME"));
	assert_int_equal(p != NULL, k->decoded != NULL);
	buf_reset(&out);
	if (p != NULL) {
		assert_true(param_decode(p, &out));
		assert_slice(buf_slice(&out), slice_str(k->decoded));
	}
	unit_drop(in);
	for (size_t cut = 0; cut < k->in.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(k->in, 0, cut));

		assert_true(param_list_parse(&l, prefix));
		unit_drop(prefix);
	}
	param_list_fini(&l);
	buf_fini(&out);
}

static void
test_param_limit(void **state)
{
	struct param_list l;
	struct buf in;

	(void)state;
	buf_init(&in, 1u << 20);
	for (int i = 20000; i-- > 0;)
		buf_printf(&in, ";a*%d=x", i);
	param_list_init(&l);
	assert_true(param_list_parse(&l, buf_slice(&in)));
	assert_true(l.cut);
	assert_int_equal(l.n, PARAM_MAX);
	param_list_fini(&l);
	buf_fini(&in);
}

static void
test_charsets(void **state)
{
	static const char *const known[] = { "utf-8", "US-ASCII", "iso-8859-15", "Shift_JIS",
	                                     "iso-2022-jp", "koi8-r",
	                                     "windows-1251", "gb18030", "Big5", "euc-kr" };
	static const char *const unknown[] = { "", "x-nonsense", "utf-8//translit", "cp",
	                                       "windows-99999", "../x", "ebcdic-us" };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(known); i++)
		assert_true(charset_known(slice_str(known[i])));
	for (size_t i = 0; i < UNIT_COUNT(unknown); i++)
		assert_false(charset_known(slice_str(unknown[i])));
}

/* Encoded-words that are never finished, and many that are: linear. */
static void
test_many_words(void **state)
{
	struct buf in, out;

	(void)state;
	buf_init(&in, 8u << 20);
	buf_init(&out, 8u << 20);
	for (int i = 0; i < 200000; i++)
		buf_append_str(&in, "=?a?q?");
	for (int i = 0; i < 200000; i++)
		buf_append_str(&in, "=?utf-8?b?4w==?= ");
	assert_true(rfc2047_decode(buf_slice(&in), &out));
	assert_true(text_utf8_valid(buf_slice(&out)));
	buf_fini(&in);
	buf_fini(&out);
}

#define ROWS(table, function) \
	for (size_t i = 0; i < UNIT_COUNT(table); i++) \
		tests[n++] = (struct CMUnitTest){ table[i].name, function, NULL, NULL, (void *)(uintptr_t)&table[i] }

int
main(void)
{
	static struct CMUnitTest
	    tests[UNIT_COUNT(subsets) + UNIT_COUNT(texts) + UNIT_COUNT(params) + 4];
	size_t n = 0;

	ROWS(subsets, test_subset);
	ROWS(texts, test_text);
	ROWS(params, test_params);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_fields);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_param_limit);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_charsets);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_many_words);
	return _cmocka_run_group_tests("header", tests, n, NULL, NULL);
}
