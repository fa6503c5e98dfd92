/* dots - where the mail data of DATA ends, and its dot-stuffing [RFC 5321 s4.5.2, s4.1.1.4].
 *
 * Incremental over any split of the input. Only CRLF "." CRLF ends the data; a dot behind a bare LF or CR, or before
 * one, ends nothing: whoever sees an end where another server saw none lets messages be smuggled. Pure.
 */
#ifndef RESTANTE_SERVER_LMTP_DOTS_H
#define RESTANTE_SERVER_LMTP_DOTS_H

#include "lib/slice.h"

enum dots_state {
	DOTS_LINE,              /* at the beginning of a line */
	DOTS_DOT,               /* behind its leading dot */
	DOTS_DOT_CR,            /* behind the leading dot and a CR */
	DOTS_TEXT,              /* elsewhere */
	DOTS_END,               /* all of the data has been seen */
};

struct dots {
	enum dots_state state;
	bool            cr;     /* DOTS_TEXT: the byte before was a CR */
};

void dots_init(struct dots *d);
/* Take some of `in` (not empty) and yield a piece of the message, maybe an empty one, which points into `in` or to a
 * constant. Returns how many bytes of `in` are dealt with; to be called again for the rest until the state is DOTS_END,
 * behind which nothing is touched. Every call takes a byte or changes the state. */
size_t dots_next(struct dots *d, struct slice in, struct slice *piece);

#endif
