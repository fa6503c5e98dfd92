/* remote_lex - the tokens of an IMAP server's responses, pulled from a source one after the other.
 *
 * What a response holds apart from streamed literals is limited (REMOTE_RESPONSE_MAX), however many tokens it consists
 * of; a streamed literal is handed on in pieces and never held. So that a server cannot send for ever, whatever it
 * sends, there is a limit to the octets between two calls of remote_lex_welcome, too. The first failure sticks: every
 * later call fails, so that a parser checks once at its end. Slices given out live until remote_lex_next. Used
 * by one thread.
 */
#ifndef RESTANTE_TOOLS_REMOTE_LEX_H
#define RESTANTE_TOOLS_REMOTE_LEX_H

#include "lib/arena.h"
#include "lib/err.h"

#define REMOTE_RESPONSE_MAX (1u << 20)
#define REMOTE_NOISE_MAX    (256u << 20)        /* more than the UIDs of 20 million messages, one by one */
#define REMOTE_SKIP_MAX     (16u << 20)         /* a longer literal is not read over: the connection is given up */
#define REMOTE_DEPTH_MAX    64          /* parentheses in parentheses */

/* Where octets come from: as remote_conn_fill and remote_conn_take. */
struct remote_source {
	enum rc (*fill)(void *arg, struct slice *have, struct err *e);
	void    (*take)(void *arg, size_t n);
	void     *arg;
};

struct remote_lex {
	struct remote_source source;
	struct slice         have;      /* read, of it `used` octets are tokens already */
	size_t               used;
	uint64_t             spent;     /* octets of this response that count */
	uint64_t             noise;     /* octets since remote_lex_welcome */
	uint64_t             noise_max;
	struct arena         arena;
	enum rc              rc;        /* not RC_OK: failed, err says how */
	struct err           err;
};

/* noise_max 0: REMOTE_NOISE_MAX */
void remote_lex_init(struct remote_lex *l, struct remote_source source, uint64_t noise_max);
void remote_lex_fini(struct remote_lex *l);
/* The next response begins: slices of the one before are gone. Not after a failure. */
void remote_lex_next(struct remote_lex *l);
/* Octets read but not taken stay in the source: before anybody else reads from it. */
void remote_lex_give_back(struct remote_lex *l);
/* Fail with RC_SYNTAX, unless failed already. Returns false. */
bool remote_lex_fail(struct remote_lex *l, const char *what);
/* Fail with RC_LIMIT, unless failed already. Returns false. */
bool remote_lex_refuse(struct remote_lex *l, const char *why);
/* What was read until now was wanted, or something is asked for anew: noise is counted from here. */
void remote_lex_welcome(struct remote_lex *l);
/* This much may be read on top; for lists whose items are checked one by one. */
void remote_lex_forgive(struct remote_lex *l, size_t octets);

/* The next octet without taking it, -1 after a failure. */
int  remote_lex_peek(struct remote_lex *l);
/* Take it if it is `c`. */
bool remote_lex_take(struct remote_lex *l, uint8_t c);
/* Fail unless it is `c`. */
bool remote_lex_expect(struct remote_lex *l, uint8_t c);
/* CRLF; a bare LF passes, as some servers send it. */
bool remote_lex_eol(struct remote_lex *l);
/* At least one octet of what atoms, flags, tags and numbers consist of: no space, control, parenthesis, brace, quote.
 * Brackets belong to it but for "]" at the end of a response code, which callers within one stop at (`in_code`). */
bool remote_lex_word(struct remote_lex *l, bool in_code, struct slice *out);
bool remote_lex_number(struct remote_lex *l, uint64_t max, uint64_t *out);
/* quoted / literal                                  [RFC 9051 s9]; `out` owned by the lexer */
bool remote_lex_string(struct remote_lex *l, struct slice *out);
/* atom / string; "[" and "]" within mailbox names, as servers send them, too */
bool remote_lex_astring(struct remote_lex *l, struct slice *out);
/* nstring; *nil for NIL, which gives an empty slice */
bool remote_lex_nstring(struct remote_lex *l, struct slice *out, bool *nil);
/* "{n}" CRLF, also "{n+}" and "~{n}": *len, taken then by remote_lex_literal */
bool remote_lex_literal_head(struct remote_lex *l, uint64_t *len);
/* Some of the next `max` octets, at least one; they count for nothing. Valid until the next call. */
bool remote_lex_literal(struct remote_lex *l, uint64_t max, struct slice *out);
bool remote_lex_skip_literal(struct remote_lex *l, uint64_t len);
/* What is left of the line, without its end, which is taken. */
bool remote_lex_rest(struct remote_lex *l, struct slice *out);
/* One value of any shape: word, string, list of values. Literals in it are read over. */
bool remote_lex_skip_value(struct remote_lex *l);
/* All that is left of the response, literals in it included. */
bool remote_lex_skip_line(struct remote_lex *l);

#endif
