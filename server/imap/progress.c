/* progress - "* OK [INPROGRESS ...]" of commands that take long [RFC 9585]: the first one after
 * FIRST_MS, then every EVERY_MS, so that nobody's connection is thought dead and nobody is flooded
 * [s5]. The numbers are of whatever unit the command counts in; the RFC leaves it open. */
#include "lib/clock.h"
#include "server/imap/private.h"

#define FIRST_MS 2000u
#define EVERY_MS 10000u         /* "at most every 10 seconds" is what clients expect of keep-alives */

/* The goal is NIL when not known; the progress never passes it [RFC 9585 s4]. */
static void
out_numbers(struct buf *out, uint64_t done, uint64_t total)
{
	buf_append_byte(out, ' ');
	buf_append_u64(out, total > 0 && done > total ? total : done);
	buf_append_byte(out, ' ');
	if (total > 0)
		buf_append_u64(out, total);
	else
		buf_append_str(out, "NIL");
}

void
imap_progress(struct imap *im, uint64_t done, uint64_t total)
{
	struct imap_private *p = im->priv;
	uint64_t now = clock_mono_ms();
	struct buf *out = imap_out(im);

	if (p->begun_ms == 0)
		p->begun_ms = now;
	if (now - p->begun_ms < FIRST_MS || now - p->progress_ms < EVERY_MS)
		return;
	p->progress_ms = now;
	buf_append_str(out, "* OK [INPROGRESS (");
	imap_out_string(out, im->tag);
	out_numbers(out, done, total);
	buf_append_str(out, ")] Still at it\r\n");
}
