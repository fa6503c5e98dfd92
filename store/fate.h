/* fate - which records of a log are dead. Of survey.c and its tests.
 *
 * Every record is told twice: in any order to fates_note, and then, from the newest to the oldest, to fates_decide,
 * which says what becomes of it; so everything newer is known when a record is judged, and per message only ranges are
 * kept. At the end fates_settle tells which tombstones have nothing left to cover.
 *
 * A record dies when a newer one of the same object is beyond the retention ("old"):
 * - messages, flags and unique-ids, per UID: expunged, or their mailbox or account deleted; flags also: stated anew;
 * - accounts, mailboxes, credentials, subscriptions, counters, secrets: stated anew;
 * - deliveries: taken away, stated anew, or forgotten as an old delivery record is of a later time than they end. The
 *   one that tells the latest time never dies: it says which others are forgotten;
 * - a blob: no messages record that lives names it. One that was purged dies at once, and so do messages of it that are
 *   expunged;
 * - a summary: stated anew, or the log has no record of its blob; of a purged blob at once. As long as the blob's
 *   record is there, the index may have its row, and compares with the newest.
 * A tombstone (a deletion; an expunge at or below its mailbox's floor) dies when it is old and the log held no other
 * record of what it covers. High-water marks never die: what is newest in a mailbox holds its UIDNEXT and
 * HIGHESTMODSEQ. A keyword that some record of a mailbox named stays named by one, as FLAGS lists it: the last record
 * that does is kept, of a message only its UID and keywords ("bare").
 *
 * Used by one thread at a time.
 */
#ifndef RESTANTE_STORE_FATE_H
#define RESTANTE_STORE_FATE_H

#include "store/record.h"

struct fates;

enum fate {
	FATE_KEEP,
	FATE_GONE,
	FATE_BLOB,              /* gone, and a message's content with it: only if the whole log is sound */
	FATE_PART,              /* some of its messages live */
};

struct verdict {
	enum fate      fate;
	struct uid_set keep;    /* FATE_PART: as they were, */
	struct uid_set bare;    /* and with nothing but UID and keywords */
	uint64_t       dead;    /* UIDs of all in the record */
	uint64_t       all;
};

void verdict_init(struct verdict *v);
void verdict_fini(struct verdict *v);

MUST_USE enum rc fates_new(struct fates **out, struct err *e);
void fates_free(struct fates **f);
/* `old`: its frame is older than the retention. */
MUST_USE enum rc fates_note(struct fates *f, const struct record *r, bool old, struct err *e);
/* `where` names the record to fates_settle. */
MUST_USE enum rc fates_decide(struct fates *f, const struct record *r, bool old, uint64_t where,
                              struct verdict *v, struct err *e);
/* Tombstones and summaries that were kept so far and die. Not in a damaged log: what is lost there may be what they
 * cover, or the summaries' blobs. */
void fates_settle(struct fates *f, void (*dies)(void *arg, uint64_t where), void *arg);

#endif
