/* remote_lex - see remote_lex.h.
 *
 * The server's parser (server/imap/) works on whole frames, as commands are short. A response may
 * be 100 MB of one literal, and its items come in any order, so this one pulls. Rejected: waiting
 * for whole lines with literals spooled to a file, which costs every message a second writing.
 */
#include "tools/remote_lex.h"

#include "lib/buf.h"

void
remote_lex_init(struct remote_lex *l, struct remote_source source, uint64_t noise_max)
{
	*l = (struct remote_lex){
		.source = source, .noise_max = noise_max > 0 ? noise_max : REMOTE_NOISE_MAX,
		.err = ERR_INIT,
	};
	arena_init(&l->arena, 4u * REMOTE_RESPONSE_MAX);
}

void
remote_lex_fini(struct remote_lex *l)
{
	arena_fini(&l->arena);
}

void
remote_lex_next(struct remote_lex *l)
{
	arena_reset(&l->arena);
	l->spent = 0;
}

void
remote_lex_give_back(struct remote_lex *l)
{
	if (l->used > 0)
		l->source.take(l->source.arg, l->used);
	l->have = SLICE_NONE;
	l->used = 0;
}

bool
remote_lex_fail(struct remote_lex *l, const char *what)
{
	if (l->rc == RC_OK)
		l->rc = err_set(&l->err, RC_SYNTAX, "the server's answer cannot be understood: %s",
		                what);
	return false;
}

bool
remote_lex_refuse(struct remote_lex *l, const char *why)
{
	if (l->rc == RC_OK)
		l->rc = err_set(&l->err, RC_LIMIT, "%s", why);
	return false;
}

static bool
fail_memory(struct remote_lex *l)
{
	return remote_lex_refuse(l, "the server's answer is too long");
}

/* False: more octets than anybody would wait for. */
static bool
bear(struct remote_lex *l, uint64_t octets)
{
	l->noise += octets;
	return l->noise <= l->noise_max || remote_lex_refuse(l, "the server's answer does not end");
}

void
remote_lex_welcome(struct remote_lex *l)
{
	l->noise = 0;
}

void
remote_lex_forgive(struct remote_lex *l, size_t octets)
{
	l->spent -= l->spent < octets ? l->spent : octets;
}

/* At least one octet is there. */
static bool
refill(struct remote_lex *l)
{
	if (l->rc == RC_OK && l->used == l->have.len) {
		remote_lex_give_back(l);
		l->rc = l->source.fill(l->source.arg, &l->have, &l->err);
		if (l->rc != RC_OK)
			l->have = SLICE_NONE;
	}
	return l->rc == RC_OK;
}

int
remote_lex_peek(struct remote_lex *l)
{
	return refill(l) ? l->have.ptr[l->used] : -1;
}

/* The octet that was peeked is taken. */
static bool
step(struct remote_lex *l)
{
	l->used++;
	if (++l->spent > REMOTE_RESPONSE_MAX)
		return fail_memory(l);
	return bear(l, 1);
}

bool
remote_lex_take(struct remote_lex *l, uint8_t c)
{
	return remote_lex_peek(l) == c && step(l);
}

bool
remote_lex_expect(struct remote_lex *l, uint8_t c)
{
	char what[] = "\"?\" expected";

	what[1] = (char)c;
	return remote_lex_take(l, c) || remote_lex_fail(l, what);
}

bool
remote_lex_eol(struct remote_lex *l)
{
	(void)remote_lex_take(l, '\r');
	return remote_lex_take(l, '\n') || remote_lex_fail(l, "the end of the line expected");
}

/* ---- words and numbers ---- */

static bool
is_word(int c)
{
	return c > 0x20 && c != 0x7f && c != '(' && c != ')' && c != '{' && c != '"';
}

static bool
keep(struct remote_lex *l, struct buf *text, struct slice *out)
{
	*out = text->failed ? SLICE_NONE : arena_dup(&l->arena, buf_slice(text));
	buf_fini(text);
	return out->ptr != NULL || fail_memory(l);
}

bool
remote_lex_word(struct remote_lex *l, bool in_code, struct slice *out)
{
	struct buf text;
	int c;

	buf_init(&text, REMOTE_RESPONSE_MAX);
	while (is_word(c = remote_lex_peek(l)) && !(in_code && c == ']') && step(l))
		buf_append_byte(&text, (uint8_t)c);
	if (l->rc == RC_OK && text.len == 0)
		remote_lex_fail(l, "a word expected");
	if (l->rc == RC_OK)
		return keep(l, &text, out);
	buf_fini(&text);
	*out = SLICE_NONE;
	return false;
}

bool
remote_lex_number(struct remote_lex *l, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	int c = remote_lex_peek(l);

	*out = 0;
	if (c < '0' || c > '9')
		return remote_lex_fail(l, "a number expected");
	for (; c >= '0' && c <= '9'; c = remote_lex_peek(l)) {
		uint64_t digit = (uint64_t)(c - '0');

		if (n > max / 10 || n * 10 > max - digit)
			return remote_lex_fail(l, "a smaller number expected");
		n = n * 10 + digit;
		if (!step(l))
			return false;
	}
	*out = n;
	return l->rc == RC_OK;
}

/* ---- strings ---- */

static bool
quoted(struct remote_lex *l, struct slice *out)
{
	struct buf text;
	int c;

	buf_init(&text, REMOTE_RESPONSE_MAX);
	while ((c = remote_lex_peek(l)) > 0 && c != '"' && c != '\r' && c != '\n' && step(l)) {
		if (c == '\\') {
			c = remote_lex_peek(l);
			if (c <= 0 || c == '\r' || c == '\n' || !step(l))
				break;
		}
		buf_append_byte(&text, (uint8_t)c);
	}
	if (remote_lex_expect(l, '"'))
		return keep(l, &text, out);
	buf_fini(&text);
	return false;
}

/* A literal that is a name, a code or the like. */
static bool
short_literal(struct remote_lex *l, struct slice *out)
{
	struct slice piece;
	struct buf text;
	uint64_t len;

	if (!remote_lex_literal_head(l, &len))
		return false;
	if (len > REMOTE_RESPONSE_MAX - l->spent)
		return fail_memory(l);
	l->spent += len;
	buf_init(&text, REMOTE_RESPONSE_MAX);
	while (text.len < len && remote_lex_literal(l, len - text.len, &piece) &&
	       buf_append_slice(&text, piece))
		;
	if (l->rc == RC_OK)
		return keep(l, &text, out);
	buf_fini(&text);
	return false;
}

bool
remote_lex_string(struct remote_lex *l, struct slice *out)
{
	*out = SLICE_NONE;
	if (remote_lex_take(l, '"'))
		return quoted(l, out);
	return short_literal(l, out);
}

static bool
begins_string(int c)
{
	return c == '"' || c == '{' || c == '~';
}

bool
remote_lex_astring(struct remote_lex *l, struct slice *out)
{
	int c = remote_lex_peek(l);

	/* "~" begins literal8, which is no astring, and names like "~peter", which are. */
	return c == '"' || c == '{' ? remote_lex_string(l, out) : remote_lex_word(l, false, out);
}

bool
remote_lex_nstring(struct remote_lex *l, struct slice *out, bool *nil)
{
	*nil = false;
	if (begins_string(remote_lex_peek(l)))
		return remote_lex_string(l, out);
	if (!remote_lex_word(l, false, out))
		return false;
	*nil = slice_eq_nocase(*out, SLICE("NIL"));
	*out = SLICE_NONE;
	return *nil || remote_lex_fail(l, "a string or NIL expected");
}

bool
remote_lex_literal_head(struct remote_lex *l, uint64_t *len)
{
	*len = 0;
	(void)remote_lex_take(l, '~');
	if (!remote_lex_expect(l, '{') || !remote_lex_number(l, INT64_MAX, len))
		return false;
	(void)remote_lex_take(l, '+');
	return remote_lex_expect(l, '}') && remote_lex_eol(l);
}

bool
remote_lex_literal(struct remote_lex *l, uint64_t max, struct slice *out)
{
	*out = SLICE_NONE;
	if (!refill(l))
		return false;
	*out = slice_sub(l->have, l->used, l->have.len);
	if (out->len > max)
		out->len = (size_t)max;
	l->used += out->len;
	return bear(l, out->len);
}

bool
remote_lex_skip_literal(struct remote_lex *l, uint64_t len)
{
	struct slice piece;

	if (len > REMOTE_SKIP_MAX)
		return remote_lex_refuse(l,
		                         "the server sends something long that was not asked for");
	while (len > 0 && remote_lex_literal(l, len, &piece))
		len -= piece.len;
	return l->rc == RC_OK;
}

/* ---- whole stretches ---- */

bool
remote_lex_rest(struct remote_lex *l, struct slice *out)
{
	struct buf text;
	int c;

	buf_init(&text, REMOTE_RESPONSE_MAX);
	while ((c = remote_lex_peek(l)) > 0 && c != '\r' && c != '\n' && step(l))
		buf_append_byte(&text, (uint8_t)c);
	if (remote_lex_eol(l))
		return keep(l, &text, out);
	buf_fini(&text);
	*out = SLICE_NONE;
	return false;
}

/* One value that is no list. */
static bool
skip_simple(struct remote_lex *l)
{
	struct slice text;
	uint64_t len;

	if (remote_lex_take(l, '"'))
		return quoted(l, &text);
	if (remote_lex_peek(l) == '{')
		return remote_lex_literal_head(l, &len) && remote_lex_skip_literal(l, len);
	if (!remote_lex_word(l, false, &text))
		return false;
	/* "~{3}" is a word and the head of a literal. */
	if (remote_lex_peek(l) == '{')
		return remote_lex_literal_head(l, &len) && remote_lex_skip_literal(l, len);
	return l->rc == RC_OK;
}

bool
remote_lex_skip_value(struct remote_lex *l)
{
	unsigned depth = 0;

	do {
		while (depth > 0 && remote_lex_take(l, ' '))
			;
		if (remote_lex_take(l, '(')) {
			if (++depth > REMOTE_DEPTH_MAX)
				return remote_lex_fail(l, "fewer parentheses expected");
		} else if (depth > 0 && remote_lex_take(l, ')')) {
			depth--;
		} else if (!skip_simple(l)) {
			return false;
		}
	} while (depth > 0 && l->rc == RC_OK);
	return l->rc == RC_OK;
}

bool
remote_lex_skip_line(struct remote_lex *l)
{
	int c;

	while ((c = remote_lex_peek(l)) >= 0 && c != '\r' && c != '\n') {
		if (c == '"' || c == '{' || is_word(c)) {
			if (!skip_simple(l))
				return false;
		} else if (!step(l)) {
			return false;
		}
	}
	return remote_lex_eol(l);
}
