/* past - what an account was at some moment: a scratch index made of the log up to then.
 *
 * The log says everything that ever happened, within the retention, with its time. A past is made by one pass over it:
 * what is of other accounts is passed over, the rest is applied as always (apply.h), to a database of its own. It
 * differs from the index in two points: tombstones of mailboxes and of the account are noted and not applied, so that a
 * deleted mailbox is there as it was just before; and the moment of each expunge is noted. Bytes are not looked at:
 * they are found in the volume's present index by the blob's id, except of another log.
 *
 * The scratch file lies in the volume's directory (of a volume that is only looked at, or if that fails: where SQLite
 * puts temporary files) and has no name: it is gone when it is closed, or when the process ends in whatever way.
 *
 * Of index/ only. One thread at a time; any number of pasts beside the volume's work.
 */
#ifndef RESTANTE_INDEX_PAST_H
#define RESTANTE_INDEX_PAST_H

#include "index/volume_impl.h"

#define PAST_END UINT64_MAX             /* all that the log has */

struct past;

struct past_params {
	struct volume *volume;
	struct log    *log;             /* NULL: the volume's own; else another one, whose blobs are noted too */
	account_id     account;
	uint64_t       at_us;           /* what was written later is passed over */
	struct log_report report;       /* damage met; found may be NULL */
	bool         (*progress)(void *arg, uint64_t done, uint64_t total);     /* false cancels; may be NULL */
	void          *progress_arg;
	/* May be NULL: each record that is about this account or could be (blobs, purges), before it is applied; `addr`
	 * as in struct replay. *out of past_open is not set yet. */
	enum rc      (*event)(void *arg, struct past *p, const struct frame_info *f,
	                      const struct record *r,
	                      const struct log_addr *addr, struct err *e);
	void          *event_arg;
};

/* RC_NOT_FOUND: the log knew no such account then. */
MUST_USE enum rc past_open(const struct past_params *pp, struct past **out, struct err *e);
void past_close(struct past **p);
/* What a process left that was cut between making a scratch file and taking its name away. For an owner that opens. */
void past_drop_scratch(const char *dir);
struct db *past_db(struct past *p);
struct log *past_log(struct past *p);
uint64_t past_deleted_us(const struct past *p);         /* when the account was deleted, 0: it was not */
bool past_is_damaged(const struct past *p);             /* records may be missing */
bool past_is_purged(const struct past *p, blob_id id);  /* this content was removed for good */

/* The account as it was last: name, quota, dates. */
MUST_USE enum rc past_account(struct past *p, struct arena *a, struct account_info *out,
                              struct err *e);
MUST_USE enum rc past_credentials(struct past *p, struct arena *a, struct credential_info **out,
                                  size_t *count, struct err *e);
MUST_USE enum rc past_subscriptions(struct past *p, struct arena *a, struct slice **out,
                                    size_t *count, struct err *e);

struct past_mailbox {
	mailbox_id   id;
	struct slice name;              /* its last one */
	uint32_t     special_use;
	uint32_t     exists;
	uint64_t     deleted_us;        /* 0: it was not */
};
/* In the order of names; of one name the one that was there last comes last. */
MUST_USE enum rc past_mailboxes(struct past *p, struct arena *a, struct past_mailbox **out,
                                size_t *count, struct err *e);

/* ---- messages: chosen first, then read in pieces ---- */

enum past_choice {
	PAST_LIVE,              /* that were there */
	PAST_EXPUNGED,          /* that were not any more, each content once, as it was last */
};

struct past_select {
	mailbox_id        mailbox;
	enum past_choice  choice;
	uint64_t          since_us;     /* PAST_EXPUNGED: expunged then or later */
	bool              moved;        /* PAST_EXPUNGED: those too that were moved to another mailbox of the account */
	const struct uid_set *uids;     /* NULL: all */
};

struct past_chosen {
	uint64_t messages;
	uint64_t moved;         /* left out as they were moved */
	uint64_t bare;          /* left out as nothing but their UIDs is known */
};

struct past_message {
	uint64_t         n;             /* counts from 1 */
	mail_uid         uid;
	uint32_t         flags;
	struct slice     keywords;
	blob_id          blob;
	struct mail_date internaldate;
	uint64_t         threadid;
	uint64_t         expunged_us;   /* PAST_EXPUNGED */
};

/* Replaces the former choice. */
MUST_USE enum rc past_choose(struct past *p, const struct past_select *s, struct past_chosen *out,
                             struct err *e);
/* Those with n >= from, at most `limit`. */
MUST_USE enum rc past_read(struct past *p, uint64_t from, uint32_t limit, struct arena *a,
                           struct past_message **out, size_t *count, struct err *e);

/* ---- accounts of a log by name ---- */

struct past_owner {
	account_id   id;
	struct slice name;              /* its last one, in the arena */
	uint64_t     created_us;
	uint64_t     deleted_us;        /* 0: it was there */
};
/* The account that had this name at `at_us`; if there was none, or only those are wanted, the one of that name that was
 * deleted last before it. Of `how` only report and progress count. RC_NOT_FOUND. One pass over the log. */
MUST_USE enum rc past_find_owner(struct log *log, struct slice name, uint64_t at_us,
                                 bool deleted_only, const struct past_params *how, struct arena *a,
                                 struct past_owner *out, struct err *e);

/* The moment of the log's first frame, 0 if it has none. */
MUST_USE enum rc past_begin_us(struct log *log, uint64_t *out, struct err *e);

#endif
