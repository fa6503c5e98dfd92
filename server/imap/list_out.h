/* list_out - the productions of a LIST answer [RFC 9051 s7.3.1]. In a step; out->failed: no room. */
#ifndef RESTANTE_SERVER_IMAP_LIST_OUT_H
#define RESTANTE_SERVER_IMAP_LIST_OUT_H

#include "server/imap/imap.h"
#include "server/imap/list_tree.h"

enum list_attribute {
	LIST_NOSELECT = 1 << 0,         /* LSUB: not subscribed itself [RFC 3501 s6.3.9] */
	LIST_NONEXISTENT = 1 << 1,
	LIST_SUBSCRIBED = 1 << 2,
};

/* "\HasChildren \Sent": the attributes of `bits`, and those of the mailbox if there is one. Without parentheses. */
void list_out_attributes(struct buf *out, unsigned bits, const struct mailbox_info *box);
/* ' ("CHILDINFO" ("SUBSCRIBED"))' */
void list_out_childinfo(struct buf *out, const struct list_query *q);
/* "* LIST (attributes) "/" name" and, unless `oldname` has no ptr, OLDNAME, which only IMAP4rev2 is told [s6.3.9.7]. */
void list_out_line(struct imap *im, unsigned bits, const struct mailbox_info *box,
                   struct slice name, struct slice oldname);

#endif
