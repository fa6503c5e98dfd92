/* mime_render - header values as they stand in ENVELOPE and BODYSTRUCTURE [RFC 9051 s7.5.2]. Internal to lib/mime*. */
#ifndef RESTANTE_LIB_MIME_RENDER_H
#define RESTANTE_LIB_MIME_RENDER_H

#include "lib/mime.h"
#include "lib/mime_header.h"

/* The fields of an entity that say what it is. */
struct mime_content {
	enum mime_kind kind;
	enum transfer_encoding encoding;
	uint32_t flags;                 /* MIME_PART_HTML, _PLAIN, _ATTACHMENT */
	bool     digest;                /* multipart/digest: its parts are messages by default [RFC 2046 s5.1.5] */
	bool     cut;
	size_t   boundary_len;
	uint8_t  boundary[MIME_BOUNDARY_MAX];
};

/* quoted [RFC 9051 s9], for a string without NUL, CR and LF. */
void mime_render_quoted(struct buf *out, struct slice s);
/* nstring: NIL for a NULL ptr, else quoted or, where that cannot be or would be long, a literal; NUL becomes 0x80. */
void mime_render_nstring(struct buf *out, struct slice s);
/* "(date subject ...)"; *cut is set when addresses were left out. */
void mime_render_envelope(const struct mime_header *h, struct buf *out, bool *cut);

enum mime_default {
	MIME_DEFAULT_TEXT,      /* text/plain; charset=us-ascii [RFC 2045 s5.2] */
	MIME_DEFAULT_MESSAGE,   /* message/rfc822 */
};

/* Read the MIME fields into *c and append what BODYSTRUCTURE says of them:
 * basic: what stands before the size (multipart: the subtype and all behind it), ext: md5 and what follows (multipart:
 * nothing). With `opaque` a container counts as application/octet-stream. Without memory basic or ext is failed. */
void mime_render_content(const struct mime_header *h, enum mime_default def, bool opaque,
                         struct mime_content *c, struct buf *basic, struct buf *ext);

#endif
