/* columns_impl - the inside of columns, for columns.c and columns_recall.c. */
#ifndef RESTANTE_INDEX_COLUMNS_IMPL_H
#define RESTANTE_INDEX_COLUMNS_IMPL_H

#include "index/columns.h"

#include <pthread.h>

#include "index/db.h"
#include "lib/buf.h"

#define COLUMNS_BUCKETS 1024u
#define TEXT_NONE       UINT32_MAX
#define TEXT_MAX        UINT16_MAX

struct keyword_set {
	uint64_t     id;
	struct slice text;      /* on the heap */
};

struct columns {
	struct columns     *chain;      /* the next of its bucket */
	struct columns     *newer, *older;      /* of those kept */
	bool                kept;       /* else somebody has them */
	bool                thin;       /* rows may have a UID and a text alone */
	mailbox_id          mailbox;
	uint64_t            life;       /* of the store when these were made */
	uint64_t            charged;    /* bytes counted in the store */
	mail_modseq         modseq;     /* 0: nothing was read yet */
	mail_modseq         floor;
	mail_uid            fill_from;  /* 0: all rows are there */
	mail_uid            read_to;    /* UID of the row that was read last */
	bool                recalled;   /* the index's blocks of texts were read, all of them; else */
	mail_uid            recalled_to;        /* those up to this UID */
	mail_uid            keep_from;  /* texts of lower UIDs are in the index, or will not be */
	struct column_row  *rows;
	size_t              count, cap;
	struct keyword_set *sets;
	size_t              set_count, set_cap;
	struct buf          texts;
};

struct column_store {
	pthread_mutex_t lock;
	struct columns *buckets[COLUMNS_BUCKETS];       /* all there are, by mailbox */
	struct columns *newest, *oldest;        /* of those kept */
	uint64_t        bytes;  /* of all, also those that are taken */
	uint64_t        life;
};

void columns_empty(struct columns *c);
/* The columns of the mailbox that nobody has; NULL: there are none. The store's lock is held. */
struct columns *columns_find_kept(struct column_store *s, mailbox_id mailbox);
/* Columns that are empty get a row with nothing but its UID for each message. */
MUST_USE enum rc columns_begin_thin(struct volume *v, struct columns *c, struct db *db,
                                    const struct mailbox_info *now, struct err *e);
/* The next blocks of texts from the index. */
MUST_USE enum rc columns_recall(struct volume *v, struct columns *c, struct db *db, struct err *e);
/* Room for so many texts' bytes, or rows, in all. */
MUST_USE bool    columns_text_room(struct volume *v, struct columns *c, size_t len);
MUST_USE enum rc columns_make_room(struct volume *v, struct columns *c, size_t want, struct err *e);

#endif
