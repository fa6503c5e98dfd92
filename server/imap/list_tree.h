/* list_tree - the mailboxes and subscriptions of an account as one sorted list of names, and which of them a LIST or
 * LSUB returns [RFC 9051 s6.3.9, RFC 3501 s6.3.9]. Everything is in the arena. */
#ifndef RESTANTE_SERVER_IMAP_LIST_TREE_H
#define RESTANTE_SERVER_IMAP_LIST_TREE_H

#include "index/volume.h"

struct list_node {
	struct slice name;
	const struct mailbox_info *box;         /* NULL: no mailbox has this name (any more) */
	bool subscribed;
	bool matched;                           /* a pattern matches */
	bool selected;                          /* meets the selection options */
	bool child_selected;                    /* a name below is selected */
	bool child_hidden;                      /* ... and no pattern matches that one */
};

struct list_tree {
	struct list_node *nodes;                /* by name, octet by octet */
	size_t            count;
	size_t            matched;              /* nodes that list_tree_match has done */
};

struct list_query {
	const struct slice *patterns;           /* of list_pattern_make */
	size_t              pattern_count;
	bool                subscribed;         /* selection options */
	bool                special_use;
	bool                recursive;
};

enum list_reads {
	LIST_SUBSCRIPTIONS = 1 << 0,            /* names that are subscribed but no mailboxes, with their parents */
	LIST_COUNTERS = 1 << 1,                 /* what STATUS says of each mailbox; else it is 0 */
};

/* Pool, or a reactor where it may not wait (lib/nowait.h). `reads`: of enum list_reads. */
MUST_USE enum rc list_tree_read(struct volume *v, account_id account, unsigned reads,
                                struct arena *a, struct list_tree *out, struct err *e);
/* Match names with the patterns, for some milliseconds at most. False: call it again, in another step. */
bool list_tree_match(struct list_tree *t, const struct list_query *q);
/* Then fill in what the query selects. */
void list_tree_select(struct list_tree *t, const struct list_query *q);

#endif
