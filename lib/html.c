/* html - see html.h. The tokeniser of the HTML standard as far as text depends on it, an octet at a
 * time: all that steers it is ASCII, so that pieces may be cut inside a character. A tree is not
 * built: which end tags are missing makes no difference to the words. */
#include "lib/html.h"

#include "lib/text.h"

enum html_state {
	HTML_DATA,
	HTML_REFERENCE,         /* behind "&" */
	HTML_TAG_OPEN,          /* behind "<" */
	HTML_END_OPEN,          /* behind "</" */
	HTML_MARKUP,            /* behind "<!" */
	HTML_BOGUS,             /* up to ">" */
	HTML_COMMENT,
	HTML_TAG_NAME,
	HTML_BEFORE_ATTR,
	HTML_ATTR_NAME,
	HTML_AFTER_ATTR,
	HTML_BEFORE_VALUE,
	HTML_VALUE,
	HTML_RAW,               /* in script and the like, up to its end tag */
};

enum html_due {                 /* in order of strength */
	DUE_NONE,
	DUE_SPACE,
	DUE_LINE,
};

void
html_text_init(struct html_text *t)
{
	*t = (struct html_text){ .state = HTML_DATA };
}

/* ---- characters ---- */

static bool
is_space(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f';
}

static bool
is_letter(uint8_t c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* ---- output ---- */

static void
want_space(struct html_text *t, enum html_due due)
{
	if (due > t->due)
		t->due = (uint8_t)due;
}

/* White space at the very beginning is none. */
static void
write_due(struct html_text *t, struct buf *out)
{
	if (t->any && t->due != DUE_NONE)
		buf_append_byte(out, t->due == DUE_LINE ? '\n' : ' ');
	t->due = DUE_NONE;
	t->any = true;
}

static void
write_byte(struct html_text *t, uint8_t c, struct buf *out)
{
	if (is_space(c)) {
		want_space(t, DUE_SPACE);
		return;
	}
	write_due(t, out);
	buf_append_byte(out, c);
}

static void
write_bytes(struct html_text *t, struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++)
		write_byte(t, s.ptr[i], out);
}

static void
write_character(struct html_text *t, uint32_t cp, struct buf *out)
{
	if (cp < 0x80) {
		write_byte(t, (uint8_t)cp, out);
		return;
	}
	write_due(t, out);
	text_utf8_append(out, cp);
}

/* ---- names ---- */

static void
name_add(uint8_t *name, uint8_t *len, uint8_t c)
{
	if (*len < HTML_NAME_MAX)
		name[*len] = c;
	if (*len <= HTML_NAME_MAX)
		(*len)++;
}

static bool
name_in(const uint8_t *name, uint8_t len, const char *const *list)
{
	if (len == 0 || len > HTML_NAME_MAX)
		return false;
	for (; *list != NULL; list++)
		if ((uint8_t)(*list)[0] == name[0] &&
		    slice_eq(slice_of(name, len), slice_str(*list)))
			return true;
	return false;
}

/* ---- character references ---- */

/* 0x80 to 0x9f are meant as windows-1252 by all who write them. */
static uint32_t
numeric_meaning(uint32_t n)
{
	static const uint16_t cp1252[32] = {
		0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
		0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
		0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178,
	};

	if (n >= 0x80 && n < 0xa0)
		return cp1252[n - 0x80];
	return n == 0 ? 0xfffd : n;
}

/* "#65" or "#x41", of digits only (in_reference); false if there are none. */
static bool
numeric_reference(struct slice name, uint32_t *cp)
{
	bool hex = name.len > 1 && ascii_lower(name.ptr[1]) == 'x';
	size_t at = hex ? 2 : 1;
	uint32_t n = 0;

	if (at >= name.len)
		return false;
	for (; at < name.len && n <= 0x10ffff; at++)
		n = n * (hex ? 16u : 10u) + (uint32_t)ascii_hex_value(name.ptr[at]);
	*cp = numeric_meaning(n);
	return true;
}

#define LEGACY_MAX 6u           /* "Aacute" */

/* Without ";" the longest old name at the front counts: "&ampfoo" is "&foo". */
static size_t
legacy_prefix(struct slice name, uint32_t *cp)
{
	bool legacy;

	for (size_t n = name.len < LEGACY_MAX ? name.len : LEGACY_MAX; n > 1; n--) {
		*cp = html_entity(slice_of(name.ptr, n), &legacy);
		if (*cp != 0 && legacy)
			return n;
	}
	return 0;
}

/* The reference has ended, before `;` or something else. True: a ";" belongs to it. */
static bool
end_reference(struct html_text *t, bool semicolon, struct buf *out)
{
	struct slice name = slice_of(t->name, t->name_len);
	uint32_t cp = 0;
	bool legacy;
	size_t n = 0;

	t->state = t->back;
	if (name.len > 0 && name.ptr[0] == '#')
		n = numeric_reference(name, &cp) ? name.len : 0;
	else if (semicolon && (cp = html_entity(name, &legacy)) != 0)
		n = name.len;
	else
		n = legacy_prefix(name, &cp);
	if (n > 0)
		write_character(t, cp, out);
	else
		write_byte(t, '&', out);
	write_bytes(t, slice_sub(name, n, name.len), out);
	return semicolon && n > 0 && n == name.len;
}

static bool
in_reference(const struct html_text *t, uint8_t c)
{
	uint8_t n = t->name_len;

	if (n == HTML_NAME_MAX)
		return false;
	if (n == 0 || t->name[0] != '#')
		return is_letter(c) || is_digit(c) || (c == '#' && n == 0);
	if (n > 1 && ascii_lower(t->name[1]) == 'x')
		return ascii_hex_value(c) >= 0;
	return is_digit(c) || (n == 1 && ascii_lower(c) == 'x');
}

/* Each of these takes one octet; false: it has moved on, and the octet is for the next state. */
static bool
take_reference(struct html_text *t, uint8_t c, struct buf *out)
{
	if (in_reference(t, c)) {
		name_add(t->name, &t->name_len, c);
		return true;
	}
	return end_reference(t, c == ';', out);
}

static void
begin_reference(struct html_text *t)
{
	t->back = t->state;
	t->state = HTML_REFERENCE;
	t->name_len = 0;
}

/* ---- tags ---- */

static const char *const line_tags[] = {
	"address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd",
	"details",
	"dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2",
	"h3", "h4", "h5", "h6", "head", "header", "hr", "html", "legend", "li", "main", "menu",
	"nav",
	"ol", "option", "p", "pre", "section", "select", "summary", "table", "tbody", "textarea",
	"tfoot", "thead", "title", "tr", "ul", NULL,
};
static const char *const space_tags[] = { "button", "img", "input", "td", "th", NULL };
static const char *const raw_tags[] = {
	"iframe", "noembed", "noframes", "script", "style", "title", NULL,
};
static const char *const alt_tags[] = { "area", "img", "input", NULL };
static const char *const alt_names[] = { "alt", NULL };

static void
end_tag(struct html_text *t)
{
	t->state = HTML_DATA;
	if (name_in(t->tag, t->tag_len, line_tags))
		want_space(t, DUE_LINE);
	else if (name_in(t->tag, t->tag_len, space_tags))
		want_space(t, DUE_SPACE);
	if (!t->closing && name_in(t->tag, t->tag_len, raw_tags)) {
		t->state = HTML_RAW;
		t->matched = 0;
	}
}

static void
begin_tag(struct html_text *t, bool closing)
{
	t->state = HTML_TAG_NAME;
	t->closing = closing;
	t->tag_len = 0;
}

static bool
take_tag_open(struct html_text *t, uint8_t c, struct buf *out)
{
	if (is_letter(c)) {
		begin_tag(t, false);
		return false;
	}
	if (c == '/') {
		t->state = HTML_END_OPEN;
	} else if (c == '!') {
		t->state = HTML_MARKUP;
		t->matched = 0;
	} else if (c == '?') {
		t->state = HTML_BOGUS;
	} else {
		t->state = HTML_DATA;
		write_byte(t, '<', out);
		return false;
	}
	return true;
}

static bool
take_end_open(struct html_text *t, uint8_t c)
{
	if (is_letter(c)) {
		begin_tag(t, true);
		return false;
	}
	t->state = c == '>' ? HTML_DATA : HTML_BOGUS;
	return true;
}

/* "<!--" begins a comment; those two dashes may also be of its end, as in "<!-->". */
static bool
take_markup(struct html_text *t, uint8_t c)
{
	if (c != '-') {
		t->state = HTML_BOGUS;
		return false;
	}
	if (++t->matched == 2)
		t->state = HTML_COMMENT;
	return true;
}

static bool
take_comment(struct html_text *t, uint8_t c)
{
	if (c == '-') {
		t->matched = t->matched < 2 ? (uint8_t)(t->matched + 1) : 2;
	} else if (c == '>' && t->matched == 2) {
		t->state = HTML_DATA;
	} else if (c != '!' || t->matched != 2) {       /* "--!>" ends it too */
		t->matched = 0;
	}
	return true;
}

static bool
take_tag_name(struct html_text *t, uint8_t c)
{
	if (is_space(c) || c == '/' || c == '>') {
		t->state = HTML_BEFORE_ATTR;
		return false;
	}
	name_add(t->tag, &t->tag_len, ascii_lower(c));
	return true;
}

static bool
take_before_attr(struct html_text *t, uint8_t c)
{
	if (c == '>') {
		end_tag(t);
		return true;
	}
	if (is_space(c) || c == '/')
		return true;
	t->state = HTML_ATTR_NAME;
	t->name_len = 0;
	name_add(t->name, &t->name_len, ascii_lower(c));  /* also "=": it is part of the name */
	return true;
}

static bool
take_attr_name(struct html_text *t, uint8_t c)
{
	if (is_space(c) || c == '/' || c == '>' || c == '=') {
		t->state = HTML_AFTER_ATTR;
		return false;
	}
	name_add(t->name, &t->name_len, ascii_lower(c));
	return true;
}

static bool
take_after_attr(struct html_text *t, uint8_t c)
{
	if (is_space(c))
		return true;
	t->state = c == '=' ? HTML_BEFORE_VALUE : HTML_BEFORE_ATTR;
	return c == '=';
}

static bool
take_before_value(struct html_text *t, uint8_t c)
{
	if (is_space(c))
		return true;
	if (c == '>') {
		t->state = HTML_BEFORE_ATTR;
		return false;
	}
	t->alt = !t->closing && name_in(t->tag, t->tag_len, alt_tags)
	      && name_in(t->name, t->name_len, alt_names);
	if (t->alt)
		want_space(t, DUE_SPACE);
	t->quote = c == '"' || c == '\'' ? c : 0;
	t->state = HTML_VALUE;
	return t->quote != 0;
}

static bool
take_value(struct html_text *t, uint8_t c, struct buf *out)
{
	bool end = t->quote != 0 ? c == t->quote : is_space(c) || c == '>';

	if (end) {
		t->state = HTML_BEFORE_ATTR;
		return t->quote != 0;
	}
	if (t->alt && c == '&')
		begin_reference(t);
	else if (t->alt)
		write_byte(t, c, out);
	return true;
}

/* "</" and the name of the element, then what ends a name. */
static bool
take_raw(struct html_text *t, uint8_t c)
{
	if (t->matched == t->tag_len + 2 && (is_space(c) || c == '/' || c == '>')) {
		t->closing = true;
		t->state = HTML_BEFORE_ATTR;
		return false;
	}
	if (c == '<')
		t->matched = 1;
	else if (t->matched == 1 && c == '/')
		t->matched = 2;
	else if (t->matched >= 2 && t->matched < t->tag_len + 2
	         && ascii_lower(c) == t->tag[t->matched - 2])
		t->matched++;
	else
		t->matched = 0;
	return true;
}

/* ---- the machine ---- */

static bool
take_data(struct html_text *t, uint8_t c, struct buf *out)
{
	if (c == '<')
		t->state = HTML_TAG_OPEN;
	else if (c == '&')
		begin_reference(t);
	else
		write_byte(t, c, out);
	return true;
}

/* An octet is refused a bounded number of times: each refusal leads to a state that takes it. */
static bool
take(struct html_text *t, uint8_t c, struct buf *out)
{
	switch ((enum html_state)t->state) {
	case HTML_DATA:
		return take_data(t, c, out);
	case HTML_REFERENCE:
		return take_reference(t, c, out);
	case HTML_TAG_OPEN:
		return take_tag_open(t, c, out);
	case HTML_END_OPEN:
		return take_end_open(t, c);
	case HTML_MARKUP:
		return take_markup(t, c);
	case HTML_BOGUS:
		t->state = c == '>' ? HTML_DATA : HTML_BOGUS;
		return true;
	case HTML_COMMENT:
		return take_comment(t, c);
	case HTML_TAG_NAME:
		return take_tag_name(t, c);
	case HTML_BEFORE_ATTR:
		return take_before_attr(t, c);
	case HTML_ATTR_NAME:
		return take_attr_name(t, c);
	case HTML_AFTER_ATTR:
		return take_after_attr(t, c);
	case HTML_BEFORE_VALUE:
		return take_before_value(t, c);
	case HTML_VALUE:
		return take_value(t, c, out);
	case HTML_RAW:
		return take_raw(t, c);
	}
	return true;
}

/* Most of a text is neither markup nor white space: written at once. */
static size_t
plain_run(struct slice html)
{
	size_t n = 0;

	while (n < html.len && html.ptr[n] != '<' && html.ptr[n] != '&' && !is_space(html.ptr[n]))
		n++;
	return n;
}

void
html_text_feed(struct html_text *t, struct slice html, struct buf *out)
{
	for (size_t i = 0; i < html.len;) {
		size_t n = t->state == HTML_DATA ? plain_run(slice_sub(html, i, html.len)) : 0;

		if (n > 0) {
			write_due(t, out);
			buf_append(out, html.ptr + i, n);
			i += n;
		} else if (take(t, html.ptr[i], out)) {
			i++;
		}
	}
}

void
html_text_finish(struct html_text *t, struct buf *out)
{
	if (t->state == HTML_REFERENCE)
		end_reference(t, false, out);
	else if (t->state == HTML_TAG_OPEN)
		write_byte(t, '<', out);
	t->state = HTML_DATA;
}

bool
html_to_text(struct slice html_utf8, struct buf *out)
{
	struct html_text t;

	html_text_init(&t);
	html_text_feed(&t, html_utf8, out);
	html_text_finish(&t, out);
	return !out->failed;
}
