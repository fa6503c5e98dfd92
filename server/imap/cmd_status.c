/* cmd_status - STATUS [RFC 9051 s6.3.11], with SIZE and DELETED, and APPENDLIMIT [RFC 7889]. */
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
	STATUS_APPENDLIMIT = 1 << 7,
};

static const struct {
	const char      *name;
	enum status_item item;
} item_names[] = {
	{ "MESSAGES", STATUS_MESSAGES },       { "RECENT", STATUS_RECENT },   { "UIDNEXT", STATUS_UIDNEXT },
	{ "UIDVALIDITY", STATUS_UIDVALIDITY }, { "UNSEEN", STATUS_UNSEEN },   { "DELETED", STATUS_DELETED },
	{ "SIZE", STATUS_SIZE },               { "APPENDLIMIT", STATUS_APPENDLIMIT },
};

#define ITEM_COUNT (sizeof item_names / sizeof item_names[0])

/* status-att = "MESSAGES" / "UIDNEXT" / ...                         [RFC 9051 s9] */
static bool
parse_status_item(struct cursor *c, uint32_t *items)
{
	struct cursor ahead = *c;
	struct slice name;

	if (!parse_atom(&ahead, &name))
		name = SLICE_NONE;
	for (size_t i = 0; i < ITEM_COUNT; i++) {
		if (slice_eq_nocase(name, slice_str(item_names[i].name))) {
			*items |= item_names[i].item;
			*c = ahead;
			return true;
		}
	}
	return cur_fail(
	    c, "MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, DELETED, SIZE or APPENDLIMIT");
}

bool
parse_status_items(struct cursor *c, uint32_t *items)
{
	*items = 0;
	if (!cur_want(c, '('))
		return false;
	do {
		if (!parse_status_item(c, items))
			return false;
	} while (cur_take(c, ' '));
	return cur_want(c, ')');
}

static uint64_t
item_value(const struct imap *im, const struct mailbox_info *box, enum status_item item)
{
	uint32_t fresh = box->uidnext > box->recent_from ? box->uidnext - box->recent_from : 0;

	switch (item) {
	case STATUS_MESSAGES:
		return box->exists;
	case STATUS_RECENT:
		return fresh < box->exists ? fresh : box->exists;
	case STATUS_UIDNEXT:
		return box->uidnext;
	case STATUS_UIDVALIDITY:
		return box->uidvalidity;
	case STATUS_UNSEEN:
		return box->unseen;
	case STATUS_DELETED:
		return box->deleted;
	case STATUS_SIZE:
		return box->size;
	case STATUS_APPENDLIMIT:
		return session_conf(im->s)->limits.message_size;
	}
	return 0;
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
		buf_append_u64(out, item_value(im, box, item_names[i].item));
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
		return cur_fail(c, "shorter command (memory limit)");
	im->args = args;
	return cur_space(c) && parse_mailbox(im, c, &args->name) && cur_space(c) &&
	       parse_status_items(c, &args->items);
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
};
