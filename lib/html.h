/* html - the text of an HTML body: what a reader would see, for search and for previews.
 *
 * Tags go. Those of blocks leave a line end, those of table cells a space, all others join what stands around them
 * ("<b>f</b>oo" is "foo"). Runs of white space become one space, as in a browser. Comments, declarations and the
 * contents of script, style, title, iframe, noembed and noframes are dropped: nobody sees them in the message. The
 * alternative text of images stays, since it is what most readers of newsletters see first, and often says the only
 * words there are; title attributes and addresses of links do not. Text that a style hides stays: it is mostly
 * written for previews.
 *
 * Any input is taken: what is no tag or reference is text. Linear; memory is the struct and the output. Pure: one
 * struct is used by one thread at a time.
 */
#ifndef RESTANTE_LIB_HTML_H
#define RESTANTE_LIB_HTML_H

#include "lib/buf.h"

#define HTML_NAME_MAX 32u       /* of a tag, an attribute or a reference that means something */

/* The caller's storage; html_text_init, then pieces cut anywhere, then html_text_finish. No resources are held. */
struct html_text {
	uint8_t  state;                 /* enum html_state */
	uint8_t  back;                  /* where a reference returns to */
	uint8_t  quote;                 /* of an attribute's value; 0: none */
	uint8_t  due;                   /* white space before the next character */
	bool     any;                   /* something was written */
	bool     closing;               /* "</..." */
	bool     alt;                   /* the value under way is shown */
	uint8_t  matched;               /* octets of the end tag of `raw`, or dashes of a comment's end */
	uint8_t  tag_len, name_len;     /* HTML_NAME_MAX + 1: too long to mean anything */
	uint8_t  tag[HTML_NAME_MAX];    /* lower case */
	uint8_t  name[HTML_NAME_MAX];   /* of the attribute, lower case, or of the reference as written */
};

void html_text_init(struct html_text *t);
/* UTF-8 in, UTF-8 appended to out; what does not fit is lost and out->failed says so. */
void html_text_feed(struct html_text *t, struct slice html, struct buf *out);
/* The end: a reference or a "<" that was still open is text. */
void html_text_finish(struct html_text *t, struct buf *out);

/* All at once. False if out had no room for all: it then holds what fitted, cut at octets. */
bool html_to_text(struct slice html_utf8, struct buf *out);

/* The character that a named reference of HTML 4 (or "apos") means; 0: unknown. `legacy`: also without ";". */
uint32_t html_entity(struct slice name, bool *legacy);

#endif
