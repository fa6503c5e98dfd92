/* search - a SEARCH program and the machine that runs it. Shared by cmd_search.c and search_*.c only.
 *
 * A program is a tree in an array. For one message each leaf is false, true or not known yet; leaves are filled in
 * order of their cost (row of the index, summary, header, bodies) until the tree has a value, so that the log is opened
 * only for messages that the cheap keys leave open.
 */
#ifndef RESTANTE_SERVER_IMAP_SEARCH_H
#define RESTANTE_SERVER_IMAP_SEARCH_H

#include "index/columns.h"
#include "lib/html.h"
#include "lib/mime.h"
#include "server/imap/imap.h"

#define SEARCH_NODES_MAX 1000u
#define SEARCH_DEPTH_MAX 30u            /* parentheses and OR */
#define SEARCH_TEXTS_MAX 64u            /* keys that look for text */
#define SEARCH_TEXT_MAX  4096u          /* octets of one */

enum search_key {
	SEARCH_AND,             /* children; also parentheses */
	SEARCH_OR,
	SEARCH_ALL,
	SEARCH_FLAG,
	SEARCH_KEYWORD,
	SEARCH_RECENT,
	SEARCH_SET,             /* sequence numbers or UIDs */
	SEARCH_BEFORE,
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_OLDER,
	SEARCH_YOUNGER,
	SEARCH_SAVEDBEFORE,
	SEARCH_SAVEDON,
	SEARCH_SAVEDSINCE,
	SEARCH_MODSEQ,
	SEARCH_THREADID,
	SEARCH_SENTBEFORE,      /* from here on: not in the row, but in the summary */
	SEARCH_SENTON,
	SEARCH_SENTSINCE,
	SEARCH_EMAILID,         /* from here on: what is known of the blob */
	SEARCH_HEADER,          /* from here on: its octets */
	SEARCH_ADDRESS,         /* HEADER of a field with addresses */
	SEARCH_BODY,
	SEARCH_TEXT,
};

enum search_truth {
	SEARCH_FALSE,
	SEARCH_TRUE,
	SEARCH_UNKNOWN,
};

struct search_node {
	enum search_key key;
	bool            negate;         /* NOT, UN... */
	uint16_t        child;          /* AND, OR: the first one; 0: none */
	uint16_t        next;           /* sibling; 0: none */
	uint32_t        flags;          /* FLAG */
	uint64_t        number;         /* LARGER, SMALLER, MODSEQ; OLDER, YOUNGER: seconds */
	int64_t         day;            /* dates: days since 1970 */
	struct slice    name;           /* HEADER, ADDRESS: field; KEYWORD; EMAILID, THREADID */
	struct slice    text;           /* as sent; search_prepare makes it UTF-8, folded */
	struct seq_set  set;            /* SET */
	bool            set_is_uids;
	bool            is_subject;     /* HEADER Subject, from search_prepare on */
	struct uid_set  uids;           /* SET, from search_prepare to search_fini */
	enum search_truth truth;        /* of a leaf, for the message under way; `negate` not applied */
};

enum search_return {            /* [RFC 9051 s6.4.4] */
	RETURN_MIN = 1 << 0,
	RETURN_MAX = 1 << 1,
	RETURN_ALL = 1 << 2,
	RETURN_COUNT = 1 << 3,
	RETURN_SAVE = 1 << 4,
	RETURN_PARTIAL = 1 << 5,        /* [RFC 9394 s3.1] */
};

/* What no message is without that the program matches. INTERNALDATE in seconds since 1970. */
struct search_sieve {
	uint32_t with, without;         /* flags */
	int64_t  from, until;
};

struct search_program {
	struct search_node *nodes;      /* nodes[0] is the AND of all */
	uint16_t            count, room;
	unsigned            texts;
	unsigned            returns;    /* enum search_return */
	struct partial_range partial;
	struct slice        partial_text;       /* as written */
	bool                extended;   /* RETURN was given */
	bool                modseq;     /* MODSEQ is among the keys */
	int64_t             now;        /* for OLDER and YOUNGER: seconds since 1970, from search_prepare on */
	struct slice        charset;    /* empty: none given */
	bool                needs_summary, needs_place;
	bool                asks_subject;       /* HEADER Subject is among the keys, */
	bool                asks_more;          /* keys that neither a Subject nor a UID tells are */
};

/* [SP "RETURN" ...] SP search-program up to the end of the command. */
bool search_parse(struct cursor *c, struct arena *a, struct search_program *out);

/* Resolve sets and fold texts. False: imap_reply was called. */
bool search_prepare(struct imap *im, struct search_program *p);
void search_fini(struct search_program *p);
/* Of the view: what the program can match at all by its sets. */
bool search_candidates(const struct imap *im, const struct search_program *p, struct uid_set *out);

/* search_sieve.c. Each key of FLAG has a single flag. */
void search_sieve_make(struct search_sieve *v, const struct search_program *p);

/* True: the program does not match this row. */
static inline bool
search_sieve_rejects(const struct search_sieve *v, const struct column_row *row)
{
	return (row->flags & (v->with | v->without)) != v->with || row->internaldate < v->from
	    || row->internaldate > v->until;
}

enum search_truth search_eval(const struct search_program *p);
/* Fill the leaves that the row answers, the others become unknown. */
void search_row(const struct imap *im, struct search_program *p, const struct message_row *row);
void search_summary(struct search_program *p, const struct message_row *row,
                    const struct mime_summary *s);
/* SUBJECT leaves, from what search_text learnt of this message before: each field's text behind a SUBJECT_BEGINS. */
void search_subject(struct search_program *p, struct slice learnt);
/* The same text, from a summary, of which its head is enough. `text` is scratch. False: only the header says it. */
bool search_subject_of(const struct mime_summary *s, struct buf *text, struct buf *out);
/* What is not known by now is false. */
void search_close(struct search_program *p);

/* ---- search_text.c: the search through one message's octets, in pieces ---- */

enum search_place {
	SEARCH_IN_HEADER,
	SEARCH_IN_BODY,
};

/* No octet of UTF-8, so that no text that is looked for has it. */
#define SUBJECT_BEGINS    0xffu
#define SUBJECT_LEARN_MAX 2000u

struct search_text {
	uint32_t                part;           /* under way */
	enum search_place       place;
	uint64_t                at;             /* octets of the header or body read */
	bool                    typed;          /* the part's Content-Type has been seen */
	bool                    is_message;     /* message/..., which is text to those who search */
	struct slice            charset;        /* of the part; empty: none given */
	uint8_t                 charset_text[64];
	bool                    field_open;     /* what comes goes on with the field of this name */
	size_t                  field_len;
	uint8_t                 field[64];
	struct transfer_decoder decoder;
	struct html_text        html;
	struct buf              raw, pending, utf8, shown, hay;
	bool                    learns, learnt; /* all Subject fields, as they are looked at, into `subject`; all of
						 * it is there */
	struct buf              subject;
	struct buf              ahead;          /* octets of the message that were read last, from ahead_at on */
	uint64_t                ahead_at;
};

void search_text_init(struct search_text *t);
void search_text_fini(struct search_text *t);
/* Forget the last message. */
void search_text_begin(struct search_text *t, bool learn);
/* Look at the next piece; false when there is no more. */
bool search_text_next(struct imap *im, struct search_program *p, struct search_text *t,
                      const struct message_row *row, const struct mime_summary *s);

/* The next piece of the part's header; `embedded`: it is body text of the message around it. True at the end: then
 * HEADER and ADDRESS leaves are known. */
bool search_header_piece(struct imap *im, struct search_program *p, struct search_text *t,
                         const struct message_row *row, const struct mime_part *part,
                         bool embedded);
/* Octets of the message into t->raw. False: damaged (logged by the volume); that does not match. */
bool search_read(struct imap *im, struct search_text *t, const struct message_row *row,
                 uint64_t off, uint64_t len);
/* TEXT leaves whose text is in `hay` (folded) become true, with `in_body` BODY ones too. */
void search_mark(struct search_program *p, struct slice hay, bool in_body);
/* Keep as much of the end of *hay as the longest text needs to be found across the cut. */
void search_keep_end(const struct search_program *p, struct buf *hay);
bool search_contains(struct slice hay, struct slice needle);

#define SEARCH_PIECE       65536u                       /* octets read at once */
#define SEARCH_PENDING_MAX (4 * SEARCH_PIECE)           /* a line or field longer than this is cut */

/* ---- cmd_search.c runs it, search_answer.c answers ---- */

enum search_phase {
	SEARCH_PREPARE,
	SEARCH_RECALL,           /* columns get the Subjects that the index has learnt */
	SEARCH_REFRESH,          /* columns are brought up to date */
	SEARCH_SCAN,             /* the next rows of the columns, instead of SEARCH_PAGE */
	SEARCH_LEARN,            /* Subjects of what a piece of the columns left open, from summaries */
	SEARCH_AGAIN,            /* and those messages are looked at again */
	SEARCH_PAGE,
	SEARCH_CLOSER,           /* the next page of what a page of rows left open */
	SEARCH_MESSAGE,
	SEARCH_LOOK,
	SEARCH_RESULT,           /* from here on: the answer */
	SEARCH_MODSEQS,          /* the highest of the chosen ones is looked up */
	SEARCH_HEAD,
	SEARCH_NUMBERS,
	SEARCH_TAIL,
};

#define SEARCH_PAGE_ROWS 1000u

struct search {
	struct search_program program;

	enum search_phase   phase;
	struct uid_set      uids;               /* to look at */
	struct uid_set      open;               /* of this page: the cheap keys left them open */
	struct uid_set      learnt;             /* those that were open before SEARCH_LEARN */
	struct uid_set      found;              /* UIDs; from SEARCH_HEAD on as they are written */
	mail_uid            next_uid;           /* of the pages of rows; 0: no more */
	mail_uid            next_open;
	uint64_t            done, goal;         /* messages, for INPROGRESS */

	struct columns     *columns;            /* NULL: rows are read */
	struct search_sieve sieve;              /* for them */
	struct arena        page;
	uint32_t            close_limit;
	struct message_row *rows;
	size_t              row_count, row;
	struct arena        scratch;            /* of the message under way */
	struct mime_summary summary;
	struct search_text  text;

	mail_modseq         highest;            /* of those found, or of those chosen */
	struct uid_set      partial;            /* of PARTIAL */
	struct uid_set      chosen;             /* what SAVE saves and MODSEQ is about, if not all found */
	size_t              range;              /* being written, and the next number in it */
	uint32_t            number;
};

/* The phases from SEARCH_RESULT on. */
enum imap_result search_answer(struct imap *im, struct search *s);

#endif
