/* fuzz_mime - any bytes as a message, as a stored summary and as header text.
 *
 * Held against: a message fed whole and in pieces gives the same summary; the summary survives
 * encoding; BODY can be made of every BODYSTRUCTURE, and of itself; every section lies within the
 * message; work is linear; every decoder keeps its promises on what it appends. A broken
 * promise aborts.
 */
#include "lib/address.h"
#include "lib/base64.h"
#include "lib/charset.h"
#include "lib/date.h"
#include "lib/header.h"
#include "lib/mime.h"
#include "lib/mutf7.h"
#include "lib/preview.h"
#include "lib/rfc2047.h"
#include "lib/rfc2231.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>

#define OUT_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_mime: broken: %s\n", what);
		abort();
	}
}

/* Parse in pieces whose lengths come from `seed` (0: all at once) and append the
 * encoded summary. */
static void
parse(struct slice in, uint32_t seed, struct buf *encoded, struct buf *body)
{
	struct mime_parser *p = mime_parser_new();
	struct mime_summary s;
	struct err e = ERR_INIT;

	require(p != NULL, "memory");
	for (size_t at = 0, n; at < in.len; at += n) {
		seed = seed * 1103515245u + 12345u;
		n = seed % 2 == 0 && encoded->len == 0 ? in.len : 1 + (seed >> 16) % 37;
		if (n > in.len - at)
			n = in.len - at;
		mime_feed(p, slice_sub(in, at, at + n));
		require(mime_boundary_hint(p).body_off <= at + n, "hint");
	}
	require(mime_finish(p, &s, &e) == RC_OK, "finish");
	require(mime_steps(p) <= 2 * MIME_DEPTH_MAX * (in.len + 1000), "linear work");
	require(mime_summary_encode(&s, encoded) && encoded->len <= MIME_SUMMARY_MAX, "encode");
	require(mime_render_structure(s.bodystructure, MIME_FORM_BODY, body), "body");
	mime_parser_free(&p);
}

static void
try_sections(const struct mime_summary *s, struct slice choices)
{
	uint32_t path[6];
	struct mime_range r;

	for (size_t i = 0; i < 32 && i < choices.len; i++) {
		for (size_t k = 0; k < 6; k++)
			path[k] = 1 + choices.ptr[(i * 7 + k) % choices.len] % 3u;
		for (size_t n = 0; n <= 6; n++)
			for (int what = MIME_SECTION_ALL; what <= MIME_SECTION_MIME; what++)
				if (mime_find_section(s, path, n, (enum mime_section)what, &r))
					require(r.off <= s->size && r.len <= s->size - r.off,
					        "section in message");
	}
}

/* Bytes that claim to be a summary; *again is what the decoded one encodes to. */
static bool
decode(struct slice in, struct buf *again)
{
	struct arena a;
	struct mime_summary s;
	struct err e = ERR_INIT;
	bool ok;

	arena_init(&a, 1u << 20);
	ok = mime_summary_decode(in, &a, &s, &e) == RC_OK;
	if (ok) {
		struct buf body;

		buf_init(&body, OUT_MAX);
		(void)mime_render_structure(s.bodystructure, MIME_FORM_BODY, &body);
		try_sections(&s, in);
		require(mime_summary_encode(&s, again), "encode again");
		buf_fini(&body);
	}
	arena_fini(&a);
	return ok;
}

static void
try_message(struct slice in)
{
	struct buf whole, pieces, again, body, body2;

	buf_init(&whole, OUT_MAX);
	buf_init(&pieces, OUT_MAX);
	buf_init(&again, OUT_MAX);
	buf_init(&body, OUT_MAX);
	buf_init(&body2, OUT_MAX);
	parse(in, 1, &whole, &body);
	parse(in, in.len > 0 ? in.ptr[0] * 2u : 0, &pieces, &body2);
	buf_reset(&pieces);
	buf_append_byte(&pieces, 0);    /* not empty: always in pieces */
	parse(in, (uint32_t)in.len, &pieces, &body2);
	buf_consume(&pieces, 1);
	require(slice_eq(buf_slice(&whole), buf_slice(&pieces)),
	        "same summary however it is split");
	require(decode(buf_slice(&whole), &again), "decode");
	require(slice_eq(buf_slice(&whole), buf_slice(&again)), "round trip");
	buf_reset(&body2);
	require(mime_render_structure(buf_slice(&body), MIME_FORM_BODY, &body2), "body of body");
	require(slice_eq(buf_slice(&body), buf_slice(&body2)), "body of body is itself");
	buf_fini(&whole);
	buf_fini(&pieces);
	buf_fini(&again);
	buf_fini(&body);
	buf_fini(&body2);
}

/* Any bytes as a structure, and as text to be previewed. */
static void
try_forms(struct slice in)
{
	struct buf out, again;

	buf_init(&out, OUT_MAX);
	buf_init(&again, OUT_MAX);
	if (mime_quote_utf8(in, &out)) {
		require(mime_quote_utf8(buf_slice(&out), &again), "quoted once more");
		require(slice_eq(buf_slice(&out), buf_slice(&again)),
		        "quoting what is quoted changes nothing");
	}
	for (unsigned forms = 0; forms < 16; forms++) {
		buf_reset(&out);
		(void)mime_render_structure(in, forms, &out);
		require(out.len <= 4 * in.len + 16, "a structure does not grow");
	}
	buf_fini(&out);
	buf_init(&out, PREVIEW_MAX);
	(void)preview_make(in, &out);
	require(!out.failed && text_utf8_valid(buf_slice(&out)), "preview");
	buf_fini(&out);
	buf_fini(&again);
}

static void
try_addresses(struct slice value)
{
	struct address_iter it;
	struct address a;
	int depth = 0;

	address_iter_init(&it, value);
	while (address_next(&it, &a)) {
		depth += (a.kind == ADDRESS_GROUP_START) - (a.kind == ADDRESS_GROUP_END);
		require(depth == 0 || depth == 1, "groups do not nest and end");
		require(a.kind != ADDRESS_MAILBOX || (a.mailbox.ptr != NULL && a.host.ptr != NULL),
		        "mailbox");
	}
	require(depth == 0 && !it.failed, "groups end");
	address_iter_fini(&it);
}

static void
try_header(struct slice in)
{
	struct slice block = in, names[2] = { SLICE("subject"), SLICE("to") };
	struct header_field f;
	struct buf out, with, without;

	buf_init(&out, 1u << 20);
	buf_init(&with, in.len);
	buf_init(&without, in.len + 4);
	for (int i = 0; i < 8 && header_next(&block, &f); i++) {
		buf_reset(&out);
		out.max = i % 2 == 0 ? 1u << 20 : 7;
		(void)header_decode_text(f.value, &out);
		require(text_utf8_valid(buf_slice(&out)), "header text is UTF-8");
		try_addresses(f.value);
	}
	require(header_subset(in, HEADER_FIELDS, names, 2, &with), "subset");
	require(header_subset(in, HEADER_FIELDS_NOT, names, 2, &without), "subset");
	require(with.len <= in.len && without.len <= in.len, "subset of it");
	buf_fini(&out);
	buf_fini(&with);
	buf_fini(&without);
}

static void
try_mutf7(struct slice in, struct buf *out, struct buf *back)
{
	if (mutf7_decode(in, out) == MUTF7_OK) {
		require(text_utf8_valid(buf_slice(out)), "mutf7 is UTF-8");
		require(mutf7_encode(buf_slice(out), back) == MUTF7_OK, "mutf7 back");
		require(slice_eq(in, buf_slice(back)), "mutf7 is canonical");
	}
	buf_reset(out);
	buf_reset(back);
	if (mutf7_encode(in, out) == MUTF7_OK) {
		require(mutf7_decode(buf_slice(out), back) == MUTF7_OK, "mutf7 decodes");
		require(slice_eq(in, buf_slice(back)), "mutf7 round trip");
	}
}

static void
try_transfer(struct slice in, struct buf *out, struct buf *back)
{
	for (int enc = TRANSFER_7BIT; enc <= TRANSFER_UNKNOWN; enc++) {
		struct transfer_decoder d;

		buf_reset(out);
		buf_reset(back);
		transfer_decode_init(&d, (enum transfer_encoding)enc);
		transfer_decode(&d, in, out);
		(void)transfer_decode_finish(&d, out);
		require(!out->failed && out->len <= in.len + 4, "transfer length");
		transfer_decode_init(&d, (enum transfer_encoding)enc);
		for (size_t i = 0; i < in.len; i++)
			transfer_decode(&d, slice_sub(in, i, i + 1), back);
		(void)transfer_decode_finish(&d, back);
		require(slice_eq(buf_slice(out), buf_slice(back)), "transfer splits");
	}
	buf_reset(out);
	buf_reset(back);
	require(base64_encode(in, out) && base64_decode(buf_slice(out), back), "base64");
	require(slice_eq(in, buf_slice(back)), "base64 round trip");
}

static void
try_text(struct slice in)
{
	static const struct slice charsets[] = {
		SLICE_INIT("utf-8"), SLICE_INIT("shift_jis"), SLICE_INIT("iso-2022-jp"), SLICE_INIT("euc-jp"),
		SLICE_INIT("gb2312"), SLICE_INIT("big5"), SLICE_INIT("utf-7"), SLICE_INIT("windows-1255"),
	};
	struct slice charset = charsets[in.len % 8];
	struct buf out, back;
	struct date date;

	buf_init(&out, OUT_MAX);
	buf_init(&back, OUT_MAX);
	try_mutf7(in, &out, &back);
	try_transfer(in, &out, &back);
	buf_reset(&out);
	(void)charset_to_utf8(charset, in, &out);
	require(text_utf8_valid(buf_slice(&out)), "charset gives UTF-8");
	buf_reset(&back);
	(void)text_casefold(buf_slice(&out), &back);
	require(text_utf8_valid(buf_slice(&back)), "casefold gives UTF-8");
	buf_reset(&back);
	(void)text_nfc(in, &back);
	(void)date_parse_rfc5322(in, &date);
	(void)date_parse_imap(in, &date);
	buf_fini(&out);
	buf_fini(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct buf again;

	buf_init(&again, OUT_MAX);
	try_message(in);
	(void)decode(in, &again);
	try_header(in);
	try_forms(in);
	try_text(slice_sub(in, 0, 4096));
	buf_fini(&again);
	return 0;
}
