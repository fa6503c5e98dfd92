/* renew - the first start of a copy: it becomes a volume of its own.
 *
 * The original has gone on after the copy was made, and clients remember what it told: UIDs,
 * MODSEQs, UIDVALIDITYs. The takeover has passed over its epochs; here each mailbox gets a record
 * that passes over its UIDs and raises both floors, so that whoever comes from that lost future is
 * told what is there, and no number comes again for something else. Only then is the copy's mark
 * taken away. A cut in between begins anew, above what it has written.
 */
#include "index/volume_impl.h"

#include "lib/logging.h"
#include "store/copy.h"

/* The takeover has passed over COPY_EPOCHS for each of them. */
static uint32_t
former_lives(const struct volume *v)
{
	uint32_t lives = (log_epoch(v->log) - LSN_EPOCH(log_last(v->log))) / COPY_EPOCHS;

	return lives > 0 ? lives : 1;
}

static enum rc
renew_from(struct volume *v, uint32_t lives, mailbox_id *after, struct err *e)
{
	struct change *c = change_new(CHANGE_RENEW);
	enum rc rc;

	if (c == NULL)
		return err_nomem(e);
	c->who.protocol = PROTO_SYSTEM;
	c->u.renew.after = *after;
	c->u.renew.lives = lives;
	rc = volume_submit_wait(v, c);
	*e = c->err;
	*after = c->u.renew.last;
	change_free(&c);
	return rc;
}

enum rc
volume_renew(struct volume *v, struct err *e)
{
	uint32_t lives = former_lives(v);
	mailbox_id after = 0;
	struct logline l;
	enum rc rc;

	if (!log_is_copy(v->log))
		return RC_OK;
	do
		rc = renew_from(v, lives, &after, e);
	while (rc == RC_OK && after != 0);
	if (rc == RC_OK)
		rc = log_settle_copy(v->log, e);
	if (rc != RC_OK)
		return err_add(e, "make a volume of the copy");
	log_begin(&l, LOGLEVEL_INFO, "volume.put_back");
	log_cstr(&l, "volume", v->name);
	log_u64(&l, "epoch", log_epoch(v->log));
	log_u64(&l, "lives", lives);
	log_end(&l);
	return RC_OK;
}
