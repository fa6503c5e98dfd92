/* uidset - sorted, disjoint, non-adjacent ranges of 32-bit numbers: UIDs, or sequence numbers.
 *
 * A mailbox's UIDs, a sequence-set, a VANISHED list: all are ranges, so cost follows gaps, not messages. The set owns
 * its ranges (heap) and is born with a maximum of ranges. 0 is never a member. Used by one thread at a time.
 */
#ifndef RESTANTE_LIB_UIDSET_H
#define RESTANTE_LIB_UIDSET_H

#include "lib/buf.h"

typedef uint32_t mail_uid;
typedef uint64_t mail_modseq;

struct uid_range {
	mail_uid first;
	mail_uid last;          /* >= first */
};

struct uid_set {
	struct uid_range *ranges;
	size_t            count;
	size_t            cap;
	size_t            max;          /* ranges */
	bool              failed;       /* a range did not fit, or no memory; sticks until uid_set_reset */
};

void uid_set_init(struct uid_set *s, size_t max_ranges);
void uid_set_fini(struct uid_set *s);
void uid_set_reset(struct uid_set *s);

/* Add or remove [first, last] (first >= 1, first <= last). O(log n) to find, O(n) to shift; appending at the end is
 * O(1). False when the maximum of ranges is passed (then nothing changed and `failed` is set). */
bool uid_set_add(struct uid_set *s, mail_uid first, mail_uid last);
bool uid_set_remove(struct uid_set *s, mail_uid first, mail_uid last);
/* Add [first, last] at the end, in whatever order they come and overlapping as they like: O(1), where uid_set_add would
 * shift. After the first one the set is of no use to anything else until uid_set_sort. False as uid_set_add. */
bool uid_set_append(struct uid_set *s, mail_uid first, mail_uid last);
/* After uid_set_append. O(n log n); O(n) when they came in order. */
void uid_set_sort(struct uid_set *s);
bool uid_set_copy(struct uid_set *dst, const struct uid_set *src);
/* dst = a intersected with b; dst is neither of them. */
bool uid_set_intersect(struct uid_set *dst, const struct uid_set *a, const struct uid_set *b);
/* dst = the members of a that are not in b; dst is neither of them. */
bool uid_set_subtract(struct uid_set *dst, const struct uid_set *a, const struct uid_set *b);

bool     uid_set_contains(const struct uid_set *s, mail_uid n);
uint64_t uid_set_size(const struct uid_set *s);                 /* members, O(ranges) */
/* The k-th member (k from 1), 0 if there are fewer: sequence number -> UID. O(ranges). */
mail_uid uid_set_nth(const struct uid_set *s, uint32_t k);
/* How many members are <= n: UID -> sequence number when n is a member. O(ranges). */
uint32_t uid_set_rank(const struct uid_set *s, mail_uid n);
/* The smallest member >= n, 0 if none. */
mail_uid uid_set_next(const struct uid_set *s, mail_uid n);
mail_uid uid_set_max(const struct uid_set *s);                  /* 0 if empty */
/* "1:3,7" in IMAP's form; false if the buffer is full. */
bool uid_set_format(const struct uid_set *s, struct buf *out);
/* What an admin writes: "4,7:9,12:*", the star as the end of a range only. Added to *s; false, and *s is not to be
 * used, when it is something else or too much. */
bool uid_set_parse(struct slice text, struct uid_set *s);

#endif
