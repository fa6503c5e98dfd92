/* address - mailboxes and groups of a header field [RFC 5322 s3.4, s4.4; RFC 6854], one after the other.
 *
 * Lenient: whatever stands there yields some list, in one pass, in linear time, without recursion. The iterator owns
 * the text of the address given last; it is overwritten by the next one.
 */
#ifndef RESTANTE_LIB_ADDRESS_H
#define RESTANTE_LIB_ADDRESS_H

#include "lib/buf.h"

enum address_kind {
	ADDRESS_MAILBOX,
	ADDRESS_GROUP_START,    /* name is the group's */
	ADDRESS_GROUP_END,
};

/* ptr is NULL for what is absent (NIL). */
struct address {
	enum address_kind kind;
	struct slice name;      /* display name, quotes and folding removed, encoded-words as written;
	                         * else the comment */
	struct slice route;     /* "@a,@b" [RFC 5322 s4.4 obs-route] */
	struct slice mailbox;   /* local part, its quoting removed; of a mailbox never NULL */
	struct slice host;      /* domain; of a mailbox never NULL, empty when it is missing */
};

struct address_iter {
	struct slice in;
	size_t       at;
	bool         in_group;
	bool         end_group;         /* a GROUP_END is to be given next */
	bool         failed;            /* out of memory: the list is incomplete */
	struct buf   name, route, local, host, comment;
};

/* `value` is a field's value, folded or not, and must stay until address_iter_fini. */
void address_iter_init(struct address_iter *it, struct slice value);
/* False at the end. A group that is open there is ended first. */
bool address_next(struct address_iter *it, struct address *out);
void address_iter_fini(struct address_iter *it);

#endif
