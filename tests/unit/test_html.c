/* html: the text of mail bodies in HTML, whole, cut at every octet, and every prefix. */
#include "tests/unit/unit.h"

#include "lib/html.h"

static const struct html_case {
	const char  *name;
	struct slice in;
	const char  *want;
} cases[] = {
	{ "nothing", SLICE_INIT(""), "" },
	{ "no markup", SLICE_INIT("hello"), "hello" },
	{ "white space is one space", SLICE_INIT(" a \r\n\t b  "), "a b" },
	{ "inline tags join", SLICE_INIT("in<b>vo</b><i class=x>ice</i>"), "invoice" },
	{ "blocks part", SLICE_INIT("<p>one</p><p>two<br>three</p>"), "one\ntwo\nthree" },
	{ "a line is stronger than a space", SLICE_INIT("a <div> b"), "a\nb" },
	{ "cells part", SLICE_INIT("<tr><td>1</td><td>2</td></tr><tr><td>3"), "1 2\n3" },
	{ "tags in any case", SLICE_INIT("a<BR/>b"), "a\nb" },
	{ "unknown tag", SLICE_INIT("a<o:p>b</o:p>"), "ab" },
	{ "head", SLICE_INIT("<html><head><title>T &lt;</title><meta x></head><body>b"), "b" },
	{ "style", SLICE_INIT("a<style type='text/css'>p>b{ } </b> </styles> x</STYLE >b"), "ab" },
	{ "script", SLICE_INIT("a<script>if (a<b) \"</scrip\"; <</script>b"), "ab" },
	{ "script without end", SLICE_INIT("a<script>b"), "a" },
	{ "style closed twice", SLICE_INIT("a</style>b"), "ab" },
	{ "comment", SLICE_INIT("a<!-- <p> -- > - --->b"), "ab" },
	{ "shortest comments", SLICE_INIT("a<!-->b<!--->c<!---->d"), "abcd" },
	{ "comment ended wrongly", SLICE_INIT("a<!-- x --!>b"), "ab" },
	{ "conditional comments", SLICE_INIT("<!--[if mso]>x<![endif]--><![if !mso]>y<![endif]>"), "y" },
	{ "doctype", SLICE_INIT("<!DOCTYPE html PUBLIC \"x\">a"), "a" },
	{ "processing instruction", SLICE_INIT("<?xml version='1.0'?>a"), "a" },
	{ "alternative text", SLICE_INIT("a<img src=x alt='Big &amp;\nred' title=\"t\">b"), "a Big & red b" },
	{ "alternative text without quotes", SLICE_INIT("<IMG ALT=logo/>"), "logo/" },
	{ "alternative of others", SLICE_INIT("<a alt=x>y</a>"), "y" },
	{ "no alternative", SLICE_INIT("<img alt='' src='>'>a"), "a" },
	{ "quoted end", SLICE_INIT("<a title='>' href=\">\">x"), "x" },
	{ "equals as a name", SLICE_INIT("<a = = '>'>x"), "x" },
	{ "value missing", SLICE_INIT("<a href=>x"), "x" },
	{ "named", SLICE_INIT("&lt;&eacute;&nbsp;&thetasym;&apos;&euro;&AMP;"), "<\xc3\xa9\xc2\xa0\xcf\x91'\xe2\x82\xac&" },
	{ "numeric", SLICE_INIT("&#35531;&#x6c42;&#X6C42;&#065;"), "\xe8\xab\x8b\xe6\xb1\x82\xe6\xb1\x82" "A" },
	{ "numeric without end", SLICE_INIT("&#65 &#x41g"), "A Ag" },
	{ "windows-1252", SLICE_INIT("&#146;&#x80;"), "\xe2\x80\x99\xe2\x82\xac" },
	{ "not a character", SLICE_INIT("&#0;&#xd800;&#99999999999;"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "space by reference", SLICE_INIT("a&#32;&#10;b"), "a b" },
	{ "old names without end", SLICE_INIT("&copy 2026 &ampfoo &notit; &uumlber"), "\xc2\xa9 2026 &foo \xc2\xacit; \xc3\xbc" "ber" },
	{ "new names need their end", SLICE_INIT("&euro 5 &alphax"), "&euro 5 &alphax" },
	{ "no reference", SLICE_INIT("a & b && &; &# &#; &#x; &foo; R&D"), "a & b && &; &# &#; &#x; &foo; R&D" },
	{ "reference at a tag", SLICE_INIT("&lt<b>x"), "<x" },
	{ "reference at the end", SLICE_INIT("&amp"), "&" },
	{ "too long for a reference", SLICE_INIT("&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;"),
	  "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;" },
	{ "not a tag", SLICE_INIT("a < b <3 1<2 <"), "a < b <3 1<2 <" },
	{ "end of nothing", SLICE_INIT("a</>b</ x>c"), "abc" },
	{ "tag without end", SLICE_INIT("a<b foo"), "a" },
	{ "tag of a long name", SLICE_INIT("a<pppppppppppppppppppppppppppppppppppppppppp>b"), "ab" },
	{ "UTF-8", SLICE_INIT("\xe8\xab\x8b<wbr>\xe6\xb1\x82"), "\xe8\xab\x8b\xe6\xb1\x82" },
	{ "NUL", SLICE_INIT("a<b\0>c"), "ac" },
};

static void
test_text(void **state)
{
	const struct html_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct buf whole, pieces;

	buf_init(&whole, 4096);
	buf_init(&pieces, 4096);
	assert_true(html_to_text(in, &whole));
	buf_append_byte(&whole, '\0');
	assert_string_equal((const char *)whole.ptr, k->want);
	for (size_t cut = 0; cut <= in.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(in, 0, cut));
		struct html_text t;

		buf_reset(&pieces);
		html_text_init(&t);
		html_text_feed(&t, prefix, &pieces);
		html_text_feed(&t, slice_sub(in, cut, in.len), &pieces);
		html_text_finish(&t, &pieces);
		buf_append_byte(&pieces, '\0');
		assert_string_equal((const char *)pieces.ptr, k->want);
		buf_reset(&pieces);
		assert_true(html_to_text(prefix, &pieces));
		unit_drop(prefix);
	}
	buf_fini(&whole);
	buf_fini(&pieces);
	unit_drop(in);
}

static void
test_no_room(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 8);
	assert_false(html_to_text(SLICE("12345<p>67890"), &out));
	assert_true(out.len <= 8);
	assert_memory_equal(out.ptr, "12345", 5);
	buf_fini(&out);
}

static void
test_entities(void **state)
{
	bool legacy;

	(void)state;
	assert_int_equal(html_entity(SLICE("AElig"), &legacy), 0xc6);
	assert_true(legacy);
	assert_int_equal(html_entity(SLICE("zwnj"), &legacy), 0x200c);
	assert_false(legacy);
	assert_int_equal(html_entity(SLICE("zwn"), &legacy), 0);
	assert_int_equal(html_entity(SLICE(""), &legacy), 0);
	assert_int_equal(html_entity(SLICE("zzzz"), &legacy), 0);
}

#define CASES UNIT_COUNT(cases)

int
main(void)
{
	struct CMUnitTest tests[CASES + 2] = {
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_entities),
	};

	for (size_t i = 0; i < CASES; i++)
		tests[i + 2] = (struct CMUnitTest){ cases[i].name, test_text, NULL, NULL,
		                                    (void *)(uintptr_t)&cases[i] };
	return cmocka_run_group_tests_name("html", tests, NULL, NULL);
}
