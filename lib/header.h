/* header - the fields of a header block [RFC 5322 s2.2], as slices of it.
 *
 * A block is the bytes of a header with or without its blank line, CRLF or LF line ends. A line without a colon is a
 * field without a name. All functions are pure, linear, and may be used from any thread.
 */
#ifndef RESTANTE_LIB_HEADER_H
#define RESTANTE_LIB_HEADER_H

#include "lib/buf.h"

struct header_field {
	struct slice raw;       /* the whole field with its line ends */
	struct slice name;      /* without trailing blanks; empty when there is no colon */
	struct slice value;     /* behind the colon, still folded, blanks at both ends removed */
};

/* Take the next field off the front of *block. False at the blank line (not taken) or at the end. */
bool header_next(struct slice *block, struct header_field *out);
/* The first field of that name, ASCII case ignored. */
bool header_find(struct slice block, struct slice name, struct header_field *out);
/* Append value without its folding line ends (the white space stays) [RFC 5322 s2.2.3]. */
bool header_unfold(struct slice value, struct buf *out);

/* Append the decoded parameter `param` of the field `name`, such as the charset of Content-Type
 * [RFC 2045 s5.1, RFC 2231]. False if the block has none, or out no room. */
bool header_find_param(struct slice block, struct slice name, struct slice param, struct buf *out);

enum header_subset {
	HEADER_FIELDS,          /* the named ones */
	HEADER_FIELDS_NOT,      /* the others */
};
/* Append the wanted fields, then the blank line if the block has one [RFC 9051 s6.4.5.1]. False if out has no room. */
bool header_subset(struct slice block, enum header_subset which, const struct slice *names,
                   size_t n, struct buf *out);

/* Append a field's value as UTF-8 text fit to search in: unfolded, encoded-words [RFC 2047] and extended parameters
 * [RFC 2231] decoded, mislabelled charsets guessed, text_searchfold() applied. What cannot be decoded stays as
 * written. Search keys go through text_searchfold() to be compared with it. False if it did not fit: out then
 * holds what did. */
bool header_decode_text(struct slice value, struct buf *out);

#endif
