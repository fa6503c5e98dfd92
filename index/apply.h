/* apply - one record into the index: the only place where mail tables are written.
 *
 * Live commits, the replay of the log's tail, a rebuild and check all come through here, so that they cannot differ.
 * Records come in the order of LSNs; one at or below `applied` is in the tables already and is skipped, so applying
 * twice is harmless. Counters of the mailbox and account rows change together with what they count. A record of a
 * mailbox that is not known (compaction dropped the older record, or it is damaged) makes a stub of account 0; a later
 * mailbox record completes it, the end of a rebuild drops what stayed a stub.
 *
 * Used by one thread at a time, inside the caller's transaction.
 */
#ifndef RESTANTE_INDEX_APPLY_H
#define RESTANTE_INDEX_APPLY_H

#include "index/packed.h"
#include "index/schema.h"
#include "index/threads.h"
#include "store/blob.h"
#include "store/log.h"
#include "store/record.h"

/* A blob whose record is in a batch: its row waits for the address. */
struct pending_blob {
	blob_id            id;
	struct record_blob blob;        /* borrows from the change */
	struct thread_keys keys;
};

/* A mailbox changed by the batch. */
struct touched_mailbox {
	mailbox_id  id;
	mail_modseq modseq;             /* MODSEQ_GONE: it was deleted */
	mail_uid    first_new;          /* 0: none appeared */
};

#define SUBSCRIBED_MAX 8u

struct apply {
	struct db              *db;
	struct arena            scratch;
	struct index_meta       meta;
	struct pending_blob    *pending;
	size_t                  pending_count, pending_cap;
	struct touched_mailbox *touched;
	size_t                  touched_count, touched_cap;
	bool                    track;  /* fill `touched` */
	bool                    accounts;       /* an account or a credential was applied since apply_forget, */
	bool                    mailboxes;      /* a mailbox was, */
	account_id              subscribed[SUBSCRIBED_MAX];     /* subscriptions of these were; with more of them `mailboxes` */
	uint32_t                subscribed_count;
	bool                    purged;         /* a content was purged, or has another summary: what was learnt of it is gone */
	bool                    bulk;   /* a rebuild: what falls below a floor is dropped by index_tidy */
	struct lz_packer       *packer; /* of summaries; NULL: none was needed yet */
	bool                    noted;  /* the account knows the threads of the messages that come: they
	                                 * are copies of what it has */
	uint64_t                time_us;        /* of the record's frame; of a frame that is being made, about */
	blob_id                 keys_of;        /* the blob applied last, 0: none, and */
	struct thread_keys      keys;           /* its keys: its message mostly comes next */
};

/* What a savepoint must restore beside the tables. */
struct apply_mark {
	struct index_meta meta;
	size_t            pending_count;
};

/* Reads meta. RC_NOT_FOUND: the database has none. */
MUST_USE enum rc apply_init(struct apply *ap, struct db *db, struct err *e);
void apply_fini(struct apply *ap);

/* `data` is where a blob's chunks lie (blob records only); NULL: not known yet, see apply_place_blobs.
 * RC_SYNTAX: this record says what none of ours says; a replay reports and skips it. */
MUST_USE enum rc apply_record(struct apply *ap, const struct record *r, const struct log_addr *data,
                              struct err *e);
/* The address of the chunks of a blob record found by log_replay. */
struct log_addr apply_blob_data(const struct record *r, const struct log_addr *body);
/* Insert the rows of the blobs of an appended batch. */
MUST_USE enum rc apply_place_blobs(struct apply *ap, const struct log_batch *b, struct err *e);
/* Forget pending blobs and touched mailboxes: the batch is over. */
void apply_forget(struct apply *ap);

struct apply_mark apply_get_mark(const struct apply *ap);
void apply_set_mark(struct apply *ap, const struct apply_mark *m);

/* The thread of a message with these bytes that is new to this account. Its id is that of a blob: of the first message
 * of the thread, so it is never given twice. */
MUST_USE enum rc apply_find_thread(struct apply *ap, account_id account, blob_id id,
                                   uint64_t *thread, struct err *e);
/* A message with these bytes is of this thread (0: none) in this account. Its record says so too, when
 * it is applied. */
MUST_USE enum rc apply_note_thread(struct apply *ap, account_id account, blob_id id,
                                   uint64_t thread, struct err *e);

#endif
