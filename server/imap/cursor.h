/* cursor - a place in one complete command, and the first production that failed there.
 *
 * The frame is what the framer collected: one command without its final CRLF, literals in place behind their
 * "{n}CRLF" (as the client sent them), so that results of productions are slices of the frame. Pure, any thread.
 */
#ifndef RESTANTE_SERVER_IMAP_CURSOR_H
#define RESTANTE_SERVER_IMAP_CURSOR_H

#include "lib/slice.h"

struct cursor {
	struct slice in;
	size_t       pos;
	const char  *expected;          /* the first production that failed, for the BAD text; NULL if none */
	size_t       failed_at;
	bool         limit;             /* that was a limit of ours, no flaw in the grammar */
	bool         utf8;              /* quoted strings must be UTF-8: the client has enabled it */
};

void cur_init(struct cursor *c, struct slice in);
bool cur_at_end(const struct cursor *c);
/* The next octet, or -1 at the end. */
int  cur_peek(const struct cursor *c);
/* Consume one octet if it is `ch`. No failure is recorded. */
bool cur_take(struct cursor *c, uint8_t ch);
/* Consume `word` if it is next, ASCII case-insensitively; what follows is not looked at. No failure is recorded. */
bool cur_take_word(struct cursor *c, const char *word);
/* As cur_take, recording "expected ..." on failure. */
bool cur_want(struct cursor *c, uint8_t ch);
bool cur_space(struct cursor *c);       /* exactly one SP */
/* Record the failure (the first one wins) and return false. `expected` is a string constant. */
bool cur_fail(struct cursor *c, const char *expected);
/* As cur_fail, for what the grammar allows and we do not take: NO [LIMIT], not BAD. */
bool cur_limit(struct cursor *c, const char *expected);
struct slice cur_rest(const struct cursor *c);

#endif
