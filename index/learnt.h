/* learnt - what searches have learnt of messages, kept in the index over a restart: blocks of texts, each of neighbouring
 * messages of a mailbox.
 *
 * A UID names one content for ever, so a block never changes; blocks go with their mailbox, and all of them when a content
 * is purged or read anew by a later parser. A message that no block has is read again: blocks may be missing, or gone
 * at any time. Only those of this very program are read, as another one may make other texts of the same messages.
 */
#ifndef RESTANTE_INDEX_LEARNT_H
#define RESTANTE_INDEX_LEARNT_H

#include "index/db.h"
#include "lib/buf.h"
#include "lib/lz.h"
#include "lib/uidset.h"
#include "store/types.h"

#define LEARNT_BLOCK    24576u  /* bytes of a block before it is packed, at most */
#define LEARNT_PACKED   (LEARNT_BLOCK + 64u)    /* and packed */
#define LEARNT_TEXT_MAX 4096u
#define LEARNT_ROOM     (LZ_MAX + LZ_SLACK)

/* A block that is being made. */
struct learnt {
	mail_uid   first, last;
	struct buf numbers, texts;
};

void learnt_init(struct learnt *b);
void learnt_fini(struct learnt *b);
/* In the order of UIDs, texts up to LEARNT_TEXT_MAX. False: the block is full, or there is no memory. */
bool learnt_put(struct learnt *b, mail_uid uid, struct slice text);
/* As it stands in its row. */
bool learnt_pack(struct lz_packer *k, const struct learnt *b, struct buf *out);

/* A block that is read; it points into the bytes given to learnt_open. */
struct learnt_walk {
	struct slice numbers, texts;    /* what is left of them */
	mail_uid     uid;
};

/* False: it is none. */
bool learnt_open(struct slice row, mail_uid first, uint8_t raw[LEARNT_ROOM], struct learnt_walk *w);
/* False: no more, or damaged. */
bool learnt_next(struct learnt_walk *w, mail_uid *uid, struct slice *text);

/* ---- the table ---- */

/* The blocks behind that UID: first, last, texts. */
sqlite3_stmt *learnt_query(struct db *db, mailbox_id mailbox, mail_uid behind, uint32_t limit, struct err *e);
/* Unless the mailbox is gone, or has a block of some of these UIDs. */
MUST_USE enum rc learnt_insert(struct db *db, mailbox_id mailbox, const struct learnt *b, struct slice packed,
                               struct err *e);
/* All of them. */
MUST_USE enum rc learnt_forget(struct db *db, struct err *e);
MUST_USE enum rc learnt_forget_mailbox(struct db *db, mailbox_id mailbox, struct err *e);
/* Those with a text of a message that is expunged: what compaction removes must not stay here. */
MUST_USE enum rc learnt_forget_expunged(struct db *db, struct err *e);
/* The same of a mailbox, before its tombstones up to this MODSEQ go: afterwards nobody would know. */
MUST_USE enum rc learnt_forget_pruned(struct db *db, mailbox_id mailbox, mail_modseq floor, struct err *e);

#endif
