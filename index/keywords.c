/* keywords - sets of IMAP keywords as text. See keywords.h. */
#include "index/keywords.h"

#include <stdlib.h>

#include "store/record.h"

/* ATOM-CHAR = <any CHAR except atom-specials>  [RFC 9051 s9] */
static bool
is_atom_char(uint8_t c)
{
	return c > 0x20 && c < 0x7f && strchr("(){%*\"\\]", c) == NULL;
}

static enum rc
check_word(struct slice w, struct err *e)
{
	if (w.len > KEYWORD_LEN_MAX)
		return err_set(e, RC_LIMIT, "keyword is longer than %d bytes", KEYWORD_LEN_MAX);
	for (size_t i = 0; i < w.len; i++) {
		if (!is_atom_char(w.ptr[i]))
			return err_set(e, RC_DENIED, "keyword is no atom");
	}
	return RC_OK;
}

bool
keywords_contain(const struct keyword_list *l, struct slice word)
{
	for (size_t i = 0; i < l->count; i++) {
		if (slice_eq_nocase(l->words[i], word))
			return true;
	}
	return false;
}

enum rc
keywords_split(struct slice text, struct arena *a, struct keyword_list *out, struct err *e)
{
	*out = (struct keyword_list){ NULL, 0 };
	if (text.len == 0)
		return RC_OK;
	if (text.len > KEYWORDS_MAX)
		return err_set(e, RC_LIMIT, "keywords are longer than %d bytes", KEYWORDS_MAX);
	out->words = arena_array(a, text.len / 2 + 1, sizeof *out->words);
	if (out->words == NULL)
		return err_nomem(e);
	while (text.len > 0) {
		size_t n = slice_find_byte(text, ' ');
		struct slice w = slice_sub(text, 0, n);

		text = slice_sub(text, n + 1, text.len);
		if (w.len == 0 || keywords_contain(out, w))
			continue;
		if (out->count == KEYWORD_COUNT_MAX)
			return err_set(e, RC_LIMIT, "more than %d keywords", KEYWORD_COUNT_MAX);
		if (check_word(w, e) != RC_OK)
			return e->code;
		out->words[out->count++] = w;
	}
	return RC_OK;
}

static int
word_order(const void *x, const void *y)
{
	const struct slice *a = x;
	const struct slice *b = y;

	return slice_cmp(*a, *b);
}

enum rc
keywords_join(const struct keyword_list *l, struct arena *a, struct slice *out, struct err *e)
{
	size_t len = 0;
	uint8_t *p;

	*out = SLICE("");
	if (l->count == 0)
		return RC_OK;
	qsort(l->words, l->count, sizeof *l->words, word_order);
	for (size_t i = 0; i < l->count; i++)
		len += l->words[i].len + 1;
	if (len - 1 > KEYWORDS_MAX)
		return err_set(e, RC_LIMIT, "keywords are longer than %d bytes", KEYWORDS_MAX);
	p = arena_alloc(a, len);
	if (p == NULL)
		return err_nomem(e);
	*out = slice_of(p, len - 1);
	for (size_t i = 0; i < l->count; i++) {
		memcpy(p, l->words[i].ptr, l->words[i].len);
		p += l->words[i].len;
		*p++ = ' ';
	}
	return RC_OK;
}

enum rc
keywords_add(const struct keyword_list *x, const struct keyword_list *y, struct arena *a,
             struct keyword_list *out, struct err *e)
{
	*out = (struct keyword_list){ arena_array(a, x->count + y->count + 1, sizeof(struct slice)),
		                      0 };
	if (out->words == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < x->count; i++)
		out->words[out->count++] = x->words[i];
	for (size_t i = 0; i < y->count; i++) {
		if (!keywords_contain(x, y->words[i]))
			out->words[out->count++] = y->words[i];
	}
	return RC_OK;
}

enum rc
keywords_remove(const struct keyword_list *x, const struct keyword_list *y, struct arena *a,
                struct keyword_list *out, struct err *e)
{
	*out = (struct keyword_list){ arena_array(a, x->count + 1, sizeof(struct slice)), 0 };
	if (out->words == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < x->count; i++) {
		if (!keywords_contain(y, x->words[i]))
			out->words[out->count++] = x->words[i];
	}
	return RC_OK;
}

struct slice
keyword_key(struct slice word, struct arena *a)
{
	uint8_t *p = arena_alloc(a, word.len + 1);

	if (p == NULL)
		return SLICE_NONE;
	for (size_t i = 0; i < word.len; i++)
		p[i] = ascii_lower(word.ptr[i]);
	return slice_of(p, word.len);
}
