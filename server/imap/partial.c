/* partial - ranges of results, for SEARCH and UID FETCH [RFC 9394]: a production
 * and its meaning. */
#include "server/imap/imap.h"

/* partial-range = nz-number ":" nz-number / MINUS nz-number ":" MINUS nz-number [RFC 9394 s4]
 * 500:400 is the same as 400:500. */
bool
parse_partial_range(struct cursor *c, struct partial_range *out)
{
	uint32_t a, b;

	out->from_end = cur_take(c, '-');
	if (!parse_nz_number(c, &a) || !cur_want(c, ':') || (out->from_end && !cur_want(c, '-'))
	    || !parse_nz_number(c, &b))
		return false;
	out->first = a < b ? a : b;
	out->last = a < b ? b : a;
	return true;
}

/* Members first..last (from 1), of those there are. */
static bool
copy_ranks(const struct uid_set *in, uint64_t first, uint64_t last, struct uid_set *out)
{
	uint64_t before = 0;

	for (size_t i = 0; i < in->count && before < last; i++) {
		const struct uid_range *r = &in->ranges[i];
		uint64_t n = (uint64_t)(r->last - r->first) + 1;
		uint64_t from = first > before ? first - before - 1 : 0;
		uint64_t to = last - before < n ? last - before - 1 : n - 1;

		if (from < n
		    && !uid_set_add(out, r->first + (mail_uid)from, r->first + (mail_uid)to))
			return false;
		before += n;
	}
	return true;
}

bool
imap_partial_of(const struct uid_set *in, const struct partial_range *p, struct uid_set *out)
{
	uint64_t size = uid_set_size(in);

	if (!p->from_end)
		return copy_ranks(in, p->first, p->last, out);
	if (p->first > size)
		return true;
	return copy_ranks(in, p->last < size ? size - p->last + 1 : 1, size - p->first + 1, out);
}
