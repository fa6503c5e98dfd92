/* remote_pop3 - a POP3 server as a source of import. See remote.h. */
#ifndef RESTANTE_TOOLS_REMOTE_POP3_H
#define RESTANTE_TOOLS_REMOTE_POP3_H

#include "tools/remote.h"

/* remote_open of a POP URL. */
MUST_USE enum rc remote_open_pop3(const struct remote_options *remote,
                                  const struct import_options *options, struct import_source *out,
                                  struct err *e);

/* Multi-line text [RFC 1939 s3] as it comes in: the dots that were put in taken out, its end found. */
enum pop3_text {
	POP3_LINE_START,
	POP3_DOT,                       /* behind a dot that begins a line */
	POP3_DOT_CR,
	POP3_LINE,
	POP3_CR,                        /* behind a CR */
	POP3_END,
};
/* Move octets from *in to `to`, as many as there are or fit, and forget them in *in. Returns how many were written.
 * `size` is at least 2. *state begins as POP3_LINE_START. */
size_t pop3_text_read(enum pop3_text *state, struct slice *in, uint8_t *to, size_t size);

#endif
