/* header - see header.h.
 *
 * Subsets are looked up in a sorted copy of the names, since both the list and the header may be
 * long (names x fields would be quadratic).
 */
#include "lib/header.h"

#include "lib/rfc2047.h"
#include "lib/rfc2231.h"
#include "lib/text.h"

#include <stdlib.h>

static bool
is_wsp(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Offset behind the line end of the line that starts at `at`. */
static size_t
line_end(struct slice s, size_t at)
{
	size_t n = slice_find_byte(slice_sub(s, at, s.len), '\n');

	return at + n < s.len ? at + n + 1 : s.len;
}

static bool
is_blank_line(struct slice s)
{
	return (s.len > 0 && s.ptr[0] == '\n') ||
	       (s.len > 1 && s.ptr[0] == '\r' && s.ptr[1] == '\n');
}

bool
header_next(struct slice *block, struct header_field *out)
{
	size_t end, colon;

	if (block->len == 0 || is_blank_line(*block))
		return false;
	end = line_end(*block, 0);
	while (end < block->len && is_wsp(block->ptr[end]))
		end = line_end(*block, end);
	out->raw = slice_sub(*block, 0, end);
	*block = slice_sub(*block, end, block->len);
	colon = slice_find_byte(slice_sub(out->raw, 0, line_end(out->raw, 0)), ':');
	if (colon >= line_end(out->raw, 0)) {
		out->name = SLICE_NONE;
		out->value = slice_trim(out->raw);
		return true;
	}
	out->name = slice_sub(out->raw, 0, colon);
	while (out->name.len > 0 && is_wsp(out->name.ptr[out->name.len - 1]))
		out->name.len--;
	out->value = slice_trim(slice_sub(out->raw, colon + 1, out->raw.len));
	return true;
}

bool
header_find(struct slice block, struct slice name, struct header_field *out)
{
	while (header_next(&block, out))
		if (slice_eq_nocase(out->name, name))
			return true;
	return false;
}

bool
header_unfold(struct slice value, struct buf *out)
{
	size_t from = 0;

	for (size_t at = 0; at < value.len; at++) {
		bool crlf = value.ptr[at] == '\r' && at + 1 < value.len &&
		            value.ptr[at + 1] == '\n';

		if (!crlf && value.ptr[at] != '\n')
			continue;
		buf_append(out, value.ptr + from, at - from);
		at += crlf;
		from = at + 1;
	}
	if (from < value.len)
		buf_append(out, value.ptr + from, value.len - from);
	return !out->failed;
}

bool
header_find_param(struct slice block, struct slice name, struct slice param, struct buf *out)
{
	struct header_field field;
	struct param_list list;
	const struct param *p = NULL;
	struct slice rest;
	struct buf value;
	bool ok = false;

	if (!header_find(block, name, &field))
		return false;
	buf_init(&value, field.value.len + 1);
	param_list_init(&list);
	if (param_take_value(field.value, &value, &rest) && param_list_parse(&list, rest))
		p = param_find(&list, param);
	if (p != NULL)
		ok = param_decode(p, out);
	param_list_fini(&list);
	buf_fini(&value);
	return ok;
}

static int
compare_names(const void *a, const void *b)
{
	return slice_cmp_nocase(*(const struct slice *)a, *(const struct slice *)b);
}

bool
header_subset(struct slice block, enum header_subset which, const struct slice *names, size_t n,
              struct buf *out)
{
	struct slice *sorted = malloc((n + 1) * sizeof *sorted);
	struct header_field f;

	if (sorted == NULL) {
		out->failed = true;
		return false;
	}
	if (n > 0)
		memcpy(sorted, names, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare_names);
	while (header_next(&block, &f)) {
		bool named = f.name.len > 0 &&
		             bsearch(&f.name, sorted, n, sizeof *sorted, compare_names) != NULL;

		if (named == (which == HEADER_FIELDS))
			buf_append_slice(out, f.raw);
	}
	free(sorted);
	if (is_blank_line(block))
		buf_append_slice(out, slice_sub(block, 0, line_end(block, 0)));
	return !out->failed;
}

/* Parameters joined and decoded, each on a line of its own behind the text. */
static void
append_params(struct slice value, struct buf *out)
{
	struct param_list l;

	param_list_init(&l);
	if (param_list_parse(&l, slice_sub(value, slice_find_byte(value, ';'), value.len))) {
		for (size_t i = 0; i < l.n; i++) {
			buf_append_byte(out, '\n');
			param_decode(&l.items[i], out);
		}
	}
	param_list_fini(&l);
}

bool
header_decode_text(struct slice value, struct buf *out)
{
	struct buf flat, text;
	bool ok;

	buf_init(&flat, value.len);
	buf_init(&text, value.len * 6 + 1024);
	ok = header_unfold(value, &flat) && rfc2047_decode(buf_slice(&flat), &text);
	if (ok && (slice_find(value, SLICE("*=")) < value.len ||
	           slice_find(value, SLICE("*0=")) < value.len))
		append_params(value, &text);
	ok = text_searchfold(buf_slice(&text), out) && ok && !text.failed;
	buf_fini(&flat);
	buf_fini(&text);
	return ok;
}
