/* lint_tree - where in the MIME structure a line stands [RFC 2046 s5.1].
 *
 * A stack of the multiparts and embedded messages that are open; a delimiter line ends all above
 * the multipart whose it is. Delimiters are found as the parser of delivery (lib/mime.c) finds
 * them, by the longest boundary that the line begins with, so that what is told is what readers
 * will see. Depth and boundaries are bounded, so is the work for a line. A multipart stays on the
 * stack behind its close-delimiter: its boundary showing up again is an error.
 */
#include "lib/lint_impl.h"

#include <string.h>

static void
begin_header(struct lint *l, enum lint_entity entity, bool digest)
{
	l->where = LINT_IN_HEADER;
	lint_header_begin(l, entity, digest, l->line + 1);
}

/* ---- going in ---- */

/* Each delimiter must tell apart the multiparts that are open: RFC 2046 s5.1.2 lets readers
 * match by prefix. */
static void
check_nesting(struct lint *l, struct slice boundary, uint64_t line)
{
	for (size_t i = 0; i < l->depth; i++) {
		const struct lint_level *o = &l->levels[i];
		struct slice other = slice_of(o->boundary, o->boundary_len);

		if (!o->multipart || o->boundary_len == 0)
			continue;
		if (slice_eq(other, boundary))
			lint_report(l, line, LINT_BOUNDARY_REUSED,
			            "the boundary is that of the enclosing multipart at line %llu",
			            (unsigned long long)o->line);
		else if (slice_starts(boundary, other))
			lint_report(l, line, LINT_BOUNDARY_PREFIX,
			    "the boundary begins with that of the enclosing multipart at line %llu",
			    (unsigned long long)o->line);
	}
}

static int
rank(enum transfer_encoding e)
{
	switch (e) {
	case TRANSFER_BINARY:
		return 2;
	case TRANSFER_8BIT:
		return 1;
	case TRANSFER_7BIT:
	case TRANSFER_BASE64:
	case TRANSFER_QP:
	case TRANSFER_UNKNOWN:
		return 0;
	}
	return 0;
}

/* An outer encoding must allow what is inside [RFC 2045 s6.4]. */
static void
check_outer(struct lint *l)
{
	const struct lint_header *h = &l->header;

	if (l->depth > 0 && rank(h->encoding) > rank(l->levels[l->depth - 1].encoding))
		lint_report(l, h->seen[LINT_F_ENCODING] > 0 ? h->seen[LINT_F_ENCODING] : h->line,
		            LINT_ENCODING_OUTER,
		            "the part is %s, but what encloses it (line %llu) is declared %s",
		            transfer_encoding_name(h->encoding),
		            (unsigned long long)l->levels[l->depth - 1].line,
		            transfer_encoding_name(l->levels[l->depth - 1].encoding));
}

static void
push_level(struct lint *l, bool multipart)
{
	struct lint_header *h = &l->header;
	struct lint_level *level = &l->levels[l->depth];
	struct slice boundary = buf_slice(&h->boundary);
	uint64_t line = h->seen[LINT_F_CONTENT_TYPE] > 0 ? h->seen[LINT_F_CONTENT_TYPE] : h->line;

	boundary = slice_sub(boundary, 0, LINT_BOUNDARY_MAX);
	if (multipart)
		check_nesting(l, boundary, line);
	level->multipart = multipart;
	level->digest = h->makes_digest;
	level->closed = false;
	level->line = line;
	level->parts = 0;
	level->encoding = rank(h->encoding) > 0 ? h->encoding : TRANSFER_7BIT;
	level->boundary_len = multipart ? boundary.len : 0;
	if (level->boundary_len > 0)
		memcpy(level->boundary, boundary.ptr, boundary.len);
	l->depth++;
}

static void
enter_leaf(struct lint *l)
{
	const struct lint_header *h = &l->header;
	bool text = h->text || (!h->type_seen && !h->digest);

	l->where = LINT_IN_BODY;
	lint_body_begin(l, h->encoding, text && (h->charset_ascii || !h->charset_given));
}

void
lint_tree_enter(struct lint *l)
{
	const struct lint_header *h = &l->header;
	bool container = h->multipart || h->embeds;
	bool opaque = h->embeds && (h->encoding == TRANSFER_BASE64 || h->encoding == TRANSFER_QP);

	check_outer(l);
	if (container && l->depth == LINT_DEPTH_MAX) {
		lint_report(l, h->line, LINT_LIMIT, "nested deeper than %u: not looked at as parts",
		            LINT_DEPTH_MAX);
		container = false;
	}
	if (!container || opaque) {
		enter_leaf(l);
	} else if (h->multipart) {
		push_level(l, true);
		l->where = LINT_IN_PREAMBLE;
		lint_body_begin(l, l->levels[l->depth - 1].encoding, false);
	} else {
		push_level(l, false);
		begin_header(l, LINT_EMBEDDED, false);
	}
}

/* ---- coming out ---- */

/* What ends with level `to`: everything above it. */
static void
leave_to(struct lint *l, size_t to)
{
	while (l->where == LINT_IN_HEADER && l->depth > 0) {
		size_t before = l->depth;

		lint_header_end(l);
		/* an embedded message whose header is missing begins one more */
		lint_tree_enter(l);
		if (l->depth == before || l->where != LINT_IN_HEADER)
			break;
	}
	if (l->where == LINT_IN_BODY)
		lint_body_end(l);
	while (l->depth > to) {
		const struct lint_level *level = &l->levels[--l->depth];

		if (!level->multipart || level->closed || level->boundary_len == 0)
			continue;
		if (level->parts == 0)
			lint_report(l, level->line, LINT_NO_PARTS,
			            "the multipart has no part: its boundary never comes");
		else
			lint_report(l, level->line, LINT_BOUNDARY_UNCLOSED,
			            "the close-delimiter of the multipart never comes");
	}
}

/* delimiter = "--" boundary; the longest one that the line begins with. l->depth if
 * there is none. */
static size_t
match_delimiter(const struct lint *l, struct slice content)
{
	size_t found = l->depth, longest = 0;

	if (content.len < 3 || content.ptr[0] != '-' || content.ptr[1] != '-')
		return l->depth;
	for (size_t i = l->depth; i-- > 0;) {
		const struct lint_level *level = &l->levels[i];

		if (level->boundary_len <= longest || level->boundary_len > content.len - 2)
			continue;
		if (memcmp(content.ptr + 2, level->boundary, level->boundary_len) == 0) {
			found = i;
			longest = level->boundary_len;
		}
	}
	return found;
}

static void
count_part(struct lint *l, struct lint_level *level)
{
	level->parts++;
	l->parts++;
	if (l->parts == 10001)
		lint_report(l, l->line, LINT_LIMIT,
		            "more than 10000 parts: readers will not be shown them all");
}

static void
take_delimiter(struct lint *l, size_t index, struct slice content)
{
	struct lint_level *level = &l->levels[index];
	struct slice tail = slice_sub(content, 2 + level->boundary_len, content.len);
	bool close = slice_starts(tail, SLICE("--"));
	struct lint_shown shown;

	if (slice_trim(close ? slice_sub(tail, 2, tail.len) : tail).len > 0)
		lint_report(l, l->line, LINT_BOUNDARY_PREFIX, "text stands behind the boundary: %s",
		            lint_show(&shown, content));
	if (level->closed) {
		lint_report(l, l->line, LINT_BOUNDARY_AFTER_END,
		            "the boundary comes again behind its close-delimiter: what "
		            "follows is not shown");
		return;
	}
	leave_to(l, index + 1);
	if (!close) {
		count_part(l, level);
		begin_header(l, LINT_PART, level->digest);
		return;
	}
	if (level->parts == 0)
		lint_report(l, l->line, LINT_NO_PARTS, "the multipart ends without a part");
	level->closed = true;
	l->where = LINT_IN_EPILOGUE;
	lint_body_begin(l, level->encoding, false);
}

/* ---- lines ---- */

void
lint_tree_feed(struct lint *l, struct slice piece, struct slice content, bool starts, bool ends)
{
	size_t level = starts ? match_delimiter(l, content) : l->depth;

	if (level < l->depth) {
		l->ignored = true;
		take_delimiter(l, level, content);
		return;
	}
	switch (l->where) {
	case LINT_IN_HEADER:
		if (starts && ends && content.len == 0) {
			lint_header_end(l);
			lint_tree_enter(l);
		} else {
			lint_header_feed(l, piece, starts);
		}
		return;
	case LINT_IN_BODY:
	case LINT_IN_PREAMBLE:
	case LINT_IN_EPILOGUE:
		lint_body_feed(l, content, starts, ends);
		return;
	}
}

void
lint_tree_finish(struct lint *l)
{
	if (l->where == LINT_IN_HEADER && l->depth == 0) {
		lint_header_end(l);
		lint_tree_enter(l);
	}
	leave_to(l, 0);
}
