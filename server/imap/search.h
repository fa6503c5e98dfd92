/* search - a SEARCH program and the machine that runs it. Shared by cmd_search.c and search_*.c only.
 *
 * A program is a tree in an array. For one message each leaf is false, true or not known yet; leaves are filled in order
 * of their cost (row of the index, summary, header, bodies) until the tree has a value, so that the log is opened only
 * for messages that the cheap keys leave open.
 */
#ifndef RESTANTE_SERVER_IMAP_SEARCH_H
#define RESTANTE_SERVER_IMAP_SEARCH_H

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
	SEARCH_SENTBEFORE,      /* from here on: not in the row */
	SEARCH_SENTON,
	SEARCH_SENTSINCE,
	SEARCH_HEADER,
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
	uint64_t        number;         /* LARGER, SMALLER */
	int64_t         day;            /* dates: days since 1970 */
	struct slice    name;           /* HEADER: field; KEYWORD */
	struct slice    text;           /* as sent; search_prepare makes it UTF-8, folded */
	struct seq_set  set;            /* SET */
	bool            set_is_uids;
	struct uid_set  uids;           /* SET, from search_prepare to search_fini */
	enum search_truth truth;        /* of a leaf, for the message under way; `negate` not applied */
};

enum search_return {            /* [RFC 9051 s6.4.4] */
	RETURN_MIN = 1 << 0,
	RETURN_MAX = 1 << 1,
	RETURN_ALL = 1 << 2,
	RETURN_COUNT = 1 << 3,
	RETURN_SAVE = 1 << 4,
};

struct search_program {
	struct search_node *nodes;      /* nodes[0] is the AND of all */
	uint16_t            count, room;
	unsigned            texts;
	unsigned            returns;    /* enum search_return */
	bool                extended;   /* RETURN was given */
	struct slice        charset;    /* empty: none given */
	bool                needs_summary, needs_place;
};

/* [SP "RETURN" ...] SP search-program up to the end of the command. */
bool search_parse(struct cursor *c, struct arena *a, struct search_program *out);

/* Resolve sets and fold texts. False: imap_reply was called. */
bool search_prepare(struct imap *im, struct search_program *p);
void search_fini(struct search_program *p);
/* Of the view: what the program can match at all by its sets. */
bool search_candidates(const struct imap *im, const struct search_program *p, struct uid_set *out);

enum search_truth search_eval(const struct search_program *p);
/* Fill the leaves that the row answers, the others become unknown. */
void search_row(const struct imap *im, struct search_program *p, const struct message_row *row);
void search_summary(struct search_program *p, const struct message_row *row, const struct mime_summary *s);
/* What is not known by now is false. */
void search_close(struct search_program *p);

/* search_text.c: the search through one message's octets, in pieces. */
struct search_text {
	uint32_t                part;           /* under way */
	bool                    in_body;        /* of it; else its header is next */
	uint64_t                at;             /* octets of the part's body read */
	struct transfer_decoder decoder;
	struct slice            charset;        /* of the part */
	uint8_t                 charset_text[64];
	struct buf              raw, pending, utf8, hay;
};

/* What is the same character to those who search, one way written, in folded text from an offset on. */
void search_unify(struct buf *text, size_t from);
void search_text_init(struct search_text *t);
void search_text_fini(struct search_text *t);
/* Forget the last message. */
void search_text_begin(struct search_text *t);
/* Fill the HEADER leaves. */
void search_headers(struct imap *im, struct search_program *p, const struct message_row *row,
                    const struct mime_summary *s);
/* The next piece for BODY and TEXT; false when there is no more. */
bool search_text_next(struct imap *im, struct search_program *p, struct search_text *t,
                      const struct message_row *row, const struct mime_summary *s);

#endif
