/* address - see address.h.
 *
 * A token loop with a few flags instead of the grammar's productions: bad lists must still yield
 * their good addresses, and going back over the input for another try is what made such parsers
 * quadratic elsewhere. Every byte is lexed once and copied at most three times. Words before an '@'
 * or '<' are collected in two forms, since only what follows tells whether they were a display name
 * or a local part.
 */
#include "lib/address.h"

enum token {
	TOK_END,
	TOK_WORD,       /* atom with its dots, or domain-literal */
	TOK_QUOTED,     /* without its quotes, escapes as written */
	TOK_SPECIAL,    /* one of < > @ , ; : */
};

struct piece {
	enum token   kind;
	struct slice text;
	uint8_t      special;
	bool         spaced;    /* white space or a comment stands before it */
};

/* What has been seen of the address that is being read. */
struct draft {
	bool any, at, angle, in_angle, in_route;
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_special(uint8_t c)
{
	return c == '<' || c == '>' || c == '@' || c == ',' || c == ';' || c == ':';
}

/* Append without line ends and without the backslashes of quoted pairs. */
static void
append_unescaped(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\\' && i + 1 < s.len)
			i++;
		if (s.ptr[i] != '\r' && s.ptr[i] != '\n')
			buf_append_byte(b, s.ptr[i]);
	}
}

/* comment = "(" *([FWS] ccontent) [FWS] ")" [RFC 5322 s3.2.2]; nesting is counted. The last
 * comment is kept. */
static void
take_comment(struct address_iter *it)
{
	size_t depth = 1, from = ++it->at;

	for (; it->at < it->in.len; it->at++) {
		uint8_t c = it->in.ptr[it->at];

		if (c == '\\')
			it->at++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			break;
	}
	if (it->at > it->in.len)
		it->at = it->in.len;
	buf_reset(&it->comment);
	append_unescaped(&it->comment, slice_trim(slice_sub(it->in, from, it->at)));
	if (it->at < it->in.len)
		it->at++;
}

/* quoted-string [RFC 5322 s3.2.4]; one that is not closed takes the rest. */
static struct slice
take_quoted(struct address_iter *it)
{
	size_t from = ++it->at;
	struct slice text;

	while (it->at < it->in.len && it->in.ptr[it->at] != '"')
		it->at += it->in.ptr[it->at] == '\\' ? 2 : 1;
	if (it->at > it->in.len)
		it->at = it->in.len;
	text = slice_sub(it->in, from, it->at);
	if (it->at < it->in.len)
		it->at++;
	return text;
}

/* dot-atom or, in a domain, domain-literal [RFC 5322 s3.2.3, s3.4.1] */
static struct slice
take_word(struct address_iter *it, bool in_domain)
{
	bool literal = in_domain && it->in.ptr[it->at] == '[';
	size_t from = it->at;

	for (; it->at < it->in.len; it->at++) {
		uint8_t c = it->in.ptr[it->at];

		if (is_blank(c) || c == '(' || c == '"' ||
		    (is_special(c) && !(literal && c == ':')))
			break;
	}
	return slice_sub(it->in, from, it->at);
}

static struct piece
next_piece(struct address_iter *it, bool in_domain)
{
	struct piece p = { .kind = TOK_END };

	for (; it->at < it->in.len; p.spaced = true) {
		if (is_blank(it->in.ptr[it->at]))
			it->at++;
		else if (it->in.ptr[it->at] == '(')
			take_comment(it);
		else
			break;
	}
	if (it->at >= it->in.len)
		return p;
	if (is_special(it->in.ptr[it->at])) {
		p.kind = TOK_SPECIAL;
		p.special = it->in.ptr[it->at++];
	} else if (it->in.ptr[it->at] == '"') {
		p.kind = TOK_QUOTED;
		p.text = take_quoted(it);
	} else {
		p.kind = TOK_WORD;
		p.text = take_word(it, in_domain);
	}
	return p;
}

static uint8_t
last_byte(const struct buf *b)
{
	return b->len > 0 ? b->ptr[b->len - 1] : 0;
}

/* Without quotes and backslashes, as ENVELOPE wants it [RFC 9051 s9 addr-mailbox]. Words stand
 * apart only where no dot joins them [RFC 5322 s4.4 obs-local-part]. */
static void
append_local(struct address_iter *it, const struct piece *p)
{
	if (p->spaced && it->local.len > 0 && last_byte(&it->local) != '.' &&
	    !(p->text.len > 0 && p->text.ptr[0] == '.'))
		buf_append_byte(&it->local, ' ');
	if (p->kind == TOK_QUOTED)
		append_unescaped(&it->local, p->text);
	else
		buf_append_slice(&it->local, p->text);
}

static void
append_name(struct address_iter *it, const struct piece *p)
{
	if (p->spaced && it->name.len > 0)
		buf_append_byte(&it->name, ' ');
	if (p->kind == TOK_QUOTED)
		append_unescaped(&it->name, p->text);
	else
		buf_append_slice(&it->name, p->text);
}

static void
take_word_piece(struct address_iter *it, const struct draft *d, const struct piece *p)
{
	if (d->in_route) {
		buf_append_slice(&it->route, p->text);
	} else if (d->at && (d->in_angle || !d->angle)) {
		bool joined = it->host.len == 0 || !p->spaced || last_byte(&it->host) == '.'
		    || (p->text.len > 0 && p->text.ptr[0] == '.');

		if (joined)
			buf_append_slice(&it->host, p->text);
		else if (!d->angle)
			append_name(it, p);     /* words behind a bare address:
			                         * "joe@example.org Joe" */
	} else if (d->in_angle) {
		append_local(it, p);
	} else if (!d->angle) {
		append_local(it, p);
		append_name(it, p);
	}
}

/* The last '@' counts: what stood behind an earlier one belongs to the local part. */
static void
take_at(struct address_iter *it, struct draft *d)
{
	if (d->angle && !d->in_angle)
		return;
	if (d->in_route || (d->in_angle && !d->at && it->local.len == 0)) {
		d->in_route = true;
		buf_append_byte(&it->route, '@');
		return;
	}
	if (d->at) {
		buf_append_byte(&it->local, '@');
		buf_append_slice(&it->local, buf_slice(&it->host));
		buf_reset(&it->host);
	}
	if (!d->in_angle)
		buf_reset(&it->name);
	d->at = true;
}

/* "<": what stood before was a name, also when it looks like an address. */
static void
take_angle(struct address_iter *it, struct draft *d)
{
	if (d->angle)
		return;
	if (d->at) {
		buf_reset(&it->name);
		buf_append_slice(&it->name, buf_slice(&it->local));
		buf_append_byte(&it->name, '@');
		buf_append_slice(&it->name, buf_slice(&it->host));
	}
	buf_reset(&it->local);
	buf_reset(&it->host);
	d->at = false;
	d->angle = d->in_angle = true;
}

enum progress {
	PROGRESS_MORE,
	PROGRESS_DONE,          /* the address ends here */
	PROGRESS_GROUP,         /* it was the start of a group */
};

static void
drop_words(struct address_iter *it)
{
	buf_reset(&it->name);
	buf_reset(&it->local);
}

static enum progress
take_special(struct address_iter *it, struct draft *d, uint8_t c)
{
	switch (c) {
	case '<':
		take_angle(it, d);
		return PROGRESS_MORE;
	case '>':
		d->in_angle = d->in_route = false;
		return PROGRESS_MORE;
	case '@':
		take_at(it, d);
		return PROGRESS_MORE;
	case ':':
		if (d->in_route)
			d->in_route = false;
		else if (!d->at && !d->angle && !it->in_group)
			return PROGRESS_GROUP;
		else if (!d->at && !d->angle)
			drop_words(it);         /* groups do not nest: the inner name goes */
		return PROGRESS_MORE;
	case ',':
		if (!d->in_route)
			return PROGRESS_DONE;
		buf_append_byte(&it->route, c);
		return PROGRESS_MORE;
	default:  /* ';' ends a group, and separates addresses for those who do not know better */
		it->end_group = it->in_group;
		it->in_group = false;
		return PROGRESS_DONE;
	}
}

static struct slice
present(const struct buf *b)
{
	return b->len > 0 ? buf_slice(b) : slice_of("", 0);
}

static struct slice
present_or_nil(const struct buf *b)
{
	return b->len > 0 ? buf_slice(b) : SLICE_NONE;
}

static void
give_mailbox(struct address_iter *it, const struct draft *d, struct address *out)
{
	const struct buf *name = (d->angle || d->at) && it->name.len > 0 ? &it->name : &it->comment;

	*out = (struct address){ ADDRESS_MAILBOX, present_or_nil(name), present_or_nil(&it->route),
	                         present(&it->local), present(&it->host) };
}

static void
reset_texts(struct address_iter *it)
{
	buf_reset(&it->name);
	buf_reset(&it->route);
	buf_reset(&it->local);
	buf_reset(&it->host);
	buf_reset(&it->comment);
}

/* Read up to the next separator; *d tells what was there. */
static enum progress
read_address(struct address_iter *it, struct draft *d)
{
	enum progress go = PROGRESS_MORE;

	*d = (struct draft){ 0 };
	reset_texts(it);
	while (go == PROGRESS_MORE) {
		struct piece p = next_piece(it, d->at);

		if (p.kind == TOK_END)
			return PROGRESS_DONE;
		if (p.kind == TOK_SPECIAL) {
			go = take_special(it, d, p.special);
			d->any = d->any || p.special == '@' || p.special == '<';
		} else {
			take_word_piece(it, d, &p);
			d->any = true;
		}
	}
	return go;
}

void
address_iter_init(struct address_iter *it, struct slice value)
{
	size_t max = value.len * 3 + 16;

	*it = (struct address_iter){ .in = value };
	buf_init(&it->name, max);
	buf_init(&it->route, max);
	buf_init(&it->local, max);
	buf_init(&it->host, max);
	buf_init(&it->comment, max);
}

bool
address_next(struct address_iter *it, struct address *out)
{
	struct draft d;

	for (;;) {
		enum progress got;

		if (it->end_group || (it->in_group && it->at >= it->in.len)) {
			it->end_group = it->in_group = false;
			*out = (struct address){ .kind = ADDRESS_GROUP_END };
			return true;
		}
		if (it->at >= it->in.len)
			return false;
		got = read_address(it, &d);
		it->failed = it->failed || it->name.failed || it->route.failed || it->local.failed
		    || it->host.failed || it->comment.failed;
		if (got == PROGRESS_GROUP) {
			it->in_group = true;
			*out = (struct address){ .kind = ADDRESS_GROUP_START,
			                         .name = present(&it->name) };
			return true;
		}
		if (d.any) {
			give_mailbox(it, &d, out);
			return true;
		}
	}
}

void
address_iter_fini(struct address_iter *it)
{
	buf_fini(&it->name);
	buf_fini(&it->route);
	buf_fini(&it->local);
	buf_fini(&it->host);
	buf_fini(&it->comment);
}
