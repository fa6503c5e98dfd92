/* What a FETCH may ask for: every production of fetch-att, rendered back in canonical form, or
 * what was expected. */
#include "server/imap/fetch.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static const struct parse_case {
	const char  *name;
	struct slice in;
	const char  *want;
} cases[] = {
	{ "one item", SLICE_INIT("FLAGS"), "FLAGS" },
	{ "case does not matter", SLICE_INIT("rFc822.sIZe"), "RFC822.SIZE" },
	{ "list of one", SLICE_INIT("(UID)"), "UID" },
	{ "list", SLICE_INIT("(UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE BODY)"),
	  "UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE BODY" },
	{ "macro ALL", SLICE_INIT("ALL"), "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE" },
	{ "macro FAST", SLICE_INIT("fast"), "FLAGS INTERNALDATE RFC822.SIZE" },
	{ "macro FULL", SLICE_INIT("FULL"), "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY" },
	{ "macro in a list", SLICE_INIT("(ALL)"), "expected a FETCH data item at 1" },
	{ "RFC822 sets seen", SLICE_INIT("RFC822"), "RFC822=[]+seen" },
	{ "RFC822.HEADER does not", SLICE_INIT("RFC822.HEADER"), "RFC822.HEADER=[HEADER]" },
	{ "RFC822.TEXT does", SLICE_INIT("RFC822.TEXT"), "RFC822.TEXT=[TEXT]+seen" },
	{ "whole body", SLICE_INIT("BODY[]"), "BODY[]+seen" },
	{ "peek", SLICE_INIT("BODY.PEEK[]"), "BODY[]" },
	{ "peek needs a section", SLICE_INIT("BODY.PEEK"), "expected [ at 9" },
	{ "part", SLICE_INIT("BODY.PEEK[1.2.3]"), "BODY[1.2.3]" },
	{ "part mime", SLICE_INIT("BODY.PEEK[1.MIME]"), "BODY[1.MIME]" },
	{ "mime needs a part", SLICE_INIT("BODY[MIME]"),
	  "expected part number, HEADER, HEADER.FIELDS or TEXT at 5" },
	{ "part text", SLICE_INIT("BODY[2.TEXT]"), "BODY[2.TEXT]+seen" },
	{ "part header", SLICE_INIT("BODY[2.3.header]"), "BODY[2.3.HEADER]+seen" },
	{ "fields", SLICE_INIT("BODY.PEEK[HEADER.FIELDS (From \"To\" {4}\r\nDate)]"),
	  "BODY[HEADER.FIELDS(From,To,Date)]" },
	{ "fields not, of a part", SLICE_INIT("BODY.PEEK[4.HEADER.FIELDS.NOT (Received)]"),
	  "BODY[4.HEADER.FIELDS.NOT(Received)]" },
	{ "no fields", SLICE_INIT("BODY[HEADER.FIELDS ()]"), "expected astring at 20" },
	{ "fields without a list", SLICE_INIT("BODY[HEADER.FIELDS]"), "expected one space at 18" },
	{ "partial", SLICE_INIT("BODY[]<0.2048>"), "BODY[]<0.2048>+seen" },
	{ "partial of fields", SLICE_INIT("BODY.PEEK[HEADER.FIELDS (To)]<5.1>"), "BODY[HEADER.FIELDS(To)]<5.1>" },
	{ "large partial", SLICE_INIT("BODY.PEEK[]<4294967296.4294967296>"), "BODY[]<4294967296.4294967296>" },
	{ "partial of nothing", SLICE_INIT("BODY[]<0.0>"), "expected a number of octets above 0 at 10" },
	{ "partial without a length", SLICE_INIT("BODY[]<0>"), "expected . at 8" },
	{ "partial too large", SLICE_INIT("BODY[]<9223372036854775808.1>"), "expected number below 2^63 at 7" },
	{ "binary", SLICE_INIT("BINARY[1.2]<3.4>"), "BINARY[1.2]<3.4>+seen" },
	{ "binary peek of all", SLICE_INIT("BINARY.PEEK[]"), "BINARY[]" },
	{ "binary size", SLICE_INIT("BINARY.SIZE[2]"), "BINARY.SIZE[2]" },
	{ "binary size has no partial", SLICE_INIT("BINARY.SIZE[2]<1.2>"), "5 left" },
	{ "binary has no text", SLICE_INIT("BINARY[1.TEXT]"), "expected part number at 9" },
	{ "part zero", SLICE_INIT("BODY[0]"), "expected nz-number at 5" },
	{ "part ends in a dot", SLICE_INIT("BODY[1.]"),
	  "expected part number, HEADER, HEADER.FIELDS, TEXT or MIME at 7" },
	{ "part too large", SLICE_INIT("BODY[4294967296]"), "expected number below 2^32 at 5" },
	{ "unknown item", SLICE_INIT("(FLAGS X-GM-MSGID)"), "expected a FETCH data item at 7" },
	{ "empty list", SLICE_INIT("()"), "expected a FETCH data item at 1" },
	{ "two spaces", SLICE_INIT("(FLAGS  UID)"), "expected a FETCH data item at 7" },
	{ "open list", SLICE_INIT("(FLAGS UID"), "expected ) at 10" },
	{ "open section", SLICE_INIT("BODY[1"), "expected ] at 6" },
	{ "embedded NUL", SLICE_INIT("BODY[\0]"), "expected part number, HEADER, HEADER.FIELDS or TEXT at 5" },
	{ "nothing", SLICE_INIT(""), "expected a FETCH data item at 0" },
	{ "stops behind the item", SLICE_INIT("UID FLAGS"), "6 left" },
};

static const char *const kinds[] = {
	[FETCH_UID] = "UID", [FETCH_FLAGS] = "FLAGS", [FETCH_INTERNALDATE] = "INTERNALDATE",
	[FETCH_RFC822_SIZE] = "RFC822.SIZE", [FETCH_ENVELOPE] = "ENVELOPE", [FETCH_BODY] = "BODY",
	[FETCH_BODYSTRUCTURE] = "BODYSTRUCTURE", [FETCH_SECTION] = "BODY", [FETCH_BINARY] = "BINARY",
	[FETCH_BINARY_SIZE] = "BINARY.SIZE",
};

static const char *const texts[] = {
	[FETCH_TEXT_NONE] = "", [FETCH_TEXT_HEADER] = "HEADER", [FETCH_TEXT_FIELDS] = "HEADER.FIELDS",
	[FETCH_TEXT_FIELDS_NOT] = "HEADER.FIELDS.NOT", [FETCH_TEXT_TEXT] = "TEXT", [FETCH_TEXT_MIME] = "MIME",
};

static void
render_section(const struct fetch_item *it, struct buf *out)
{
	buf_append_byte(out, '[');
	for (size_t i = 0; i < it->depth; i++)
		buf_printf(out, i > 0 ? ".%u" : "%u", it->path[i]);
	if (it->depth > 0 && it->text != FETCH_TEXT_NONE)
		buf_append_byte(out, '.');
	buf_append_str(out, texts[it->text]);
	for (size_t i = 0; i < it->name_count; i++)
		buf_printf(out, i > 0 ? ",%.*s" : "(%.*s", SLICE_ARG(it->names[i]));
	buf_append_str(out, it->name_count > 0 ? ")]" : "]");
	if (it->partial)
		buf_printf(out, "<%llu.%llu>", (unsigned long long)it->origin,
		           (unsigned long long)it->length);
	if (!it->peek)
		buf_append_str(out, "+seen");
}

static void
render(const struct fetch_request *r, struct buf *out)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct fetch_item *it = &r->items[i];

		if (i > 0)
			buf_append_byte(out, ' ');
		if (it->alias != NULL)
			buf_printf(out, "%s=", it->alias);
		else
			buf_append_str(out, kinds[it->kind]);
		if (it->kind >= FETCH_SECTION)
			render_section(it, out);
	}
}

static void
parse_copy(struct slice in, struct buf *out)
{
	struct slice copy = unit_copy(in);
	struct fetch_request r;
	struct cursor c;
	struct arena a;

	buf_reset(out);
	arena_init(&a, 1 << 20);
	cur_init(&c, copy);
	if (!fetch_parse_items(&c, &a, &r)) {
		assert_non_null(c.expected);
		buf_printf(out, "expected %s at %zu", c.expected, c.failed_at);
	} else if (!cur_at_end(&c)) {
		buf_printf(out, "%zu left", in.len - c.pos);
	} else {
		render(&r, out);
	}
	arena_fini(&a);
	unit_drop(copy);
}

static void
test_items(void **state)
{
	const struct parse_case *k = *state;
	struct buf out;

	buf_init(&out, 65536);
	parse_copy(k->in, &out);
	buf_append_byte(&out, 0);
	assert_string_equal((const char *)out.ptr, k->want);
	for (size_t cut = 0; cut < k->in.len; cut++)
		parse_copy((struct slice){ k->in.ptr, cut }, &out);
	buf_fini(&out);
}

/* Limits are refusals with a reason, whatever the length of the input. */
static void
test_limits(void **state)
{
	struct buf in, out;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_append_str(&in, "(");
	for (int i = 0; i < 2000; i++)
		buf_append_str(&in, "UID ");
	parse_copy(buf_slice(&in), &out);
	assert_true(slice_starts(buf_slice(&out), SLICE("expected fewer data items")));
	buf_reset(&in);
	buf_append_str(&in, "BODY[1");
	for (int i = 0; i < 2000; i++)
		buf_append_str(&in, ".1");
	parse_copy(buf_slice(&in), &out);
	assert_true(slice_starts(buf_slice(&out), SLICE("expected a shallower part number")));
	buf_reset(&in);
	buf_append_str(&in, "BODY[HEADER.FIELDS (X");
	for (int i = 0; i < 2000; i++)
		buf_append_str(&in, " X");
	parse_copy(buf_slice(&in), &out);
	assert_true(slice_starts(buf_slice(&out), SLICE("expected fewer field names")));
	buf_fini(&in);
	buf_fini(&out);
}

/* What the machine must read for an answer: BODY[...] the log, BODY and ENVELOPE only the index. */
static void
test_needs(void **state)
{
	static const struct need_case {
		const char *in;
		bool        summary, place, seen;
	} needs[] = {
		{ "FAST", false, false, false },
		{ "ENVELOPE", true, false, false },
		{ "BODY", true, false, false },
		{ "(UID BODYSTRUCTURE)", true, false, false },
		{ "BODY.PEEK[HEADER]", true, true, false },
		{ "BINARY.SIZE[1]", true, true, false },
		{ "BODY[1]", true, true, true },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(needs); i++) {
		struct fetch_request r;
		struct cursor c;
		struct arena a;

		arena_init(&a, 1 << 20);
		cur_init(&c, slice_str(needs[i].in));
		assert_true(fetch_parse_items(&c, &a, &r));
		assert_int_equal(r.needs_summary, needs[i].summary);
		assert_int_equal(r.needs_place, needs[i].place);
		assert_int_equal(r.sets_seen, needs[i].seen);
		arena_fini(&a);
	}
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + 2];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_items, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_limits);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_needs);
	return _cmocka_run_group_tests("imap_fetch_parse", tests, n, NULL, NULL);
}
