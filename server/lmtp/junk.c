/* junk - does a header say that a spam filter has found something? See junk.h. */
#include "server/lmtp/junk.h"

/* The next octet of a folded value: the line ends within it are not there [RFC 5322 s2.2.3]. */
static size_t
skip_line_ends(struct slice s, size_t at)
{
	while (at < s.len && (s.ptr[at] == '\r' || s.ptr[at] == '\n'))
		at++;
	return at;
}

/* The whole of `text` against a pattern with "*". A mismatch goes back to the last "*" only, so no
 * pattern is slow beyond its length times the text's. */
static bool
glob(struct slice pattern, struct slice text)
{
	size_t p = 0, t = skip_line_ends(text, 0), star = pattern.len, again = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			again = t;
		} else if (p < pattern.len &&
		           ascii_lower(pattern.ptr[p]) == ascii_lower(text.ptr[t])) {
			p++;
			t = skip_line_ends(text, t + 1);
		} else if (star < pattern.len) {
			p = star + 1;
			again = t = skip_line_ends(text, again + 1);
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

static bool
rule_matches(struct slice rule, struct slice name, struct slice value)
{
	size_t colon = slice_find_byte(rule, ':');

	if (!slice_eq_nocase(slice_trim(slice_sub(rule, 0, colon)), name))
		return false;
	return colon == rule.len || glob(slice_trim(slice_sub(rule, colon + 1, rule.len)), value);
}

static bool
field_matches(struct slice field, const struct conf_list *rules)
{
	size_t colon = slice_find_byte(field, ':');
	struct slice name = slice_trim(slice_sub(field, 0, colon)),
	             value = slice_trim(slice_sub(field, colon + 1, field.len));

	for (size_t i = 0; i < rules->count && colon < field.len; i++)
		if (rule_matches(slice_str(rules->words[i]), name, value))
			return true;
	return false;
}

/* A field with the lines that continue it; empty at the end of the header. */
static struct slice
take_field(struct slice *header)
{
	size_t at = 0;
	struct slice field;

	do {
		size_t lf = slice_find_byte(slice_sub(*header, at, header->len), '\n');

		if (at == 0 && slice_trim(slice_sub(*header, 0, lf)).len == 0)
			return SLICE_NONE;
		at += lf + 1;
	} while (at < header->len && (header->ptr[at] == ' ' || header->ptr[at] == '\t'));
	field = slice_sub(*header, 0, at);
	*header = slice_sub(*header, at, header->len);
	return field;
}

bool
junk_header_matches(struct slice header, const struct conf_list *rules)
{
	while (header.len > 0) {
		struct slice field = take_field(&header);

		if (field.len == 0)
			return false;
		if (field_matches(field, rules))
			return true;
	}
	return false;
}
