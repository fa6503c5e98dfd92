/* mime_header - collects, line piece by line piece, those fields of one header block that a summary is made of.
 * Internal to lib/mime*. Memory is bounded by MIME_LIST_MAX and MIME_HEADER_MAX whatever the header.
 */
#ifndef RESTANTE_LIB_MIME_HEADER_H
#define RESTANTE_LIB_MIME_HEADER_H

#include "lib/buf.h"

enum mime_field {
	MIME_FIELD_DATE,
	MIME_FIELD_SUBJECT,
	MIME_FIELD_FROM,
	MIME_FIELD_SENDER,
	MIME_FIELD_REPLY_TO,
	MIME_FIELD_TO,
	MIME_FIELD_CC,
	MIME_FIELD_BCC,
	MIME_FIELD_IN_REPLY_TO,
	MIME_FIELD_MESSAGE_ID,
	MIME_FIELD_REFERENCES,
	MIME_FIELD_TYPE,
	MIME_FIELD_ENCODING,
	MIME_FIELD_ID,
	MIME_FIELD_DESCRIPTION,
	MIME_FIELD_DISPOSITION,
	MIME_FIELD_LANGUAGE,
	MIME_FIELD_LOCATION,
	MIME_FIELD_MD5,
	MIME_FIELD_COUNT,
};

struct mime_header {
	struct buf field;       /* the field that is being read, raw */
	struct buf text;        /* kept values, unfolded, one after the other */
	struct {
		size_t off, len;
		bool   present;
	} kept[MIME_FIELD_COUNT];
	bool skip;              /* the field being read is none of ours */
	bool subjects;          /* a field that some reader takes for Subject is not the one that is kept */
	bool cut;               /* a limit was met since mime_header_init */
	bool nomem;             /* memory was missing since then: what is kept is not to be used */
};

void mime_header_init(struct mime_header *h);
void mime_header_fini(struct mime_header *h);
void mime_header_reset(struct mime_header *h);  /* a new block begins; `cut` stays */

/* The next piece (not empty) of a header line; `starts` when it is the line's first. */
void mime_header_feed(struct mime_header *h, struct slice piece, bool starts);
/* The line that is being read is not of this header. */
void mime_header_drop_line(struct mime_header *h);
void mime_header_end(struct mime_header *h);

/* The first field of its kind, unfolded, blanks at both ends removed; ptr is NULL if there is none. */
struct slice mime_header_get(const struct mime_header *h, enum mime_field f);

#endif
