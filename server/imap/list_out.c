/* list_out - see list_out.h.
 *
 * \HasChildren or \HasNoChildren goes out always, asked for or not: it costs nothing here, and
 * clients draw their trees with it [RFC 3348 s3, RFC 9051 s6.3.9.5]. A name that is no mailbox
 * has no children, because every parent of a mailbox is one. Special uses go out always too:
 * clients rely on LIST and LSUB for finding Sent and Trash [RFC 6154 s2 MAY].
 */
#include "server/imap/list_out.h"

#include "index/special_use.h"

static void
out_word(struct buf *out, const char **gap, const char *word)
{
	buf_append_str(out, *gap);
	buf_append_str(out, word);
	*gap = " ";
}

void
list_out_attributes(struct buf *out, unsigned bits, const struct mailbox_info *box)
{
	const char *gap = "";

	if ((bits & LIST_NOSELECT) != 0)
		out_word(out, &gap, "\\Noselect");
	if ((bits & LIST_NONEXISTENT) != 0)
		out_word(out, &gap, "\\NonExistent");
	if ((bits & LIST_SUBSCRIBED) != 0)
		out_word(out, &gap, "\\Subscribed");
	if (box != NULL || (bits & LIST_NONEXISTENT) != 0)
		out_word(out, &gap,
		         box != NULL && box->has_children ? "\\HasChildren" : "\\HasNoChildren");
	if (box != NULL)
		special_use_out(out, box->special_use);
}

/* childinfo-extended-item = "CHILDINFO" SP "(" list-select-base-opt-quoted *(SP ...) ")"
 * [RFC 9051 s9] */
void
list_out_childinfo(struct buf *out, const struct list_query *q)
{
	const char *gap = "";

	buf_append_str(out, " (\"CHILDINFO\" (");
	if (q->subscribed)
		out_word(out, &gap, "\"SUBSCRIBED\"");
	if (q->special_use)
		out_word(out, &gap, "\"SPECIAL-USE\"");
	buf_append_str(out, "))");
}

void
list_out_line(struct imap *im, unsigned bits, const struct mailbox_info *box, struct slice name,
              struct slice oldname)
{
	struct buf *out = imap_out(im);

	buf_append_str(out, "* LIST (");
	list_out_attributes(out, bits, box);
	buf_append_str(out, ") \"/\" ");
	imap_out_mailbox(im, name);
	if (oldname.ptr != NULL && im->rev2) {
		buf_append_str(out, " (\"OLDNAME\" (");
		imap_out_mailbox(im, oldname);
		buf_append_str(out, "))");
	}
	buf_append_str(out, "\r\n");
}

void
imap_out_list(struct imap *im, const struct mailbox_info *box, struct slice given)
{
	list_out_line(im, 0, box, box->name, given);
}
