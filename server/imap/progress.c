/* progress - "* OK [INPROGRESS ...]" of commands that take long [RFC 9585]: the first one after
 * limits.progress_interval (10 s, as s4 recommends), then as often, so that nobody's connection is
 * thought dead and nobody is flooded. What is counted is messages wherever the command can [s4]. */
#include "lib/clock.h"
#include "server/imap/private.h"

/* number = below 2^32 [RFC 9051 s9] */
static uint64_t
clip(uint64_t n)
{
	return n < UINT32_MAX ? n : UINT32_MAX;
}

/* The goal is NIL when it is not known, and greater than the progress otherwise [s4]. */
static void
out_numbers(struct buf *out, uint64_t done, uint64_t total)
{
	total = clip(total);
	done = clip(done);
	if (total > 0 && done >= total)
		done = total - 1;
	buf_append_byte(out, ' ');
	buf_append_u64(out, done);
	buf_append_byte(out, ' ');
	if (total > 0)
		buf_append_u64(out, total);
	else
		buf_append_str(out, "NIL");
}

/* A tag with "]" would end the response code early: NIL [s4]. */
static void
out_tag(struct buf *out, struct slice tag)
{
	if (slice_find_byte(tag, ']') < tag.len)
		buf_append_str(out, "NIL");
	else
		imap_out_string(out, tag);
}

void
imap_progress(struct imap *im, uint64_t done, uint64_t total)
{
	struct imap_private *p = im->priv;
	uint64_t now = clock_mono_ms(), last;
	struct buf *out = imap_out(im);

	if (p->begun_ms == 0)
		p->begun_ms = now;
	last = p->progress_ms > 0 ? p->progress_ms : p->begun_ms;
	if (now - last < session_conf(im->s)->limits.progress_interval)
		return;
	p->progress_ms = now;
	buf_append_str(out, "* OK [INPROGRESS (");
	out_tag(out, im->tag);
	out_numbers(out, done, total);
	buf_append_str(out, ")] Still at it\r\n");
}
