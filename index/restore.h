/* restore - messages of a past come back into the volume: what undelete and restore do with one mailbox.
 *
 * In pieces of some hundred messages, each a change of its own, so that no delivery waits long. What the target has
 * already is not put there again: a run that was cut is simply run again. Bytes are found by the blob's id; of another
 * log they are taken over by the same ingest as a delivery's, unless this volume has the same bytes under the same id,
 * whole. A damaged message that the target has is as good as not there then.
 *
 * Of index/ only. Blocks (I/O, waiting for the writer).
 */
#ifndef RESTANTE_INDEX_RESTORE_H
#define RESTANTE_INDEX_RESTORE_H

#include "index/past.h"

struct restore {
	struct volume   *volume;        /* where to */
	struct past     *past;          /* where from */
	account_id       account;       /* whose mailboxes it goes to */
	bool             foreign;       /* the past is of another log */
	bool             dry_run;       /* count only */
	struct slice     message_id;    /* of this message alone, with or without <>; empty: all */
	bool           (*progress)(void *arg, uint64_t done, uint64_t total);   /* messages; false cancels */
	void            *progress_arg;
};

struct restore_target {
	struct slice name;
	uint32_t     special_use;       /* if it is made */
	bool         subscribe;         /* the same */
	bool         make_empty;        /* even if there is nothing to put into it */
};

struct restore_counts {
	uint64_t restored;
	uint64_t present;       /* were there already */
	uint64_t purged;        /* their content was removed for good */
	uint64_t lost;          /* their content is gone: compacted away, or damaged */
	uint64_t moved;         /* left out: not deleted but moved to another mailbox */
	uint64_t bare;          /* left out: only their UIDs are remembered */
	bool     made;          /* the mailbox was made */
};

/* The messages of `s` into the mailbox of that name. What was done when it failed is in *out and stays done. */
MUST_USE enum rc restore_messages(struct restore *r, const struct past_select *s,
                                  const struct restore_target *to, struct restore_counts *out,
                                  struct err *e);

/* A message's bytes and what tells of its header. */
struct restore_content {
	struct log       *log;          /* in which the bytes are */
	struct blob_place place;
	uint32_t          header_len;
	struct slice      summary;      /* encoded */
};
/* Has it this Message-ID, with or without <>? By its summary, or by its header where the summary has not kept all. */
bool restore_has_message_id(const struct restore_content *c, struct slice id);

#endif
