/* columns - what a search or a listing asks of each message of a mailbox, in memory.
 *
 * A row of SQLite costs some 400 ns to read, a row here some 10. Columns are read at the first search or listing of a
 * mailbox and brought up to date at each later one by what changed since: the same question that sessions ask for
 * their news. What the writer says of a few messages they take over at once, so that mostly there is nothing to read.
 * They also remember one text per message, which the reader learns by the way: the Subject as searches see it, which
 * stands only in the log. Those outlive a start in the index (index/learnt.h).
 *
 * They are taken and given back, like connections of a pool: who has them needs no lock. A second one that searches the
 * mailbox meanwhile makes columns of its own, and the newer ones are kept; a listing has them for a piece of its answer
 * only, and reads rows where somebody else does. All of them together have a limit per volume; those not used for
 * longest go first, and who gets none reads rows.
 */
#ifndef RESTANTE_INDEX_COLUMNS_H
#define RESTANTE_INDEX_COLUMNS_H

#include "index/volume.h"

struct columns;

struct column_row {
	mail_modseq modseq;
	int64_t     internaldate, savedate;     /* seconds since 1970 */
	uint64_t    threadid;
	uint64_t    size;
	mail_uid    uid;
	uint32_t    flags;
	uint32_t    keywords;           /* for columns_keywords */
	uint32_t    text_at;            /* of columns_text; UINT32_MAX: not learnt */
	uint16_t    text_len;
	int16_t     zone, savezone;     /* minutes */
	bool        text_kept;          /* the text is in the index, too */
};

#define COLUMNS_LIGHT_ROWS 16384u       /* who may not wait refreshes no more */

enum columns_wish {
	COLUMNS_FULL,           /* those that nobody has, if they are not of UIDs and texts alone; none are made */
	COLUMNS_KEPT,           /* those that nobody has; none are made */
	COLUMNS_FIRST,          /* else, if nobody has any, fresh ones */
	COLUMNS_ANEW,           /* else fresh ones */
};

/* NULL: there are none that were wished for, or there is no memory at present. Any thread. */
struct columns *columns_take(struct volume *v, mailbox_id mailbox, enum columns_wish wish);
/* Kept for the next one; *c is NULL then. Any thread. Not after the volume has begun to close. */
void columns_give(struct volume *v, struct columns **c);

enum columns_found {
	COLUMNS_NONE,
	COLUMNS_TAKEN,
	COLUMNS_FREE,           /* with *rows rows */
};
/* At this moment. Any thread. */
enum columns_found columns_find(struct volume *v, mailbox_id mailbox, size_t *rows);

/* A piece of the work, some 10 ms; *done: they are as the mailbox was at a time within this call. RC_LIMIT, RC_NOMEM:
 * too large to be kept; give them back. After any failure they are empty, but for RC_WAIT (lib/nowait.h): then rows may
 * be of different times, none older than columns_at. A mailbox that is deleted has no rows. */
MUST_USE enum rc columns_refresh(struct volume *v, struct columns *c, bool *done, struct err *e);
/* The same for who asks for UIDs and texts alone, with the texts that the index has (index/learnt.h); other rows may be
 * made without all the rest, which columns_refresh mends. Who may not wait is refused. */
MUST_USE enum rc columns_refresh_texts(struct volume *v, struct columns *c, bool *done, struct err *e);
/* The mailbox's HIGHESTMODSEQ when they were refreshed last; 0: never. */
mail_modseq columns_at(const struct columns *c);

/* In the order of UIDs. */
const struct column_row *columns_rows(const struct columns *c, size_t *count);
/* The first row with a UID >= uid, as an index; count if there is none. */
size_t columns_seek(const struct columns *c, mail_uid uid);
struct slice columns_keywords(const struct columns *c, const struct column_row *row);
/* As volume_read_messages gives it. */
mail_modseq columns_modseq(const struct columns *c, const struct column_row *row);

/* False: not learnt yet. */
bool columns_text(const struct columns *c, const struct column_row *row, struct slice *out);
/* Of the message with this UID, if it is here. It may be forgotten. */
void columns_learn(struct volume *v, struct columns *c, mail_uid uid, struct slice text);

/* Rows of a few messages, all that `uids` names, from columns that nobody has and that are of `at` exactly: without
 * blob, place and summary. False: not so, or no memory; *out says nothing. Keywords are in the arena. Any thread. */
bool columns_peek(struct volume *v, mailbox_id mailbox, mail_modseq at, const struct uid_set *uids,
                  struct arena *a, struct message_row *out);
/* Likewise the UIDs below `end`, if the mailbox is small; *out is empty before. */
bool columns_uids(struct volume *v, mailbox_id mailbox, mail_modseq at, mail_uid end, struct uid_set *out);

/* Write texts that are kept in memory alone into the index: a block of them. RC_NOT_FOUND: there are not enough. RC_BUSY:
 * not now, as the disk is full. Any thread but the writer's. */
struct lz_packer;
MUST_USE enum rc columns_keep_texts(struct volume *v, struct lz_packer *k, struct err *e);

/* ---- of volume.c ---- */

struct column_store;
struct column_store *column_store_new(void);    /* NULL: no memory */
/* All are back. */
void column_store_free(struct column_store **s);
/* Behind the commit of a change that was done: columns that nobody has and that were as new as what it found are as new
 * as what it left, if it says all that has become of a few messages. Writer's thread. */
void columns_follow(struct volume *v, const struct change *c);
/* What was read is forgotten, by whoever has columns when he gives them back: the index is another one now (the pool is
 * paused), or a content was purged. Writer's thread. */
void column_store_forget(struct column_store *s);

#endif
