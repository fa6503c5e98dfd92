/* lint_arc - the sets of an authenticated received chain [RFC 8617 s4].
 *
 * Each of the three fields stands once for each instance 1, 2, 3 ... Which were seen is a bit of a
 * word each, judged at the end of the header.
 */
#include "lib/lint_tags.h"

#include <assert.h>

enum arc_field { ARC_SEAL, ARC_SIGNATURE, ARC_RESULTS };
static const char *const names[] = { "ARC-Seal", "ARC-Message-Signature",
                                     "ARC-Authentication-Results" };

static_assert(LINT_ARC_MAX < 64, "an instance is a bit");

static void
bad_set(struct lint *l, enum arc_field f, const char *why, unsigned instance)
{
	l->header.arc_bad = true;
	lint_report(l, l->field_line, LINT_ARC_SET, "%s i=%u %s", names[f], instance, why);
}

/* 0: none that can be used. */
static unsigned
take_instance(struct lint *l, enum arc_field f, struct slice value, const uint8_t *where)
{
	uint64_t *sets = l->header.arc_sets, i;
	struct lint_shown shown;

	if (l->header.arc_line == 0)
		l->header.arc_line = l->field_line;
	if (!slice_to_u64(value, LINT_ARC_MAX, &i) || i == 0) {
		l->header.arc_bad = true;
		lint_report_at(l, where, LINT_ARC_TAG, "i= is not 1 to %u: %s", LINT_ARC_MAX,
		    lint_show(&shown, value));
		return 0;
	}
	if ((sets[f] >> i & 1) != 0)
		bad_set(l, f, "stands there twice", (unsigned)i);
	sets[f] |= UINT64_C(1) << i;
	return (unsigned)i;
}

static unsigned
take_tags(struct lint_cursor *c, enum arc_field f, struct lint_tags *t)
{
	const struct lint_tag *i;

	t->missing = t->bad = LINT_ARC_TAG;
	c->l->header.arc_line = c->l->header.arc_line > 0 ? c->l->header.arc_line
	                                                  : c->l->field_line;
	if (!lint_tags_take(c, LINT_ARC_TAG, LINT_ARC_TAG, t)) {
		c->l->header.arc_bad = true;
		return 0;
	}
	lint_tags_signature(t);
	i = lint_tags_need(t, "i");
	if (i == NULL)
		c->l->header.arc_bad = true;
	return i != NULL ? take_instance(c->l, f, i->value, i->value.ptr) : 0;
}

/* ARC-Seal: i, a, b, cv, d, s; cv=none for the first one only, and no h= [RFC 8617 s4.1.3] */
void
lint_arc_seal(struct lint_cursor *c)
{
	struct lint_tags t;
	unsigned i = take_tags(c, ARC_SEAL, &t);
	const struct lint_tag *cv, *h;

	if (i == 0)
		return;
	cv = lint_tags_need(&t, "cv");
	h = lint_tags_find(&t, "h");
	if (h != NULL)
		lint_tags_bad(&t, h, "must not stand in ARC-Seal");
	if (cv == NULL)
		return;
	if (!slice_eq_nocase(cv->value, SLICE("none")) &&
	    !slice_eq_nocase(cv->value, SLICE("pass")) &&
	    !slice_eq_nocase(cv->value, SLICE("fail")))
		lint_tags_bad(&t, cv, "is neither none, pass nor fail");
	else if (slice_eq_nocase(cv->value, SLICE("none")) != (i == 1))
		lint_tags_bad(&t, cv,
		    i == 1 ? "must be none in the first set" : "is none behind the first set");
}

/* ARC-Message-Signature: as DKIM-Signature, with an instance and without v= [RFC 8617 s4.1.2] */
void
lint_arc_signature(struct lint_cursor *c)
{
	struct lint_tags t;

	if (take_tags(c, ARC_SIGNATURE, &t) == 0)
		return;
	lint_tags_base64(&t, "bh");
	lint_tags_signed(&t);
}

/* ARC-Authentication-Results: "i=1;" and then as Authentication-Results [RFC 8617 s4.1.1] */
void
lint_arc_results(struct lint_cursor *c)
{
	struct slice tag = SLICE_NONE, value = SLICE_NONE;
	const uint8_t *where;

	lint_skip_cfws(c);
	where = lint_here(c);
	lint_take_run(c, lint_is_token, &tag);
	lint_skip_cfws(c);
	if (slice_eq(tag, SLICE("i")) && lint_take_byte(c, '=')) {
		lint_skip_cfws(c);
		lint_take_run(c, lint_is_token, &value);
	}
	lint_skip_cfws(c);
	take_instance(c->l, ARC_RESULTS, value, where);
	if (!lint_take_byte(c, ';')) {
		lint_report_at(c->l, lint_here(c), LINT_ARC_TAG, "no \";\" behind i=");
		return;
	}
	c->in = slice_sub(c->in, c->at, c->in.len);
	c->at = 0;
	lint_auth_results(c, LINT_ARC_TAG);
}

/* Sets are complete and without gaps [RFC 8617 s4.2.1]. */
void
lint_arc_end(struct lint *l)
{
	const uint64_t *sets = l->header.arc_sets;
	uint64_t all = sets[0] | sets[1] | sets[2];

	if (l->header.arc_line == 0 || l->header.arc_bad)
		return;
	for (unsigned i = 1; i <= LINT_ARC_MAX && all >> i != 0; i++) {
		for (size_t f = 0; f < 3; f++) {
			if ((sets[f] >> i & 1) != 0)
				continue;
			lint_report(l, l->header.arc_line, LINT_ARC_SET, "%s i=%u is missing",
			            names[f], i);
			return;
		}
	}
}
