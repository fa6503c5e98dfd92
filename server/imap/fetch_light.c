/* fetch_light - a FETCH of little runs on the reactor: what is little, and going back to the beginning.
 *
 * Nothing that such a run says goes out before it ends, so what is refused or goes wrong in it is undone and met again
 * on the pool, which knows what to say. For that reason the log is not looked at before a message is begun either. A
 * run that comes to something that is not little ends before it, between two messages, and the pool goes on there.
 */
#include "index/place_cache.h"
#include "lib/nowait.h"
#include "server/imap/fetch.h"

#define RANGES_MAX  512u        /* of set and view: what is looked through */
#define NAMES_MAX   40u         /* of fields, in the whole command */
#define WEIGHT_MAX  4000u       /* units of some 0.1 us */
#define ROW_MAX     16384u      /* octets that the index has of one message */

/* What an item of one message takes. */
static unsigned
weight_of(const struct fetch_item *it)
{
	switch (it->kind) {
	case FETCH_UID:
	case FETCH_FLAGS:
	case FETCH_MODSEQ:
	case FETCH_INTERNALDATE:
	case FETCH_RFC822_SIZE:
	case FETCH_EMAILID:
	case FETCH_THREADID:
	case FETCH_SAVEDATE:
		return 1;
	case FETCH_ENVELOPE:
	case FETCH_BODY:
	case FETCH_BODYSTRUCTURE:
		return 6;
	case FETCH_SECTION:
		return it->text == FETCH_TEXT_NONE || it->text == FETCH_TEXT_TEXT ? 1000 : 200;
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE:
	case FETCH_PREVIEW:
		break;
	}
	return WEIGHT_MAX + 1;
}

/* So many messages. */
static bool
is_little(const struct fetch_request *r, uint64_t messages)
{
	size_t names = 0;
	uint64_t each = 2;

	for (size_t i = 0; i < r->count; i++) {
		each += weight_of(&r->items[i]);
		names += r->items[i].name_count;
	}
	return messages <= WEIGHT_MAX && messages * each <= WEIGHT_MAX && names <= NAMES_MAX;
}

static bool
enables_condstore(const struct imap *im, const struct fetch_request *r)
{
	for (size_t i = 0; i < r->count && !im->condstore; i++)
		if (r->items[i].kind == FETCH_MODSEQ)
			return true;
	return false;
}

/* Where columns are to be made, on the pool, there is more for all that come after. */
static bool
lists_little(struct imap *im, const struct fetch *f)
{
	if (f->at_row.gap.first != 0)
		return is_little(&f->req, uid_set_size(&f->uids));
	switch (fetch_columns_light(im, f)) {
	case FETCH_BY_ROWS:
		break;
	case FETCH_BY_COLUMNS:
		return true;
	case FETCH_MAKES_COLUMNS:
		return false;
	}
	return is_little(&f->req, uid_set_size(&f->uids));
}

bool
fetch_asks_content(const struct fetch_request *r)
{
	bool content = r->needs_place && !r->sets_seen;

	for (size_t i = 0; i < r->count && content; i++) {
		enum fetch_kind kind = r->items[i].kind;

		content = kind == FETCH_UID || kind == FETCH_RFC822_SIZE || kind == FETCH_EMAILID ||
		          fetch_is_whole(&r->items[i]);
	}
	return content;
}

bool
fetch_is_recalled(const struct fetch *f)
{
	const struct message_row *row = fetch_row(f);

	return f->req.only_content && row->modseq == 0 && row->summary.len == 0;
}

void
fetch_forget_recalled(struct fetch *f)
{
	if (f->row == f->row_count || nowait_is_on() || !fetch_is_recalled(f))
		return;
	f->at_row.next_uid = fetch_row(f)->uid;
	f->at_row.seen -= f->row_count;
	f->row = f->row_count = 0;
}

bool
fetch_reads_little(struct imap *im)
{
	const struct fetch *f = im->args;
	size_t named = f->set.saved_result ? im->view.saved.count : f->set.count;

	if (f->mods.changedsince || f->mods.vanished)
		return false;
	if (f->phase == FETCH_SEEN_SET)
		return im->change->rc == RC_OK && is_little(&f->req, uid_set_size(&f->uids));
	return f->phase == FETCH_RESOLVE && is_little(&f->req, 1) && named <= RANGES_MAX &&
	       im->view.uids.count <= RANGES_MAX && !enables_condstore(im, &f->req);
}

/* All that is read of the section under way is read in this run. */
bool
fetch_may_read(struct fetch *f, size_t i)
{
	if (!nowait_is_on())
		return true;
	f->light_octets += fetch_section_octets(f, i);
	f->light_over = f->light_octets > PLACE_CACHE_OCTETS;
	return !f->light_over;
}

static bool
is_little_row(const struct fetch *f)
{
	const struct message_row *row = fetch_row(f);

	return (row->summary.len + row->keywords.len) * f->req.count <= ROW_MAX;
}

/* May the light run under way take its next turn? */
static bool
goes_on(struct imap *im, const struct fetch *f)
{
	if (f->light_over)
		return false;
	switch (f->phase) {
	case FETCH_RESOLVE:
		return true;
	case FETCH_NEXT_ROW:
		if (f->row < f->row_count)
			return is_little_row(f) && !session_out_full(im->s);
		return f->at_row.next_uid == 0 || (!session_out_full(im->s) && lists_little(im, f));
	case FETCH_VANISHED:
		return lists_little(im, f);
	case FETCH_FIND_UNSEEN:
	case FETCH_SET_SEEN:
	case FETCH_SEEN_SET:
		return is_little(&f->req, uid_set_size(&f->uids));
	case FETCH_CHANGED:
	case FETCH_MEASURE:
		return false;
	case FETCH_CHECK:
	case FETCH_HEAD:
	case FETCH_ITEM:
	case FETCH_REST:
	case FETCH_STREAM:
	case FETCH_END:
		return true;
	}
	return false;
}

enum imap_result
fetch_run_light(struct imap *im, struct fetch *f)
{
	enum imap_result r = IMAP_MORE;

	f->light_over = false;
	f->light_octets = 0;
	while (r == IMAP_MORE && goes_on(im, f))
		r = fetch_advance(im, f);
	f->light_octets = 0;
	return r;
}

/* The set of messages with \Seen stays as the writer has said it. */
void
fetch_undo(struct imap *im)
{
	struct fetch *f = im->args;

	if (f->seen_set) {
		f->phase = FETCH_NEXT_ROW;
		f->at_row = (struct fetch_place){ .next_uid = 1 };
		f->row = f->row_count = 0;
		return;
	}
	fetch_drop(im);
	*f = (struct fetch){
		.set = f->set, .req = f->req, .mods = f->mods, .pieces = f->pieces,
	};
}

bool
fetch_give_up(struct fetch *f)
{
	struct err unsaid = ERR_INIT;

	if (!nowait_is_on())
		return false;
	f->light_over = true;
	(void)nowait_refuse(&unsaid);
	return true;
}
