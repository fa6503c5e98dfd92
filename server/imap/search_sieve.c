/* search_sieve - what all keys of a program together ask of a row's flags and INTERNALDATE, as bits
 * and bounds. Of most messages that a SEARCH does not match these tell at the cost of reading them.
 * See search.h.
 */
#include "server/imap/search.h"

#define DAY_S      86400
#define ZONE_MAX_S (INT16_MAX * 60 + 60)        /* a day begins so much earlier or later elsewhere */

/* What a row must have, as this key is one of those that must all hold. */
static void
narrow(struct search_sieve *v, const struct search_node *n)
{
	bool not = n->negate;

	if (n->key == SEARCH_FLAG)
		*(not ? &v->without : &v->with) |= n->flags;
	if (not)
		return;
	if ((n->key == SEARCH_SINCE || n->key == SEARCH_ON)
	    && n->day * DAY_S - ZONE_MAX_S > v->from)
		v->from = n->day * DAY_S - ZONE_MAX_S;
	if ((n->key == SEARCH_BEFORE || n->key == SEARCH_ON)
	    && (n->day + 1) * DAY_S + ZONE_MAX_S < v->until)
		v->until = (n->day + 1) * DAY_S + ZONE_MAX_S;
}

void
search_sieve_make(struct search_sieve *v, const struct search_program *p)
{
	*v = (struct search_sieve){ .from = INT64_MIN, .until = INT64_MAX };
	for (uint16_t i = p->nodes[0].child; i != 0; i = p->nodes[i].next)
		narrow(v, &p->nodes[i]);
}
