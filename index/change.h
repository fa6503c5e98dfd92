/* change - one write to a volume: what it is to do, and what came of it. Part of index/volume.h, which says how reads
 * and writes go together.
 *
 * Made by change_new, filled by its caller, submitted, answered by a callback on the writer's thread. Each kind has a
 * struct of its own with parameters and results. A change is all or nothing unless its struct says otherwise.
 */
#ifndef RESTANTE_INDEX_CHANGE_H
#define RESTANTE_INDEX_CHANGE_H

#include "store/frame.h"
#include "store/record.h"

struct account_info;
struct ingested;
struct mailbox_info;
struct message_row;
struct volume;

enum change_kind {
	CHANGE_APPEND,          /* LMTP, APPEND, MULTIAPPEND, import: all or nothing, except per-target results below */
	CHANGE_STORE,
	CHANGE_EXPUNGE,
	CHANGE_COPY,
	CHANGE_MOVE,
	CHANGE_MAILBOX_CREATE,
	CHANGE_MAILBOX_DELETE,
	CHANGE_MAILBOX_RENAME,
	CHANGE_MAILBOX_ADOPT,
	CHANGE_SUBSCRIBE,
	CHANGE_ACCOUNT_CREATE,
	CHANGE_ACCOUNT_DELETE,
	CHANGE_ACCOUNT_QUOTA,
	CHANGE_ACCOUNT_HIDE,
	CHANGE_ACCOUNT_RENAME,
	CHANGE_ACCOUNT_FLAGS,   /* lock, unlock */
	CHANGE_CREDENTIAL,
	CHANGE_PRUNE,
	CHANGE_RENEW,
	CHANGE_PURGE,
	CHANGE_RESTORE,         /* messages of the past come back */
	CHANGE_ADOPT,           /* a part of an account that comes from another volume: index/move.h */
	CHANGE_ACCOUNT_RESTORE, /* a deleted account comes back, with empty mailboxes */
	CHANGE_SECRET,          /* of volume_secret only */
	CHANGE_CONFIRM,         /* of volume_confirm only */
	CHANGE_REPARSE,         /* new summaries of contents that are there */
};

enum store_op {
	STORE_REPLACE,
	STORE_ADD,
	STORE_REMOVE,
};

/* One mailbox a message goes to. */
struct append_target {
	mailbox_id   mailbox;
	uint32_t     set;               /* with each_target: if one is refused, all of its message's with this number
	                                 * are; 0: it stands alone */
	/* LMTP: what the same delivery would have again after its reply was lost (who gets what from whom); NULL: it is
	 * not looked at. It is noted in the frame that has the message, with who.session and for
	 * change_append.delivery_window. If it stands there already of a session that is over (session_alive), or of an
	 * earlier process, its client never learned that it was delivered, and this is the same delivery again:
	 * `suppressed`. Of a session that is alive it is another message. */
	const uint8_t *delivery_key;    /* DELIVERY_KEY_LEN */
	/* Results: */
	bool         suppressed;        /* rc is RC_OK; delivered before: nothing was appended, no uid is given */
	enum rc      rc;                /* RC_OK, RC_LIMIT (over quota of bytes or messages), RC_NOT_FOUND (mailbox
	                                 * deleted meanwhile), RC_EXISTS (see append_message.uid) */
	uint32_t     uidvalidity;
	mail_uid     uid;
	mail_modseq  modseq;
	struct mail_date savedate;
	uint64_t     threadid;
};

struct append_message {
	struct ingested      *content;          /* a reference of the change's own */
	uint32_t              flags;
	struct slice          keywords;         /* any order and spacing by one; normalised by the writer */
	struct mail_date      internaldate;
	struct append_target *targets;          /* LMTP: one per recipient; APPEND: one */
	uint32_t              target_count;
	/* Taken over from another server: */
	mail_uid              uid;              /* wanted; 0: the next. RC_EXISTS for a target whose
	                                         * UIDNEXT is above it */
	struct slice          uidl;             /* POP3's unique-id, up to UIDL_MAX octets of %x21-7E [RFC 1939 s7];
	                                         * empty: our own */
};

struct change_append {
	struct append_message *messages;
	uint32_t               message_count;
	uint32_t               delivery_window; /* seconds that delivery keys are kept; 0: they are not looked at */
	bool                   each_target;     /* LMTP: a refused target leaves the others; else one
	                                         * refusal refuses all */
	/* REPLACE [RFC 8508]: in the same frame, behind the new message, this one is expunged; quotas see the
	 * difference only. 0: no message. RC_CANCELLED: it is expunged already, or its mailbox deleted; nothing
	 * happened. Not with each_target. It may not use the reserve of a full disk as an expunge does: it writes a
	 * message first. */
	mailbox_id             replaced_mailbox;
	mail_uid               replaced_uid;
	mail_modseq            replaced_modseq; /* result */
};

struct change_store {
	mailbox_id     mailbox;
	struct uid_set uids;                    /* of messages to change; others are ignored */
	enum store_op  op;
	uint32_t       flags;
	struct slice   keywords;
	bool           conditional;             /* unchangedsince counts, also when 0 [RFC 7162 s3.1.3] */
	mail_modseq    unchangedsince;
	/* Results: */
	mail_modseq    before;                  /* the mailbox's last, when this was decided */
	mail_modseq    modseq;                  /* given to what changed; 0 if nothing did */
	struct uid_set changed;                 /* whose flags are different now */
	struct uid_set modified;                /* failed the UNCHANGEDSINCE test */
	struct uid_set missing;                 /* already expunged */
	struct message_row *rows;               /* what `uids` are now, in their order, in the change's arena: UID,
	                                         * flags, keywords, MODSEQ alone; NULL: more than STORE_ROWS_MAX */
	uint32_t       row_count;
};
#define STORE_ROWS_MAX 8u

struct change_expunge {
	mailbox_id     mailbox;
	bool           all;                     /* every \Deleted message; else only those of `uids` */
	bool           any;                     /* those of `uids` whether \Deleted or not (POP3 DELE, MOVE) */
	struct uid_set uids;
	/* Results: */
	mail_modseq    before;                  /* the mailbox's last, when this was decided */
	mail_modseq    modseq;
	struct uid_set expunged;
};

/* A content goes for good, at once from the index, from the log when its segment is compacted. RC_EXISTS: a message has
 * it; expunge those first. RC_NOT_FOUND: it is gone. */
struct change_purge {
	blob_id      blob;
	struct slice reason;                    /* UTF-8, for people; RC_LIMIT above PURGE_REASON_MAX */
};

/* COPY and MOVE, within one volume. */
struct change_copy {
	mailbox_id     source;
	struct uid_set uids;
	mailbox_id     target;
	/* Results, the k-th source UID went to the k-th target UID: */
	struct uid_set source_uids;
	mail_uid       first_uid;               /* target UIDs are consecutive from here */
	uint32_t       count;
	uint32_t       uidvalidity;
	mail_modseq    source_before;           /* the source's last, when this was decided */
	mail_modseq    source_modseq;           /* MOVE: of the expunge */
};

struct change_mailbox {
	account_id   account;
	struct slice name;                      /* CREATE makes missing parents [RFC 9051 s6.3.4] */
	struct slice new_name;                  /* RENAME: with all below; of INBOX: its messages move [s6.3.6] */
	uint32_t     special_use;
	/* Taken over from another server; 0: not. CREATE: the mailbox's own instead of the volume's next, which it
	 * raises; RC_LIMIT if that left the volume few. ADOPT, of the mailbox `name`: the same for one that never had a
	 * message, else RC_EXISTS, unless it is its UIDVALIDITY already. */
	uint32_t     uidvalidity;
	mail_uid     uidnext;                   /* ADOPT: raise UIDNEXT to this; 0: not */
	/* Results: */
	mailbox_id   id;
};

struct change_subscribe {
	account_id   account;
	struct slice name;
	bool         subscribed;
};

struct change_account {
	account_id   id;                        /* all but CREATE, whose result it is */
	struct slice name;                      /* CREATE: makes INBOX and the special-use mailboxes,
	                                         * subscribed. RENAME */
	uint64_t     quota_bytes;               /* CREATE, QUOTA (both: absolute); RC_LIMIT above 2^63-1 */
	uint64_t     quota_messages;            /* the same */
	struct slice hidden;                    /* HIDE: the whole list, any order and case, one space between;
	                                         * normalised by the writer. RC_SYNTAX, RC_DENIED, RC_LIMIT: err says
	                                         * what cannot be hidden */
	struct slice credential_name;           /* CREATE, CREDENTIAL: "password" */
	struct slice credential_value;          /* empty: it is taken away; RC_NOT_FOUND if there is none */
	/* CREDENTIAL: only if it has this value still, RC_CANCELLED otherwise; empty: whatever it has. */
	struct slice credential_old;
	bool         credential_new;            /* CREDENTIAL: only if there is none of this name,
	                                         * RC_EXISTS otherwise */
	bool         same_secret;               /* CREDENTIAL: the same password in another form; sessions go on */
	uint32_t     flags_set, flags_clear;    /* FLAGS: enum account_flag */
	uint32_t     flags;                     /* FLAGS: result, what they are now */
};

/* Made if it is not there. */
struct change_secret {
	struct slice name;
	struct slice value;                     /* result, in the change's arena */
};

/* These deliveries of who.session are not to be looked for any more. */
struct change_confirm {
	uint8_t    (*keys)[DELIVERY_KEY_LEN];
	uint32_t     count;
};

/* Expunges up to this MODSEQ are no longer remembered one by one. Below the present floor: nothing happens. */
struct change_prune {
	mailbox_id  mailbox;
	mail_modseq floor;
};

/* The first start of a copy: what the original may have told since the copy was made is not told again. For volume_open
 * only: no view of a mailbox outlives it. Some hundred mailboxes at a time. */
struct change_renew {
	mailbox_id after;                       /* 0: from the first mailbox on, and the volume's counters */
	uint32_t   lives;                       /* the original, and those of its copies that were put
	                                         * back before; > 0 */
	mailbox_id last;                        /* result: go on behind it; 0: all are done */
};

/* A message of the past: a reference to bytes that the volume still has, or the bytes themselves. */
struct restore_message {
	blob_id          blob;                  /* 0: `content` */
	struct ingested *content;               /* a reference of the change's own; NULL: `blob` */
	uint32_t         flags;
	struct slice     keywords;
	struct mail_date internaldate;
	uint64_t         threadid;              /* 0: as a new message of these bytes would have */
	mail_uid         uid;                   /* Result; 0: the blob is gone, it was purged or compacted away */
};

/* All that can be are put behind the last message of the mailbox, in this order, as new messages; quotas are not asked.
 * At most RESTORE_MAX at a time, so that nobody waits long for the writer. */
struct change_restore {
	mailbox_id              mailbox;
	struct restore_message *messages;
	uint32_t                count;
	/* Results: */
	uint32_t                lost;           /* messages that got no UID */
	mail_modseq             modseq;         /* 0: all are lost */
};
#define RESTORE_MAX 1000u

struct restore_mailbox {
	struct slice name;
	uint32_t     special_use;
	mailbox_id   id;                        /* Result */
};

/* One frame: all of it comes back or nothing. RC_EXISTS: somebody has the name. Mailboxes get new UIDVALIDITYs. */
struct change_account_restore {
	struct slice                  name;
	uint64_t                      created_us;       /* as it was */
	uint64_t                      quota_bytes, quota_messages;
	struct slice                  hidden;
	uint32_t                      flags;
	const struct credential_info *credentials;
	size_t                        credential_count;
	const struct slice           *subscriptions;
	size_t                        subscription_count;
	struct restore_mailbox       *mailboxes;
	size_t                        mailbox_count;
	account_id                    id;               /* Result */
};

/* What a newer parser makes of contents that are there; of those that are gone meanwhile nothing is said. One frame:
 * all of it together is no more than that holds. MODSEQs stay. */
struct new_summary {
	blob_id      blob;
	struct slice summary;                   /* encoded */
};
struct change_reparse {
	struct new_summary *list;
	uint32_t            count;
	uint32_t            made;               /* Result: how many records were written */
};

enum adopt_step {
	ADOPT_BEGIN,            /* the account of `from`, arriving; gives its id here */
	ADOPT_MAILBOX,          /* `box`, empty */
	ADOPT_MESSAGES,
	ADOPT_END,              /* it is the owner now */
};

struct adopt_message {
	const struct message_row *row;          /* as it is where it comes from */
	struct ingested          *content;      /* a reference of the change's own; NULL: `blob` */
	blob_id                   blob;         /* of this volume; a result where `content` is given */
	struct slice              uidl;         /* empty: none */
};

struct change_adopt {
	enum adopt_step            step;
	const struct account_info *from;        /* BEGIN, END */
	account_id                 account;     /* its id here: result of BEGIN */
	const struct mailbox_info *box;         /* MAILBOX */
	mailbox_id                 mailbox;     /* its id here: result of MAILBOX */
	struct adopt_message      *messages;    /* MESSAGES; a frame each */
	uint32_t                   message_count;
	uint32_t                   uidvalidity; /* END: the highest that came with it */
};

/* One write. Made by change_new, filled by the caller (what it points to lies in `arena`, or is owned as said), handed
 * over by volume_submit, handed back to `done` on the writer's thread, freed by change_free. */
struct change {
	struct writer_request_room { void *room[4]; } queue;    /* the writer's */
	enum change_kind  kind;
	struct arena      arena;
	struct frame_who  who;
	bool              of_move;      /* goes through though its account is being moved */
	/* Called once, on the writer's thread; must not block; the change is the caller's again. What takes longer
	 * than a wake-up of another thread should be done there, unless change_is_alone. */
	void            (*done)(struct change *c, void *arg);
	void             *done_arg;
	union {
		struct change_append    append;
		struct change_store     store;
		struct change_expunge   expunge;
		struct change_copy      copy;
		struct change_mailbox   mailbox;
		struct change_subscribe subscribe;
		struct change_account   account;
		struct change_prune     prune;
		struct change_renew     renew;
		struct change_purge     purge;
		struct change_restore   restore;
		struct change_account_restore account_restore;
		struct change_adopt     adopt;
		struct change_reparse   reparse;
		struct change_secret    secret;
		struct change_confirm   confirm;
	} u;
	/* Results: RC_OK done and durable; RC_NOT_FOUND, RC_EXISTS, RC_LIMIT (quota, sizes), RC_DENIED (INBOX and the
	 * like): refused, nothing happened; RC_IO: nothing happened (err.os says ENOSPC ...); RC_BUSY: the volume takes
	 * no changes now. */
	enum rc           rc;
	bool              durable;      /* it has happened even if rc is not RC_OK: answer 250, or BYE; never NO */
	struct err        err;
};

/* NULL without memory. uid_sets inside are initialised. */
struct change *change_new(enum change_kind kind);
void change_free(struct change **c);
/* Any thread, never blocks. The change is the volume's until `done`. */
void volume_submit(struct volume *v, struct change *c);
/* In `done`: of late changes came one by one, so that nobody waits for the writer's thread. */
bool change_is_alone(const struct change *c);
/* The client of this session has gone on after the 250 for deliveries with these keys, so it has got the answer: if
 * they come again, they are other messages. Before anybody can hold the session for over. What is submitted later is
 * decided with it. It waits for another change to be synced with, or half a second; volume_close sees to it. Lost in a
 * crash, it is as if the client had not gone on. Any thread, never blocks; without memory, or while the volume takes no
 * changes, nothing happens. */
void volume_confirm(struct volume *v, uint64_t session, const uint8_t (*keys)[DELIVERY_KEY_LEN],
                    uint32_t count);
/* For tools and tests: submit and wait. Sets done itself. Returns c->rc. */
enum rc volume_submit_wait(struct volume *v, struct change *c);

#endif
