/* fetch - what a FETCH asks for, and the machine that answers it. Shared by cmd_fetch.c and fetch_*.c only.
 *
 *     parse -> resolve set -> \Seen where a BODY[] asks for it -> pages of rows -> per message: check, then write
 *
 * A message is checked before its first octet is written: sections found, sizes known, the first FETCH_VERIFY octets of
 * every section read from the log and found whole. What fails there is left out, and the tagged answer is NO; what
 * fails later, in the middle of a literal, can only be told by closing the connection [design, section 3].
 */
#ifndef RESTANTE_SERVER_IMAP_FETCH_H
#define RESTANTE_SERVER_IMAP_FETCH_H

#include "index/columns.h"
#include "lib/header.h"
#include "lib/mime.h"
#include "server/imap/imap.h"

#define FETCH_ITEMS_MAX  100u
#define FETCH_NAMES_MAX  200u           /* field names in all of one command */
#define FETCH_PIECE      65536u         /* octets of a literal written at once */
#define FETCH_VERIFY     (1u << 20)
#define FETCH_HEADER_MAX (16u << 20)  /* octets of a header that HEADER.FIELDS looks at; fields behind are not found */

enum fetch_kind {
	FETCH_UID,
	FETCH_FLAGS,
	FETCH_INTERNALDATE,
	FETCH_RFC822_SIZE,
	FETCH_ENVELOPE,
	FETCH_BODY,
	FETCH_BODYSTRUCTURE,
	FETCH_SECTION,          /* BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT */
	FETCH_BINARY,
	FETCH_BINARY_SIZE,
	FETCH_MODSEQ,           /* [RFC 7162 s3.1.4.2] */
	FETCH_EMAILID,          /* [RFC 8474 s5.3] */
	FETCH_THREADID,
	FETCH_SAVEDATE,         /* [RFC 8514 s4.2] */
	FETCH_PREVIEW,          /* [RFC 8970] */
};

/* section-text behind the part numbers. */
enum fetch_text {
	FETCH_TEXT_NONE,
	FETCH_TEXT_HEADER,
	FETCH_TEXT_FIELDS,
	FETCH_TEXT_FIELDS_NOT,
	FETCH_TEXT_TEXT,
	FETCH_TEXT_MIME,
};

struct fetch_item {
	enum fetch_kind kind;
	const char     *alias;          /* "RFC822...": answered under this name; else NULL */
	bool            lazy;           /* PREVIEW (LAZY) */
	bool            peek;           /* does not set \Seen */
	enum fetch_text text;
	uint32_t        path[MIME_DEPTH_MAX];
	size_t          depth;
	struct slice   *names;          /* of FIELDS and FIELDS_NOT */
	size_t          name_count;
	bool            partial;
	uint64_t        origin, length;
};

/* What the index's rows need not be read for, if it is in memory. */
enum fetch_source {
	FETCH_OF_COLUMNS,
	FETCH_OF_SUMMARY,
	FETCH_OF_REST,
};

struct fetch_request {
	struct fetch_item *items;
	size_t             count, room;
	bool               needs_summary;       /* some item is made from it */
	bool               needs_place;         /* some item reads the message */
	bool               sets_seen;
	bool               reads_log;           /* some item is made from the message itself */
	bool               only_flags;          /* no item needs more than WANT_ONLY_FLAGS gives */
	bool               only_content;        /* none more than WANT_ONLY_CONTENT gives */
	enum fetch_source  source;              /* of the item that has the farthest */
};

/* fetch-att list [RFC 9051 s6.4.5]. */
bool fetch_parse_items(struct cursor *c, struct arena *a, struct fetch_request *out);
/* Append one item of that kind; false when there are too many. */
bool fetch_add_item(struct fetch_request *r, enum fetch_kind kind);

/* fetch_needs.c */
bool fetch_is_section(const struct fetch_item *it);
/* Is the log read for it? */
bool fetch_reads_log(const struct fetch_item *it);
/* When all items are there. */
void fetch_note_needs(struct fetch_request *r);

struct fetch_modifiers {
	bool        changedsince;       /* only messages with a MODSEQ above `since` */
	mail_modseq since;
	bool        vanished;
	bool        partial;            /* only the messages of `range` */
	struct partial_range range;
};

/* [SP "(" ... ")"] up to the end of the command. */
bool fetch_parse_modifiers(struct cursor *c, struct fetch_modifiers *out);
/* False: imap_reply was called. Pure. */
bool fetch_check_modifiers(struct imap *im, const struct fetch_modifiers *m);

/* What one section item is for the message under way. */
struct fetch_piece {
	bool     exists;        /* otherwise NIL */
	struct mime_range range;
	enum transfer_encoding encoding;        /* to undo; TRANSFER_BINARY: none */
	uint64_t size;          /* of the section after decoding; of FIELDS known only when written */
	uint64_t from, len;     /* the octets of it to send */
	bool     literal8;      /* decoded content has NULs */
	bool     crlf;          /* decoded text has lines that end in LF alone: to be sent with CRLF */
};

enum fetch_trouble {            /* why a message was left out; the first one counts */
	FETCH_FINE,
	FETCH_DAMAGED,
	FETCH_UNKNOWN_CTE,
	FETCH_TOO_LARGE,
};

enum fetch_phase {
	FETCH_RESOLVE,
	FETCH_CHANGED,
	FETCH_VANISHED,
	FETCH_FIND_UNSEEN,
	FETCH_SET_SEEN,
	FETCH_SEEN_SET,
	FETCH_NEXT_ROW,
	FETCH_CHECK,
	FETCH_MEASURE,
	FETCH_HEAD,
	FETCH_ITEM,
	FETCH_REST,
	FETCH_STREAM,
	FETCH_END,
};

/* Between two rows: what has been answered so far. */
struct fetch_place {
	mail_uid         next_uid;              /* the next page begins here; 0: there is none */
	uint64_t         seen;                  /* rows */
	struct view_walk walk;
	struct uid_range gap;                   /* members that columns say not enough of; first 0: none */
	unsigned         gaps;
	bool             columns_left;          /* rows are read from here on */
	mail_modseq      columns_at;            /* 0: not refreshed by this command */
};

struct fetch {
	struct seq_set       set;
	struct fetch_request req;
	struct fetch_modifiers mods;
	struct fetch_piece  *pieces;            /* one per item */

	enum fetch_phase     phase;
	struct uid_set       uids;              /* asked for and in the view */
	struct uid_set       changed;           /* FETCH_CHANGED: those found so far */
	struct uid_set       gone;              /* VANISHED (EARLIER) */
	size_t               gone_told;         /* of its ranges */
	struct uid_set       unseen;            /* to get \Seen; then those that got it */
	mail_modseq          before;            /* of the mailbox, at the submission */

	struct arena         page;              /* rows and their summaries; reset for each page */
	uint32_t             page_limit;
	struct message_row  *rows;
	size_t               row_count, row;    /* of the page; the one under way */
	struct fetch_place   at_row;
	struct columns      *columns;           /* for a piece; in between while they are made */

	struct arena         scratch;           /* of the message under way */
	struct mime_summary  summary;           /* of the message under way, if needed */
	size_t               item;
	uint64_t             at;                /* FETCH_MEASURE, FETCH_STREAM: octets of the range read */
	uint64_t             decoded;           /* of them decoded so far */
	uint64_t             bare;              /* FETCH_MEASURE: LFs without a CR so far */
	uint8_t              last;              /* the last decoded octet */
	struct transfer_decoder decoder;
	struct slice         rest;              /* FETCH_REST: of the item under way, still to be written */
	struct buf           rendered;          /* `rest` may lie here */
	struct buf           preview;           /* of the message under way, if asked for */
	bool                 preview_damaged;
	uint64_t             verified;          /* FETCH_CHECK: octets looked at in this round */
	struct buf           raw, text, lines;         /* scratch; empty when no message is under way */

	struct ahead        *ahead;             /* fetch_ahead.c; NULL: nothing is read ahead */

	enum fetch_trouble   trouble;
	mail_uid             trouble_uid;

	bool                 seen_set;          /* where a light run begins anew: behind it */
	bool                 light_over;        /* the light run under way ends here */
	uint64_t             light_octets;      /* of the log that it reads */
};

/* BODY[] and its like: no part of the message, and nothing of its summary. */
static inline bool
fetch_is_whole(const struct fetch_item *it)
{
	return it->kind == FETCH_SECTION && it->text == FETCH_TEXT_NONE && it->depth == 0;
}

static inline const struct message_row *
fetch_row(const struct fetch *f)
{
	return &f->rows[f->row];
}

/* Narrow f->uids to what PARTIAL leaves; f->gone is what VANISHED (EARLIER) names. The view is loaded. */
MUST_USE enum rc fetch_apply_modifiers(struct imap *im, struct fetch *f, struct err *e);
/* Narrow f->uids to what CHANGEDSINCE leaves, a piece a call; *done with the last one. */
MUST_USE enum rc fetch_find_changed(struct imap *im, struct fetch *f, bool *done, struct err *e);

/* cmd_fetch.c: one turn; and giving up what f owns. */
enum imap_result fetch_advance(struct imap *im, struct fetch *f);
void fetch_drop(struct imap *im);

/* fetch_items.c: everything but sections; f->rest is what is to follow. */
void fetch_write_item(struct imap *im, struct fetch *f, const struct fetch_item *item);

/* fetch_columns.c */
/* A piece of the answer, or of making columns for it. False: rows are to be read next, of f->at_row.gap where there is
 * one. */
bool fetch_from_columns(struct imap *im, struct fetch *f, enum rc *rc, struct err *e);
enum fetch_listed {
	FETCH_BY_ROWS,
	FETCH_BY_COLUMNS,
	FETCH_MAKES_COLUMNS,    /* the pool will */
};
/* How the messages would be listed on the reactor now: FETCH_BY_COLUMNS is little. */
enum fetch_listed fetch_columns_light(struct imap *im, const struct fetch *f);

/* fetch_recall.c */
/* *done: the page under way, all of the set, is there. Else it is to be read; memory of its arena may be used. */
MUST_USE enum rc fetch_recall_page(struct imap *im, struct fetch *f, uint32_t want, bool *done, struct err *e);

/* fetch_light.c; see there. */
bool fetch_asks_content(const struct fetch_request *r);
/* The row under way came without a summary, as its content needs none (WANT_ONLY_CONTENT): for a light run only, what goes
 * on elsewhere reads it anew. */
bool fetch_is_recalled(const struct fetch *f);
/* Where that is elsewhere: the page's one row will be read again. */
void fetch_forget_recalled(struct fetch *f);
bool fetch_reads_little(struct imap *im);
/* All turns that are little, from run. */
enum imap_result fetch_run_light(struct imap *im, struct fetch *f);
void fetch_undo(struct imap *im);
/* Is item i of the message under way read here? False: the light run ends before it. Anywhere. */
bool fetch_may_read(struct fetch *f, size_t i);
/* What went wrong is for the pool: true, and the run will be undone. False: this is no light run. */
bool fetch_give_up(struct fetch *f);

/* fetch_preview.c: make f->preview; counts what it reads in f->verified. */
void fetch_make_preview(struct imap *im, struct fetch *f);

/* fetch_ahead.c */
/* A page of rows has been read. */
void fetch_ahead_page(struct imap *im, struct fetch *f);
/* All octets of the section item are read and were found good. */
bool fetch_ahead_check(struct fetch *f, size_t i);
/* Send or write those from f->at on, *n of them. False: they are to be read. */
bool fetch_ahead_write(struct imap *im, struct fetch *f, size_t i, uint64_t *n);
void fetch_ahead_drop(struct fetch *f);

/* fetch_section.c */
/* What is read of the log for the item. */
uint64_t fetch_section_octets(const struct fetch *f, size_t i);
/* Find the item's range and check the log for it; a light run only finds it. */
enum fetch_trouble fetch_check_section(struct imap *im, struct fetch *f, size_t i);
/* True if the decoded size must be found by decoding: then fetch_measure is called until it has *done. */
bool fetch_must_measure(const struct fetch *f, size_t i);
enum fetch_trouble fetch_measure(struct imap *im, struct fetch *f, size_t i, bool *done);
/* Write "BODY[...] {n}CRLF" or all of the item; *stream: the octets follow by fetch_stream; else f->rest is what is to
 * follow. False: damaged. */
bool fetch_write_section(struct imap *im, struct fetch *f, size_t i, bool *stream);
/* Write the next octets. False: damaged. */
bool fetch_stream(struct imap *im, struct fetch *f, size_t i, bool *done);

#endif
