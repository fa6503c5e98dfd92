/* uidset - sorted ranges of 32-bit numbers. See uidset.h.
 *
 * Invariants: ranges[i].first >= 1, first <= last, and ranges[i].last + 1 < ranges[i + 1].first: of
 * one set of numbers there is one representation. A balanced tree was rejected: appending at the
 * end is what nearly all adds are, and a mailbox has few gaps.
 */
#include "lib/uidset.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_CAP 8u

void
uid_set_init(struct uid_set *s, size_t max_ranges)
{
	*s = (struct uid_set){ .max = max_ranges };
}

void
uid_set_fini(struct uid_set *s)
{
	free(s->ranges);
	uid_set_init(s, s->max);
}

void
uid_set_reset(struct uid_set *s)
{
	s->count = 0;
	s->failed = false;
}

/* Index of the first range whose last is >= n; count if there is none. */
static size_t
find_range(const struct uid_set *s, mail_uid n)
{
	size_t lo = 0, hi = s->count;

	if (hi > 0 && s->ranges[hi - 1].last < n)
		return hi;      /* the usual case: behind all */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->ranges[mid].last < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool
make_room(struct uid_set *s, size_t need)
{
	struct uid_range *p;
	size_t cap = s->cap > 0 ? s->cap : FIRST_CAP;

	if (need > s->max || need > SIZE_MAX / 2 / sizeof *p) {
		s->failed = true;
		return false;
	}
	if (need <= s->cap)
		return true;
	while (cap < need)
		cap *= 2;
	if (cap > s->max)
		cap = s->max;
	p = realloc(s->ranges, cap * sizeof *p);
	if (p == NULL) {
		s->failed = true;
		return false;
	}
	s->ranges = p;
	s->cap = cap;
	return true;
}

/* Replace ranges [from, to) by the `n` in `by`. */
static bool
replace(struct uid_set *s, size_t from, size_t to, const struct uid_range *by, size_t n)
{
	size_t count = s->count - (to - from) + n;

	if (count > s->count && !make_room(s, count))
		return false;
	if (s->count > to && n != to - from)
		memmove(s->ranges + from + n, s->ranges + to, (s->count - to) * sizeof *by);
	for (size_t i = 0; i < n; i++)
		s->ranges[from + i] = by[i];
	s->count = count;
	return true;
}

bool
uid_set_add(struct uid_set *s, mail_uid first, mail_uid last)
{
	struct uid_range r = { first, last };
	size_t from, to;

	assert(first >= 1 && first <= last);
	from = find_range(s, first > 1 ? first - 1 : 1);  /* first - 1: a neighbour is joined */
	to = from;
	while (to < s->count && (last == UINT32_MAX || s->ranges[to].first <= last + 1)) {
		if (s->ranges[to].first < r.first)
			r.first = s->ranges[to].first;
		if (s->ranges[to].last > r.last)
			r.last = s->ranges[to].last;
		to++;
	}
	return replace(s, from, to, &r, 1);
}

bool
uid_set_append(struct uid_set *s, mail_uid first, mail_uid last)
{
	assert(first >= 1 && first <= last);
	if (s->count > 0 && s->ranges[s->count - 1].last < UINT32_MAX &&
	    s->ranges[s->count - 1].last + 1 == first) {
		s->ranges[s->count - 1].last = last;
		return true;
	}
	if (!make_room(s, s->count + 1))
		return false;
	s->ranges[s->count++] = (struct uid_range){ first, last };
	return true;
}

static int
compare_ranges(const void *a, const void *b)
{
	const struct uid_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

void
uid_set_sort(struct uid_set *s)
{
	bool ordered = true;
	size_t to = 0;

	for (size_t i = 1; i < s->count && ordered; i++)
		ordered = s->ranges[i - 1].first <= s->ranges[i].first;
	if (!ordered)
		qsort(s->ranges, s->count, sizeof *s->ranges, compare_ranges);
	for (size_t i = 1; i < s->count; i++) {
		struct uid_range *last = &s->ranges[to], r = s->ranges[i];

		if (last->last == UINT32_MAX || r.first <= last->last + 1)
			last->last = r.last > last->last ? r.last : last->last;
		else
			s->ranges[++to] = r;
	}
	s->count = s->count > 0 ? to + 1 : 0;
}

bool
uid_set_remove(struct uid_set *s, mail_uid first, mail_uid last)
{
	struct uid_range keep[2];
	size_t from, to, n = 0;

	assert(first >= 1 && first <= last);
	from = find_range(s, first);
	to = from;
	while (to < s->count && s->ranges[to].first <= last)
		to++;
	if (from == to)
		return true;
	if (s->ranges[from].first < first)
		keep[n++] = (struct uid_range){ s->ranges[from].first, first - 1 };
	if (s->ranges[to - 1].last > last)
		keep[n++] = (struct uid_range){ last + 1, s->ranges[to - 1].last };
	return replace(s, from, to, keep, n);
}

bool
uid_set_copy(struct uid_set *dst, const struct uid_set *src)
{
	if (dst == src)
		return true;
	if (!make_room(dst, src->count))
		return false;
	if (src->count > 0)
		memcpy(dst->ranges, src->ranges, src->count * sizeof *src->ranges);
	dst->count = src->count;
	return true;
}

bool
uid_set_intersect(struct uid_set *dst, const struct uid_set *a, const struct uid_set *b)
{
	size_t i = 0, j = 0;

	assert(dst != a && dst != b);
	uid_set_reset(dst);
	while (i < a->count && j < b->count) {
		const struct uid_range *x = &a->ranges[i], *y = &b->ranges[j];
		mail_uid first = x->first > y->first ? x->first : y->first;
		mail_uid last = x->last < y->last ? x->last : y->last;

		if (first <= last && !uid_set_add(dst, first, last))
			return false;
		if (x->last < y->last)
			i++;
		else
			j++;
	}
	return true;
}

/* What is left of one range of `a`; *from is the first range of b that can matter. */
static bool
subtract_range(struct uid_set *dst, struct uid_range r, const struct uid_set *b, size_t *from)
{
	while (*from < b->count && b->ranges[*from].last < r.first)
		(*from)++;
	for (size_t k = *from; k < b->count && b->ranges[k].first <= r.last; k++) {
		if (b->ranges[k].first > r.first &&
		    !uid_set_add(dst, r.first, b->ranges[k].first - 1))
			return false;
		if (b->ranges[k].last >= r.last)
			return true;
		r.first = b->ranges[k].last + 1;
	}
	return uid_set_add(dst, r.first, r.last);
}

bool
uid_set_subtract(struct uid_set *dst, const struct uid_set *a, const struct uid_set *b)
{
	size_t from = 0;

	assert(dst != a && dst != b);
	uid_set_reset(dst);
	for (size_t i = 0; i < a->count; i++)
		if (!subtract_range(dst, a->ranges[i], b, &from))
			return false;
	return true;
}

bool
uid_set_contains(const struct uid_set *s, mail_uid n)
{
	size_t i = find_range(s, n);

	return n > 0 && i < s->count && s->ranges[i].first <= n;
}

uint64_t
uid_set_size(const struct uid_set *s)
{
	uint64_t size = 0;

	for (size_t i = 0; i < s->count; i++)
		size += (uint64_t)s->ranges[i].last - s->ranges[i].first + 1;
	return size;
}

mail_uid
uid_set_nth(const struct uid_set *s, uint32_t k)
{
	if (k == 0)
		return 0;
	k--;
	for (size_t i = 0; i < s->count; i++) {
		/* members after the first */
		uint32_t beyond = s->ranges[i].last - s->ranges[i].first;

		if (k <= beyond)
			return s->ranges[i].first + k;
		k -= beyond + 1;        /* beyond < k, so this does not wrap */
	}
	return 0;
}

uint32_t
uid_set_rank(const struct uid_set *s, mail_uid n)
{
	uint32_t rank = 0;

	for (size_t i = 0; i < s->count && s->ranges[i].first <= n; i++) {
		mail_uid last = s->ranges[i].last < n ? s->ranges[i].last : n;

		rank += last - s->ranges[i].first + 1;
	}
	return rank;
}

mail_uid
uid_set_next(const struct uid_set *s, mail_uid n)
{
	size_t i = find_range(s, n);

	if (i == s->count)
		return 0;
	return s->ranges[i].first > n ? s->ranges[i].first : n;
}

mail_uid
uid_set_max(const struct uid_set *s)
{
	return s->count > 0 ? s->ranges[s->count - 1].last : 0;
}

bool
uid_set_format(const struct uid_set *s, struct buf *out)
{
	bool ok = true;

	for (size_t i = 0; i < s->count && ok; i++) {
		const struct uid_range *r = &s->ranges[i];

		if (i > 0)
			ok = buf_append_byte(out, ',');
		ok = ok && buf_append_u64(out, r->first);
		if (r->last > r->first)
			ok = ok && buf_append_byte(out, ':') && buf_append_u64(out, r->last);
	}
	return ok;
}

/* n or n:m or n:* */
static bool
parse_range(struct slice text, struct uid_set *s)
{
	size_t colon = slice_find_byte(text, ':');
	struct slice end = slice_sub(text, colon + 1, text.len);
	uint64_t first, last;

	if (!slice_to_u64(slice_sub(text, 0, colon), UINT32_MAX, &first) || first == 0)
		return false;
	last = first;
	if (colon < text.len && slice_eq(end, SLICE("*")))
		last = UINT32_MAX;
	else if (colon < text.len && !slice_to_u64(end, UINT32_MAX, &last))
		return false;
	return last >= first && uid_set_add(s, (mail_uid)first, (mail_uid)last);
}

bool
uid_set_parse(struct slice text, struct uid_set *s)
{
	for (;;) {
		size_t n = slice_find_byte(text, ',');

		if (!parse_range(slice_sub(text, 0, n), s))
			return false;
		if (n == text.len)
			return true;
		text = slice_sub(text, n + 1, text.len);
	}
}
