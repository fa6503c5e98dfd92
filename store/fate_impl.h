/* fate_impl - between fate.c (the passes), fate_message.c (what a mailbox holds) and fate_known.c (what is known so
 * far). */
#ifndef RESTANTE_STORE_FATE_IMPL_H
#define RESTANTE_STORE_FATE_IMPL_H

#include "lib/siphash.h"
#include "store/fate.h"
#include "store/idmap.h"

struct account {
	log_lsn  stated;        /* the newest old statement, */
	bool     deleted;       /* which is a tombstone */
	bool     met;           /* by a record other than that */
};

struct mailbox {
	mailbox_id  id;
	account_id  account;    /* 0: no record of it was met */
	log_lsn     stated;     /* the newest old statement, and what it says: */
	bool        deleted;
	mail_uid    uidnext;
	mail_modseq highestmodseq, expunge_floor, change_floor;
	mail_modseq floor;      /* of all its records */
	bool        met;        /* by a record other than its newest old statement */
	bool        met_all;    /* `met_uids` is not complete */
	struct uid_set expunged_old, expunged;  /* the latter: whatever the time */
	struct uid_set flagged; /* by newer old records */
	struct uid_set met_uids;        /* expunged ones that an older record names */
};

enum tombstone_kind { TOMB_ACCOUNT, TOMB_MAILBOX, TOMB_NAMED, TOMB_EXPUNGE };

struct tombstone {
	enum tombstone_kind kind;
	uint64_t            where;
	uint64_t            key;        /* account, mailbox, or sum of a name */
	size_t              range_at, range_count;
};

struct fates {
	uint8_t          secret[SIPHASH_KEY_LEN];
	struct idmap     accounts, mailboxes;   /* id -> index */
	struct account  *account;
	struct mailbox  *mailbox;
	size_t           account_count, account_cap, mailbox_count, mailbox_cap;
	struct idmap     named;         /* sum -> newest old statement */
	struct idmap     named_met;
	struct idmap     keywords;      /* that a surviving record names */
	struct idmap     wanted;        /* blobs that live messages name, whose record was not met yet */
	struct idmap     purged;
	struct idmap     summaries;     /* blob, whose record was not met yet -> where its newest old summary is */
	uint64_t         clock;         /* the latest time of a delivery record, */
	log_lsn          clock_at;      /* which is this, the newest with that time; */
	uint64_t         clock_old;     /* the latest of the old ones */
	log_lsn          counters;      /* the newest old ones, */
	uint32_t         uidvalidity;   /* which say */
	struct tombstone *tombs;
	size_t           tomb_count, tomb_cap;
	struct uid_range *ranges;       /* of expunges among them */
	size_t           range_count, range_cap;
};

/* ---- fate_known.c ---- */

/* Room for `more` elements behind `count`; false without memory. */
bool fates_grow(void **array, size_t *cap, size_t count, size_t more, size_t size);

/* Made if this is the first that is heard of it; valid until the next of its kind is made. NULL without memory. */
struct account *fates_account(struct fates *f, account_id id);
struct mailbox *fates_mailbox(struct fates *f, mailbox_id id);
/* Deleted beyond the retention; a mailbox: itself or its account. */
bool fates_account_is_deleted(const struct fates *f, account_id id);
bool fates_mailbox_is_deleted(const struct fates *f, const struct mailbox *m);

/* Never 0. `kind` keeps names of different kinds of objects apart; `fold`: in any case. */
uint64_t fates_sum_name(const struct fates *f, uint8_t kind, uint64_t owner, struct slice name,
                        bool fold);
/* Is there a keyword in the text that no surviving record of the mailbox names? */
bool fates_has_unnamed(const struct fates *f, mailbox_id mailbox, struct slice text);
MUST_USE enum rc fates_name_keywords(struct fates *f, mailbox_id mailbox, struct slice text,
                                     struct err *e);

MUST_USE enum rc fates_keep_tombstone(struct fates *f, enum tombstone_kind kind, uint64_t where,
                                      uint64_t key, struct err *e);

/* ---- fate_message.c ---- */

MUST_USE enum rc fates_decide_messages(struct fates *f, const struct record_messages *r,
                                       struct verdict *v, struct err *e);
MUST_USE enum rc fates_decide_flags(struct fates *f, const struct record_flags *r, bool old,
                                    struct verdict *v, struct err *e);
MUST_USE enum rc fates_decide_uidl(struct fates *f, const struct record_uidl *r, struct verdict *v,
                                   struct err *e);
MUST_USE enum rc fates_decide_expunge(struct fates *f, const struct record_expunge *r, bool old,
                                      uint64_t where, struct verdict *v, struct err *e);
/* Does the tombstone of an expunge cover a message that an older record names? */
bool fates_expunge_covers(const struct fates *f, const struct mailbox *b,
                          const struct tombstone *t);

#endif
