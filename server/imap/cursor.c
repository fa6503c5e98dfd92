/* cursor - see cursor.h. Nothing here allocates or looks past the frame. */
#include "server/imap/cursor.h"

void
cur_init(struct cursor *c, struct slice in)
{
	*c = (struct cursor){ .in = in };
}

bool
cur_at_end(const struct cursor *c)
{
	return c->pos == c->in.len;
}

int
cur_peek(const struct cursor *c)
{
	return cur_at_end(c) ? -1 : c->in.ptr[c->pos];
}

bool
cur_take(struct cursor *c, uint8_t ch)
{
	if (cur_peek(c) != ch)
		return false;
	c->pos++;
	return true;
}

bool
cur_take_word(struct cursor *c, const char *word)
{
	struct slice w = slice_str(word);

	if (!slice_starts_nocase(cur_rest(c), w))
		return false;
	c->pos += w.len;
	return true;
}

/* What to call an octet that was expected: string constants, as cur_fail wants. */
static const char *
octet_name(uint8_t ch)
{
	switch (ch) {
	case ' ':
		return "one space";
	case '(':
		return "(";
	case ')':
		return ")";
	case '"':
		return "\"";
	case '[':
		return "[";
	case ']':
		return "]";
	case '<':
		return "<";
	case '>':
		return ">";
	case '.':
		return ".";
	case ':':
		return ":";
	case ',':
		return ",";
	default:
		return "another octet";
	}
}

bool
cur_want(struct cursor *c, uint8_t ch)
{
	return cur_take(c, ch) || cur_fail(c, octet_name(ch));
}

bool
cur_space(struct cursor *c)
{
	return cur_want(c, ' ');
}

bool
cur_fail(struct cursor *c, const char *expected)
{
	if (c->expected == NULL) {
		c->expected = expected;
		c->failed_at = c->pos;
	}
	return false;
}

bool
cur_limit(struct cursor *c, const char *expected)
{
	c->limit = c->limit || c->expected == NULL;
	return cur_fail(c, expected);
}

struct slice
cur_rest(const struct cursor *c)
{
	return slice_sub(c->in, c->pos, c->in.len);
}
