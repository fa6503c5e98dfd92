/* mime_fixture - a parser fed in pieces, and the message that RFC 9051 numbers the parts of. */
#ifndef RESTANTE_TESTS_UNIT_MIME_FIXTURE_H
#define RESTANTE_TESTS_UNIT_MIME_FIXTURE_H

#include "tests/unit/unit.h"

#include "lib/mime.h"

#define OUT_MAX (4u << 20)

/* A test for each row of the table, by the row's name; `tests` and `n` are main()'s. */
#define MIME_ROWS(table, function) \
	for (size_t i = 0; i < UNIT_COUNT(table); i++) \
		tests[n++] = (struct CMUnitTest){ table[i].name, function, NULL, NULL, (void *)(uintptr_t)&table[i] }

/* Parse `in` in pieces: 0 whole, 1 byte by byte, else random lengths from that seed. The parser is the caller's. */
static inline struct mime_parser *
parse_mail(struct slice in, uint32_t split, struct mime_summary *s)
{
	struct mime_parser *p = mime_parser_new();
	struct err e = ERR_INIT;

	assert_non_null(p);
	for (size_t at = 0, n; at < in.len; at += n) {
		struct slice piece;

		n = split == 0 ? in.len : 1;
		if (split > 1) {
			split = split * 1103515245u + 12345u;
			n = 1 + (split >> 16) % 50;
		}
		piece = unit_copy(slice_sub(in, at, at + n));
		mime_feed(p, piece);
		unit_drop(piece);
	}
	assert_int_equal(mime_finish(p, s, &e), RC_OK);
	return p;
}

/* The message of RFC 9051 s6.4.5.1. */
static const struct slice mime_complex = SLICE_INIT(
    "Subject: complex\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n"
    "--A\r\n\r\none\r\n"
    "--A\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: "
    "base64\r\n\r\ntwo=\r\n"
    "--A\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
    "--B\r\n\r\nthree.one\r\n--B\r\nContent-Type: "
    "application/octet-stream\r\n\r\nthree.two\r\n--B--\r\n"
    "--A\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n"
    "--C\r\nContent-Type: image/gif\r\n\r\nfour.one\r\n"
    "--C\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: four.two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n"
    "--D\r\n\r\nfour.two.one\r\n"
    "--D\r\nContent-Type: multipart/alternative; boundary=E\r\n\r\n"
    "--E\r\n\r\nfour.two.two.one\r\n--E\r\nContent-Type: "
    "text/richtext\r\n\r\nfour.two.two.two\r\n--E--\r\n"
    "--D--\r\n--C--\r\n--A--\r\n");

#endif
