/* cmd_status - STATUS [RFC 9051 s6.3.11], with the items of CONDSTORE [RFC 7162 s3.1.7],
 * APPENDLIMIT [RFC 7889 s3.1], OBJECTID [RFC 8474 s4.3] and QUOTA [RFC 9208 s4.1.4].
 *
 * All values are counters of the mailbox's row: the cost does not follow the messages. RECENT is
 * IMAP4rev1's; where a client has enabled IMAP4rev2 it is no item any more [RFC 9051 s9].
 */
#include "server/imap/commands.h"
#include "server/imap/status.h"

enum status_item {
	STATUS_MESSAGES = 1 << 0,
	STATUS_RECENT = 1 << 1,
	STATUS_UIDNEXT = 1 << 2,
	STATUS_UIDVALIDITY = 1 << 3,
	STATUS_UNSEEN = 1 << 4,
	STATUS_DELETED = 1 << 5,
	STATUS_SIZE = 1 << 6,
	STATUS_HIGHESTMODSEQ = 1 << 7,
	STATUS_APPENDLIMIT = 1 << 8,
	STATUS_MAILBOXID = 1 << 9,
	STATUS_DELETED_STORAGE = 1 << 10,
};

static const struct {
	const char      *name;
	enum status_item item;
} item_names[] = {
	{ "MESSAGES", STATUS_MESSAGES },
	{ "RECENT", STATUS_RECENT },
	{ "UIDNEXT", STATUS_UIDNEXT },
	{ "UIDVALIDITY", STATUS_UIDVALIDITY },
	{ "UNSEEN", STATUS_UNSEEN },
	{ "DELETED", STATUS_DELETED },
	{ "SIZE", STATUS_SIZE },
	{ "HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ },
	{ "APPENDLIMIT", STATUS_APPENDLIMIT },
	{ "MAILBOXID", STATUS_MAILBOXID },
	{ "DELETED-STORAGE", STATUS_DELETED_STORAGE },
};

#define ITEM_COUNT (sizeof item_names / sizeof item_names[0])

/* status-att = "MESSAGES" / "UIDNEXT" / ...                         [RFC 9051 s9] */
static bool
parse_status_item(const struct imap *im, struct cursor *c, uint32_t *items)
{
	struct cursor ahead = *c;
	struct slice name;

	if (!parse_atom(&ahead, &name))
		name = SLICE_NONE;
	for (size_t i = 0; i < ITEM_COUNT; i++) {
		if (!slice_eq_nocase(name, slice_str(item_names[i].name)) ||
		    (im->rev2 && item_names[i].item == STATUS_RECENT))
			continue;
		*items |= item_names[i].item;
		*c = ahead;
		return true;
	}
	return cur_fail(c, "MESSAGES, UIDNEXT, UIDVALIDITY, UNSEEN, DELETED, SIZE, HIGHESTMODSEQ, "
	                   "APPENDLIMIT, MAILBOXID or DELETED-STORAGE");
}

bool
parse_status_items(struct imap *im, struct cursor *c, uint32_t *items)
{
	if (!cur_want(c, '('))
		return false;
	do {
		if (!parse_status_item(im, c, items))
			return false;
	} while (cur_take(c, ' '));
	return cur_want(c, ')');
}

static uint32_t
count_recent(const struct mailbox_info *box)
{
	uint32_t fresh = box->uidnext > box->recent_from ? box->uidnext - box->recent_from : 0;

	return fresh < box->exists ? fresh : box->exists;
}

static void
out_value(struct imap *im, const struct mailbox_info *box, enum status_item item)
{
	struct buf *out = imap_out(im);

	switch (item) {
	case STATUS_MESSAGES:
		buf_append_u64(out, box->exists);
		break;
	case STATUS_RECENT:
		buf_append_u64(out, count_recent(box));
		break;
	case STATUS_UIDNEXT:
		buf_append_u64(out, box->uidnext);
		break;
	case STATUS_UIDVALIDITY:
		buf_append_u64(out, box->uidvalidity);
		break;
	case STATUS_UNSEEN:
		buf_append_u64(out, box->unseen);
		break;
	case STATUS_DELETED:
		buf_append_u64(out, box->deleted);
		break;
	case STATUS_SIZE:
		buf_append_u64(out, box->size);
		break;
	case STATUS_HIGHESTMODSEQ:
		buf_append_u64(out, box->highestmodseq);
		break;
	case STATUS_APPENDLIMIT:
		buf_append_u64(out, session_conf(im->s)->limits.message_size);
		break;
	case STATUS_MAILBOXID:
		buf_append_byte(out, '(');
		imap_out_mailboxid(out, box->mailboxid);
		buf_append_byte(out, ')');
		break;
	case STATUS_DELETED_STORAGE:
		buf_append_u64(out, box->deleted_size);
		break;
	}
}

void
imap_status_enables(struct imap *im, uint32_t items)
{
	if ((items & STATUS_HIGHESTMODSEQ) != 0)
		imap_enable_condstore(im);
}

void
imap_out_status(struct imap *im, const struct mailbox_info *box, uint32_t items)
{
	struct buf *out = imap_out(im);
	const char *gap = "";

	buf_append_str(out, "* STATUS ");
	imap_out_mailbox(im, box->name);
	buf_append_str(out, " (");
	for (size_t i = 0; i < ITEM_COUNT; i++) {
		if ((items & item_names[i].item) == 0)
			continue;
		buf_append_str(out, gap);
		buf_append_str(out, item_names[i].name);
		buf_append_byte(out, ' ');
		out_value(im, box, item_names[i].item);
		gap = " ";
	}
	buf_append_str(out, ")\r\n");
}

struct status_args {
	struct slice name;
	uint32_t     items;
};

/* status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"     [RFC 9051 s9] */
static bool
status_parse(struct imap *im, struct cursor *c)
{
	struct status_args *args = arena_zalloc(&im->arena, sizeof *args);

	if (args == NULL)
		return cur_limit(c, "shorter command (memory limit)");
	im->args = args;
	return cur_space(c) && parse_mailbox(im, c, &args->name) && cur_space(c) &&
	       parse_status_items(im, c, &args->items);
}

/* Enabling CONDSTORE is not taken back. */
static bool
status_reads_little(struct imap *im)
{
	const struct status_args *args = im->args;

	return im->condstore || (args->items & STATUS_HIGHESTMODSEQ) == 0;
}

static enum imap_result
status_run(struct imap *im)
{
	struct status_args *args = im->args;
	struct mailbox_info box;
	struct err e = ERR_INIT;
	enum rc rc = volume_find_mailbox(im->volume, im->account, args->name, &im->arena, &box, &e);

	if (rc != RC_OK) {
		imap_reply_error(im, rc, &e);
		return IMAP_DONE;
	}
	imap_status_enables(im, args->items);
	imap_out_status(im, &box, args->items);
	imap_reply(im, IMAP_OK, "STATUS completed");
	return IMAP_DONE;
}

const struct imap_command imap_cmd_status = {
	.name = "STATUS",
	.states = IMAP_AUTH | IMAP_SELECTED,
	.effect = EFFECT_NONE,
	.parse = status_parse,
	.run = status_run,
	.reads_little = status_reads_little,
};
