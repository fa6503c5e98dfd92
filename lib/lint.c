/* lint - lines out of any pieces, findings, and what can be said of a line alone. See lint.h.
 *
 * A line that is longer than LINT_LINE_KEEP is looked at in pieces of that size, cut at the same
 * places however the input was split; none of them ends between a CR and its LF. A file whose lines
 * end with LF alone is taken as what most systems make of mail: one note, not a finding per line.
 * The same for the other kind of line end from the first line on that has it.
 */
#include "lib/lint_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX     512u
#define FINDINGS_MAX ((size_t)LINT_CODE_COUNT * (LINT_TOLD_MAX + 1))

/* ---- findings ---- */

static uint64_t
told_max(enum lint_code code)
{
	return lint_codes[code].severity == LINT_NOTE ? LINT_NOTES_MAX : LINT_TOLD_MAX;
}

static void
keep_finding(struct lint *l, uint64_t line, enum lint_code code, const char *text)
{
	struct lint_kept k = {
		.line = line, .code = code, .off = l->texts.len, .len = strlen(text),
		.order = (uint32_t)(l->kept.len / sizeof k),
	};

	if (!buf_append(&l->texts, text, k.len) || !buf_append(&l->kept, &k, sizeof k))
		l->nomem = true;
}

static void
report_text(struct lint *l, uint64_t line, enum lint_code code, const char *fmt, va_list ap)
{
	char text[TEXT_MAX];

	l->last[code] = line;
	if (l->told[code]++ >= told_max(code))
		return;
	vsnprintf(text, sizeof text, fmt, ap);
	keep_finding(l, line, code, text);
}

void
lint_report(struct lint *l, uint64_t line, enum lint_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_text(l, line, code, fmt, ap);
	va_end(ap);
}

/* Lines are counted on from the last place that was asked for: findings of one checker
 * come in order. */
static uint64_t
line_of(struct lint *l, const uint8_t *where)
{
	uintptr_t base = (uintptr_t)l->field.ptr, p = (uintptr_t)where;
	size_t offset;

	if (l->field.len == 0 || p < base || p > base + l->field.len)
		return l->field_line;
	offset = (size_t)(p - base);
	if (offset < l->at_offset) {
		l->at_offset = 0;
		l->at_line = l->field_line;
	}
	for (; l->at_offset < offset; l->at_offset++)
		l->at_line += l->field.ptr[l->at_offset] == '\n';
	return l->at_line;
}

void
lint_report_at(struct lint *l, const uint8_t *where, enum lint_code code, const char *fmt, ...)
{
	bool counted_only = l->told[code] >= told_max(code);
	va_list ap;

	va_start(ap, fmt);
	report_text(l, counted_only ? l->field_line : line_of(l, where), code, fmt, ap);
	va_end(ap);
}

const char *
lint_show(struct lint_shown *s, struct slice bytes)
{
	size_t n = 0, shown = bytes.len < 40 ? bytes.len : 40;

	for (size_t i = 0; i < shown; i++) {
		uint8_t b = bytes.ptr[i];
		const char *fmt = b < 0x20 || b >= 0x7f || b == '\\' ? "\\x%02x" : "%c";

		n += (size_t)snprintf(s->text + n, sizeof s->text - n, fmt, b);
	}
	snprintf(s->text + n, sizeof s->text - n, "%s", bytes.len > shown ? "..." : "");
	return s->text;
}

/* Of codes that came too often, how many were not told. */
static void
report_untold(struct lint *l)
{
	for (size_t i = 0; i < LINT_CODE_COUNT; i++) {
		enum lint_code code = (enum lint_code)i;
		char text[TEXT_MAX];

		if (l->told[i] <= told_max(code))
			continue;
		snprintf(text, sizeof text, "%llu more like this, up to this line",
		         (unsigned long long)(l->told[i] - told_max(code)));
		keep_finding(l, l->last[i], code, text);
	}
}

static int
compare_kept(const void *a, const void *b)
{
	const struct lint_kept *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void
give_findings(struct lint *l, void (*found)(void *arg, const struct lint_finding *f), void *arg)
{
	struct lint_kept *kept = (struct lint_kept *)(void *)l->kept.ptr;
	size_t n = l->kept.len / sizeof *kept;

	if (n > 0)
		qsort(kept, n, sizeof *kept, compare_kept);
	for (size_t i = 0; i < n; i++) {
		struct lint_finding f = { kept[i].line, &lint_codes[kept[i].code],
		                          slice_of(l->texts.ptr + kept[i].off, kept[i].len) };

		found(arg, &f);
	}
}

uint64_t
lint_count(const struct lint *l, enum lint_severity severity)
{
	uint64_t n = 0;

	for (size_t i = 0; i < LINT_CODE_COUNT; i++)
		n += lint_codes[i].severity == severity ? l->told[i] : 0;
	return n;
}

/* ---- lines ---- */

/* [RFC 5322 s2.2, s2.3; RFC 2045 s2.7, s2.8]: CR and LF stand together only, NUL nowhere;
 * binary may have all. */
static void
check_octets(struct lint *l, struct slice content)
{
	bool binary = l->where == LINT_IN_BODY && l->body.encoding == TRANSFER_BINARY;

	l->has_8bit = false;
	for (size_t i = 0; i < content.len; i++) {
		uint8_t b = content.ptr[i];

		l->has_8bit = l->has_8bit || b >= 0x80;
		if (b == 0 && !binary && !l->octet_told_nul) {
			l->octet_told_nul = true;
			lint_report(l, l->line, LINT_NUL, "a NUL at byte %llu of the line",
			            (unsigned long long)(l->line_len + i + 1));
		} else if (b == '\r' && !binary && !l->octet_told_cr) {
			l->octet_told_cr = true;
			lint_report(l, l->line, LINT_BARE_CR,
			            "a CR without LF at byte %llu of the line",
			            (unsigned long long)(l->line_len + i + 1));
		}
	}
}

/* Tell once that lines end with LF alone, and each change of mind. */
static void
check_line_end(struct lint *l, bool crlf)
{
	if (!crlf && l->crlf_seen) {
		lint_report(l, l->line, LINT_BARE_LF, "the line ends with LF alone");
	} else if (!crlf && l->lf_from == 0) {
		l->lf_from = l->line;
		lint_report(l, l->line, LINT_LF_LINES,
		            "lines end with LF alone, as in a file; taken as CRLF");
	} else if (crlf && l->lf_from > 0 && !l->crlf_seen) {
		lint_report(l, l->line, LINT_BARE_LF,
		            "lines %llu to %llu end with LF alone, this one with CRLF",
		            (unsigned long long)l->lf_from, (unsigned long long)l->line - 1);
	}
	l->crlf_seen = l->crlf_seen || crlf;
}

static void
check_length(struct lint *l)
{
	if (l->where == LINT_IN_BODY && l->body.encoding == TRANSFER_BINARY)
		return;
	if (l->line_len > 998)
		lint_report(l, l->line, LINT_LINE_998,
		            "the line has %llu bytes; no more than 998 are allowed",
		            (unsigned long long)l->line_len);
	else if (l->line_len > 78)
		lint_report(l, l->line, LINT_LINE_78,
		            "the line has %llu bytes; no more than 78 are recommended",
		            (unsigned long long)l->line_len);
}

/* "From " before the header: the file is one message out of an mbox, or was made by
 * one who adds it. */
static bool
is_mbox_line(const struct lint *l, struct slice content)
{
	return l->line == 1 && l->where == LINT_IN_HEADER && slice_starts(content, SLICE("From "));
}

/* A piece of a line; `end` bytes of it are its line end. */
static void
take_piece(struct lint *l, struct slice piece, size_t end, bool ends)
{
	struct slice content = slice_sub(piece, 0, piece.len - end);
	bool starts = !l->in_line;

	if (starts) {
		l->line++;
		l->ignored = false;
		l->octet_told_nul = l->octet_told_cr = false;
		l->line_len = 0;
	}
	l->in_line = !ends;
	check_octets(l, content);
	l->line_len += content.len;
	if (ends)
		check_length(l);
	if (end > 0 && !(l->where == LINT_IN_BODY && l->body.encoding == TRANSFER_BINARY))
		check_line_end(l, end == 2);
	if (starts && is_mbox_line(l, content)) {
		l->ignored = true;
		l->header.line = 2;
		lint_report(l, 1, LINT_MBOX_FROM,
		            "the separator line of an mbox; it is no part of the message");
	}
	if (!l->ignored)
		lint_tree_feed(l, piece, content, starts, ends);
}

/* All of a line, or its last piece. */
static void
take_line_end(struct lint *l, struct slice piece)
{
	bool crlf = piece.len > 1 && piece.ptr[piece.len - 2] == '\r';

	take_piece(l, piece, crlf ? 2 : 1, true);
}

/* Keep bytes that have no line end in them; what is full is looked at. */
static void
keep(struct lint *l, struct slice bytes)
{
	while (bytes.len > 0 && !l->nomem) {
		size_t n = bytes.len < LINT_LINE_KEEP - l->piece.len
		               ? bytes.len
		               : LINT_LINE_KEEP - l->piece.len;

		l->nomem = !buf_append_slice(&l->piece, slice_sub(bytes, 0, n));
		bytes = slice_sub(bytes, n, bytes.len);
		if (l->piece.len == LINT_LINE_KEEP) {
			size_t cr = l->piece.ptr[l->piece.len - 1] == '\r';

			take_piece(l, slice_sub(buf_slice(&l->piece), 0, l->piece.len - cr), 0,
			           false);
			buf_consume(&l->piece, l->piece.len - cr);
		}
	}
}

void
lint_feed(struct lint *l, struct slice bytes)
{
	while (bytes.len > 0 && !l->nomem) {
		size_t n = slice_find_byte(bytes, '\n');
		bool whole = n < bytes.len;

		if (whole && l->piece.len == 0 && n < LINT_LINE_KEEP) {
			take_line_end(l, slice_sub(bytes, 0, n + 1));
		} else {
			keep(l, slice_sub(bytes, 0, n));
			if (whole && !l->nomem) {
				l->nomem = !buf_append_byte(&l->piece, '\n');
				take_line_end(l, buf_slice(&l->piece));
				buf_reset(&l->piece);
			}
		}
		bytes = slice_sub(bytes, n + whole, bytes.len);
	}
}

bool
lint_finish(struct lint *l, void (*found)(void *arg, const struct lint_finding *f), void *arg)
{
	if (l->piece.len > 0 || l->in_line) {
		take_piece(l, buf_slice(&l->piece), 0, true);
		lint_report(l, l->line, LINT_NO_LINE_END, "the last line has no line end");
	}
	lint_tree_finish(l);
	report_untold(l);
	give_findings(l, found, arg);
	return !l->nomem && !l->field.failed;
}

struct lint *
lint_new(void)
{
	struct lint *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	buf_init(&l->texts, FINDINGS_MAX * TEXT_MAX);
	buf_init(&l->kept, FINDINGS_MAX * sizeof(struct lint_kept));
	buf_init(&l->piece, LINT_LINE_KEEP + 1);
	buf_init(&l->field, LINT_FIELD_MAX);
	buf_init(&l->header.boundary, LINT_FIELD_MAX);
	lint_header_begin(l, LINT_MESSAGE, false, 1);
	l->where = LINT_IN_HEADER;
	return l;
}

void
lint_free(struct lint **l)
{
	if (*l == NULL)
		return;
	buf_fini(&(*l)->texts);
	buf_fini(&(*l)->kept);
	buf_fini(&(*l)->piece);
	buf_fini(&(*l)->field);
	buf_fini(&(*l)->header.boundary);
	free(*l);
	*l = NULL;
}
