/* autoexpunge - messages that have been in a mailbox for longer than they should.
 *
 * In pieces, each an expunge of its own, so that deliveries and sessions go on between, and a stop in the midst leaves
 * what was done done. They stay in the log for the retention, as whatever is expunged: undelete brings them back.
 */
#ifndef RESTANTE_INDEX_AUTOEXPUNGE_H
#define RESTANTE_INDEX_AUTOEXPUNGE_H

#include "index/volume.h"

/* Is it called so: by its name, or by a special use, with or without the backslash and in any case? */
bool mailbox_is_called(const struct mailbox_info *m, const char *word);

struct expunge_old {
	struct volume   *v;
	struct frame_who who;
	int64_t          before;        /* seconds since 1970 */
	bool             dry_run;
	/* After each piece; may be NULL. False: RC_CANCELLED. */
	bool           (*progress)(void *arg, uint64_t messages);
	void            *arg;
	uint64_t         messages, bytes;       /* results, added to */
};

/* What has been in the mailbox since before `before`. Waits for the writer. RC_BUSY: the account is being moved. */
MUST_USE enum rc expunge_old(struct expunge_old *x, mailbox_id mailbox, struct err *e);

#define AUTOEXPUNGE_MAX  16u
#define AUTOEXPUNGE_NAME 256u

struct autoexpunge_rule {
	char     mailbox[AUTOEXPUNGE_NAME];
	uint64_t age_s;
};

struct autoexpunge {
	struct autoexpunge_rule rules[AUTOEXPUNGE_MAX];
	size_t                  count;
};

/* All accounts of a volume by these rules; a line of log for each mailbox that lost messages. RC_CANCELLED:
 * *stop was set. */
MUST_USE enum rc autoexpunge_run(struct volume *v, const struct autoexpunge *a, atomic_bool *stop,
                                 struct err *e);

#endif
