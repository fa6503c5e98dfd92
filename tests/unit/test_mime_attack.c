/* mime: mail made to cost much: bounded work and memory, and a summary all the same. */
#include "tests/unit/mime_fixture.h"

#include <time.h>

static void
repeat(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_append_str(b, s);
}

static void
attack_nested_multipart(struct buf *b)
{
	for (int i = 0; i < 20000; i++)
		buf_printf(b,
		    "Content-Type: multipart/mixed; boundary=\"b%05d\"\r\n\r\n--b%05d\r\n", i, i);
}

static void
attack_nested_messages(struct buf *b)
{
	repeat(b, "Content-Type: message/rfc822\r\n\r\n", 30000);
}

static void
attack_same_boundary(struct buf *b)
{
	repeat(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 30000);
}

static void
attack_equal_prefixes(struct buf *b)
{
	char prefix[200];

	memset(prefix, 'x', sizeof prefix - 1);
	prefix[sizeof prefix - 1] = '\0';
	for (int i = 0; i < 99; i++)
		buf_printf(b, "Content-Type: multipart/mixed; boundary=%s%02d\r\n\r\n--%s%02d\r\n",
		           prefix, i, prefix, i);
	buf_append_str(b, "\r\n");
	for (int i = 0; i < 5000; i++)
		buf_printf(b, "--%s??\r\n", prefix);
}

static void
attack_many_parts(struct buf *b)
{
	buf_append_str(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	repeat(b, "--b\r\n\r\nx\r\n", 200000);
}

static void
attack_many_messages(struct buf *b)
{
	buf_append_str(b, "Content-Type: multipart/digest; boundary=b\r\n\r\n");
	repeat(b, "--b\r\n\r\n\r\n\r\n", 50000);
}

static void
attack_many_multiparts(struct buf *b)
{
	buf_append_str(b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	repeat(b, "--b\r\nContent-Type: multipart/x\r\n\r\nx\r\n", 50000);
}

static void
attack_addresses(struct buf *b)
{
	buf_append_str(b, "To: ");
	repeat(b, "a@b,\r\n ", 500000);
	buf_append_str(b, "\r\n\r\n");
}

static void
attack_comments(struct buf *b)
{
	buf_append_str(b, "To: ");
	repeat(b, "(", 300000);
	buf_append_str(b, "\r\nFrom: ");
	repeat(b, "\"<", 300000);
	buf_append_str(b, "\r\n\r\n");
}

static void
attack_pieces(struct buf *b)
{
	buf_append_str(b, "Content-Type: a/b");
	for (int i = 50000; i > 0; i--)
		buf_printf(b, ";\r\n n*%d*=%%41", i);
	buf_append_str(b, "; n*0=x\r\n\r\n");
}

static void
attack_header_fields(struct buf *b)
{
	repeat(b, "X: y\r\n", 400000);
	repeat(b, "Subject: =?\r\n", 100000);
}

static void
attack_huge_field(struct buf *b)
{
	buf_append_str(b, "Subject: ");
	repeat(b, "=?utf-8?q?=CC=81=CC=A7?= ", 100000);
	buf_append_str(b, "\r\nReferences: ");
	repeat(b, "<a@b> ", 500000);
}

static void
attack_embedded_envelopes(struct buf *b)
{
	buf_append_str(b, "Content-Type: multipart/digest; boundary=b\r\n\r\n");
	for (int i = 0; i < 800; i++) {
		buf_append_str(b, "--b\r\n\r\nFrom: ");
		repeat(b, "a@b, ", 600);
		buf_append_str(b, "\r\n\r\n");
	}
}

static void
attack_subject(struct buf *b)
{
	buf_append_str(b, "Subject: ");
	repeat(b, "[a]", 20000);
	repeat(b, "re:", 20000);
	repeat(b, "[fwd:", 20000);
	repeat(b, "]", 20000);
}

/* What grows most on its way into the summary: escapes in names, percent-encoding, lists copied to
 * sender and reply-to. */
static void
attack_growth(struct buf *b)
{
	buf_append_str(b, "From: <");
	repeat(b, "@a,", 5000);
	buf_append_str(b, "@a:x@y>, ");
	for (int i = 0; i < 24; i++) {
		buf_append_str(b, "\"");
		repeat(b, "\\\"", 980);
		buf_append_str(b, "\" <a@b>,");
	}
	buf_append_str(b, "\r\nContent-Type: a/b; n*0*=''; n*1=\"");
	repeat(b, "\xff", 60000);
	buf_append_str(b, "\"\r\nContent-ID: ");
	repeat(b, "\"", 900);
	buf_append_str(b, "\r\n\r\n");
}

static const struct attack_case {
	const char *name;
	void (*make)(struct buf *);
	uint32_t nparts;
} attacks[] = {
	{ "deep multiparts", attack_nested_multipart, MIME_DEPTH_MAX + 1 },
	{ "deep messages", attack_nested_messages, MIME_DEPTH_MAX + 1 },
	{ "one boundary at every level", attack_same_boundary, 0 },
	{ "boundaries with one prefix", attack_equal_prefixes, 100 },
	{ "many parts", attack_many_parts, MIME_PARTS_MAX },
	{ "many messages", attack_many_messages, MIME_PARTS_MAX },
	{ "many multiparts", attack_many_multiparts, 0 },
	{ "many addresses", attack_addresses, 1 },
	{ "open comments and quotes", attack_comments, 1 },
	{ "RFC 2231 pieces backwards", attack_pieces, 1 },
	{ "many fields", attack_header_fields, 1 },
	{ "huge fields", attack_huge_field, 1 },
	{ "many envelopes", attack_embedded_envelopes, 0 },
	{ "subject of blobs", attack_subject, 1 },
	{ "what grows most", attack_growth, 1 },
};

static void
test_attack(void **state)
{
	const struct attack_case *k = *state;
	struct buf in, out, again;
	struct mime_parser *p;
	struct mime_summary s;
	clock_t t;

	buf_init(&in, 16u << 20);
	buf_init(&out, MIME_SUMMARY_MAX);
	buf_init(&again, MIME_SUMMARY_MAX);
	k->make(&in);
	assert_false(in.failed);
	t = clock();
	p = parse_mail(buf_slice(&in), 0, &s);
	print_message("%s: %zu bytes, %.1f steps a byte, %.3f s, summary of %zu\n", k->name, in.len,
	              (double)mime_steps(p) / (double)in.len,
	              (double)(clock() - t) / CLOCKS_PER_SEC, s.envelope.len + s.bodystructure.len);
	assert_true(mime_steps(p) <= 2 * MIME_DEPTH_MAX * in.len);
	assert_true(k->nparts == 0 || s.nparts == k->nparts);
	assert_true(s.nparts <= 2 * MIME_PARTS_MAX);
	assert_int_equal(s.size, in.len);
	assert_true(mime_render_structure(s.bodystructure, MIME_FORM_BODY, &again));
	assert_true(mime_summary_encode(&s, &out));
	mime_parser_free(&p);
	buf_fini(&in);
	buf_fini(&out);
	buf_fini(&again);
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(attacks)];
	size_t n = 0;

	MIME_ROWS(attacks, test_attack);
	return _cmocka_run_group_tests("mime_attack", tests, n, NULL, NULL);
}
