/* dots - the end of mail data and its dot-stuffing. See dots.h. */
#include "server/lmtp/dots.h"

#include <assert.h>

void
dots_init(struct dots *d)
{
	*d = (struct dots){ DOTS_LINE, false };
}

/* Up to a CRLF behind which a dot comes, or nothing yet: other lines begin with nothing to look at. */
static size_t
take_text(struct dots *d, struct slice in, struct slice *piece)
{
	for (size_t at = 0, lf; at < in.len; at = lf + 1) {
		lf = at + slice_find_pair(slice_sub(in, at, in.len), '\n', '.');
		if (lf == in.len && in.ptr[--lf] != '\n')
			break;
		if (lf > 0 ? in.ptr[lf - 1] == '\r' : d->cr) {
			*piece = slice_sub(in, 0, lf + 1);
			dots_init(d);
			return lf + 1;
		}
	}
	*piece = in;
	d->cr = in.ptr[in.len - 1] == '\r';
	return in.len;
}

size_t
dots_next(struct dots *d, struct slice in, struct slice *piece)
{
	assert(in.len > 0 && d->state != DOTS_END);
	*piece = SLICE_NONE;
	switch (d->state) {
	case DOTS_LINE:
		d->state = in.ptr[0] == '.' ? DOTS_DOT : DOTS_TEXT;
		return d->state == DOTS_DOT ? 1 : 0;
	case DOTS_DOT:
		d->state = in.ptr[0] == '\r' ? DOTS_DOT_CR : DOTS_TEXT;
		return d->state == DOTS_DOT_CR ? 1 : 0;
	case DOTS_DOT_CR:
		if (in.ptr[0] == '\n') {
			d->state = DOTS_END;
			return 1;
		}
		*piece = SLICE("\r");   /* the dot was stuffing, the CR is the message's */
		*d = (struct dots){ DOTS_TEXT, true };
		return 0;
	case DOTS_TEXT:
		return take_text(d, in, piece);
	case DOTS_END:
		break;
	}
	return 0;
}
