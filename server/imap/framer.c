/* framer - see framer.h. */
#include "server/imap/framer.h"

#include <assert.h>

static const char too_long[] = "Command is over the limit command_size";
static const char too_many[] = "Command is over the limit of literals";
static const char flawed[] = "Command holds NUL, or CR or LF that is no CRLF";
static const char bad_size[] = "[TOOBIG] Literal is over the limit of 63 bits";
static const char swallow_limit[] = "[TOOBIG] Literal is over the limit, and too large to skip";
static const char endless[] = "[TOOBIG] Command is over the limit, and too long to skip";
static const char not_imap[] = "This is IMAP";

void
framer_init(struct framer *f, const struct framer_limits *limits)
{
	*f = (struct framer){ .limits = *limits, .first = true };
	buf_init(&f->frame, limits->command);
}

void
framer_fini(struct framer *f)
{
	buf_fini(&f->frame);
}

void
framer_set_limits(struct framer *f, const struct framer_limits *limits)
{
	f->limits = *limits;
	if (f->frame.len > 0)
		return;
	buf_fini(&f->frame);
	f->frame.max = limits->command;
}

static void
line_begin(struct framer *f)
{
	f->state = FRAMER_LINE;
	f->line_len = 0;
	f->tail_len = 0;
}

void
framer_next(struct framer *f)
{
	buf_fini(&f->frame);
	f->frame.max = f->limits.command;
	f->refused = NULL;
	f->literals = 0;
	f->swallowed = 0;
	f->raw = false;
	f->line_flawed = false;
	line_begin(f);
}

void
framer_expect_line(struct framer *f)
{
	framer_next(f);
	f->raw = true;
}

bool
framer_busy(const struct framer *f)
{
	return f->state != FRAMER_LINE || f->line_len > 0 || f->literals > 0;
}

static void
tail_push(struct framer *f, struct slice s)
{
	size_t room = sizeof f->tail;
	size_t keep;

	s = slice_sub(s, s.len > room ? s.len - room : 0, s.len);
	keep = f->tail_len + s.len > room ? room - s.len : f->tail_len;
	memmove(f->tail, f->tail + (f->tail_len - keep), keep);
	if (s.len > 0)
		memcpy(f->tail + keep, s.ptr, s.len);
	f->tail_len = keep + s.len;
}

/* NUL, and CR without LF; `before` is the octet ahead of s, -1 if none. */
static bool
has_flaw(struct slice s, int before)
{
	const uint8_t *cr;

	if (s.len == 0)
		return false;
	if (memchr(s.ptr, '\0', s.len) != NULL || (before == '\r' && s.ptr[0] != '\n'))
		return true;
	for (size_t i = 0; i + 1 < s.len; i = (size_t)(cr - s.ptr) + 1) {
		cr = memchr(s.ptr + i, '\r', s.len - 1 - i);
		if (cr == NULL)
			return false;
		if (cr[1] != '\n')
			return true;
	}
	return false;
}

/* Part of a line: kept if there is room, counted if not, looked at in any case. */
static void
line_add(struct framer *f, struct slice s)
{
	int before = f->tail_len > 0 ? f->tail[f->tail_len - 1] : -1;

	if (has_flaw(s, before))
		f->line_flawed = true;
	if (f->refused != NULL) {
		f->swallowed += s.len;
	} else if (!buf_append_slice(&f->frame, s)) {
		struct slice fits = slice_sub(s, 0, buf_room(&f->frame));

		buf_append_slice(&f->frame, fits);      /* for the tag */
		f->swallowed += s.len - fits.len;
		f->refused = too_long;
	}
	f->line_len += s.len;
	tail_push(f, s);
}

/* What web browsers and their like begin with [alpaca-attack.com]; also a TLS ClientHello on a port
 * in clear, which may have no line end for a long time. None of these is a tag and a command,
 * whatever follows. */
static bool
is_other_protocol(struct slice line)
{
	static const char *const words[] = { "GET /", "POST /", "HEAD /", "PUT /", "OPTIONS /",
		"OPTIONS *", "DELETE /", "PATCH /", "TRACE /", "PRI * HTTP", "\x16\x03" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (slice_starts_nocase(line, slice_str(words[i])))
			return true;
	}
	return false;
}

/* The first line, whole: any other method of HTTP ends in its version. */
static bool
is_http_request(struct slice line)
{
	static const char *const versions[] = { " HTTP/1.1\r\n", " HTTP/1.0\r\n" };

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		struct slice end = slice_str(versions[i]);

		if (line.len > end.len &&
		    slice_eq_nocase(slice_sub(line, line.len - end.len, line.len), end))
			return true;
	}
	return false;
}

enum spec {
	SPEC_NONE,
	SPEC_LITERAL,
	SPEC_TOO_BIG,
};

/* literal = "{" number64 ["+"] "}" CRLF, literal8 = "~" literal, at the end of the line
 * [RFC 9051 s9] */
static enum spec
find_literal(const struct framer *f, struct framer_literal *lit)
{
	struct slice t = slice_of(f->tail, f->tail_len);
	size_t end = t.len - 2, open;

	if (t.len < 5 || t.ptr[end - 1] != '}')
		return SPEC_NONE;
	end--;
	lit->sync = t.ptr[end - 1] != '+';
	if (!lit->sync)
		end--;
	for (open = end; open > 0 && t.ptr[open - 1] >= '0' && t.ptr[open - 1] <= '9'; open--)
		;
	if (open == end)
		return SPEC_NONE;
	if (open == 0)
		return SPEC_TOO_BIG;
	if (t.ptr[open - 1] != '{')
		return SPEC_NONE;
	if (!slice_to_u64(slice_sub(t, open, end), INT64_MAX, &lit->size))
		return SPEC_TOO_BIG;
	open--;
	lit->binary = open > 0 && t.ptr[open - 1] == '~';
	lit->spec_len = t.len - open + (lit->binary ? 1 : 0);
	return SPEC_LITERAL;
}

static enum framer_event
report(struct framer *f, enum framer_event ev)
{
	f->state = FRAMER_OVER;
	return ev;
}

static enum framer_event
report_foreign(struct framer *f)
{
	f->refused = not_imap;
	f->foreign = true;
	return report(f, FRAMER_CLOSE);
}

static enum framer_event
report_endless(struct framer *f)
{
	f->refused = endless;
	return report(f, FRAMER_CLOSE);
}

/* The command is refused, and a line of it ended with this literal. */
static enum framer_event
swallow_literal(struct framer *f)
{
	if (f->literal.sync)
		return report(f, FRAMER_REFUSED);
	if (f->literal.size > f->limits.swallow) {
		f->refused = swallow_limit;
		return report(f, FRAMER_CLOSE);
	}
	f->literal_left = f->literal.size;
	f->state = FRAMER_OCTETS;
	return FRAMER_MORE;
}

/* Without its line end, also the bare LF that limits.lf_ends_line allows. */
static void
cut_line_end(struct framer *f)
{
	if (f->frame.len > 0 && f->frame.ptr[f->frame.len - 1] == '\n')
		f->frame.len--;
	if (f->frame.len > 0 && f->frame.ptr[f->frame.len - 1] == '\r')
		f->frame.len--;
}

/* A line is complete. */
static enum framer_event
line_end(struct framer *f, bool crlf)
{
	enum spec spec = crlf && !f->raw ? find_literal(f, &f->literal) : SPEC_NONE;
	bool first = f->first;

	f->first = false;
	if (first && is_http_request(buf_slice(&f->frame)))
		return report_foreign(f);
	if (f->line_flawed && f->refused == NULL)
		f->refused = flawed;
	if (spec == SPEC_TOO_BIG) {
		f->refused = bad_size;
		return report(f, f->literal.sync ? FRAMER_REFUSED : FRAMER_CLOSE);
	}
	if (spec == SPEC_LITERAL) {
		if (f->refused != NULL)
			return swallow_literal(f);
		f->state = FRAMER_OFFERED;
		return FRAMER_LITERAL;
	}
	if (f->refused != NULL)
		return report(f, FRAMER_REFUSED);
	cut_line_end(f);
	return report(f, FRAMER_COMMAND);
}

/* Up to the end of the line, or of the input. */
static enum framer_event
feed_line(struct framer *f, struct slice in, size_t *used)
{
	for (;;) {
		struct slice rest = slice_sub(in, *used, in.len);
		size_t n = slice_find_byte(rest, '\n');
		bool ends = n < rest.len, crlf;

		n += ends;
		line_add(f, slice_sub(rest, 0, n));
		*used += n;
		if (f->first && is_other_protocol(buf_slice(&f->frame)))
			return report_foreign(f);
		if (f->swallowed > f->limits.swallow)
			return report_endless(f);
		if (!ends)
			return FRAMER_MORE;
		crlf = f->tail_len >= 2 && f->tail[f->tail_len - 2] == '\r';
		if (!crlf)
			f->line_flawed = true;
		if (crlf || f->limits.lf_ends_line)
			return line_end(f, crlf);
	}
}

/* Octets of a collected literal go into the frame, of a refused one nowhere. */
static void
feed_octets(struct framer *f, struct slice in, size_t *used)
{
	struct slice s = slice_sub(in, *used, in.len);

	if (s.len > f->literal_left)
		s.len = (size_t)f->literal_left;
	if (f->refused == NULL && !buf_append_slice(&f->frame, s))
		f->refused = too_long;
	*used += s.len;
	f->literal_left -= s.len;
	if (f->literal_left == 0)
		line_begin(f);
}

enum framer_event
framer_feed(struct framer *f, struct slice in, size_t *used)
{
	enum framer_event ev = FRAMER_MORE;

	*used = 0;
	while (ev == FRAMER_MORE) {
		switch (f->state) {
		case FRAMER_LINE:
			if (*used == in.len)
				return FRAMER_MORE;
			ev = feed_line(f, in, used);
			break;
		case FRAMER_OCTETS:
			if (*used == in.len && f->literal_left > 0)
				return FRAMER_MORE;
			feed_octets(f, in, used);
			break;
		case FRAMER_OFFERED:
			assert(f->refused != NULL);     /* else it was not decided */
			ev = swallow_literal(f);
			break;
		case FRAMER_STREAMING:
			assert(f->literal_left == 0);
			buf_reset(&f->frame);
			line_begin(f);
			break;
		case FRAMER_OVER:
			return f->refused != NULL ? FRAMER_REFUSED : FRAMER_COMMAND;
		}
	}
	return ev;
}

bool
framer_collect(struct framer *f)
{
	assert(f->state == FRAMER_OFFERED);
	if (f->literals >= f->limits.literals)
		f->refused = too_many;
	else if (f->literal.size > buf_room(&f->frame))
		f->refused = too_long;
	if (f->refused != NULL)
		return false;
	f->literals++;
	f->literal_left = f->literal.size;
	f->state = FRAMER_OCTETS;
	return true;
}

void
framer_stream(struct framer *f)
{
	assert(f->state == FRAMER_OFFERED);
	f->literals++;
	f->literal_left = f->literal.size;
	f->state = FRAMER_STREAMING;
}

void
framer_streamed(struct framer *f, uint64_t n)
{
	assert(f->state == FRAMER_STREAMING && n <= f->literal_left);
	f->literal_left -= n;
}

void
framer_refuse(struct framer *f, const char *why, bool sent)
{
	assert(f->state == FRAMER_OFFERED || f->state == FRAMER_STREAMING);
	f->refused = why;
	if (!sent) {
		f->state = FRAMER_OVER;
		return;
	}
	if (f->state == FRAMER_OFFERED) {
		f->literal.sync = false;
		return;
	}
	f->state = FRAMER_OCTETS;
}
