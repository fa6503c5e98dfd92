/* parse_set - sequence sets as written [RFC 9051 s9]; what "*" and "$" stand for is known to the
 * view only. */
#include "server/imap/imap.h"

/* seq-number = nz-number / "*" */
static bool
parse_seq_number(struct cursor *c, uint64_t *out)
{
	uint32_t n;

	if (cur_take(c, '*')) {
		*out = SEQ_STAR;
		return true;
	}
	if (!parse_nz_number(c, &n))
		return false;
	*out = n;
	return true;
}

/* seq-range = seq-number ":" seq-number, or a single seq-number
 * 4:2 equals 2:4; the caller orders the ends, as only it knows what "*" stands for. */
static bool
parse_seq_range(struct cursor *c, struct seq_range *out)
{
	if (!parse_seq_number(c, &out->first))
		return false;
	out->last = out->first;
	return !cur_take(c, ':') || parse_seq_number(c, &out->last);
}

/* Room doubles; what the arena cannot give back is at most as much as the set itself. */
static bool
seq_set_push(struct seq_set *set, uint32_t *room, struct arena *a, struct seq_range r)
{
	if (set->count == *room) {
		uint32_t more = *room == 0 ? 4 : *room * 2;
		struct seq_range *p = arena_array(a, more, sizeof *p);

		if (p == NULL)
			return false;
		if (set->count > 0)
			memcpy(p, set->ranges, set->count * sizeof *p);
		set->ranges = p;
		*room = more;
	}
	set->ranges[set->count++] = r;
	return true;
}

/* sequence-set = (seq-number / seq-range) ["," sequence-set] / "$"
 * The grammar recurses; the code loops, so input length never becomes stack depth. */
bool
parse_sequence_set(struct cursor *c, struct arena *a, struct seq_set *out)
{
	struct seq_range r;
	uint32_t room = 0;

	*out = (struct seq_set){ .saved_result = cur_take(c, '$') };
	if (out->saved_result)
		return true;
	do {
		if (out->count == SEQ_SET_MAX)
			return cur_limit(c, "fewer ranges");
		if (!parse_seq_range(c, &r))
			return false;
		if (!seq_set_push(out, &room, a, r))
			return cur_limit(c, "shorter command (memory limit)");
	} while (cur_take(c, ','));
	return true;
}
