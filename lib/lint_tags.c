/* lint_tags - see lint_tags.h. */
#include "lib/lint_tags.h"

#include "lib/base64.h"

static bool
is_name_byte(uint8_t b)
{
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
	       b == '_';
}

/* VALCHAR, in values of an internationalised message UTF-8 too [RFC 6376 s3.2, RFC 8616 s4] */
static bool
is_value_byte(uint8_t b)
{
	return b > ' ' && b != ';' && b != 0x7f;
}

/* tag-spec = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS] */
static bool
take_tag(struct lint_cursor *c, struct lint_tag *tag)
{
	size_t from, end;

	lint_skip_blanks(c);
	if (!lint_take_run(c, is_name_byte, &tag->name))
		return false;
	lint_skip_blanks(c);
	if (!lint_take_byte(c, '='))
		return false;
	lint_skip_blanks(c);
	from = end = c->at;
	while (!lint_at_end(c) && (lint_is_blank(lint_peek(c)) || is_value_byte(lint_peek(c)))) {
		c->at++;
		if (!lint_is_blank(c->in.ptr[c->at - 1]))
			end = c->at;
	}
	tag->value = slice_sub(c->in, from, end);
	return lint_at_end(c) || lint_peek(c) == ';';
}

bool
lint_tags_take(struct lint_cursor *c, enum lint_code syntax, enum lint_code duplicate,
               struct lint_tags *t)
{
	struct lint_shown shown;
	struct lint_tag tag;
	char name[16];

	t->n = 0;
	t->c = c;
	do {
		size_t from = c->at;

		lint_skip_blanks(c);
		if (lint_at_end(c) && t->n > 0)
			return true;            /* behind the last ";" */
		if (!take_tag(c, &tag)) {
			lint_report_at(c->l, c->in.ptr + from, syntax, "no tag \"=\" value: %s",
			    lint_show(&shown, slice_trim(slice_sub(c->in, from, c->in.len))));
			return false;
		}
		if (t->n == LINT_TAGS_MAX) {
			lint_report_at(c->l, lint_here(c), LINT_LIMIT,
			    "more than %u tags: the rest is not looked at", LINT_TAGS_MAX);
			return true;
		}
		if (slice_to_cstr(tag.name, name, sizeof name) && lint_tags_find(t, name) != NULL)
			lint_report_at(c->l, tag.name.ptr, duplicate, "the tag %s again", name);
		else
			t->items[t->n++] = tag;
	} while (lint_take_byte(c, ';'));
	return true;
}

/* Names are compared with their case [RFC 6376 s3.2]. */
const struct lint_tag *
lint_tags_find(const struct lint_tags *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (slice_eq(t->items[i].name, slice_str(name)))
			return &t->items[i];
	return NULL;
}

const struct lint_tag *
lint_tags_need(const struct lint_tags *t, const char *name)
{
	const struct lint_tag *tag = lint_tags_find(t, name);

	if (tag != NULL && tag->value.len > 0)
		return tag;
	lint_report_at(t->c->l, t->c->in.ptr, t->missing, "there is no %s=", name);
	return NULL;
}

void
lint_tags_bad(const struct lint_tags *t, const struct lint_tag *tag, const char *why)
{
	struct lint_shown value;

	lint_report_at(t->c->l, tag->name.ptr, t->bad, "%.*s= %s: %s",
	               (int)(tag->name.len < 20 ? tag->name.len : 20), (const char *)tag->name.ptr,
	               why, lint_show(&value, tag->value));
}

void
lint_tags_base64(const struct lint_tags *t, const char *name)
{
	const struct lint_tag *tag = lint_tags_need(t, name);
	size_t letters = 0, padding = 0;
	bool good = true;

	for (size_t i = 0; tag != NULL && i < tag->value.len; i++) {
		uint8_t b = tag->value.ptr[i];

		if (lint_is_blank(b))
			continue;
		good = good && (b == '=' || (base64_value(b) >= 0 && padding == 0));
		padding += b == '=';
		letters++;
	}
	if (!good || padding > 2 || letters % 4 != 0)
		lint_tags_bad(t, tag, "is no base64");
}

bool
lint_tags_number(const struct lint_tags *t, const char *name, uint64_t *out)
{
	const struct lint_tag *tag = lint_tags_find(t, name);

	if (tag == NULL || slice_to_u64(tag->value, UINT64_MAX, out))
		return true;
	lint_tags_bad(t, tag, "is no number");
	return false;
}

bool
lint_tags_names(struct slice list, const char *name)
{
	while (list.len > 0) {
		size_t n = slice_find_byte(list, ':');

		if (slice_eq_nocase(slice_trim(slice_sub(list, 0, n)), slice_str(name)))
			return true;
		list = slice_sub(list, n + 1, list.len);
	}
	return false;
}

static void
check_algorithm(const struct lint_tags *t, const struct lint_tag *a)
{
	if (slice_eq_nocase(a->value, SLICE("rsa-sha1")))
		lint_report_at(t->c->l, a->name.ptr, LINT_DKIM_SHA1,
		               "signed with rsa-sha1, which must not be used");
	else if (!slice_eq_nocase(a->value, SLICE("rsa-sha256")) &&
	         !slice_eq_nocase(a->value, SLICE("ed25519-sha256")))
		lint_tags_bad(t, a, "is no known algorithm");
}

/* domain-name and selector: labels with dots between */
static void
check_domain(const struct lint_tags *t, const char *name)
{
	const struct lint_tag *tag = lint_tags_need(t, name);
	struct lint_cursor c = { .l = t->c->l };
	struct slice text;

	if (tag == NULL)
		return;
	c.in = tag->value;
	if (!lint_take_dot_atom(&c, &text) || !lint_at_end(&c))
		lint_tags_bad(t, tag, "is no domain");
}

void
lint_tags_signature(const struct lint_tags *t)
{
	const struct lint_tag *a = lint_tags_need(t, "a");

	if (a != NULL)
		check_algorithm(t, a);
	lint_tags_base64(t, "b");
	check_domain(t, "d");
	check_domain(t, "s");
}

const struct lint_tag *
lint_tags_signed(const struct lint_tags *t)
{
	const struct lint_tag *h = lint_tags_need(t, "h");

	if (h != NULL && !lint_tags_names(h->value, "From"))
		lint_report_at(t->c->l, h->name.ptr, LINT_DKIM_FROM,
		               "the signature does not cover From");
	return h;
}
