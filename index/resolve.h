/* resolve - from intentions to records: what the writer decides for each change.
 *
 * A change is resolved against the index as the earlier ones of the batch left it. Each record made is added to a frame
 * of the batch and applied to the index at once, in one savepoint per frame: a refused change leaves neither frame nor
 * row. Functions return RC_OK, or anything else with `refused` set (the change is answered so), or with it clear (the
 * index failed, the whole batch is given up).
 *
 * The writer's thread only.
 */
#ifndef RESTANTE_INDEX_RESOLVE_H
#define RESTANTE_INDEX_RESOLVE_H

#include "index/apply.h"
#include "index/mailbox_row.h"

/* Accounts that a batch has changed in a way that ends their sessions: told once it is committed. */
struct changed_accounts {
	account_id *ids;
	size_t      count, cap;
	bool        lost;       /* there was no memory for one more */
};

/* What time it is for deliveries: see resolve_delivery.c. */
struct delivery_clock {
	bool     runs;
	uint64_t base_s;        /* it showed this */
	uint64_t mono_ms;       /* when clock_mono_ms was that */
};

struct resolver {
	struct apply     *ap;
	struct db        *db;
	struct log_batch *batch;
	const struct volume_params *volume;
	struct change    *c;
	uint32_t          epoch;
	account_id        frozen;       /* changes of this account are refused; 0: of none */
	bool              relocating;   /* compaction has replaced a segment, and blob rows may still name
	                                 * what died in it */
	struct arena      scratch;      /* of one change */
	bool              refused;
	bool              in_frame;
	bool              joined;       /* the open frame was begun by an earlier change, */
	bool              only_confirms;        /* and the batch's last one holds nothing but confirmations */
	struct apply_mark mark;
	struct changed_accounts changed;        /* of the batch */
	struct delivery_clock delivery_clock;
};

/* Decide one change: fills its results and rc, adds its frames. Not RC_OK: the index failed. */
MUST_USE enum rc resolve_change(struct resolver *rs, struct change *c, struct err *e);

/* ---- for the parts ---- */

/* Refuse the change. Returns `why`, to be returned on. */
MUST_USE enum rc resolve_refuse(struct resolver *rs, enum rc why, struct err *e, const char *text);
/* Open and close a frame with the savepoint that covers it. */
MUST_USE enum rc resolve_frame_begin(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_frame_end(struct resolver *rs, struct err *e);
/* Add to the open frame and apply. Fills r->lsn, and the id of an account or mailbox that had 0. */
MUST_USE enum rc resolve_add(struct resolver *rs, struct record *r, struct err *e);

mail_modseq resolve_next_modseq(const struct resolver *rs, const struct mailbox_info *m);
/* Lookups that refuse with RC_NOT_FOUND. */
MUST_USE enum rc resolve_mailbox(struct resolver *rs, mailbox_id id, struct mailbox_info *out,
                                 struct err *e);
MUST_USE enum rc resolve_account(struct resolver *rs, account_id id, struct account_info *out,
                                 struct err *e);
/* Keywords as this mailbox spells them, in ASCII order; refuses what is no keyword. */
MUST_USE enum rc resolve_keywords(struct resolver *rs, mailbox_id mailbox, struct slice text,
                                  struct slice *out, struct err *e);
/* A mailbox record with a new UIDVALIDITY and MAILBOXID; the counters record goes before it. */
MUST_USE enum rc resolve_new_mailbox(struct resolver *rs, account_id account, struct slice name,
                                     uint32_t special_use, mailbox_id *id, struct err *e);
/* The mailbox's record as it stands. */
struct record resolve_mailbox_record(const struct mailbox_info *m);
/* The same with a UIDVALIDITY that is wanted; 0: the next. */
MUST_USE enum rc resolve_take_mailbox(struct resolver *rs, account_id account, struct slice name,
                                      uint32_t special_use, uint32_t uidvalidity, mailbox_id *id,
                                      struct err *e);
/* The counters record that a wanted UIDVALIDITY needs, if any; refuses what would leave the volume too few. */
MUST_USE enum rc resolve_take_uidvalidity(struct resolver *rs, uint32_t wanted, struct err *e);
uint64_t resolve_now_us(void);
/* This account has changed so that its sessions shall end. When the change's frames are whole: it happens. */
void resolve_note_account(struct resolver *rs, account_id id);
/* RC_BUSY, refusing: the account is being moved to another volume. */
MUST_USE enum rc resolve_frozen(struct resolver *rs, account_id account, struct err *e);

MUST_USE enum rc resolve_append(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_store(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_expunge(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_copy(struct resolver *rs, bool move, struct err *e);
MUST_USE enum rc resolve_mailbox_create(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_mailbox_delete(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_mailbox_rename(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_mailbox_adopt(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_subscribe(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_account_create(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_account_delete(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_account_quota(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_account_hide(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_account_flags(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_account_rename(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_credential(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_prune(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_renew(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_purge(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_restore(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_account_restore(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_adopt(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_reparse(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_secret(struct resolver *rs, struct err *e);
MUST_USE enum rc resolve_confirm(struct resolver *rs, struct err *e);
/* Does it stand in the index as delivered, without its client having learned it? Sets t->suppressed. */
MUST_USE enum rc resolve_delivered(struct resolver *rs, struct append_target *t, struct err *e);
/* Note it, inside the frame that has the message. Of a suppressed one: the session that was answered now takes the
 * place of those that were not. */
MUST_USE enum rc resolve_note_delivery(struct resolver *rs, const struct append_target *t,
                                       struct err *e);
/* A name for a new account: NFC; refused if it is not allowed or taken. */
MUST_USE enum rc resolve_account_name(struct resolver *rs, struct slice name, struct slice *nfc,
                                      struct err *e);

/* Move or copy messages (COPY, MOVE, RENAME of INBOX), inside an open frame: rows of `uids` go to the
 * end of `target`. */
struct transfer {
	const struct mailbox_info *source;
	const struct mailbox_info *target;
	const struct uid_set      *uids;
	struct uid_set            *source_uids; /* what was there */
	mail_uid                   first_uid;
	uint32_t                   count;
	mail_modseq                source_modseq;
};
struct record_message;
/* Read the rows: *out for the messages record, *bytes their size. */
MUST_USE enum rc transfer_read(struct resolver *rs, struct transfer *t, struct record_message **out,
                               uint64_t *bytes, struct err *e);
MUST_USE enum rc transfer_copy(struct resolver *rs, struct transfer *t,
                               const struct record_message *messages, struct err *e);
MUST_USE enum rc transfer_expunge(struct resolver *rs, struct transfer *t, struct err *e);

#endif
