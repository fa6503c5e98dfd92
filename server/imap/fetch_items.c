/* fetch_items - the data items of a FETCH response that come from the index alone [RFC 9051
 * s7.5.2]. */
#include "server/imap/fetch.h"

#include <assert.h>

/* NIL: the message came before threads were kept [RFC 8474 s5.3]. */
static void
write_threadid(struct buf *out, uint64_t threadid)
{
	buf_append_str(out, "THREADID ");
	if (threadid == 0) {
		buf_append_str(out, "NIL");
		return;
	}
	buf_append_byte(out, '(');
	imap_out_threadid(out, threadid);
	buf_append_byte(out, ')');
}

/* NIL is for LAZY alone [RFC 8970 s3.2]. */
static void
write_preview(struct imap *im, const struct fetch *f, const struct fetch_item *it)
{
	struct buf *out = imap_out(im);

	buf_append_str(out, "PREVIEW ");
	if (f->preview_damaged && it->lazy)
		buf_append_str(out, "NIL");
	else
		imap_out_text(im, f->preview.len > 0 ? buf_slice(&f->preview) : SLICE(""));
}

/* ENVELOPE and BODYSTRUCTURE may be some MiB: they go out in pieces. What cannot be rendered is
 * damage in the index, and goes out as it stands there. */
static void
set_envelope(struct imap *im, struct fetch *f)
{
	f->rest = f->summary.envelope;
	buf_reset(&f->rendered);
	if (im->utf8 && mime_quote_utf8(f->rest, &f->rendered))
		f->rest = buf_slice(&f->rendered);
}

/* message/global is nested for sessions that know it [RFC 9051 s7.5.2, RFC 9755 s6]; the grammar of
 * RFC 3501 has no such form, so others get it as they get any type. Extended parameters are decoded
 * for IMAP4rev2 alone: clients of IMAP4rev1 know "filename*" as what the message has, and decode
 * it themselves. */
static void
set_structure(struct imap *im, struct fetch *f, unsigned forms)
{
	f->rest = f->summary.bodystructure;
	if (im->utf8)
		forms |= MIME_FORM_UTF8;
	else if (mime_has_global(f->rest))
		forms |= MIME_FORM_FLAT_GLOBAL;
	if (im->rev2)
		forms |= MIME_FORM_DECODED;
	buf_reset(&f->rendered);
	if (forms != 0 && mime_render_structure(f->rest, forms, &f->rendered))
		f->rest = buf_slice(&f->rendered);
}

void
fetch_write_item(struct imap *im, struct fetch *f, const struct fetch_item *item)
{
	const struct message_row *row = fetch_row(f);
	struct buf *out = imap_out(im);

	switch (item->kind) {
	case FETCH_UID:
		buf_append_str(out, "UID ");
		buf_append_u64(out, row->uid);
		break;
	case FETCH_FLAGS:
		buf_append_str(out, "FLAGS ");
		imap_out_flags(out, row->flags, row->keywords,
			       !im->rev2 && row->uid >= im->view.recent_from);
		break;
	case FETCH_INTERNALDATE:
		buf_append_str(out, "INTERNALDATE ");
		imap_out_date(out, row->internaldate);
		break;
	case FETCH_RFC822_SIZE:
		buf_append_str(out, "RFC822.SIZE ");
		buf_append_u64(out, row->size);
		break;
	case FETCH_MODSEQ:
		imap_out_modseq(im, row->modseq);
		break;
	case FETCH_EMAILID:
		buf_append_str(out, "EMAILID (");
		imap_out_emailid(out, row->sha256);
		buf_append_byte(out, ')');
		break;
	case FETCH_THREADID:
		write_threadid(out, row->threadid);
		break;
	case FETCH_SAVEDATE:
		buf_append_str(out, "SAVEDATE ");
		imap_out_date(out, row->savedate);
		break;
	case FETCH_PREVIEW:
		write_preview(im, f, item);
		break;
	case FETCH_ENVELOPE:
		buf_append_str(out, "ENVELOPE ");
		set_envelope(im, f);
		break;
	case FETCH_BODY:
		buf_append_str(out, "BODY ");
		set_structure(im, f, MIME_FORM_BODY);
		break;
	case FETCH_BODYSTRUCTURE:
		buf_append_str(out, "BODYSTRUCTURE ");
		set_structure(im, f, 0);
		break;
	case FETCH_SECTION:
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE:
		assert(false && "a section is not written here");
		break;
	}
}
