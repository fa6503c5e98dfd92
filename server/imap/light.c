/* light - runs of a command on the reactor: which, and taking back what one did that was refused what it reads
 * (lib/nowait.h). What goes on on the pool then says what it would have said there from the beginning.
 */
#include <assert.h>

#include "lib/nowait.h"
#include "server/imap/private.h"

#define LIGHT_RANGES 512u       /* of set and view: what is looked through for each message */

bool
imap_tells_little(const struct imap *im)
{
	return nowait_is_possible() && im->view.uids.count <= LIGHT_RANGES;
}

bool
imap_names_little(const struct imap *im, const struct seq_set *set)
{
	size_t named = set->saved_result ? im->view.saved.count : set->count;

	return named <= LIGHT_RANGES && im->view.uids.count <= LIGHT_RANGES;
}

static enum imap_light
how_light_tell(const struct imap *im)
{
	if (imap_has_no_news(im))
		return LIGHT_ALL;
	return !im->priv->heavy && imap_tells_little(im) ? LIGHT_READS : LIGHT_NO;
}

enum imap_light
imap_how_light(struct imap *im)
{
	struct imap_private *p = im->priv;
	bool may_read = !p->heavy && nowait_is_possible();

	if (p->phase == PHASE_TELL)
		return how_light_tell(im);
	if (p->phase != PHASE_RUN)
		return LIGHT_NO;
	if (im->cmd->light != NULL && im->cmd->light(im))
		return LIGHT_ALL;
	return may_read && im->cmd->reads_little != NULL && im->cmd->reads_little(im) ? LIGHT_READS
	                                                                               : LIGHT_NO;
}

struct imap_before
imap_light_begin(struct imap *im)
{
	nowait_begin();
	return (struct imap_before){ imap_out(im)->len, im->view.keywords_told, im->ended };
}

bool
imap_light_end(struct imap *im, const struct imap_before *b)
{
	if (!nowait_end())
		return true;
	session_unsay(im->s, b->out);
	im->view.keywords_told = b->keywords_told;
	im->ended = b->ended;
	return false;
}

static enum imap_result
run_without_waiting(struct imap *im)
{
	struct imap_before before = imap_light_begin(im);
	enum imap_result r = im->cmd->run(im);

	if (imap_light_end(im, &before))
		return r;
	assert(r != IMAP_WAIT);
	if (im->cmd->undo != NULL)
		im->cmd->undo(im);
	return IMAP_POOL;
}

enum imap_result
imap_run_light(struct imap *im, enum imap_light light)
{
	size_t had = imap_out(im)->len;
	enum imap_result r;

	do {
		r = light == LIGHT_READS ? run_without_waiting(im) : im->cmd->run(im);
		if (r != IMAP_MORE || imap_out(im)->len > had)
			return r;
		light = imap_how_light(im);
	} while (light != LIGHT_NO);
	return IMAP_POOL;
}
