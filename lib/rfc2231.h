/* rfc2231 - the parameters of MIME header fields [RFC 2045 s5.1], continuations joined [RFC 2231]. */
#ifndef RESTANTE_LIB_RFC2231_H
#define RESTANTE_LIB_RFC2231_H

#include "lib/buf.h"

#define PARAM_MAX 100u

struct param {
	struct slice name;      /* as written; continued or extended ones without "*0"; a final '*' says: extended */
	struct slice value;     /* quotes removed; if extended charset'language'percent-encoded */
};

struct param_list {
	struct param items[PARAM_MAX];
	size_t       n;
	bool         cut;       /* there were more */
	struct buf   text;      /* owns the bytes */
};

void param_list_init(struct param_list *l);
void param_list_fini(struct param_list *l);

/* The parameters of what follows a value in a Content-Type or Content-Disposition: `in` starts at the first ';' or at
 * its end. Lenient and linear. Pieces foo*0, foo*1 become one foo (or foo*, if any piece is extended) in the place of
 * the first; pieces behind a gap stay as written. False without memory. */
bool param_list_parse(struct param_list *l, struct slice in);
/* The first parameter of that name, or of that name with '*'; NULL if there is none. */
const struct param *param_find(const struct param_list *l, struct slice name);
/* Append the value as UTF-8: extended ones by their charset, others by RFC 2047, as many mailers write them. */
bool param_decode(const struct param *p, struct buf *out);

/* Take the value in front, a token such as "text/plain" with blanks and comments dropped, into *out; *rest starts at
 * the ';' behind it, or is empty. False without room. */
bool param_take_value(struct slice in, struct buf *out, struct slice *rest);

#endif
