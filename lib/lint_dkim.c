/* lint_dkim - DKIM-Signature: its tags, without the cryptography [RFC 6376 s3.5]. */
#include "lib/lint_tags.h"

/* sig-c-tag-alg = x-sig-c-tag-alg ["/" x-sig-c-tag-alg], simple or relaxed; ARC's
 * signature has it too. */
static void
check_canonicalization(const struct lint_tags *t)
{
	static const char *const known[] = { "simple", "relaxed", "simple/simple", "simple/relaxed",
	                                     "relaxed/simple", "relaxed/relaxed" };
	const struct lint_tag *c = lint_tags_find(t, "c");

	for (size_t i = 0; c != NULL && i < sizeof known / sizeof known[0]; i++)
		if (slice_eq_nocase(c->value, slice_str(known[i])))
			return;
	if (c != NULL)
		lint_tags_bad(t, c, "is no known canonicalization");
}

/* The domain of i= is that of d= or below it. */
static void
check_identity(const struct lint_tags *t)
{
	const struct lint_tag *i = lint_tags_find(t, "i"), *d = lint_tags_find(t, "d");
	struct slice domain;
	size_t at;

	if (i == NULL || d == NULL)
		return;
	for (at = i->value.len; at > 0 && i->value.ptr[at - 1] != '@'; at--)
		;
	domain = slice_sub(i->value, at, i->value.len);
	if (at == 0)
		lint_tags_bad(t, i, "has no \"@\"");
	else if (!slice_ends_nocase(domain, d->value) ||
	    (domain.len > d->value.len && domain.ptr[domain.len - d->value.len - 1] != '.'))
		lint_tags_bad(t, i, "is not within d=");
}

static void
check_times(const struct lint_tags *t)
{
	uint64_t made = 0, expires = UINT64_MAX, length = 0;

	if (lint_tags_number(t, "t", &made) && lint_tags_number(t, "x", &expires) &&
	    expires <= made)
		lint_tags_bad(t, lint_tags_find(t, "x"), "is not behind t=");
	if (lint_tags_find(t, "l") != NULL && lint_tags_number(t, "l", &length))
		lint_report_at(t->c->l, lint_tags_find(t, "l")->name.ptr, LINT_DKIM_LENGTH,
		    "only the first %llu bytes of the body are signed: anything can be added",
		    (unsigned long long)length);
}

void
lint_dkim(struct lint_cursor *c)
{
	struct lint_tags t = { .missing = LINT_DKIM_MISSING_TAG, .bad = LINT_DKIM_VALUE };
	const struct lint_tag *v, *h;

	if (!lint_tags_take(c, LINT_DKIM_SYNTAX, LINT_DKIM_DUPLICATE_TAG, &t))
		return;
	v = lint_tags_need(&t, "v");
	if (v != NULL && !slice_eq(v->value, SLICE("1")))
		lint_tags_bad(&t, v, "is not 1");
	lint_tags_signature(&t);
	lint_tags_base64(&t, "bh");
	h = lint_tags_signed(&t);
	if (h != NULL && lint_tags_names(h->value, "List-Unsubscribe") &&
	    lint_tags_names(h->value, "List-Unsubscribe-Post"))
		c->l->header.dkim_covers = true;
	check_canonicalization(&t);
	check_identity(&t);
	check_times(&t);
}
