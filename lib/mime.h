/* mime - one pass over a message as it arrives, yielding its summary.
 *
 * The parser is fed a message's bytes in any pieces (line ends CRLF already; NUL, bare CR and 8-bit may occur) and
 * yields what IMAP asks for most: ENVELOPE and BODYSTRUCTURE as sent, the place of every part, keys for SORT and
 * THREAD. It never fails on content: malformed mail gives some valid summary. Time is linear in the input, memory is
 * bounded by the limits below whatever the input; beyond a limit the rest is opaque body or is left out (the message
 * itself is never altered), and MIME_CUT is set. How the bytes are split never changes the result.
 *
 * One parser belongs to one thread at a time. A summary borrows its bytes: from the parser (mime_finish) or from the
 * arena and the encoded bytes (mime_summary_decode).
 */
#ifndef RESTANTE_LIB_MIME_H
#define RESTANTE_LIB_MIME_H

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/transfer.h"

/* Goes up whenever the same message may give another summary; `reindex --reparse` looks for older ones. */
#define MIME_PARSER_VERSION     4u

#define MIME_PARTS_MAX          10000u          /* parts with a header of their own; the table holds at
                                                 * most twice that */
#define MIME_DEPTH_MAX          100u            /* nested multiparts and messages */
#define MIME_BOUNDARY_MAX       256u            /* bytes; RFC 2046 allows 70 */
#define MIME_LIST_MAX           (1u << 20)      /* bytes read of one field of addresses */
#define MIME_FIELD_MAX          (64u << 10)     /* bytes kept of one other field */
#define MIME_HEADER_MAX         (4u << 20)      /* bytes kept of one header block's fields, all that we
                                                 * look at together */
#define MIME_ADDRESSES_MAX      (512u << 10)    /* bytes of one list of addresses in ENVELOPE */
#define MIME_SENDERS_MAX        (64u << 10)     /* the same of From, Sender and Reply-To, which may be
                                                 * copies of each other */
#define MIME_PARAMS_MAX         100u            /* parameters read of one header field */
#define MIME_STRUCTURE_MAX      (1u << 20)      /* strings of all parts in BODYSTRUCTURE, embedded envelopes included */
#define MIME_KEY_MAX            1024u           /* one sort key */
#define MIME_REFS_MAX           4096u           /* msg-ids of References */
#define MIME_SUMMARY_MAX        (6u << 20)      /* an encoded summary is never longer */

enum mime_kind {
	MIME_LEAF,              /* neither text nor container */
	MIME_TEXT,
	MIME_MULTIPART,
	MIME_MESSAGE,           /* message/rfc822 or message/global: its one child is the embedded message's root */
};

/* part.flags */
#define MIME_PART_ROOT          0x01u   /* the message itself, or an embedded message (child of a MIME_MESSAGE part) */
#define MIME_PART_HTML          0x02u   /* text/html */
#define MIME_PART_PLAIN         0x04u   /* text/plain, also by default */
#define MIME_PART_ATTACHMENT    0x08u   /* Content-Disposition: attachment, or named and not inline text */
#define MIME_PART_ENCODED_MAX   0x0fu   /* all flags that exist */

/* All offsets count from the message's first byte. */
struct mime_part {
	uint32_t parent;                /* index in the table; of the first one 0 */
	uint32_t number;                /* 1.. among its parent's parts; 0 for MIME_PART_ROOT */
	uint32_t next;                  /* index behind its last descendant */
	enum mime_kind kind;
	enum transfer_encoding encoding;
	uint32_t flags;
	uint64_t header_off;            /* MIME header, for a root the message header */
	uint64_t header_len;            /* with the blank line, if there is one */
	uint64_t body_off;
	uint64_t body_len;              /* as sent, without the CRLF that belongs to the boundary behind it */
	uint64_t lines;                 /* line ends in the body */
};

/* summary.flags */
#define MIME_HAS_ATTACHMENT     0x01u
#define MIME_HAS_NUL            0x02u   /* some NUL in the message: FETCH and RETR must map it */
#define MIME_HAS_8BIT_HEADER    0x04u   /* raw 8-bit bytes in the message header */
#define MIME_HAS_8BIT           0x08u   /* raw 8-bit bytes anywhere */
#define MIME_HAS_DATE           0x10u   /* sent_time and sent_day are valid; otherwise use INTERNALDATE */
#define MIME_REPLY_OR_FWD       0x20u   /* the base subject lost a Re: or Fwd: [RFC 5256 s2.1] */
#define MIME_CUT                0x40u   /* some limit above was met */

#define MIME_SUBJECTS           0x80u   /* ENVELOPE's Subject may not be the only one (since version 4) */

/* Keys are UTF-8 after NFKC case folding, at most MIME_KEY_MAX bytes, cut at a character; empty if there is nothing. */
struct mime_keys {
	int64_t      sent_time;         /* Date in seconds since 1970 UTC */
	int32_t      sent_day;          /* days since 1970 of the date as written, zone ignored (SENTON, SENTSINCE) */
	struct slice subject;           /* base subject [RFC 5256 s2.1] */
	struct slice from, to, cc;      /* local part of the first mailbox [RFC 5256 s3] */
	struct slice display_from, display_to;  /* name, or address [RFC 5957] */
	struct slice message_id;        /* as written with its <>, unfolded; not folded in case */
	struct slice refs;              /* msg-ids with <>, oldest first, one space between: References, or else the
	                                 * first of In-Reply-To [RFC 5256 s3]. If too long, the first one
	                                 * and the last ones */
};

struct mime_summary {
	uint32_t     version;           /* MIME_PARSER_VERSION of the parser that made it */
	uint32_t     flags;
	uint64_t     size;              /* of the message in bytes */
	uint64_t     header_len;        /* of its header with the blank line */
	uint64_t     lines;             /* line ends in the whole message */
	struct slice envelope;          /* "(...)" exactly as it goes on the wire; 8-bit strings are literals */
	struct slice bodystructure;     /* the same, with extension data */
	struct mime_keys keys;
	const struct mime_part *parts;  /* preorder; parts[0] is the message */
	uint32_t     nparts;            /* at least 1 */
};

struct mime_parser;

/* NULL without memory. */
struct mime_parser *mime_parser_new(void);
void mime_parser_free(struct mime_parser **p);  /* accepts a pointer to NULL, leaves NULL behind */

void mime_feed(struct mime_parser *p, struct slice bytes);
/* Feed as many whole lines at the beginning of `bytes` as are content of the part that is open, for sure, and return
 * their length: 0 in a header, before what may be a delimiter, within a line. Those behind them go to mime_feed. */
size_t mime_body_run(struct mime_parser *p, struct slice bytes, uint64_t *lines);
/* The end of the message. RC_OK: *out is filled and borrows from p until mime_parser_free. RC_NOMEM: nothing
 * is. Call once. */
MUST_USE enum rc mime_finish(struct mime_parser *p, struct mime_summary *out, struct err *e);

/* Where the bytes fed so far stand, for one who cuts them into chunks: the body of the part that is open now began
 * at body_off and is in `encoding`. in_body is false within a header, a preamble or an epilogue. */
struct mime_hint {
	uint64_t body_off;
	enum transfer_encoding encoding;
	bool     in_body;
};
struct mime_hint mime_boundary_hint(const struct mime_parser *p);
/* Work done so far, in bytes looked at (each look counts); tests hold it against the bytes fed. */
uint64_t mime_steps(const struct mime_parser *p);

/* Our stored form: versioned, compact, equal bytes for equal summaries. False when out has no room. */
bool mime_summary_encode(const struct mime_summary *s, struct buf *out);
/* Any bytes may be given. RC_OK: *out borrows strings from `in` and the part table from `a`, and is safe to use with
 * every function here. RC_CORRUPT, RC_NOMEM: *out is not filled. */
MUST_USE enum rc mime_summary_decode(struct slice in, struct arena *a, struct mime_summary *out,
                                     struct err *e);

/* ENVELOPE, BODYSTRUCTURE and what stands before them alone, for listings: strings borrow from `in`. The rest of *out is
 * empty, and not looked at: false for a damaged head only. */
bool mime_summary_decode_head(struct slice in, struct mime_summary *out);

/* The Subject as it stands in ENVELOPE: unfolded, encoded-words as they are; ptr is NULL if there is none. `s` has its
 * head at least; what is escaped there is put into `text`. False: by its header the message may have another one, or
 * several. */
bool mime_summary_subject(const struct mime_summary *s, struct buf *text, struct slice *out);

/* Which parser made it; 0: it does not say. Of a version above ours nothing else can be told. */
uint32_t mime_summary_version(struct slice in);

/* How a session wants the stored BODYSTRUCTURE; bits. */
enum mime_form {
	MIME_FORM_BODY = 1,             /* BODY: without extension data */
	MIME_FORM_FLAT_GLOBAL = 2,      /* message/global as any other type, without what is in it [RFC 3501] */
	MIME_FORM_UTF8 = 4,             /* as mime_quote_utf8 */
	MIME_FORM_DECODED = 8,          /* values of extended parameters in UTF-8, undone from RFC 2231
	                                 * [RFC 9051 s7.5.2] */
};
/* False if it is not a BODYSTRUCTURE or out has no room. Linear. */
bool mime_render_structure(struct slice bodystructure, unsigned forms, struct buf *out);
/* Could MIME_FORM_FLAT_GLOBAL make a difference? */
bool mime_has_global(struct slice bodystructure);
/* Strings that are literals only because they have UTF-8 become quoted ones [RFC 9755 s3]. `in` is ENVELOPE,
 * BODYSTRUCTURE, or a value in them. False if it is damaged or out has no room. Linear. */
bool mime_quote_utf8(struct slice in, struct buf *out);

/* What stands in the brackets behind the part numbers [RFC 9051 s6.4.5.1]. */
enum mime_section {
	MIME_SECTION_ALL,       /* BODY[] and BODY[1.2] */
	MIME_SECTION_HEADER,    /* also for HEADER.FIELDS and .NOT: the range to take them from */
	MIME_SECTION_TEXT,
	MIME_SECTION_MIME,
};

struct mime_range {
	uint64_t off, len;
	const struct mime_part *part;   /* whose encoding applies to this range (BINARY[1.2]); NULL for
	                                 * the whole message */
};

/* The bytes of path[0..n) + what. False if the message has no such section: NIL is the answer to the client. */
bool mime_find_section(const struct mime_summary *s, const uint32_t *path, size_t n,
                       enum mime_section what, struct mime_range *out);

#endif
