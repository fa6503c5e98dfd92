/* mime: the stored form of a summary: written and read again, older, damaged and lying. */
#include "tests/unit/mime_fixture.h"

static void
assert_same_parts(const struct mime_summary *a, const struct mime_summary *b)
{
	assert_int_equal(a->nparts, b->nparts);
	for (uint32_t i = 0; i < a->nparts; i++) {
		const struct mime_part *x = &a->parts[i], *y = &b->parts[i];

		assert_true(x->parent == y->parent && x->number == y->number &&
		            x->next == y->next && x->kind == y->kind);
		assert_true(x->encoding == y->encoding && x->flags == y->flags &&
		            x->lines == y->lines);
		assert_true(x->header_off == y->header_off && x->header_len == y->header_len);
		assert_true(x->body_off == y->body_off && x->body_len == y->body_len);
	}
}

static void
test_stored(void **state)
{
	struct mime_summary s, t;
	struct mime_parser *p = parse_mail(mime_complex, 0, &s);
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1u << 20);
	buf_init(&b, OUT_MAX);
	assert_true(mime_summary_encode(&s, &b));
	assert_int_equal(mime_summary_decode(buf_slice(&b), &a, &t, &e), RC_OK);
	assert_true(t.version == MIME_PARSER_VERSION && t.flags == s.flags && t.size == s.size);
	assert_true(t.header_len == s.header_len && t.lines == s.lines);
	assert_true(slice_eq(t.envelope, s.envelope) && slice_eq(t.bodystructure, s.bodystructure));
	assert_true(slice_eq(t.keys.subject, s.keys.subject) &&
	            t.keys.sent_time == s.keys.sent_time);
	assert_same_parts(&s, &t);
	for (size_t cut = 0; cut < b.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(buf_slice(&b), 0, cut));

		assert_int_equal(mime_summary_decode(prefix, &a, &t, &e), RC_CORRUPT);
		unit_drop(prefix);
		arena_reset(&a);
	}
	buf_fini(&b);
	arena_fini(&a);
	mime_parser_free(&p);
}

/* Any byte changed: refused, or decoded to something whose sections lie within the message. */
static void
test_stored_damage(void **state)
{
	static const uint32_t path[] = { 3, 1 };
	struct mime_summary s, t;
	struct mime_parser *p = parse_mail(mime_complex, 0, &s);
	struct err e = ERR_INIT;
	struct mime_range r;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1u << 20);
	buf_init(&b, OUT_MAX);
	assert_true(mime_summary_encode(&s, &b));
	for (size_t i = 0; i < b.len * 8; i++) {
		b.ptr[i / 8] ^= (uint8_t)(1u << i % 8);
		if (mime_summary_decode(buf_slice(&b), &a, &t, &e) == RC_OK
		    && mime_find_section(&t, path, 2, MIME_SECTION_ALL, &r))
			assert_true(r.off <= t.size && r.len <= t.size - r.off);
		b.ptr[i / 8] ^= (uint8_t)(1u << i % 8);
		arena_reset(&a);
	}
	buf_fini(&b);
	arena_fini(&a);
	mime_parser_free(&p);
}

/* Part tables that would lead out of the table or out of the message. */
static void
lie_body(struct mime_part *p)
{
	p->body_len++;
}

static void
lie_header(struct mime_part *p)
{
	p->header_len += p->body_len + 1;
}

static void
lie_offset(struct mime_part *p)
{
	p->header_off += 1u << 20;
}

static void
lie_next(struct mime_part *p)
{
	p->next += 3;
}

static void
lie_next_zero(struct mime_part *p)
{
	p->next = 0;
}

static void
lie_lines(struct mime_part *p)
{
	p->lines += 1000;
}

static void
lie_flags(struct mime_part *p)
{
	p->flags |= 0x100;
}

static const struct lie_case {
	const char *name;
	uint32_t    part;
	void (*tell)(struct mime_part *);
} lies[] = {
	{ "body beyond the message", 0, lie_body }, { "body beyond its parent", 14, lie_offset },
	{ "header beyond the message", 0, lie_header }, { "last body beyond its parent", 14, lie_header },
	{ "next beyond the table", 0, lie_next }, { "next beyond the parent", 6, lie_next },
	{ "next backwards", 2, lie_next_zero }, { "more lines than there are", 1, lie_lines },
	{ "unknown flags", 1, lie_flags },
};

static void
test_lie(void **state)
{
	const struct lie_case *k = *state;
	struct mime_summary s, t;
	struct mime_parser *p = parse_mail(mime_complex, 0, &s);
	struct err e = ERR_INIT;
	struct mime_part *parts = malloc(s.nparts * sizeof *parts);
	struct arena a;
	struct buf b;

	assert_non_null(parts);
	memcpy(parts, s.parts, s.nparts * sizeof *parts);
	k->tell(&parts[k->part]);
	s.parts = parts;
	arena_init(&a, 1u << 20);
	buf_init(&b, OUT_MAX);
	assert_true(mime_summary_encode(&s, &b));
	assert_int_equal(mime_summary_decode(buf_slice(&b), &a, &t, &e), RC_CORRUPT);
	buf_fini(&b);
	arena_fini(&a);
	free(parts);
	mime_parser_free(&p);
}

/* Summaries of every earlier version can be read. */
static void
test_older_version(void **state)
{
	struct mime_summary s, t;
	struct mime_parser *p = parse_mail(mime_complex, 0, &s);
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 1u << 20);
	buf_init(&b, OUT_MAX);
	for (uint32_t version = 0; version <= MIME_PARSER_VERSION + 1; version++) {
		s.version = version;
		buf_reset(&b);
		assert_true(mime_summary_encode(&s, &b));
		assert_int_equal(mime_summary_decode(buf_slice(&b), &a, &t, &e),
		    version == 0 || version > MIME_PARSER_VERSION ? RC_CORRUPT : RC_OK);
	}
	buf_fini(&b);
	arena_fini(&a);
	mime_parser_free(&p);
}

/* ---- the Subject in ENVELOPE ---- */

#define NONE "none"

static const struct subject_case {
	const char  *name;
	struct slice mail;
	const char  *want;      /* NULL: it may be another one */
} subjects[] = {
	{ "subject, folded and with what is escaped",
	  SLICE_INIT("Date: a\"b\r\nSubject:  =?utf-8?q?a?= \\ \"b\"\r\n c \r\nFrom: x\r\n\r\n"),
	  "=?utf-8?q?a?= \\ \"b\" c" },
	{ "subject: none", SLICE_INIT("From: x\r\nSubjects: y\r\n\r\nSubject: z\r\n"), NONE },
	{ "subject: empty", SLICE_INIT("From: x\r\nSubject:\r\n\r\n"), "" },
	{ "subject: 8-bit", SLICE_INIT("Subject: caf\xc3\xa9\r\n\r\n"), "caf\xc3\xa9" },
	{ "subject: others are in it",
	  SLICE_INIT("Subject: a\r\nContent-Type: message/rfc822\r\n\r\nSubject: b\r\nSubject: c\r\n\r\n"), "a" },
	{ "subjects: two", SLICE_INIT("Subject: a\r\nTo: x\r\nSubject: b\r\n\r\n"), NULL },
	{ "subjects: two spellings", SLICE_INIT("subject : a\r\nSUBJECT:b\r\n\r\n"), NULL },
	{ "subjects: the name behind blanks", SLICE_INIT(" Subject: a\r\nTo: x\r\n\r\n"), NULL },
	{ "subjects: the name behind many blanks",
	  SLICE_INIT("                                        Subject: a\r\nTo: x\r\n\r\n"), NULL },
	{ "subjects: a fold before the colon", SLICE_INIT("Subject\r\n : a\r\nTo: x\r\n\r\n"), NULL },
	{ "subjects: many blanks before the colon",
	  SLICE_INIT("Subject                                  : a\r\nTo: x\r\n\r\n"), NULL },
	{ "subject: a NUL", SLICE_INIT("Subject: a\xc3\0b\r\n\r\n"), NULL },
};

static void
test_subject(void **state)
{
	const struct subject_case *k = *state;

	for (uint32_t split = 0; split < 5; split++) {
		struct mime_summary s;
		struct mime_parser *p = parse_mail(k->mail, split, &s);
		struct slice subject;
		struct buf text;

		buf_init(&text, OUT_MAX);
		assert_int_equal(mime_summary_subject(&s, &text, &subject), k->want != NULL);
		if (k->want != NULL && strcmp(k->want, NONE) == 0)
			assert_null(subject.ptr);
		else if (k->want != NULL)
			assert_true(subject.ptr != NULL && slice_eq(subject, slice_str(k->want)));
		buf_fini(&text);
		mime_parser_free(&p);
	}
}

/* Earlier parsers, and one that met a limit, do not say whether it is the only one. */
static void
test_subject_unsure(void **state)
{
	struct mime_summary s;
	struct mime_parser *p = parse_mail(mime_complex, 0, &s);
	struct slice subject;
	struct buf text;

	(void)state;
	buf_init(&text, OUT_MAX);
	assert_true(mime_summary_subject(&s, &text, &subject));
	assert_true(slice_eq(subject, SLICE("complex")));
	s.flags |= MIME_CUT;
	assert_false(mime_summary_subject(&s, &text, &subject));
	s.flags &= ~MIME_CUT;
	s.version = 3;
	assert_false(mime_summary_subject(&s, &text, &subject));
	s.version = MIME_PARSER_VERSION;
	for (size_t n = 0; n < 22; n++) {
		struct slice whole = s.envelope, piece = unit_copy(slice_sub(whole, 0, n));

		s.envelope = piece;
		(void)mime_summary_subject(&s, &text, &subject);
		s.envelope = whole;
		unit_drop(piece);
	}
	buf_fini(&text);
	mime_parser_free(&p);
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(lies) + UNIT_COUNT(subjects) + 4];
	size_t n = 0;

	MIME_ROWS(lies, test_lie);
	MIME_ROWS(subjects, test_subject);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_subject_unsure);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_stored);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_stored_damage);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_older_version);
	return _cmocka_run_group_tests("mime_stored", tests, n, NULL, NULL);
}
