/* mime without memory: the n-th allocation fails, for every n. Then the parser says RC_NOMEM, or
 * the summary is the one that it always is: a lesser one would be stored for good. Linked with
 * --wrap of the allocator. */
#include "tests/unit/unit.h"

#include "lib/mime.h"

static long fail_at = -1;       /* allocations until one fails; -1: none does */
static bool failed;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool
fails(void)
{
	if (fail_at < 0 || fail_at-- > 0)
		return false;
	failed = true;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

static const struct slice message = SLICE_INIT(
    "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nSubject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?= [x]\r\n"
    "From: \"Joe Q.\" <@r:joe@x.example> (c)\r\nTo: g: \"a b\"@y, z;, <w@v>\r\nCc: u@t\r\n"
    "Message-ID: <1@x>\r\nReferences: <2@x> <3@x>\r\nIn-Reply-To: <3@x>\r\n"
    "Content-Type: multipart/mixed; boundary*0=\"b\"; boundary*1=c\r\n\r\n"
    "--bc\r\nContent-Type: text/plain; charset=utf-8; name*0*=utf-8''%C3; name*1*=%A4\r\n"
    "Content-Transfer-Encoding: 8bit\r\nContent-Disposition: attachment; "
    "filename=x\r\nContent-Language: a, b\r\n\r\nx\r\n"
    "--bc\r\n\r\n1\r\n--bc\r\n\r\n2\r\n--bc\r\n\r\n3\r\n--bc\r\n\r\n4\r\n--bc\r\n\r\n5\r\n"
    "--bc\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: i@n\r\n\r\nx\r\n"
    "--bc\r\nContent-Type: multipart/empty\r\n\r\n--bc--\r\n");

/* Parse with the n-th allocation failing. True when it came to a summary, which is then in *out. */
static bool
parse(long n, struct buf *out)
{
	struct err e = ERR_INIT;
	struct mime_summary s;
	struct mime_parser *p;
	bool ok = false;

	fail_at = n;
	failed = false;
	p = mime_parser_new();
	if (p != NULL) {
		for (size_t at = 0; at < message.len; at += 13)
			mime_feed(p, slice_sub(message, at, at + 13));
		ok = mime_finish(p, &s, &e) == RC_OK;
	}
	fail_at = -1;
	if (ok)
		assert_true(mime_summary_encode(&s, out));
	mime_parser_free(&p);
	return ok;
}

static void
test_every_allocation(void **state)
{
	struct buf want, got;
	long n = 0;

	(void)state;
	buf_init(&want, 1u << 20);
	buf_init(&got, 1u << 20);
	assert_true(parse(-1, &want));
	for (;; n++) {
		buf_reset(&got);
		if (parse(n, &got))
			assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
		if (!failed)
			break;
	}
	assert_true(n > 20);
	buf_fini(&want);
	buf_fini(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_allocation) };

	return cmocka_run_group_tests_name("mime_nomem", tests, NULL, NULL);
}
