/* lint_impl - what the parts of lib/lint share. Of lib/lint*.c only.
 *
 * Lines come from lint.c, which knows where in the MIME structure it stands (lint_tree.c). A header field is collected
 * whole and judged at its end: lint_header.c finds its rule by its name and calls the checker of its grammar. Checkers
 * work on slices of the collected field, so that a place in it gives the line of a finding.
 */
#ifndef RESTANTE_LIB_LINT_IMPL_H
#define RESTANTE_LIB_LINT_IMPL_H

#include "lib/buf.h"
#include "lib/header.h"
#include "lib/lint_code.h"
#include "lib/transfer.h"

#define LINT_LINE_KEEP     (64u << 10)  /* a longer line comes in pieces */
#define LINT_DEPTH_MAX     100u         /* nested multiparts and messages, as MIME_DEPTH_MAX */
#define LINT_BOUNDARY_MAX  256u         /* as MIME_BOUNDARY_MAX */
#define LINT_ARC_MAX       50u          /* [RFC 8617 s4.2.1] */

/* Fields that are asked for by name. The rules stand in lint_header.c, in this order, others behind them. */
enum lint_field {
	LINT_F_DATE,
	LINT_F_FROM,
	LINT_F_SENDER,
	LINT_F_REPLY_TO,
	LINT_F_TO,
	LINT_F_CC,
	LINT_F_BCC,
	LINT_F_MESSAGE_ID,
	LINT_F_SUBJECT,
	LINT_F_RESENT_DATE,
	LINT_F_RESENT_FROM,
	LINT_F_MIME_VERSION,
	LINT_F_CONTENT_TYPE,
	LINT_F_ENCODING,
	LINT_F_LIST_UNSUBSCRIBE,
	LINT_F_UNSUBSCRIBE_POST,
	LINT_F_DKIM,
	LINT_F_RETURN_PATH,
	LINT_F_RECEIVED,
	LINT_F_COUNT
};
#define LINT_RULES_MAX 64u

enum lint_entity {
	LINT_MESSAGE,           /* the message itself */
	LINT_EMBEDDED,          /* in a message/rfc822 */
	LINT_PART,              /* of a multipart */
};

/* The header block that is being read, and what it said. */
struct lint_header {
	enum lint_entity entity;
	bool             digest;                /* a part of multipart/digest: message/rfc822 unless it
	                                         * says otherwise */
	uint64_t         line;                  /* its first */
	uint64_t         seen[LINT_RULES_MAX];  /* line of the first field of each rule; 0: none */
	bool             any;                   /* some field, of whatever name */
	bool             mime_fields;           /* some Content- field */
	uint64_t         resent_line;           /* of the first Resent- field */
	uint64_t         from_mailboxes;
	/* MIME */
	bool             type_seen;
	bool             text, multipart, embeds;       /* text/..., multipart/..., message/rfc822 or global */
	bool             composite;                     /* multipart/... or message/... */
	bool             makes_digest;
	bool             charset_given;
	bool             charset_ascii;
	struct buf       boundary;
	enum transfer_encoding encoding;
	/* lists and authentication */
	bool             unsubscribe_https;
	bool             dkim_covers;           /* some signature covers both fields of one-click unsubscription */
	uint64_t         arc_line;
	uint64_t         arc_sets[3];           /* bit i: instance i was seen */
	bool             arc_bad;               /* told already */
};

/* A container that is open. */
struct lint_level {
	bool                   multipart;       /* else a message/rfc822 */
	bool                   digest;
	bool                   closed;          /* its close-delimiter has come */
	uint64_t               line;            /* of the field that made it */
	uint64_t               parts;
	enum transfer_encoding encoding;
	size_t                 boundary_len;
	uint8_t                boundary[LINT_BOUNDARY_MAX];
};

/* The body that is being read. */
struct lint_body {
	enum transfer_encoding encoding;
	bool     ascii_text;    /* text in us-ascii, said or by default */
	bool     told_charset;
	uint64_t line;          /* of the first line */
	/* base64 */
	uint64_t sextets;
	unsigned padding;
	bool     told_end;
	/* of this line */
	size_t   line_len;
	unsigned escape;        /* qp: bytes still to come behind '=': 2, 1 */
	bool     soft;          /* qp: blanks behind '=' so far */
	bool     blank;         /* qp: the last byte was white space */
};

enum lint_where {
	LINT_IN_HEADER,
	LINT_IN_BODY,           /* of a leaf */
	LINT_IN_PREAMBLE,
	LINT_IN_EPILOGUE,
};

/* A finding that is kept until the end. */
struct lint_kept {
	uint64_t       line;
	uint32_t       order;                   /* among those of the line: as they were met */
	enum lint_code code;
	size_t         off, len;                /* of lint.texts */
};

struct lint {
	/* findings: lint.c */
	struct buf texts;
	struct buf kept;                        /* an array of struct lint_kept */
	uint64_t told[LINT_CODE_COUNT];
	uint64_t last[LINT_CODE_COUNT];         /* line of the last finding of each code */
	bool     nomem;

	/* lines: lint.c */
	uint64_t line;                          /* number of the line that is being read */
	struct buf piece;                       /* of it, not looked at yet */
	uint64_t line_len;                      /* bytes before its end, looked at so far */
	bool     in_line;                       /* some piece of it was looked at */
	bool     ignored;                       /* the rest of the line is not for the body: a
	                                         * delimiter, the mbox line */
	uint64_t lf_from;                       /* lines end with LF alone since this one; 0: not so */
	bool     crlf_seen;
	bool     octet_told_nul, octet_told_cr; /* in this line */
	bool     has_8bit;                      /* this piece */

	/* fields: lint_header.c */
	struct buf field;
	uint64_t field_line;
	bool     field_open, field_cut;
	size_t   at_offset;                     /* of `field`: the last place whose line was asked for, */
	uint64_t at_line;                       /* and that line */
	struct lint_header header;

	/* structure: lint_tree.c */
	enum lint_where   where;
	struct lint_level levels[LINT_DEPTH_MAX];
	size_t            depth;
	uint64_t          parts;
	struct lint_body  body;
};

/* ---- lint.c ---- */

void lint_report(struct lint *l, uint64_t line, enum lint_code code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* `where` points into the field that is being judged; elsewhere: the field's first line. */
void lint_report_at(struct lint *l, const uint8_t *where, enum lint_code code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

#define LINT_SHOWN_MAX 200u
/* Text of the message fit for a finding: at most 40 bytes of it, escaped. */
struct lint_shown {
	char text[LINT_SHOWN_MAX];
};
const char *lint_show(struct lint_shown *s, struct slice bytes);

/* ---- lint_header.c ---- */

void lint_header_begin(struct lint *l, enum lint_entity entity, bool digest, uint64_t line);
/* A piece of a line of the header, its line end included; starts: it begins the line. */
void lint_header_feed(struct lint *l, struct slice piece, bool starts);
/* Judge the last field and the whole. */
void lint_header_end(struct lint *l);

/* ---- lint_tree.c ---- */

/* The header has ended: what comes next? */
void lint_tree_enter(struct lint *l);
/* A piece of a line of the message; content: without its line end. False: the rest of the line is not of a body. */
void lint_tree_feed(struct lint *l, struct slice piece, struct slice content, bool starts,
                    bool ends);
void lint_tree_finish(struct lint *l);

/* ---- lint_body.c ---- */

void lint_body_begin(struct lint *l, enum transfer_encoding encoding, bool ascii_text);
void lint_body_feed(struct lint *l, struct slice content, bool starts, bool ends);
void lint_body_end(struct lint *l);

/* ---- lint_syntax.c: the tokens of RFC 5322 ---- */

struct lint_cursor {
	struct lint *l;
	struct slice in;
	size_t       at;
	bool         words;             /* encoded-words may stand in atoms here (a phrase) */
};

static inline bool
lint_at_end(const struct lint_cursor *c)
{
	return c->at >= c->in.len;
}

/* The byte at the cursor, 0 at the end. */
static inline uint8_t
lint_peek(const struct lint_cursor *c)
{
	return c->at < c->in.len ? c->in.ptr[c->at] : 0;
}

static inline const uint8_t *
lint_here(const struct lint_cursor *c)
{
	return c->in.ptr + c->at;
}

bool lint_is_blank(uint8_t c);          /* white space or a line end */
bool lint_is_atext(uint8_t c);          /* [RFC 5322 s3.2.3, RFC 6532 s3.2] */
bool lint_is_token(uint8_t c);          /* of MIME [RFC 2045 s5.1] */
/* Blanks and comments [RFC 5322 s3.2.2]. True if there was something. */
bool lint_skip_cfws(struct lint_cursor *c);
bool lint_skip_blanks(struct lint_cursor *c);
bool lint_take_byte(struct lint_cursor *c, uint8_t b);
/* The longest run of such bytes; false if there is none. */
bool lint_take_run(struct lint_cursor *c, bool (*is)(uint8_t), struct slice *out);
/* dot-atom-text [RFC 5322 s3.2.3]: atext with single dots within. */
bool lint_take_dot_atom(struct lint_cursor *c, struct slice *out);
/* quoted-string without CFWS around; the cursor is at the quote. *out: between the quotes. False, and told, when it is
 * not closed. */
bool lint_take_quoted(struct lint_cursor *c, struct slice *out);
/* domain-literal; the cursor is at '['. */
bool lint_take_literal(struct lint_cursor *c, struct slice *out);
/* 1..max decimal digits. */
bool lint_take_digits(struct lint_cursor *c, unsigned min, unsigned max, unsigned *out);
/* Go on behind the next `stop` outside of quotes, comments and angle brackets. False: there is none. */
bool lint_skip_to(struct lint_cursor *c, uint8_t stop);

/* ---- checkers of values, each in its file ---- */

/* lint_date.c: date-time, to the cursor's end. */
void lint_date(struct lint_cursor *c, enum lint_code code);
/* lint_address.c */
enum lint_list {
	LINT_MAILBOXES,         /* mailbox-list; groups as RFC 6854 has it */
	LINT_ADDRESSES,         /* address-list */
	LINT_ONE_MAILBOX,
	LINT_BCC_LIST,          /* may be empty */
};
/* Returns how many mailboxes there are. */
uint64_t lint_addresses(struct lint_cursor *c, enum lint_list kind, const char *field);
void lint_return_path(struct lint_cursor *c);
/* lint_phrase.c: phrases between commas */
void lint_phrases(struct lint_cursor *c);
/* lint_ids.c */
void lint_msg_ids(struct lint_cursor *c, bool one);
/* lint_received.c */
void lint_received(struct lint_cursor *c);
/* lint_words.c: encoded-words */
enum lint_word_place {
	LINT_WORDS_TEXT,        /* unstructured */
	LINT_WORDS_COMMENT,
	LINT_WORDS_PHRASE,
};
void lint_words(struct lint *l, struct slice text, enum lint_word_place place);
/* Where none may be: tell those that are there. */
void lint_no_words(struct lint *l, struct slice text, enum lint_code code);
/* lint_mime.c */
void lint_mime_version(struct lint_cursor *c);
void lint_content_type(struct lint_cursor *c);
void lint_disposition(struct lint_cursor *c);
void lint_encoding(struct lint_cursor *c);
/* lint_list.c */
void lint_list_id(struct lint_cursor *c);
void lint_list_uris(struct lint_cursor *c, bool is_post, bool is_unsubscribe);
void lint_unsubscribe_post(struct lint_cursor *c);
void lint_unsubscribe_end(struct lint *l);
/* lint_dkim.c, lint_arc.c, lint_authres.c */
void lint_dkim(struct lint_cursor *c);
void lint_arc_seal(struct lint_cursor *c);
void lint_arc_signature(struct lint_cursor *c);
void lint_arc_results(struct lint_cursor *c);
void lint_arc_end(struct lint *l);
void lint_auth_results(struct lint_cursor *c, enum lint_code code);

#endif
